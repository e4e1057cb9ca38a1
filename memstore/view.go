package memstore

// Decoded clients that several callers share.

import (
	"context"

	"github.com/dynreg/dcr"
)

// views has the clients that were looked at, decoded, as they are stored now.
// When it is full, it is emptied; clients that are in constant use are soon in it
// again.
type views struct {
	clients map[string]*dcr.Client
	bytes   int // of their documents
}

const (
	maxViews     = 4096
	maxViewBytes = 8 << 20
)

// keep remembers a client whose document has that size.
func (v *views) keep(client *dcr.Client, size int) {
	if len(v.clients) >= maxViews || v.bytes+size > maxViewBytes || v.clients == nil {
		v.clients, v.bytes = make(map[string]*dcr.Client), 0
	}
	v.clients[client.ID] = client
	v.bytes += size
}

// forget drops a client that has changed, whose document had that size.
func (v *views) forget(clientID string, size int) {
	if _, kept := v.clients[clientID]; kept {
		delete(v.clients, clientID)
		v.bytes -= size
	}
}

// ViewClient shows a client without copying it; see [dcr.ClientViewer].
func (s *Store) ViewClient(ctx context.Context, clientID string) (*dcr.Client, error) {
	s.mu.RLock()
	client := s.views.clients[clientID]
	s.mu.RUnlock()
	if client != nil {
		return client, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if client = s.views.clients[clientID]; client != nil { // another call was first
		return client, nil
	}
	number, e := s.clients.find(clientID)
	if e == nil {
		return nil, dcr.ErrClientNotFound
	}
	now := s.stored(number, e)
	client, err := now.client()
	if err == nil {
		s.views.keep(client, len(now.document))
	}
	return client, err
}

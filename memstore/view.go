package memstore

import (
	"context"

	"github.com/dynreg/dcr"
)

// views are the clients that were looked at, decoded, as they are stored now. As
// many as fit are kept; then it begins from nothing, for those that are looked at
// all the time are back at once.
type views struct {
	clients map[string]*dcr.Client
	bytes   int // of their documents
}

const (
	maxViews     = 4096
	maxViewBytes = 8 << 20
)

// keep remembers a client as it is stored.
func (v *views) keep(client *dcr.Client, stored *storedClient) {
	size := len(stored.document)
	if len(v.clients) >= maxViews || v.bytes+size > maxViewBytes || v.clients == nil {
		v.clients, v.bytes = make(map[string]*dcr.Client), 0
	}
	v.clients[client.ID] = client
	v.bytes += size
}

// forget drops a client that is not as it was.
func (v *views) forget(clientID string, stored *storedClient) {
	if _, kept := v.clients[clientID]; kept {
		delete(v.clients, clientID)
		v.bytes -= len(stored.document)
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
	stored, found := s.clients[clientID]
	if !found {
		return nil, dcr.ErrClientNotFound
	}
	client, err := stored.client()
	if err == nil {
		s.views.keep(client, stored)
	}
	return client, err
}

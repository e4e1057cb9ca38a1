package dcrtest_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

// jsonStore is what most people write first: it keeps the client as json.Marshal
// returns it. One lock guards all operations.
type jsonStore struct {
	lock    chan struct{}
	clients map[string]jsonRow
}

type jsonRow struct {
	text     []byte
	revision int64
}

func (s *jsonStore) locked(f func() error) error {
	s.lock <- struct{}{}
	defer func() { <-s.lock }()
	return f()
}

func (s *jsonStore) put(client *dcr.Client, revision int64) error {
	text, err := json.Marshal(client)
	if err == nil {
		client.Revision = revision
		s.clients[client.ID] = jsonRow{text, revision}
	}
	return err
}

func (s *jsonStore) Add(ctx context.Context, client *dcr.Client) error {
	if err := dcr.CheckClientID(client.ID); err != nil {
		return err
	}
	return s.locked(func() error {
		if _, taken := s.clients[client.ID]; taken {
			return dcr.ErrClientExists
		}
		return s.put(client, dcr.NewRevision())
	})
}

func (s *jsonStore) FindByClientID(ctx context.Context, id string) (client *dcr.Client, err error) {
	err = s.locked(func() error {
		row, found := s.clients[id]
		if !found {
			return dcr.ErrClientNotFound
		}
		client = &dcr.Client{Revision: row.revision}
		return json.Unmarshal(row.text, client)
	})
	if err != nil {
		return nil, err
	}
	return client, nil
}

func (s *jsonStore) Update(ctx context.Context, client *dcr.Client) error {
	return s.locked(func() error {
		row, found := s.clients[client.ID]
		if !found {
			return dcr.ErrClientNotFound
		}
		if row.revision != client.Revision {
			return dcr.ErrConflict
		}
		return s.put(client, client.Revision+1)
	})
}

func (s *jsonStore) Delete(ctx context.Context, id string) error {
	return s.locked(func() error {
		if _, found := s.clients[id]; !found {
			return dcr.ErrClientNotFound
		}
		delete(s.clients, id)
		return nil
	})
}

func TestStoreByEncodingJSON(t *testing.T) {
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
		return &jsonStore{lock: make(chan struct{}, 1), clients: make(map[string]jsonRow)}
	})
}

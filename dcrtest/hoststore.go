package dcrtest

// The store of a server under test.

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// hostStore is the store of a server under test. While it is down, every method that the
// endpoints of a server use fails.
type hostStore struct {
	*memstore.Store
	isDown atomic.Bool
}

var errHostStoreDown = errors.New("dcrtest: TestHost has taken the store down for this case")

func (s *hostStore) state() error {
	if s.isDown.Load() {
		return errHostStoreDown
	}
	return nil
}

// down takes the store down while during runs.
func (s *hostStore) down(during func() error) error {
	s.isDown.Store(true)
	defer s.isDown.Store(false)
	return during()
}

func (s *hostStore) Add(ctx context.Context, client *dcr.Client) error {
	if err := s.state(); err != nil {
		return err
	}
	return s.Store.Add(ctx, client)
}

func (s *hostStore) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	if err := s.state(); err != nil {
		return nil, err
	}
	return s.Store.FindByClientID(ctx, clientID)
}

func (s *hostStore) Update(ctx context.Context, client *dcr.Client) error {
	if err := s.state(); err != nil {
		return err
	}
	return s.Store.Update(ctx, client)
}

func (s *hostStore) Delete(ctx context.Context, clientID string) error {
	if err := s.state(); err != nil {
		return err
	}
	return s.Store.Delete(ctx, clientID)
}

func (s *hostStore) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	if err := s.state(); err != nil {
		return err
	}
	return s.Store.TouchClient(ctx, clientID, at)
}

func (s *hostStore) NoteConsent(ctx context.Context, clientID, person string, at time.Time) error {
	if err := s.state(); err != nil {
		return err
	}
	return s.Store.NoteConsent(ctx, clientID, person, at)
}

func (s *hostStore) Remember(ctx context.Context, key string, until, now time.Time) (bool, error) {
	if err := s.state(); err != nil {
		return false, err
	}
	return s.Store.Remember(ctx, key, until, now)
}

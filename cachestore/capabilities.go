package cachestore

// The optional capabilities of the store inside, and what each changes in the cache.

import (
	"context"
	"time"

	"github.com/dynreg/dcr"
)

// As is how [dcr.StoreAs] finds the optional capabilities: those of the store
// inside, of which those that change a client keep the cache up to date.
func (s *Store) As(target any) bool {
	switch target := target.(type) {
	case *dcr.RevisionDeleter:
		inside, ok := dcr.StoreAs[dcr.RevisionDeleter](s.store)
		*target = cachedDeleter{s, inside}
		return ok
	case *dcr.ClientToucher:
		inside, ok := dcr.StoreAs[dcr.ClientToucher](s.store)
		*target = cachedToucher{s, inside}
		return ok
	case *dcr.ConsentNoter:
		inside, ok := dcr.StoreAs[dcr.ConsentNoter](s.store)
		*target = cachedConsents{s, inside}
		return ok
	case *dcr.DocumentNoter:
		inside, ok := dcr.StoreAs[dcr.DocumentNoter](s.store)
		*target = cachedDocuments{s, inside}
		return ok
	case *dcr.ClientEvictor:
		inside, ok := dcr.StoreAs[dcr.ClientEvictor](s.store)
		*target = cachedEvictor{s, inside}
		return ok
	case *dcr.ClientSweeper:
		inside, ok := dcr.StoreAs[dcr.ClientSweeper](s.store)
		*target = cachedSweeper{s, inside}
		return ok
	}
	return dcr.StoreInto(s.store, target)
}

type cachedDeleter struct {
	cache  *Store
	inside dcr.RevisionDeleter
}

// DeleteRevision drops the client from the cache, even if it fails.
func (d cachedDeleter) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	defer d.cache.forget(clientID)
	return d.inside.DeleteRevision(ctx, clientID, revision)
}

type cachedToucher struct {
	cache  *Store
	inside dcr.ClientToucher
}

// TouchClient touches the cached client too. If it dropped the client, the cache would
// be of no use to endpoints that touch each client that they find.
func (t cachedToucher) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	return t.cache.note(clientID, t.inside.TouchClient(ctx, clientID, at), func(client *dcr.Client) bool {
		client.Touch(notLater(at, time.Now()))
		return true
	})
}

// notLater returns at, or now if at is later, since a store notes no use in the future.
func notLater(at, now time.Time) time.Time {
	if at.After(now) {
		return now
	}
	return at
}

// note changes the cached client as the store inside was changed, without a new
// Revision. If the store failed, or change returns false, it drops the client.
func (s *Store) note(clientID string, failed error, change func(*dcr.Client) (known bool)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overrun(clientID)
	if entry := s.found.get(clientID, s.now()); entry != nil {
		noted := *entry.client // the lists stay shared: nothing writes to them
		if failed == nil && change(&noted) {
			entry.client = &noted
		} else {
			s.found.Delete(clientID)
		}
	}
	if failed != nil {
		s.missing.Delete(clientID)
	}
	return failed
}

type cachedConsents struct {
	cache  *Store
	inside dcr.ConsentNoter
}

// NoteConsent touches the cached client too. Only the store knows who consented first,
// since another process may have noted a consent.
func (c cachedConsents) NoteConsent(ctx context.Context, clientID, person string, at time.Time) error {
	return c.cache.note(clientID, c.inside.NoteConsent(ctx, clientID, person, at), func(client *dcr.Client) bool {
		client.Touch(notLater(at, time.Now()))
		return client.ActivatedBy != ""
	})
}

type cachedDocuments struct {
	cache  *Store
	inside dcr.DocumentNoter
}

// NoteDocument notes it in the cached client too.
func (d cachedDocuments) NoteDocument(ctx context.Context, clientID string, record dcr.DocumentRecord) error {
	return d.cache.note(clientID, d.inside.NoteDocument(ctx, clientID, record), func(client *dcr.Client) bool {
		client.Document = record.Clone()
		return true
	})
}

type cachedEvictor struct {
	cache  *Store
	inside dcr.ClientEvictor
}

// EvictClient drops the evicted client from the cache.
func (e cachedEvictor) EvictClient(ctx context.Context, createdBefore time.Time) (*dcr.Client, time.Time, error) {
	evicted, next, err := e.inside.EvictClient(ctx, createdBefore)
	if evicted != nil {
		e.cache.forget(evicted.ID)
	}
	return evicted, next, err
}

type cachedSweeper struct {
	cache  *Store
	inside dcr.ClientSweeper
}

// SweepClients empties the cache, since it does not learn which clients were deleted.
// It drops each client before AfterDelete is called with it.
func (w cachedSweeper) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	if after := rule.AfterDelete; after != nil {
		rule.AfterDelete = func(ctx context.Context, client *dcr.Client) {
			w.cache.forget(client.ID)
			after(ctx, client)
		}
	}
	defer func() {
		w.cache.mu.Lock()
		defer w.cache.mu.Unlock()
		w.cache.found.Clear()
		for what := range w.cache.loads {
			w.cache.overrun(what.clientID)
		}
	}()
	return w.inside.SweepClients(ctx, rule)
}

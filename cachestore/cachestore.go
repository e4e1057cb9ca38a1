// Package cachestore remembers clients for the authorize and token endpoints.
package cachestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/lru"
)

// Options are the settings of a [Store]. The zero value is ready
// to use.
type Options struct {
	// Size is how many clients the cache holds at most. If zero, 10,000. As
	// many again, by their ids alone, are remembered as missing.
	Size int

	// TTL is how long a client is served from the cache, and so how long a
	// change that another process made may go unseen here. If zero, 30 seconds.
	TTL time.Duration

	// NegativeTTL is how long it is remembered that there is no client of an
	// id. If zero, 1 second; if negative, not at all.
	NegativeTTL time.Duration

	// LoadTimeout bounds one reading of the store, which several callers may
	// wait for, each within its own context. If zero, 10 seconds.
	LoadTimeout time.Duration
}

// Store reads clients from a store and remembers them for a while: the
// read path of the authorize and token endpoints, which ask for the same
// clients again and again. Make one with [New].
//
// Callers that miss the same client at once share one reading. What this
// Store writes it never serves from before; changes by others are seen
// after the TTL. That a client is missing is remembered shortly, a failure of
// the store never, and neither is taken for the other.
//
// It has the optional capabilities of the store inside, by way of [dcr.StoreAs],
// and no others.
type Store struct {
	store dcr.ClientConfigurationStore
	opts  Options

	mu      sync.Mutex
	found   known
	missing known // apart, so that strangers who ask for nonsense evict no client
	loads   map[string]*cacheLoad
}

// New returns a cache in front of store. If opts is nil, every
// option has its default.
func New(store dcr.ClientConfigurationStore, opts *Options) *Store {
	if opts == nil {
		opts = &Options{}
	}
	s := &Store{store: store, opts: *opts, loads: make(map[string]*cacheLoad)}
	for option, otherwise := range map[*time.Duration]time.Duration{
		&s.opts.TTL: 30 * time.Second, &s.opts.NegativeTTL: time.Second, &s.opts.LoadTimeout: 10 * time.Second,
	} {
		if *option == 0 {
			*option = otherwise
		}
	}
	if s.opts.Size <= 0 {
		s.opts.Size = 10_000
	}
	s.found.Cache, s.missing.Cache = lru.New[string, *entry](s.opts.Size), lru.New[string, *entry](s.opts.Size)
	return s
}

// FindByClientID returns a client, which may be as old as the TTL; see
// [dcr.ClientConfigurationStore].
func (s *Store) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	s.mu.Lock()
	now := time.Now()
	if entry := s.found.get(clientID, now); entry != nil {
		client := entry.client
		s.mu.Unlock()
		return client.Clone(), nil
	}
	if s.missing.get(clientID, now) != nil {
		s.mu.Unlock()
		return nil, dcr.ErrClientNotFound
	}
	current := s.loads[clientID]
	if current == nil {
		current = &cacheLoad{done: make(chan struct{})}
		s.loads[clientID] = current
		// The first caller may give up: the others wait for the same reading.
		go s.load(context.WithoutCancel(ctx), clientID, current)
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-current.done:
		if current.err != nil {
			return nil, current.err
		}
		return current.client.Clone(), nil
	}
}

// cacheLoad is one reading of the store.
type cacheLoad struct {
	done    chan struct{} // closed when client and err are set
	client  *dcr.Client   // shared: whoever returns it clones it
	err     error
	overrun bool // something was written meanwhile: not to be kept
}

func (s *Store) load(ctx context.Context, clientID string, l *cacheLoad) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.LoadTimeout)
	defer cancel()
	defer func() {
		// A store that panics fails the callers who wait, not the program.
		if panicked := recover(); panicked != nil {
			l.err = fmt.Errorf("dcr: the store panicked: %v", panicked)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.loads[clientID] == l {
			delete(s.loads, clientID)
		}
		switch {
		case l.overrun:
		case l.err == nil:
			s.found.Put(clientID, &entry{client: l.client, until: time.Now().Add(s.opts.TTL)})
		case errors.Is(l.err, dcr.ErrClientNotFound):
			s.missing.Put(clientID, &entry{until: time.Now().Add(s.opts.NegativeTTL)})
		}
		close(l.done)
	}()
	l.client, l.err = s.store.FindByClientID(ctx, clientID)
}

// forget drops what is known of a client, and what is being read of it. It
// comes after a write, whatever became of that: nothing that was read before
// the write ended is served once it has.
func (s *Store) forget(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found.Delete(clientID)
	s.missing.Delete(clientID)
	s.overrun(clientID)
}

func (s *Store) overrun(clientID string) {
	if current := s.loads[clientID]; current != nil {
		current.overrun = true
		delete(s.loads, clientID)
	}
}

// Add stores a new client; see [dcr.ClientConfigurationStore].
func (s *Store) Add(ctx context.Context, client *dcr.Client) error {
	defer s.forget(client.ID)
	return s.store.Add(ctx, client)
}

// Update replaces a client; see [dcr.ClientConfigurationStore].
func (s *Store) Update(ctx context.Context, client *dcr.Client) error {
	defer s.forget(client.ID)
	return s.store.Update(ctx, client)
}

// Delete removes a client; see [dcr.ClientConfigurationStore].
func (s *Store) Delete(ctx context.Context, clientID string) error {
	defer s.forget(clientID)
	return s.store.Delete(ctx, clientID)
}

// Uncached returns the same store without the cache for reading, while what it
// writes is forgotten by the cache. It is what a [dcr.Handler] should have: whoever
// manages a client must see what other hosts wrote a moment ago.
func (s *Store) Uncached() dcr.ClientConfigurationStore { return uncached{s} }

type uncached struct{ *Store }

func (s uncached) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	return s.store.FindByClientID(ctx, clientID)
}

// As is how [dcr.StoreAs] finds the optional capabilities: those of the store
// inside, of which deleting, touching and sweeping keep the cache up to date.
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

// DeleteRevision forgets the client, whatever became of it.
func (d cachedDeleter) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	defer d.cache.forget(clientID)
	return d.inside.DeleteRevision(ctx, clientID, revision)
}

type cachedToucher struct {
	cache  *Store
	inside dcr.ClientToucher
}

// TouchClient touches the cached client too: endpoints touch what they find,
// and would find nothing cached if that dropped it.
func (t cachedToucher) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	if err := t.inside.TouchClient(ctx, clientID, at); err != nil {
		t.cache.forget(clientID)
		return err
	}
	t.cache.mu.Lock()
	defer t.cache.mu.Unlock()
	t.cache.overrun(clientID)
	now := time.Now()
	if at.After(now) { // the store notes no use in the future
		at = now
	}
	if entry := t.cache.found.get(clientID, now); entry != nil {
		touched := *entry.client // the lists stay shared: nobody writes to them
		touched.Touch(at)
		entry.client = &touched
	}
	return nil
}

type cachedSweeper struct {
	cache  *Store
	inside dcr.ClientSweeper
}

// SweepClients forgets everything, since nobody says what was deleted.
func (w cachedSweeper) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	defer func() {
		w.cache.mu.Lock()
		defer w.cache.mu.Unlock()
		w.cache.found.Clear()
		for clientID := range w.cache.loads {
			w.cache.overrun(clientID)
		}
	}()
	return w.inside.SweepClients(ctx, rule)
}

// entry is what is known of one client.
type entry struct {
	client *dcr.Client // nil where there is none
	until  time.Time
}

// known holds the entries of the clients that were asked for last, by id.
type known struct{ *lru.Cache[string, *entry] }

// get returns what is known of a client, nil if nothing is or no longer.
func (k known) get(clientID string, now time.Time) *entry {
	e, ok := k.Get(clientID)
	if ok && !now.Before(e.until) {
		k.Delete(clientID)
		return nil
	}
	return e
}

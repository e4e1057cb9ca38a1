// Package cachestore caches clients for the authorize and token endpoints, in front of
// a slow store:
//
//	cache := cachestore.New(store, nil)
//	handler, err := dcr.NewHandler(cache, &dcr.Options{…}) // reads past the cache
//
// Changes through the cache are seen at once; changes by another process after
// [Options].TTL at the latest. The cache has the optional capabilities of the store
// inside, such as counting, listing, sweeping and touching clients.
package cachestore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/lru"
)

// Options are the settings of a [Store]. The zero value is ready
// to use.
type Options struct {
	// Size is how many clients the cache holds at most. If zero, 10,000. It also
	// remembers up to as many ids of clients that do not exist.
	Size int

	// MaxBytes bounds the size of the cache, in bytes as it estimates them; a
	// sixteenth of it is for ids of clients that do not exist. A client that is
	// larger than all of it is not cached. If zero, 64 MiB.
	MaxBytes int64

	// TTL is how long a client is served from the cache, and so how long a
	// change by another process may go unseen. If zero, 30 seconds.
	TTL time.Duration

	// NegativeTTL is how long the cache remembers that a client does not exist.
	// If zero, 1 second; if negative, not at all.
	NegativeTTL time.Duration

	// LoadTimeout bounds one read of the store, for which several callers may
	// wait, each within its own context. If zero, 10 seconds.
	LoadTimeout time.Duration
}

// Store caches the clients of another store, for the authorize and token
// endpoints, which read the same clients again and again. Make one with [New].
//
// Concurrent callers that miss the same client share one read of the store.
// After a write through this Store, it never returns what was there before;
// changes by others are seen after the TTL. It remembers for a short time that
// a client does not exist, but never a failure of the store, and does not
// confuse the two. For an id that no store can hold ([dcr.CheckClientID]), it
// returns that there is no such client, and remembers nothing.
//
// It has the optional capabilities of the store inside, found by [dcr.StoreAs],
// and [dcr.ClientViewer], but no others.
type Store struct {
	store   dcr.ClientConfigurationStore
	opts    Options
	started time.Time

	mu      sync.Mutex
	found   known
	missing known // separate, so that requests for made-up ids evict no client
	loads   map[reading]*cacheLoad
}

// reading is what is read from the store: a client or, if known is set, what is known
// of it without the network.
type reading struct {
	clientID string
	known    bool
}

// New returns a cache in front of store. If opts is nil, every
// option has its default.
func New(store dcr.ClientConfigurationStore, opts *Options) *Store {
	if opts == nil {
		opts = &Options{}
	}
	s := &Store{store: store, opts: *opts, started: time.Now(), loads: make(map[reading]*cacheLoad)}
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
	if s.opts.MaxBytes <= 0 {
		s.opts.MaxBytes = 64 << 20
	}
	forMissing := s.opts.MaxBytes / 16
	s.found = known{lru.NewSized[string, *entry](s.opts.Size, s.opts.MaxBytes-forMissing), s.opts.TTL}
	s.missing = known{lru.NewSized[string, *entry](s.opts.Size, forMissing), s.opts.NegativeTTL}
	return s
}

// now returns the time since the store was made. It takes half as long as time.Now, which
// reads two clocks.
func (s *Store) now() time.Duration { return time.Since(s.started) }

// FindByClientID returns a client, which may be as old as the TTL; see
// [dcr.ClientConfigurationStore].
func (s *Store) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	return copied(s.ViewClient(ctx, clientID))
}

// ViewClient shows what FindByClientID finds without copying it; see
// [dcr.ClientViewer].
func (s *Store) ViewClient(ctx context.Context, clientID string) (*dcr.Client, error) {
	return s.view(ctx, s.store, reading{clientID: clientID})
}

// copied returns a clone of a view, which its caller may change.
func copied(client *dcr.Client, err error) (*dcr.Client, error) {
	if err != nil {
		return nil, err
	}
	return client.Clone(), nil
}

// view returns the cached client, or reads it from inside. The client is shared: do not
// write to it.
func (s *Store) view(ctx context.Context, inside dcr.ClientConfigurationStore, what reading) (*dcr.Client, error) {
	clientID := what.clientID
	if dcr.CheckClientID(clientID) != nil {
		return nil, dcr.ErrClientNotFound
	}
	s.mu.Lock()
	now := s.now()
	s.missing.expire(now)
	if entry := s.found.get(clientID, now); entry != nil && (what.known || !entry.known) {
		client := entry.client
		s.mu.Unlock()
		return client, nil
	}
	if s.missing.has(clientID, now) {
		s.mu.Unlock()
		return nil, dcr.ErrClientNotFound
	}
	current := s.loads[what]
	if current == nil {
		current = &cacheLoad{done: make(chan struct{}), began: now}
		what.clientID = strings.Clone(clientID) // it may be a few bytes of a large request
		s.loads[what] = current
		// The reading goes on if the first caller gives up, since others may wait for
		// it.
		go s.load(context.WithoutCancel(ctx), inside, what, current)
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-current.done:
		return current.client, current.err
	}
}

// cacheLoad is one read of the store, for all callers that wait for it.
type cacheLoad struct {
	done    chan struct{} // closed when client and err are set
	began   time.Duration // as Store.now says
	client  *dcr.Client   // shared: do not write to it; nil if there is an error
	err     error
	overrun bool // the client was written meanwhile: do not cache the result
}

// errEnded fails the callers that wait if the store calls runtime.Goexit.
var errEnded = errors.New("cachestore: the store ended the goroutine")

func (s *Store) load(ctx context.Context, inside dcr.ClientConfigurationStore, what reading, l *cacheLoad) {
	clientID := what.clientID
	ctx, cancel := context.WithTimeout(ctx, s.opts.LoadTimeout)
	defer cancel()
	var size int64
	l.err = errEnded
	defer func() {
		// If the store panics, that fails the callers that wait but not the program.
		if panicked := recover(); panicked != nil {
			l.client, l.err = nil, fmt.Errorf("cachestore: the store panicked: %v", panicked)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.loads[what] == l {
			delete(s.loads, what)
		}
		switch {
		case l.overrun:
		case l.err == nil:
			s.found.PutSized(clientID, &entry{l.client, l.began, what.known && l.client.Source == dcr.SourceDocument}, size)
		case errors.Is(l.err, dcr.ErrClientNotFound) && s.opts.NegativeTTL > 0:
			s.missing.PutSized(clientID, &entry{since: l.began}, int64(len(clientID))+perEntry)
		}
		close(l.done)
	}()
	if l.client, l.err = inside.FindByClientID(ctx, clientID); l.err == nil {
		size = sizeOf(l.client)
	}
}

// The size of an entry: an id takes perEntry, and a client also perClient and about
// twice the length of its JSON.
const (
	perEntry  = 256
	perClient = 2 << 10
)

// sizeOf estimates the size of a cached client.
func sizeOf(client *dcr.Client) int64 {
	text, err := client.MarshalJSON()
	if err != nil {
		return 1 << 62 // too large to be kept
	}
	return perEntry + perClient + 2*int64(len(text))
}

// forget drops a client from the cache, and the results of reads under way. It is
// called after every write, even a failed one, so that nothing that was read before the
// write ended is served afterwards.
func (s *Store) forget(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found.Delete(clientID)
	s.missing.Delete(clientID)
	s.overrun(clientID)
}

func (s *Store) overrun(clientID string) {
	for _, what := range []reading{{clientID, false}, {clientID, true}} {
		if current := s.loads[what]; current != nil {
			current.overrun = true
			delete(s.loads, what)
		}
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

// FindStored finds a client without the cache, as [dcr.FindStored] does in the store
// inside. A [dcr.Handler] and package admin use it, since they must see what other
// processes wrote a moment ago.
func (s *Store) FindStored(ctx context.Context, clientID string) (*dcr.Client, error) {
	return dcr.FindStored(ctx, s.store, clientID)
}

// Uncached returns a view of the store that reads without the cache, as FindStored
// does, and whose writes update the cache.
func (s *Store) Uncached() dcr.ClientConfigurationStore { return uncached{s, s} }

type uncached struct {
	dcr.ClientConfigurationStore // the cache, to write through
	cache                        *Store
}

func (s uncached) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	return s.cache.FindStored(ctx, clientID)
}

// As is how [dcr.StoreAs] finds the optional capabilities of the store inside.
func (s uncached) As(target any) bool { return s.cache.As(target) }

// Known returns a view for the token, revocation and introspection endpoints. If the
// store inside is a cimd.Store, the view caches what that store's Known finds,
// without fetching; otherwise it is s.
func (s *Store) Known() dcr.ClientConfigurationStore {
	inside, ok := s.store.(interface {
		Known() dcr.ClientConfigurationStore
	})
	if !ok {
		return s
	}
	return knownOnly{s, s, inside.Known()}
}

type knownOnly struct {
	dcr.ClientConfigurationStore // the cache, to write through
	cache                        *Store
	inside                       dcr.ClientConfigurationStore
}

// FindStored finds a client without the cache.
func (k knownOnly) FindStored(ctx context.Context, clientID string) (*dcr.Client, error) {
	return k.cache.FindStored(ctx, clientID)
}

// As is how [dcr.StoreAs] finds the optional capabilities of the store inside.
func (k knownOnly) As(target any) bool { return k.cache.As(target) }

// Known returns the same store.
func (k knownOnly) Known() dcr.ClientConfigurationStore { return k }

func (k knownOnly) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	return copied(k.ViewClient(ctx, clientID))
}

func (k knownOnly) ViewClient(ctx context.Context, clientID string) (*dcr.Client, error) {
	return k.cache.view(ctx, k.inside, reading{clientID, true})
}

// entry is what is known of one client.
type entry struct {
	client *dcr.Client   // nil if the client does not exist
	since  time.Duration // when its time began, as Store.now says
	known  bool          // read without the network, so its document may have changed: only for Known
}

// known holds the entries of the clients that were asked for last, by id.
type known struct {
	*lru.Cache[string, *entry]
	ttl time.Duration
}

// get returns the entry of a client, nil if there is none or it has expired.
func (k known) get(clientID string, now time.Duration) *entry {
	e, ok := k.Get(clientID)
	if ok && now-e.since >= k.ttl {
		k.Delete(clientID)
		return nil
	}
	return e
}

// has reports whether there is an entry that has not expired.
func (k known) has(clientID string, now time.Duration) bool {
	e, ok := k.Peek(clientID)
	return ok && now-e.since < k.ttl
}

// expire removes the entries that have expired, up to the first that has not. Entries are
// in the order in which their reads ended, which is about that in which they expire: all
// have the same TTL, and get is not called, which would reorder them.
func (k known) expire(now time.Duration) {
	for {
		clientID, oldest, ok := k.Oldest()
		if !ok || now-oldest.since < k.ttl {
			return
		}
		k.Delete(clientID)
	}
}

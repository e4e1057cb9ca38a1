package cachestore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

func TestStore(t *testing.T) {
	dcrtest.TestStore(t, func(*testing.T) dcr.ClientConfigurationStore {
		return cachestore.New(memstore.New(), &cachestore.Options{TTL: time.Hour, NegativeTTL: time.Hour})
	})
}

func TestStoreUncached(t *testing.T) {
	dcrtest.TestStore(t, func(*testing.T) dcr.ClientConfigurationStore {
		return cachestore.New(memstore.New(), &cachestore.Options{TTL: time.Hour, NegativeTTL: time.Hour}).Uncached()
	})
}

// bareStore has no optional capability.
type bareStore struct{ dcr.ClientConfigurationStore }

// TestStoreIsHonest checks that a cache has the optional capabilities of the
// store inside, and no others.
func TestStoreIsHonest(t *testing.T) {
	able := cachestore.New(cachestore.New(memstore.New(), nil).Uncached(), nil)
	unable := cachestore.New(bareStore{memstore.New()}, nil)
	for name, has := range map[string]func(dcr.ClientConfigurationStore) bool{
		"lister":  as[dcr.ClientLister],
		"counter": as[dcr.ClientCounter],
		"toucher": as[dcr.ClientToucher],
		"sweeper": as[dcr.ClientSweeper],
		"finder":  as[dcr.StatementFinder],
		"tokens":  as[dcr.InitialAccessTokenStore],
		"replays": as[dcr.ReplayStore],
		"forgets": as[dcr.ReplayForgetter],
		"deleter": as[dcr.RevisionDeleter],
		"recent":  as[dcr.RecentClientLister],
		"evictor": as[dcr.ClientEvictor],
		"notes":   as[dcr.DocumentNoter],
		"consent": as[dcr.ConsentNoter],
		"issued":  as[dcr.InitialAccessTokenLister],
	} {
		if !has(able) || has(unable) || !has(memstore.New()) {
			t.Errorf("%s: with a store that has it %v, with one that does not %v", name, has(able), has(unable))
		}
	}
	if as[io.Closer](able) {
		t.Error("the cache has a capability that the store inside does not have")
	}
}

func as[T any](store dcr.ClientConfigurationStore) bool {
	_, ok := dcr.StoreAs[T](store)
	return ok
}

// watchedStore counts reads and can fail or wait.
type watchedStore struct {
	*memstore.Store
	reads atomic.Int64
	fail  error
	ends  bool          // a read ends its goroutine
	wait  chan struct{} // if not nil, a read that has its answer waits for it
}

func (s *watchedStore) FindByClientID(ctx context.Context, id string) (*dcr.Client, error) {
	s.reads.Add(1)
	if s.ends {
		runtime.Goexit()
	}
	if s.fail != nil {
		return nil, s.fail
	}
	client, err := s.Store.FindByClientID(ctx, id)
	if s.wait != nil {
		select {
		case <-s.wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return client, err
}

// TestCacheServes checks what is served from the cache and for how long. Each
// case counts how often the store is read.
func TestCacheServes(t *testing.T) {
	outage := errors.New("connection refused")
	for _, c := range []struct {
		sentence string
		reads    int64
		run      func(t *testing.T, cache *cachestore.Store, store *watchedStore)
	}{
		{"a client is read once within its time", 1, func(t *testing.T, cache *cachestore.Store, _ *watchedStore) {
			for range 10 {
				find(t, cache, "there", nil)
				time.Sleep(time.Second)
			}
		}},
		{"a client is read again after its time", 2, func(t *testing.T, cache *cachestore.Store, _ *watchedStore) {
			find(t, cache, "there", nil)
			time.Sleep(30 * time.Second)
			find(t, cache, "there", nil)
		}},
		{"the time of a client begins when its reading does", 2, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			store.wait = make(chan struct{})
			time.AfterFunc(9*time.Second, func() { close(store.wait) })
			find(t, cache, "there", nil)
			if err := store.Delete(t.Context(), "there"); err != nil { // as another process does
				t.Error(err)
			}
			time.Sleep(20 * time.Second)
			find(t, cache, "there", nil)
			time.Sleep(time.Second)
			find(t, cache, "there", dcr.ErrClientNotFound)
		}},
		{"a missing client is remembered for a second", 2, func(t *testing.T, cache *cachestore.Store, _ *watchedStore) {
			for range 3 {
				find(t, cache, "missing", dcr.ErrClientNotFound)
			}
			time.Sleep(time.Second)
			find(t, cache, "missing", dcr.ErrClientNotFound)
		}},
		{"so is one whose reading took that long, from its beginning", 2, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			store.wait = make(chan struct{})
			time.AfterFunc(time.Second, func() { close(store.wait) })
			find(t, cache, "missing", dcr.ErrClientNotFound)
			if err := store.Add(t.Context(), &dcr.Client{ID: "missing"}); err != nil { // as another process does
				t.Error(err)
			}
			find(t, cache, "missing", nil)
		}},
		{"an outage is never remembered", 3, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			store.fail = outage
			find(t, cache, "there", outage)
			find(t, cache, "there", outage)
			store.fail = nil
			find(t, cache, "there", nil)
		}},
		{"a cached client is served during an outage until it expires", 2, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			find(t, cache, "there", nil)
			store.fail = outage
			time.Sleep(29 * time.Second)
			find(t, cache, "there", nil)
			time.Sleep(time.Second)
			find(t, cache, "there", outage)
		}},
		{"a client that is added after it was missed is found immediately", 2, func(t *testing.T, cache *cachestore.Store, _ *watchedStore) {
			find(t, cache, "new", dcr.ErrClientNotFound)
			if err := cache.Add(t.Context(), &dcr.Client{ID: "new"}); err != nil {
				t.Error(err)
			}
			find(t, cache, "new", nil)
		}},
		{"a write through the uncached view is seen through the cache", 2, func(t *testing.T, cache *cachestore.Store, _ *watchedStore) {
			find(t, cache, "there", nil)
			if err := cache.Uncached().Delete(t.Context(), "there"); err != nil {
				t.Error(err)
			}
			find(t, cache, "there", dcr.ErrClientNotFound)
		}},
		{"a client that is deleted by revision is missed immediately", 2, func(t *testing.T, cache *cachestore.Store, _ *watchedStore) {
			client := find(t, cache, "there", nil)
			deleter, _ := dcr.StoreAs[dcr.RevisionDeleter](cache.Uncached())
			if err := deleter.DeleteRevision(t.Context(), "there", client.Revision); err != nil {
				t.Error(err)
			}
			find(t, cache, "there", dcr.ErrClientNotFound)
		}},
		{"after a conflict on deleting, the client is read again", 2, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			client := find(t, cache, "there", nil)
			if err := store.Update(t.Context(), client.Clone()); err != nil {
				t.Error(err)
			}
			deleter, _ := dcr.StoreAs[dcr.RevisionDeleter](cache)
			if err := deleter.DeleteRevision(t.Context(), "there", client.Revision); !errors.Is(err, dcr.ErrConflict) {
				t.Error(err)
			}
			if again := find(t, cache, "there", nil); again.Revision != client.Revision+1 {
				t.Errorf("found revision %d after a conflict", again.Revision)
			}
		}},
		{"after a conflict on updating, the client is read again", 2, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			client := find(t, cache, "there", nil)
			if err := store.Update(t.Context(), client.Clone()); err != nil { // by another process
				t.Error(err)
			}
			if err := cache.Update(t.Context(), client); !errors.Is(err, dcr.ErrConflict) {
				t.Error(err)
			}
			if again := find(t, cache, "there", nil); again.Revision != client.Revision+1 {
				t.Errorf("found revision %d after a conflict", again.Revision)
			}
		}},
		{"a touch keeps the client cached", 1, func(t *testing.T, cache *cachestore.Store, _ *watchedStore) {
			find(t, cache, "there", nil)
			toucher, _ := dcr.StoreAs[dcr.ClientToucher](cache)
			if err := toucher.TouchClient(t.Context(), "there", time.Now()); err != nil {
				t.Error(err)
			}
			if client := find(t, cache, "there", nil); !client.LastUsedAt.Equal(time.Now()) {
				t.Errorf("last used at %v", client.LastUsedAt)
			}
		}},
		{"many callers that miss one client read it once", 1, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			store.wait = make(chan struct{})
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() { find(t, cache, "there", nil) })
			}
			synctest.Wait()
			close(store.wait)
			all.Wait()
		}},
		{"a caller that gives up does not affect the others", 1, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			store.wait = make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() {
				if _, err := cache.FindByClientID(ctx, "there"); !errors.Is(err, context.Canceled) {
					t.Errorf("the caller that gave up got %v", err)
				}
			})
			synctest.Wait()
			all.Go(func() { find(t, cache, "there", nil) })
			synctest.Wait()
			cancel()
			synctest.Wait()
			close(store.wait)
			all.Wait()
		}},
		{"a store that panics fails its callers and no others", 2, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			store.Store = nil
			if _, err := cache.FindByClientID(t.Context(), "there"); err == nil || errors.Is(err, dcr.ErrClientNotFound) {
				t.Errorf("got %v", err)
			}
			store.Store = memstore.New()
			find(t, cache, "there", dcr.ErrClientNotFound)
		}},
		{"a store that ends its goroutine fails its callers and no others", 2, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			store.ends = true
			if _, err := cache.FindByClientID(t.Context(), "there"); err == nil || errors.Is(err, dcr.ErrClientNotFound) {
				t.Errorf("got %v", err)
			}
			store.ends = false
			find(t, cache, "there", nil)
		}},
		{"a store that hangs is abandoned", 1, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			store.wait = make(chan struct{})
			find(t, cache, "there", context.DeadlineExceeded)
		}},
		{"a client that was read before a write is not served after it", 2, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			store.wait = make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() { find(t, cache, "there", nil) }) // reads, then waits
			synctest.Wait()
			if err := cache.Delete(t.Context(), "there"); err != nil {
				t.Error(err)
			}
			close(store.wait)
			all.Wait()
			find(t, cache, "there", dcr.ErrClientNotFound)
		}},
		{"the least recently used client is evicted", 6, func(t *testing.T, cache *cachestore.Store, store *watchedStore) {
			for _, id := range strings.Fields("a b c a d a b") { // d evicts b, b evicts c
				store.Add(t.Context(), &dcr.Client{ID: id})
				find(t, cache, id, nil)
			}
			find(t, cache, "c", nil)
		}},
		{"looking for missing clients evicts no client", 101, func(t *testing.T, cache *cachestore.Store, _ *watchedStore) {
			find(t, cache, "there", nil)
			for i := range 100 {
				find(t, cache, fmt.Sprint("missing-", i), dcr.ErrClientNotFound)
			}
			find(t, cache, "there", nil)
		}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &watchedStore{Store: memstore.New()}
				store.Add(t.Context(), &dcr.Client{ID: "there"})
				c.run(t, cachestore.New(store, &cachestore.Options{Size: 3}), store)
				if reads := store.reads.Load(); reads != c.reads {
					t.Errorf("the store was read %d times, not %d", reads, c.reads)
				}
			})
		})
	}
}

func find(t *testing.T, store dcr.ClientConfigurationStore, id string, want error) *dcr.Client {
	t.Helper()
	client, err := store.FindByClientID(t.Context(), id)
	if !errors.Is(err, want) || want == nil && (err != nil || client.ID != id) {
		t.Errorf("found %v and %v, not %v", client, err, want)
	}
	return client
}

// TestCacheIsBounded checks that neither the ids that strangers ask for nor many
// large clients fill the memory.
func TestCacheIsBounded(t *testing.T) {
	const bound = 1 << 20
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, c := range []struct {
		sentence string
		ask      func(t *testing.T, cache *cachestore.Store, store *watchedStore, n int)
		reads    int64
		most     int64
	}{
		{"ids that no store accepts are neither looked up nor remembered", func(t *testing.T, cache *cachestore.Store, _ *watchedStore, n int) {
			find(t, cache, fmt.Sprint(n)+strings.Repeat("x", 64<<10), dcr.ErrClientNotFound)
		}, 0, bound},
		{"an id does not keep its request alive", func(t *testing.T, cache *cachestore.Store, _ *watchedStore, n int) {
			form := fmt.Sprintf("%08d", n) + strings.Repeat("x", 64<<10)
			find(t, cache, form[:8], dcr.ErrClientNotFound)
		}, 1000, bound},
		{"large clients make room for each other", func(t *testing.T, cache *cachestore.Store, store *watchedStore, n int) {
			id := fmt.Sprint(n)
			if err := store.Add(t.Context(), &dcr.Client{ID: id, Notes: strings.Repeat("x", 32<<10)}); err != nil {
				t.Error(err)
			}
			find(t, cache, id, nil)
			if err := store.Delete(t.Context(), id); err != nil {
				t.Error(err)
			}
		}, 1000, 2 * bound},
	} {
		store := &watchedStore{Store: memstore.New()}
		cache := cachestore.New(store, &cachestore.Options{MaxBytes: bound, NegativeTTL: time.Hour, TTL: time.Hour})
		before := heap()
		for n := range 1000 {
			c.ask(t, cache, store, n)
		}
		if grown := heap() - before; grown > c.most {
			t.Errorf("%s: the heap grew by %d bytes", c.sentence, grown)
		}
		if reads := store.reads.Load(); reads != c.reads {
			t.Errorf("%s: the store was read %d times, not %d", c.sentence, reads, c.reads)
		}
		runtime.KeepAlive(cache)
	}
}

// embedding overrides FindByClientID of a cache, as hosts may do.
type embedding struct{ *cachestore.Store }

func (embedding) FindByClientID(context.Context, string) (*dcr.Client, error) {
	return nil, errors.New("the store is down")
}

// TestViewsAreOfTheirStore checks that a view shows what the cache has, and that a
// view does not bypass a wrapper that finds clients in another way.
func TestViewsAreOfTheirStore(t *testing.T) {
	store := &watchedStore{Store: memstore.New()}
	store.Add(t.Context(), &dcr.Client{ID: "there"})
	cache := cachestore.New(store, nil)
	for name, test := range map[string]struct {
		of    dcr.ClientConfigurationStore
		reads int64
	}{"cached": {cache, 1}, "uncached": {cache.Uncached(), 3}} {
		before := store.reads.Load()
		viewer, ok := dcr.StoreAs[dcr.ClientViewer](test.of)
		if ok != (name == "cached") {
			t.Errorf("the %s store is a ClientViewer: %t", name, ok)
		}
		for range 3 {
			find := test.of.FindByClientID
			if ok {
				find = viewer.ViewClient
			}
			if client, err := find(t.Context(), "there"); err != nil || client.ID != "there" {
				t.Errorf("%s: %v, %v", name, client, err)
			}
		}
		if reads := store.reads.Load() - before; reads != test.reads {
			t.Errorf("%s: the store was read %d times, not %d", name, reads, test.reads)
		}
	}
	for _, host := range []dcr.ClientConfigurationStore{embedding{cache}, &embedding{cache}} {
		if _, ok := dcr.StoreAs[dcr.ClientViewer](host); ok {
			t.Errorf("a %T shows what it does not find", host)
		}
		if _, err := dcr.FindStored(t.Context(), host, "there"); err == nil {
			t.Errorf("a %T was bypassed", host)
		}
	}
}

// TestFindStored checks that every view of a cache finds what is stored now.
func TestFindStored(t *testing.T) {
	store := memstore.New()
	client := &dcr.Client{ID: "there"}
	store.Add(t.Context(), client)
	cache := cachestore.New(store, &cachestore.Options{TTL: time.Hour, NegativeTTL: time.Hour})
	for range 2 {
		for name, view := range map[string]dcr.ClientConfigurationStore{
			"cache": cache, "uncached": cache.Uncached(), "known": cache.Known(), "two caches": cachestore.New(cache, nil),
		} {
			found, err := dcr.FindStored(t.Context(), view, "there")
			if err != nil || found.Revision != client.Revision {
				t.Errorf("%s: %v, %v", name, found, err)
			}
			if _, err := view.FindByClientID(t.Context(), "there"); err != nil { // it is cached from now on
				t.Errorf("%s: %v", name, err)
			}
		}
		store.Update(t.Context(), client) // as another process does
	}
}

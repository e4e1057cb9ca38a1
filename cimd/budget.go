package cimd

// RFC 6749 §10.10: how often strangers make this server fetch.

import (
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr/internal/lru"
)

// bucket is what is left of a budget.
type bucket struct {
	left float64
	at   time.Time // when left was computed; zero: the bucket is full
}

// refill adds what has accrued since, up to a minute's worth.
func (b *bucket) refill(perMinute int, now time.Time) {
	full := float64(perMinute)
	if b.at.IsZero() {
		b.left = full
	} else if passed := now.Sub(b.at); passed > 0 {
		b.left = min(full, b.left+full*passed.Minutes())
	}
	b.at = now
}

// budget limits fetches. Refreshes of clients that have a row have a limit of their
// own, so that strangers without a row do not starve them.
type budget struct {
	perMinute, perHost, concurrent, refreshes int

	mu        sync.Mutex
	all       bucket
	refreshed bucket
	hosts     *lru.Cache[string, *bucket]
	strangers int // fetches under way
}

func newBudget(s *settings) *budget {
	return &budget{
		perMinute: s.FetchesPerMinute, perHost: s.FetchesPerHostMinute, concurrent: s.Concurrent, refreshes: s.RefreshesPerMinute,
		hosts: lru.New[string, *bucket](max(s.Entries, 2*s.FetchesPerMinute)), // none is dropped before it is full again
	}
}

// take takes one fetch from the budget of the host, and reports whether there was one
// left. The caller calls done when the fetch has ended.
func (b *budget) take(host string, refresh bool, now time.Time) (done func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refresh {
		b.refreshed.refill(b.refreshes, now)
		if b.refreshed.left < 1 {
			return nil, false
		}
		b.refreshed.left--
		return func() {}, true
	}
	own, known := b.hosts.Get(host)
	if !known {
		own = &bucket{}
	}
	b.all.refill(b.perMinute, now)
	own.refill(b.perHost, now)
	if b.all.left < 1 || own.left < 1 || b.strangers >= b.concurrent {
		return nil, false
	}
	if !known { // only hosts that are fetched from, so that made-up names do not push them out
		b.hosts.Put(strings.Clone(host), own)
	}
	b.all.left--
	own.left--
	b.strangers++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.strangers--
	}, true
}

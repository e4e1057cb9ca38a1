package dcr

// RFC 7591 §5: an open registration endpoint is an invitation to fill the
// store.

import (
	"context"
	"sync"
	"time"
)

// ClientLimiter is a store that bounds by itself how many clients it holds.
type ClientLimiter interface {
	// ClientLimit returns the most clients that the store holds; zero if it
	// has no limit.
	ClientLimit() int64
}

// recountEvery is how often the store is asked how many clients it holds.
// Between, a handler counts what it added itself.
const recountEvery = 10 * time.Second

// ceiling holds the number of stored clients to Options.MaxClients. It is as
// exact as the last count: hosts that share a store may exceed it together by
// what they add in between.
type ceiling struct {
	counter ClientCounter
	limit   int64

	mu      sync.Mutex
	count   int64
	counted time.Time
}

// take makes room for one more client, or returns ErrStoreFull.
func (c *ceiling) take(ctx context.Context, now time.Time) error {
	if c.limit <= 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counted.IsZero() || now.Sub(c.counted) >= recountEvery {
		count, err := c.counter.CountClients(ctx, Filter{})
		if err != nil {
			return err
		}
		c.count, c.counted = count, now
	}
	if c.count >= c.limit {
		return ErrStoreFull
	}
	c.count++
	return nil
}

// bounded reports whether something bounds the number of stored clients.
func (h *Handler) bounded() bool {
	limiter, limits := StoreAs[ClientLimiter](h.store)
	return h.opts.MaxClients > 0 || limits && limiter.ClientLimit() > 0
}

package dcr

// Options.MaxClients: how many clients a store may hold.

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// recountEvery is how often the store is asked how many clients it holds.
// Between, a handler counts what it added itself.
const recountEvery = 10 * time.Second

// maxCount bounds one count in the background, which nobody waits for.
const maxCount = time.Minute

// ceiling holds the number of stored clients to Options.MaxClients. It is as
// exact as the last count: hosts that share a store may exceed it together by
// what they add in between. Only the first count is waited for; later ones run
// in the background, since a store of a million clients takes its time.
type ceiling struct {
	counter ClientCounter
	limit   int64
	logger  *slog.Logger

	mu       sync.Mutex
	counted  bool      // count is known
	count    int64     // of clients, with those that were added since
	asked    time.Time // when the store was asked last
	first    chan struct{}
	counting bool
	added    int64 // since the count under way began
	counts   int64 // that have ended
}

// room is the place of one more client.
type room struct {
	ceiling *ceiling
	now     time.Time
	counts  int64 // that had ended when the place was taken
}

// Take makes room, or answers that there is none.
func (r *room) Take(ctx context.Context) error {
	c := r.ceiling
	if err := c.countFirst(ctx, r.now); err != nil {
		return outage(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.counting && r.now.Sub(c.asked) >= recountEvery {
		c.counting, c.asked, c.added = true, r.now, 0
		go c.recount(context.WithoutCancel(ctx))
	}
	if c.count >= c.limit {
		return outage(ErrStoreFull)
	}
	c.count++
	c.added++
	r.counts = c.counts
	return nil
}

// GiveBack frees the place, unless a later count has done so.
func (r *room) GiveBack(context.Context) error {
	c := r.ceiling
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == r.counts {
		c.count--
		c.added--
	}
	return nil
}

// countFirst waits until a count is known: that of this caller, or of another
// that came just before. A count that failed is tried by the next one.
func (c *ceiling) countFirst(ctx context.Context, now time.Time) error {
	for {
		c.mu.Lock()
		if c.counted {
			c.mu.Unlock()
			return nil
		}
		if others := c.first; others != nil {
			c.mu.Unlock()
			select {
			case <-others:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		c.first = make(chan struct{})
		c.mu.Unlock()
		return c.settleFirst(ctx, now)
	}
}

func (c *ceiling) settleFirst(ctx context.Context, now time.Time) (err error) {
	var count int64
	defer func() { // also where the store panics
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.first)
		c.first = nil
	}()
	if count, err = c.counter.CountClients(ctx, Filter{}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted, c.count, c.asked = true, count, now
	return nil
}

// recount asks the store. What was added meanwhile may be among what it counts,
// and is added to it all the same until the next count: the bound holds.
func (c *ceiling) recount(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxCount)
	defer cancel()
	count, err := c.countSafely(ctx)
	if err != nil {
		c.logger.WarnContext(ctx, "clients could not be counted for Options.MaxClients; the last count stays in force", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counting = false
	if err == nil {
		c.count = count + c.added
		c.counts++
	}
}

// countSafely counts with no request around it that would catch a panic.
func (c *ceiling) countSafely(ctx context.Context) (count int64, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("the store panicked: %v", panicked)
		}
	}()
	return c.counter.CountClients(ctx, Filter{})
}

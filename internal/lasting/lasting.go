// Package lasting makes contexts for work that must not be given up half done:
// they outlive the request that began it by a bounded time.
package lasting

import (
	"context"
	"sync"
	"time"
)

// Context returns a context with the values of ctx that is not cancelled with
// it, and ends after timeout or when end is called. Its timer starts when
// someone first waits for it: a store that answers from memory never does, and
// a timer costs more than such an answer.
func Context(ctx context.Context, timeout time.Duration) (_ context.Context, end context.CancelFunc) {
	c := &lasting{values: context.WithoutCancel(ctx), deadline: time.Now().Add(timeout)}
	return c, c.end
}

type lasting struct {
	values   context.Context
	deadline time.Time

	mu     sync.Mutex
	timed  context.Context // nil until someone waits
	cancel context.CancelFunc
	err    error // why it ended, once that is known; in timed, if there is one
}

func (c *lasting) Deadline() (time.Time, bool) { return c.deadline, true }

func (c *lasting) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(c.values, c.deadline)
		if c.err != nil {
			c.cancel()
		}
	}
	return c.timed.Done()
}

func (c *lasting) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
	case c.timed != nil:
		c.err = c.timed.Err()
	case !time.Now().Before(c.deadline):
		c.err = context.DeadlineExceeded
	}
	return c.err
}

// Value lets package context find the context that is timed, so that one made
// from this one needs no goroutine to follow it.
func (c *lasting) Value(key any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed != nil {
		return c.timed.Value(key)
	}
	return c.values.Value(key)
}

func (c *lasting) end() {
	c.mu.Lock()
	cancel := c.cancel
	if cancel == nil && c.err == nil {
		c.err = context.Canceled
	}
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

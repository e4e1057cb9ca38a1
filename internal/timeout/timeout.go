// Package timeout bounds the time of a call with a context whose timer starts when the call
// first looks at it. A store in memory never does, and a timer takes a third of its time.
package timeout

import (
	"context"
	"sync"
	"time"
)

// Context is a context.Context that is done when its parent is, when [Context.End] is
// called, or when its time is over. The time begins with the first call of Deadline, Done
// or Err.
type Context struct {
	parent  context.Context
	timeout time.Duration

	mu     sync.Mutex
	timed  context.Context // nil until it is needed
	cancel context.CancelFunc
	ended  bool
}

// New returns a context that is done timeout after it was first looked at. Call End when the
// work is over.
func New(parent context.Context, timeout time.Duration) *Context {
	return &Context{parent: parent, timeout: timeout}
}

// End ends the context.
func (c *Context) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.timed != nil {
		c.cancel()
	}
}

// String reads nothing that changes, since printing a context must not race with its use.
func (c *Context) String() string { return "timeout.Context(" + c.timeout.String() + ")" }

// start returns the context with the timer.
func (c *Context) start() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithTimeout(c.parent, c.timeout)
		if c.ended {
			c.cancel()
		}
	}
	return c.timed
}

// Deadline returns when the time is over.
func (c *Context) Deadline() (time.Time, bool) { return c.start().Deadline() }

// Done returns a channel that is closed when the context is done.
func (c *Context) Done() <-chan struct{} { return c.start().Done() }

// Err says why the context is done; it returns nil if it is not.
func (c *Context) Err() error { return c.start().Err() }

// Value returns the value of the parent. Once the timer runs, the context with the timer
// answers, by whose value package context recognizes it, so that it needs no goroutine for a
// context that is derived from this one.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	from := c.timed
	c.mu.Unlock()
	if from == nil {
		from = c.parent
	}
	return from.Value(key)
}

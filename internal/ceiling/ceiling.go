// Package ceiling bounds how many of something there are, where to count them
// takes a while and others add to them too.
package ceiling

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// recountEvery is how often is counted. Between, a Ceiling counts what it let in
// itself.
const recountEvery = 10 * time.Second

// maxCount bounds one count in the background. Where the one before it is of more
// than oldAfter ago, it is worth to wait for, at most maxWait.
const (
	maxCount = time.Minute
	oldAfter = 10 * time.Minute
	maxWait  = time.Second
)

// Ceiling is as exact as the last count: those that share a store may exceed it
// together by what they add in between. Only the first count is waited for; later
// ones run in the background, since a store of a million clients takes its time.
type Ceiling struct {
	Limit  int64
	Count  func(ctx context.Context) (int64, error)
	Logger *slog.Logger // gets what failed in the background

	mu       sync.Mutex
	counted  bool      // count is known
	count    int64     // as it was counted, with what was let in since
	asked    time.Time // when it was counted last
	first    chan struct{}
	counting chan struct{} // closed when the count under way has ended; nil where there is none
	old      bool          // the count that is in force meanwhile is old
	added    int64         // since the count under way began
	begun    int64         // counts in the background
	ended    int64         // of them
}

// Take makes room for one more at now, and reports whether there is some. giveBack
// frees the room, unless a later count has done so.
func (c *Ceiling) Take(ctx context.Context, now time.Time) (giveBack func(), ok bool, err error) {
	if err := c.countFirst(ctx, now); err != nil {
		return nil, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counting == nil && now.Sub(c.asked) >= recountEvery {
		c.old = now.Sub(c.asked) >= oldAfter
		c.counting, c.asked, c.added = make(chan struct{}), now, 0
		c.begun++
		go c.recount(context.WithoutCancel(ctx))
	}
	if c.count >= c.Limit {
		return nil, false, nil
	}
	return c.add(), true, nil
}

// add counts one more, and returns what takes it back.
func (c *Ceiling) add() (giveBack func()) {
	c.count++
	c.added++
	begun, ended := c.begun, c.ended
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended == ended {
			c.count--
		}
		if c.begun == begun {
			c.added--
		}
	}
}

// Await waits for the count under way, a second at most, where the last one is old:
// after a quiet time, what was full may have room. Where many come, the count is
// never old, and nobody waits.
func (c *Ceiling) Await(ctx context.Context) {
	c.mu.Lock()
	counting, old := c.counting, c.old
	c.mu.Unlock()
	if counting == nil || !old {
		return
	}
	wait := time.NewTimer(maxWait)
	defer wait.Stop()
	select {
	case <-counting:
	case <-wait.C:
	case <-ctx.Done():
	}
}

// Replace takes the place of one that has gone, once Take has counted. over
// reports that there are more than Limit all the same, since others add too; what
// may be counted twice does not make it say so.
func (c *Ceiling) Replace() (giveBack func(), over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	giveBack = c.add()
	return giveBack, c.count-c.added > c.Limit
}

// Gone counts one less. A count under way may have seen it still, and the next
// will not.
func (c *Ceiling) Gone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
}

// countFirst waits until a count is known: that of this caller, or of another
// that came just before. A count that failed is tried by the next one.
func (c *Ceiling) countFirst(ctx context.Context, now time.Time) error {
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

func (c *Ceiling) settleFirst(ctx context.Context, now time.Time) (err error) {
	var count int64
	defer func() { // also where the store panics
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.first)
		c.first = nil
	}()
	if count, err = c.Count(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted, c.count, c.asked = true, count, now
	return nil
}

// recount asks the store. What was added meanwhile may be among what it counts,
// and is added to it all the same until the next count: the bound holds.
func (c *Ceiling) recount(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxCount)
	defer cancel()
	count, err := c.countSafely(ctx)
	if err != nil {
		c.Logger.WarnContext(ctx, "clients could not be counted for Options.MaxClients; the last count stays in force", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.counting)
	c.counting = nil
	if err == nil {
		c.count = count + c.added
		c.ended++
	}
}

// countSafely counts with no request around it that would catch a panic.
func (c *Ceiling) countSafely(ctx context.Context) (count int64, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("the store panicked: %v", panicked)
		}
	}()
	return c.Count(ctx)
}

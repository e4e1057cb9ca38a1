// Package ceiling bounds the number of things in a store, such as clients, when
// counting them takes a while and other processes add to them too.
package ceiling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// recountEvery is how often the store is counted. Between two counts, a Ceiling
// adds what it allowed itself.
const recountEvery = 10 * time.Second

// maxCount bounds one count in the background. If the count before it is older
// than oldAfter, callers may wait for the new one, for up to maxWait.
const (
	maxCount = time.Minute
	oldAfter = 10 * time.Minute
	maxWait  = time.Second
)

// Ceiling is as exact as the last count: processes that share a store may
// together exceed it by what they add between two counts. Callers wait only for
// the first count; later ones run in the background, since counting a million
// clients takes time.
type Ceiling struct {
	Limit  int64
	Count  func(ctx context.Context) (int64, error)
	Logger *slog.Logger // gets the errors of counts in the background

	mu       sync.Mutex
	counted  bool      // count is known
	count    int64     // as of the last count, plus what was added since
	asked    time.Time // when the last count began
	first    chan struct{}
	counting chan struct{} // closed when the current count has ended; nil if there is none
	old      bool          // the count in use meanwhile is old
	open     int64         // places that are taken, and that nobody has filled or given back yet
	added    int64         // places that were open when the current count began, or were taken since
	ended    int64         // number of counts in the background that succeeded
}

// A Place is room for one more. Call Fill or GiveBack of it once.
type Place struct{ of *Ceiling }

// Fill says that the place is in use, or may be: the store sees it from now on.
func (p Place) Fill() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.open--
}

// GiveBack says that nothing was stored in the place.
func (p Place) GiveBack() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.open--
	p.of.added--
	p.of.count--
}

// Take takes a place at the time now, and reports whether there was one.
func (c *Ceiling) Take(ctx context.Context, now time.Time) (place Place, ok bool, err error) {
	if err := c.countFirst(ctx, now); err != nil {
		return Place{}, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	since := now.Sub(c.asked).Abs() // the clock may have gone back
	if c.counting == nil && since >= recountEvery {
		c.old = since >= oldAfter
		c.counting, c.asked, c.added = make(chan struct{}), now, c.open
		go c.recount(context.WithoutCancel(ctx))
	}
	if c.count >= c.Limit {
		return Place{}, false, nil
	}
	return c.add(), true, nil
}

// add counts one more.
func (c *Ceiling) add() Place {
	c.count++
	c.open++
	c.added++
	return Place{c}
}

// Await waits up to a second for the current count if the last one is old: after a
// quiet time, a full store may have room again. While requests are frequent, the
// count is never old, and nobody waits.
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

// Replace takes the place of one that is about to be deleted: a count that no longer
// includes that one must include the other. Call it after Take. If nothing was deleted,
// call kept, and neither Fill nor GiveBack. over reports whether there are more than Limit
// even so, because others add too; it leaves out what may be counted twice.
func (c *Ceiling) Replace() (place Place, kept func(), over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	place = c.add()
	ended := c.ended
	kept = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open--
		c.added--
		if c.ended != ended { // a count has found the one that was kept
			c.count--
		}
	}
	return place, kept, c.count-c.added > c.Limit
}

// Going says that one may be deleted. Call gone once it is: that counts one less, unless a
// count ended meanwhile, which may no longer include it.
func (c *Ceiling) Going() (gone func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ended := c.ended
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended == ended {
			c.count--
		}
	}
}

// countFirst waits until a count is known: this caller's own, or that of
// another caller that came just before. If a count fails, the next caller tries
// again.
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
	defer func() { // even if the store panics
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

// recount asks the store. What was about to be added when it began, or came in the
// meantime, may already be in the store's count, and is added to it anyway until the
// next count, so that the bound holds.
func (c *Ceiling) recount(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxCount)
	defer cancel()
	count, err := int64(0), errors.New("the store ended the goroutine")
	defer func() { // also if the store calls runtime.Goexit or panics: no request handler recovers here
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("the store panicked: %v", panicked)
		}
		c.settle(ctx, count, err)
	}()
	count, err = c.Count(ctx)
}

// settle ends a count in the background.
func (c *Ceiling) settle(ctx context.Context, count int64, err error) {
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

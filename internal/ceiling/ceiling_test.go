package ceiling_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr/internal/ceiling"
)

// TestCeiling checks how much room there is, with a sentence for each case.
func TestCeiling(t *testing.T) {
	type world struct {
		*ceiling.Ceiling
		stored int64
		slow   time.Duration
		fail   error
	}
	for _, c := range []struct {
		sentence string
		stored   int64
		run      func(t *testing.T, w *world, take func(want bool) ceiling.Place)
	}{
		{"there is room up to the limit", 1, func(t *testing.T, w *world, take func(bool) ceiling.Place) { take(true); take(true); take(false) }},
		{"room that is given back can be taken again", 2, func(t *testing.T, w *world, take func(bool) ceiling.Place) {
			take(true).GiveBack()
			take(true)
			take(false)
		}},
		{"what others add is seen after the next count", 1, func(t *testing.T, w *world, take func(bool) ceiling.Place) {
			take(true)
			w.stored = 3
			time.Sleep(10 * time.Second)
			take(true)
			synctest.Wait()
			take(false)
		}},
		{"room that is taken before a count that does not see it is not given twice", 2, func(t *testing.T, w *world, take func(bool) ceiling.Place) {
			place := take(true)
			time.Sleep(10 * time.Second)
			take(false) // begins a count
			synctest.Wait()
			take(false)
			w.stored = 3
			place.Fill()
			w.stored = 2 // it is deleted
			time.Sleep(10 * time.Second)
			take(false)
			synctest.Wait()
			take(true)
		}},
		{"room that is given back after a count that did not see it is not given twice", 2, func(t *testing.T, w *world, take func(bool) ceiling.Place) {
			place := take(true)
			time.Sleep(10 * time.Second)
			take(false) // begins a count
			synctest.Wait()
			place.GiveBack()
			take(true)
			take(false)
		}},
		{"room that is given back during a count is not given twice", 2, func(t *testing.T, w *world, take func(bool) ceiling.Place) {
			place := take(true)
			time.Sleep(10 * time.Second)
			w.slow = time.Second
			take(false)
			place.GiveBack()
			time.Sleep(time.Second)
			synctest.Wait()
			take(true)
			take(false)
		}},
		{"a count that fails, panics, or never returns leaves the last one in force until the next", 2, func(t *testing.T, w *world, take func(bool) ceiling.Place) {
			take(true)
			for _, w.fail = range []error{errors.New("connection refused"), errPanic, errGoexit} {
				time.Sleep(10 * time.Second)
				take(false)
				synctest.Wait()
				take(false)
			}
			w.fail, w.stored = nil, 0
			time.Sleep(10 * time.Second)
			take(false)
			synctest.Wait()
			take(true)
		}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{stored: c.stored}
				w.Ceiling = &ceiling.Ceiling{Limit: 3, Logger: slog.New(slog.DiscardHandler), Count: func(context.Context) (int64, error) {
					time.Sleep(w.slow)
					switch w.fail {
					case errPanic:
						panic(w.fail)
					case errGoexit:
						runtime.Goexit()
					}
					return w.stored, w.fail
				}}
				c.run(t, w, func(want bool) ceiling.Place {
					t.Helper()
					place, ok, err := w.Take(t.Context(), time.Now())
					if err != nil || ok != want {
						t.Fatalf("Take returned %v, %v, not %v", ok, err, want)
					}
					return place
				})
			})
		})
	}
}

var errPanic, errGoexit = errors.New("panic"), errors.New("runtime.Goexit")

// TestFirst checks that callers wait for the first count and that it is made
// only once, that a failed count is made again, and that nobody waits longer
// than their context.
func TestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts, outage := 0, errors.New("connection refused")
		c := &ceiling.Ceiling{Limit: 100, Logger: slog.Default(), Count: func(context.Context) (int64, error) {
			counts++
			time.Sleep(time.Minute)
			return 0, outage
		}}
		if _, _, err := c.Take(t.Context(), time.Now()); !errors.Is(err, outage) {
			t.Errorf("Take returned %v", err)
		}
		outage = nil
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, ok, err := c.Take(t.Context(), time.Now()); err != nil || !ok {
					t.Errorf("Take returned %v, %v", ok, err)
				}
			})
		}
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := c.Take(impatient, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Take returned %v", err)
		}
		all.Wait()
		if counts != 2 {
			t.Errorf("it was counted %d times, not twice", counts)
		}
	})
}

// TestAwait checks that callers wait up to a second for the current count if the
// last one is old.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var takes atomic.Int64
		c := &ceiling.Ceiling{Limit: 3, Logger: slog.Default(), Count: func(context.Context) (int64, error) {
			time.Sleep(time.Duration(takes.Load()))
			return 3, nil
		}}
		for _, want := range []struct{ since, takes, waits time.Duration }{
			{0, 0, 0},
			{time.Minute, 100 * time.Millisecond, 0},
			{20 * time.Minute, 100 * time.Millisecond, 100 * time.Millisecond},
			{20 * time.Minute, 50 * time.Second, time.Second},
			{20 * time.Minute, 0, 0},
		} {
			time.Sleep(want.since)
			takes.Store(int64(want.takes))
			c.Take(t.Context(), time.Now())
			began := time.Now()
			c.Await(t.Context())
			if waited := time.Since(began); waited != want.waits {
				t.Errorf("for a count of %v, %v after the last one, it waited %v", want.takes, want.since, waited)
			}
		}
	})
}

// If the clock goes back, the next count does not wait until it has caught up.
func TestTheClockGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stored := int64(3)
		c := &ceiling.Ceiling{Limit: 3, Logger: slog.Default(), Count: func(context.Context) (int64, error) { return stored, nil }}
		now := time.Now()
		c.Take(t.Context(), now.Add(time.Hour))
		stored = 0
		c.Take(t.Context(), now)
		synctest.Wait()
		if _, ok, err := c.Take(t.Context(), now); err != nil || !ok {
			t.Errorf("Take returned %v, %v", ok, err)
		}
	})
}

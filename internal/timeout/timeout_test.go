package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr/internal/timeout"
)

type key struct{}

func TestContextIsDone(t *testing.T) {
	lost := errors.New("lost")
	cases := []struct {
		sentence   string
		end        func(c *timeout.Context, cancel context.CancelCauseFunc)
		err, cause error
	}{
		{"not before anything happened", func(*timeout.Context, context.CancelCauseFunc) {}, nil, nil},
		{"when its time is over", func(c *timeout.Context, _ context.CancelCauseFunc) { c.Done(); time.Sleep(time.Minute) }, context.DeadlineExceeded, context.DeadlineExceeded},
		{"not before it was looked at", func(*timeout.Context, context.CancelCauseFunc) { time.Sleep(time.Hour) }, nil, nil},
		{"when it ends", func(c *timeout.Context, _ context.CancelCauseFunc) { c.End() }, context.Canceled, context.Canceled},
		{"when it ends after it was looked at", func(c *timeout.Context, _ context.CancelCauseFunc) { c.Done(); c.End() }, context.Canceled, context.Canceled},
		{"when its parent is", func(_ *timeout.Context, cancel context.CancelCauseFunc) { cancel(lost) }, context.Canceled, lost},
		{"when its parent is after it was looked at", func(c *timeout.Context, cancel context.CancelCauseFunc) { c.Done(); cancel(lost) }, context.Canceled, lost},
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "kept"))
				ctx := timeout.New(parent, time.Minute)
				defer ctx.End()
				c.end(ctx, cancel)
				synctest.Wait()
				if err := ctx.Err(); err != c.err {
					t.Errorf("Err is %v, want %v", err, c.err)
				}
				select {
				case <-ctx.Done():
					if c.err == nil {
						t.Error("it is done")
					}
				default:
					if c.err != nil {
						t.Error("it is not done")
					}
				}
				if cause := context.Cause(ctx); cause != c.cause {
					t.Errorf("the cause is %v, want %v", cause, c.cause)
				}
				if ctx.Value(key{}) != "kept" {
					t.Error("the parent's values are lost")
				}
			})
		})
	}
}

func TestTheDeadlineIsThatOfTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := timeout.New(t.Context(), time.Minute)
		defer ctx.End()
		time.Sleep(time.Hour)
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) != time.Minute {
			t.Errorf("the deadline is %v, want a minute from now", deadline)
		}
	})
}

// Loggers print contexts that another goroutine is about to look at.
func TestPrintingDoesNotRace(t *testing.T) {
	ctx := timeout.New(t.Context(), time.Minute)
	defer ctx.End()
	var looking sync.WaitGroup
	looking.Go(func() { ctx.Done() })
	if text := fmt.Sprint(ctx); text != "timeout.Context(1m0s)" {
		t.Errorf("it is printed as %s", text)
	}
	looking.Wait()
}

func TestDerivedContextsFollow(t *testing.T) {
	ctx := timeout.New(context.WithoutCancel(t.Context()), time.Minute)
	before := runtime.NumGoroutine()
	for range 100 {
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		defer func() {
			if derived.Err() != context.Canceled {
				t.Error("a derived context is not done when the context has ended")
			}
		}()
	}
	if now := runtime.NumGoroutine(); now > before+10 {
		t.Errorf("100 derived contexts started %d goroutines", now-before)
	}
	ctx.End()
}

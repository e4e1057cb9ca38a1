package lasting_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr/internal/lasting"
)

type key struct{}

func TestContextOutlivesItsParentWithItsValues(t *testing.T) {
	parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	ctx, end := lasting.Context(parent, time.Minute)
	defer end()
	cancel()
	for _, waited := range []bool{false, true} {
		if waited {
			ctx.Done()
		}
		if ctx.Err() != nil || ctx.Value(key{}) != "value" {
			t.Errorf("waited for: %v; error %v, value %v", waited, ctx.Err(), ctx.Value(key{}))
		}
	}
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Minute {
		t.Errorf("the deadline is %v, %v", deadline, ok)
	}
}

func TestContextEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waited, end := lasting.Context(t.Context(), time.Second)
		defer end()
		asked, end := lasting.Context(t.Context(), time.Second)
		below, cancel := context.WithCancel(waited)
		defer cancel()
		<-below.Done()
		for _, ctx := range []context.Context{waited, asked, below} {
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("error %v", ctx.Err())
			}
		}
		end()
		if <-asked.Done(); !errors.Is(asked.Err(), context.DeadlineExceeded) {
			t.Errorf("the error became %v", asked.Err())
		}
	})
}

func TestContextEndsWhenItIsEnded(t *testing.T) {
	waited, end := lasting.Context(t.Context(), time.Minute)
	done := waited.Done()
	end()
	<-done
	asked, end := lasting.Context(t.Context(), time.Minute)
	end()
	for _, ctx := range []context.Context{waited, asked} {
		if <-ctx.Done(); !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("error %v", ctx.Err())
		}
	}
}

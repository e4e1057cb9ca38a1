package lasting_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr/internal/lasting"
)

type key struct{}

func TestContextOutlivesItsParentWithItsValues(t *testing.T) {
	parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	ctx := lasting.NewSpan(time.Minute).Context(parent)
	cancel()
	if ctx.Err() != nil || ctx.Value(key{}) != "value" {
		t.Errorf("error %v, value %v", ctx.Err(), ctx.Value(key{}))
	}
}

func TestContextEndsWithItsSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 8 * time.Second
		span := lasting.NewSpan(length)
		for range 20 { // some share a deadline, some get a new one
			began := time.Now()
			ctx := span.Context(t.Context())
			below, cancel := context.WithCancel(ctx)
			deadline, ok := ctx.Deadline()
			if left := deadline.Sub(began); !ok || left < length || left > length+length/8 {
				t.Errorf("the deadline is in %v, %v", left, ok)
			}
			go func() {
				defer cancel()
				<-below.Done()
				if took := time.Since(began); took != deadline.Sub(began) {
					t.Errorf("ended after %v", took)
				}
				for _, ctx := range []context.Context{ctx, below} {
					if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
						t.Errorf("error %v", ctx.Err())
					}
				}
			}()
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(2 * length)
	})
}

func TestContextsHaveTheirOwnValues(t *testing.T) {
	span := lasting.NewSpan(time.Minute)
	first := span.Context(context.WithValue(t.Context(), key{}, 1))
	second := span.Context(context.WithValue(t.Context(), key{}, 2))
	if first.Value(key{}) != 1 || second.Value(key{}) != 2 {
		t.Error("contexts that share a deadline share values")
	}
}

func TestContextsMadeFromItNeedNoGoroutine(t *testing.T) {
	ctx := lasting.NewSpan(time.Minute).Context(t.Context())
	before := runtime.NumGoroutine()
	for range 100 {
		_, cancel := context.WithCancel(ctx)
		defer cancel()
	}
	if after := runtime.NumGoroutine(); after > before+10 {
		t.Errorf("%d goroutines became %d", before, after)
	}
}

package sqltest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// isLong reports whether the long runs are on, as in .ci/long.
func isLong() bool { return os.Getenv("DCR_TEST_LONG") != "" }

// long skips a test that takes too long to run at every commit.
func long(t *testing.T) {
	t.Helper()
	if !isLong() {
		t.Skip("set DCR_TEST_LONG=1 to run it")
	}
}

// program returns the path of a program. Without it, the test is skipped; in CI
// it fails.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI needs %s", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// load adds clients from many goroutines at once, and notes which adds were
// acknowledged.
type load struct {
	acknowledged sync.Map // ids
	count        atomic.Int64
	failed       atomic.Int64
	since        atomic.Pointer[time.Time] // set by mark
	first        atomic.Pointer[time.Time] // when a write that began after mark was acknowledged
	stopped      atomic.Bool
	workers      sync.WaitGroup
}

// startLoad divides its workers among stores.
func startLoad(t *testing.T, workers int, stores ...*sqlstore.Store) *load {
	l := &load{}
	for worker := range workers {
		store := stores[worker%len(stores)]
		l.workers.Go(func() {
			for n := 0; !l.stopped.Load(); n++ {
				since := l.since.Load()
				client := &dcr.Client{ID: fmt.Sprintf("client-%d-%d", worker, n)}
				if n%2 == 1 {
					client.RegisteredBy = "somebody"
				}
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				err := store.Add(ctx, client)
				cancel()
				if err != nil {
					if l.failed.Add(1) <= 3 {
						t.Logf("%s: %v", client.ID, err)
					}
					continue
				}
				l.acknowledged.Store(client.ID, true)
				l.count.Add(1)
				if since != nil {
					l.first.CompareAndSwap(nil, new(time.Now()))
				}
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

// mark begins to measure a gap: the time until a write that begins from now on
// is acknowledged.
func (l *load) mark() time.Time {
	now := time.Now()
	l.first.Store(nil)
	l.since.Store(&now)
	return now
}

// wait waits until more writes were acknowledged.
func (l *load) wait(t *testing.T, more int64) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for want := l.count.Load() + more; l.count.Load() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("of %d writes, %d were acknowledged in two minutes", more, more-(want-l.count.Load()))
		}
	}
}

func (l *load) stop() {
	l.stopped.Store(true)
	l.workers.Wait()
}

// check stops the load, and checks that a store has every acknowledged client.
func (l *load) check(t *testing.T, store *sqlstore.Store) {
	t.Helper()
	l.stop()
	lost := 0
	for id := range l.acknowledged.Range {
		if _, err := store.FindByClientID(t.Context(), id.(string)); err != nil {
			if lost++; lost <= 3 {
				t.Errorf("%s was acknowledged, but: %v", id, err)
			}
		}
	}
	t.Logf("%d acknowledged, %d lost; %d writes failed", l.count.Load(), lost, l.failed.Load())
	if lost > 0 {
		t.Errorf("%d were lost", lost)
	}
}

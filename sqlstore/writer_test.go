package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/dynreg/dcr"
)

// stall makes a server whose commits wait for the test, and a function that
// starts an Add and returns the channel for its result.
func stall(t *testing.T, exec func(id string) (int64, error)) (server *fakeServer, store *Store, proceed chan error, add func(ctx context.Context, id string) chan error) {
	proceed = make(chan error)
	server = &fakeServer{
		exec:   func(_ string, args []driver.NamedValue) (int64, error) { return exec(args[1].Value.(string)) },
		query:  func(string, []driver.NamedValue) ([]driver.Value, error) { return nil, nil },
		commit: func() error { return <-proceed },
	}
	store = server.store(t, SQLite, &Options{RetryFor: -1})
	return server, store, proceed, func(ctx context.Context, id string) chan error {
		result := make(chan error, 1)
		go func() { result <- store.Add(ctx, &dcr.Client{ID: id}) }()
		synctest.Wait()
		return result
	}
}

func touched(string) (int64, error) { return 1, nil }

func pending(t *testing.T, result chan error) {
	t.Helper()
	select {
	case err := <-result:
		t.Errorf("answered %v before its commit", err)
	default:
	}
}

// TestGroupCommit checks that writes that arrive during a commit share the next
// one, and that none is answered before its own commit.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _, proceed, add := stall(t, touched)
		first := add(t.Context(), "first")
		var others []chan error
		for i := range 10 {
			others = append(others, add(t.Context(), fmt.Sprint("other-", i)))
		}
		pending(t, first)
		if server.execs != 1 {
			t.Errorf("%d writes were in the first transaction; a single write must not wait for others", server.execs)
		}
		proceed <- nil
		if err := <-first; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		for _, other := range others {
			pending(t, other)
		}
		proceed <- nil
		for _, other := range others {
			if err := <-other; err != nil {
				t.Error(err)
			}
		}
		if server.commits != 2 {
			t.Errorf("11 writes took %d commits, not 2", server.commits)
		}
	})
}

// TestOneFails checks that a write that fails does not affect the others in its
// transaction.
func TestOneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, proceed, add := stall(t, func(id string) (int64, error) {
			if strings.HasPrefix(id, "bad") {
				return 0, errors.New("disk I/O error")
			}
			return 1, nil
		})
		first := add(t.Context(), "first")
		good, bad, better := add(t.Context(), "good"), add(t.Context(), "bad"), add(t.Context(), "better")
		for range 3 { // the first one, and then the valid ones, each alone
			proceed <- nil
		}
		for name, result := range map[string]chan error{"first": first, "good": good, "better": better} {
			if err := <-result; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := <-bad; err == nil {
			t.Error("the write that failed was answered as if it had not")
		}
	})
}

// TestCommitFails checks that after a commit fails, each write is tried alone.
func TestCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, proceed, add := stall(t, touched)
		first := add(t.Context(), "first")
		second, third := add(t.Context(), "second"), add(t.Context(), "third")
		full := errors.New("database or disk is full")
		proceed <- full
		if err := <-first; !errors.Is(err, full) {
			t.Errorf("first: %v", err)
		}
		proceed <- full // both together
		proceed <- full // the second alone
		proceed <- nil  // the third alone
		if err := <-second; !errors.Is(err, full) {
			t.Errorf("second: %v", err)
		}
		if err := <-third; err != nil {
			t.Errorf("third: %v", err)
		}
	})
}

// TestCommitUnknown checks that a commit that fails but may have happened is
// not repeated as a whole: each write is looked up first.
func TestCommitUnknown(t *testing.T) {
	for _, failure := range []error{
		errors.New("disk I/O error (10)"), errors.New("driver: the leader is gone"), driver.ErrBadConn,
	} {
		for _, happened := range []bool{true, false} {
			t.Run(fmt.Sprint(failure, ", happened: ", happened), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					stored, written, commits := map[string][]driver.Value{}, map[string][]driver.Value{}, 0
					server, store, _, add := stall(t, nil)
					server.exec = func(_ string, args []driver.NamedValue) (int64, error) {
						id, revision, document := args[1].Value.(string), args[2].Value, args[len(args)-1].Value
						if _, taken := stored[id]; taken {
							return 0, nil
						}
						written[id] = []driver.Value{id, revision, document, int64(0), int64(0), nil, nil}
						return 1, nil
					}
					server.query = func(_ string, args []driver.NamedValue) ([]driver.Value, error) {
						return stored[args[1].Value.(string)], nil
					}
					begun := make(chan struct{})
					server.commit = func() (err error) {
						if commits++; commits == 1 {
							<-begun
						} else if commits == 2 {
							err = failure
						}
						if err == nil || happened {
							maps.Copy(stored, written)
						}
						clear(written)
						return err
					}
					store.opts.RetryFor = defaultRetryFor
					results := []chan error{add(t.Context(), "first")}
					for i := range 3 {
						results = append(results, add(t.Context(), fmt.Sprint("other-", i)))
					}
					close(begun)
					for i, result := range results {
						if err := <-result; err != nil {
							t.Errorf("write %d returned %v", i, err)
						}
					}
					if len(stored) != 4 {
						t.Errorf("%d of 4 were stored", len(stored))
					}
				})
			})
		}
	}
}

// TestCancelWrite checks what happens when a context ends: a waiting write does
// not happen, and the result of one that has begun is unknown.
func TestCancelWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written []string
		_, _, proceed, add := stall(t, func(id string) (int64, error) { written = append(written, id); return 1, nil })
		ctx, cancel := context.WithCancel(t.Context())
		started, waiting, patient := add(ctx, "started"), add(ctx, "waiting"), add(t.Context(), "patient")
		cancel()
		if err := <-started; !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
			t.Errorf("a write that had begun returned %v", err)
		}
		if err := <-waiting; errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
			t.Errorf("a write that waited returned %v", err)
		}
		proceed <- nil
		proceed <- nil
		if err := <-patient; err != nil {
			t.Error(err)
		}
		if text := strings.Join(written, " "); text != "started patient" {
			t.Errorf("written were: %s", text)
		}
	})
}

// TestClose checks that Close waits for current writes and refuses later ones.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, proceed, add := stall(t, touched)
		first, second := add(t.Context(), "first"), add(t.Context(), "second")
		closed := make(chan error, 1)
		go func() { closed <- store.Close() }()
		synctest.Wait()
		pending(t, closed)
		if err := store.ForTenant("other").Add(t.Context(), &dcr.Client{ID: "late"}); !errors.Is(err, ErrClosed) {
			t.Errorf("a write after Close returned %v", err)
		}
		proceed <- nil
		proceed <- nil
		for _, result := range []chan error{first, second, closed} {
			if err := <-result; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestCloseDuringFailure checks that Close waits for a commit that fails, even
// if its writers gave up waiting.
func TestCloseDuringFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, store, proceed, add := stall(t, touched)
		ctx, cancel := context.WithCancel(t.Context())
		first, second, third := add(ctx, "first"), add(ctx, "second"), add(ctx, "third")
		proceed <- nil
		synctest.Wait() // the others are being committed together
		cancel()
		closed := make(chan error, 1)
		go func() { closed <- store.Close() }()
		synctest.Wait()
		pending(t, closed)
		proceed <- errors.New("database or disk is full")
		proceed <- nil
		proceed <- nil
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		for _, result := range []chan error{second, third} {
			if err := <-result; !errors.Is(err, ErrOutcomeUnknown) {
				t.Errorf("returned %v", err)
			}
		}
	})
}

// TestCrowd checks that with very many writes, the first does not wait for all
// the others.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _, proceed, add := stall(t, touched)
		var results []chan error
		for i := range 2*maxShared + 2 {
			results = append(results, add(t.Context(), fmt.Sprint(i)))
		}
		for range 4 {
			proceed <- nil
		}
		for _, result := range results {
			if err := <-result; err != nil {
				t.Fatal(err)
			}
		}
		if server.commits != 4 {
			t.Errorf("%d commits", server.commits)
		}
	})
}

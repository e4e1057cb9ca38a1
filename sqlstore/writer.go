package sqlstore

// Concurrent writes to SQLite, which share commits.

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// writer runs the writes of a database that admits one writer at a time. Writes that
// arrive during a commit share the next one. Each is answered after its own commit. A
// write that is alone is committed at once.
//
// While there is nothing to write, it has no goroutine and no connection, so that a
// pool of one connection serves readers too.
type writer struct {
	database *database
	checked  map[any]bool // the driver's connections whose settings were checked
	cut      time.Time    // when the log was last cut

	mu     sync.Mutex
	idle   *sync.Cond // signalled when busy becomes false
	queue  []*job
	busy   bool
	closed bool
}

// job is what one caller writes.
type job struct {
	steps   []prepared
	done    chan struct{} // closed when touched and err are set
	touched int64
	err     error
}

// maxShared is how many writes share a commit at most, so that the first of them does
// not wait for too many others.
const maxShared = 256

func newWriter(database *database) *writer {
	w := &writer{database: database, checked: make(map[any]bool)}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// exec runs the steps of one caller and returns after their commit.
func (w *writer) exec(ctx context.Context, steps []step) (int64, error) {
	prepared, err := w.database.prepareAll(ctx, steps)
	if err != nil {
		return 0, err
	}
	j := &job{steps: prepared, done: make(chan struct{})}
	if err := w.enqueue(j); err != nil {
		return 0, err
	}
	select {
	case <-j.done:
		return j.touched, j.err
	case <-ctx.Done():
	}
	if w.withdraw(j) {
		return 0, ctx.Err()
	}
	select {
	case <-j.done: // done at the same moment
		return j.touched, j.err
	default:
		return 0, fmt.Errorf("%w: %w", ErrOutcomeUnknown, ctx.Err())
	}
}

func (w *writer) enqueue(j *job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	w.queue = append(w.queue, j)
	if !w.busy {
		w.busy = true
		go w.run()
	}
	return nil
}

// withdraw removes a job from the queue, and reports whether it was still there.
func (w *writer) withdraw(j *job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, waiting := range w.queue {
		if waiting == j {
			w.queue = append(w.queue[:i:i], w.queue[i+1:]...)
			return true
		}
	}
	return false
}

// close refuses new writes and waits for those that are under way.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.busy {
		w.idle.Wait()
	}
}

// run commits the jobs in the queue until there are none.
func (w *writer) run() {
	for {
		w.mu.Lock()
		jobs := w.queue[:min(len(w.queue), maxShared)]
		w.queue = w.queue[len(jobs):]
		if len(jobs) == 0 {
			w.queue, w.busy = nil, false
			w.idle.Broadcast()
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		w.settle(jobs)
		for _, j := range jobs {
			close(j.done)
		}
		w.cutLog(context.Background())
	}
}

// settle commits the jobs together. If that fails, it commits each of them alone, so
// that one bad job does not harm the others. It does not do so if the fault is a
// passing one, since then each caller tries again, or if the jobs may have happened all
// the same, since each caller finds that out.
func (w *writer) settle(jobs []*job) {
	err := w.commit(jobs)
	if err == nil {
		return
	}
	if len(jobs) == 1 || w.database.class(err) == Passing || errors.Is(err, ErrOutcomeUnknown) {
		for _, j := range jobs {
			j.touched, j.err = 0, err
		}
		return
	}
	for i := range jobs {
		w.settle(jobs[i : i+1])
	}
}

// commit runs the jobs in one transaction: all of them happen, or none does and it
// returns an error. It does not stop if a request is cancelled, since other requests
// share the commit. Once it has a connection, the busy timeout bounds it.
func (w *writer) commit(jobs []*job) error {
	ctx := context.Background()
	conn, err := w.database.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := w.check(ctx, conn); err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	in := inside{tx: tx}
	for _, j := range jobs {
		if j.touched, err = in.run(ctx, j.steps); err != nil {
			if tx.Rollback() != nil {
				discard(conn)
			}
			return err
		}
	}
	if err = tx.Commit(); err != nil {
		discard(conn) // the transaction may still be open on it
		if w.database.refusedCommit(err) {
			return err
		}
	} else if err = w.database.checkFile(); err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}

// maxChecked is how many connections are remembered as checked.
const maxChecked = 100

// check makes sure that conn writes durably, once for each connection that the
// pool makes.
func (w *writer) check(ctx context.Context, conn *sql.Conn) error {
	var current any
	if err := conn.Raw(func(driverConn any) error { current = driverConn; return nil }); err != nil {
		return err
	}
	if w.checked[current] {
		return nil
	}
	if err := w.database.configureSQLite(ctx, conn); err != nil {
		return err
	}
	if len(w.checked) == maxChecked { // most of them are closed
		clear(w.checked)
	}
	w.checked[current] = true
	return nil
}

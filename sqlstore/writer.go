package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// writer runs the writes of a database that admits one writer at a time. What
// arrives while a commit is on its way to the disk is collected and shares the
// next commit; each write is answered after its own. A write that is alone is
// committed at once.
//
// There is no goroutine while there is nothing to write, and no connection is
// kept: a pool of one connection serves readers too.
type writer struct {
	database *database
	checked  any // the driver's connection whose settings were checked last

	mu     sync.Mutex
	idle   *sync.Cond // signalled when running becomes false
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

// maxShared is how many writes share a commit at most, so that the first of
// them does not wait for very many others.
const maxShared = 256

func newWriter(database *database) *writer {
	w := &writer{database: database}
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
	case <-j.done: // at the same moment
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

// withdraw takes a job back that waits still.
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

// run commits what waits until nothing does.
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
	}
}

// settle commits the jobs together. If that fails, one of them may be to blame
// and must not harm the others: each is tried alone, unless the fault is a
// passing one, after which each comes again by itself.
func (w *writer) settle(jobs []*job) {
	err := w.commit(jobs)
	if err == nil {
		return
	}
	if len(jobs) == 1 || w.database.class(err) == Passing {
		for _, j := range jobs {
			j.touched, j.err = 0, err
		}
		return
	}
	for i := range jobs {
		w.settle(jobs[i : i+1])
	}
}

// commit runs the jobs in one transaction: all of them happen, or none and
// there is an error. It goes on when a request is cancelled, since the commit
// belongs to others too; the busy timeout bounds it, once the pool has given a
// connection.
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
	if err := tx.Commit(); err != nil {
		discard(conn) // the transaction may be open on it still
		return err
	}
	return nil
}

// check makes sure that conn writes durably, once for each connection that the
// pool makes.
func (w *writer) check(ctx context.Context, conn *sql.Conn) error {
	var current any
	if err := conn.Raw(func(driverConn any) error { current = driverConn; return nil }); err != nil {
		return err
	}
	if current == w.checked {
		return nil
	}
	if err := configureSQLite(ctx, conn); err != nil {
		return err
	}
	w.checked = current
	return nil
}

// configureSQLite switches conn to WAL mode, synchronous=FULL, a busy timeout
// and foreign keys, whatever the data source name said.
func configureSQLite(ctx context.Context, conn *sql.Conn) error {
	var mode string
	var timeout, synchronous int
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&timeout); err != nil {
		return err
	}
	if timeout == 0 {
		if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 5000"); err != nil {
			return err
		}
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" && mode != "memory" { // a database in memory has nothing to lose
		return fmt.Errorf("sqlstore: SQLite stays in journal mode %q: the database file must be on a local disk that admits WAL", mode)
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return err
	}
	if synchronous < 2 { // neither FULL nor EXTRA
		if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
			return err
		}
	}
	_, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = ON")
	return err
}

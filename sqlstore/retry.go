package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"net"
	"time"
)

// ErrClosed is returned by writes after [Store.Close].
var ErrClosed = errors.New("sqlstore: store is closed")

// classifyConnection judges an error that the server did not send: only where
// nothing can have reached the server is the statement known not to have run.
func classifyConnection(err error) Class {
	var safe interface{ SafeToRetry() bool } // pgx
	var network *net.OpError
	switch {
	case errors.Is(err, driver.ErrBadConn),
		errors.As(err, &safe) && safe.SafeToRetry(),
		errors.As(err, &network) && network.Op == "dial":
		return Passing
	}
	return Uncertain
}

// tries paces the tries of one operation.
type tries struct {
	lasting time.Duration // from the first failure on
	until   time.Time     // zero before it
	pause   time.Duration
}

const (
	firstPause = 5 * time.Millisecond
	maxPause   = 250 * time.Millisecond
)

func (d *database) tries() tries { return tries{lasting: d.opts.RetryFor, pause: firstPause} }

// again waits until it is time for the next try, and reports false when there
// is to be none. The pauses double, and half of each is chance, so that those
// who collided do not collide again.
func (t *tries) again(ctx context.Context) bool {
	if t.until.IsZero() {
		t.until = time.Now().Add(t.lasting)
	}
	pause := t.pause/2 + rand.N(t.pause/2)
	t.pause = min(2*t.pause, maxPause)
	if ctx.Err() != nil || time.Now().Add(pause).After(t.until) {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// read runs a reading operation, which may be tried again whatever became of
// it.
func (d *database) read(ctx context.Context, operation func() error) error {
	tries := d.tries()
	for {
		err := operation()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if class := d.judge(ctx, err); class != Passing && class != Uncertain || !tries.again(ctx) {
			return ended(ctx, d.explain(err))
		}
	}
}

// ended adds to the last error that the context ended the tries, if it did.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return errors.Join(err, ctx.Err())
}

// class judges an error, the store's own ones included.
func (d *database) class(err error) Class {
	switch {
	case errors.As(err, new(fileGone)): // and stays so
		return Failed
	case errors.Is(err, ErrOutcomeUnknown):
		return Uncertain
	case errors.Is(err, ErrClosed), errors.Is(err, sql.ErrNoRows), errors.As(err, new(untold)), d.isOver(): // answers, not faults
		return Failed
	}
	return d.classify(err)
}

// judge is class for those who try again. A server that takes no writes is a
// passing fault, once the connections to it are gone.
func (d *database) judge(ctx context.Context, err error) Class {
	class := d.class(err)
	if class == ReadOnly {
		d.dropIdle(ctx)
		return Passing
	}
	return class
}

// dropIdle closes the idle connections of the pool. Behind a virtual address
// they lead to the server that was the primary when they were opened, for as
// long as it lives, and only a new one leads to the primary of today.
func (d *database) dropIdle(ctx context.Context) {
	if !d.dropping.TryLock() {
		return // another is at it
	}
	defer d.dropping.Unlock()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for range d.db.Stats().Idle {
		conn, err := d.db.Conn(ctx)
		if err != nil {
			return
		}
		discard(conn)
	}
}

// discard closes a connection: one that is in a state nobody knows, which undoes
// what is open on it, or one to the wrong server.
func discard(conn *sql.Conn) {
	conn.Raw(func(any) error { return driver.ErrBadConn })
}

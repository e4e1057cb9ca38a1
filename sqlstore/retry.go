package sqlstore

// Trying again after an error.

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

// classifyConnection classifies an error that the server did not send. The statement is
// known not to have run only if nothing can have reached the server.
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
	lasting time.Duration // since the first failure
	until   time.Time     // zero before it
	pause   time.Duration
}

const (
	firstPause = 5 * time.Millisecond
	maxPause   = 250 * time.Millisecond
)

func (d *database) tries() tries { return tries{lasting: d.opts.RetryFor, pause: firstPause} }

// again waits until it is time for the next try, and reports whether there is to be
// one. The pauses double, and half of each is random, so that callers that collided do
// not collide again.
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

// read runs an operation that only reads, and so may always be tried again.
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

// ended adds the error of the context to the last error, if the context has ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return errors.Join(err, ctx.Err())
}

// class classifies an error, which may be one of the store's own.
func (d *database) class(err error) Class {
	switch {
	case errors.As(err, new(fileGone)): // it stays gone
		return Failed
	case errors.Is(err, ErrOutcomeUnknown):
		return Uncertain
	case errors.Is(err, ErrClosed), errors.Is(err, sql.ErrNoRows), errors.As(err, new(untold)), d.isOver(): // answers, not faults
		return Failed
	}
	return d.classify(err)
}

// judge is class for operations that are tried again. If the server takes no writes, it
// closes the idle connections to it, and the fault is a passing one.
func (d *database) judge(ctx context.Context, err error) Class {
	class := d.class(err)
	if class == ReadOnly {
		d.dropIdle(ctx)
		return Passing
	}
	return class
}

// dropIdle closes the idle connections of the pool. Behind a virtual address, a
// connection leads to the server that was the primary when it was opened. Only a new
// one leads to the current primary.
func (d *database) dropIdle(ctx context.Context) {
	if !d.dropping.TryLock() {
		return // another call does it
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

// discard closes a connection that is in an unknown state, which rolls back its
// transaction, or one to the wrong server.
func discard(conn *sql.Conn) {
	conn.Raw(func(any) error { return driver.ErrBadConn })
}

package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// ErrClosed is returned by writes after [Store.Close].
var ErrClosed = errors.New("sqlstore: store is closed")

// ErrOutcomeUnknown is wrapped by the error of a write that may or may not have
// happened, where the store could not find out in time which.
var ErrOutcomeUnknown = errors.New("sqlstore: it is not known whether the write happened")

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
		if class := d.class(err); class != Passing && class != Uncertain || !tries.again(ctx) {
			return ended(ctx, err)
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
	case errors.Is(err, ErrOutcomeUnknown):
		return Uncertain
	case errors.Is(err, ErrClosed), errors.Is(err, sql.ErrNoRows), d.isOver(): // answers, not faults
		return Failed
	}
	return d.classify(err)
}

// verdict is what became of a write.
type verdict struct {
	settled bool  // false: it did not happen and may be tried again
	err     error // if settled: nil says that it happened
}

func settled(err error) (verdict, error) { return verdict{settled: true, err: err}, nil }

var errUnsettled = errors.New("sqlstore: the row kept changing")

// write runs one writing statement until it is known what became of it.
//
// untouched is asked what it means that the statement touched no row. It is
// asked too, with unsure set, whether a statement that nobody answered
// happened; its error says that this cannot be found out.
func (d *database) write(ctx context.Context, exec func() (int64, error), untouched func(unsure bool) (verdict, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.begin(); err != nil {
		return err
	}
	defer d.end()
	tries, unsure := d.tries(), false
	unknown := func(err error) error {
		if !unsure || errors.Is(err, ErrOutcomeUnknown) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	for {
		touched, err := exec()
		if err == nil && touched > 0 {
			return nil
		}
		class := Duplicate
		if err != nil {
			class = d.class(err)
		}
		if class == Failed {
			return unknown(err)
		}
		unsure = unsure || class == Uncertain
		if unsure || class == Duplicate {
			found, lookup := untouched(unsure)
			if lookup != nil {
				return unknown(errors.Join(err, lookup))
			}
			if found.settled {
				return found.err
			}
		}
		if !tries.again(ctx) {
			return unknown(ended(ctx, cmp.Or(err, errUnsettled)))
		}
	}
}

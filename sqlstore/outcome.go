package sqlstore

// Writes whose answer was lost, and whether they happened.

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
)

// ErrOutcomeUnknown is wrapped by the error of a write that may or may not have
// happened, if the store could not find out in time.
var ErrOutcomeUnknown = errors.New("sqlstore: it is not known whether the write happened")

// untold is the reason why the database does not tell what became of a write.
type untold string

func (u untold) Error() string { return string(u) }

// verdict is what became of a write.
type verdict struct {
	settled bool  // false: it did not happen and may be tried again
	err     error // if settled: nil says that it happened
}

func settled(err error) (verdict, error) { return verdict{settled: true, err: err}, nil }

// rowReader reads at most one row into dest. It returns sql.ErrNoRows if there is none.
type rowReader func(ctx context.Context, s *statement, args []any, dest ...any) error

// judgement finds out what it means that a statement touched no row or, if unsure is
// set, what became of a statement that was not answered. It reads with read. It returns
// an untold error if this cannot be found out.
type judgement func(ctx context.Context, unsure bool, read rowReader) (verdict, error)

var errUnsettled = errors.New("sqlstore: the row kept changing")

// write runs one writing statement until it is known what became of it.
func (d *database) write(ctx context.Context, exec func() (int64, error), judgement judgement) error {
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
			class = d.judge(ctx, err)
			err = d.explain(err)
		}
		if class == Failed {
			return unknown(err)
		}
		unsure = unsure || class == Uncertain
		if unsure || class == Duplicate {
			found, lookup := d.find(ctx, unsure, judgement)
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

// find calls judgement, on a connection of its own if the outcome is unsure.
func (d *database) find(ctx context.Context, unsure bool, judgement judgement) (found verdict, err error) {
	if !unsure {
		return judgement(ctx, false, d.readRow)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(max(0, d.opts.RetryFor), defaultRetryFor))
	defer cancel()
	err = d.read(ctx, func() (err error) {
		look := look{database: d}
		defer look.end()
		if found, err = judgement(ctx, true, look.row); err == nil && found.settled && found.err == nil {
			err = look.commitBehind(ctx)
		}
		return err
	})
	return found, err
}

// look finds out what a write did that was not answered.
//
// A primary that cannot reach its synchronous standby shows writes that it committed
// only locally. They are lost if the standby is promoted. So before the store answers
// that a write happened, it commits another one after it, on the connection that saw
// it, since another connection may lead to another server.
type look struct {
	database *database
	conn     *sql.Conn         // nil until the first use; always nil for SQLite
	finish   func(error) error // ends the transaction on conn
}

func (l *look) begin(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	conn, err := l.database.db.Conn(ctx)
	if err != nil {
		return err
	}
	if l.finish, err = transaction(ctx, conn, "BEGIN"); err != nil {
		conn.Close()
		return err
	}
	l.conn = conn
	return nil
}

// end returns the connection to the pool, or closes it if its transaction is open.
func (l *look) end() {
	if l.finish != nil {
		l.finish(errUnsettled)
	}
	if l.conn != nil {
		l.conn.Close()
	}
}

func (l *look) row(ctx context.Context, s *statement, args []any, dest ...any) error {
	if l.database.writer != nil {
		return l.database.queryRow(ctx, s, args, dest...)
	}
	if err := l.begin(ctx); err != nil {
		return err
	}
	return l.conn.QueryRowContext(ctx, s.text, args...).Scan(dest...)
}

// commitBehind commits the insertion and deletion of a row: not every database logs a
// change that changes nothing.
func (l *look) commitBehind(ctx context.Context) error {
	d, row := l.database, []any{noTenant, rand.Text()}
	steps := []step{{&d.sql.come, append(row, int64(0))}, {&d.sql.forgetOne, row}}
	if d.writer != nil {
		_, err := d.exec(ctx, steps...)
		return err
	}
	if err := l.begin(ctx); err != nil {
		return err
	}
	for _, s := range steps {
		if _, err := l.conn.ExecContext(ctx, s.statement.text, s.args...); err != nil {
			return err
		}
	}
	finish := l.finish
	l.finish = nil
	return finish(nil)
}

// noTenant is a value of the tenant column that no tenant has: key returns it for no
// name.
const noTenant = hashedKey

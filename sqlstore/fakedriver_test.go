package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// fakeServer is a database whose answers a test provides. It counts the calls.
type fakeServer struct {
	onlyPrepares bool // its driver runs only prepared statements

	exec   func(text string, args []driver.NamedValue) (int64, error)
	query  func(text string, args []driver.NamedValue) ([]driver.Value, error) // one row; nil means none
	commit func() error

	mu                              sync.Mutex
	execs, queries, begins, commits int
	conns, closed                   int
}

func (f *fakeServer) count(what *int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*what++
}

// store returns a store that uses the server.
func (f *fakeServer) store(t testing.TB, dialect Dialect, opts *Options) *Store {
	db := sql.OpenDB(f)
	store := New(db, dialect, opts)
	t.Cleanup(func() {
		store.Close()
		db.Close()
	})
	return store
}

func (f *fakeServer) Connect(context.Context) (driver.Conn, error) {
	f.count(&f.conns)
	return &fakeConn{f}, nil
}
func (f *fakeServer) Driver() driver.Driver { return nil }

type fakeConn struct{ server *fakeServer }

func (c *fakeConn) Close() error                             { c.server.count(&c.server.closed); return nil }
func (c *fakeConn) Begin() (driver.Tx, error)                { c.server.count(&c.server.begins); return c, nil }
func (c *fakeConn) Prepare(text string) (driver.Stmt, error) { return &fakeStmt{c, text}, nil }
func (c *fakeConn) CheckNamedValue(*driver.NamedValue) error { return nil }
func (c *fakeConn) Rollback() error                          { return nil }
func (c *fakeConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if c.server.onlyPrepares {
		return nil, driver.ErrSkip
	}
	return c.exec(text, args)
}

func (c *fakeConn) exec(text string, args []driver.NamedValue) (driver.Result, error) {
	switch {
	case strings.HasPrefix(text, "PRAGMA"), text == "BEGIN":
		return driver.RowsAffected(0), nil
	case text == "COMMIT":
		return driver.RowsAffected(0), c.Commit()
	case len(args) > 1 && args[0].Value == noTenant: // what is committed after a lookup
		return driver.RowsAffected(1), nil
	}
	for _, arg := range args {
		if !driver.IsValue(arg.Value) {
			return nil, fmt.Errorf("argument %d is a %T", arg.Ordinal, arg.Value)
		}
	}
	c.server.count(&c.server.execs)
	rows, err := c.server.exec(text, args)
	return driver.RowsAffected(rows), err
}

func (c *fakeConn) QueryContext(_ context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	switch text {
	case "PRAGMA journal_mode = WAL":
		return &fakeRows{row: []driver.Value{"wal"}}, nil
	case "PRAGMA database_list":
		return &fakeRows{row: []driver.Value{int64(0), "main", ""}}, nil
	case "PRAGMA busy_timeout", "PRAGMA synchronous", "PRAGMA journal_size_limit":
		return &fakeRows{row: []driver.Value{int64(2)}}, nil
	}
	c.server.count(&c.server.queries)
	row, err := c.server.query(text, args)
	return &fakeRows{row: row}, err
}

func (c *fakeConn) Commit() error {
	c.server.count(&c.server.commits)
	if c.server.commit == nil {
		return nil
	}
	return c.server.commit()
}

type fakeStmt struct {
	conn *fakeConn
	text string
}

func (s *fakeStmt) Close() error                               { return nil }
func (s *fakeStmt) NumInput() int                              { return -1 }
func (s *fakeStmt) Exec([]driver.Value) (driver.Result, error) { panic("unused") }
func (s *fakeStmt) Query([]driver.Value) (driver.Rows, error)  { panic("unused") }
func (s *fakeStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.conn.exec(s.text, args)
}
func (s *fakeStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.QueryContext(ctx, s.text, args)
}

// fakeRows is at most one row.
type fakeRows struct{ row []driver.Value }

func (r *fakeRows) Columns() []string { return make([]string, len(r.row)) }
func (r *fakeRows) Close() error      { return nil }
func (r *fakeRows) Next(dest []driver.Value) error {
	if r.row == nil {
		return io.EOF
	}
	copy(dest, r.row)
	r.row = nil
	return nil
}

// An error as drivers return it.
type fakeSQLState string

func (s fakeSQLState) Error() string    { return "SQLSTATE " + string(s) }
func (s fakeSQLState) SQLState() string { return string(s) }

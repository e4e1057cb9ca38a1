package main

// A driver that records statements.

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
)

// recorder is a driver that records the statements that go through it, so that the
// database can be asked how it executes them.
type recorder struct {
	driver.Connector
	mu    sync.Mutex
	calls []call
}

type call struct {
	text string
	args []any
}

// record returns a pool whose statements are recorded.
func record(k *kind, dsn string) (*sql.DB, *recorder, error) {
	plain, err := sql.Open(k.driver, dsn)
	if err != nil {
		return nil, nil, err
	}
	defer plain.Close()
	r := &recorder{}
	if opener, ok := plain.Driver().(driver.DriverContext); ok {
		if r.Connector, err = opener.OpenConnector(dsn); err != nil {
			return nil, nil, err
		}
	} else {
		r.Connector = dsnConnector{plain.Driver(), dsn}
	}
	return sql.OpenDB(r), r, nil
}

type dsnConnector struct {
	driver driver.Driver
	dsn    string
}

func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c dsnConnector) Driver() driver.Driver                        { return c.driver }

func (r *recorder) note(text string, named []driver.NamedValue) {
	args := make([]any, len(named))
	for i, value := range named {
		args[i] = value.Value
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call{text, args})
}

// during returns the statements that work sends to the tables.
func (r *recorder) during(work func() error) ([]call, error) {
	r.mu.Lock()
	r.calls = nil
	r.mu.Unlock()
	err := work()
	r.mu.Lock()
	defer r.mu.Unlock()
	var calls []call
	for _, c := range r.calls {
		if strings.Contains(c.text, "dcr_") {
			calls = append(calls, c)
		}
	}
	return calls, err
}

func (r *recorder) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	return &recordedConn{conn, r}, err
}

// recordedConn has no ExecContext and QueryContext, so that database/sql
// prepares every statement.
type recordedConn struct {
	driver.Conn
	recorder *recorder
}

func (c *recordedConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	stmt, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, text)
	return &recordedStmt{stmt, c, text}, err
}

func (c *recordedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
}

func (c *recordedConn) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return driver.ErrSkip
}

type recordedStmt struct {
	driver.Stmt
	conn *recordedConn
	text string
}

func (s *recordedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.conn.recorder.note(s.text, args)
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s *recordedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.conn.recorder.note(s.text, args)
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

// plan asks the database how it executes a statement.
func plan(ctx context.Context, db *sql.DB, k *kind, c call) (lines []string, err error) {
	rows, err := db.QueryContext(ctx, k.explain+c.text, c.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values, places := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return nil, err
		}
		lines = append(lines, k.line(columns, values))
	}
	return lines, rows.Err()
}

// line returns one row of a plan: the column of PostgreSQL or SQLite that has the plan, or
// the named columns of MySQL.
func (k *kind) line(columns []string, values []sql.NullString) string {
	if k.name != "mysql" {
		return values[len(values)-1].String
	}
	var parts []string
	for i, column := range columns {
		if value := values[i]; value.Valid && column != "id" && column != "table" && column != "possible_keys" && column != "select_type" {
			parts = append(parts, fmt.Sprintf("%s=%s", column, value.String))
		}
	}
	return strings.Join(parts, " ")
}

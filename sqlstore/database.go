package sqlstore

// What the views of all tenants share: the database, its statements and how they are
// run.

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// database is what the views of all tenants share.
type database struct {
	db       *sql.DB
	dialect  Dialect
	opts     Options
	names    names
	sql      *statements
	writer   *writer // nil if the database admits several writers at once
	classify func(error) Class

	remembered atomic.Int64 // how many fresh values Remember stored
	dropping   sync.Mutex   // held while idle connections are dropped
	file       atomic.Pointer[file]

	mu       sync.Mutex
	writing  int        // writes under way
	idle     *sync.Cond // signalled when there are none
	closed   bool       // refuses new writes
	ended    bool       // refuses to prepare statements too
	prepared []*sql.Stmt
}

const defaultRetryFor = 3 * time.Second

func newDatabase(db *sql.DB, dialect Dialect, opts *Options) *database {
	traits := dialect.traits()
	shared := &database{db: db, dialect: dialect, opts: *opts, classify: opts.Classify}
	shared.idle = sync.NewCond(&shared.mu)
	shared.names = newNames(dialect, opts)
	shared.sql = newStatements(traits, shared.names)
	if shared.opts.TouchThrottle == 0 {
		shared.opts.TouchThrottle = 10 * time.Minute
	}
	if shared.opts.RetryFor == 0 {
		shared.opts.RetryFor = defaultRetryFor
	}
	if shared.opts.Logger == nil {
		shared.opts.Logger = slog.Default()
	}
	if shared.classify == nil {
		shared.classify = dialect.Classify
	}
	if traits.oneWriter {
		shared.writer = newWriter(shared)
	}
	return shared
}

func (d *database) close() error {
	d.waitForWrites()
	if d.writer != nil {
		d.writer.close() // its callers may have given up on a write
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	for _, prepared := range d.prepared {
		prepared.Close()
	}
	d.prepared = nil
	return nil
}

// waitForWrites refuses new writes and waits for those under way.
func (d *database) waitForWrites() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for d.writing > 0 {
		d.idle.Wait()
	}
}

// begin notes that a write is under way, until end.
func (d *database) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	d.writing++
	return nil
}

func (d *database) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writing--; d.writing == 0 {
		d.idle.Broadcast()
	}
}

// isOver reports whether the store was closed.
func (d *database) isOver() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended
}

// names are the quoted names of tables and indexes.
type names struct {
	schema, prefix string // unquoted; schema may be empty
	quote          string
}

func newNames(dialect Dialect, opts *Options) names {
	checkName("Schema", opts.Schema, 63)
	checkName("TablePrefix", opts.TablePrefix, 32)
	if opts.Schema != "" && dialect == SQLite {
		panic("sqlstore: Options.Schema: SQLite has no schemas; use TablePrefix")
	}
	names := names{schema: opts.Schema, prefix: opts.TablePrefix, quote: dialect.traits().quote}
	if names.prefix == "" {
		names.prefix = "dcr_"
	}
	return names
}

// table returns the full name of a table.
func (n names) table(name string) string {
	if n.schema == "" {
		return n.index(name)
	}
	return n.quote + n.schema + n.quote + "." + n.index(name)
}

// index returns the name of an index. It has no schema: an index is in that of its
// table.
func (n names) index(name string) string { return n.quote + n.prefix + name + n.quote }

// fill replaces {table} and {.index} by names.
func (n names) fill(text string) string {
	var filled strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		filled.WriteString(before)
		if !found {
			return filled.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		if index, isIndex := strings.CutPrefix(name, "."); isIndex {
			filled.WriteString(n.index(index))
		} else {
			filled.WriteString(n.table(name))
		}
		text = after
	}
}

// number replaces each ? by $1, $2 … if the dialect numbers parameters.
func (t *traits) number(text string) string {
	if !t.numbered {
		return text
	}
	var numbered strings.Builder
	for i, part := range strings.Split(text, "?") {
		if i > 0 {
			numbered.WriteString("$" + strconv.Itoa(i))
		}
		numbered.WriteString(part)
	}
	return numbered.String()
}

// statement is one SQL text and its prepared form.
type statement struct {
	text     string
	once     bool                     // made for one use: not worth preparing
	prepared atomic.Pointer[sql.Stmt] // nil until its first use
}

// once makes a statement for one use.
func (d *database) once(text string) *statement {
	return &statement{text: d.dialect.traits().number(d.names.fill(text)), once: true}
}

// prepares reports whether s is run in its prepared form.
func (d *database) prepares(s *statement) bool { return d.dialect.traits().prepare && !s.once }

// prepare returns the prepared form of s. database/sql keeps it on every
// connection that uses it, so that a statement is one round trip.
func (d *database) prepare(ctx context.Context, s *statement) (*sql.Stmt, error) {
	if stmt := s.prepared.Load(); stmt != nil {
		return stmt, nil
	}
	stmt, err := d.db.PrepareContext(ctx, s.text)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		stmt.Close()
		return nil, ErrClosed
	}
	if !s.prepared.CompareAndSwap(nil, stmt) {
		stmt.Close() // another request was first
		return s.prepared.Load(), nil
	}
	d.prepared = append(d.prepared, stmt)
	return stmt, nil
}

// step is one writing statement and its parameters.
type step struct {
	statement *statement
	args      []any
}

// exec runs writing statements, all of them or none, and returns how many rows
// the first touched. If it touched none, the others are not run.
func (d *database) exec(ctx context.Context, steps ...step) (int64, error) {
	switch {
	case d.writer != nil:
		return d.writer.exec(ctx, steps)
	case len(steps) > 1:
		return d.transaction(ctx, steps)
	}
	s := steps[0]
	if !d.prepares(s.statement) {
		return d.execOnce(ctx, s)
	}
	stmt, err := d.prepare(ctx, s.statement)
	if err != nil {
		return 0, err
	}
	return rowsAffected(stmt.ExecContext(ctx, s.args...))
}

// execOnce runs a statement that is not prepared. If some drivers lose the answer, they
// return driver.ErrBadConn as if they had not sent the statement, and database/sql
// would repeat it; execOnce does not.
func (d *database) execOnce(ctx context.Context, s step) (count int64, err error) {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	err = conn.Raw(func(own any) (err error) {
		count, err = execDirectly(ctx, own, s)
		return err
	})
	if errors.Is(err, driver.ErrSkip) {
		count, err = rowsAffected(conn.ExecContext(ctx, s.statement.text, s.args...))
	}
	switch {
	case errors.Is(err, driver.ErrBadConn):
		err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	case err != nil && d.class(err) == ReadOnly:
		discard(conn)
	}
	return count, err
}

// execDirectly runs a statement as database/sql does, but without converting the
// arguments, which takes time: ours are of type driver.Value already. It returns
// driver.ErrSkip if the driver runs only prepared statements.
func execDirectly(ctx context.Context, conn any, s step) (int64, error) {
	execer, can := conn.(driver.ExecerContext)
	if !can {
		return 0, driver.ErrSkip
	}
	args := make([]driver.NamedValue, len(s.args))
	for i, arg := range s.args {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	return rowsAffected(execer.ExecContext(ctx, s.statement.text, args))
}

func rowsAffected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (d *database) transaction(ctx context.Context, steps []step) (int64, error) {
	prepared, err := d.prepareAll(ctx, steps)
	if err != nil {
		return 0, err
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	in := inside{tx: tx}
	count, err := in.run(ctx, prepared)
	if err != nil {
		return 0, err
	}
	if err = tx.Commit(); err == nil {
		return count, nil
	}
	// The commit was sent, even if the driver lost the answer and denies it. Only the
	// server can say that it did not happen.
	if classifyConnection(err) == Passing {
		err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return 0, err
}

// prepared is a step that may be run in a transaction. It is prepared before the
// transaction takes a connection, since the pool may have only one.
type prepared struct {
	text string
	stmt *sql.Stmt // nil if text is not worth preparing
	args []any
}

func (d *database) prepareAll(ctx context.Context, steps []step) ([]prepared, error) {
	all := make([]prepared, len(steps))
	for i, s := range steps {
		all[i] = prepared{text: s.statement.text, args: s.args}
		if !d.prepares(s.statement) {
			continue
		}
		var err error
		if all[i].stmt, err = d.prepare(ctx, s.statement); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// inside runs steps inside a transaction. It keeps the statement that it used last,
// since most steps of a transaction use the same one.
type inside struct {
	tx   *sql.Tx
	last *sql.Stmt
	here *sql.Stmt // last, on the connection of tx
}

// run runs the steps in order. It stops if the first touches no row, or if one fails.
func (in *inside) run(ctx context.Context, steps []prepared) (count int64, err error) {
	for i, s := range steps {
		var affected int64
		if s.stmt == nil {
			affected, err = rowsAffected(in.tx.ExecContext(ctx, s.text, s.args...))
		} else {
			if s.stmt != in.last {
				in.last, in.here = s.stmt, in.tx.StmtContext(ctx, s.stmt)
			}
			affected, err = rowsAffected(in.here.ExecContext(ctx, s.args...))
		}
		if i == 0 {
			count = affected
		}
		if err != nil || count == 0 {
			return 0, err
		}
	}
	return count, nil
}

// query runs a reading statement.
func (d *database) query(ctx context.Context, s *statement, args ...any) (*sql.Rows, error) {
	if !d.prepares(s) {
		return d.db.QueryContext(ctx, s.text, args...)
	}
	stmt, err := d.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// queryRow reads at most one row into dest. It returns sql.ErrNoRows if there is none.
func (d *database) queryRow(ctx context.Context, s *statement, args []any, dest ...any) error {
	if !d.prepares(s) {
		return d.db.QueryRowContext(ctx, s.text, args...).Scan(dest...)
	}
	stmt, err := d.prepare(ctx, s)
	if err != nil {
		return err
	}
	return stmt.QueryRowContext(ctx, args...).Scan(dest...)
}

// readRow is queryRow with retries.
func (d *database) readRow(ctx context.Context, s *statement, args []any, dest ...any) error {
	return d.read(ctx, func() error { return d.queryRow(ctx, s, args, dest...) })
}

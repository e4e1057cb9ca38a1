// Package sqlstore keeps registered clients in PostgreSQL, MySQL, MariaDB or
// SQLite, over database/sql. It imports no driver: open the database with the
// driver of your choice and name its dialect.
//
//	db, err := sql.Open("pgx", "postgres://…")
//	store := sqlstore.New(db, sqlstore.PostgreSQL, nil)
//	err = store.Migrate(ctx)
//	handler, err := dcr.NewHandler(store, &dcr.Options{…})
//
// A client is one JSON document, in the stored form that docs/stored-form.md
// describes; the values by which clients are searched have a table of their own.
// Adding, finding, updating and deleting a client takes one statement each, or a
// transaction if such a value changes or, in MySQL, is added. A write that
// returned nil is as durable as the database makes it: leave PostgreSQL's
// synchronous_commit and MySQL's innodb_flush_log_at_trx_commit on.
//
// Tell the pool to keep its connections, with db.SetMaxIdleConns: database/sql
// keeps two, and opening one costs more than a registration.
//
// CI tests it on PostgreSQL 15, MariaDB 10.11 and SQLite, and its long run on a
// Galera cluster, PgBouncer and a PostgreSQL that fails over; the same tests passed
// on PostgreSQL 18 and MySQL 9.7. To test a server of your own, set DCR_TEST_POSTGRES or DCR_TEST_MYSQL to
// its data source name and test the module sqlstore/sqltest, which makes databases
// and drops them.
//
// # SQLite
//
// Concurrent writes to SQLite share commits: the writes that arrive while one
// commit goes to the disk are collected for the next one. A write returns after
// its own commit, and a write that is alone does not wait for others. Whatever
// the data source name says, every connection that writes is in WAL mode, with
// synchronous=FULL and a busy timeout; [SQLiteDSN] makes a name that sets these
// for every other connection too. If the file is removed or replaced while the
// program runs, writes fail.
//
// # When the database fails
//
// If the database refuses a statement for a passing reason (a serialization
// failure, a deadlock, a failover), the store tries again for
// [Options].RetryFor, within the deadline of the context. If a connection drops
// before a write was answered, the store first looks whether the write
// happened. If it did, the store commits another write after it before it
// returns nil, since a write that only one server has may be gone after a
// failover. If the outcome cannot be found out, the error wraps
// [ErrOutcomeUnknown].
//
// If a server no longer accepts writes, after a switchover, idle connections to
// it are closed, and the next try opens a new one. See [docs/databases.md] for
// what else a switchover needs in the data source name and the pool, and for
// the settings of each database.
//
// [docs/databases.md]: https://github.com/dynreg/dcr/blob/main/docs/databases.md
package sqlstore

import (
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dynreg/dcr"
)

// Options are the settings of a [Store]. The zero value is ready to use.
type Options struct {
	// Schema is the PostgreSQL schema or MySQL database that holds the tables.
	// If empty, the one that the connection selects. It must exist. SQLite has
	// no schemas.
	Schema string

	// TablePrefix begins the name of every table and index. If empty, "dcr_".
	// At most 32 letters, digits and underscores.
	TablePrefix string

	// Tenant is the tenant whose clients the store keeps. If empty, the tenant
	// without a name. See [Store.ForTenant].
	Tenant string

	// TouchThrottle is the least by which TouchClient moves a client's
	// LastUsedAt; shorter moves are not written. If zero, 10 minutes; if
	// negative, every move is written.
	TouchThrottle time.Duration

	// RetryFor is how long an operation is tried again while the database fails
	// for a passing reason, within the deadline of the context. Finding out
	// whether a write happened may take as long again, and each try on SQLite as
	// long as its busy timeout. If zero, 3 seconds; if negative, nothing is
	// tried again.
	RetryFor time.Duration

	// LeavePragmas does not change the settings of SQLite's connections, for a
	// replicated SQLite that has its own: the store runs no PRAGMA. Writes are
	// then only as durable as the data source name says, the size of the -wal
	// file is not bounded, and the store does not notice if the file is
	// replaced.
	LeavePragmas bool

	// Logger gets the warnings of Migrate. If nil, slog.Default.
	Logger *slog.Logger

	// Classify says what an error of the driver means. If nil, Dialect.Classify,
	// which knows pgx, lib/pq, go-sql-driver/mysql, modernc.org/sqlite and
	// mattn/go-sqlite3.
	Classify func(err error) Class
}

// Store keeps clients in a database. It implements
// [dcr.ClientConfigurationStore] and every optional capability. Make one with
// [New]; it is safe for concurrent use.
type Store struct {
	*database
	name   string // of the tenant
	tenant string // as the tenant column holds it
}

var (
	_ dcr.ClientConfigurationStore = (*Store)(nil)
	_ dcr.RevisionDeleter          = (*Store)(nil)
	_ dcr.ClientLister             = (*Store)(nil)
	_ dcr.ClientCounter            = (*Store)(nil)
	_ dcr.ClientToucher            = (*Store)(nil)
	_ dcr.ClientSweeper            = (*Store)(nil)
	_ dcr.StatementFinder          = (*Store)(nil)
	_ dcr.InitialAccessTokenStore  = (*Store)(nil)
	_ dcr.ReplayStore              = (*Store)(nil)
	_ dcr.ReplayForgetter          = (*Store)(nil)
	_ dcr.RecentClientLister       = (*Store)(nil)
	_ dcr.InitialAccessTokenLister = (*Store)(nil)
	_ dcr.ClientEvictor            = (*Store)(nil)
	_ dcr.DocumentNoter            = (*Store)(nil)
	_ dcr.ConsentNoter             = (*Store)(nil)
)

// New returns a store in db, which must speak dialect. If opts is nil, every
// option has its default. New panics on a nil db, an unknown dialect and names
// that no table can have. It does not use the database: [Store.Migrate] creates
// the tables.
func New(db *sql.DB, dialect Dialect, opts *Options) *Store {
	if db == nil {
		panic("sqlstore: New: db is nil; open a database with sql.Open")
	}
	if opts == nil {
		opts = &Options{}
	}
	shared := newDatabase(db, dialect, opts)
	return &Store{database: shared, name: opts.Tenant, tenant: key(opts.Tenant)}
}

// ForTenant returns a view of the store that has only the clients, initial
// access tokens and used values of that tenant. It costs almost nothing, shares
// everything with s, and needs no Close of its own.
func (s *Store) ForTenant(tenant string) *Store {
	return &Store{database: s.database, name: tenant, tenant: key(tenant)}
}

// Close waits for the writes under way and closes the statements that the store
// prepared. It does not close the database, which belongs to the caller. It
// closes the views of all tenants too. After Close, writes fail with ErrClosed,
// and reads may.
func (s *Store) Close() error { return s.database.close() }

var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func checkName(option, name string, most int) {
	if name != "" && (len(name) > most || !namePattern.MatchString(name)) {
		panic(fmt.Sprintf("sqlstore: Options.%s %q: must be at most %d letters, digits and underscores", option, name, most))
	}
}

func plain(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

const hashedKey = "sha256:"

// key returns a text as a searched column has it: the text itself, or its hash
// if it is too long for an index or has bytes that a database refuses.
func key(text string) string {
	if len(text) <= 191 && plain(text) && !strings.HasPrefix(text, hashedKey) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return hashedKey + base64.RawURLEncoding.EncodeToString(sum[:])
}

// micros returns a time as a column has it: microseconds since 1970, and 0 for
// the zero time and no other.
func micros(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return max(1, at.UnixMicro())
}

func fromMicros(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.UnixMicro(at).UTC()
}

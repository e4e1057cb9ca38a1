// Package sqlstore keeps registered clients in PostgreSQL, MySQL, MariaDB or
// SQLite, over database/sql. It imports no driver: open the database with the
// driver of your choice and say which dialect it speaks.
//
//	db, err := sql.Open("pgx", "postgres://…")
//	store := sqlstore.New(db, sqlstore.PostgreSQL, nil)
//	err = store.Migrate(ctx)
//	handler, err := dcr.NewHandler(store, &dcr.Options{…})
//
// A client is one JSON document, in the stored form that docs/stored-form.md
// describes; the values by which clients are searched have a table of their own.
// Adding, finding, updating and deleting a client is one statement each, but for
// a transaction where such a value changes, or is added in MySQL. What the store
// answered is durable as far as the database is: leave PostgreSQL's
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
// Concurrent writes to SQLite share commits: while one commit is on its way to
// the disk, the writes that arrive are collected, and go with the next one. A
// write is answered after its own commit and not before, and one that is alone
// waits for nobody. Whatever the data source name says, every connection that
// writes is in WAL mode, with synchronous=FULL and a busy timeout; see
// [SQLiteDSN] for a name that says so for every other connection too. A file that
// is removed or replaced while the program runs makes writes fail.
//
// # When the database fails
//
// What the database refused for a passing reason (a serialization failure, a
// deadlock, a failover) is tried again for [Options].RetryFor, within the
// deadline of the context. When a connection drops before a write was answered,
// the store looks whether the write happened before it tries again, and commits
// a write of its own behind it before it says so: what one server has alone may
// be gone after a failover. What cannot be found out is an error that wraps
// [ErrOutcomeUnknown].
//
// A server that takes no writes any more, after a switchover, is left: idle
// connections to it are closed, and the next try takes a new one. What else
// a switchover needs of the data source name and the pool, and which settings
// each database wants, says [docs/databases.md].
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
	// none.
	Schema string

	// TablePrefix begins the name of every table and index. If empty, "dcr_".
	// At most 32 letters, digits and underscores.
	TablePrefix string

	// Tenant is the tenant whose clients the store keeps. If empty, the tenant
	// without a name. See [Store.ForTenant].
	Tenant string

	// TouchThrottle is the least that TouchClient moves a client's LastUsedAt;
	// shorter moves are not written. If zero, 10 minutes; if negative, every
	// move is written.
	TouchThrottle time.Duration

	// RetryFor is how long an operation is tried again while the database
	// fails for a passing reason, within the deadline of the context. Finding
	// out what became of a write may take as long again, and each try on SQLite
	// its busy timeout. If zero, 3 seconds; if negative, nothing is tried again.
	RetryFor time.Duration

	// LeavePragmas leaves the settings of SQLite's connections alone, for a
	// replicated SQLite that has its own: the store runs no PRAGMA. What it
	// answered is as durable as the data source name says then, the -wal file
	// grows as it likes, and nobody notices when the file is replaced.
	LeavePragmas bool

	// Logger gets the warnings of Migrate. If nil, slog.Default.
	Logger *slog.Logger

	// Classify says what an error of the driver means. If nil, the Classify of
	// the dialect, which knows pgx, lib/pq, go-sql-driver/mysql,
	// modernc.org/sqlite and mattn/go-sqlite3.
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

// New returns a store in db, which speaks the dialect. If opts is nil, every
// option has its default. New panics on a nil db, an unknown dialect and names
// that no table can have; it does not touch the database: [Store.Migrate]
// makes the tables.
func New(db *sql.DB, dialect Dialect, opts *Options) *Store {
	if db == nil {
		panic("sqlstore: New needs a database")
	}
	if opts == nil {
		opts = &Options{}
	}
	shared := newDatabase(db, dialect, opts)
	return &Store{database: shared, name: opts.Tenant, tenant: key(opts.Tenant)}
}

// ForTenant returns a view of the store that sees the clients, initial access
// tokens and used values of that tenant alone. It costs nothing, shares
// everything with s, and needs no Close of its own.
func (s *Store) ForTenant(tenant string) *Store {
	return &Store{database: s.database, name: tenant, tenant: key(tenant)}
}

// Close waits for the writes under way and gives back what the store prepared
// on the database, which it leaves open: it is the caller's. The views of all
// tenants are closed with it; writes fail with ErrClosed from then on, and reads
// may.
func (s *Store) Close() error { return s.database.close() }

var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func checkName(option, name string, most int) {
	if name != "" && (len(name) > most || !namePattern.MatchString(name)) {
		panic(fmt.Sprintf("sqlstore: Options.%s %q: must be at most %d letters, digits and underscores", option, name, most))
	}
}

func plain(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

const hashedKey = "sha256:"

// key returns the form in which a searched column holds a text: the text
// itself, or its hash if it is too long for an index or has bytes that a
// database refuses.
func key(text string) string {
	if len(text) <= 191 && plain(text) && !strings.HasPrefix(text, hashedKey) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return hashedKey + base64.RawURLEncoding.EncodeToString(sum[:])
}

// micros returns the form in which a column holds a time: microseconds since
// 1970, 0 for the zero time, which no other time becomes.
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

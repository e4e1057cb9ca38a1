package sqlstore

// How the dialects of SQL differ, and what the errors of each mean.

import (
	"database/sql/driver"
	"errors"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// Dialect is the kind of SQL that a database understands.
type Dialect int

// The dialects. PostgreSQL is also for databases that are compatible with it,
// and MySQL for MariaDB.
const (
	PostgreSQL Dialect = iota + 1
	MySQL
	SQLite
)

// traits is how a dialect differs from the others.
type traits struct {
	name        string // as the migrations are named
	quote       string // around names
	numbered    bool   // parameters are $1, $2 …
	prepare     bool   // preparing saves a round trip or the parsing; PostgreSQL's drivers do so themselves, unless they are told not to
	oneWriter   bool   // the database admits one writer at a time
	ignoreTaken string // makes an INSERT touch no row if the key is taken, for keys that often are; empty if that is an error
	ignoreNew   string // the same for keys that hardly ever are; empty if it would slow down the others
	orSetValue  string // makes an INSERT of a client's keys change the values of existing ones
	insertsTwo  bool   // one statement can insert into two tables
	byHalves    bool   // there are partial indexes: one has the clients that were never used, another those that were
	indexHint   string // comes after a table, to force the use of an index; empty if the database chooses well
	now         string // the server's time in microseconds since 1970; empty if it has the clock of this program
}

var dialects = map[Dialect]*traits{
	PostgreSQL: {name: "postgresql", quote: `"`, numbered: true, ignoreTaken: onConflict, orSetValue: onKeyConflict, insertsTwo: true, byHalves: true,
		now: "CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000000 AS bigint)"},
	MySQL: {name: "mysql", quote: "`", prepare: true, indexHint: " FORCE INDEX (%s)", orSetValue: " ON DUPLICATE KEY UPDATE value = VALUES(value)",
		now: "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"},
	SQLite: {name: "sqlite", quote: `"`, prepare: true, oneWriter: true, byHalves: true, ignoreTaken: onConflict, ignoreNew: onConflict, orSetValue: onKeyConflict},
}

const (
	onConflict    = " ON CONFLICT DO NOTHING"
	onKeyConflict = " ON CONFLICT (tenant, client_id, name) DO UPDATE SET value = excluded.value"
)

func (d Dialect) traits() *traits {
	traits, known := dialects[d]
	if !known {
		panic("sqlstore: unknown dialect " + strconv.Itoa(int(d)) + ": use PostgreSQL, MySQL or SQLite")
	}
	return traits
}

// String returns the dialect's name.
func (d Dialect) String() string { return d.traits().name }

// SQLiteDSN returns the data source name of a database file, for both
// modernc.org/sqlite and mattn/go-sqlite3, which sets WAL mode,
// synchronous=FULL, foreign keys and a busy timeout of five seconds on every
// connection.
func SQLiteDSN(file string) string {
	path := (&url.URL{Path: filepath.ToSlash(file)}).EscapedPath()
	return "file:" + path + "?_txlock=immediate" +
		"&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" +
		"&_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1"
}

// Class says what an error of the database means for the statement that failed:
// whether it had an effect, and whether to try again. Return the zero Class,
// Failed, for an error that is not known.
type Class int

// The classes of errors.
const (
	Failed    Class = iota // the statement had no effect, and trying again does not help
	Passing                // the statement had no effect, and may succeed when tried again
	Uncertain              // the statement may or may not have had its effect
	Duplicate              // the statement had no effect, because a key is taken
	ReadOnly               // the statement had no effect, because the server accepts no writes: a new connection may reach one that does
)

// Classify is the default of Options.Classify. It recognises errors by what
// drivers have in common (SQLSTATE, error numbers) and not by their types.
func (d Dialect) Classify(err error) Class {
	switch d {
	case PostgreSQL:
		return classifyPostgreSQL(err)
	case MySQL:
		return classifyMySQL(err)
	}
	return classifySQLite(err)
}

// classifyPostgreSQL classifies by SQLSTATE, which pgx and lib/pq report.
func classifyPostgreSQL(err error) Class {
	state, answered := sqlState(err)
	if !answered {
		return classifyConnection(err)
	}
	switch state {
	case "40001", "40P01", // serialization failure, deadlock
		"55P03", "53300", "57P03", // lock not available, too many connections, starting up
		"25P03": // idle in a transaction for too long: its commit never ran
		return Passing
	case "25006": // a standby, or a former primary
		return ReadOnly
	case "23505":
		return Duplicate
	case "40003", "57P01", "57P02", "57P04", "57P05", // completion unknown, shutdown, crash, database dropped, idle timeout
		"25P04": // a transaction took too long, which may be reported after its commit
		return Uncertain
	default:
		if strings.HasPrefix(state, "08") { // connection exceptions
			return Uncertain
		}
	}
	return Failed
}

func sqlState(err error) (state string, answered bool) {
	var server interface{ SQLState() string }
	if !errors.As(err, &server) {
		return "", false
	}
	return server.SQLState(), true
}

// classifyMySQL classifies by the number in the message, "Error 1213 (40001): …".
func classifyMySQL(err error) Class {
	number, answered := mysqlNumber(err)
	if !answered {
		return classifyConnection(err)
	}
	switch number {
	case 1205, 1213, // lock wait timeout, deadlock
		1040, 1203, 1129, 1461, // too many connections, connection errors, prepared statements
		3101,       // a group rolled the transaction back
		1047, 1020, // the node is not ready; the row changed since it was read
		4031,                         // disconnected for being idle, before the statement
		9007, 8022, 8028, 8002, 9002: // TiDB: write conflict, schema changed, store busy
		return Passing
	case 1290, 1836, 1792, 3100: // a replica, a former primary, a member of a group that takes no writes
		return ReadOnly
	case 1062, 1586:
		return Duplicate
	case 1180, 1053, 1152, 1158, 1159, 1160, 1161, 1927, // error during commit, shutdown, aborted connection, broken packets, killed
		8501: // TiDB: the commit was not answered
		return Uncertain
	}
	return Failed
}

func mysqlNumber(err error) (number int, answered bool) {
	for ; err != nil; err = errors.Unwrap(err) {
		if text, found := strings.CutPrefix(err.Error(), "Error "); found {
			digits, _, _ := strings.Cut(text, ":")
			digits, _, _ = strings.Cut(digits, " ")
			if number, err := strconv.Atoi(digits); err == nil {
				return number, true
			}
		}
	}
	return 0, false
}

// classifySQLite recognises SQLITE_BUSY and SQLITE_LOCKED. No connection can drop, so a
// statement that failed had no effect, unless it was a commit.
func classifySQLite(err error) Class {
	text := err.Error()
	if strings.Contains(text, "database is locked") || strings.Contains(text, "database table is locked") ||
		strings.Contains(text, "SQLITE_BUSY") {
		return Passing
	}
	return Failed
}

// refusedCommit reports whether an error of COMMIT means that nothing was committed. An
// I/O error does not mean that: the whole transaction may be in the log all the same.
func (d *database) refusedCommit(err error) bool {
	if errors.Is(err, driver.ErrBadConn) {
		return false // the commit was sent, even if the driver denies it
	}
	text := err.Error()
	return d.class(err) == Passing || strings.Contains(text, "disk is full") || strings.Contains(text, "constraint failed")
}

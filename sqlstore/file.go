package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// file is the file that a SQLite database is in.
type file struct {
	path  string
	first fs.FileInfo // as the store found it

	// Of the writer alone:
	log        int64 // size of the -wal file
	logChecked time.Time
}

// fileGone says that a database file is no longer the one that this program has
// open. SQLite goes on without a word, in a file that has no name any more.
type fileGone struct{ path string }

func (f fileGone) Error() string {
	return fmt.Sprintf("sqlstore: the database file %s was removed or replaced while this program has it open; restart the program", f.path)
}

// filePath asks the database where it is; "" is nowhere but in memory.
func filePath(ctx context.Context, conn interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (path string, err error) {
	var number int
	var name string
	err = conn.QueryRowContext(ctx, "PRAGMA database_list").Scan(&number, &name, &path)
	return path, err
}

// noteFile notes the file of the database, once for the life of the store. Only
// in WAL mode is a file of that name sure to be more than a name.
func (d *database) noteFile(ctx context.Context, conn *sql.Conn) error {
	if d.dialect != SQLite || d.opts.LeavePragmas || d.file.Load() != nil {
		return nil
	}
	path, err := filePath(ctx, conn)
	if err != nil || path == "" {
		return err
	}
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		return err
	}
	first, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fileGone{path}
	}
	if err == nil {
		d.file.CompareAndSwap(nil, &file{path: path, first: first})
	}
	return err
}

// checkLogEvery is how often the -wal file is looked at, which costs as much as
// the look at the database file after each commit.
const checkLogEvery = 5 * time.Millisecond

// checkFile makes sure that what was committed is in the file of that name.
func (d *database) checkFile() error {
	f := d.file.Load()
	if f == nil {
		return nil
	}
	now, err := os.Stat(f.path)
	switch {
	case err == nil && !os.SameFile(f.first, now):
		return fileGone{f.path}
	case err == nil && time.Since(f.logChecked) > checkLogEvery:
		if now, err = os.Stat(f.path + "-wal"); err == nil { // there while a connection is
			f.log, f.logChecked = now.Size(), time.Now()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fileGone{f.path}
	}
	return err
}

// explain adds to an error of the database what its reader has to know: the file
// that it is about, or the setting that avoids it.
func (d *database) explain(err error) error {
	switch d.dialect {
	case PostgreSQL:
		if state, _ := sqlState(err); state == "26000" || state == "42P05" {
			return fmt.Errorf("sqlstore: a connection pooler in front of PostgreSQL mixes up prepared statements:"+
				" add default_query_exec_mode=exec to pgx's data source name (binary_parameters=yes to that of lib/pq),"+
				" or set max_prepared_statements in PgBouncer 1.21 or later: %w", err)
		}
	case SQLite:
		if path := d.knownPath(); path != "" && d.isFault(err) {
			return fmt.Errorf("sqlstore: database file %s: %w", path, err)
		}
	}
	return err
}

// knownPath is the path of the database file, "" where it cannot be found out.
func (d *database) knownPath() string {
	if f := d.file.Load(); f != nil {
		return f.path
	}
	if d.opts.LeavePragmas {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	path, _ := filePath(ctx, d.db)
	return path
}

// isFault reports whether the database failed: all else is an answer, or names
// the file already.
func (d *database) isFault(err error) bool {
	for _, answer := range []error{
		sql.ErrNoRows, ErrClosed, sql.ErrConnDone, errUnsettled, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, answer) {
			return false
		}
	}
	return !errors.As(err, new(fileGone)) && !errors.As(err, new(untold))
}

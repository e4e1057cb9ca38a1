package sqlstore

// The file of a SQLite database, which may be removed or replaced.

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

	// Used only by the writer:
	log        int64 // size of the -wal file
	logChecked time.Time
}

// fileGone is the error if a database file is no longer the one that this program has
// open. SQLite reports no error: it goes on writing to the old file, which nobody can
// open any more.
type fileGone struct{ path string }

func (f fileGone) Error() string {
	return fmt.Sprintf("sqlstore: the database file %s was removed or replaced while this program has it open; restart the program", f.path)
}

// filePath returns the path of the database file, "" for a database in memory.
func filePath(ctx context.Context, conn interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (path string, err error) {
	var number int
	var name string
	err = conn.QueryRowContext(ctx, "PRAGMA database_list").Scan(&number, &name, &path)
	return path, err
}

// noteFile notes the file of the database, once in the life of the store. The path is
// sure to be that of a file only in WAL mode.
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

// checkLogEvery is how often the size of the -wal file is checked. That takes as long
// as checking the database file, which follows each commit.
const checkLogEvery = 5 * time.Millisecond

// checkFile returns an error if the database file was removed or replaced.
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
		if now, err = os.Stat(f.path + "-wal"); err == nil { // it exists while a connection is open
			f.log, f.logChecked = now.Size(), time.Now()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fileGone{f.path}
	}
	return err
}

// explain adds to an error of the database what its reader needs to know: the file that
// it is about, or the setting that avoids it.
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

// knownPath returns the path of the database file, "" if it cannot be found out.
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

// isFault reports whether the database failed. Other errors are answers, or name the
// file already.
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

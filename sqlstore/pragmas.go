package sqlstore

// The settings of SQLite connections, and the size of the -wal file.

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// maxLog is the size in bytes to which the -wal file of SQLite is cut after it has
// become larger, which it does while a reader reads.
const maxLog = 64 << 20

// How often the log is cut if SQLite itself does not do so, and how long writers then
// wait for readers.
const (
	cutEvery = 5 * time.Second
	cutWait  = 250 * time.Millisecond
)

// cutLog empties a -wal file that is too long. SQLite starts the file again when no
// reader needs it. If reads overlap all the time, that never happens unless a writer
// waits for it. If cutLog fails, a later call tries again.
func (w *writer) cutLog(ctx context.Context) {
	f := w.database.file.Load()
	if f == nil || f.log <= maxLog || time.Since(w.cut) < cutEvery {
		return
	}
	conn, err := w.database.db.Conn(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	var timeout, busy, log, done int64
	if conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&timeout) != nil {
		return
	}
	conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", cutWait.Milliseconds()))
	conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done)
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", timeout)); err != nil {
		discard(conn)
	}
	w.cut = time.Now()
}

// configureSQLite switches conn to WAL mode, synchronous=FULL, a busy timeout,
// foreign keys and a -wal file that shrinks again, whatever the data source name
// said.
func (d *database) configureSQLite(ctx context.Context, conn *sql.Conn) error {
	if d.opts.LeavePragmas {
		return nil
	}
	var mode string
	var timeout, synchronous, limit int64
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&timeout); err != nil {
		return err
	}
	if timeout == 0 {
		if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 5000"); err != nil {
			return err
		}
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" && mode != "memory" { // a database in memory has nothing to lose
		return fmt.Errorf("sqlstore: SQLite stays in journal mode %q; put the database file on a local disk, where WAL mode works", mode)
	}
	if err := d.noteFile(ctx, conn); err != nil {
		return err
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return err
	}
	if synchronous < 2 { // neither FULL nor EXTRA
		if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
			return err
		}
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_size_limit").Scan(&limit); err != nil {
		return err
	}
	if limit < 0 || limit > maxLog {
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA journal_size_limit = %d", maxLog)); err != nil {
			return err
		}
	}
	_, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = ON")
	return err
}

package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// TestSQLiteFileGone checks that no write to a file that was removed or renamed
// is acknowledged: SQLite itself goes on without an error.
func TestSQLiteFileGone(t *testing.T) {
	for _, c := range []struct {
		sentence string
		fault    func(file string) error
	}{
		{"the file is removed", os.Remove},
		{"the file is renamed", func(file string) error { return os.Rename(file, file+".old") }},
		{"another file replaces it", func(file string) error {
			content, err := os.ReadFile(file)
			return errors.Join(err, os.WriteFile(file+".new", content, 0o600), os.Rename(file+".new", file))
		}},
		{"the log is removed", func(file string) error {
			time.Sleep(10 * time.Millisecond) // the store does not check after every write
			return os.Remove(file + "-wal")
		}},
		{"all files are removed", func(file string) error {
			return errors.Join(os.Remove(file), os.Remove(file+"-wal"), os.Remove(file+"-shm"))
		}},
		{"a new database replaces it", func(file string) error {
			if err := errors.Join(os.Remove(file), os.Remove(file+"-wal"), os.Remove(file+"-shm")); err != nil {
				return err
			}
			db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(file))
			if err != nil {
				return err
			}
			defer db.Close()
			return sqlstore.New(db, sqlstore.SQLite, nil).Migrate(t.Context())
		}},
	} {
		for _, upToDate := range []bool{false, true} {
			t.Run(fmt.Sprint(c.sentence, ", for a database that existed before: ", upToDate), func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "clients.db")
				if upToDate {
					sqlite.storeIn(t, sqlite.open(t, sqlstore.SQLiteDSN(file)), nil).Close()
				}
				store := sqlite.storeIn(t, sqlite.open(t, sqlstore.SQLiteDSN(file)), nil)
				client := &dcr.Client{ID: "before"}
				if err := store.Add(t.Context(), client); err != nil {
					t.Fatal(err)
				}
				if err := c.fault(file); err != nil {
					t.Fatal(err)
				}
				for i, err := range []error{
					store.Add(t.Context(), &dcr.Client{ID: "after"}),
					store.Update(t.Context(), client),
					store.Delete(t.Context(), "before"),
				} {
					if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "restart") {
						t.Errorf("write %d returned %v", i, err)
					}
				}
			})
		}
	}
}

// TestSQLiteErrorsNameTheFile checks that an error names the database file.
func TestSQLiteErrorsNameTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clients.db")
	store := sqlstore.New(sqlite.open(t, sqlstore.SQLiteDSN(file)), sqlstore.SQLite, nil)
	find := func() error { _, err := store.FindByClientID(t.Context(), "one"); return err }
	add := func() error { return store.Add(t.Context(), &dcr.Client{ID: "one"}) }
	for call, err := range map[string]error{"a read": find(), "a write": add()} { // there are no tables
		if err == nil || strings.Count(err.Error(), file) != 1 {
			t.Errorf("%s returned %v", call, err)
		}
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := sqlite.open(t, "file:"+file+"?_pragma=query_only(1)")
	store = sqlstore.New(db, sqlstore.SQLite, nil)
	if err := add(); err == nil || strings.Count(err.Error(), file) != 1 {
		t.Errorf("a write that is refused returned %v", err)
	}
	if err := find(); err != dcr.ErrClientNotFound {
		t.Errorf("a missing client is %v", err)
	}
}

// TestSQLiteLogShrinks checks that the log becomes short again after a long
// read, even if there are always other readers.
func TestSQLiteLogShrinks(t *testing.T) {
	for _, c := range []struct {
		sentence string
		readers  int
		writes   int // until the log is short again
	}{
		{"nobody reads afterwards", 0, 3},
		{"there are always readers afterwards", 4, math.MaxInt},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "clients.db")
			db := sqlite.open(t, sqlstore.SQLiteDSN(file))
			store := sqlite.storeIn(t, db, nil)
			add := func(id string, size int) {
				t.Helper()
				if err := store.Add(t.Context(), &dcr.Client{ID: id, Notes: strings.Repeat("x", size)}); err != nil {
					t.Fatal(err)
				}
			}
			log := func() int64 {
				t.Helper()
				info, err := os.Stat(file + "-wal")
				if err != nil {
					t.Fatal(err)
				}
				return info.Size() >> 20
			}
			begin := func() *sql.Tx {
				reader, err := db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
				if err != nil {
					t.Error(err)
					return nil
				}
				var count int
				if err := reader.QueryRow("SELECT COUNT(*) FROM dcr_clients").Scan(&count); err != nil {
					t.Error(err)
				}
				return reader
			}
			add("first", 1)
			long := begin()
			for n := range 20 {
				add(fmt.Sprint("large-", n), 5<<20)
			}
			if log() < 90 {
				t.Errorf("the log has %d MiB with a reader", log())
			}
			var stop atomic.Bool
			var readers sync.WaitGroup
			for n := range c.readers {
				readers.Go(func() {
					for !stop.Load() {
						reader := begin()
						time.Sleep(time.Duration(50+17*n) * time.Millisecond)
						reader.Rollback()
					}
				})
			}
			long.Rollback()
			deadline := time.Now().Add(30 * time.Second)
			for n := 0; n < c.writes && log() > 64 && time.Now().Before(deadline); n++ {
				add(fmt.Sprint("small-", n), 1)
			}
			if log() > 64 {
				t.Errorf("the log still has %d MiB", log())
			}
			stop.Store(true)
			readers.Wait()
		})
	}
}

// TestSQLiteLeavePragmas checks that with the option the settings stay
// unchanged.
func TestSQLiteLeavePragmas(t *testing.T) {
	db := sqlite.open(t, "file:"+filepath.Join(t.TempDir(), "clients.db")+"?_pragma=synchronous(NORMAL)")
	db.SetMaxOpenConns(1) // so that this test asks the connection that wrote
	store := sqlite.storeIn(t, db, &sqlstore.Options{LeavePragmas: true})
	if err := store.Add(t.Context(), &dcr.Client{ID: "one"}); err != nil {
		t.Fatal(err)
	}
	var mode string
	var synchronous, keys, limit int
	if err := errors.Join(
		db.QueryRow("PRAGMA journal_mode").Scan(&mode),
		db.QueryRow("PRAGMA synchronous").Scan(&synchronous),
		db.QueryRow("PRAGMA foreign_keys").Scan(&keys),
		db.QueryRow("PRAGMA journal_size_limit").Scan(&limit),
	); err != nil {
		t.Fatal(err)
	}
	if mode != "delete" || synchronous != 1 || keys != 0 || limit != -1 {
		t.Errorf("wrote in mode %s with synchronous %d, foreign keys %d and limit %d", mode, synchronous, keys, limit)
	}
}

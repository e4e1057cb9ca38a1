package sqltest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/sqlstore"
)

var sqlite = databases[0]

// TestSQLiteOneConnection runs the test of the store contract on a pool with a
// single connection, as many hosts set for SQLite: readers and the writer must
// not wait for each other.
func TestSQLiteOneConnection(t *testing.T) {
	db := sqlite.open(t, createSQLite(t))
	db.SetMaxOpenConns(1)
	store := sqlite.storeIn(t, db, nil)
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore { return store.ForTenant(t.Name()) })
}

// TestSQLiteInMemory runs it on a database that is only in memory.
func TestSQLiteInMemory(t *testing.T) {
	db := sqlite.open(t, ":memory:")
	db.SetMaxOpenConns(1) // each connection would have its own database
	store := sqlite.storeIn(t, db, nil)
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore { return store.ForTenant(t.Name()) })
}

// TestSQLiteDurable checks that no data source name makes a write less durable.
func TestSQLiteDurable(t *testing.T) {
	for _, parameters := range []string{
		"",
		"?_pragma=synchronous(OFF)&_pragma=journal_mode(DELETE)",
		"?_pragma=synchronous(NORMAL)&_pragma=journal_mode(WAL)",
		"?_pragma=synchronous(EXTRA)",
		"?_pragma=journal_mode(MEMORY)&_pragma=busy_timeout(0)",
	} {
		db := sqlite.open(t, "file:"+filepath.Join(t.TempDir(), "clients.db")+parameters)
		db.SetMaxOpenConns(1) // so that this test asks the connection that wrote
		for range 2 {         // and again on a new connection
			store := sqlite.storeIn(t, db, nil)
			if err := store.ForTenant(fmt.Sprint(time.Now())).Add(t.Context(), &dcr.Client{ID: "one"}); err != nil {
				t.Fatal(err)
			}
			var mode string
			var synchronous, timeout int
			if err := errors.Join(
				db.QueryRow("PRAGMA journal_mode").Scan(&mode),
				db.QueryRow("PRAGMA synchronous").Scan(&synchronous),
				db.QueryRow("PRAGMA busy_timeout").Scan(&timeout),
			); err != nil {
				t.Fatal(err)
			}
			if mode != "wal" || synchronous < 2 || timeout == 0 {
				t.Errorf("%s: wrote in mode %s with synchronous %d and busy timeout %d", parameters, mode, synchronous, timeout)
			}
			db.SetMaxIdleConns(0)
			db.SetMaxIdleConns(1)
		}
	}
}

// TestSQLiteDSN checks that the name sets every connection up, for a file with
// any name.
func TestSQLiteDSN(t *testing.T) {
	for _, name := range []string{"clients.db", "with space.db", "100%.db", "what?.db", "#1.db", "größe.db"} {
		file := filepath.Join(t.TempDir(), name)
		db := sqlite.open(t, sqlstore.SQLiteDSN(file))
		sqlite.storeIn(t, db, nil)
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				conn, err := db.Conn(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				var mode string
				var synchronous, timeout int
				if err := errors.Join(
					conn.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode),
					conn.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&synchronous),
					conn.QueryRowContext(t.Context(), "PRAGMA busy_timeout").Scan(&timeout),
				); err != nil {
					t.Error(err)
				}
				if mode != "wal" || synchronous != 2 || timeout != 5000 {
					t.Errorf("%s: mode %s, synchronous %d, busy timeout %d", name, mode, synchronous, timeout)
				}
			})
		}
		wait.Wait()
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}

// TestSQLiteTwoHosts checks that two processes may share the file: neither sees
// an error while both write.
func TestSQLiteTwoHosts(t *testing.T) {
	dsn := createSQLite(t)
	stores := []*sqlstore.Store{
		sqlite.storeIn(t, sqlite.open(t, dsn), nil),
		sqlite.storeIn(t, sqlite.open(t, dsn), nil),
	}
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for round := range 25 {
				client := &dcr.Client{ID: fmt.Sprintf("client-%d-%d", worker, round)}
				if err := stores[worker%2].Add(t.Context(), client); err != nil {
					t.Error(err)
				}
				if _, err := stores[(worker+1)%2].FindByClientID(t.Context(), client.ID); err != nil {
					t.Errorf("the other host does not see %s: %v", client.ID, err)
				}
			}
		})
	}
	wait.Wait()
}

// TestNothingInTheClear checks that no file of the database contains a secret,
// a registration access token or an initial access token.
func TestNothingInTheClear(t *testing.T) {
	dir := t.TempDir()
	store := sqlite.storeIn(t, sqlite.open(t, sqlstore.SQLiteDSN(filepath.Join(dir, "clients.db"))), nil)
	const secret, token, initial = "a-very-secret-secret", "a-very-secret-token", "a-very-initial-token"
	client := dcr.NewClient()
	client.ID = "one"
	client.Secrets = []dcr.Secret{dcr.HashSecret(secret)}
	client.RegistrationTokens = []dcr.Secret{dcr.HashSecret(token)}
	if err := errors.Join(
		store.Add(t.Context(), client),
		store.AddInitialAccessToken(t.Context(), &dcr.InitialAccessToken{Hash: dcr.HashSecret(initial).Value}),
	); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found files %v and error %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, clear := range []string{secret, token, initial} {
			if bytes.Contains(content, []byte(clear)) {
				t.Errorf("%s contains %q", file, clear)
			}
		}
	}
}

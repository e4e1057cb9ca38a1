package sqltest

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// TestMigrateAtOnce holds that many hosts may start on an empty database at
// once, each with a pool of its own.
func TestMigrateAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		dsn := d.create(t)
		var hosts sync.WaitGroup
		for host := range 6 {
			store := sqlstore.New(d.open(t, dsn), d.dialect, nil)
			hosts.Go(func() {
				if err := store.Migrate(t.Context()); err != nil {
					t.Errorf("host %d: %v", host, err)
				}
				if err := store.Add(t.Context(), &dcr.Client{ID: fmt.Sprint("of-host-", host)}); err != nil {
					t.Errorf("host %d: %v", host, err)
				}
			})
		}
		hosts.Wait()
		var versions int
		if err := d.open(t, dsn).QueryRow("SELECT COUNT(*) FROM dcr_schema_versions").Scan(&versions); err != nil {
			t.Fatal(err)
		}
		if want := len(sqlstore.Migrations(d.dialect, nil)); versions != want {
			t.Errorf("%d versions are recorded, not %d", versions, want)
		}
	})
}

// TestMigrateNewer holds that a database which a newer version has migrated is
// refused and left alone.
func TestMigrateNewer(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, db := d.store(t, nil)
		if _, err := db.Exec("INSERT INTO dcr_schema_versions (version, migrated_at) VALUES (99, 0)"); err != nil {
			t.Fatal(err)
		}
		err := store.Migrate(t.Context())
		if !errors.Is(err, sqlstore.ErrNewerSchema) || !strings.Contains(err.Error(), "99") {
			t.Errorf("Migrate returned %v", err)
		}
	})
}

// TestMigrateByHand holds that the statements do the same when another tool
// runs them, and that Migrate finds nothing to do then.
func TestMigrateByHand(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		db := d.open(t, d.create(t))
		opts := &sqlstore.Options{TablePrefix: "by_hand_"}
		for _, migration := range sqlstore.Migrations(d.dialect, opts) {
			for _, statement := range append(migration.Statements, migration.Statements...) { // repeating is no fault
				if _, err := db.Exec(statement); err != nil {
					t.Fatalf("step %d (%s): %v\n%s", migration.Version, migration.Name, err, statement)
				}
			}
		}
		store := sqlstore.New(db, d.dialect, opts)
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := store.Add(t.Context(), &dcr.Client{ID: "one"}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestMigrateFromEachStep holds that a database of each older version comes up
// to date with what it holds.
func TestMigrateFromEachStep(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		for _, last := range sqlstore.Migrations(d.dialect, nil) {
			opts := &sqlstore.Options{TablePrefix: fmt.Sprintf("from_%d_", last.Version)}
			db := d.open(t, d.create(t))
			for _, migration := range sqlstore.Migrations(d.dialect, opts)[:last.Version] {
				for _, statement := range migration.Statements {
					if _, err := db.Exec(statement); err != nil {
						t.Fatal(err)
					}
				}
			}
			store := sqlstore.New(db, d.dialect, opts)
			if err := store.Add(t.Context(), &dcr.Client{ID: "old"}); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second finds nothing to do
				if err := store.Migrate(t.Context()); err != nil {
					t.Fatalf("from step %d: %v", last.Version, err)
				}
			}
			if _, err := store.FindByClientID(t.Context(), "old"); err != nil {
				t.Errorf("from step %d: %v", last.Version, err)
			}
			if err := store.AddInitialAccessToken(t.Context(), &dcr.InitialAccessToken{Hash: "new"}); err != nil {
				t.Errorf("from step %d: %v", last.Version, err)
			}
		}
	})
}

// TestMigrateUpToDate holds that a database which is up to date is only read,
// so that a program without the right to change the schema may start.
func TestMigrateUpToDate(t *testing.T) {
	d := databases[0]
	file := filepath.Join(t.TempDir(), "clients.db")
	d.storeIn(t, d.open(t, sqlstore.SQLiteDSN(file)), nil)
	readOnly := sqlstore.New(d.open(t, "file:"+file+"?mode=ro"), d.dialect, nil)
	if err := readOnly.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
}

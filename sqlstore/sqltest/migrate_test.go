package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// TestMigrateAtOnce checks that many hosts may start on an empty database at
// once, each with its own pool.
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

// TestMigrateRolling checks that a program runs on a newer schema that allows
// it, and on the schema of a version that recorded no minimum.
func TestMigrateRolling(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, db := d.store(t, nil)
		known := len(sqlstore.Migrations(d.dialect, nil))
		for i, c := range []struct {
			sentence string
			minimum  any
			runs     bool
		}{
			{"the newer schema is for programs of this version too", known, true},
			{"it is for older versions too", 3, true},
			{"it is only for newer versions", known + 1, false},
			{"a later step allows this version again", known, true},
			{"it says nothing", nil, false},
		} {
			number := "NULL"
			if c.minimum != nil {
				number = fmt.Sprint(c.minimum)
			}
			insert := fmt.Sprintf("INSERT INTO dcr_schema_versions (version, migrated_at, minimum_version) VALUES (%d, 0, %s)", 100+i, number)
			if _, err := db.Exec(insert); err != nil {
				t.Fatal(err)
			}
			if err := store.Migrate(t.Context()); c.runs && err != nil || !c.runs && !errors.Is(err, sqlstore.ErrNewerSchema) {
				t.Errorf("%s: Migrate returned %v", c.sentence, err)
			}
			if err := store.Add(t.Context(), &dcr.Client{ID: fmt.Sprint(i)}); err != nil {
				t.Errorf("%s: %v", c.sentence, err)
			}
		}
	})
}

// TestMigrateRefuses checks that a database that this package cannot use is
// refused immediately, with a sentence that says what to do.
func TestMigrateRefuses(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		for name, c := range map[string]struct {
			statement string
			opts      sqlstore.Options
			migrated  bool
			says      string
		}{
			"another table with that name":                 {"CREATE TABLE dcr_clients (id integer, name text)", sqlstore.Options{}, false, "TablePrefix"},
			"another table with another name of the store": {"CREATE TABLE dcr_seen (id integer)", sqlstore.Options{}, false, "dcr_seen"},
			"a missing column":                             {"ALTER TABLE dcr_clients DROP COLUMN activated_by", sqlstore.Options{}, true, "dcr_clients"},
		} {
			db := d.open(t, d.create(t))
			store := sqlstore.New(db, d.dialect, &c.opts)
			if c.migrated {
				if err := store.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.Exec(c.statement); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			err := store.Migrate(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, sqlstore.ErrNewerSchema) {
				t.Errorf("%s: Migrate returned %v", name, err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("%s: it took %v", name, took)
			}
		}
	})
}

// TestMigrateEncoding checks that a database that cannot store every text is
// refused.
func TestMigrateEncoding(t *testing.T) {
	want := func(t *testing.T, store *sqlstore.Store, says string) {
		t.Helper()
		if err := store.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Migrate returned %v", err)
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		d := databases[0]
		db := d.open(t, "file:"+filepath.Join(t.TempDir(), "clients.db"))
		db.SetMaxOpenConns(1)
		if _, err := db.Exec("PRAGMA encoding = 'UTF-16'; CREATE TABLE one (two integer)"); err != nil {
			t.Fatal(err)
		}
		want(t, sqlstore.New(db, d.dialect, nil), "UTF-16")
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		name := createDatabase(t, "pgx", postgresDSN, `CREATE DATABASE %s TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`, `DROP DATABASE %s WITH (FORCE)`)
		before, _, _ := strings.Cut(postgresDSN, "?")
		db := databases[1].open(t, before[:strings.LastIndex(before, "/")+1]+name)
		want(t, sqlstore.New(db, sqlstore.PostgreSQL, nil), "LATIN1")
	})
	t.Run("MySQL", func(t *testing.T) {
		config, err := mysql.ParseDSN(createMySQL(t))
		if err != nil {
			t.Fatal(err)
		}
		config.Params = map[string]string{"charset": "latin1"}
		want(t, sqlstore.New(databases[2].open(t, config.FormatDSN()), sqlstore.MySQL, nil), "charset=utf8mb4")
	})
}

// TestMigrateWithoutRights checks that the error says what the database user may
// not do.
func TestMigrateWithoutRights(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "clients.db")
		db := databases[0].open(t, "file:"+file)
		if _, err := db.Exec("CREATE TABLE one (two integer)"); err != nil {
			t.Fatal(err)
		}
		err := sqlstore.New(databases[0].open(t, "file:"+file+"?mode=ro"), sqlstore.SQLite, nil).Migrate(t.Context())
		if err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("Migrate returned %v", err)
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		db := databases[1].open(t, createPostgreSQL(t))
		db.SetMaxOpenConns(1)
		for _, statement := range []string{"DROP ROLE IF EXISTS dcr_test_reader", "CREATE ROLE dcr_test_reader", "SET ROLE dcr_test_reader"} {
			if _, err := db.Exec(statement); err != nil {
				t.Skipf("%s: %v", statement, err)
			}
		}
		t.Cleanup(func() { db.Exec("RESET ROLE"); db.Exec("DROP ROLE dcr_test_reader") })
		err := sqlstore.New(db, sqlstore.PostgreSQL, nil).Migrate(t.Context())
		if err == nil || !strings.Contains(err.Error(), "as the owner") {
			t.Errorf("Migrate returned %v", err)
		}
	})
}

// TestMigrateNewer checks that a database that a newer version has migrated is
// refused and not changed.
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

var isThere = regexp.MustCompile("(?i)duplicate (column|key) name")

// TestMigrateByHand checks that the statements do the same if another tool runs
// them, and that Migrate then finds nothing to do.
func TestMigrateByHand(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		db := d.open(t, d.create(t))
		opts := &sqlstore.Options{TablePrefix: "by_hand_"}
		for _, migration := range sqlstore.Migrations(d.dialect, opts) {
			for i, statement := range append(migration.Statements, migration.Statements...) { // repeating them does no harm
				_, err := db.Exec(statement)
				again := i >= len(migration.Statements) // some databases have no IF NOT EXISTS for it
				if err != nil && !(again && isThere.MatchString(err.Error())) {
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

// TestMigrateFromEachStep checks that a database of each older version is
// migrated with its contents.
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

// atStep returns a database with the first steps of the schema and one client.
func atStep(t *testing.T, d database, last int) *sql.DB {
	t.Helper()
	db := d.open(t, d.create(t))
	for _, migration := range sqlstore.Migrations(d.dialect, nil)[:last] {
		for _, statement := range migration.Statements {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := sqlstore.New(db, d.dialect, nil).Add(t.Context(), &dcr.Client{ID: "old"}); err != nil {
		t.Fatal(err)
	}
	return db
}

// TestMigrateWhileOthersRead checks on PostgreSQL that clients can be read while an index
// is built, which takes long if there are many clients.
func TestMigrateWhileOthersRead(t *testing.T) {
	d := databases[1]
	db := atStep(t, d, 3)
	held, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for _, statement := range []string{
		"CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock_shared(7); END $$",
		"CREATE EVENT TRIGGER wait ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION wait()",
		"SELECT pg_advisory_lock(7)",
	} {
		if _, err := held.ExecContext(t.Context(), statement); err != nil {
			t.Skipf("%s: %v", statement, err) // only a superuser may
		}
	}
	migrated := make(chan error, 1)
	go func() { migrated <- sqlstore.New(db, d.dialect, nil).Migrate(t.Context()) }()
	for waiting := 0; waiting == 0; time.Sleep(10 * time.Millisecond) {
		if err := db.QueryRow("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var id string
	if err := db.QueryRowContext(ctx, "SELECT client_id FROM dcr_clients").Scan(&id); err != nil || id != "old" {
		t.Errorf("while an index is built, the client read is %q, %v", id, err)
	}
	if _, err := held.ExecContext(t.Context(), "SELECT pg_advisory_unlock(7)"); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Error(err)
	}
}

// TestMigrateFromAnOlderStepAtOnce checks that many hosts may migrate a database with
// clients at once, while others use it.
func TestMigrateFromAnOlderStepAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		db := atStep(t, d, 3)
		var hosts sync.WaitGroup
		for host := range 4 {
			store := sqlstore.New(db, d.dialect, nil)
			hosts.Go(func() {
				if err := store.Migrate(t.Context()); err != nil {
					t.Errorf("host %d: %v", host, err)
				}
				if _, err := store.FindByClientID(t.Context(), "old"); err != nil {
					t.Errorf("host %d: %v", host, err)
				}
			})
			hosts.Go(func() {
				for i := range 20 {
					insert := fmt.Sprintf("INSERT INTO dcr_clients (tenant, client_id, created_at, document) VALUES ('', 'of-%d-%d', 1, '{}')", host, i)
					_, err := db.Exec(insert)
					for err != nil && strings.HasPrefix(err.Error(), "Error 1213 ") { // a Galera cluster undoes a write that a schema change meets
						_, err = db.Exec(insert)
					}
					if err != nil && d.name != "SQLite" { // which admits one writer at a time
						t.Errorf("host %d: %v", host, err)
					}
				}
			})
		}
		hosts.Wait()
		var versions int
		if err := db.QueryRow("SELECT COUNT(*) FROM dcr_schema_versions").Scan(&versions); err != nil || versions != len(sqlstore.Migrations(d.dialect, nil)) {
			t.Errorf("%d versions are recorded, %v", versions, err)
		}
	})
}

// TestMigrateAfterRollback checks that the statement of docs/operating.md shows a database
// to a program of the first three steps as it was, and that the fourth can then be run
// again, with its contents.
func TestMigrateAfterRollback(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, statement, _ := strings.Cut(string(page), "```sql\n")
	statement, _, found := strings.Cut(statement, ";\n```")
	if !found {
		t.Fatal("the page has no SQL")
	}
	everywhere(t, func(t *testing.T, d database) {
		store, db := d.store(t, nil)
		client := dcr.NewClient()
		client.ID = "one"
		if err := errors.Join(store.Add(t.Context(), client), store.NoteConsent(t.Context(), "one", "olga", time.Now())); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
		var newest int
		if err := db.QueryRow("SELECT MAX(version) FROM dcr_schema_versions").Scan(&newest); err != nil || newest != 3 {
			t.Errorf("the newest step is %d, %v", newest, err)
		}
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if read, err := store.FindByClientID(t.Context(), "one"); err != nil || read.ActivatedBy != "olga" {
			t.Errorf("the client is %+v, %v", read, err)
		}
	})
}

// TestMigrateUpToDate checks that a database that is up to date is only read,
// so that a program without the right to change the schema can start.
func TestMigrateUpToDate(t *testing.T) {
	d := databases[0]
	file := filepath.Join(t.TempDir(), "clients.db")
	d.storeIn(t, d.open(t, sqlstore.SQLiteDSN(file)), nil)
	readOnly := sqlstore.New(d.open(t, "file:"+file+"?mode=ro"), d.dialect, nil)
	if err := readOnly.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
}

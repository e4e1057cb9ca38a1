package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// long is the name of a tenant of which the database has only the hash.
var long = strings.Repeat("long", 50)

// move runs the program.
func move(t *testing.T, from, to string, resume bool) (out string, err error) {
	t.Helper()
	s := settings{from: from, to: to, prefix: "dcr_", resume: resume, tenants: map[string]string{}}
	s.addTenant(long)
	var text strings.Builder
	err = run(t.Context(), s, &text)
	return text.String(), err
}

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// moved is the output after a move of what fill adds. Expired values are not moved.
const moved = `clients: 407 copied, 407 compared, 0 differ
initial_access_tokens: 3 copied, 3 compared, 0 differ
seen: 6 copied, 6 compared, 0 differ
`

// TestMove moves a filled store along each route, and checks that the target is the same,
// both row by row and through the store.
func TestMove(t *testing.T) {
	for _, c := range []struct {
		sentence string
		route    []func(*testing.T) string
	}{
		{"from one file to another", []func(*testing.T) string{newSQLite}},
		{"through all dialects and back", []func(*testing.T) string{newPostgreSQL, newMySQL, newSQLite}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			first := newSQLite(t)
			fill(t, opened(t, first))
			last := first
			for _, create := range c.route {
				next := create(t)
				if out, err := move(t, last, next, false); err != nil || out != moved {
					t.Fatalf("from %s to %s: %v, with the output\n%s", last, next, err, out)
				}
				last = next
			}
			wantSameRows(t, opened(t, first), opened(t, last))
			wantSameStore(t, opened(t, last).store)
		})
	}
}

// TestResume shows that a move can be continued wherever it was interrupted.
func TestResume(t *testing.T) {
	from, to := newSQLite(t), newSQLite(t)
	source := opened(t, from)
	fill(t, source)
	if _, err := move(t, from, to, false); err != nil {
		t.Fatal(err)
	}
	target := opened(t, to)
	readd := func(clientID string) error {
		client, err := source.store.ForTenant("Größe").FindByClientID(t.Context(), clientID)
		tenant := target.store.ForTenant("Größe")
		return errors.Join(err, tenant.Delete(t.Context(), clientID), tenant.Add(t.Context(), client))
	}
	for _, c := range []struct {
		sentence string
		cut      func() error
		copied   int
	}{
		{"nothing is missing", func() error { return nil }, 0},
		{"a client is missing", func() error { return target.store.ForTenant(long).Delete(t.Context(), "changed") }, 1},
		{"a client was added without its revision", func() error { return readd("changed") }, 1},
		{"a client was added without its exact document", func() error { return readd("imported") }, 1},
	} {
		if err := c.cut(); err != nil {
			t.Fatalf("%s: %v", c.sentence, err)
		}
		if _, err := move(t, from, to, false); err == nil {
			t.Errorf("%s: a target with rows was not refused", c.sentence)
		}
		want := fmt.Sprintf("clients: %d copied, 407 compared, 0 differ\n", c.copied)
		if out, err := move(t, from, to, true); err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%s: continuing failed: %v, with the output\n%s", c.sentence, err, out)
		}
	}
	wantSameRows(t, source, target)
	wantSameStore(t, target.store)
}

// TestDifferences shows that each difference is reported with its id, makes the program
// fail, and is not changed.
func TestDifferences(t *testing.T) {
	from, to := newSQLite(t), newSQLite(t)
	fill(t, opened(t, from))
	if _, err := move(t, from, to, false); err != nil {
		t.Fatal(err)
	}
	target := opened(t, to)
	for _, c := range []struct{ sentence, statement, want string }{
		{"another document", "UPDATE dcr_clients SET document = '{}' WHERE client_id = 'plain-000'",
			`clients: tenant "Größe", client_id "plain-000": differs in document`},
		{"another revision", "UPDATE dcr_clients SET revision = 7 WHERE client_id = 'imported' AND tenant = ''",
			`clients: tenant "", client_id "imported": differs in revision`},
		{"a later use", "UPDATE dcr_clients SET last_used_at = last_used_at + 1 WHERE client_id = 'changed' AND tenant = ''",
			`clients: tenant "", client_id "changed": differs in last_used_at`},
		{"an additional client", "INSERT INTO dcr_clients (tenant, client_id, source, created_at, document) VALUES ('z', 'new', '', 0, '{}')",
			`clients: tenant "z", client_id "new": only the target has it`},
		{"another count of uses", "UPDATE dcr_initial_access_tokens SET uses = 2 WHERE tenant = ''",
			`initial_access_tokens: tenant "", hash "hash": differs in uses`},
		{"another expiry of a used value", "UPDATE dcr_seen SET expires_at = expires_at + 1 WHERE tenant = '' AND seen_key = 'value'",
			`seen: tenant "", seen_key "value": differs in expires_at`},
	} {
		if _, err := target.Exec(c.statement); err != nil {
			t.Fatalf("%s: %v", c.sentence, err)
		}
		var logged bytes.Buffer
		log.SetOutput(&logged)
		_, err := move(t, from, to, true)
		log.SetOutput(io.Discard)
		if err == nil || !strings.Contains(logged.String(), c.want+"\n") {
			t.Errorf("%s: returned %v, with the log\n%s\nnot %s", c.sentence, err, &logged, c.want)
		}
	}
}

// TestRefused shows that nothing is written, and no file is created, if something is wrong
// at the start.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, statements ...string) string {
		db := opened(t, "sqlite:"+filepath.Join(dir, name))
		for _, statement := range statements {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		return "sqlite:" + filepath.Join(dir, name)
	}
	const newer = "INSERT INTO dcr_schema_versions (version, migrated_at) VALUES (1000, 0)"
	good := file("good.db")
	tenanted := file("tenanted.db",
		"INSERT INTO dcr_clients (tenant, client_id, source, created_at, document) VALUES ('sha256:unknown', 'one', '', 0, '{}')")
	missing := "sqlite:" + filepath.Join(dir, "missing.db")
	other := filepath.Join(dir, "other.txt")
	if err := os.WriteFile(other, []byte(strings.Repeat("not a database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ sentence, from, to, want string }{
		{"the source's name is mistyped", missing, missing, "-from: cannot read the file"},
		{"the source is not a database", "sqlite:" + other, missing, "-from: file is not a database"},
		{"the source has other tables", file("others.db", "ALTER TABLE dcr_schema_versions RENAME TO other"), missing, `-from: it has no tables of sqlstore whose names begin with "dcr_"`},
		{"the source has an older schema", file("old.db", "DELETE FROM dcr_schema_versions WHERE version > 1"), missing, "-from: its schema has version 1, older than"},
		{"the source has a newer schema", file("new.db", newer), missing, "-from: " + sqlstore.ErrNewerSchema.Error()},
		{"the target has a newer schema", good, file("newtarget.db", newer), "-to: " + sqlstore.ErrNewerSchema.Error()},
		{"the source does not name a database", "good.db", missing, `-from: "good.db" names no database`},
		{"the target does not name a database", good, "oracle:x", `-to: "oracle:x" names no database`},
		{"the target has clients", good, tenanted, "-to: dcr_clients already has rows"},
		{"the name of a tenant is unknown", tenanted, file("empty.db"), `tenant "sha256:unknown", client_id "one": the database has only the hash of the tenant`},
	} {
		if out, err := move(t, c.from, c.to, false); err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
			t.Errorf("%s: returned %v, not %s, with the output %q", c.sentence, err, c.want, out)
		}
		if _, err := os.Stat(filepath.Join(dir, "missing.db")); err == nil {
			t.Fatalf("%s: a file was created", c.sentence)
		}
	}
}

// fill adds everything that a tenant can have: clients on several pages, changed clients,
// used clients, a client that another program wrote, a token that was used, and used
// values.
func fill(t *testing.T, d *database) {
	var wait sync.WaitGroup
	must := func(errs ...error) {
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	}
	for i := range 2*pageSize + 1 {
		wait.Go(func() { // so that the writes share commits
			client := dcr.NewClient()
			client.ID, client.ClientName = fmt.Sprintf("plain-%03d", i), "Größe \U0001F511 \\ \u2028"
			must(d.store.ForTenant("Größe").Add(t.Context(), client))
		})
	}
	wait.Wait()
	for _, tenant := range []string{"", "Größe", long} {
		store := d.store.ForTenant(tenant)
		changed := &dcr.Client{}
		must(changed.UnmarshalJSON([]byte(`{"client_id":"changed","metadata":{"software_id":"software","member_of_2031":[2.50]},` +
			`"status":"pending","setting_of_2031":{"deep":[true,null]},"statement":{"issuer":"https://issuer.example","id":"1"},` +
			`"last_used_at":"2026-01-02T03:04:05.123456789Z"}`)))
		must(store.Add(t.Context(), changed), store.Update(t.Context(), changed),
			store.TouchClient(t.Context(), "changed", time.Now()))
		imported := dcr.NewClient()
		imported.ID = "imported"
		must(store.Add(t.Context(), imported))
		must(store.AddInitialAccessToken(t.Context(), &dcr.InitialAccessToken{Hash: "hash", MaxUses: 2}),
			store.UseInitialAccessToken(t.Context(), "hash", time.Now()))
		for value, until := range map[string]time.Duration{"value": time.Hour, strings.Repeat("value", 99): time.Hour, "expired": -time.Hour} {
			_, err := store.Remember(t.Context(), value, time.Now().Add(until), time.Now())
			must(err)
		}
	}
	_, err := d.Exec(`UPDATE dcr_clients SET document = '{ "metadata": {}, "client_id": "imported" }' WHERE client_id = 'imported'`)
	must(err)
	if t.Failed() {
		t.FailNow()
	}
}

func wantSameRows(t *testing.T, from, to *database) {
	t.Helper()
	m := mover{from: from, to: to}
	for _, table := range tablesAt(time.Now()) {
		compared, different, err := m.compare(t.Context(), table)
		if err != nil || compared < 3 || different > 0 {
			t.Errorf("%s: of %d rows, %d differ, %v", table.name, compared, different, err)
		}
	}
}

// wantSameStore checks that a store finds what fill added, with every kind of search.
func wantSameStore(t *testing.T, store *sqlstore.Store) {
	pending := dcr.StatusPending
	for _, tenant := range []string{"", "Größe", long} {
		store := store.ForTenant(tenant)
		found, err := store.CountClients(t.Context(), dcr.Filter{SoftwareID: "software", Status: &pending})
		if err != nil || found != 1 {
			t.Errorf("tenant %.10q: %d clients are of the software, %v", tenant, found, err)
		}
		client, err := store.FindByClientID(t.Context(), "changed")
		if err != nil || time.Since(client.LastUsedAt) > time.Hour {
			t.Errorf("tenant %.10q: found %+v, %v", tenant, client, err)
		}
		ids, err := store.FindByStatement(t.Context(), "https://issuer.example", "1")
		if err != nil || !slices.Equal(ids, []string{"changed"}) {
			t.Errorf("tenant %.10q: the statement has the clients %q, %v", tenant, ids, err)
		}
		if err := store.UseInitialAccessToken(t.Context(), "hash", time.Now()); err != nil {
			t.Errorf("tenant %.10q: the token's second use: %v", tenant, err)
		}
		if err := store.UseInitialAccessToken(t.Context(), "hash", time.Now()); !errors.Is(err, dcr.ErrTokenUsedUp) {
			t.Errorf("tenant %.10q: the token's third use: %v", tenant, err)
		}
		for value, want := range map[string]bool{"value": false, strings.Repeat("value", 99): false, "expired": true} {
			fresh, err := store.Remember(t.Context(), value, time.Now().Add(time.Hour), time.Now())
			if err != nil || fresh != want {
				t.Errorf("tenant %.10q: %.10q is fresh: %v, %v", tenant, value, fresh, err)
			}
		}
	}
}

// opened returns a database with tables. It is closed when the test ends.
func opened(t *testing.T, name string) *database {
	t.Helper()
	d, err := openTarget(context.Background(), name, "dcr_")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func newSQLite(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "clients.db") }

func newPostgreSQL(t *testing.T) string {
	dsn := cmp.Or(os.Getenv("DCR_TEST_POSTGRES"), "postgres://root@127.0.0.1:5432/test")
	name := createDatabase(t, "pgx", dsn, "CREATE DATABASE %s TEMPLATE template0", "DROP DATABASE %s WITH (FORCE)")
	before, _, _ := strings.Cut(dsn, "?")
	return before[:strings.LastIndex(before, "/")+1] + name
}

func newMySQL(t *testing.T) string {
	dsn := cmp.Or(os.Getenv("DCR_TEST_MYSQL"), "root@tcp(127.0.0.1:3306)/test")
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.DBName = createDatabase(t, "mysql", dsn, "CREATE DATABASE %s", "DROP DATABASE %s")
	named := url.URL{Scheme: "mysql", User: url.UserPassword(config.User, config.Passwd), Host: config.Addr, Path: config.DBName}
	return named.String()
}

// createDatabase creates a database that is dropped when the test ends. If there is no
// server, the test is skipped, or fails in CI.
func createDatabase(t *testing.T, driver, dsn, create, drop string) string {
	t.Helper()
	server, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := server.PingContext(ctx); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI needs the database server at %s: %v", dsn, err)
		}
		t.Skipf("there is no database server at %s: %v", dsn, err)
	}
	name := "dcr_test_" + strings.ToLower(rand.Text())
	if _, err := server.ExecContext(ctx, fmt.Sprintf(create, name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := server.Exec(fmt.Sprintf(drop, name)); err != nil {
			t.Error(err)
		}
	})
	return name
}

package sqltest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr/sqlstore"
)

// database is a kind of database that the tests run on.
type database struct {
	name    string
	dialect sqlstore.Dialect
	driver  string
	// create makes an empty database for the test, which is dropped afterwards,
	// and returns its data source name.
	create func(t testing.TB) string
}

var databases = []database{
	{"SQLite", sqlstore.SQLite, "sqlite", createSQLite},
	{"PostgreSQL", sqlstore.PostgreSQL, "pgx", createPostgreSQL},
	{"MySQL", sqlstore.MySQL, "mysql", createMySQL},
}

// everywhere runs a test on each kind of database.
func everywhere(t *testing.T, test func(t *testing.T, d database)) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) { test(t, d) })
	}
}

// open opens a pool, which is closed when the test ends.
func (d database) open(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(16)
	t.Cleanup(func() { db.Close() })
	return db
}

// store returns a migrated store in its own database.
func (d database) store(t testing.TB, opts *sqlstore.Options) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	db := d.open(t, d.create(t))
	return d.storeIn(t, db, opts), db
}

// storeIn returns a migrated store in db.
func (d database) storeIn(t testing.TB, db *sql.DB, opts *sqlstore.Options) *sqlstore.Store {
	t.Helper()
	store := sqlstore.New(db, d.dialect, opts)
	if err := store.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func createSQLite(t testing.TB) string {
	return sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "clients.db"))
}

// The servers that the tests use. They are on their standard ports unless the
// environment names others.
var (
	postgresDSN = environment("DCR_TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test")
	mysqlDSN    = environment("DCR_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test")
)

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func createPostgreSQL(t testing.TB) string {
	name := createDatabase(t, "pgx", postgresDSN, `CREATE DATABASE %s TEMPLATE template0`, `DROP DATABASE %s WITH (FORCE)`)
	before, _, _ := strings.Cut(postgresDSN, "?")
	return before[:strings.LastIndex(before, "/")+1] + name
}

func createMySQL(t testing.TB) string {
	// The server's default collation ignores case: this must not affect the
	// store.
	name := createDatabase(t, "mysql", mysqlDSN, `CREATE DATABASE %s CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`, `DROP DATABASE %s`)
	config, err := mysql.ParseDSN(mysqlDSN)
	if err != nil {
		t.Fatal(err)
	}
	config.DBName = name
	return config.FormatDSN()
}

// createDatabase makes a database that is dropped when the test ends. Without a
// server, the test is skipped; in CI it fails.
func createDatabase(t testing.TB, driver, dsn, create, drop string) string {
	t.Helper()
	server, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.PingContext(ctx); err != nil {
		server.Close()
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
		server.Close()
	})
	return name
}

package main

// The database of a year.

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr/sqlstore"
)

// database has the clients of a year.
type database struct {
	dialect sqlstore.Dialect
	driver  string
	dsn     string
	size    func(ctx context.Context) (bytes int64, err error)
	drop    func()
}

// create creates an empty database.
func create(ctx context.Context, name, dir string) (*database, error) {
	switch name {
	case "sqlite":
		return createSQLite(dir)
	case "postgresql":
		return createPostgreSQL(ctx)
	}
	return nil, fmt.Errorf("-databases must name sqlite or postgresql")
}

func createSQLite(dir string) (*database, error) {
	dir, err := os.MkdirTemp(dir, "year")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "clients.db")
	return &database{sqlstore.SQLite, "sqlite", sqlstore.SQLiteDSN(file), func(context.Context) (int64, error) {
		about, err := os.Stat(file)
		if err != nil {
			return 0, err
		}
		return about.Size(), nil
	}, func() { os.RemoveAll(dir) }}, nil
}

func createPostgreSQL(ctx context.Context) (*database, error) {
	of := cmp.Or(os.Getenv("DCR_TEST_POSTGRES"), "postgres://root@127.0.0.1:5432/test")
	address, err := url.Parse(of)
	if err != nil {
		return nil, err
	}
	server, err := sql.Open("pgx", of)
	if err != nil {
		return nil, err
	}
	name := "dcr_year_" + strings.ToLower(rand.Text())
	if _, err := server.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		server.Close()
		return nil, err
	}
	address.Path = "/" + name
	return &database{sqlstore.PostgreSQL, "pgx", address.String(), func(ctx context.Context) (size int64, err error) {
		return size, server.QueryRowContext(ctx, "SELECT pg_database_size($1)", name).Scan(&size)
	}, func() {
		if _, err := server.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			fmt.Fprintln(os.Stderr, "year:", err)
		}
		server.Close()
	}}, nil
}

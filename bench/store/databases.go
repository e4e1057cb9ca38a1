package main

// The databases to measure.

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr/sqlstore"
)

// kind is a kind of database to measure.
type kind struct {
	name    string
	dialect sqlstore.Dialect
	driver  string
	dsn     func() string                 // the data source name of the server; "" if the database is a file
	inside  func(dsn, name string) string // the data source name of a database on that server
	explain string
	settle  string // what a server does with a table some time after many rows were loaded; "" if nothing
}

var kinds = []kind{
	{"sqlite", sqlstore.SQLite, "sqlite", func() string { return "" }, nil, "EXPLAIN QUERY PLAN ", ""},
	{"postgresql", sqlstore.PostgreSQL, "pgx", func() string {
		return environment("DCR_TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test")
	}, func(dsn, name string) string {
		before, _, _ := strings.Cut(dsn, "?")
		return before[:strings.LastIndex(before, "/")+1] + name
	}, "EXPLAIN ", "VACUUM ANALYZE "},
	{"mysql", sqlstore.MySQL, "mysql", func() string {
		return environment("DCR_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test")
	}, func(dsn, name string) string {
		config, err := mysql.ParseDSN(dsn)
		if err != nil {
			panic(err) // it was parsed before
		}
		config.DBName = name
		return config.FormatDSN()
	}, "EXPLAIN ", "ANALYZE TABLE "},
}

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// create creates an empty database. It returns its data source name and a function that
// drops it.
func (k *kind) create(ctx context.Context, dir string) (dsn string, drop func(), err error) {
	name := "dcr_bench_" + strings.ToLower(rand.Text())
	if k.inside == nil {
		if dir, err = os.MkdirTemp(dir, name); err != nil {
			return "", nil, err
		}
		return sqlstore.SQLiteDSN(filepath.Join(dir, "clients.db")), func() { os.RemoveAll(dir) }, nil
	}
	server, err := sql.Open(k.driver, k.dsn())
	if err != nil {
		return "", nil, err
	}
	if _, err := server.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		server.Close()
		return "", nil, err
	}
	return k.inside(k.dsn(), name), func() {
		if _, err := server.Exec("DROP DATABASE " + name); err != nil {
			fmt.Fprintln(os.Stderr, "store:", err)
		}
		server.Close()
	}, nil
}

// open opens a pool that keeps the given number of connections open.
func (k *kind) open(dsn string, connections int) (*sql.DB, error) {
	db, err := sql.Open(k.driver, dsn)
	if err == nil {
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
	}
	return db, err
}

// settled does now what the server would do with the tables later.
func (k *kind) settled(ctx context.Context, db *sql.DB, tables ...string) error {
	if k.settle == "" {
		return nil
	}
	for _, table := range tables {
		if _, err := db.ExecContext(ctx, k.settle+table); err != nil {
			return err
		}
	}
	return nil
}

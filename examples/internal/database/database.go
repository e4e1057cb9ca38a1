// Package database opens the store that a -db flag names.
package database

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/sqlstore"
)

// Help is the usage of a -db flag.
const Help = "keep clients in sqlite:FILE, postgres://…, mysql://… or memory:"

// connections is how many connections the pool opens and keeps, since to open one
// costs more than a registration.
const connections = 32

// OpenStore opens the store that a -db flag names, and creates its tables.
func OpenStore(ctx context.Context, name string) (store dcr.ClientConfigurationStore, closeStore func(), err error) {
	scheme, rest, _ := strings.Cut(name, ":")
	var db *sql.DB
	var dialect sqlstore.Dialect
	switch scheme {
	case "memory":
		return memstore.New(), func() {}, nil
	case "sqlite":
		dialect = sqlstore.SQLite
		db, err = sql.Open("sqlite", sqlstore.SQLiteDSN(rest))
	case "postgres", "postgresql":
		dialect = sqlstore.PostgreSQL
		db, err = sql.Open("pgx", name)
	case "mysql":
		dialect = sqlstore.MySQL
		db, err = openMySQL(name)
	default:
		err = errors.New("want memory:, sqlite:FILE, postgres://… or mysql://…")
	}
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	clients := sqlstore.New(db, dialect, nil)
	if err := clients.Migrate(ctx); err != nil {
		db.Close()
		return nil, nil, err
	}
	return clients, func() { clients.Close(); db.Close() }, nil
}

// openMySQL opens mysql://user:password@host:port/database, a form that the
// driver does not read itself.
func openMySQL(name string) (*sql.DB, error) {
	parsed, err := url.Parse(name)
	if err != nil {
		return nil, err
	}
	host := net.JoinHostPort(parsed.Hostname(), cmp.Or(parsed.Port(), "3306"))
	config, err := mysql.ParseDSN("tcp(" + host + ")" + cmp.Or(parsed.Path, "/") + "?" + parsed.RawQuery)
	if err != nil {
		return nil, err
	}
	config.User = parsed.User.Username()
	config.Passwd, _ = parsed.User.Password()
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

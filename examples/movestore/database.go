package main

// The databases to move from and to.

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr/sqlstore"
)

// database is the source or the target.
type database struct {
	*sql.DB
	dialect sqlstore.Dialect
	prefix  string
	store   *sqlstore.Store
}

// connections limits how many clients are added at once.
const connections = 16

// open opens a database. file returns the data source name of an SQLite file.
func open(name, prefix string, file func(string) string) (*database, error) {
	d := &database{prefix: prefix}
	var driver, dsn string
	var err error
	switch scheme, rest, _ := strings.Cut(name, ":"); scheme {
	case "sqlite":
		d.dialect, driver, dsn = sqlstore.SQLite, "sqlite", file(rest)
	case "postgres", "postgresql":
		d.dialect, driver, dsn = sqlstore.PostgreSQL, "pgx", name
	case "mysql":
		d.dialect, driver = sqlstore.MySQL, "mysql"
		dsn, err = mysqlDSN(name)
	default:
		err = fmt.Errorf("%q names no database: want sqlite:FILE, postgres://… or mysql://…", name)
	}
	if err == nil {
		d.DB, err = sql.Open(driver, dsn)
	}
	if err != nil {
		return nil, err
	}
	d.SetMaxOpenConns(connections)
	d.SetMaxIdleConns(connections)
	d.store = sqlstore.New(d.DB, d.dialect, d.options())
	return d, nil
}

// mysqlDSN turns mysql://user:password@host:port/database?parameters into the
// form that the driver reads.
func mysqlDSN(name string) (string, error) {
	parsed, err := url.Parse(name)
	if err != nil {
		return "", err
	}
	host := net.JoinHostPort(parsed.Hostname(), cmp.Or(parsed.Port(), "3306"))
	config, err := mysql.ParseDSN("tcp(" + host + ")" + cmp.Or(parsed.Path, "/") + "?" + parsed.RawQuery)
	if err != nil {
		return "", err
	}
	config.User = parsed.User.Username()
	config.Passwd, _ = parsed.User.Password()
	return config.FormatDSN(), nil
}

func (d *database) options() *sqlstore.Options { return &sqlstore.Options{TablePrefix: d.prefix} }

func (d *database) Close() error { return errors.Join(d.store.Close(), d.DB.Close()) }

// openSource opens the database to read. SQLite must write nothing there, and not
// even create a missing file.
func openSource(ctx context.Context, name, prefix string) (*database, error) {
	if file, is := strings.CutPrefix(name, "sqlite:"); is {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("cannot read the file: %w", err)
		}
	}
	d, err := open(name, prefix, func(file string) string {
		path, _, _ := strings.Cut(sqlstore.SQLiteDSN(file), "?")
		return path + "?mode=ro&_pragma=busy_timeout(5000)"
	})
	if err != nil {
		return nil, err
	}
	if err := d.checkSchema(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// checkSchema refuses a schema of another version, since this program does not know
// its tables.
func (d *database) checkSchema(ctx context.Context) error {
	if err := d.PingContext(ctx); err != nil {
		return err
	}
	migrations := sqlstore.Migrations(d.dialect, d.options())
	known := int64(migrations[len(migrations)-1].Version)
	var current sql.NullInt64
	err := d.QueryRowContext(ctx, "SELECT MAX(version) FROM "+d.quote("schema_versions")).Scan(&current)
	switch {
	case err != nil:
		return fmt.Errorf("it has no tables of sqlstore whose names begin with %q: %w", d.prefix, err)
	case current.Int64 > known:
		return fmt.Errorf("%w: version %d, not %d; update this program", sqlstore.ErrNewerSchema, current.Int64, known)
	case current.Int64 < known:
		return fmt.Errorf("its schema has version %d, older than this program's %d: run Store.Migrate on it first", current.Int64, known)
	}
	return nil
}

// openTarget opens the database to write, and creates its tables if it has none.
func openTarget(ctx context.Context, name, prefix string) (*database, error) {
	d, err := open(name, prefix, sqlstore.SQLiteDSN)
	if err != nil {
		return nil, err
	}
	if err := d.store.Migrate(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// quote returns the name of a table in the quotes of the dialect.
func (d *database) quote(table string) string {
	mark := `"`
	if d.dialect == sqlstore.MySQL {
		mark = "`"
	}
	return mark + d.prefix + table + mark
}

// number replaces each ? with $1, $2 … if the dialect needs that.
func (d *database) number(text string) string {
	if d.dialect != sqlstore.PostgreSQL {
		return text
	}
	parts := strings.Split(text, "?")
	for i := range parts[1:] {
		parts[i] += "$" + strconv.Itoa(i+1)
	}
	return strings.Join(parts, "")
}

// table is the part of a table of sqlstore that is moved. docs/stored-form.md
// describes the tables.
type table struct {
	name    string
	key     string   // the column that, with tenant, names a row
	columns []string // up to three numbers, then the document, if there is one
	where   string   // a condition on every row, which begins with AND
}

const clients = "clients"

// tablesAt returns the tables. Used values that have expired are not moved. Only
// those columns of clients are copied that are not derived from the document.
func tablesAt(now time.Time) []table {
	return []table{
		{clients, "client_id", []string{"revision", "activated_at", "last_used_at", "document"}, ""},
		{"initial_access_tokens", "hash", []string{"max_uses", "uses", "expires_at", "document"}, ""},
		{"seen", "seen_key", []string{"expires_at"}, fmt.Sprint(" AND expires_at > ", now.UnixMicro())},
	}
}

// row is a row of any table.
type row struct {
	tenant, key string
	numbers     [3]int64
	document    string
}

// values returns pointers to the columns of t, to read into and to write from.
func (r *row) values(t table) []any {
	return []any{&r.numbers[0], &r.numbers[1], &r.numbers[2], &r.document}[:len(t.columns)]
}

// pageSize is how many rows are read, or written, at a time.
const pageSize = 200

func (d *database) used(ctx context.Context, t table) (used bool, err error) {
	var count int
	err = d.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM "+d.quote(t.name)+" LIMIT 1) AS few").Scan(&count)
	return count > 0, err
}

// rows yields the rows of a tenant in the order of their keys, which is the
// order of their bytes in every dialect. It reads in pages, each after the last
// key of the page before, and holds no connection while it yields.
func (d *database) rows(ctx context.Context, t table, tenant string) iter.Seq2[*row, error] {
	text := d.number("SELECT " + t.key + ", " + strings.Join(t.columns, ", ") + " FROM " + d.quote(t.name) +
		" WHERE tenant = ? AND " + t.key + " > ?" + t.where + " ORDER BY " + t.key + " LIMIT ?")
	return func(yield func(*row, error) bool) {
		for after := ""; ; {
			page, err := d.page(ctx, t, text, tenant, after)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
			after = page[len(page)-1].key
		}
	}
}

func (d *database) page(ctx context.Context, t table, text, tenant, after string) (page []*row, err error) {
	found, err := d.QueryContext(ctx, text, tenant, after, pageSize)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		r := &row{tenant: tenant}
		if err := found.Scan(append([]any{&r.key}, r.values(t)...)...); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, found.Err()
}

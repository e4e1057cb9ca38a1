// Movestore copies clients, initial access tokens and used values from one
// database to another, of any dialect, with all tenants:
//
//	go run ./examples/movestore -from sqlite:clients.db -to postgres://user@host/db
//
// Rows are copied as they are, so client ids, secrets, tokens and uses stay
// what they were. Stop the hosts that write to the source first. A target that
// has rows already is refused; with -resume, rows that it has are left as they
// are, so that a copy which was cut short can go on.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"strings"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr/sqlstore"
)

// table is a table of sqlstore, as docs/stored-form.md describes it.
type table struct {
	name    string
	key     []string // beside tenant
	columns []string // the others
}

var tables = []table{
	{"clients", []string{"client_id"}, []string{
		"revision", "status", "source", "software_id", "registered_by", "policy", "statement_issuer", "statement_id",
		"created_at", "activated_at", "last_used_at", "expires_at", "document",
	}},
	{"initial_access_tokens", []string{"hash"}, []string{"max_uses", "uses", "expires_at", "document"}},
	{"seen", []string{"seen_key"}, []string{"expires_at"}},
}

// database is one of the two.
type database struct {
	*sql.DB
	dialect sqlstore.Dialect
	prefix  string
}

// open opens the database that a flag names and brings its tables up to date,
// so that both have the same.
func open(ctx context.Context, name, prefix string) (*database, error) {
	scheme, rest, _ := strings.Cut(name, ":")
	d := &database{prefix: prefix}
	var err error
	switch scheme {
	case "sqlite":
		d.dialect = sqlstore.SQLite
		d.DB, err = sql.Open("sqlite", sqlstore.SQLiteDSN(rest))
	case "postgres", "postgresql":
		d.dialect = sqlstore.PostgreSQL
		d.DB, err = sql.Open("pgx", name)
	case "mysql":
		d.dialect = sqlstore.MySQL
		d.DB, err = openMySQL(name)
	default:
		err = fmt.Errorf("%q: want sqlite:FILE, postgres://… or mysql://…", name)
	}
	if err != nil {
		return nil, err
	}
	store := sqlstore.New(d.DB, d.dialect, &sqlstore.Options{TablePrefix: prefix})
	defer store.Close()
	if err := store.Migrate(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func openMySQL(name string) (*sql.DB, error) {
	address, err := url.Parse(name)
	if err != nil {
		return nil, err
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.DBName = "tcp", address.Host, address.User.Username(), strings.TrimPrefix(address.Path, "/")
	config.Passwd, _ = address.User.Password()
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func (d *database) placeholders(n int) string {
	if d.dialect != sqlstore.PostgreSQL {
		return "?" + strings.Repeat(", ?", n-1)
	}
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("$%d", i+1))
	}
	return strings.Join(list, ", ")
}

func (d *database) count(ctx context.Context, t table) (count int64, err error) {
	err = d.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+d.prefix+t.name).Scan(&count)
	return count, err
}

// batch is how many rows share a transaction.
const batch = 500

// move copies all rows of a table.
func move(ctx context.Context, t table, from, to *database) (copied int64, err error) {
	columns := append(append([]string{"tenant"}, t.key...), t.columns...)
	list := strings.Join(columns, ", ")
	insert := "INSERT INTO " + to.prefix + t.name + " (" + list + ") VALUES (" + to.placeholders(len(columns)) + ")"
	if to.dialect == sqlstore.MySQL {
		insert += " ON DUPLICATE KEY UPDATE tenant = tenant" // leaves the row as it is
	} else {
		insert += " ON CONFLICT DO NOTHING"
	}
	rows, err := from.QueryContext(ctx, "SELECT "+list+" FROM "+from.prefix+t.name+" ORDER BY tenant, "+strings.Join(t.key, ", "))
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for more := true; more; {
		var n int64
		n, more, err = copyBatch(ctx, rows, len(columns), to, insert)
		copied += n
		if err != nil {
			return copied, err
		}
	}
	return copied, rows.Err()
}

// copyBatch writes the next rows in one transaction.
func copyBatch(ctx context.Context, rows *sql.Rows, columns int, to *database, insert string) (copied int64, more bool, err error) {
	tx, err := to.BeginTx(ctx, nil)
	if err != nil {
		return 0, false, err
	}
	defer tx.Rollback() // does nothing after the commit
	prepared, err := tx.PrepareContext(ctx, insert)
	if err != nil {
		return 0, false, err
	}
	values, places := make([]any, columns), make([]any, columns)
	for i := range values {
		places[i] = &values[i]
	}
	for copied < batch {
		if !rows.Next() {
			return copied, false, errors.Join(rows.Err(), tx.Commit())
		}
		if err := rows.Scan(places...); err != nil {
			return 0, false, err
		}
		for i, value := range values {
			if text, is := value.([]byte); is { // as MySQL gives texts; SQLite would keep a blob
				values[i] = string(text)
			}
		}
		if _, err := prepared.ExecContext(ctx, values...); err != nil {
			return 0, false, err
		}
		copied++
	}
	return copied, true, tx.Commit()
}

func run(ctx context.Context, fromName, toName, prefix string, resume bool) error {
	from, err := open(ctx, fromName, prefix)
	if err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	defer from.Close()
	to, err := open(ctx, toName, prefix)
	if err != nil {
		return fmt.Errorf("-to: %w", err)
	}
	defer to.Close()
	for _, t := range tables {
		if count, err := to.count(ctx, t); err != nil || count > 0 && !resume {
			return errors.Join(err, fmt.Errorf("-to: %s%s has %d rows already; -resume keeps them and adds what is missing", prefix, t.name, count))
		}
	}
	for _, t := range tables {
		copied, err := move(ctx, t, from, to)
		if err != nil {
			return fmt.Errorf("%s, after %d rows: %w", t.name, copied, err)
		}
		want, errFrom := from.count(ctx, t)
		have, errTo := to.count(ctx, t)
		if err := errors.Join(errFrom, errTo); err != nil {
			return err
		}
		if have < want {
			return fmt.Errorf("%s: the source has %d rows, the target %d: does a host still write to the source?", t.name, want, have)
		}
		fmt.Printf("%s: %d rows\n", t.name, copied)
	}
	return nil
}

func main() {
	from := flag.String("from", "", "the `database` to read: sqlite:FILE, postgres://… or mysql://…")
	to := flag.String("to", "", "the `database` to write, likewise")
	prefix := flag.String("prefix", "dcr_", "what the names of the tables begin with")
	resume := flag.Bool("resume", false, "go on with a copy that was cut short")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *from, *to, *prefix, *resume); err != nil {
		log.Fatal("movestore: ", err)
	}
}

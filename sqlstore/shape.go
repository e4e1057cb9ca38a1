package sqlstore

// Databases that Migrate refuses.

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// refusal is the reason why Migrate refuses a database, in a sentence that says what to
// do. Trying again does not help.
type refusal string

func (r refusal) Error() string { return "sqlstore: migrate: " + string(r) }

// columns are the columns of each table that this version reads or writes: those of the
// first step, and those that a later step added.
var columns = []struct{ table, first, later string }{
	{"clients", "tenant, client_id, revision, source, policy, created_at, expires_at, activated_at, last_used_at, document",
		", document_record, document_at, withdrawn_at, activated_by"},
	{"client_keys", "tenant, client_id, name, value", ""},
	{"initial_access_tokens", "tenant, hash, max_uses, uses, expires_at, document", ", created_at"},
	{"seen", "tenant, seen_key, expires_at", ""},
	{"schema_versions", "version, migrated_at", ", minimum_version"},
}

// checkShape refuses a table that lacks a column.
func (s *Store) checkShape(ctx context.Context, conn *sql.Conn) error {
	for _, of := range columns {
		rows, err := conn.QueryContext(ctx, "SELECT "+of.first+of.later+" FROM "+s.names.table(of.table)+" WHERE 1 = 0")
		if err == nil {
			err = rows.Err()
			rows.Close()
		}
		if err != nil && s.class(err) == Failed && ctx.Err() == nil && !s.lacksRights(err) {
			return refusal(fmt.Sprintf("the table %s is not of the shape that this package makes (%v): another program made or changed it, or a recorded step of the schema was not run; choose another Options.TablePrefix, or restore the table", s.names.table(of.table), err))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkFoundShape is called after a migration failed. It refuses a table that was there
// before and lacks a column of the first step, which is why the migration failed.
func (s *Store) checkFoundShape(ctx context.Context) error {
	for _, of := range columns {
		table := s.names.table(of.table)
		if s.reads(ctx, "1", table) != nil {
			continue // there is none
		}
		if err := s.reads(ctx, of.first, table); err != nil && s.class(err) == Failed && !s.lacksRights(err) {
			return refusal(fmt.Sprintf("there is a table %s that this package did not make (%v); choose another Options.TablePrefix", table, err))
		}
	}
	return nil
}

// reads tries to read columns of a table.
func (s *Store) reads(ctx context.Context, names, table string) error {
	rows, err := s.db.QueryContext(ctx, "SELECT "+names+" FROM "+table+" WHERE 1 = 0")
	if err != nil {
		return err
	}
	return rows.Close()
}

// checkEncoding refuses a database that does not keep every text in UTF-8.
func (s *Store) checkEncoding(ctx context.Context, conn *sql.Conn) error {
	ask := map[Dialect]string{
		PostgreSQL: "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()",
		MySQL:      "SELECT @@character_set_connection",
		SQLite:     "PRAGMA encoding",
	}[s.dialect]
	var answer sql.NullString
	if err := conn.QueryRowContext(ctx, ask).Scan(&answer); err != nil && (s.class(err) != Failed || ctx.Err() != nil) {
		return err
	}
	encoding := answer.String
	switch {
	case !answer.Valid: // a server that speaks the dialect and has no answer
	case s.dialect == PostgreSQL && encoding != "UTF8":
		return refusal(fmt.Sprintf("the database is encoded in %s, which cannot store every text; create one with ENCODING 'UTF8' TEMPLATE template0", encoding))
	case s.dialect == MySQL && encoding != "utf8mb4":
		return refusal(fmt.Sprintf("the connection uses the character set %s, which cannot store every text; add charset=utf8mb4 to the data source name", encoding))
	case s.dialect == SQLite && encoding != "UTF-8":
		return refusal(fmt.Sprintf("the database is encoded in %s, in which texts are sorted differently; create one with PRAGMA encoding = 'UTF-8'", encoding))
	}
	return nil
}

// isThere reports whether a statement of a migration failed because what it adds
// already exists. Not every database has IF NOT EXISTS for it.
func (s *Store) isThere(err error) bool {
	switch s.dialect {
	case MySQL:
		number, _ := mysqlNumber(err)
		return number == 1060 || number == 1061
	case SQLite:
		return strings.Contains(err.Error(), "duplicate column name")
	}
	return false
}

// lacksRights reports whether the database denied a statement.
func (s *Store) lacksRights(err error) bool {
	switch s.dialect {
	case PostgreSQL:
		state, _ := sqlState(err)
		return state == "42501"
	case MySQL:
		number, _ := mysqlNumber(err)
		return number == 1044 || number == 1142 || number == 1143 || number == 1227
	}
	return strings.Contains(err.Error(), "readonly database")
}

// explainSchema says in a sentence which rights the user of the database lacks.
func (s *Store) explainSchema(err error) error {
	if !s.lacksRights(err) {
		return s.explain(err)
	}
	if s.dialect == SQLite {
		return fmt.Errorf("the database file is read-only, and its schema is not up to date; let a program that may write to it run Migrate first: %w", s.explain(err))
	}
	return fmt.Errorf("the database user may not read or change the schema; run Migrate once, or the statements of Migrations, as the owner of the tables,"+
		" and grant this user SELECT, INSERT, UPDATE and DELETE on them: %w", err)
}

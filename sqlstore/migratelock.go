package sqlstore

// Locks, so that one process at a time migrates the tables.

import (
	"context"
	"database/sql"
	"hash/fnv"
)

// lock lets one process at a time migrate these tables. unlock gets the error
// of the migration, keeps or undoes what the migration did, and returns the
// error to report. pause, unless it is nil, keeps what was done so far, so that
// others can use the tables, and takes the lock again: another process may have
// migrated the tables meanwhile.
func (d *database) lock(ctx context.Context, conn *sql.Conn) (unlock func(error) error, pause func() error, err error) {
	switch d.dialect {
	case PostgreSQL:
		return d.lockPostgreSQL(ctx, conn)
	case MySQL:
		unlock, err = d.lockMySQL(ctx, conn)
		return unlock, nil, err
	}
	if err := d.configureSQLite(ctx, conn); err != nil {
		return nil, nil, err
	}
	unlock, err = transaction(ctx, conn, "BEGIN IMMEDIATE")
	return unlock, nil, err
}

// transaction begins one by hand, since database/sql cannot say IMMEDIATE.
func transaction(ctx context.Context, conn *sql.Conn, begin string) (unlock func(error) error, err error) {
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return nil, err
	}
	return func(failed error) error {
		if failed == nil {
			if _, failed = conn.ExecContext(ctx, "COMMIT"); failed == nil {
				return nil
			}
		}
		discard(conn)
		return failed
	}, nil
}

// lockPostgreSQL takes an advisory lock that ends with the transaction. Databases
// that speak the dialect but have no such locks migrate without one: the statements
// may be repeated.
func (d *database) lockPostgreSQL(ctx context.Context, conn *sql.Conn) (unlock func(error) error, pause func() error, err error) {
	unlock, err = transaction(ctx, conn, "BEGIN")
	if err != nil {
		return nil, nil, err
	}
	sum := fnv.New64a()
	sum.Write([]byte("dcr " + d.names.table("schema_versions")))
	take := func() error {
		_, err := conn.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(sum.Sum64()))
		return err
	}
	err = take()
	if state, _ := sqlState(err); state == "0A000" || state == "42883" {
		_, err = conn.ExecContext(ctx, "ROLLBACK")
		return func(failed error) error { return failed }, nil, err
	}
	if err != nil {
		return nil, nil, unlock(err)
	}
	return unlock, func() error {
		for _, statement := range []string{"COMMIT", "BEGIN"} {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return take()
	}, nil
}

// lockMySQL takes a named lock of the connection, since MySQL commits after every
// statement that changes the schema. Clusters that have no such locks migrate without
// one.
func (d *database) lockMySQL(ctx context.Context, conn *sql.Conn) (func(error) error, error) {
	// SHA2, since MySQL 9 has no MD5 any more; a name has at most 64 characters.
	const name = "CONCAT('dcr ', LEFT(SHA2(CONCAT(COALESCE(DATABASE(), ''), ?), 256), 40))"
	table := d.names.table("schema_versions")
	none := func(failed error) error { return failed }
	for {
		var got sql.NullInt64
		err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+name+", 10)", table).Scan(&got)
		if number, answered := mysqlNumber(err); answered && number == 1235 {
			return none, nil
		}
		if err != nil {
			return nil, err
		}
		if got.Int64 == 1 {
			break
		}
	}
	return func(failed error) error {
		if _, err := conn.ExecContext(ctx, "DO RELEASE_LOCK("+name+")", table); err != nil {
			discard(conn) // which releases the lock
		}
		return failed
	}, nil
}

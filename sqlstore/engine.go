package sqlstore

// What migrations do differently for some of the servers that speak a dialect.

import (
	"context"
	"database/sql"
	"strings"
)

// forEngine returns a function that adapts a statement of a migration to the server.
// CockroachDB refuses keys with a collation, and compares texts by their bytes without
// one.
func (d *database) forEngine(ctx context.Context, conn *sql.Conn) (func(statement string) string, error) {
	var version string
	if d.dialect == PostgreSQL {
		if err := conn.QueryRowContext(ctx, "SELECT version()").Scan(&version); err != nil {
			return nil, err
		}
	}
	return func(statement string) string {
		if strings.HasPrefix(version, "CockroachDB") {
			return strings.ReplaceAll(statement, ` COLLATE "C"`, "")
		}
		return statement
	}, nil
}

// warnOfGalera logs a warning if a node of a Galera cluster answers reads
// before it has the writes that other nodes acknowledged: a client that was
// registered a moment ago is then not found.
func (d *database) warnOfGalera(ctx context.Context, conn *sql.Conn) {
	if d.dialect != MySQL {
		return
	}
	// Only MariaDB and Percona have these variables.
	const query = "SELECT @@wsrep_on, @@wsrep_sync_wait"
	var on bool
	var wait int
	if conn.QueryRowContext(ctx, query).Scan(&on, &wait) == nil && on && wait&1 == 0 {
		d.opts.Logger.WarnContext(ctx, "sqlstore: this node of a Galera cluster may not find a client that another node has just added: "+
			"add wsrep_sync_wait=1 to the data source name", "wsrep_sync_wait", wait)
	}
}

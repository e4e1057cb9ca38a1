package sqlstore

import (
	"database/sql/driver"
	"strings"
	"testing"
)

// TestMigrateOnCockroachDB checks that keys have a collation, except on a
// server that refuses it.
func TestMigrateOnCockroachDB(t *testing.T) {
	for version, collated := range map[string]bool{"PostgreSQL 15.20 on x86_64": true, "CockroachDB CCL v25.2.0": false} {
		var ran strings.Builder
		server := &fakeServer{
			exec: func(statement string, _ []driver.NamedValue) (int64, error) {
				ran.WriteString(statement)
				return 0, nil
			},
			query: func(statement string, _ []driver.NamedValue) ([]driver.Value, error) {
				if statement == "SELECT version()" {
					return []driver.Value{version}, nil
				}
				return []driver.Value{nil}, nil
			},
		}
		if err := server.store(t, PostgreSQL, nil).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(ran.String(), "PRIMARY KEY") || strings.Contains(ran.String(), "COLLATE") != collated {
			t.Errorf("on %s: %s", version, ran.String())
		}
	}
}

package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/dynreg/dcr"
)

// TestReadOnly checks that the store leaves a server that accepts no writes:
// its connection, and the idle ones of the pool, are closed before the next
// try.
func TestReadOnly(t *testing.T) {
	for _, c := range []struct {
		dialect Dialect
		err     error
	}{
		{PostgreSQL, fakeSQLState("25006")},
		{MySQL, errors.New("Error 1290 (HY000): running with the --read-only option")},
		{MySQL, errors.New("Error 1792 (25006): Cannot execute statement in a READ ONLY transaction")},
		{MySQL, errors.New("Error 1836 (HY000): Running in read-only mode")},
		{MySQL, errors.New("Error 3100 (HY000): Error on observer while running replication hook 'before_commit'")},
	} {
		for _, write := range []struct {
			sentence string
			do       func(ctx context.Context, s *Store) error
		}{
			{"a write of one statement", func(ctx context.Context, s *Store) error { return s.Add(ctx, &dcr.Client{ID: "one"}) }},
			{"a write of several", func(ctx context.Context, s *Store) error {
				return s.Update(ctx, &dcr.Client{ID: "one", RegisteredBy: "somebody"})
			}},
		} {
			t.Run(fmt.Sprint(c.dialect, ", ", write.sentence, ", ", c.err), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const idle = 5
					server := &fakeServer{}
					server.exec = func(string, []driver.NamedValue) (int64, error) {
						if server.closed < idle {
							return 0, c.err
						}
						return 1, nil
					}
					store := server.store(t, c.dialect, nil)
					store.db.SetMaxIdleConns(2 * idle)
					var pool [idle]*sql.Conn
					for i := range pool {
						pool[i], _ = store.db.Conn(t.Context())
					}
					for _, conn := range pool {
						conn.Close()
					}
					if err := write.do(t.Context(), store); err != nil {
						t.Error(err)
					}
					if server.execs > 4 || server.conns > idle+1 {
						t.Errorf("it took %d statements and %d connections", server.execs, server.conns)
					}
				})
			})
		}
	}
}

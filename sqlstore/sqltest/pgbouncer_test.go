package sqltest

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/sqlstore"
)

// newPgBouncer starts PgBouncer in transaction mode, with three sessions, in
// front of its own server, and returns the data source name for a client.
func newPgBouncer(t *testing.T) string {
	t.Helper()
	program := program(t, "pgbouncer")
	c := newCluster(t)
	c.start(t)
	settings := fmt.Sprintf(`[databases]
postgres = host=%s user=dcr
[pgbouncer]
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
listen_port = 6432
unix_socket_dir = %[1]s
auth_type = any
`, c.dir)
	if err := os.WriteFile(c.dir+"/pgbouncer.ini", []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	bouncer := c.command(program, "--quiet", c.dir+"/pgbouncer.ini")
	if err := bouncer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		bouncer.Process.Kill()
		bouncer.Wait()
	})
	dsn := c.dsn() + " port=6432"
	db, err := sql.Open("pgx", dsn+" default_query_exec_mode=exec")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for deadline := time.Now().Add(30 * time.Second); db.Ping() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("PgBouncer did not start")
		}
	}
	return dsn
}

// TestPgBouncer runs the test of the store contract through PgBouncer in
// transaction mode, with the setting that docs/databases.md names; without it,
// errors name the setting.
func TestPgBouncer(t *testing.T) {
	dsn := newPgBouncer(t)
	d := databases[1]
	store := d.storeIn(t, d.open(t, dsn+" default_query_exec_mode=exec"), nil)
	t.Run("with the setting", func(t *testing.T) {
		dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore { return store.ForTenant(t.Name()) })
	})
	t.Run("without", func(t *testing.T) {
		store := sqlstore.New(d.open(t, dsn), d.dialect, nil)
		var mu sync.Mutex
		var refused int
		var workers sync.WaitGroup
		for worker := range 8 {
			workers.Go(func() {
				for n := range 10 {
					err := store.Add(t.Context(), &dcr.Client{ID: fmt.Sprint(worker, n)})
					if err == nil {
						continue
					}
					mu.Lock()
					if refused++; !strings.Contains(err.Error(), "default_query_exec_mode=exec") {
						t.Error(err)
					}
					mu.Unlock()
				}
			})
		}
		workers.Wait()
		if refused == 0 {
			t.Error("nothing was refused")
		}
		t.Logf("%d of 80 were refused", refused)
	})
}

package sqltest

import (
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// newStandby makes and starts a standby. From then on, the primary waits for it
// at every commit.
func newStandby(t *testing.T, primary *cluster) *cluster {
	t.Helper()
	standby := newClusterBy(t, "pg_basebackup", "--host="+primary.dir, "--username=dcr", "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
	standby.start(t)
	server := databases[1].open(t, primary.dsn())
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if _, err := server.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for state := ""; state != "sync"; {
		if err := server.QueryRow("SELECT COALESCE(MAX(sync_state), '') FROM pg_stat_replication").Scan(&state); err != nil {
			t.Fatal(err)
		}
	}
	return standby
}

// TestFailover kills the primary under load and promotes its synchronous
// standby, which the data source name lists too: no acknowledged write is lost,
// and writes go on within a second of the promotion.
func TestFailover(t *testing.T) {
	runs := 1
	if isLong() {
		runs = 10
	}
	d := databases[1]
	for range runs {
		primary := newCluster(t)
		primary.start(t)
		standby := newStandby(t, primary)
		dsn := "host=" + primary.dir + "," + standby.dir + " user=dcr dbname=postgres target_session_attrs=read-write connect_timeout=2"
		store := d.storeIn(t, d.open(t, dsn), &sqlstore.Options{RetryFor: 20 * time.Second})

		load := startLoad(t, 16, store)
		load.wait(t, 500)
		primary.kill()
		killed := load.mark()
		admin := d.open(t, standby.dsn())
		if _, err := admin.Exec("SELECT pg_promote()"); err != nil {
			t.Fatal(err)
		}
		direct := sqlstore.New(admin, d.dialect, nil)
		if err := direct.ForTenant("other").Add(t.Context(), &dcr.Client{ID: "first"}); err != nil {
			t.Fatal(err)
		}
		promoted := time.Since(killed)
		load.wait(t, 500)
		gap := load.first.Load().Sub(killed)
		t.Logf("promoted in %v; the first write that began after the kill was done after %v", promoted, gap)
		if gap > promoted+time.Second {
			t.Errorf("the gap is %v, the promotion took %v", gap, promoted)
		}
		load.check(t, direct)
		standby.kill()
	}
}

package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// standbyGone makes a primary wait for a standby that does not exist or, if
// gone is false, stop waiting.
func standbyGone(t *testing.T, server *sql.DB, gone bool) {
	t.Helper()
	name := "''"
	if gone {
		name = "gone"
	}
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = " + name, "SELECT pg_reload_conf()"} {
		if _, err := server.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	// The server's processes take a moment to apply this: a commit shows when
	// they have.
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if !gone {
			ctx = t.Context()
		}
		_, err := server.ExecContext(ctx, "UPDATE dcr_schema_versions SET migrated_at = migrated_at")
		waits := ctx.Err() != nil
		cancel()
		if err != nil && !waits {
			t.Fatal(err)
		}
		if waits == gone {
			break
		}
	}
	noneWaiting(t, server)
}

// noneWaiting ends the processes that wait for the standby until there are
// none.
func noneWaiting(t *testing.T, server *sql.DB) {
	t.Helper()
	for terminateWaiting(t, server) > 0 {
	}
}

// terminateWaiting ends the processes that wait for the standby, and returns
// how many there were.
func terminateWaiting(t *testing.T, server *sql.DB) (count int) {
	t.Helper()
	err := server.QueryRow("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").Scan(&count)
	if err != nil {
		t.Error(err)
	}
	return count
}

// TestSynchronousStandby checks that a write that only the primary has
// committed is not acknowledged: the commit waits for a standby that is out of
// reach, its process is ended, and the row is visible until the standby is
// promoted.
func TestSynchronousStandby(t *testing.T) {
	cluster := newCluster(t)
	d := database{name: "PostgreSQL", dialect: sqlstore.PostgreSQL, driver: "pgx"}
	cluster.start(t)
	server := d.open(t, cluster.dsn())
	store := d.storeIn(t, d.open(t, cluster.dsn()), &sqlstore.Options{RetryFor: 300 * time.Millisecond})
	patient := sqlstore.New(d.open(t, cluster.dsn()), d.dialect, &sqlstore.Options{RetryFor: 30 * time.Second})

	now := time.Now()
	client := func(s *sqlstore.Store) *dcr.Client { // as it is stored, for an Update
		found, err := s.FindByClientID(t.Context(), "one")
		if err != nil {
			t.Error(err)
			return &dcr.Client{ID: "one"}
		}
		return found
	}
	for _, c := range []struct {
		sentence string
		do       func(ctx context.Context, s *sqlstore.Store) error
		untold   bool // cannot be distinguished from the writes of others
	}{
		{"an Add", func(ctx context.Context, s *sqlstore.Store) error { return s.Add(ctx, &dcr.Client{ID: "two"}) }, false},
		{"an Add with keys", func(ctx context.Context, s *sqlstore.Store) error {
			return s.Add(ctx, &dcr.Client{ID: "two", RegisteredBy: "some"})
		}, false},
		{"an Update", func(ctx context.Context, s *sqlstore.Store) error { return s.Update(ctx, client(s)) }, false},
		{"an Update of keys", func(ctx context.Context, s *sqlstore.Store) error {
			changed := client(s)
			changed.RegisteredBy = "other"
			return s.Update(ctx, changed)
		}, false},
		{"a Delete", func(ctx context.Context, s *sqlstore.Store) error { return s.Delete(ctx, "one") }, false},
		{"a touch", func(ctx context.Context, s *sqlstore.Store) error { return s.TouchClient(ctx, "one", now) }, false},
		{"a sweep", func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.SweepClients(ctx, dcr.SweepRule{NeverActivatedBefore: now})
			return err
		}, false},
		{"a token", func(ctx context.Context, s *sqlstore.Store) error {
			return s.AddInitialAccessToken(ctx, &dcr.InitialAccessToken{Hash: "another"})
		}, false},
		{"a revocation", func(ctx context.Context, s *sqlstore.Store) error { return s.DeleteInitialAccessToken(ctx, "hash") }, false},
		{"a use of a token", func(ctx context.Context, s *sqlstore.Store) error {
			return s.UseInitialAccessToken(ctx, "hash", now)
		}, true},
		{"a first use of a value", func(ctx context.Context, s *sqlstore.Store) error {
			_, err := s.Remember(ctx, "value", now.Add(time.Hour), now)
			return err
		}, true},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			standbyGone(t, server, false)
			// prepared makes what the write works on, in its own tenant.
			prepared := func(s *sqlstore.Store, tenant string) *sqlstore.Store {
				s = s.ForTenant(tenant + c.sentence)
				if err := errors.Join(
					s.Add(t.Context(), &dcr.Client{ID: "one", Source: dcr.SourceDynamic, CreatedAt: now.Add(-time.Hour)}),
					s.AddInitialAccessToken(t.Context(), &dcr.InitialAccessToken{Hash: "hash", MaxUses: 5}),
				); err != nil {
					t.Fatal(err)
				}
				return s
			}
			impatient, patient := prepared(store, "impatient "), prepared(patient, "patient ")
			standbyGone(t, server, true)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()

			result := make(chan error, 1)
			interrupt := func(s *sqlstore.Store) {
				go func() { result <- c.do(ctx, s) }()
				for terminateWaiting(t, server) == 0 && ctx.Err() == nil {
				}
			}
			interrupt(impatient)
			if err := <-result; !errors.Is(err, sqlstore.ErrOutcomeUnknown) {
				t.Errorf("while the standby is out of reach, the write returned %v", err)
			}
			noneWaiting(t, server)
			interrupt(patient)
			standbyGone(t, server, false)
			if err := <-result; errors.Is(err, sqlstore.ErrOutcomeUnknown) != c.untold || !c.untold && err != nil {
				t.Errorf("when the standby is back, the write returned %v", err)
			}
		})
	}
	var left int
	if err := server.QueryRow("SELECT count(*) FROM dcr_seen WHERE seen_key <> 'value'").Scan(&left); err != nil || left > 0 {
		t.Errorf("%d rows were left behind; error %v", left, err)
	}
}

package sqlstore

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr"
)

// TestCommitBehind checks that a write whose answer was lost counts as done
// only after a later commit, following the lookup, was answered, and that
// nothing else needs such a commit.
func TestCommitBehind(t *testing.T) {
	client := &dcr.Client{ID: "one", Revision: 3}
	token := &dcr.InitialAccessToken{Hash: "hash", MaxUses: 3}
	text, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	granted := []driver.Value{int64(0), string(text)}
	for _, c := range []struct {
		sentence string
		do       func(ctx context.Context, s *Store) error
		found    []driver.Value // by the lookup
		happened bool
		want     error // if it did not happen
	}{
		{"an Add", func(ctx context.Context, s *Store) error { return s.Add(ctx, client.Clone()) }, rowOf(client, drawn), true, nil},
		{"an Update", func(ctx context.Context, s *Store) error { return s.Update(ctx, client.Clone()) }, rowOf(client, 4), true, nil},
		{"an Update after another one", func(ctx context.Context, s *Store) error { return s.Update(ctx, client.Clone()) }, rowOf(&dcr.Client{ID: "one", Notes: "another's"}, 4), false, dcr.ErrConflict},
		{"an Update of a deleted client", func(ctx context.Context, s *Store) error { return s.Update(ctx, client.Clone()) }, nil, false, dcr.ErrClientNotFound},
		{"a Delete", func(ctx context.Context, s *Store) error { return s.Delete(ctx, "one") }, nil, true, nil},
		{"a Delete of a Revision", func(ctx context.Context, s *Store) error { return s.DeleteRevision(ctx, "one", 3) }, nil, true, nil},
		{"a touch that comes second", func(ctx context.Context, s *Store) error { return s.TouchClient(ctx, "one", time.Now()) }, rowOf(client, 3), true, nil},
		{"a token", func(ctx context.Context, s *Store) error { return s.AddInitialAccessToken(ctx, token) }, granted, true, nil},
		{"a token's end", func(ctx context.Context, s *Store) error { return s.DeleteInitialAccessToken(ctx, "hash") }, nil, true, nil},
	} {
		for _, behind := range []error{nil, denied, lost} {
			t.Run(c.sentence, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := &fakeServer{commit: func() error { return behind }}
					var sent driver.Value // as the Revision of an Add
					server.exec = func(_ string, args []driver.NamedValue) (int64, error) {
						if server.execs > 1 {
							return 0, nil
						}
						sent = args[min(2, len(args)-1)].Value
						return 0, lost
					}
					server.query = func(string, []driver.NamedValue) ([]driver.Value, error) {
						if len(c.found) > 2 && c.found[1] == int64(drawn) {
							return append([]driver.Value{c.found[0], sent}, c.found[2:]...), nil
						}
						return c.found, nil
					}
					want := c.want
					if c.happened && behind != nil {
						want = ErrOutcomeUnknown
					}
					err := c.do(t.Context(), server.store(t, PostgreSQL, nil))
					if !errors.Is(err, want) || (err == nil) != (want == nil) {
						t.Errorf("if the later commit returns %v, it returned %v, not %v", behind, err, want)
					}
					if (server.commits > 0) != c.happened {
						t.Errorf("it took %d commits", server.commits)
					}
				})
			})
		}
	}
}

package sqltest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// lossy is a way to a PostgreSQL server that, once told to, drops the connection
// instead of passing on that a write was committed.
type lossy struct {
	net.Listener
	server string
	lose   atomic.Bool
}

func newLossy(t *testing.T, server string) *lossy {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{Listener: listener, server: server}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go l.pass(client)
		}
	}()
	return l
}

func (l *lossy) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil || committed(buffer[:n]) && l.lose.CompareAndSwap(true, false) {
			return
		}
		client.Write(buffer[:n])
	}
}

// committed reports whether the server says that a write is done and that no
// transaction is open any more.
func committed(answer []byte) bool {
	if !bytes.HasSuffix(answer, []byte("Z\x00\x00\x00\x05I")) {
		return false
	}
	for _, tag := range []string{"INSERT 0 1\x00", "UPDATE 1\x00", "DELETE 1\x00", "COMMIT\x00"} {
		if bytes.Contains(answer, []byte(tag)) {
			return true
		}
	}
	return false
}

// TestLostAnswers holds that a write whose answer was lost is neither repeated
// nor mistaken for another's, in every way in which the driver talks to the
// server: what can be found out is, and what cannot is unknown.
func TestLostAnswers(t *testing.T) {
	now := time.Now()
	keyed := func(by string) *dcr.Client {
		return &dcr.Client{ID: "one", RegisteredBy: by, Source: dcr.SourceDynamic, CreatedAt: now.Add(-time.Hour), Revision: 1}
	}
	for _, mode := range []string{"cache_statement", "exec", "simple_protocol"} {
		for _, c := range []struct {
			sentence string
			first    *dcr.Client
			do       func(ctx context.Context, s *sqlstore.Store) error
			want     error
		}{
			{"an Add", nil, func(ctx context.Context, s *sqlstore.Store) error { return s.Add(ctx, &dcr.Client{ID: "one"}) }, nil},
			{"an Add with keys", nil, func(ctx context.Context, s *sqlstore.Store) error { return s.Add(ctx, keyed("me")) }, nil},
			{"an Update", keyed("me"), func(ctx context.Context, s *sqlstore.Store) error { return s.Update(ctx, keyed("me")) }, nil},
			{"an Update of keys", keyed("me"), func(ctx context.Context, s *sqlstore.Store) error { return s.Update(ctx, keyed("you")) }, nil},
			{"a Delete", keyed("me"), func(ctx context.Context, s *sqlstore.Store) error { return s.Delete(ctx, "one") }, nil},
			{"a touch", keyed("me"), func(ctx context.Context, s *sqlstore.Store) error { return s.TouchClient(ctx, "one", now) }, nil},
			{"a sweep", keyed("me"), func(ctx context.Context, s *sqlstore.Store) error {
				_, err := s.SweepClients(ctx, dcr.SweepRule{NeverActivatedBefore: now})
				return err
			}, nil},
			{"a use of a token", nil, func(ctx context.Context, s *sqlstore.Store) error {
				return s.UseInitialAccessToken(ctx, "hash", now)
			}, sqlstore.ErrOutcomeUnknown},
			{"a first use of a value", nil, func(ctx context.Context, s *sqlstore.Store) error {
				_, err := s.Remember(ctx, "value", now.Add(time.Hour), now)
				return err
			}, sqlstore.ErrOutcomeUnknown},
		} {
			t.Run(mode+"/"+c.sentence, func(t *testing.T) {
				dsn, err := url.Parse(createPostgreSQL(t))
				if err != nil {
					t.Fatal(err)
				}
				way := newLossy(t, dsn.Host)
				dsn.Host, dsn.RawQuery = way.Addr().String(), "sslmode=disable&default_query_exec_mode="+mode
				d := database{name: "PostgreSQL", dialect: sqlstore.PostgreSQL, driver: "pgx"}
				store := d.storeIn(t, d.open(t, dsn.String()), nil)
				if err := store.AddInitialAccessToken(t.Context(), &dcr.InitialAccessToken{Hash: "hash", MaxUses: 5}); err != nil {
					t.Fatal(err)
				}
				if c.first != nil {
					if err := store.Add(t.Context(), c.first); err != nil {
						t.Fatal(err)
					}
				}
				way.lose.Store(true)
				if err := c.do(t.Context(), store); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("returned %v, not %v", err, c.want)
				}
				if way.lose.Load() {
					t.Error("no answer was lost")
				}
				if token, err := store.FindInitialAccessToken(t.Context(), "hash"); err != nil || token.Uses > 1 {
					t.Errorf("the token was used %d times; error %v", token.Uses, err)
				}
			})
		}
	}
}

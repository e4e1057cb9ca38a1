package sqltest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// lossy is a proxy to a server that, if the test says so, drops the connection
// instead of passing on the answer to a commit.
type lossy struct {
	net.Listener
	server    string
	committed func(asked, answer []byte) bool
	lose      atomic.Bool
}

func newLossy(t *testing.T, server string, committed func(asked, answer []byte) bool) *lossy {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{Listener: listener, server: server, committed: committed}
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
	var asked atomic.Pointer[[]byte] // what the client sent last
	asked.Store(new([]byte))
	go func() {
		defer server.Close()
		for {
			buffer := make([]byte, 64<<10)
			n, err := client.Read(buffer)
			if err != nil {
				return
			}
			buffer = buffer[:n]
			asked.Store(&buffer)
			server.Write(buffer)
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil || l.committed(*asked.Load(), buffer[:n]) && l.lose.CompareAndSwap(true, false) {
			return
		}
		client.Write(buffer[:n])
	}
}

// committedPostgreSQL reports whether the server says that a write is done and
// that no transaction is open.
func committedPostgreSQL(_, answer []byte) bool {
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

// committedMySQL reads an OK packet: after a header of four bytes, a zero, the
// number of changed rows, an id, and flags, the lowest of which means an open
// transaction.
func committedMySQL(asked, answer []byte) bool {
	const query, execute = 3, 23
	if len(asked) < 5 || asked[4] != query && asked[4] != execute || len(answer) < 9 || answer[4] != 0 {
		return false
	}
	return bytes.HasPrefix(asked[5:], []byte("COMMIT")) || answer[5] > 0 && answer[7]&1 == 0
}

// lossyWay is how a driver talks to a server.
type lossyWay struct {
	name string
	d    database
	// open makes a lossy proxy to the server, and a data source name that uses
	// it.
	open func(t *testing.T) (way *lossy, dsn string)
}

func lossyPostgreSQL(mode string) lossyWay {
	return lossyWay{mode, databases[1], func(t *testing.T) (*lossy, string) {
		dsn, err := url.Parse(createPostgreSQL(t))
		if err != nil {
			t.Fatal(err)
		}
		way := newLossy(t, dsn.Host, committedPostgreSQL)
		dsn.Host, dsn.RawQuery = way.Addr().String(), "sslmode=disable&default_query_exec_mode="+mode
		return way, dsn.String()
	}}
}

func lossyMySQL(name string, interpolate bool) lossyWay {
	return lossyWay{name, databases[2], func(t *testing.T) (*lossy, string) {
		config, err := mysql.ParseDSN(createMySQL(t))
		if err != nil {
			t.Fatal(err)
		}
		way := newLossy(t, config.Addr, committedMySQL)
		config.Addr, config.InterpolateParams = way.Addr().String(), interpolate
		return way, config.FormatDSN()
	}}
}

// TestLostAnswers checks, for every way in which a driver talks to the server,
// that a write whose answer was lost is neither repeated nor mistaken for
// another one: the store finds out the result if it can, and otherwise says
// that it is unknown.
func TestLostAnswers(t *testing.T) {
	now := time.Now()
	read := func(ctx context.Context, s *sqlstore.Store, by string) *dcr.Client {
		client, err := s.FindByClientID(ctx, "one")
		if err != nil {
			t.Fatal(err)
		}
		client.RegisteredBy = by
		return client
	}
	keyed := func(by string) *dcr.Client {
		return &dcr.Client{ID: "one", RegisteredBy: by, Source: dcr.SourceDynamic, CreatedAt: now.Add(-time.Hour)}
	}
	for _, through := range []lossyWay{
		lossyPostgreSQL("cache_statement"), lossyPostgreSQL("exec"), lossyPostgreSQL("simple_protocol"),
		lossyMySQL("mysql", false), lossyMySQL("mysql interpolating", true),
	} {
		for _, c := range []struct {
			sentence string
			first    *dcr.Client
			do       func(ctx context.Context, s *sqlstore.Store) error
			want     error
		}{
			{"an Add", nil, func(ctx context.Context, s *sqlstore.Store) error { return s.Add(ctx, &dcr.Client{ID: "one"}) }, nil},
			{"an Add with keys", nil, func(ctx context.Context, s *sqlstore.Store) error { return s.Add(ctx, keyed("me")) }, nil},
			{"an Update", keyed("me"), func(ctx context.Context, s *sqlstore.Store) error { return s.Update(ctx, read(ctx, s, "me")) }, nil},
			{"an Update of keys", keyed("me"), func(ctx context.Context, s *sqlstore.Store) error { return s.Update(ctx, read(ctx, s, "you")) }, nil},
			{"a Delete", keyed("me"), func(ctx context.Context, s *sqlstore.Store) error { return s.Delete(ctx, "one") }, nil},
			{"a Delete of a Revision", keyed("me"), func(ctx context.Context, s *sqlstore.Store) error {
				return s.DeleteRevision(ctx, "one", read(ctx, s, "me").Revision)
			}, nil},
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
			t.Run(through.name+"/"+c.sentence, func(t *testing.T) {
				way, dsn := through.open(t)
				store := through.d.storeIn(t, through.d.open(t, dsn), nil)
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

package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr"
)

var (
	lost        = io.ErrUnexpectedEOF // the connection dropped before the answer
	serialize   = fakeSQLState("40001")
	denied      = fakeSQLState("42501")
	unreachable = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
)

// answer is the answer of the database to one statement.
type answer struct {
	touched int64
	err     error
}

// found is the row that a lookup finds; nil means none, an error means an
// outage.
type found any

func rowOf(client *dcr.Client, revision int64) []driver.Value {
	text, _ := client.MarshalJSON()
	return []driver.Value{client.ID, revision, string(text), int64(0), int64(0), nil, nil}
}

// drawn stands for the random Revision of an Add.
const drawn = -1

// TestOutcome checks the result of a write for the answers of the database and
// what a lookup then finds.
func TestOutcome(t *testing.T) {
	mine := &dcr.Client{ID: "one", Notes: "mine", Revision: 3}
	other := &dcr.Client{ID: "one", Notes: "another's"}
	add := func(ctx context.Context, s *Store) error { return s.Add(ctx, mine.Clone()) }
	update := func(ctx context.Context, s *Store) error { return s.Update(ctx, mine.Clone()) }
	remove := func(ctx context.Context, s *Store) error { return s.Delete(ctx, "one") }
	removeRead := func(ctx context.Context, s *Store) error { return s.DeleteRevision(ctx, "one", 3) }
	forget := func(ctx context.Context, s *Store) error { return s.Forget(ctx, "value") }
	touch := func(ctx context.Context, s *Store) error { return s.TouchClient(ctx, "one", time.Now()) }
	use := func(ctx context.Context, s *Store) error { return s.UseInitialAccessToken(ctx, "hash", time.Now()) }
	grant := func(ctx context.Context, s *Store) error {
		return s.AddInitialAccessToken(ctx, &dcr.InitialAccessToken{Hash: "hash", MaxUses: 3})
	}
	for _, c := range []struct {
		sentence string
		do       func(context.Context, *Store) error
		answers  []answer
		lookups  []found
		want     error
	}{
		{"a write that is answered is tried once", add, []answer{{1, nil}}, nil, nil},
		{"a serialization failure is tried again", add, []answer{{0, serialize}, {0, serialize}, {1, nil}}, nil, nil},
		{"a database that cannot be reached is tried again", add, []answer{{0, unreachable}, {1, nil}}, nil, nil},
		{"a statement that the database refuses is not tried again", add, []answer{{0, denied}}, nil, denied},
		{"a taken id is not an outage", add, []answer{{0, nil}}, nil, dcr.ErrClientExists},
		{"an Add whose answer was lost is found", add, []answer{{0, lost}}, []found{rowOf(mine, drawn)}, nil},
		{"an Add that was lost itself is tried again", add, []answer{{0, lost}, {1, nil}}, []found{nil}, nil},
		{"an Add that arrives between the lookup and the second try is found", add, []answer{{0, lost}, {0, nil}}, []found{nil, rowOf(mine, drawn)}, nil},
		{"an Add that came after another one is refused", add, []answer{{0, lost}}, []found{rowOf(other, 1)}, dcr.ErrClientExists},
		{"so is an Add if another one added the same client", add, []answer{{0, lost}}, []found{rowOf(mine, 1)}, dcr.ErrClientExists},
		{"an Add stays unknown if the lookup fails", add, []answer{{0, lost}}, []found{denied}, ErrOutcomeUnknown},
		{"an Add stays unknown if it is refused after an answer was lost", add, []answer{{0, lost}, {0, denied}}, []found{nil}, ErrOutcomeUnknown},
		{"a lookup is tried again too", add, []answer{{0, lost}}, []found{lost, serialize, rowOf(mine, drawn)}, nil},
		{"an Update whose answer was lost is found", update, []answer{{0, lost}}, []found{rowOf(mine, 4)}, nil},
		{"an Update that was lost itself is tried again", update, []answer{{0, lost}, {1, nil}}, []found{rowOf(other, 3)}, nil},
		{"an Update that came after another one is a conflict", update, []answer{{0, lost}}, []found{rowOf(other, 4)}, dcr.ErrConflict},
		{"an Update stays unknown if others may have come after it", update, []answer{{0, lost}}, []found{rowOf(other, 5)}, ErrOutcomeUnknown},
		{"an Update of a deleted client finds nothing", update, []answer{{0, lost}}, []found{nil}, dcr.ErrClientNotFound},
		{"an Update from an old Revision is a conflict", update, []answer{{0, nil}, {0, nil}}, []found{rowOf(other, 9)}, dcr.ErrConflict},
		{"an Update that cannot tell a conflict from a missing client is an outage", update, []answer{{0, nil}, {0, nil}}, []found{denied}, denied},
		{"an Update whose keys changed needs a second statement", update, []answer{{0, nil}, {1, nil}, {1, nil}}, nil, nil},
		{"a Delete whose answer was lost is found", remove, []answer{{0, lost}}, []found{nil}, nil},
		{"a Delete that was lost itself is tried again", remove, []answer{{0, lost}, {1, nil}}, []found{rowOf(mine, 3)}, nil},
		{"a second Delete after a lost answer has happened", remove, []answer{{0, lost}, {0, nil}}, []found{rowOf(mine, 3), nil}, nil},
		{"a Delete of a missing client finds nothing", remove, []answer{{0, nil}}, nil, dcr.ErrClientNotFound},
		{"a Delete of a Revision whose answer was lost is found", removeRead, []answer{{0, lost}}, []found{nil}, nil},
		{"a Delete of a Revision that was lost itself is tried again", removeRead, []answer{{0, lost}, {1, nil}}, []found{rowOf(mine, 3)}, nil},
		{"a Delete of a Revision after another write is a conflict", removeRead, []answer{{0, nil}}, []found{rowOf(mine, 4)}, dcr.ErrConflict},
		{"so is one of an id that was added again", removeRead, []answer{{0, lost}}, []found{rowOf(other, 9)}, dcr.ErrConflict},
		{"a Delete of a Revision of a missing client finds nothing", removeRead, []answer{{0, nil}}, []found{nil}, dcr.ErrClientNotFound},
		{"a value that is forgotten is forgotten once", forget, []answer{{1, nil}}, nil, nil},
		{"a value that was not remembered is forgotten too", forget, []answer{{0, nil}}, nil, nil},
		{"a value that may have been forgotten is not forgotten again", forget, []answer{{0, lost}}, nil, ErrOutcomeUnknown},
		{"a touch that was lost itself is tried again", touch, []answer{{0, lost}, {1, nil}}, nil, nil},
		{"a touch whose answer was lost has nothing left to change", touch, []answer{{0, lost}, {0, nil}}, []found{rowOf(mine, 3)}, nil},
		{"a driver that lost an answer and says it sent nothing is not believed", add, []answer{{0, driver.ErrBadConn}}, []found{rowOf(mine, drawn)}, nil},
		{"nor does it repeat a use of a token", use, []answer{{0, driver.ErrBadConn}}, nil, ErrOutcomeUnknown},
		{"a touch that changes nothing checks whether the client exists", touch, []answer{{0, nil}}, []found{nil}, dcr.ErrClientNotFound},
		{"a token that is granted is written once", grant, []answer{{1, nil}}, nil, nil},
		{"a use of a token is never counted twice", use, []answer{{0, lost}}, nil, ErrOutcomeUnknown},
		{"a lookup says why a use was refused", use, []answer{{0, nil}}, []found{[]driver.Value{int64(1), "{}"}}, dcr.ErrTokenUsedUp},
	} {
		outcome := func(t *testing.T, onlyPrepares bool) {
			synctest.Test(t, func(t *testing.T) {
				answers, lookups := slices.Clone(c.answers), slices.Clone(c.lookups)
				var sent driver.Value // as the Revision of an Add
				server := &fakeServer{
					onlyPrepares: onlyPrepares,
					exec: func(text string, args []driver.NamedValue) (int64, error) {
						if len(answers) == 0 {
							t.Fatalf("one statement too many: %s", text)
						}
						sent = args[min(2, len(args)-1)].Value
						next := answers[0]
						answers = answers[1:]
						return next.touched, next.err
					},
					query: func(text string, _ []driver.NamedValue) ([]driver.Value, error) {
						if len(lookups) == 0 {
							t.Fatalf("one lookup too many: %s", text)
						}
						next := lookups[0]
						lookups = lookups[1:]
						row, _ := next.([]driver.Value)
						err, _ := next.(error)
						if len(row) > 2 && row[1] == int64(drawn) {
							row = slices.Clone(row)
							row[1] = sent
						}
						return row, err
					},
				}
				err := c.do(t.Context(), server.store(t, PostgreSQL, nil))
				if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("returned %v, not %v", err, c.want)
				}
				if c.want != ErrOutcomeUnknown && errors.Is(err, ErrOutcomeUnknown) {
					t.Errorf("the result is known, but the error says: %v", err)
				}
				if len(answers)+len(lookups) > 0 {
					t.Errorf("%d statements and %d lookups too few", len(answers), len(lookups))
				}
			})
		}
		t.Run(c.sentence, func(t *testing.T) { outcome(t, false) })
		t.Run(c.sentence+", with a driver that prepares every statement", func(t *testing.T) { outcome(t, true) })
	}
}

// TestRetryEnds checks the bounds of trying again: the time, the context, and
// only one try.
func TestRetryEnds(t *testing.T) {
	for _, c := range []struct {
		sentence string
		opts     Options
		deadline time.Duration
		failure  error
		atMost   time.Duration
		least    int // tries
		most     int
	}{
		{"by default it ends within three seconds", Options{}, time.Hour, serialize, 3 * time.Second, 10, 40},
		{"the pauses are short enough for a short RetryFor", Options{RetryFor: 100 * time.Millisecond}, time.Hour, serialize, 100 * time.Millisecond, 3, 8},
		{"the deadline of the context comes first", Options{}, 50 * time.Millisecond, serialize, 50 * time.Millisecond, 2, 6},
		{"a negative time means one try", Options{RetryFor: -1}, time.Hour, serialize, 0, 1, 1},
		{"it also ends if the database stays out of reach", Options{RetryFor: time.Second}, time.Hour, lost, time.Second, 4, 20},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &fakeServer{
					exec:  func(string, []driver.NamedValue) (int64, error) { return 0, c.failure },
					query: func(string, []driver.NamedValue) ([]driver.Value, error) { return nil, nil },
				}
				store := server.store(t, PostgreSQL, &c.opts)
				ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
				defer cancel()
				start := time.Now()
				err := store.Add(ctx, &dcr.Client{ID: "one"})
				if !errors.Is(err, c.failure) || errors.Is(err, ErrOutcomeUnknown) != (c.failure == lost) {
					t.Errorf("returned %v", err)
				}
				if took := time.Since(start); took > c.atMost {
					t.Errorf("took %v, longer than %v", took, c.atMost)
				}
				if server.execs < c.least || server.execs > c.most {
					t.Errorf("tried %d times, not %d to %d", server.execs, c.least, c.most)
				}
			})
		})
	}
}

// TestOutageIsNoAnswer checks that neither a broken database nor a context that
// ended looks like a missing client.
func TestOutageIsNoAnswer(t *testing.T) {
	for _, failure := range []error{lost, serialize, denied, unreachable, driver.ErrBadConn, context.DeadlineExceeded} {
		synctest.Test(t, func(t *testing.T) {
			server := &fakeServer{
				exec:  func(string, []driver.NamedValue) (int64, error) { return 0, failure },
				query: func(string, []driver.NamedValue) ([]driver.Value, error) { return nil, failure },
			}
			store := server.store(t, PostgreSQL, nil)
			_, find := store.FindByClientID(t.Context(), "one")
			_, token := store.FindInitialAccessToken(t.Context(), "hash")
			_, count := store.CountClients(t.Context(), dcr.Filter{})
			for _, err := range []error{
				find, token, count, store.Add(t.Context(), &dcr.Client{ID: "one"}), store.Delete(t.Context(), "one"),
				store.Update(t.Context(), &dcr.Client{ID: "one", Revision: 1}),
			} {
				if err == nil {
					t.Errorf("%v was swallowed", failure)
				}
				for _, answer := range []error{dcr.ErrClientNotFound, dcr.ErrClientExists, dcr.ErrConflict, dcr.ErrTokenNotFound} {
					if errors.Is(err, answer) {
						t.Errorf("%v became %v", failure, err)
					}
				}
			}
		})
	}
}

func TestClassify(t *testing.T) {
	mysql := func(text string) error { return errors.New(text) }
	for _, c := range []struct {
		sentence string
		dialect  Dialect
		err      error
		want     Class
	}{
		{"a serialization failure passes", PostgreSQL, serialize, Passing},
		{"a deadlock passes", PostgreSQL, fakeSQLState("40P01"), Passing},
		{"a wrapped error is recognized", PostgreSQL, fmt.Errorf("query: %w", serialize), Passing},
		{"CockroachDB's doubt leaves doubt", PostgreSQL, fakeSQLState("40003"), Uncertain},
		{"a shutdown leaves doubt", PostgreSQL, fakeSQLState("57P01"), Uncertain},
		{"a dropped connection leaves doubt", PostgreSQL, fakeSQLState("08006"), Uncertain},
		{"a server that starts up passes", PostgreSQL, fakeSQLState("57P03"), Passing},
		{"a standby accepts no writes", PostgreSQL, fakeSQLState("25006"), ReadOnly},
		{"a transaction that was idle for too long passes", PostgreSQL, fakeSQLState("25P03"), Passing},
		{"a transaction that took too long leaves doubt", PostgreSQL, fakeSQLState("25P04"), Uncertain},
		{"a database that was dropped leaves doubt", PostgreSQL, fakeSQLState("57P04"), Uncertain},
		{"a statement of another session fails", PostgreSQL, fakeSQLState("26000"), Failed},
		{"a duplicate key is a duplicate", PostgreSQL, fakeSQLState("23505"), Duplicate},
		{"a missing table fails", PostgreSQL, fakeSQLState("42P01"), Failed},
		{"an end of file leaves doubt", PostgreSQL, lost, Uncertain},
		{"an unsent statement passes", PostgreSQL, driver.ErrBadConn, Passing},
		{"a refused connection passes", PostgreSQL, unreachable, Passing},
		{"a deadlock passes", MySQL, mysql("Error 1213 (40001): Deadlock found when trying to get lock"), Passing},
		{"an old driver's deadlock passes", MySQL, mysql("Error 1213: Deadlock found"), Passing},
		{"a wrapped error is recognized", MySQL, fmt.Errorf("exec: %w", mysql("Error 1205 (HY000): Lock wait timeout exceeded")), Passing},
		{"a read-only server accepts no writes", MySQL, mysql("Error 1290 (HY000): running with the --read-only option"), ReadOnly},
		{"a replica accepts no writes", MySQL, mysql("Error 1836 (HY000): Running in read-only mode"), ReadOnly},
		{"a read-only session accepts no writes", MySQL, mysql("Error 1792 (25006): Cannot execute statement in a READ ONLY transaction"), ReadOnly},
		{"a member of a group may accept no writes", MySQL, mysql("Error 3100 (HY000): Error on observer while running replication hook 'before_commit'"), ReadOnly},
		{"too many prepared statements pass", MySQL, mysql("Error 1461 (42000): Can't create more than max_prepared_stmt_count statements"), Passing},
		{"a connection that was idle for too long passes", MySQL, mysql("Error 4031 (HY000): The client was disconnected by the server because of inactivity"), Passing},
		{"a blocked host passes", MySQL, mysql("Error 1129 (HY000): Host is blocked because of many connection errors"), Passing},
		{"TiDB's write conflict passes", MySQL, mysql("Error 9007 (HY000): Write conflict"), Passing},
		{"TiDB's failed commit passes", MySQL, mysql("Error 8022 (HY000): Error: KV error safe to retry"), Passing},
		{"TiDB's changed schema passes", MySQL, mysql("Error 8028 (HY000): Information schema is changed during the execution"), Passing},
		{"TiDB's lock that it cannot retry passes", MySQL, mysql("Error 8002 (HY000): can not retry select for update statement"), Passing},
		{"TiDB's slow store passes", MySQL, mysql("Error 9002 (HY000): TiKV server timeout"), Passing},
		{"TiDB's commit without an answer leaves doubt", MySQL, mysql("Error 8501 (HY000): Execution result undetermined"), Uncertain},
		{"a duplicate key is a duplicate", MySQL, mysql("Error 1062 (23000): Duplicate entry 'Error 1213' for key"), Duplicate},
		{"a killed connection leaves doubt", MySQL, mysql("Error 1927 (70100): Connection was killed"), Uncertain},
		{"a missing table fails", MySQL, mysql("Error 1146 (42S02): Table 'x' doesn't exist"), Failed},
		{"a broken connection leaves doubt", MySQL, mysql("invalid connection"), Uncertain},
		{"an unsent statement passes", MySQL, driver.ErrBadConn, Passing},
		{"a busy file passes", SQLite, errors.New("database is locked (5) (SQLITE_BUSY)"), Passing},
		{"a full disk fails", SQLite, errors.New("database or disk is full (13)"), Failed},
	} {
		if got := c.dialect.Classify(c.err); got != c.want {
			t.Errorf("%v: %s: %v is %v, not %v", c.dialect, c.sentence, c.err, got, c.want)
		}
	}
}

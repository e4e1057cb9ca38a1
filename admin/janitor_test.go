package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/memstore"
)

const aDay = 24 * time.Hour

// fill adds clients of every kind, relative to the current time. Their names
// say what a sweep looks for.
func fill(t *testing.T, store dcr.ClientConfigurationStore) {
	t.Helper()
	now := time.Now()
	for id, change := range map[string]func(*dcr.Client){
		"never":           nil,
		"never, new":      func(c *dcr.Client) { c.CreatedAt = now.Add(-time.Hour) },
		"never, pending":  func(c *dcr.Client) { c.Status = dcr.StatusPending },
		"never, disabled": func(c *dcr.Client) { c.Status = dcr.StatusDisabled },
		"never, document": func(c *dcr.Client) { c.Source = dcr.SourceDocument },
		"never, imported": func(c *dcr.Client) { c.Source = "imported" },
		"used":            func(c *dcr.Client) { c.Touch(now.Add(-time.Hour)) },
		"idle":            func(c *dcr.Client) { c.Touch(now.Add(-70 * aDay)) },
		"expired":         func(c *dcr.Client) { c.Touch(now.Add(-time.Hour)); c.ExpiresAt = now.Add(-time.Second) },
		"withdrawn": func(c *dcr.Client) {
			c.Touch(now.Add(-time.Hour))
			c.Source, c.Document = dcr.SourceDocument, &dcr.DocumentRecord{Withdrawn: now.Add(-40 * aDay)}
		},
		"denied": func(c *dcr.Client) {
			c.Touch(now.Add(-99 * aDay))
			c.Source, c.Status, c.Document = dcr.SourceDocument, dcr.StatusDisabled, &dcr.DocumentRecord{Withdrawn: now.Add(-40 * aDay)}
		},
	} {
		client := dcr.NewClient()
		client.ID, client.Source, client.CreatedAt = id, dcr.SourceDynamic, now.Add(-100*aDay)
		if change != nil {
			change(client)
		}
		if err := store.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
}

// missing names the clients of fill that a store no longer has.
func missing(t *testing.T, store dcr.ClientConfigurationStore) string {
	t.Helper()
	whole := memstore.New()
	fill(t, whole)
	var ids []string
	for client, err := range whole.ListClients(t.Context(), dcr.Filter{}, "") {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.FindByClientID(t.Context(), client.ID); errors.Is(err, dcr.ErrClientNotFound) {
			ids = append(ids, client.ID)
		}
	}
	return strings.Join(ids, "; ")
}

func TestSweep(t *testing.T) {
	full := admin.Janitor{NeverActivated: aDay, Idle: 60 * aDay, RefreshTokens: 30 * aDay, Expired: true, Withdrawn: 30 * aDay}
	for _, c := range []struct {
		sentence string
		change   func(*admin.Janitor)
		want     string // in order of ids
		told     string // as id reason, in that order
	}{
		{"everything that should be deleted is deleted", nil, "expired; idle; never; never, document; withdrawn",
			"expired expired; idle idle; never never_activated; never, document never_activated; withdrawn withdrawn"},
		{"a condition that is zero deletes nothing", func(j *admin.Janitor) { *j = admin.Janitor{Expired: true} }, "expired", "expired expired"},
		{"without a condition all clients stay", func(j *admin.Janitor) { *j = admin.Janitor{} }, "", ""},
		{"only the named sources are considered", func(j *admin.Janitor) { j.Sources = []dcr.Source{"imported"} }, "never, imported", "never, imported never_activated"},
		{"a veto keeps a client", func(j *admin.Janitor) {
			j.Keep = func(_ context.Context, c *dcr.Client) (bool, error) { return c.ID == "idle", nil }
		}, "expired; never; never, document; withdrawn", "expired expired; never never_activated; never, document never_activated; withdrawn withdrawn"},
		{"a veto that fails keeps the client too", func(j *admin.Janitor) {
			j.Keep = func(_ context.Context, c *dcr.Client) (bool, error) {
				if strings.HasPrefix(c.ID, "never") {
					return false, errors.New("who knows")
				}
				return false, nil
			}
		}, "expired; idle; withdrawn", "expired expired; idle idle; withdrawn withdrawn"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, told, deleted := memstore.New(), sink{}, []string{}
				fill(t, store)
				j := full
				if c.change != nil {
					c.change(&j)
				}
				j.Store = store
				j.Events = told.tell
				j.AfterDelete = func(_ context.Context, client *dcr.Client) error {
					deleted = append(deleted, client.ID)
					return errors.New("it is logged")
				}
				dry := j
				dry.DryRun = true
				want := int64(0)
				if c.want != "" {
					want = int64(strings.Count(c.want, ";") + 1)
				}
				if count, err := dry.Sweep(t.Context()); err != nil || count != want {
					t.Errorf("a dry run counts %d, %v", count, err)
				}
				if len(deleted)+len(told.take()) > 0 || missing(t, store) != "" {
					t.Errorf("a dry run deleted %q", missing(t, store))
				}
				count, err := j.Sweep(t.Context())
				if gone := missing(t, store); gone != c.want || count != want || err != nil {
					t.Errorf("it deleted %q and counts %d, %v; want %q", gone, count, err, c.want)
				}
				var lines []string
				for _, event := range told.take() {
					lines = append(lines, event.ClientID+" "+event.Reason)
					if event.Kind != dcr.ClientSwept || event.Source == "" || event.At.IsZero() {
						t.Errorf("told %+v", event)
					}
				}
				slices.Sort(lines)
				slices.Sort(deleted)
				if strings.Join(lines, "; ") != c.told || strings.Join(deleted, "; ") != c.want {
					t.Errorf("events %q, AfterDelete called for %q", lines, deleted)
				}
			})
		})
	}
}

// If no client in a store was ever used, perhaps the host does not note uses.
func TestAStoreThatNobodyUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never, ended := dcr.NewClient(), dcr.NewClient()
		never.ID, never.Source, never.CreatedAt = "never", dcr.SourceDynamic, time.Now().Add(-9*aDay)
		ended.ID, ended.Source, ended.CreatedAt, ended.ExpiresAt = "ended", dcr.SourceDynamic, time.Now(), time.Now().Add(-time.Hour)
		store := memstore.New()
		if err := errors.Join(store.Add(t.Context(), never), store.Add(t.Context(), ended)); err != nil {
			t.Fatal(err)
		}
		j := admin.Janitor{Store: store, NeverActivated: aDay, Expired: true, Events: new(sink).tell}
		sweep := func(when string, want int64) {
			t.Helper()
			if swept, err := j.Sweep(t.Context()); err != nil || swept != want {
				t.Errorf("%s %d are deleted, %v; want %d", when, swept, err, want)
			}
		}
		sweep("if none was used, but one has expired,", 1)
		used := never.Clone()
		used.ID = "used"
		used.Touch(time.Now())
		used.Source = "imported"
		if err := store.Add(t.Context(), used); err != nil {
			t.Fatal(err)
		}
		sweep("if an imported one was used before the import", 0)
		j.EvenIfNoneActivated = true
		sweep("if that source does not count", 1)
		j.EvenIfNoneActivated = false
		never.Revision = 0
		document := used.Clone()
		document.ID, document.Source = "document", dcr.SourceDocument
		if err := errors.Join(store.Add(t.Context(), never), store.Add(t.Context(), document)); err != nil {
			t.Fatal(err)
		}
		j.Sources = []dcr.Source{dcr.SourceDynamic}
		sweep("after another one is used", 1)
	})
}

func TestJanitorsThatContradictThemselves(t *testing.T) {
	store := memstore.New()
	all := func(context.Context) iter.Seq2[dcr.ClientConfigurationStore, error] { return nil }
	for _, c := range []struct {
		sentence string
		janitor  admin.Janitor
		says     string
	}{
		{"it has no store", admin.Janitor{}, "Stores"},
		{"it has too many", admin.Janitor{Store: store, Stores: all}, "Stores"},
		{"its store cannot sweep", admin.Janitor{Store: plain{store}}, "ClientSweeper"},
		{"the lifetime of refresh tokens is missing", admin.Janitor{Store: store, Idle: 90 * aDay}, "RefreshTokens"},
		{"a refresh token lives longer", admin.Janitor{Store: store, Idle: 20 * aDay, RefreshTokens: 30 * aDay}, "no shorter"},
		{"time runs backwards", admin.Janitor{Store: store, NeverActivated: -1}, "negative"},
	} {
		_, err := c.janitor.Sweep(t.Context())
		if run := c.janitor.Run(t.Context()); err == nil || run == nil || err.Error() != run.Error() || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: Sweep returned %v, Run %v", c.sentence, err, run)
		}
	}
	j := admin.Janitor{Store: store, Idle: 30 * aDay, RefreshTokens: 30 * aDay}
	if _, err := j.Sweep(t.Context()); err != nil {
		t.Errorf("as long as a refresh token: %v", err)
	}
}

// turns is a store that counts its sweeps, and fails those that the test names.
type turns struct {
	*memstore.Store
	mu    sync.Mutex
	swept []time.Time
	fails int
}

func (s *turns) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		return 0, errors.New("no connection")
	}
	s.swept = append(s.swept, time.Now())
	return s.Store.SweepClients(ctx, rule)
}

// running runs janitors for a while.
func running(t *testing.T, while time.Duration, janitors ...*admin.Janitor) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), while)
	defer end()
	var all sync.WaitGroup
	for _, j := range janitors {
		all.Go(func() {
			if err := j.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Run returned %v", err)
			}
		})
	}
	all.Wait()
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &turns{Store: memstore.New()}
		var janitors []*admin.Janitor
		for range 10 {
			janitors = append(janitors, &admin.Janitor{Store: store, Expired: true})
		}
		const turn = 10 * time.Minute
		running(t, 100*turn, janitors...)
		if count := len(store.swept); count < 99 || count > 101 {
			t.Errorf("in 100 turns, ten hosts swept %d times", count)
		}
		seconds := map[int]bool{}
		for i, at := range store.swept {
			seconds[at.Second()] = true
			if i > 0 && at.Truncate(turn).Equal(store.swept[i-1].Truncate(turn)) {
				t.Errorf("one turn was used twice, at %v", at)
			}
		}
		if len(seconds) < 10 {
			t.Errorf("the moments are not drawn at random: %v", store.swept)
		}
	})
}

// If the clock is set back, the sweeps go on, and do not wait until it has caught up.
func TestRunWhileTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &turns{Store: memstore.New()}
		var ahead atomic.Int64
		ahead.Store(int64(24 * time.Hour))
		j := &admin.Janitor{Store: store, Expired: true, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }}
		running(t, 100*time.Minute, j)
		before := len(store.swept)
		time.AfterFunc(100*time.Minute, func() { ahead.Store(0) })
		running(t, 200*time.Minute, j)
		if count := len(store.swept) - before; count < 19 || count > 21 {
			t.Errorf("in 20 turns, half of them before the clock was set back, it swept %d times", count)
		}
		before = len(store.swept)
		time.AfterFunc(100*time.Minute, func() { ahead.Store(-int64(time.Hour)) }) // to turns that it has had
		running(t, 200*time.Minute, j)
		if count := len(store.swept) - before; count < 19 || count > 21 {
			t.Errorf("in 20 turns, half of them before the clock was set back by an hour, it swept %d times", count)
		}
	})
}

func TestRunTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer func(before *slog.Logger) { slog.SetDefault(before) }(slog.Default())
		var lines bytes.Buffer
		slog.SetDefault(slog.New(slog.NewTextHandler(&lines, nil)))
		store := &turns{Store: memstore.New(), fails: 2}
		fill(t, store)
		j := &admin.Janitor{Store: store, Expired: true, Every: time.Minute, Events: new(sink).tell}
		running(t, 10*time.Minute, j)
		if gone := missing(t, store); gone != "expired" || strings.Count(lines.String(), "no connection") != 2 {
			t.Errorf("it deleted %q and logged %s", gone, lines.String())
		}
	})
}

func TestWhatASweepThatDeletesNothingLogs(t *testing.T) {
	for _, c := range []struct {
		sentence string
		change   func(*admin.Janitor)
		want     string
	}{
		{"a dry run logs how many clients would be deleted", func(j *admin.Janitor) { j.DryRun, j.EvenIfNoneActivated = true, true }, `level=INFO msg="clients would be swept" clients=2`},
		{"if no client was ever used, they stay, and a warning says how many", func(*admin.Janitor) {}, "level=WARN msg=.* clients=2"},
		{"nothing is logged about clients that are too young", func(j *admin.Janitor) { j.NeverActivated = 90 * aDay }, "^$"},
		{"nor if only idle ones are deleted", func(j *admin.Janitor) { j.NeverActivated, j.Idle, j.RefreshTokens = 0, aDay, aDay }, "^$"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer func(before *slog.Logger) { slog.SetDefault(before) }(slog.Default())
				var lines bytes.Buffer
				slog.SetDefault(slog.New(slog.NewTextHandler(&lines, nil)))
				store := memstore.New()
				for _, id := range []string{"one", "two"} {
					client := dcr.NewClient()
					client.ID, client.Source, client.CreatedAt = id, dcr.SourceDynamic, time.Now().Add(-9*aDay)
					if err := store.Add(t.Context(), client); err != nil {
						t.Fatal(err)
					}
				}
				j := &admin.Janitor{Store: store, NeverActivated: aDay, Every: time.Minute, Events: new(sink).tell}
				c.change(j)
				running(t, 2*time.Minute, j)
				if logged := lines.String(); !regexp.MustCompile(c.want).MatchString(logged) {
					t.Errorf("it logged %q", logged)
				}
				if left, _ := store.CountClients(t.Context(), dcr.Filter{}); left != 2 {
					t.Errorf("%d clients are left", left)
				}
			})
		})
	}
}

// A tenant that fails does not affect the others, and each event names the
// tenant of its client.
func TestTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, broken, last := memstore.New(), &turns{Store: memstore.New(), fails: 1}, &busy{Store: memstore.New()}
		fill(t, first)
		fill(t, last)
		var told sink
		j := admin.Janitor{
			Stores: func(context.Context) iter.Seq2[dcr.ClientConfigurationStore, error] {
				return func(yield func(dcr.ClientConfigurationStore, error) bool) {
					_ = yield(first, nil) && yield(broken, nil) && yield(plain{first}, nil) && yield(last, nil) && yield(nil, errors.New("no more tenants"))
				}
			},
			Expired: true, Events: told.tell,
		}
		swept, err := j.Sweep(t.Context())
		if swept != 2 || err == nil {
			t.Fatalf("swept %d, %v", swept, err)
		}
		for _, want := range []string{"no connection", "ClientSweeper", "no more tenants"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say %q", err, want)
			}
		}
		if events := told.take(); len(events) != 2 || events[0].Tenant != "" || events[1].Tenant != "acme" {
			t.Errorf("told %+v", events)
		}
	})
}

// A client that is used after it was found and before it is deleted stays.
func TestWhatIsUsedMeanwhileStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		fill(t, store)
		j := admin.Janitor{Store: store, NeverActivated: aDay, Events: new(sink).tell}
		j.Keep = func(ctx context.Context, client *dcr.Client) (bool, error) {
			return false, store.TouchClient(ctx, client.ID, time.Now())
		}
		if swept, err := j.Sweep(t.Context()); swept != 0 || err != nil || missing(t, store) != "" {
			t.Errorf("swept %d, %q, %v", swept, missing(t, store), err)
		}
	})
}

// TestHooksOfTheJanitor checks that a veto that panics keeps the client, that
// other panics do no harm, and that AfterDelete goes on when the sweep ends.
func TestHooksOfTheJanitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		fill(t, store)
		ctx, end := context.WithCancel(t.Context())
		j := admin.Janitor{Store: store, Expired: true, Events: func(context.Context, dcr.Event) { panic("the sink overflows") }}
		j.Keep = func(context.Context, *dcr.Client) (bool, error) { panic("who knows") }
		if swept, err := j.Sweep(ctx); swept != 0 || err != nil {
			t.Errorf("Keep panics: swept %d, %v", swept, err)
		}
		j.Keep = nil
		j.AfterDelete = func(ctx context.Context, client *dcr.Client) error {
			end()
			if ctx.Err() != nil {
				t.Errorf("the hook ended with the sweep: %v", ctx.Err())
			}
			panic("grants are out of reach")
		}
		if swept, _ := j.Sweep(ctx); swept != 1 || ctx.Err() == nil || missing(t, store) != "expired" {
			t.Errorf("AfterDelete panics: swept %d, %q", swept, missing(t, store))
		}
	})
}

// Most clients that register themselves are never used. If the host notes each
// use, it can delete the others after a day.
func ExampleJanitor() {
	ctx := context.Background()
	store := memstore.New()
	for _, id := range []string{"used", "never used"} {
		client := dcr.NewClient()
		client.ID, client.Source, client.CreatedAt = id, dcr.SourceDynamic, time.Now().Add(-48*time.Hour)
		store.Add(ctx, client)
	}
	store.TouchClient(ctx, "used", time.Now())

	janitor := &admin.Janitor{
		Store:          store,
		NeverActivated: 24 * time.Hour,
		Idle:           90 * 24 * time.Hour,
		RefreshTokens:  30 * 24 * time.Hour,
		Expired:        true,
		Events: func(ctx context.Context, event dcr.Event) {
			fmt.Println(event.Kind, event.ClientID, event.Reason)
		},
	}
	fmt.Println(janitor.Sweep(ctx)) // a server calls janitor.Run(ctx) in a goroutine, and logs its error
	// Output:
	// swept never used never_activated
	// 1 <nil>
}

// Every action has the name of its operator.
func ExampleAdmin() {
	store := memstore.New()
	client := dcr.NewClient()
	client.ID, client.Status, client.Source = "calc", dcr.StatusPending, dcr.SourceDynamic
	store.Add(context.Background(), client)

	operations := &admin.Admin{Store: store, Events: func(ctx context.Context, event dcr.Event) {
		fmt.Println(event.Operator, event.Kind, event.ClientID)
	}}
	ctx := admin.WithOperator(context.Background(), "olga")
	waiting := dcr.StatusPending
	clients, _, err := operations.List(ctx, dcr.Filter{Status: &waiting}, "", 50)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, seen := range clients {
		fmt.Println(operations.Approve(ctx, seen.ID, seen.Revision)) // the revision that was seen
	}
	fmt.Println(operations.Disable(ctx, "calc"))
	// Output:
	// olga approved calc
	// <nil>
	// olga disabled calc
	// <nil>
}

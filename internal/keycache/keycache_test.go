package keycache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr/internal/keycache"
)

const url = "https://issuer.example/jwks"

var errDown = errors.New("connection refused")

// source is what the cache fetches from, together with the cache. It is used
// inside a synctest bubble, where time passes only while all goroutines wait.
type source struct {
	mu      sync.Mutex
	kids    []string
	body    string // instead of a set of kids
	maxAge  time.Duration
	err     error
	latency time.Duration
	fetches map[string]int

	*keycache.Cache
}

func newSource(opts keycache.Options, kids ...string) *source {
	s := &source{kids: kids, fetches: make(map[string]int)}
	s.Cache = keycache.New(s.fetch, opts)
	return s
}

func (s *source) fetch(ctx context.Context, url string) ([]byte, time.Duration, error) {
	s.mu.Lock()
	s.fetches[url]++
	body, maxAge, err, latency := s.body, s.maxAge, s.err, s.latency
	if body == "" {
		body = string(setOf(s.kids))
	}
	s.mu.Unlock()
	if latency > 0 {
		select {
		case <-time.After(latency):
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	if err != nil {
		return nil, 0, err
	}
	return []byte(body), maxAge, nil
}

func setOf(kids []string) []byte {
	body := []byte(`{"keys":[`)
	for i, kid := range kids {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":%q}`, kid)
	}
	return append(body, "]}"...)
}

// asks calls for kid and expects the answer and the number of fetches so far.
func (s *source) asks(t *testing.T, kid string, known bool, fetches int) {
	t.Helper()
	set, err := s.Keys(t.Context(), url, kid)
	if err != nil {
		t.Fatalf("kid %q: %v", kid, err)
	}
	if kid != "" && set.Has(kid) != known {
		t.Errorf("kid %q is known: %v", kid, !known)
	}
	s.fetched(t, fetches)
}

// fails calls for kid and expects an outage.
func (s *source) fails(t *testing.T, kid string, fetches int) {
	t.Helper()
	set, err := s.Keys(t.Context(), url, kid)
	if !errors.Is(err, keycache.ErrUnavailable) || set != nil {
		t.Errorf("kid %q gave %v, %v", kid, set, err)
	}
	s.fetched(t, fetches)
}

func (s *source) fetched(t *testing.T, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.fetches[url]; got != want {
		t.Errorf("%d fetches, want %d", got, want)
	}
}

// A scenario is a sentence about a cache whose source has one key, a, and a
// function that checks it.
type scenario struct {
	name string
	opts keycache.Options
	run  func(t *testing.T, s *source)
}

func play(t *testing.T, scenarios []scenario) {
	for _, test := range scenarios {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test.run(t, newSource(test.opts, "a")) })
		})
	}
}

func TestASetHasItsTime(t *testing.T) {
	play(t, []scenario{
		{"a set is fetched once and then cached", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			s.asks(t, "a", true, 1)
			s.asks(t, "", true, 1)
		}},
		{"an expired set is fetched again", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			time.Sleep(15*time.Minute - 1)
			s.asks(t, "a", true, 1)
			time.Sleep(time.Nanosecond)
			s.asks(t, "a", true, 2)
		}},
		{"the host's TTL counts if the source gives none", keycache.Options{TTL: 2 * time.Second}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			time.Sleep(2 * time.Second)
			s.asks(t, "a", true, 2)
		}},
		{"the source's max-age counts", keycache.Options{}, func(t *testing.T, s *source) {
			s.maxAge = time.Hour
			s.asks(t, "a", true, 1)
			time.Sleep(time.Hour - 1)
			s.asks(t, "a", true, 1)
			time.Sleep(time.Nanosecond)
			s.asks(t, "a", true, 2)
		}},
		{"a source that wants to be asked each time is asked each minute", keycache.Options{}, func(t *testing.T, s *source) {
			s.maxAge = -1
			s.asks(t, "a", true, 1)
			time.Sleep(time.Minute - 1)
			s.asks(t, "a", true, 1)
			time.Sleep(time.Nanosecond)
			s.asks(t, "a", true, 2)
		}},
		{"a max-age of years counts as a day", keycache.Options{}, func(t *testing.T, s *source) {
			s.maxAge = 365 * 24 * time.Hour
			s.asks(t, "a", true, 1)
			time.Sleep(24 * time.Hour)
			s.asks(t, "a", true, 2)
		}},
		{"its time begins when it is asked for", keycache.Options{}, func(t *testing.T, s *source) {
			s.latency = 5 * time.Second
			s.asks(t, "a", true, 1)
			time.Sleep(15*time.Minute - s.latency - 1)
			s.asks(t, "a", true, 1)
			time.Sleep(time.Nanosecond)
			s.asks(t, "a", true, 2)
		}},
		{"an emptied set is not an outage", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			s.kids = nil
			time.Sleep(15 * time.Minute)
			s.asks(t, "a", false, 2)
		}},
	})
}

func TestRawIsTheDocument(t *testing.T) {
	play(t, []scenario{
		{"Raw returns the document itself", keycache.Options{}, func(t *testing.T, s *source) {
			body, err := s.Raw(t.Context(), url, "a")
			if err != nil || string(body) != string(setOf(s.kids)) {
				t.Errorf("got %s, %v", body, err)
			}
			s.asks(t, "a", true, 1)
			s.err = errDown
			time.Sleep(2 * time.Hour)
			if body, err := s.Raw(t.Context(), url, "a"); !errors.Is(err, keycache.ErrUnavailable) || body != nil {
				t.Errorf("got %s, %v", body, err)
			}
		}},
	})
}

func TestAnUnknownKidRefreshesTheSet(t *testing.T) {
	play(t, []scenario{
		{"an unknown kid fetches a rotated set", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			s.kids = []string{"b"}
			s.asks(t, "b", true, 2)
			s.asks(t, "a", false, 3)
			s.asks(t, "a", false, 3)
		}},
		{"a set that is rotated twice is fetched twice, without delay", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			s.kids = []string{"b"}
			s.asks(t, "b", true, 2)
			s.kids = []string{"c"}
			s.asks(t, "c", true, 3)
			s.asks(t, "x", false, 4)
			s.asks(t, "y", false, 4)
		}},
		{"unknown kids fetch no more often than the floor allows", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "x", false, 1)
			s.asks(t, "y", false, 1)
			time.Sleep(time.Minute - 1)
			s.asks(t, "z", false, 1)
			time.Sleep(time.Nanosecond)
			s.asks(t, "z", false, 2)
			s.asks(t, "z", false, 2)
		}},
		{"the host may set the floor", keycache.Options{Floor: time.Second}, func(t *testing.T, s *source) {
			s.asks(t, "x", false, 1)
			time.Sleep(time.Second)
			s.asks(t, "x", false, 2)
		}},
		{"a refresh starts the set's lifetime again", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			time.Sleep(10 * time.Minute)
			s.asks(t, "x", false, 2)
			time.Sleep(10 * time.Minute)
			s.asks(t, "a", true, 2)
		}},
	})
}

func TestAnOutageIsNotAnUnknownKid(t *testing.T) {
	play(t, []scenario{
		{"a source that was never up is an outage", keycache.Options{}, func(t *testing.T, s *source) {
			s.err = errDown
			s.fails(t, "a", 1)
			_, err := s.Keys(t.Context(), url, "a")
			if !errors.Is(err, errDown) {
				t.Errorf("the cause is lost: %v", err)
			}
		}},
		{"a source that failed is not asked again for a while", keycache.Options{}, func(t *testing.T, s *source) {
			s.err = errDown
			s.fails(t, "a", 1)
			s.err = nil
			time.Sleep(5*time.Second - 1)
			s.fails(t, "a", 1)
			time.Sleep(time.Nanosecond)
			s.asks(t, "a", true, 2)
		}},
		{"while the source is down, an unknown kid is an outage", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			s.err = errDown
			time.Sleep(time.Minute)
			s.fails(t, "b", 2)
			s.asks(t, "a", true, 2)
			time.Sleep(time.Minute - 1)
			s.fails(t, "b", 2)
			s.err, s.kids = nil, []string{"a", "b"}
			time.Sleep(time.Nanosecond)
			s.asks(t, "b", true, 3)
		}},
		{"a document that is not a key set is an outage", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			s.body = "<html>Sorry</html>"
			time.Sleep(15 * time.Minute)
			s.asks(t, "a", true, 2)
			time.Sleep(time.Hour)
			s.fails(t, "a", 3)
		}},
		{"a source that hangs is an outage after the timeout", keycache.Options{Timeout: 3 * time.Second}, func(t *testing.T, s *source) {
			s.latency = time.Hour
			start := time.Now()
			s.fails(t, "a", 1)
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("took %v", took)
			}
		}},
	})
}

func TestAStaleSetBridgesAnOutage(t *testing.T) {
	play(t, []scenario{
		{"a stale set is used while the source is down", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			s.err = errDown
			time.Sleep(15 * time.Minute)
			s.asks(t, "a", true, 2)
			s.asks(t, "", true, 2)
			time.Sleep(time.Minute)
			s.asks(t, "a", true, 3)
		}},
		{"a stale set is not used forever", keycache.Options{}, func(t *testing.T, s *source) {
			s.asks(t, "a", true, 1)
			s.err = errDown
			time.Sleep(75*time.Minute - 1)
			s.asks(t, "a", true, 2)
			time.Sleep(time.Nanosecond)
			s.fails(t, "a", 2)
			time.Sleep(5 * time.Second)
			s.fails(t, "a", 3)
		}},
	})
}

func TestAThousandCallersMakeOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(keycache.Options{}, "a")
		s.latency = time.Second
		rush := func() {
			var callers sync.WaitGroup
			for i := range 1000 {
				callers.Go(func() {
					if _, err := s.Keys(t.Context(), url, fmt.Sprint("kid", i)); err != nil {
						t.Error(err)
					}
				})
			}
			callers.Wait()
		}
		rush()
		s.fetched(t, 1)
		time.Sleep(time.Minute)
		rush()
		s.fetched(t, 2)
		time.Sleep(time.Hour)
		rush()
		s.fetched(t, 3)
	})
}

func TestAFetchOutlivesTheCallerWhoStartedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(keycache.Options{}, "a")
		s.latency = 2 * time.Second
		first, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var second sync.WaitGroup
		second.Go(func() { s.asks(t, "a", true, 1) })
		start := time.Now()
		if set, err := s.Keys(first, url, "a"); err != context.DeadlineExceeded || set != nil {
			t.Errorf("got %v, %v", set, err)
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("the first caller waited %v", waited)
		}
		second.Wait()
	})
}

func TestTheFetchSeesTheValuesOfTheCaller(t *testing.T) {
	type traceKey struct{}
	var seen any
	cache := keycache.New(func(ctx context.Context, _ string) ([]byte, time.Duration, error) {
		seen = ctx.Value(traceKey{})
		return setOf(nil), 0, nil
	}, keycache.Options{})
	if _, err := cache.Keys(context.WithValue(t.Context(), traceKey{}, "trace"), url, ""); err != nil || seen != "trace" {
		t.Errorf("got %v, %v", seen, err)
	}
}

func TestAPanicReachesTheCallersAndHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := true
		cache := keycache.New(func(context.Context, string) ([]byte, time.Duration, error) {
			if panics {
				panic("a bug")
			}
			return setOf([]string{"a"}), 0, nil
		}, keycache.Options{})
		func() {
			defer func() {
				if got := recover(); got != "a bug" {
					t.Errorf("recovered %v", got)
				}
			}()
			cache.Keys(t.Context(), url, "a")
		}()
		if _, err := cache.Keys(t.Context(), url, "a"); !errors.Is(err, keycache.ErrUnavailable) {
			t.Errorf("afterwards %v", err)
		}
		panics = false
		time.Sleep(5 * time.Second)
		if _, err := cache.Keys(t.Context(), url, "a"); err != nil {
			t.Error(err)
		}
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(keycache.Options{Entries: 2}, "a")
		ask := func(url string, fetches int) {
			t.Helper()
			if _, err := s.Keys(t.Context(), url, "a"); err != nil || s.fetches[url] != fetches {
				t.Errorf("%s: %d fetches, %v", url, s.fetches[url], err)
			}
		}
		ask("1", 1)
		ask("2", 1)
		ask("1", 1)
		ask("3", 1) // replaces 2
		ask("1", 1)
		ask("3", 1)
		ask("2", 2) // replaces 1
		ask("3", 1)
		ask("1", 2)
	})
}

func TestAnEntryThatMadeRoomStillAnswersThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(keycache.Options{Entries: 1}, "a")
		s.latency = time.Second
		var callers sync.WaitGroup
		for i := range 10 {
			callers.Go(func() {
				if set, err := s.Keys(t.Context(), fmt.Sprint(url, i), "a"); err != nil || !set.Has("a") {
					t.Errorf("got %v, %v", set, err)
				}
			})
		}
		callers.Wait()
	})
}

func TestTheClockCanBeInjected(t *testing.T) {
	now := time.Unix(0, 0)
	s := newSource(keycache.Options{Now: func() time.Time { return now }}, "a")
	s.asks(t, "a", true, 1)
	now = now.Add(15 * time.Minute)
	s.asks(t, "a", true, 2)
}

func BenchmarkKeys(b *testing.B) {
	s := newSource(keycache.Options{}, "a")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Keys(b.Context(), url, "a"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A clock that is set back makes no set, no failure and no unknown key last longer.
func TestTheClockIsSetBack(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	s := newSource(keycache.Options{Now: func() time.Time { return now }}, "a")
	s.asks(t, "a", true, 1)
	now = now.Add(-24 * time.Hour)
	s.asks(t, "a", true, 2)
	s.asks(t, "a", true, 2)
	s.err, now = errors.New("down"), now.Add(15*time.Minute)
	s.asks(t, "a", true, 3) // the last set
	s.err, s.kids, now = nil, []string{"b"}, now.Add(-24*time.Hour)
	s.asks(t, "b", true, 4)

	now = now.Add(time.Minute)
	s.asks(t, "c", false, 5)
	now = now.Add(-24 * time.Hour)
	s.asks(t, "b", true, 6)
	s.kids, now = []string{"b", "c"}, now.Add(time.Minute)
	s.asks(t, "c", true, 7)

	s.err, now = errors.New("down"), now.Add(-24*time.Hour)
	s.asks(t, "c", true, 8) // the last set
	now = now.Add(5 * time.Second)
	s.asks(t, "c", true, 9)
	now = now.Add(time.Hour)
	s.fails(t, "c", 10)
}

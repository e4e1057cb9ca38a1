package cimd_test

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

// TestFetchIsTakenWhole checks that every setting of Options.Fetch is used.
func TestFetchIsTakenWhole(t *testing.T) {
	own := reflect.TypeFor[dcr.GuardedClient]()
	taken := []string{"AllowNetworks", "PrivateHosts", "AllowPorts", "RootCAs", "Timeout", "MaxBytes", "Concurrent", "PerHost", "Logger"}
	for i := range own.NumField() {
		if field := own.Field(i); field.IsExported() && !slices.Contains(taken, field.Name) {
			t.Errorf("settings.guard does not copy %s", field.Name)
		}
	}
}

// TestPublishers checks the lookup of an unknown client and of one with a row
// when the publisher misbehaves.
func TestPublishers(t *testing.T) {
	for _, c := range []struct {
		does           dcrtest.Misbehaviour
		unknown, known string
	}{
		{dcrtest.Behaves, "ok", "ok"},
		{dcrtest.Redirects, "unavailable", "ok"},
		{dcrtest.Forbids, "unavailable", "ok"},
		{dcrtest.Walls, "document.type", "ok"},
		{dcrtest.Misses, "document.missing", "document.missing"},
		{dcrtest.Withdraws, "document.missing", "document.missing"},
		{dcrtest.Throttles, "unavailable", "ok"},
		{dcrtest.Fails, "unavailable", "ok"},
		{dcrtest.HangsUp, "unavailable", "ok"},
		{dcrtest.Stalls, "unavailable", "ok"},
		{dcrtest.Floods, "document.answer", "document.answer"},
		{dcrtest.Compresses, "document.answer", "document.answer"},
		{dcrtest.Mistypes, "document.type", "document.type"},
		{dcrtest.Misspells, "client_id.mismatch", "client_id.mismatch"},
		{dcrtest.Impersonates, "client_id.mismatch", "client_id.mismatch"},
		{dcrtest.Breaks, "body.json", "body.json"},
		{dcrtest.Repeats, "body.json", "body.json"},
	} {
		t.Run("it "+string(c.does), func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.publisher.Publish("/client", []byte(app))
			w.publisher.Misbehave("/client", c.does)
			wantOutcome(t, "an unknown client", find(t, w.store, id), c.unknown)
			if c.does != dcrtest.Behaves {
				wantOutcome(t, "the same, right afterwards", find(t, w.store, id), "unavailable")
				if w.publisher.Fetches("/client") != 1 {
					t.Error("a URL that failed was tried again immediately")
				}
			}
			if w.rows() != 0 {
				t.Error("it was stored")
			}
			w.publisher.Misbehave("/client", dcrtest.Behaves)
			w.pass(31 * time.Second)
			wantOutcome(t, "after it behaves", find(t, w.store, id), "ok")
			w.use(id)
			w.pass(2 * time.Hour)
			w.publisher.Misbehave("/client", c.does)
			wantOutcome(t, "a known client", find(t, w.store, id), c.known)
			afterwards := c.known
			if afterwards != "ok" {
				afterwards = "document.withdrawn"
				wantOutcome(t, "the same, right afterwards", find(t, w.store, id), afterwards)
				w.pass(31 * time.Second)
				w.publisher.Misbehave("/client", dcrtest.Fails)
				wantOutcome(t, "an outage does not bring it back", find(t, w.store, id), afterwards)
			}
			wantOutcome(t, "at the token endpoint", find(t, w.store.Known(), id), afterwards)
			wantOutcome(t, "on another host", find(t, w.host(nil).Known(), id), afterwards)
			w.pass(31 * time.Second)
			w.publisher.Misbehave("/client", dcrtest.Behaves)
			wantOutcome(t, "after it behaves again", find(t, w.store, id), "ok")
			wantOutcome(t, "at the token endpoint too", find(t, w.store.Known(), id), "ok")
		})
	}
}

// TestUnreachable checks publishers that do not exist or must not be reached.
func TestUnreachable(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) { opts.Admit = cimd.Any })
	wantOutcome(t, "a name that does not resolve", find(t, w.store, "https://nobody.invalid/client"), "unavailable")
	wantOutcome(t, "a port that is not fetched from", find(t, w.store, "https://app.example.com:8443/client"), "client_id.reach")
	strict, err := cimd.New(memstore.New(), &cimd.Options{Issuer: issuer, Admit: cimd.Any})
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, "nor by default", find(t, strict, "https://app.example.com:8443/client"), "client_id.reach")
	id := w.publisher.Publish("/large", []byte(app[:len(app)-1]+`,"x":"`+strings.Repeat("x", 5<<10)+`"}`))
	wantOutcome(t, "more than 5 KiB", find(t, w.store, id), "document.answer")
	wantOutcome(t, "this machine", find(t, strict, "https://localhost/client"), "client_id.reach")
}

// TestTime checks how long a document is fresh, with a sentence for each case.
func TestTime(t *testing.T) {
	for _, c := range []struct {
		sentence, cacheControl string
		fresh                  time.Duration // after this it is fetched again
	}{
		{"an hour if the server does not say", "", time.Hour},
		{"as long as the server says", "max-age=600", 10 * time.Minute},
		{"at least five minutes", "max-age=1", 5 * time.Minute},
		{"at most a day", "max-age=1000000", 24 * time.Hour},
		{"no-store means the least", "no-store", 5 * time.Minute},
		{"and no-cache", "no-cache, max-age=600", 5 * time.Minute},
		{"s-maxage counts", "max-age=1, s-maxage=1200", 20 * time.Minute},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.publisher.Publish("/client", []byte(app))
			w.publisher.CacheControl("/client", c.cacheControl)
			client := mustFind(t, w.store, id)
			if got := client.Document.FreshUntil.Sub(client.Document.FetchedAt); got != c.fresh {
				t.Errorf("fresh for %v, not %v", got, c.fresh)
			}
			if end := client.ExpiresAt.Sub(client.Document.FreshUntil); end != 7*24*time.Hour {
				t.Errorf("it ends %v later", end)
			}
			w.pass(c.fresh / 2)
			mustFind(t, w.store, id)
			if w.publisher.Fetches("/client") != 1 {
				t.Error("it is fetched although it is fresh")
			}
			w.pass(c.fresh / 2)
			mustFind(t, w.store, id)
			if w.publisher.Fetches("/client") != 2 {
				t.Error("it is not fetched although it is not fresh")
			}
		})
	}
}

// TestWrongClock checks that what was noted while the clock was ahead does not
// last until that time.
func TestWrongClock(t *testing.T) {
	const years = 5 * 365 * 24 * time.Hour
	w := newWorld(t, nil)
	id, failed := w.publisher.Publish("/client", []byte(app)), w.publisher.Publish("/failed", []byte(app))
	w.publisher.Misbehave("/failed", dcrtest.Fails)
	w.pass(years)
	mustFind(t, w.store, id)
	w.use(id)
	wantOutcome(t, "it fails in the future", find(t, w.store, failed), "unavailable")
	w.pass(-years)
	if client := mustFind(t, w.store, id); !client.Document.FetchedAt.Equal(w.Now()) {
		t.Errorf("fetched at %v, and fresh until %v", client.Document.FetchedAt, client.Document.FreshUntil)
	}
	w.publisher.Misbehave("/failed", dcrtest.Behaves)
	wantOutcome(t, "and is tried again", find(t, w.store, failed), "ok")
}

func TestBackgroundRefresh(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	first := mustFind(t, w.store, id)
	w.use(id)
	w.pass(58 * time.Minute)
	if again := mustFind(t, w.store, id); !again.Document.FetchedAt.Equal(first.Document.FetchedAt) {
		t.Error("a caller waited")
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if mustFind(t, w.store.Known(), id).Document.FetchedAt.Equal(w.Now()) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was fetched in the background")
		}
	}
	w.publisher.Misbehave("/client", dcrtest.Fails)
	w.pass(30 * time.Minute)
	wantOutcome(t, "it is still fresh after its first expiry", find(t, w.store, id), "ok")
	if w.publisher.Fetches("/client") != 2 {
		t.Errorf("%d fetches", w.publisher.Fetches("/client"))
	}
}

// TestStale checks that a known client keeps working for a week, and no longer.
func TestStale(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	w.publisher.Misbehave("/client", dcrtest.Forbids)
	w.pass(24 * time.Hour)
	wantOutcome(t, "403 for a day", find(t, w.store, id), "ok")
	w.pass(6 * 24 * time.Hour)
	client := mustFind(t, w.store, id)
	if !client.Usable(w.Now()) || client.Usable(w.Now().Add(2*time.Hour)) {
		t.Errorf("it ends at %v", client.ExpiresAt)
	}
	w.pass(2 * time.Hour)
	wantOutcome(t, "and a week", find(t, w.store, id), "unavailable")
	wantOutcome(t, "at the token endpoint", find(t, w.store.Known(), id), "unavailable")
	w.publisher.Misbehave("/client", dcrtest.Behaves)
	w.pass(time.Minute)
	wantOutcome(t, "after it behaves", find(t, w.store, id), "ok")
	if row, err := w.inside.FindByClientID(t.Context(), id); err != nil || !row.Usable(w.Now()) {
		t.Errorf("the row was not renewed: %v", err)
	}
	never := newWorld(t, func(opts *cimd.Options) { opts.MaxStale = -1 })
	id = never.publisher.Publish("/client", []byte(app))
	mustFind(t, never.store, id)
	never.use(id)
	never.publisher.Misbehave("/client", dcrtest.Forbids)
	never.pass(2 * time.Hour)
	wantOutcome(t, "without MaxStale", find(t, never.store, id), "unavailable")
}

func TestPinned(t *testing.T) {
	publisher := dcrtest.NewPublisher(t)
	id := publisher.Publish("/client", []byte(app))
	pinned := []byte(`{"client_id":"` + id + `",` + strings.Replace(app[1:], "App", "Pinned", 1))
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Admit, opts.Fetch = cimd.Any, publisher.Fetch()
		opts.Pinned = map[string][]byte{id: pinned}
	})
	publisher.Misbehave("/client", dcrtest.Forbids)
	if client := mustFind(t, w.store, id); client.ClientName != "Pinned" {
		t.Errorf("found %q", client.ClientName)
	}
	publisher.Misbehave("/client", dcrtest.Behaves)
	w.pass(31 * time.Second)
	if client := mustFind(t, w.store, id); client.ClientName != "App" {
		t.Errorf("found %q: the new document counts", client.ClientName)
	}
	w.pass(2 * time.Hour)
	publisher.Misbehave("/client", dcrtest.Misses)
	wantOutcome(t, "a document that is gone is refused", find(t, w.store, id), "document.missing")
}

// TestPinnedAfterRefusal checks that a pinned document does not replace one that
// was refused, for a client without a row.
func TestPinnedAfterRefusal(t *testing.T) {
	for does, rule := range map[dcrtest.Misbehaviour]string{dcrtest.Misses: "document.missing", dcrtest.Breaks: "body.json"} {
		w := newWorld(t, nil)
		id := w.publisher.Publish("/client", []byte(app))
		store := w.host(func(opts *cimd.Options) {
			opts.Pinned = map[string][]byte{id: []byte(`{"client_id":"` + id + `",` + app[1:])}
		})
		w.publisher.Misbehave("/client", does)
		wantOutcome(t, "it is refused", find(t, store, id), rule)
		wantOutcome(t, "right afterwards, it is not tried again", find(t, store, id), "unavailable")
		wantOutcome(t, "nor found at the token endpoint", find(t, store.Known(), id), "unavailable")
		w.pass(31 * time.Second)
		wantOutcome(t, "it is refused again", find(t, store, id), rule)
		w.publisher.Misbehave("/client", dcrtest.Fails)
		w.pass(31 * time.Second)
		wantOutcome(t, "an outage does not bring it back", find(t, store, id), "unavailable")
		w.pass(31 * time.Second)
		wantOutcome(t, "nor does the next one", find(t, store, id), "unavailable")
		w.publisher.Misbehave("/client", dcrtest.Behaves)
		w.pass(31 * time.Second)
		wantOutcome(t, "it is back", find(t, store, id), "ok")
		w.publisher.Misbehave("/client", dcrtest.Fails)
		w.pass(8 * 24 * time.Hour)
		wantOutcome(t, "then the pinned document counts again", find(t, store, id), "ok")
	}
}

// TestOneFlight checks that 50 lookups at once make one fetch, which goes on if
// the first caller goes away.
func TestOneFlight(t *testing.T) {
	var fetches atomic.Int64
	release := make(chan struct{})
	publisher := dcrtest.NewPublisher(t)
	id := publisher.Publish("/client", []byte(app))
	entered := make(chan struct{}, 100)
	store, err := cimd.New(memstore.New(), &cimd.Options{Issuer: issuer, Fetch: publisher.Fetch(), Admit: func(context.Context, *url.URL) (string, error) {
		fetches.Add(1)
		entered <- struct{}{}
		<-release
		return "", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	first, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := store.FindByClientID(first, id); gone <- err }()
	<-entered
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if client, err := store.FindByClientID(context.Background(), id); err != nil || client.ClientName != "App" {
				t.Error(err)
			}
		})
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that went away got %v", err)
	}
	close(release)
	all.Wait()
	if fetches.Load() != 1 || publisher.Fetches("/client") != 1 {
		t.Errorf("asked %d times, fetched %d times", fetches.Load(), publisher.Fetches("/client"))
	}
}

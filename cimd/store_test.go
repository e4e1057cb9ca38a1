package cimd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// withoutNotes hides the capability to note documents, which is used only if documents
// are accepted.
type withoutNotes struct{ *cimd.Store }

func (s withoutNotes) As(target any) bool {
	if _, is := target.(*dcr.DocumentNoter); is {
		return false
	}
	return s.Store.As(target)
}

// TestStore checks that for every other client it behaves like the store
// inside.
func TestStore(t *testing.T) {
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
		store, err := cimd.New(memstore.New(), &cimd.Options{Issuer: issuer})
		if err != nil {
			t.Fatal(err)
		}
		return withoutNotes{store}
	})
}

// TestRows checks what is stored, and when.
func TestRows(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	known := w.store.Known()
	wantOutcome(t, "nobody knows it", find(t, known, id), "unavailable")
	wantOutcome(t, "nor one that is not admitted", find(t, known, "https://elsewhere.example/client"), "client_id.host")
	if w.publisher.Fetches("/client") != 0 {
		t.Error("Known fetches")
	}
	if err := w.store.TouchClient(t.Context(), id, w.Now()); !errors.Is(err, dcr.ErrClientNotFound) {
		t.Errorf("touched before it was known: %v", err)
	}
	mustFind(t, w.store, id)
	wantOutcome(t, "now it does", find(t, known, id), "ok")
	if w.rows() != 0 {
		t.Error("a look-up costs a row")
	}
	w.use(id)
	row := mustFind(t, w.inside, id)
	if row.Source != dcr.SourceDocument || !row.ExpiresAt.Equal(row.Document.FreshUntil.Add(7*24*time.Hour)) || !row.ActivatedAt.Equal(w.Now()) || row.CreatedAt.IsZero() {
		t.Errorf("%+v", row)
	}
	wantOutcome(t, "on another host", find(t, w.host(nil).Known(), id), "ok")
	w.pass(5 * time.Minute)
	w.use(id)
	if row := mustFind(t, w.inside, id); !row.LastUsedAt.Equal(w.Now()) {
		t.Errorf("last used at %v", row.LastUsedAt)
	}
	consented := w.publisher.Publish("/consented", []byte(app))
	mustFind(t, w.store, consented)
	if err := dcr.NoteConsent(t.Context(), w.store, consented, "somebody", w.Now()); err != nil {
		t.Fatal(err)
	}
	if row := mustFind(t, w.inside, consented); row.ActivatedBy != "somebody" {
		t.Errorf("activated by %q", row.ActivatedBy)
	}
}

// TestStrangers checks that 10,000 URLs of strangers store nothing, cause few
// fetches, and do not keep a known client from being refreshed.
func TestStrangers(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	w.pass(2 * time.Hour)
	w.publisher.Misbehave("/stranger", dcrtest.Misses)
	before := w.Now()
	for i := range 10_000 {
		if got := find(t, w.store, w.publisher.URL(fmt.Sprint("/stranger/", i))); got != "unavailable" && got != "document.missing" {
			t.Fatal(got)
		}
		if i%1000 == 999 {
			client := mustFind(t, w.store, id)
			if !client.Document.FetchedAt.After(before) && i > 1000 {
				t.Errorf("after %d strangers it was fetched at %v", i, client.Document.FetchedAt)
			}
			w.pass(time.Hour)
		}
	}
	fetched := 0
	for _, event := range w.happened(dcr.DocumentFetched) {
		if event.ClientID != id && event.Reason != "budget" {
			fetched++
		}
	}
	if fetched > 11*30 || fetched == 0 {
		t.Errorf("%d fetches for strangers", fetched)
	}
	if w.rows() != 1 {
		t.Errorf("%d rows", w.rows())
	}
}

// TestBudgetOfAHost checks that names that are not fetched from do not use up the
// budget of a host.
func TestBudgetOfAHost(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Admit, opts.Entries, opts.FetchesPerMinute, opts.FetchesPerHostMinute = cimd.Any, 2, 12, 3
	})
	for i := range 12 { // a minute, in which every budget is available twice
		find(t, w.store, w.publisher.URL(fmt.Sprint("/stranger/", i)))
		for j := range 30 {
			find(t, w.store, fmt.Sprintf("https://host-%d.invalid/%d", j, i))
		}
		w.pass(5 * time.Second)
	}
	fetched := 0
	for _, event := range w.happened(dcr.DocumentFetched) {
		if strings.HasPrefix(event.ClientID, w.publisher.URL("/stranger/")) && event.Reason != "budget" {
			fetched++
		}
	}
	if fetched > 6 || fetched < 3 {
		t.Errorf("%d fetches from one host", fetched)
	}
}

// TestWaitingMakesNoRoom checks that pending clients do not evict clients in use.
func TestWaitingMakesNoRoom(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) {
		opts.MaxStored = 3
		opts.Admit = func(_ context.Context, id *url.URL) (string, error) {
			if strings.HasPrefix(id.Path, "/used") {
				return "", nil
			}
			return "approval", nil
		}
		opts.Policies = map[string]dcr.Validator{"approval": policy.Stack(dcr.DefaultValidator{}, policy.Approval(nil))}
	})
	for i := range 2 {
		id := w.publisher.Publish(fmt.Sprint("/used/", i), []byte(app))
		mustFind(t, w.store, id)
		w.use(id)
	}
	for i := range 3 {
		client := mustFind(t, w.store, w.publisher.Publish(fmt.Sprint("/waits/", i), []byte(app)))
		if client.Status != dcr.StatusPending {
			t.Errorf("%d is %v", i, client.Status)
		}
	}
	for id, want := range map[string]string{"/used/0": "ok", "/used/1": "ok", "/waits/0": "ok", "/waits/1": "not found", "/waits/2": "not found"} {
		wantOutcome(t, id, find(t, w.inside, w.publisher.URL(id)), want)
	}
}

// TestCeiling checks that at MaxStored the least recently used active client makes
// room.
func TestCeiling(t *testing.T) {
	var deleted []string
	w := newWorld(t, func(opts *cimd.Options) {
		opts.MaxStored = 3
		opts.AfterDelete = func(_ context.Context, client *dcr.Client) error {
			deleted = append(deleted, client.ID)
			return errors.New("only logged")
		}
	})
	ids := make([]string, 6)
	for i := range ids {
		ids[i] = w.publisher.Publish(fmt.Sprint("/", i), []byte(app))
		mustFind(t, w.store, ids[i])
	}
	touch := func(i int) error {
		w.pass(time.Second)
		return w.store.TouchClient(t.Context(), ids[i], w.Now())
	}
	if err := errors.Join(touch(0), touch(1), touch(2), touch(0), touch(3)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(deleted) != fmt.Sprint(ids[1:2]) || w.rows() != 3 {
		t.Errorf("%v made room", deleted)
	}
	if events := w.happened(dcr.ClientEvicted); len(events) != 1 || events[0].Reason != "ceiling" {
		t.Errorf("%+v", events)
	}
	for _, i := range []int{0, 2, 3} {
		row := mustFind(t, w.inside, ids[i])
		row.Status = dcr.StatusDisabled
		if err := w.inside.Update(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	if err := touch(4); !errors.Is(err, dcr.ErrStoreFull) {
		t.Errorf("a disabled client made room: %v", err)
	}
	wantOutcome(t, "it is still found in memory", find(t, w.store.Known(), ids[4]), "ok")
}

// TestCeilingHook checks that an AfterDelete that fails, or changes what it got, does not
// affect the new client or the event, and that it goes on if the caller goes away.
func TestCeilingHook(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	w := newWorld(t, func(opts *cimd.Options) {
		opts.MaxStored = 1
		opts.AfterDelete = func(ctx context.Context, client *dcr.Client) error {
			told++
			*client = dcr.Client{}
			cancel()
			if err := ctx.Err(); err != nil {
				t.Error(err)
			}
			panic("a bug")
		}
	})
	for _, path := range []string{"/first", "/second"} {
		id := w.publisher.Publish(path, []byte(app))
		mustFind(t, w.store, id)
		if err := w.store.TouchClient(ctx, id, w.Now()); err != nil {
			t.Error(err)
		}
	}
	evicted := w.happened(dcr.ClientEvicted)
	if told != 1 || len(evicted) != 1 || evicted[0].ClientID != w.publisher.URL("/first") || evicted[0].Source != dcr.SourceDocument {
		t.Errorf("told %d times; events: %+v", told, evicted)
	}
}

// TestCeilingFollowsUse checks that a client that was used since the oldest were
// found does not make room.
func TestCeilingFollowsUse(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) { opts.MaxStored = 3 })
	ids := make([]string, 5)
	for i := range ids {
		ids[i] = w.publisher.Publish(fmt.Sprint("/", i), []byte(app))
		mustFind(t, w.store, ids[i])
	}
	for _, i := range []int{0, 1, 2, 3, 1, 4} { // 3 replaces 0, 4 replaces 2
		w.pass(time.Second)
		w.use(ids[i])
	}
	for i, want := range []string{"not found", "ok", "not found", "ok", "ok"} {
		wantOutcome(t, ids[i], find(t, w.inside, ids[i]), want)
	}
}

// TestFutureUse checks that the clock of a caller may be fast.
func TestFutureUse(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) { opts.Now = nil })
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	if err := w.store.TouchClient(t.Context(), id, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if row := mustFind(t, w.inside, id); row.ActivatedAt.After(time.Now()) || row.LastUsedAt.After(time.Now()) {
		t.Errorf("activated at %v, last used at %v", row.ActivatedAt, row.LastUsedAt)
	}
}

// bare has no optional capability.
type bare struct{ dcr.ClientConfigurationStore }

func TestBareStores(t *testing.T) {
	if _, err := cimd.New(bare{memstore.New()}, &cimd.Options{Issuer: issuer, MaxStored: 10}); err == nil {
		t.Error("a ceiling was accepted with a store that cannot count or evict")
	}
	w := newWorld(t, nil)
	store, err := cimd.New(bare{memstore.New()}, &cimd.Options{Issuer: issuer, Admit: cimd.Any, Fetch: w.publisher.Fetch()})
	if err != nil {
		t.Fatal(err)
	}
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, store, id)
	if err := store.TouchClient(t.Context(), id, w.Now()); !errors.Is(err, dcr.ErrStoreFull) {
		t.Errorf("touched: %v", err)
	}
	if _, ok := dcr.StoreAs[dcr.ClientLister](store); ok {
		t.Error("it lists, but the store inside does not")
	}
	if _, ok := dcr.StoreAs[dcr.ClientLister](w.store.Known()); !ok {
		t.Error("it does not list, but the store inside does")
	}
}

// TestCache checks that a cache in front has both views, which share what is
// cached.
func TestCache(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	cache := cachestore.New(w.store, nil)
	known := cache.Known()
	wantOutcome(t, "nobody knows it", find(t, known, id), "unavailable")
	wantOutcome(t, "the cache fetches", find(t, cache, id), "ok")
	wantOutcome(t, "and knows it", find(t, known, id), "ok")
	toucher, ok := dcr.StoreAs[dcr.ClientToucher](known)
	if !ok {
		t.Fatal("no toucher")
	}
	if err := toucher.TouchClient(t.Context(), id, w.Now()); err != nil || w.rows() != 1 {
		t.Errorf("%v, %d rows", err, w.rows())
	}
	plain := cachestore.New(memstore.New(), nil)
	if plain.Known() != dcr.ClientConfigurationStore(plain) {
		t.Error("a cache of another store was accepted")
	}
}

// TestCacheLooksAgain checks that a view that may fetch does so if a document is
// not fresh, however often the token endpoint asks for it.
func TestCacheLooksAgain(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	w.pass(2 * time.Hour)
	w.publisher.Misbehave("/client", dcrtest.Misses)
	cache := cachestore.New(w.store, nil)
	wantOutcome(t, "the token endpoint goes on", find(t, cache.Known(), id), "ok")
	wantOutcome(t, "the authorization endpoint looks", find(t, cache, id), "document.missing")
}

// TestCacheKnownWaitsForNoFetch checks that the view that never fetches does not
// wait for a fetch.
func TestCacheKnownWaitsForNoFetch(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Admit = func(context.Context, *url.URL) (string, error) {
			entered <- struct{}{}
			<-release
			return "", nil
		}
	})
	id := w.publisher.Publish("/client", []byte(app))
	cache := cachestore.New(w.store, nil)
	found := make(chan error)
	go func() { _, err := cache.FindByClientID(context.Background(), id); found <- err }()
	<-entered
	asked := make(chan error)
	go func() { _, err := cache.Known().FindByClientID(context.Background(), id); asked <- err }()
	select {
	case <-entered: // it calls Admit itself
	case <-time.After(5 * time.Second):
		t.Error("it waits for the fetch")
	}
	close(release)
	if err := <-asked; err != nil && !errors.Is(err, cimd.ErrUnavailable) {
		t.Error(err)
	}
	if err := <-found; err != nil {
		t.Error(err)
	}
}

// TestManagement checks that a Handler on a store of documents, or a cache in front of
// one, manages what is stored now, and neither fetches nor fails for strangers.
func TestManagement(t *testing.T) {
	w := newWorld(t, nil)
	unknown, used := w.publisher.Publish("/unknown", []byte(app)), w.publisher.Publish("/used", []byte(app))
	mustFind(t, w.store, used)
	w.use(used)
	w.pass(48 * time.Hour) // its document is not fresh any more
	fetches := w.publisher.Fetches("/used")
	cache := cachestore.New(w.store, &cachestore.Options{TTL: time.Hour})
	for name, store := range map[string]dcr.ClientConfigurationStore{
		"documents": w.store, "known documents": w.store.Known(),
		"cache": cache, "uncached": cache.Uncached(), "known of a cache": cache.Known(),
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			handler, err := dcr.NewHandler(store, &dcr.Options{
				Endpoint: issuer + "/connect/dcr", AllowAnonymous: true, Now: w.Now,
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})),
			})
			if err != nil {
				t.Fatal(err)
			}
			send := func(method, id, token, body string) *httptest.ResponseRecorder {
				target := issuer + "/connect/dcr"
				if id != "" {
					target += "?client_id=" + url.QueryEscape(id)
				}
				r := httptest.NewRequest(method, target, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, r)
				return answer
			}
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				for _, id := range []string{unknown, used, "https://elsewhere.example/client", "nobody"} {
					if answer := send(method, id, "guessed", app); answer.Code != 401 {
						t.Errorf("%s of %s: %d %s", method, id, answer.Code, answer.Body)
					}
				}
			}
			if log.Len() > 0 || w.publisher.Fetches("/unknown") != 0 || w.publisher.Fetches("/used") != fetches {
				t.Errorf("documents were fetched, or something failed: %s", &log)
			}

			var registered struct {
				ID    string `json:"client_id"`
				Token string `json:"registration_access_token"`
			}
			if answer := send("POST", "", "", app); json.Unmarshal(answer.Body.Bytes(), &registered) != nil || answer.Code != 201 {
				t.Fatalf("POST answers %d %s", answer.Code, answer.Body)
			}
			mustFind(t, store, registered.ID) // a cache has it now
			client := mustFind(t, w.inside, registered.ID)
			client.ClientName = "Renamed elsewhere"
			if err := w.inside.Update(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if answer := send("GET", registered.ID, registered.Token, ""); !strings.Contains(answer.Body.String(), client.ClientName) {
				t.Errorf("GET answers %d %s", answer.Code, answer.Body)
			}
			if answer := send("DELETE", registered.ID, registered.Token, ""); answer.Code != 204 {
				t.Errorf("DELETE answers %d %s", answer.Code, answer.Body)
			}
			wantOutcome(t, "it is gone", find(t, store, registered.ID), "not found")
		})
	}
}

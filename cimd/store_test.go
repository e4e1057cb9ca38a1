package cimd_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// withoutNotes hides what counts only while documents are taken: what is noted of them.
type withoutNotes struct{ *cimd.Store }

func (s withoutNotes) As(target any) bool {
	if _, is := target.(*dcr.DocumentNoter); is {
		return false
	}
	return s.Store.As(target)
}

// TestStore: of every other client it is the store inside.
func TestStore(t *testing.T) {
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
		store, err := cimd.New(memstore.New(), &cimd.Options{Issuer: issuer})
		if err != nil {
			t.Fatal(err)
		}
		return withoutNotes{store}
	})
}

// TestFetchIsTakenWhole: every setting of Options.Fetch counts.
func TestFetchIsTakenWhole(t *testing.T) {
	own := reflect.TypeFor[dcr.GuardedClient]()
	taken := []string{"AllowNetworks", "PrivateHosts", "AllowPorts", "RootCAs", "Timeout", "MaxBytes", "Concurrent", "PerHost", "Logger"}
	for i := range own.NumField() {
		if field := own.Field(i); field.IsExported() && !slices.Contains(taken, field.Name) {
			t.Errorf("settings.guard does not copy %s", field.Name)
		}
	}
}

// TestPublishers: what becomes of a look-up when the publisher misbehaves, of an
// unknown client and of one that has a row.
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
				wantOutcome(t, "the same right after", find(t, w.store, id), "unavailable")
				if w.publisher.Fetches("/client") != 1 {
					t.Error("a URL that failed was tried again at once")
				}
			}
			if w.rows() != 0 {
				t.Error("it cost a row")
			}
			w.publisher.Misbehave("/client", dcrtest.Behaves)
			w.pass(31 * time.Second)
			wantOutcome(t, "once it behaves", find(t, w.store, id), "ok")
			w.use(id)
			w.pass(2 * time.Hour)
			w.publisher.Misbehave("/client", c.does)
			wantOutcome(t, "a known client", find(t, w.store, id), c.known)
			afterwards := c.known
			if afterwards != "ok" {
				afterwards = "document.withdrawn"
			}
			wantOutcome(t, "at the token endpoint", find(t, w.store.Known(), id), afterwards)
			wantOutcome(t, "on another host", find(t, w.host(nil).Known(), id), afterwards)
			w.pass(31 * time.Second)
			w.publisher.Misbehave("/client", dcrtest.Behaves)
			wantOutcome(t, "once it behaves again", find(t, w.store, id), "ok")
			wantOutcome(t, "at the token endpoint too", find(t, w.store.Known(), id), "ok")
		})
	}
}

// TestUnreachable: what a publisher that is not there, or not reached, is.
func TestUnreachable(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) { opts.Admit = cimd.Any })
	wantOutcome(t, "a name that does not resolve", find(t, w.store, "https://nobody.invalid/client"), "unavailable")
	wantOutcome(t, "a port that is not fetched from", find(t, w.store, "https://app.example.com:8443/client"), "client_id.reach")
	strict, err := cimd.New(memstore.New(), &cimd.Options{Issuer: issuer, Admit: cimd.Any})
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, "nor by default", find(t, strict, "https://app.example.com:8443/client"), "client_id.reach")
	wantOutcome(t, "this machine", find(t, strict, "https://localhost/client"), "client_id.reach")
}

// TestTime holds how long what is good, one sentence a case.
func TestTime(t *testing.T) {
	for _, c := range []struct {
		sentence, cacheControl string
		fresh                  time.Duration // from then on it is fetched again
	}{
		{"an hour where nothing is said", "", time.Hour},
		{"as long as is said", "max-age=600", 10 * time.Minute},
		{"five minutes at least", "max-age=1", 5 * time.Minute},
		{"a day at most", "max-age=1000000", 24 * time.Hour},
		{"no-store is the least", "no-store", 5 * time.Minute},
		{"and no-cache", "no-cache, max-age=600", 5 * time.Minute},
		{"s-maxage is for us", "max-age=1, s-maxage=1200", 20 * time.Minute},
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

func TestBackgroundRefresh(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	first := mustFind(t, w.store, id)
	w.use(id)
	w.pass(58 * time.Minute)
	if again := mustFind(t, w.store, id); !again.Document.FetchedAt.Equal(first.Document.FetchedAt) {
		t.Error("somebody waited")
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
	wantOutcome(t, "it is fresh beyond its first end", find(t, w.store, id), "ok")
	if w.publisher.Fetches("/client") != 2 {
		t.Errorf("%d fetches", w.publisher.Fetches("/client"))
	}
}

// TestStale: a known client goes on for a week, and no longer.
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
	wantOutcome(t, "once it behaves", find(t, w.store, id), "ok")
	if row, err := w.inside.FindByClientID(t.Context(), id); err != nil || !row.Usable(w.Now()) {
		t.Errorf("the row does not live on: %v", err)
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
		t.Errorf("found %q: what is there counts", client.ClientName)
	}
	w.pass(2 * time.Hour)
	publisher.Misbehave("/client", dcrtest.Misses)
	wantOutcome(t, "what is gone is not papered over", find(t, w.store, id), "document.missing")
}

// TestRows: what is stored when.
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

// TestFreshnessIsNoted: an unchanged document does not rewrite its row.
func TestFreshnessIsNoted(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	w.publisher.CacheControl("/client", "max-age=300")
	mustFind(t, w.store, id)
	w.use(id)
	before := mustFind(t, w.inside, id)
	for range 144 { // half a day
		w.pass(5 * time.Minute)
		mustFind(t, w.store, id)
	}
	after := mustFind(t, w.inside, id)
	if after.Revision != before.Revision || !after.Document.FetchedAt.Equal(w.Now()) {
		t.Errorf("revision %d, then %d; fetched at %v", before.Revision, after.Revision, after.Document.FetchedAt)
	}
	for range 288 {
		w.pass(5 * time.Minute)
		mustFind(t, w.store, id)
	}
	after = mustFind(t, w.inside, id)
	if after.Revision != before.Revision+1 || !after.ExpiresAt.After(w.Now().Add(6*24*time.Hour)) {
		t.Errorf("revision %d, then %d; it ends at %v", before.Revision, after.Revision, after.ExpiresAt)
	}
}

// TestChanged: the host hears of a change before it counts, and may keep it out.
func TestChanged(t *testing.T) {
	var told [][]string
	veto := error(nil)
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Changed = func(_ context.Context, before, after *dcr.Client, members []string) error {
			if before.ClientName == after.ClientName && slices.Contains(members, "client_name") {
				t.Error("before and after are one")
			}
			told = append(told, members)
			return veto
		}
	})
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	row := mustFind(t, w.inside, id)
	row.Notes, row.AccessTokenLifetime = "the operator's", time.Minute
	if err := w.store.Update(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	w.publisher.Publish("/client", []byte(strings.Replace(strings.Replace(app, "App", "New", 1), "/cb", "/other", 1)))
	if client := mustFind(t, w.store, id); client.ClientName != "App" {
		t.Errorf("changed while it was fresh: %q", client.ClientName)
	}
	w.pass(2 * time.Hour)
	veto = errors.New("not today")
	hash := row.Document.SHA256
	if client := mustFind(t, w.store, id); client.ClientName != "App" || client.Document.SHA256 != hash || len(w.happened(dcr.DocumentChanged)) != 0 {
		t.Errorf("a change was not kept out: %q", client.ClientName)
	}
	veto = nil
	w.pass(2 * time.Hour)
	client := mustFind(t, w.store, id)
	if client.ClientName != "New" || client.Document.SHA256 == hash || client.Notes != "the operator's" || client.AccessTokenLifetime != time.Minute || !client.UpdatedAt.Equal(w.Now()) {
		t.Errorf("%+v", client)
	}
	if fmt.Sprint(told) != "[[client_name redirect_uris] [client_name redirect_uris]]" {
		t.Errorf("told %v", told)
	}
	if events := w.happened(dcr.DocumentChanged); len(events) != 1 || events[0].ClientID != id || len(events[0].Members) != 2 {
		t.Errorf("%+v", events)
	}
	if client.MatchRedirectURI("https://app.example.com/cb") {
		t.Error("a redirect that is gone matches")
	}
}

// TestSwitchedOff: what an operator decided counts at once, and nothing is fetched.
func TestSwitchedOff(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	other := w.publisher.Publish("/denied", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	row := mustFind(t, w.inside, id)
	row.Status = dcr.StatusDisabled
	denied := dcr.NewClient()
	denied.ID, denied.Source, denied.Status = other, dcr.SourceDocument, dcr.StatusDisabled
	if err := errors.Join(w.inside.Update(t.Context(), row), w.inside.Add(t.Context(), denied)); err != nil {
		t.Fatal(err)
	}
	fetches := w.publisher.Fetches("/client")
	w.pass(100 * 24 * time.Hour)
	for _, store := range []dcr.ClientConfigurationStore{w.store, w.store.Known(), w.host(nil)} {
		for _, id := range []string{id, other} {
			if client := mustFind(t, store, id); !errors.Is(client.CheckUsable(w.Now()), dcr.ErrClientDisabled) {
				t.Errorf("%s: %v", id, client.CheckUsable(w.Now()))
			}
		}
	}
	if _, err := w.store.Refresh(t.Context(), id); !errors.Is(err, dcr.ErrClientDisabled) {
		t.Errorf("refreshed: %v", err)
	}
	if w.publisher.Fetches("/client") != fetches || w.publisher.Fetches("/denied") != 0 {
		t.Error("the document of a disabled client was fetched")
	}
	denied = mustFind(t, w.inside, other)
	denied.Status = dcr.StatusActive
	if err := w.inside.Update(t.Context(), denied); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, "once it is let in", find(t, w.store, other), "ok")
}

// TestOtherSources: a client that somebody stored under a URL wins.
func TestOtherSources(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	for _, id := range []string{id, "https://id.example.com/internal?own=1"} {
		own := dcr.NewClient()
		own.ID, own.Source, own.ClientName = id, "imported", "Own"
		if err := w.store.Add(t.Context(), own); err != nil {
			t.Fatal(err)
		}
		for _, store := range []dcr.ClientConfigurationStore{w.store, w.store.Known()} {
			if client := mustFind(t, store, id); client.ClientName != "Own" {
				t.Errorf("found %q", client.ClientName)
			}
		}
	}
	if w.publisher.Fetches("/client") != 0 {
		t.Error("it was fetched")
	}
	wantOutcome(t, "an id that is no URL", find(t, w.store, "nobody"), "not found")
}

// failing is a store that is out of order.
type failing struct {
	*memstore.Store
	err error
}

func (f *failing) FindByClientID(ctx context.Context, id string) (*dcr.Client, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Store.FindByClientID(ctx, id)
}

// TestOutage: a store that fails is an outage, and leads to no fetch.
func TestOutage(t *testing.T) {
	publisher := dcrtest.NewPublisher(t)
	inside := &failing{memstore.New(), errors.New("connection refused")}
	store, err := cimd.New(inside, &cimd.Options{Issuer: issuer, Admit: cimd.Any, Fetch: publisher.Fetch()})
	if err != nil {
		t.Fatal(err)
	}
	id := publisher.Publish("/client", []byte(app))
	for _, store := range []dcr.ClientConfigurationStore{store, store.Known()} {
		_, err := store.FindByClientID(t.Context(), id)
		if !errors.Is(err, inside.err) || errors.Is(err, dcr.InvalidClient) {
			t.Errorf("found %v", err)
		}
	}
	if publisher.Fetches("/client") != 0 {
		t.Error("it was fetched")
	}
}

// TestAdmission: who is asked when, and what becomes of a no.
func TestAdmission(t *testing.T) {
	refusal := error(nil)
	open := true
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Admit = admits(&refusal)
		opts.Open = func(context.Context) bool { return open }
	})
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	w.pass(2 * time.Hour)
	refusal = dcr.Errorf(dcr.AccessDenied, "not from there")
	if _, err := w.store.FindByClientID(t.Context(), id); !errors.Is(err, dcr.AccessDenied) || errors.Is(err, dcr.InvalidClient) {
		t.Errorf("a code of its own is passed on: %v", err)
	}
	wantOutcome(t, "the token endpoint goes on", find(t, w.store.Known(), id), "ok")
	refusal = errors.New("the list is out of order")
	if _, err := w.store.FindByClientID(t.Context(), id); !errors.Is(err, refusal) || errors.Is(err, dcr.InvalidClient) {
		t.Errorf("an outage is none: %v", err)
	}
	refusal = nil
	if w.publisher.Fetches("/client") != 1 {
		t.Error("it was fetched although nobody admitted it")
	}
	mustFind(t, w.store, id)
	if open = false; w.store.Advertised(t.Context()) {
		t.Error("advertised although closed")
	}
	wantOutcome(t, "closed", find(t, w.store, id), "client_id.closed")
	wantOutcome(t, "the token endpoint goes on", find(t, w.store.Known(), id), "ok")
	w.pass(8 * 24 * time.Hour)
	wantOutcome(t, "until its row has expired", find(t, w.store.Known(), id), "client_id.closed")
	if open = true; !w.store.Advertised(t.Context()) {
		t.Error("not advertised although open")
	}
	nobody := newWorld(t, func(opts *cimd.Options) { opts.Admit = nil })
	wantOutcome(t, "nobody is admitted unless the host says so", find(t, nobody.store, id), "client_id.closed")
	if nobody.store.Advertised(t.Context()) {
		t.Error("advertised although nobody is admitted")
	}
}

// TestPolicies: the client runs under the policy that Admit names.
func TestPolicies(t *testing.T) {
	name := "narrow"
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Admit = func(context.Context, *url.URL) (string, error) { return name, nil }
		opts.Policies = map[string]dcr.Validator{"narrow": policy.Stack(dcr.DefaultValidator{}, policy.SameHostAsDocument(policy.Drop)), "wide": dcr.DefaultValidator{}}
	})
	id := w.publisher.Publish("/client", []byte(app))
	wantOutcome(t, "a redirect elsewhere", find(t, w.store, id), "policy.same_host_as_document")
	name = "wide"
	w.pass(time.Minute)
	if client := mustFind(t, w.store, id); client.Policy != "wide" {
		t.Errorf("under %q", client.Policy)
	}
	name = "missing"
	w.pass(2 * time.Hour)
	fresh := w.publisher.Publish("/fresh", []byte(app))
	wantOutcome(t, "a policy that is not there is the server's fault", find(t, w.store, fresh), "unavailable")
}

// TestApproval: a client that waits has its row, and is what was approved.
func TestApproval(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Validator = policy.Stack(dcr.DefaultValidator{}, policy.Approval(nil))
	})
	id := w.publisher.Publish("/client", []byte(app))
	client := mustFind(t, w.store, id)
	if w.rows() != 1 || !errors.Is(client.CheckUsable(w.Now()), dcr.ErrClientPending) {
		t.Fatalf("%d rows, %v", w.rows(), client.CheckUsable(w.Now()))
	}
	if err := policy.Approve(t.Context(), w.store, id, client.Revision); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Hour)
	if client = mustFind(t, w.store, id); !client.Usable(w.Now()) {
		t.Errorf("%v", client.CheckUsable(w.Now()))
	}
	w.publisher.Publish("/client", []byte(strings.Replace(app, "App", "Other", 1)))
	w.pass(2 * time.Hour)
	if client = mustFind(t, w.store, id); !errors.Is(client.CheckUsable(w.Now()), dcr.ErrClientPending) {
		t.Errorf("it became another: %v", client.CheckUsable(w.Now()))
	}
}

func TestRefresh(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	w.publisher.Publish("/client", []byte(strings.Replace(app, "App", "New", 1)))
	if client, err := w.store.Refresh(t.Context(), id); err != nil || client.ClientName != "New" {
		t.Errorf("%v, %v", client, err)
	}
	w.publisher.Misbehave("/client", dcrtest.Forbids)
	_, err := w.store.Refresh(t.Context(), id)
	wantOutcome(t, "an operator is told of an outage", outcome(t, err), "unavailable")
	w.publisher.Misbehave("/client", dcrtest.Behaves)
	_, err = w.store.Refresh(t.Context(), id)
	wantOutcome(t, "and waits for nothing", outcome(t, err), "ok")
	_, err = w.store.Refresh(t.Context(), "nobody")
	wantOutcome(t, "of an id that is no URL", outcome(t, err), "client_id.form")
}

// TestRefreshUsed: a client that only refreshes its tokens does not end.
func TestRefreshUsed(t *testing.T) {
	w := newWorld(t, nil)
	used, unused := w.publisher.Publish("/used", []byte(app)), w.publisher.Publish("/unused", []byte(app))
	for _, id := range []string{used, unused} {
		mustFind(t, w.store, id)
		w.use(id)
	}
	for day := range 20 {
		w.pass(24 * time.Hour)
		w.use(used)
		if _, err := w.store.RefreshUsed(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, fmt.Sprint("on day ", day), find(t, w.store.Known(), used), "ok")
	}
	wantOutcome(t, "one that nobody uses", find(t, w.store.Known(), unused), "unavailable")
	if fetches := w.publisher.Fetches("/used"); fetches < 4 || fetches > 7 {
		t.Errorf("%d fetches", fetches)
	}
	if w.publisher.Fetches("/unused") != 1 {
		t.Error("what nobody uses is fetched")
	}
}

// TestOneFlight: 50 look-ups at once make one fetch, which goes on where the first
// caller goes away.
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
		t.Errorf("who went away got %v", err)
	}
	close(release)
	all.Wait()
	if fetches.Load() != 1 || publisher.Fetches("/client") != 1 {
		t.Errorf("asked %d times, fetched %d times", fetches.Load(), publisher.Fetches("/client"))
	}
}

// TestStrangers: 10,000 URLs cost no row, few fetches, and no known client its
// refresh.
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

// TestCeiling: at MaxStored the active client that was used longest ago makes room.
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
		t.Errorf("what is switched off makes no room: %v", err)
	}
	wantOutcome(t, "it goes on from memory", find(t, w.store.Known(), ids[4]), "ok")
}

// bare has no optional capability.
type bare struct{ dcr.ClientConfigurationStore }

func TestBareStores(t *testing.T) {
	if _, err := cimd.New(bare{memstore.New()}, &cimd.Options{Issuer: issuer, MaxStored: 10}); err == nil {
		t.Error("a ceiling that nothing holds")
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
		t.Error("it lists, and nothing inside does")
	}
	if _, ok := dcr.StoreAs[dcr.ClientLister](w.store.Known()); !ok {
		t.Error("it does not list, and the store inside does")
	}
}

// TestCache: a cache in front has both views, which share what is cached.
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
		t.Error("a cache of another store is its own")
	}
}

// TestPanics: a hook that panics fails who waits, not the program.
func TestPanics(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Admit = func(context.Context, *url.URL) (string, error) { panic("a bug") }
	})
	if _, err := w.store.FindByClientID(t.Context(), w.publisher.URL("/client")); err == nil || errors.Is(err, dcr.InvalidClient) {
		t.Errorf("found %v", err)
	}
}

// TestOptions: contradictions are errors that say what to change.
func TestOptions(t *testing.T) {
	for want, opts := range map[string]*cimd.Options{
		"Issuer is empty":         {},
		"Issuer must":             {Issuer: "id.example.com"},
		"MinFresh":                {Issuer: issuer, MinFresh: 48 * time.Hour},
		"Fresh must":              {Issuer: issuer, MaxFresh: 30 * time.Minute},
		"negative":                {Issuer: issuer, Entries: -1},
		"Pinned":                  {Issuer: issuer, Pinned: map[string][]byte{"https://app.example.com/client": []byte(app)}},
		"none or private_key_jwt": {Issuer: issuer, Admit: cimd.Any, Validator: dcr.DefaultValidator{Supports: dcr.Capabilities{TokenEndpointAuthMethods: []string{"client_secret_basic"}}}},
		`Policies["x"] must have`: {Issuer: issuer, Policies: map[string]dcr.Validator{"x": nil}},
	} {
		if _, err := cimd.New(memstore.New(), opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := cimd.New(nil, &cimd.Options{Issuer: issuer}); err == nil {
		t.Error("nil is a store")
	}
}

// TestAnswers: refused is 401, unavailable is 503.
func TestAnswers(t *testing.T) {
	w := newWorld(t, nil)
	w.publisher.Publish("/down", []byte(app))
	w.publisher.Misbehave("/down", dcrtest.Fails)
	for path, want := range map[string]int{"/missing": http.StatusUnauthorized, "/down": http.StatusServiceUnavailable} {
		_, err := w.store.FindByClientID(t.Context(), w.publisher.URL(path))
		answer := httptest.NewRecorder()
		dcr.WriteInvalidClient(answer, httptest.NewRequest(http.MethodPost, "/token", nil), err)
		if answer.Code != want || (answer.Header().Get("Retry-After") != "") != (want == http.StatusServiceUnavailable) {
			t.Errorf("%s: %d %v", path, answer.Code, answer.Header())
		}
	}
	if events := w.happened(dcr.DocumentRefused); len(events) != 1 || events[0].Err == nil || events[0].Reason != "document.missing" {
		t.Errorf("%+v", events)
	}
}

package cimd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// TestFreshnessIsNoted checks that an unchanged document does not rewrite its
// row.
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

// TestChanged checks that the host is told of a change before it takes effect,
// and may refuse it.
func TestChanged(t *testing.T) {
	var told [][]string
	veto := error(nil)
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Changed = func(_ context.Context, before, after *dcr.Client, members []string) error {
			if before.ClientName == after.ClientName && slices.Contains(members, "client_name") {
				t.Error("before and after are the same")
			}
			told = append(told, slices.Clone(members))
			clear(members) // is our own copy
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
		t.Errorf("a change was not refused: %q", client.ClientName)
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
	if events := w.happened(dcr.DocumentChanged); len(events) != 1 || events[0].ClientID != id || len(events[0].Members) != 2 || events[0].Members[0] == "" {
		t.Errorf("%+v", events)
	}
	if client.MatchRedirectURI("https://app.example.com/cb") {
		t.Error("a removed redirect still matches")
	}
}

// TestChangedPanics checks that after a hook panics the client stays unchanged,
// until the hook is called again.
func TestChangedPanics(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Changed = func(context.Context, *dcr.Client, *dcr.Client, []string) error { panic("a bug") }
	})
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	w.publisher.Publish("/client", []byte(strings.Replace(app, "App", "New", 1)))
	w.pass(2 * time.Hour)
	for range 3 {
		if client := mustFind(t, w.store, id); client.ClientName != "App" {
			t.Errorf("it is %q", client.ClientName)
		}
	}
	if w.publisher.Fetches("/client") != 2 {
		t.Errorf("%d fetches", w.publisher.Fetches("/client"))
	}
}

// TestNewestLookCounts checks that if two hosts fetch a document, the later fetch
// counts, whichever ends first.
func TestNewestLookCounts(t *testing.T) {
	renamed := strings.Replace(app, "App", "New", 1)
	for _, c := range []struct {
		sentence      string
		first, second string // what the two find; "" means that it is gone
		want          string
	}{
		{"a change", app, renamed, "New"},
		{"the old document, after a change", renamed, app, "App"},
		{"a document that is gone", app, "", ""},
		{"a document that is back", "", app, "App"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.publisher.Publish("/client", []byte(app))
			serve := func(document string) {
				w.publisher.Misbehave("/client", dcrtest.Misses)
				if document != "" {
					w.publisher.Misbehave("/client", dcrtest.Behaves)
					w.publisher.Publish("/client", []byte(document))
				}
			}
			mustFind(t, w.store, id)
			w.use(id)
			w.pass(2 * time.Hour)
			fetched, goOn := make(chan struct{}), make(chan struct{})
			slow := w.host(func(opts *cimd.Options) {
				opts.Events = func(_ context.Context, event dcr.Event) {
					if event.Kind == dcr.DocumentFetched { // and not judged yet
						close(fetched)
						<-goOn
					}
				}
			})
			serve(c.first)
			done := make(chan struct{})
			go func() {
				slow.FindByClientID(context.Background(), id)
				close(done)
			}()
			<-fetched
			w.pass(time.Second)
			serve(c.second)
			w.store.FindByClientID(t.Context(), id)
			looked := w.Now()
			w.pass(time.Second)
			close(goOn)
			<-done
			row := mustFind(t, w.inside, id)
			if c.want == "" {
				if !row.Document.Withdrawn.Equal(looked) {
					t.Errorf("its end was noted at %v", row.Document.Withdrawn)
				}
			} else if row.ClientName != c.want || !row.Document.FetchedAt.Equal(looked) || !row.Document.Withdrawn.IsZero() {
				t.Errorf("it is %q of %v, withdrawn at %v", row.ClientName, row.Document.FetchedAt, row.Document.Withdrawn)
			}
		})
	}
}

// TestDisabledMeanwhile checks that a client that an operator disables while its
// document is fetched stays disabled, and keeps its row.
func TestDisabledMeanwhile(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	w.pass(2 * time.Hour)
	host := w.host(func(opts *cimd.Options) {
		opts.Events = func(_ context.Context, event dcr.Event) {
			if event.Kind != dcr.DocumentFetched {
				return
			}
			row := mustFind(t, w.inside, id)
			row.Status = dcr.StatusDisabled
			if err := w.inside.Update(t.Context(), row); err != nil {
				t.Error(err)
			}
		}
	})
	if client := mustFind(t, host, id); !errors.Is(client.CheckUsable(w.Now()), dcr.ErrClientDisabled) {
		t.Errorf("it is %v", client.CheckUsable(w.Now()))
	}
}

// deaf is a store that fails to note documents while it is out of order.
type deaf struct {
	*memstore.Store
	err error
}

// readOnly is a store that fails to write metadata while it is out of order. It can
// still note documents.
type readOnly struct {
	*memstore.Store
	err error
}

func (r *readOnly) Update(ctx context.Context, client *dcr.Client) error {
	if r.err != nil {
		return r.err
	}
	return r.Store.Update(ctx, client)
}

// TestStoreFailsInTheMiddle checks that a client goes on if the store fails after its
// changed document was fetched, whatever the type of the error.
func TestStoreFailsInTheMiddle(t *testing.T) {
	for sentence, failure := range map[string]error{
		"an error":                          errors.New("out of order"),
		"the error of an outage":            dcr.Unavailable("the store is out of order", errors.New("out of order")),
		"an error that would refuse":        dcr.Errorf(dcr.InvalidClient, "the store is out of order"),
		"an error of another code":          dcr.Errorf(dcr.ServerError, "the store is out of order"),
		"conflicts that do not end":         dcr.ErrConflict,
		"an error that wraps a dcr.Error":   fmt.Errorf("write: %w", dcr.Errorf(dcr.InvalidClientMetadata, "read-only")),
		"an error that wraps a nil refusal": fmt.Errorf("write: %w", (*dcr.Error)(nil)),
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t, nil)
			inside := &readOnly{Store: w.inside}
			store, err := cimd.New(inside, &cimd.Options{Issuer: issuer, Admit: cimd.Any, Fetch: w.publisher.Fetch(), Now: w.Now, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			id := w.publisher.Publish("/client", []byte(app))
			mustFind(t, store, id)
			if err := store.TouchClient(t.Context(), id, w.Now()); err != nil {
				t.Fatal(err)
			}
			w.publisher.Publish("/client", []byte(strings.Replace(app, "App", "New", 1)))
			w.pass(2 * time.Hour)
			inside.err = failure
			wantOutcome(t, "it goes on", find(t, store, id), "ok")
			wantOutcome(t, "at the token endpoint too", find(t, store.Known(), id), "ok")
			inside.err = nil
			w.pass(31 * time.Second)
			if client := mustFind(t, store, id); client.ClientName != "New" {
				t.Errorf("afterwards it is %q", client.ClientName)
			}
		})
	}
}

func (d *deaf) NoteDocument(ctx context.Context, id string, record dcr.DocumentRecord) error {
	if d.err != nil {
		return d.err
	}
	return d.Store.NoteDocument(ctx, id, record)
}

// TestEndThatIsNotNoted checks that a document that is gone is refused even if the
// store fails.
func TestEndThatIsNotNoted(t *testing.T) {
	w := newWorld(t, nil)
	inside := &deaf{Store: w.inside}
	store, err := cimd.New(inside, &cimd.Options{Issuer: issuer, Admit: cimd.Any, Fetch: w.publisher.Fetch(), Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, store, id)
	if err := store.TouchClient(t.Context(), id, w.Now()); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Hour)
	w.publisher.Misbehave("/client", dcrtest.Misses)
	inside.err = errors.New("out of order")
	for range 3 {
		wantOutcome(t, "it is gone", find(t, store, id), "document.missing")
	}
	inside.err = nil
	wantOutcome(t, "it is gone", find(t, store, id), "document.missing")
	wantOutcome(t, "and stays so", find(t, store, id), "document.withdrawn")
}

// TestApproval checks that a pending client has a row, and that it does not
// change once it is approved.
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
		t.Errorf("it changed: %v", client.CheckUsable(w.Now()))
	}
}

// TestApprovalOfPages checks that an approved client does not wait again because of a
// client_uri on another host, which is never kept.
func TestApprovalOfPages(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Validator = policy.Stack(dcr.DefaultValidator{}, policy.Approval(nil))
	})
	id := w.publisher.Publish("/client", []byte(app))
	own := strings.TrimSuffix(id, "/client")
	for _, c := range []struct {
		sentence, page string
		waits          bool
	}{
		{"a new client with a page elsewhere", "https://elsewhere.example/", true},
		{"the same page", "https://elsewhere.example/", false},
		{"another one elsewhere", "https://another.example/", false},
		{"a page of its own", own + "/about", true},
		{"the same page of its own", own + "/about", false},
		{"none of its own any more", "https://elsewhere.example/", true},
		{"and still none", "https://elsewhere.example/", false},
	} {
		w.publisher.Publish("/client", []byte(strings.Replace(app, `{`, `{"client_uri":"`+c.page+`","client_uri#de":"`+c.page+`",`, 1)))
		w.pass(2 * time.Hour)
		client := mustFind(t, w.store, id)
		if waits := errors.Is(client.CheckUsable(w.Now()), dcr.ErrClientPending); waits != c.waits {
			t.Errorf("%s: it waits: %v", c.sentence, waits)
		}
		if err := policy.Approve(t.Context(), w.store, id, client.Revision); err != nil {
			t.Fatal(c.sentence, err)
		}
	}
}

// TestApprovalOfImported checks that an approved public client without a record of its
// document, as an operator imports it, does not wait again.
func TestApprovalOfImported(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Validator = policy.Stack(dcr.DefaultValidator{}, policy.Approval(nil))
	})
	id := w.publisher.Publish("/client", []byte(app))
	client := mustFind(t, w.store, id)
	client.Status, client.Document = dcr.StatusActive, nil
	if err := w.inside.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if client = mustFind(t, w.store, id); client.Document == nil || !client.Usable(w.Now()) {
		t.Errorf("%+v: %v", client.Document, client.CheckUsable(w.Now()))
	}
}

// TestNewerRecord checks that a refresh keeps what a newer version noted about a
// document, until the document changes.
func TestNewerRecord(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	client := mustFind(t, w.store, id)
	if err := json.Unmarshal([]byte(`{"sha256":"`+client.Document.SHA256+`","auth_methods":["none"],"of_2031":{"n":[2.50]}}`), client.Document); err != nil {
		t.Fatal(err)
	}
	if err := w.inside.NoteDocument(t.Context(), id, *client.Document); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sentence, document string
		kept               bool
	}{
		{"the same document", app, true},
		{"the same one again", app, true},
		{"another one", strings.Replace(app, "App", "Other", 1), false},
	} {
		w.publisher.Publish("/client", []byte(c.document))
		w.pass(2 * time.Hour)
		mustFind(t, w.store, id)
		stored, err := w.inside.FindByClientID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(stored.Document)
		if kept := strings.Contains(string(text), `"of_2031":{"n":[2.50]}`); err != nil || kept != c.kept || !stored.Document.FetchedAt.Equal(w.Now()) {
			t.Errorf("%s: %s, %v", c.sentence, text, err)
		}
	}
}

// TestApprovalOfMethods checks that an approved client waits again once its document
// also lets it come without credentials, and only then.
func TestApprovalOfMethods(t *testing.T) {
	const document = `{"client_name":"App","redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/jwks"`
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Validator = policy.Stack(dcr.DefaultValidator{Supports: supports}, policy.Approval(nil))
	})
	id := w.publisher.Publish("/client", []byte(document+`}`))
	for _, c := range []struct {
		sentence, members string
		waits             bool
	}{
		{"a new client", `}`, true},
		{"nothing changed", `}`, false},
		{"a list of its only method", `,"token_endpoint_auth_methods_supported":["private_key_jwt"]}`, false},
		{"a method that the server lacks", `,"token_endpoint_auth_methods_supported":["private_key_jwt","tls_client_auth"]}`, false},
		{"another one with its keys", `,"token_endpoint_auth_methods_supported":["private_key_jwt","self_signed_tls_client_auth"]}`, false},
		{"no credentials at all", `,"token_endpoint_auth_methods_supported":["private_key_jwt","none"]}`, true},
		{"and still none", `,"token_endpoint_auth_methods_supported":["private_key_jwt","none"]}`, false},
		{"credentials again", `}`, false},
		{"a grant that needs credentials", `,"grant_types":["authorization_code","client_credentials"]}`, true},
		{"which none does not replace", `,"grant_types":["authorization_code","client_credentials"],"token_endpoint_auth_methods_supported":["private_key_jwt","none"]}`, false},
		{"without that grant", `}`, true},
		{"and then none", `,"token_endpoint_auth_methods_supported":["none","private_key_jwt"]}`, true},
	} {
		w.publisher.Publish("/client", []byte(document+c.members))
		w.pass(2 * time.Hour)
		client := mustFind(t, w.store, id)
		if waits := errors.Is(client.CheckUsable(w.Now()), dcr.ErrClientPending); waits != c.waits {
			t.Errorf("%s: it waits: %v, by %v", c.sentence, waits, client.Document.AuthMethods)
		}
		if err := policy.Approve(t.Context(), w.store, id, client.Revision); err != nil {
			t.Fatal(c.sentence, err)
		}
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
	wantOutcome(t, "and does not wait for the backoff", outcome(t, err), "ok")
	_, err = w.store.Refresh(t.Context(), "nobody")
	wantOutcome(t, "of an id that is not a URL", outcome(t, err), "client_id.form")
}

// TestRefreshWhileSomebodyLooks checks that a lookup is not affected by an operator
// who refreshes the same document.
func TestRefreshWhileSomebodyLooks(t *testing.T) {
	var gate atomic.Pointer[chan struct{}]
	opened := make(chan struct{}, 100)
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Admit = func(context.Context, *url.URL) (string, error) {
			if hold := gate.Swap(nil); hold != nil {
				<-*hold
			}
			return "", nil
		}
		opts.Open = func(context.Context) bool { opened <- struct{}{}; return true }
	})
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.use(id)
	w.publisher.Misbehave("/client", dcrtest.Fails)
	w.pass(2 * time.Hour)
	for range 20 {
		w.pass(time.Minute) // after the backoff
		for len(opened) > 0 {
			<-opened
		}
		hold := make(chan struct{})
		gate.Store(&hold)
		refreshed := make(chan error)
		go func() { _, err := w.store.Refresh(context.Background(), id); refreshed <- err }()
		<-opened // by the refresh, which waits in Admit
		found := make(chan string)
		go func() { found <- find(t, w.store, id) }()
		<-opened
		for range 100 {
			runtime.Gosched() // the lookup is about to wait for that refresh
		}
		close(hold)
		wantOutcome(t, "it goes on as it is", <-found, "ok")
		wantOutcome(t, "the operator is told", outcome(t, <-refreshed), "unavailable")
	}
}

// TestRefreshUsed checks that a client that only refreshes its tokens does not
// expire.
// TestRefreshUsedIsFair checks that clients whose documents are unavailable do not use
// up the budget each time, before a client whose document is there gets its turn.
func TestRefreshUsedIsFair(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) { opts.RefreshesPerMinute = 2 })
	ids := []string{}
	for _, path := range []string{"/a", "/b", "/c", "/d", "/e", "/live"} {
		id := w.publisher.Publish(path, []byte(app))
		mustFind(t, w.store, id)
		w.use(id)
		if path != "/live" {
			w.publisher.Misbehave(path, dcrtest.Forbids)
		}
		ids = append(ids, id)
	}
	for range 10 * 24 {
		w.pass(time.Hour)
		for _, id := range ids {
			w.use(id)
		}
		if _, err := w.store.RefreshUsed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantOutcome(t, "the one that is there", find(t, w.store.Known(), ids[len(ids)-1]), "ok")
	wantOutcome(t, "one that is not", find(t, w.store.Known(), ids[0]), "unavailable")
}

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
		t.Error("the document of an unused client is fetched")
	}
}

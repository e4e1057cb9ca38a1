package cimd_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// TestSwitchedOff checks that an operator's decision applies immediately, and that
// nothing is fetched.
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
	wantOutcome(t, "after it is enabled", find(t, w.store, other), "ok")
}

// TestOtherSources checks that a client that someone stored under a URL takes
// precedence.
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
	wantOutcome(t, "an id that is not a URL", find(t, w.store, "nobody"), "not found")
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

// TestOutage checks that a store that fails is an outage, and that nothing is
// fetched.
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

// TestTokenRequestMakesARow checks that a public client gets a row by a token request,
// whatever its code, unless DontTouch is set.
func TestTokenRequestMakesARow(t *testing.T) {
	w := newWorld(t, nil)
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	request := func(dontTouch bool) {
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(url.Values{"client_id": {id}, "code": {"made up"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		sender := &clientauth.Authenticator{Store: w.store.Known(), Now: w.Now, DontTouch: dontTouch}
		if _, err := sender.Authenticate(r); err != nil {
			t.Fatal(err)
		}
	}
	request(true)
	if w.rows() != 0 {
		t.Error("it was stored in spite of DontTouch")
	}
	request(false)
	if w.rows() != 1 {
		t.Error("it was not stored")
	}
}

// TestAdmission checks when Admit is called, and what its refusal does.
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
		t.Errorf("another code must be passed on: %v", err)
	}
	wantOutcome(t, "the token endpoint goes on", find(t, w.store.Known(), id), "ok")
	refusal = errors.New("the list is out of order")
	if _, err := w.store.FindByClientID(t.Context(), id); !errors.Is(err, refusal) || errors.Is(err, dcr.InvalidClient) {
		t.Errorf("an outage must not be a refusal: %v", err)
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

// TestPolicies checks that the client runs under the policy that Admit names.
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
	wantOutcome(t, "a missing policy is a fault of the server", find(t, w.store, fresh), "unavailable")
}

// TestHooksThatFail checks that a fault of a hook is not taken for one of the client,
// whatever the error is.
func TestHooksThatFail(t *testing.T) {
	for _, fault := range []error{errors.New("out of order"), dcr.ErrClientNotFound, dcr.ErrClientPending, dcr.ErrClientDisabled, dcr.ErrClientExpired, (*dcr.Error)(nil)} {
		fault = fmt.Errorf("find the tenant: %w", fault)
		for hook, change := range map[string]func(*cimd.Options){
			"Admit":     func(opts *cimd.Options) { opts.Admit = admits(&fault) },
			"Validator": func(opts *cimd.Options) { opts.Validator = failingStep{err: fault} },
		} {
			w := newWorld(t, change)
			id := w.publisher.Publish("/client", []byte(app))
			for _, store := range []dcr.ClientConfigurationStore{w.store, w.store.Known()} {
				_, err := store.FindByClientID(t.Context(), id)
				wantOutcome(t, hook+": "+fault.Error(), outcome(t, err), "unavailable")
				answer := httptest.NewRecorder()
				dcr.WriteInvalidClient(answer, httptest.NewRequest(http.MethodPost, "/token", nil), err)
				if answer.Code != http.StatusServiceUnavailable {
					t.Errorf("%s: %v: %d", hook, fault, answer.Code)
				}
			}
		}
	}
}

// failingStep is a validator that is out of order.
type failingStep struct {
	dcr.DefaultValidator
	err error
}

func (f failingStep) ValidateClient(context.Context, *dcr.Registration) error { return f.err }

// TestEvents checks that a sink that panics changes nothing, and that without a
// sink the events are logged.
func TestEvents(t *testing.T) {
	w := newWorld(t, func(opts *cimd.Options) { opts.Events = func(context.Context, dcr.Event) { panic("a bug") } })
	wantOutcome(t, "a document", find(t, w.store, w.publisher.Publish("/client", []byte(app))), "ok")
	wantOutcome(t, "a refusal", find(t, w.store, w.publisher.URL("/missing")), "document.missing")
	wantOutcome(t, "a refusal without a fetch", find(t, w.store.Known(), issuer+"/client"), "client_id.own_host")
	var log strings.Builder
	w = newWorld(t, func(opts *cimd.Options) { opts.Events, opts.Logger = nil, slog.New(slog.NewTextHandler(&log, nil)) })
	id := w.publisher.Publish("/client", []byte(app))
	mustFind(t, w.store, id)
	w.publisher.Publish("/client", []byte(strings.Replace(app, "App", "New", 1)))
	w.pass(2 * time.Hour)
	mustFind(t, w.store, id)
	find(t, w.store, w.publisher.URL("/missing"))
	for what, times := range map[string]int{"client document changed": 1, "document refused": 0, "members=[client_name]": 1, "documents are refused": 1} {
		if strings.Count(log.String(), what) != times {
			t.Errorf("not %d times %q in\n%s", times, what, &log)
		}
	}
}

// TestPanics checks that a hook that panics, or ends its goroutine, fails its callers,
// not the program.
func TestPanics(t *testing.T) {
	for how, end := range map[string]func(){"panic": func() { panic("a bug") }, "runtime.Goexit": runtime.Goexit} {
		w := newWorld(t, func(opts *cimd.Options) {
			opts.Admit = func(context.Context, *url.URL) (string, error) { end(); return "", nil }
		})
		if client, err := w.store.FindByClientID(t.Context(), w.publisher.URL("/client")); err == nil || errors.Is(err, dcr.InvalidClient) {
			t.Errorf("%s: found %v, %v", how, client, err)
		}
	}
}

// TestOptions checks that contradictions are errors that say what to change.
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
		t.Error("a nil store was accepted")
	}
}

// TestAnswers checks that a refusal is a 401, and that unavailable is a 503.
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

// TestLog checks that only the log has the rule and the reason.
func TestLog(t *testing.T) {
	var log strings.Builder
	w := newWorld(t, func(opts *cimd.Options) {
		opts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	w.publisher.Publish("/down", []byte(app))
	w.publisher.Misbehave("/down", dcrtest.Fails)
	for _, path := range []string{"/missing", "/gone", "/down"} {
		find(t, w.store, w.publisher.URL(path))
	}
	for _, want := range []string{"level=INFO", "level=WARN", "rule=document.missing", "client_id=" + w.publisher.URL("/gone"), "reason=status_500"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is missing in\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), "<nil>") {
		t.Errorf("something that is not an error is logged\n%s", &log)
	}
	if strings.Count(log.String(), "level=INFO") != 1 {
		t.Errorf("strangers fill\n%s", &log)
	}
}

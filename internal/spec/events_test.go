package spec_test

// What the operator is told, and that an event sink cannot undo anything.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// sink keeps the events that it gets.
type sink struct {
	mu     sync.Mutex
	events []dcr.Event
}

func (s *sink) tell(ctx context.Context, event dcr.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, event)
}

// take returns the events since the last call.
func (s *sink) take() []dcr.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.events
	s.events = nil
	return told
}

// one returns the only event since the last call, which must be of the given
// kind.
func (s *sink) one(t *testing.T, kind dcr.EventKind) dcr.Event {
	t.Helper()
	told := s.take()
	if len(told) != 1 || told[0].Kind != kind {
		t.Fatalf("told %+v, want one of kind %s", told, kind)
	}
	return told[0]
}

// tenantStore is the store of one tenant.
type tenantStore struct{ *memstore.Store }

func (tenantStore) Tenant() string { return "acme" }

func TestEvents(t *testing.T) {
	told := &sink{}
	now := noon
	caller := &dcr.Caller{Subject: "pipeline", Policy: "web"}
	store := tenantStore{memstore.New()}
	h := newHandler(t, store, dcr.Options{
		Policies: map[string]dcr.Validator{"web": dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"a", "b"}}}},
		Caller:   func(*http.Request) (*dcr.Caller, error) { return caller, nil },
		Now:      func() time.Time { now = now.Add(time.Second); return now },
		Events:   told.tell,

		RotateRegistrationToken: true,
	})
	registered := answered(t, ask(t, h, "POST", registerURL, "", plainBody), 201, "")
	id := registered["client_id"].(string)
	event := told.one(t, dcr.ClientRegistered)
	if event.ClientID != id || event.Tenant != "acme" || event.Policy != "web" || event.Source != dcr.SourceDynamic || event.Caller != caller || event.Duration <= 0 || event.At.Before(noon) {
		t.Errorf("registered: %+v", event)
	}
	path := registerURL + "?client_id=" + id
	token := registered["registration_access_token"].(string)
	answered(t, ask(t, h, "GET", path, token, ""), 200, "")
	if event := told.one(t, dcr.ClientRead); event.ClientID != id || event.Policy != "web" {
		t.Errorf("read: %+v", event)
	}
	put := func(body object, want ...string) {
		t.Helper()
		answer := answered(t, ask(t, h, "PUT", path, token, body.with("client_id", id).String()), 200, "")
		token = answer["registration_access_token"].(string)
		events := told.take()
		if len(events) != 2 || events[0].Kind != dcr.ClientUpdated || events[1].Kind != dcr.CredentialsRotated {
			t.Fatalf("an update reported %+v", events)
		}
		if !slices.Equal(events[0].Members, want) || !slices.Equal(events[1].Members, []string{"registration_access_token"}) {
			t.Errorf("an update reported %q and %q, want %q", events[0].Members, events[1].Members, want)
		}
	}
	body := decode(t, plainBody)
	put(body)
	named := body.with("client_name", "Calc", "client_name#de", "Rechner", "scope", "a")
	put(named, "client_name", "scope", "client_name#de")
	put(named)
	put(body, "client_name", "scope", "client_name#de")
	put(body.with("token_endpoint_auth_method", "none"), "token_endpoint_auth_method")

	answered(t, ask(t, h, "DELETE", path, token, ""), 204, "")
	if event := told.one(t, dcr.ClientDeleted); event.ClientID != id || event.Source != dcr.SourceDynamic {
		t.Errorf("deleted: %+v", event)
	}
	if answer := ask(t, h, "OPTIONS", registerURL, "", ""); answer.status != 204 || len(told.take()) != 0 {
		t.Error("a preflight is reported")
	}
}

// A renewed secret is among the credentials that rotated.
func TestRotatedSecretsAreTold(t *testing.T) {
	told := &sink{}
	h := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true, RotateSecret: true, Events: told.tell})
	r := registerWith(t, h, decode(t, plainBody))
	told.take()
	r.update(t, decode(t, plainBody), 200, "")
	events := told.take()
	if len(events) != 2 || events[0].Members != nil || !slices.Equal(events[1].Members, []string{"client_secret"}) {
		t.Errorf("told %+v", events)
	}
}

// Every answer that is not a success is reported once, with what was answered.
func TestRefusalsAreTold(t *testing.T) {
	told := &sink{}
	store := &faulty{ClientConfigurationStore: memstore.New()}
	open := true
	behind := errors.New("the disk is full")
	h := newHandler(t, store, dcr.Options{
		AllowAnonymous: true, Events: told.tell, MaxBodyBytes: 1000,
		Open: func(context.Context) bool { return open },
		Caller: func(r *http.Request) (*dcr.Caller, error) {
			switch token, _ := dcr.BearerToken(r); token {
			case "down":
				return nil, behind
			case "poor":
				return nil, &dcr.Error{Code: dcr.InsufficientScope, Rule: "token.scope"}
			}
			return nil, nil
		},
	})
	registered := answered(t, ask(t, h, "POST", registerURL, "", plainBody), 201, "")
	id, token := registered["client_id"].(string), registered["registration_access_token"].(string)
	told.take()
	at := registerURL + "?client_id="
	for _, c := range []struct {
		sentence, method, path, token, body string
		rule                                string
		code                                dcr.Code
		clientID                            string
		broken                              func()
	}{
		{"a body that is not JSON", "POST", registerURL, "", "{", "body.json", dcr.InvalidClientMetadata, "", nil},
		{"a redirect URI that is refused", "POST", registerURL, "", `{"redirect_uris":["http://a.example/"]}`, "redirect_uris.kind", dcr.InvalidRedirectURI, "", nil},
		{"a body that is too large", "POST", registerURL, "", strings.Repeat(" ", 1001), "body.size", dcr.InvalidRequest, "", nil},
		{"a caller that lacks a scope", "POST", registerURL, "poor", plainBody, "token.scope", dcr.InsufficientScope, "", nil},
		{"an unknown token", "POST", registerURL, "stray", plainBody, "token.invalid", dcr.InvalidToken, "", nil},
		{"callers that cannot be determined", "POST", registerURL, "down", plainBody, "caller.unavailable", dcr.TemporarilyUnavailable, "", nil},
		{"a store that is out of order", "POST", registerURL, "", plainBody, "store.unavailable", dcr.TemporarilyUnavailable, "", func() { store.add = behind }},
		{"a store that is full", "POST", registerURL, "", plainBody, "store.full", dcr.TemporarilyUnavailable, "", func() { store.add = dcr.ErrStoreFull }},
		{"registration that is closed", "POST", registerURL, "stray", plainBody, "registration.closed", dcr.AccessDenied, "", func() { open = false }},
		{"a method that is not allowed", "PATCH", registerURL, "", "", "method", dcr.InvalidRequest, "", nil},
		{"a malformed query", "GET", registerURL + "?client_id=%", "", "", "query.malformed", dcr.InvalidRequest, "", nil},
		{"a query with a semicolon", "GET", at + "a;b", "", "", "query.malformed", dcr.InvalidRequest, "", nil},
		{"a query with two clients", "GET", at + "a&client_id=a", "", "", "query.client_id", dcr.InvalidRequest, "", nil},
		{"an unknown client whose id is encoded", "GET", at + "%6eo+body", token, "", "token.invalid", dcr.InvalidToken, "no body", nil},
		{"an unknown client in a query with more", "GET", at + "nobody&a=b", token, "", "token.invalid", dcr.InvalidToken, "nobody", nil},
		{"an unknown client whose id has an equals sign", "GET", at + "a=b", token, "", "token.invalid", dcr.InvalidToken, "a=b", nil},
		{"an unknown client", "GET", at + "nobody", token, "", "token.invalid", dcr.InvalidToken, "nobody", nil},
		{"a read without a token", "GET", at + id, "", "", "token.missing", dcr.InvalidToken, id, nil},
		{"an update without client_id", "PUT", at + id, token, plainBody, "update.client_id", dcr.InvalidClientMetadata, id, nil},
		{"a store that cannot delete", "DELETE", at + id, token, "", "store.unavailable", dcr.TemporarilyUnavailable, id, func() { store.remove = behind }},
	} {
		if c.broken != nil {
			c.broken()
		}
		answer := ask(t, h, c.method, c.path, c.token, c.body)
		store.add, store.remove, open = nil, nil, true
		events := told.take()
		if len(events) != 1 || events[0].Kind != dcr.RequestRefused {
			t.Errorf("%s told %+v", c.sentence, events)
			continue
		}
		event := events[0]
		if event.Err.Rule != c.rule || answer.text("error") != string(c.code) || event.ClientID != c.clientID {
			t.Errorf("%s: reported rule %q and client %q, answered %d %s", c.sentence, event.Err.Rule, event.ClientID, answer.status, answer.body)
		}
		if c.method == "POST" && event.Source != dcr.SourceDynamic {
			t.Errorf("%s is reported with source %q", c.sentence, event.Source)
		}
	}
}

// A fault of the server is reported as the error of the answer, with its cause.
func TestFaultsAreTold(t *testing.T) {
	told := &sink{}
	behind := errors.New("a detail")
	h := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true, Events: told.tell,
		ModifyResponse: func(context.Context, *dcr.Registration, *dcr.Response) error { return behind }})
	answered(t, ask(t, h, "POST", registerURL, "", plainBody), 500, dcr.ServerError)
	if event := told.one(t, dcr.RequestRefused); event.Err.Code != dcr.ServerError || !errors.Is(event.Err, behind) {
		t.Errorf("told %+v", event.Err)
	}
}

// Require in front of a Handler reports to the Handler's sink.
func TestRequireTellsTheHandlersSink(t *testing.T) {
	told := &sink{}
	guarded := dcr.Require(knowsNobody)(newHandler(t, tenantStore{memstore.New()}, dcr.Options{Events: told.tell}))
	answered(t, ask(t, guarded, "POST", registerURL, "", plainBody), 401, dcr.InvalidToken)
	if event := told.one(t, dcr.RequestRefused); event.Err.Rule != "token.missing" || event.Tenant != "acme" {
		t.Errorf("told %+v", event)
	}
}

// A sink or a hook that panics or fails after a change does not undo the
// change, and the answer is sent.
func TestWhatIsToldCannotUndo(t *testing.T) {
	store := memstore.New()
	logger, lines := quiet()
	fails := func(context.Context, *dcr.Registration) error { return errors.New("it failed") }
	h := newHandler(t, store, dcr.Options{
		AllowAnonymous: true, Logger: logger,
		Events:        func(context.Context, dcr.Event) { panic("the sink overflows") },
		AfterRegister: fails, AfterUpdate: func(context.Context, *dcr.Registration) error { panic("no update") },
		AfterDelete: func(context.Context, *dcr.Client) error { panic("no deletion") },
	})
	r := registerWith(t, h, decode(t, plainBody))
	stored(t, store, 1)
	r.update(t, decode(t, plainBody), 200, "")
	answered(t, ask(t, h, "POST", registerURL, "", "{"), 400, dcr.InvalidClientMetadata)
	answered(t, ask(t, h, "DELETE", registerURL+"?client_id="+r.members["client_id"].(string), r.members["registration_access_token"].(string), ""), 204, "")
	stored(t, store, 0)
	for _, want := range []string{"the sink overflows", "AfterRegister failed", "it failed", "AfterUpdate panicked", "no update", "AfterDelete panicked", "no deletion"} {
		if !strings.Contains(lines.String(), want) {
			t.Errorf("the log does not have %q: %s", want, lines)
		}
	}
}

// AfterRegister and AfterUpdate see what is stored.
func TestAfterStoring(t *testing.T) {
	store := memstore.New()
	var names []string
	see := func(ctx context.Context, reg *dcr.Registration) error {
		kept, err := store.FindByClientID(ctx, reg.Client.ID)
		if err != nil || kept.Revision != reg.Client.Revision || (reg.Previous == nil) != (len(names) == 0) {
			t.Errorf("stored is %+v, %v", kept, err)
		}
		names = append(names, kept.ClientName)
		return nil
	}
	h := newHandler(t, store, dcr.Options{AllowAnonymous: true, AfterRegister: see, AfterUpdate: see})
	r := registerWith(t, h, decode(t, plainBody).with("client_name", "One"))
	r.update(t, decode(t, plainBody).with("client_name", "Two"), 200, "")
	r.update(t, object{"redirect_uris": []string{"http://a.example/"}}, 400, dcr.InvalidRedirectURI)
	if !slices.Equal(names, []string{"One", "Two"}) {
		t.Errorf("the hooks saw %q", names)
	}
}

// The time that hooks and costs have begins with the call, whenever they look at it.
func TestHooksHaveStoreTimeoutToFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := make(map[string]bool)
		slow := func(name string) func(context.Context, *dcr.Registration) error {
			return func(ctx context.Context, _ *dcr.Registration) error {
				time.Sleep(2 * time.Second)
				late[name] = ctx.Err() == context.DeadlineExceeded
				return nil
			}
		}
		h := newHandler(t, memstore.New(), dcr.Options{
			AllowAnonymous: true, StoreTimeout: time.Second, AfterRegister: slow("AfterRegister"), AfterUpdate: slow("AfterUpdate"),
		})
		r := registerWith(t, h, decode(t, plainBody))
		r.update(t, decode(t, plainBody).with("client_name", "Two"), 200, "")
		if !late["AfterRegister"] || !late["AfterUpdate"] {
			t.Errorf("hooks that came too late: %v, want both", late)
		}
	})
}

func TestLogEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		levels := map[string]int{}
		log := dcr.LogEvents(slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.LevelKey {
				levels[a.Value.String()]++
			}
			return a
		}})))
		tell := func(event dcr.Event, want ...string) {
			t.Helper()
			lines.Reset()
			log(t.Context(), event)
			for _, part := range want {
				if !strings.Contains(lines.String(), part) {
					t.Errorf("%s is logged as %q, without %q", event.Kind, lines.String(), part)
				}
			}
			if len(want) == 0 && lines.Len() > 0 {
				t.Errorf("%s is logged as %q", event.Kind, lines.String())
			}
		}
		tell(dcr.Event{Kind: dcr.ClientRegistered, ClientID: "a", Tenant: "acme", Caller: &dcr.Caller{Subject: "ann"}, Duration: time.Second},
			"client registered", "client_id=a", "tenant=acme", "caller=ann", "duration=1s", "level=INFO")
		tell(dcr.Event{Kind: dcr.ClientDisabled, ClientID: "a", Operator: "olga", Reason: "denied"}, "client disabled", "operator=olga", "reason=denied")
		tell(dcr.Event{Kind: dcr.ClientRead})
		refusal := dcr.Event{Kind: dcr.RequestRefused, Source: dcr.SourceDynamic, Err: &dcr.Error{Code: dcr.InvalidToken, Rule: "token.expired", Description: "hidden at info"}}
		tell(refusal, "level=INFO", `"client registration refused"`, "rule=token.expired")
		other := refusal
		other.ClientID = "a"
		tell(other, `"client management refused"`, "rule=token.expired")
		other.ClientID, other.Source = "", ""
		tell(other, `"client request refused"`, "rule=token.expired")
		for range 41 {
			tell(refusal)
		}
		time.Sleep(time.Minute)
		tell(refusal, "rule=token.expired", "times=42")
		for i := range 1000 {
			refusal.Err = &dcr.Error{Rule: strings.Repeat("x", i+1)}
			log(t.Context(), refusal)
		}
		if count := levels["INFO"]; count > 300 {
			t.Errorf("%d lines at info for a thousand rules", count)
		}
	})
}

// secrets are the secrets that a test received, to look for in everything that
// was written.
type secrets map[string]bool

func (s secrets) keep(members object) {
	for _, name := range []string{"client_secret", "registration_access_token"} {
		if secret, _ := members[name].(string); secret != "" {
			s[secret] = true
		}
	}
}

// TestNoSecretIsWritten registers, rotates, manages and is refused in every
// way, with a sink and a logger at level debug, and searches everything that
// was written.
// A language tag is no part of a rule, since a stranger may choose any.
func TestRulesHaveNoLanguageTag(t *testing.T) {
	told := &sink{}
	h := newHandler(t, memstore.New(), dcr.Options{
		AllowAnonymous: true, Events: told.tell,
		Validator: dcr.DefaultValidator{Extensions: []dcr.Extension{dcr.NewField[string]("motto").Localized().Check(func(text string) error {
			if text == "bad" {
				return errors.Join(dcr.Errorf(dcr.InvalidClientMetadata, "motto must be good"))
			}
			return nil
		})}},
	})
	for sentence, c := range map[string]struct{ member, rule, value string }{
		"a wrong type":                       {"client_name#de", "client_name.type", `5`},
		"a text that is too long":            {"tos_uri#pt-BR", "tos_uri.length", `"https://app.example.com/` + strings.Repeat("a", 3000) + `"`},
		"a URI that is none":                 {"policy_uri#fr", "policy_uri.form", `"x y"`},
		"a character that is refused":        {"client_name#de", "client_name.characters", `"a\u202eb"`},
		"an extension of a wrong type":       {"motto#de", "motto.type", `5`},
		"an extension that its rule refuses": {"motto#de", "motto.value", `"bad"`},
	} {
		ask(t, h, "POST", registerURL, "", `{"redirect_uris":["https://app.example.com/callback"],"`+c.member+`":`+c.value+`}`)
		event := told.one(t, dcr.RequestRefused)
		if event.Err.Rule != c.rule || !strings.HasPrefix(event.Err.Description, c.member+" ") && c.rule != "motto.value" {
			t.Errorf("%s: the rule is %q, and the sentence %q", sentence, event.Err.Rule, event.Err.Description)
		}
	}
}

// However many rules about members refuse a request, an outage has a line of its own.
func TestLogEventsShowsAnOutage(t *testing.T) {
	var text bytes.Buffer
	log := dcr.LogEvents(slog.New(slog.NewTextHandler(&text, nil)))
	for i := range 1000 {
		log(t.Context(), dcr.Event{Kind: dcr.RequestRefused, Err: &dcr.Error{Member: fmt.Sprint("member", i), Rule: fmt.Sprintf("member%d.type", i)}})
	}
	log(t.Context(), dcr.Event{Kind: dcr.RequestRefused, Err: &dcr.Error{Rule: "store.unavailable"}})
	if lines := strings.Count(text.String(), "\n"); lines > 260 || !strings.Contains(text.String(), "rule=store.unavailable") {
		t.Errorf("%d lines, and the outage is among them: %v", lines, strings.Contains(text.String(), "rule=store.unavailable"))
	}
}

func TestNoSecretIsWritten(t *testing.T) {
	var written bytes.Buffer
	told := &sink{}
	logger := slog.New(slog.NewJSONHandler(&written, &slog.HandlerOptions{Level: slog.LevelDebug - 10}))
	log := dcr.LogEvents(logger)
	store := memstore.New()
	handed := secrets{"stray-token-of-a-stranger": true}
	r := start(t, `{"token_endpoint_auth_methods_supported":["client_secret_basic","none"],"scopes_supported":["a"]}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.Logger, o.RotateSecret, o.RotateRegistrationToken = logger, true, true
		o.Events = func(ctx context.Context, event dcr.Event) { log(ctx, event); told.tell(ctx, event) }
		o.AfterRegister = func(ctx context.Context, reg *dcr.Registration) error {
			logger.InfoContext(ctx, "registered", "registration", reg.Client, "request", reg.Request)
			return errors.New("it failed")
		}
		o.AfterUpdate, o.AfterDelete = o.AfterRegister, func(ctx context.Context, c *dcr.Client) error { return errors.New("it failed") }
	})
	for range 3 {
		a := r.register(t, plainBody)
		for range 3 {
			handed.keep(a.members)
			if next := r.manage(t, "PUT", a, a.update(map[string]any{"client_name": "Another"})); next.status == 200 {
				a = next
			}
		}
		handed.keep(a.members)
		r.manage(t, "GET", a, "")
		r.manage(t, "PUT", a, `{"client_id":"another","client_secret":"wrong-secret-that-was-sent"}`)
		r.do(t, "GET", a.text("registration_client_uri"), "stray-token-of-a-stranger", "")
		r.do(t, "POST", registerURL, "stray-token-of-a-stranger", plainBody)
		if a := r.manage(t, "DELETE", a, ""); a.status != 204 {
			t.Errorf("DELETE: %d %s", a.status, a.body)
		}
	}
	handed["wrong-secret-that-was-sent"] = true
	if len(handed) < 20 || written.Len() == 0 {
		t.Fatalf("%d secrets were received", len(handed))
	}
	for client, err := range store.ListClients(t.Context(), dcr.Filter{}, "") {
		document, _ := client.MarshalJSON()
		written.Write(document)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, event := range told.take() {
		fmt.Fprintf(&written, "%+v %s", event, encode(event))
	}
	for secret := range handed {
		if strings.Contains(written.String(), secret) {
			t.Errorf("%s was written", secret)
		}
	}
}

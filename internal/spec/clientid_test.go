package spec_test

// Client ids that the host makes, and ids that are taken.

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// drawing returns a hook that makes these ids, one after the other.
func drawing(ids ...string) func(context.Context, *dcr.Registration) (string, error) {
	return func(context.Context, *dcr.Registration) (string, error) {
		id := ids[0]
		ids = ids[1:]
		return id, nil
	}
}

// taking is a store that says that the first ids are taken, whatever they are.
type taking struct {
	*memstore.Store
	times int
}

func (s *taking) Add(ctx context.Context, client *dcr.Client) error {
	if s.times--; s.times >= 0 {
		return dcr.ErrClientExists
	}
	return s.Store.Add(ctx, client)
}

// TestAnIDThatIsTaken checks that after an id was taken, the client with the next
// id has all that it needs, whatever makes the id and whichever hooks change the
// client, and that the stored client matches the answer.
func TestAnIDThatIsTaken(t *testing.T) {
	sealer, err := dcr.NewAESSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	symmetric := `{"id_token_signing_alg_values_supported":["RS256","HS256"],"scopes_supported":["openid"]}`
	for _, test := range []struct {
		sentence string
		document string
		change   change
		request  string
	}{
		{"drawn at random", `{}`, func(*dcr.DefaultValidator, *dcr.Options) {}, `{}`},
		{"made by the host", `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.NewClientID = drawing("a", "a", "b") }, `{}`},
		{"with a secret that the host makes", `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
			o.NewClientID, o.NewClientSecret = drawing("a", "a", "b"), dcr.RandomClientSecret
		}, `{}`},
		{"with a secret that expires and rotates", `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
			o.NewClientID, o.RotateSecret, o.RotateRegistrationToken, o.SecretLifetime = drawing("a", "a", "b"), true, true, 1<<50
		}, `{}`},
		{"with a sealed secret, which is bound to the id", symmetric, func(_ *dcr.DefaultValidator, o *dcr.Options) {
			o.NewClientID, o.Sealer = drawing("a", "a", "b"), sealer
		}, `{"id_token_signed_response_alg":"HS256","scope":"openid"}`},
		{"with an answer that a hook edits", `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
			o.NewClientID, o.ModifyResponse = drawing("a", "a", "b"), func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
				reg.Client.Notes += "+"
				reg.Client.Contacts = append(reg.Client.Contacts, reg.Client.ID+"@a.example")
				return nil
			}
		}, `{"contacts":["c@a.example"]}`},
		{"without a secret", `{"token_endpoint_auth_methods_supported":["none"]}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
			o.NewClientID = drawing("a", "a", "b")
		}, `{"token_endpoint_auth_method":"none"}`},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			r := start(t, test.document, test.change)
			first := r.register(t, request(t, test.request))
			second := r.register(t, request(t, test.request))
			if first.text("client_id") == second.text("client_id") {
				t.Fatalf("two clients of one id: %s", second.body)
			}
			client, needs := r.client(t, second), test.sentence != "without a secret"
			if secret := second.text("client_secret"); (secret != "") != needs || needs && !client.VerifySecret(secret, client.CreatedAt) {
				t.Errorf("the secret does not work: %s\n%s", second.body, encode(client))
			}
			if want := len(r.client(t, first).Secrets); len(client.Secrets) != want || len(client.RegistrationTokens) != 1 {
				t.Errorf("the client has more than was issued: %s", encode(client))
			}
			if test.document == symmetric {
				if opened, err := client.OpenSecrets(sealer, client.CreatedAt); err != nil || len(opened) != 1 || opened[0].Reveal() != second.text("client_secret") {
					t.Errorf("the sealed secret is %v, %v", opened, err)
				}
			}
			if strings.Contains(client.Notes, "++") || len(client.Contacts) > 2 || len(client.Contacts) == 2 && client.Contacts[1] != "b@a.example" {
				t.Errorf("what a hook did for the taken id is still there: %s", encode(client))
			}
			if a := r.manage(t, "GET", second, ""); a.status != 200 {
				t.Errorf("its token: status %d: %s", a.status, a.body)
			}
		})
	}
	t.Run("with a store in which two random ids are taken", func(t *testing.T) {
		store := &taking{Store: memstore.New(), times: 2}
		a := ask(t, newHandler(t, store, dcr.Options{AllowAnonymous: true}), "POST", registerURL, "", plainBody)
		client, err := store.FindByClientID(t.Context(), a.text("client_id"))
		if a.status != 201 || err != nil || !client.VerifySecret(a.text("client_secret"), client.CreatedAt) {
			t.Errorf("status %d: %s, %v", a.status, a.body, err)
		}
	})
}

// TestIDsOfTheHost checks what happens with ids that cannot be used, and that
// the log names the hook.
func TestIDsOfTheHost(t *testing.T) {
	name := func(id string) func(context.Context, *dcr.Registration) (string, error) {
		return func(context.Context, *dcr.Registration) (string, error) { return id, nil }
	}
	for _, test := range []struct {
		sentence string
		id       func(context.Context, *dcr.Registration) (string, error)
		status   int
		says     string
	}{
		{"a free one", name("free"), 201, ""},
		{"one that is always taken", name("taken"), 500, `Options.NewClientID made, \"taken\" the last`},
		{"one that the host refuses when it learns that it is taken", func(_ context.Context, reg *dcr.Registration) (string, error) {
			if reg.Client.ID != "" {
				return "", &dcr.Error{Code: dcr.InvalidClientMetadata, Description: "there is a client called " + reg.Client.ID, Status: http.StatusConflict}
			}
			return "taken", nil
		}, 409, ""},
		{"one that the host replaces", func(_ context.Context, reg *dcr.Registration) (string, error) {
			return "taken" + strings.Repeat("'", min(len(reg.Client.ID), 1)), nil
		}, 201, ""},
		{"none", name(""), 500, `Options.NewClientID returned \"\": an empty client id`},
		{"the URL of a metadata document", name("https://app.example.com/client.json"), 500, "Options.NewClientID returned"},
		{"the same in capitals", name("HTTPS://app.example.com/"), 500, "Options.NewClientID returned"},
		{"a name that only begins like a URL", name("https:app"), 201, ""},
		{"a blank", name(" "), 201, ""},
		{"a line break", name("a\r\nb"), 500, "printable ASCII"},
		{"a letter outside ASCII", name("b\u00fccher"), 500, "printable ASCII"},
		{"bytes that are not text", name("\xff"), 500, "printable ASCII"},
		{"a slash, in the query", name("a/b"), 201, ""},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			store := memstore.New()
			store.Add(t.Context(), &dcr.Client{ID: "taken"})
			logger, lines := quiet()
			a := ask(t, newHandler(t, store, dcr.Options{AllowAnonymous: true, NewClientID: test.id, Logger: logger}), "POST", registerURL, "", plainBody)
			if a.status != test.status || !strings.Contains(lines.String(), test.says) {
				t.Errorf("status %d: %s, having logged %s", a.status, a.body, lines)
			}
			if test.status == 201 && a.text("client_secret") == "" || test.status == 500 && strings.Contains(a.body, "NewClientID") {
				t.Errorf("answered %s", a.body)
			}
			want := int64(1)
			if test.status == 201 {
				want = 2
			}
			stored(t, store, want)
		})
	}
}

// TestASectorThatNobodyHasTimeFor checks that a registration is told to come again
// while the server fetches as many documents as it may.
func TestASectorThatNobodyHasTimeFor(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	url, client := site(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-release
		w.Write([]byte(`["https://rp.example.com/cb"]`))
	})
	client.Concurrent = 1
	var told sink
	r := start(t, `{`+pairwise+`}`, func(v *dcr.DefaultValidator, o *dcr.Options) { v.Fetch, o.Events = client, told.tell })
	body := request(t, `{"sector_identifier_uri":"`+url+`"}`)
	first := make(chan *answer)
	go func() { first <- r.post(t, body) }()
	<-begun
	answered(t, r.post(t, body), 503, dcr.TemporarilyUnavailable)
	if event := told.one(t, dcr.RequestRefused); event.Err.Rule != "sector_identifier_uri.unavailable" {
		t.Errorf("told of rule %q", event.Err.Rule)
	}
	close(release)
	if a := <-first; a.status != 201 {
		t.Errorf("the first registration got %d: %s", a.status, a.body)
	}
}

// TestAnUpdateFetchesOnce checks that an update that loses races is judged again
// but fetches nothing again, whether a step of the library or of the host fetches,
// and whether the document is found or not.
func TestAnUpdateFetchesOnce(t *testing.T) {
	fetched := map[string]int{}
	site := aSite(t, func(w http.ResponseWriter, r *http.Request) {
		fetched[r.URL.Path]++
		if r.URL.Path == "/missing" {
			w.WriteHeader(404)
		}
		w.Write([]byte(`["https://rp.example.com/cb"]`))
	})
	var judged int
	validator := fetchingStep{judged: &judged, t: t, site: site.URL}
	validator.Supports = capabilities(t, `{`+pairwise+`}`)
	fetching(site)(&validator.DefaultValidator, nil)
	r := start(t, `{}`, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Validator = validator })
	registered := r.register(t, request(t, `{"sector_identifier_uri":"`+site.URL+`/sector"}`))
	store := &losing{Store: r.store, win: func(ctx context.Context, id string) {
		client, _ := r.store.FindByClientID(ctx, id)
		r.store.Update(ctx, client)
	}}
	r.handler = newHandler(t, store, dcr.Options{Endpoint: r.server.URL + registerURL, Validator: validator})
	for range 2 { // for each of two requests
		clear(fetched)
		judged, store.races = 0, 3
		a := r.manage(t, "PUT", registered, registered.update(nil))
		if want := map[string]int{"/sector": 1, "/logo": 1, "/missing": 1}; a.status != 200 || judged != 4 || !maps.Equal(fetched, want) {
			t.Errorf("status %d, judged %d times, fetched %v: %s", a.status, judged, fetched, a.body)
		}
	}
}

// fetchingStep is a step of a host that fetches a document that may be missing.
type fetchingStep struct {
	dcr.DefaultValidator
	judged *int
	t      *testing.T
	site   string
}

func (v fetchingStep) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	*v.judged++
	for path, there := range map[string]bool{"/logo": true, "/missing": false} {
		document, err := v.Fetch.Get(ctx, v.site+path, "*/*")
		if (err == nil) != there || document == nil || there && string(document.Body) != `["https://rp.example.com/cb"]` {
			v.t.Errorf("%s: got %+v, %v", path, document, err)
		}
		clear(document.Body) // the next fetch must return its own copy
	}
	return v.DefaultValidator.SetClientDefaults(ctx, reg)
}

// TestIDsInThePath checks that no client gets an id with which its
// registration_client_uri would not lead to it.
func TestIDsInThePath(t *testing.T) {
	for id, status := range map[string]int{"a": 201, "a b": 201, "a?b": 201, "a%2Fb": 201, "...": 201, ".": 500, "..": 500, "a/b": 500, "../a": 500, "/": 500} {
		logger, _ := quiet()
		handler := newHandler(t, memstore.New(), dcr.Options{
			AllowAnonymous: true, ClientURI: endpoint + "/{client_id}", Logger: logger,
			NewClientID: func(context.Context, *dcr.Registration) (string, error) { return id, nil },
		})
		a := ask(t, handler, "POST", registerURL, "", plainBody)
		if a.status != status {
			t.Errorf("%q: status %d: %s", id, a.status, a.body)
		}
		if a.status == 201 {
			answered(t, ask(t, handler, "GET", strings.TrimPrefix(a.text("registration_client_uri"), issuer), a.text("registration_access_token"), ""), 200, "")
		}
	}
}

// TestTheTimeInARandomID checks that it is that of the registration, whatever the host's
// clock says, or the present without one.
func TestTheTimeInARandomID(t *testing.T) {
	at := time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)
	before := time.Now().UnixMilli()
	for sentence, c := range map[string]struct {
		reg   *dcr.Registration
		after int64
	}{
		"the time of the registration": {&dcr.Registration{Clock: func() time.Time { return at }}, at.UnixMilli()},
		"the present":                  {nil, before},
	} {
		id, err := dcr.RandomClientID(t.Context(), c.reg)
		if err != nil {
			t.Fatal(err)
		}
		head, err := strconv.ParseInt(id[:12], 16, 64)
		latest := c.after
		if c.reg == nil {
			latest = time.Now().UnixMilli()
		}
		if got := head & (1<<43 - 1); err != nil || got < c.after || got > latest {
			t.Errorf("%s: %q has the time %d, want %d to %d (%v)", sentence, id, got, c.after, latest, err)
		}
	}
}

package spec_test

// What a hook may do (refuse, set defaults) and what it cannot do (break a
// rule).

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// TestHooksRefuse checks both ways of refusing in every hook: an *Error is shown;
// any other error is logged and answered with a 500 without details. Nothing is
// stored. No error, however odd, is answered with a success or breaks the
// connection.
func TestHooksRefuse(t *testing.T) {
	shown, hidden := dcr.Errorf(dcr.InvalidClientMetadata, "not today"), errors.New("secret detail")
	hooks := map[string]func(err error) dcr.Options{
		"Caller": func(err error) dcr.Options {
			return dcr.Options{Caller: func(*http.Request) (*dcr.Caller, error) { return nil, err }}
		},
		"NewClientID": func(err error) dcr.Options {
			return dcr.Options{NewClientID: func(context.Context, *dcr.Registration) (string, error) { return "", err }}
		},
		"NewClientSecret": func(err error) dcr.Options {
			return dcr.Options{NewClientSecret: func(context.Context, *dcr.Registration) (dcr.Plaintext, dcr.Secret, error) {
				return "", dcr.Secret{}, err
			}}
		},
		"ModifyResponse": func(err error) dcr.Options {
			return dcr.Options{ModifyResponse: func(context.Context, *dcr.Registration, *dcr.Response) error { return err }}
		},
		"SetClientDefaults": func(err error) dcr.Options {
			return dcr.Options{Validator: hooked{defaults: func(*dcr.Registration) error { return err }}}
		},
	}
	for name, options := range hooks {
		for _, c := range []struct {
			sentence string
			err      error
			status   int
			code     dcr.Code
		}{
			{"an *Error", shown, 400, dcr.InvalidClientMetadata},
			{"another error", hidden, 500, dcr.ServerError},
			{"a status of success", &dcr.Error{Code: dcr.InvalidClientMetadata, Status: 200}, 400, dcr.InvalidClientMetadata},
			{"a status without a body", &dcr.Error{Code: dcr.InvalidClientMetadata, Status: 204}, 400, dcr.InvalidClientMetadata},
			{"an interim status", &dcr.Error{Code: dcr.AccessDenied, Status: 101}, 403, dcr.AccessDenied},
			{"an invalid status", &dcr.Error{Code: dcr.InvalidClientMetadata, Status: 42}, 400, dcr.InvalidClientMetadata},
			{"a status that is too large", &dcr.Error{Code: dcr.InvalidClientMetadata, Status: 1000}, 400, dcr.InvalidClientMetadata},
			{"an *Error with nothing in it", &dcr.Error{}, 400, dcr.InvalidRequest},
			{"a fault of the server without a code", &dcr.Error{Status: 502}, 502, dcr.ServerError},
			{"a code that cannot be printed", &dcr.Error{Code: "odd\n\"\u202e"}, 400, "odd?'?"},
			{"a nil *Error", (*dcr.Error)(nil), 500, dcr.ServerError},
			{"a nil *Error that is wrapped", fmt.Errorf("it failed: %w", (*dcr.Error)(nil)), 500, dcr.ServerError},
		} {
			if name == "Caller" && c.status == 500 {
				c.status, c.code = 503, dcr.TemporarilyUnavailable // an outage
			}
			t.Run(fmt.Sprintf("%s refuses with %s", name, c.sentence), func(t *testing.T) {
				store := memstore.New()
				opts := options(c.err)
				opts.AllowAnonymous = true
				logger, lines := quiet()
				opts.Logger = logger
				r := serve(t, newHandler(t, store, opts))
				a := r.do(t, "POST", "/connect/dcr", "", plainBody)
				if a.status != c.status || a.members["error"] != string(c.code) {
					t.Errorf("status %d: %s", a.status, a.body)
				}
				if strings.Contains(a.body, "detail") || (c.err == hidden) != strings.Contains(lines.String(), "secret detail") || (c.status == 500 || c.status == 503) != strings.Contains(lines.String(), "ERROR") {
					t.Errorf("answer %s, log %s", a.body, lines)
				}
				if count, _ := store.CountClients(t.Context(), dcr.Filter{}); count != 0 {
					t.Error("a client was stored")
				}
			})
		}
	}
}

// hooked is a validator with the host's own defaults.
type hooked struct {
	dcr.DefaultValidator
	defaults func(*dcr.Registration) error
}

func (h hooked) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	return h.defaults(reg)
}

func TestHostDefaultsWin(t *testing.T) {
	set := func(reg *dcr.Registration) {
		reg.Client.RequirePKCE = true
		reg.Client.AllowOfflineAccess = false
		reg.Client.AccessTokenLifetime = 5 * time.Minute
	}
	def := dcr.DefaultValidator{}
	orders := map[string]dcr.Validator{
		"set first": hooked{defaults: func(reg *dcr.Registration) error {
			set(reg)
			return def.SetClientDefaults(context.Background(), reg)
		}},
		"default first": hooked{defaults: func(reg *dcr.Registration) error {
			err := def.SetClientDefaults(context.Background(), reg)
			set(reg)
			return err
		}},
		"set before the grant types": earlyDefaults{set: set},
	}
	for name, validator := range orders {
		t.Run(name, func(t *testing.T) {
			store := memstore.New()
			r := serve(t, newHandler(t, store, dcr.Options{AllowAnonymous: true, Validator: validator}))
			a := r.do(t, "POST", "/connect/dcr", "", `{"redirect_uris":["https://a.example/"],"grant_types":["authorization_code","refresh_token"]}`)
			client, err := store.FindByClientID(t.Context(), a.members["client_id"].(string))
			if err != nil {
				t.Fatal(err)
			}
			if !client.RequirePKCE || client.AllowOfflineAccess || client.AccessTokenLifetime != 5*time.Minute {
				t.Errorf("PKCE %v, offline access %v, access tokens %v", client.RequirePKCE, client.AllowOfflineAccess, client.AccessTokenLifetime)
			}
		})
	}
}

type earlyDefaults struct {
	dcr.DefaultValidator
	set func(*dcr.Registration)
}

func (e earlyDefaults) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	e.set(reg)
	return e.DefaultValidator.ValidateGrantTypes(ctx, reg)
}

func TestOfflineAccessFollowsTheGrant(t *testing.T) {
	store := memstore.New()
	r := serve(t, newHandler(t, store, dcr.Options{AllowAnonymous: true}))
	for grants, want := range map[string]bool{`["authorization_code"]`: false, `["authorization_code","refresh_token"]`: true} {
		a := r.do(t, "POST", "/connect/dcr", "", `{"redirect_uris":["https://a.example/"],"grant_types":`+grants+`}`)
		client, err := store.FindByClientID(t.Context(), a.members["client_id"].(string))
		if err != nil || client.AllowOfflineAccess != want {
			t.Errorf("%s: offline access %v, error %v", grants, client.AllowOfflineAccess, err)
		}
	}
}

// TestHooksCannotBreakFixedRules checks that it is the server's fault if a hook
// leaves an unacceptable client, and that a registrant gains nothing from a
// hook that skipped a check.
func TestHooksCannotBreakFixedRules(t *testing.T) {
	change := func(f func(c *dcr.Client)) dcr.Options {
		return dcr.Options{Validator: hooked{defaults: func(reg *dcr.Registration) error { f(reg.Client); return nil }}}
	}
	cases := []struct {
		sentence string
		opts     dcr.Options
		body     string
		status   int
	}{
		{"a hook that removes the redirect URIs is at fault", change(func(c *dcr.Client) { c.RedirectURIs = nil }), plainBody, 500},
		{"a hook that sets a script as redirect URI is at fault", change(func(c *dcr.Client) { c.RedirectURIs = []string{"javascript:alert(1)"} }), plainBody, 500},
		{"a hook that gives a public client client_credentials is at fault", change(func(c *dcr.Client) {
			c.GrantTypes, c.TokenEndpointAuthMethod = append(c.GrantTypes, "client_credentials"), "none"
		}), plainBody, 500},
		{"a hook that sets an endless access token is at fault", change(func(c *dcr.Client) { c.AccessTokenLifetime = 0 }), plainBody, 500},
		{"ModifyResponse that breaks the client is at fault", dcr.Options{ModifyResponse: func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
			reg.Client.RedirectURIs = nil
			return nil
		}}, plainBody, 500},
		{"a skipped step does not allow a script", dcr.Options{Validator: lax{}}, `{"redirect_uris":["javascript:alert(1)"]}`, 400},
		{"a skipped step does not allow a fragment", dcr.Options{Validator: lax{}}, `{"redirect_uris":["https://a.example/#"]}`, 400},
		{"a skipped step does not affect a valid request", dcr.Options{Validator: lax{}}, plainBody, 201},
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			store := memstore.New()
			c.opts.AllowAnonymous = true
			c.opts.Logger, _ = quiet()
			r := serve(t, newHandler(t, store, c.opts))
			a := r.do(t, "POST", "/connect/dcr", "", c.body)
			if a.status != c.status {
				t.Errorf("status %d, want %d: %s", a.status, c.status, a.body)
			}
			if count, _ := store.CountClients(t.Context(), dcr.Filter{}); (count == 1) != (c.status == 201) {
				t.Errorf("%d clients stored", count)
			}
		})
	}
}

// lax skips the check of redirect URIs.
type lax struct{ dcr.DefaultValidator }

func (lax) ValidateRedirectURIs(context.Context, *dcr.Registration) error { return nil }

func TestModifyResponseEditsTheAnswerAlone(t *testing.T) {
	store := memstore.New()
	note := dcr.NewField[string]("note")
	r := serve(t, newHandler(t, store, dcr.Options{AllowAnonymous: true,
		ModifyResponse: func(_ context.Context, reg *dcr.Registration, res *dcr.Response) error {
			res.RedirectURIs[0] = "https://edited.example/"
			res.ClientID, res.ClientSecret = "mine", "mine"
			return note.Set(&res.Metadata, "welcome")
		}}))
	a := r.do(t, "POST", "/connect/dcr", "", plainBody)
	answer := a.members
	client, err := store.FindByClientID(t.Context(), answer["client_id"].(string))
	if err != nil {
		t.Fatalf("the client id of the answer is not the stored one: %v", err)
	}
	if answer["note"] != "welcome" || answer["client_secret"] == "mine" {
		t.Errorf("answer %s", a.body)
	}
	if !slices.Equal(client.RedirectURIs, []string{"https://app.example.com/callback"}) || len(client.Extra) != 0 {
		t.Errorf("stored %v, extensions %v", client.RedirectURIs, client.Extra)
	}
}

// TestAnswersHaveWhatIsStored checks that the answer has the credentials that are
// stored and no member twice, whatever ModifyResponse and ShapeResponse do, on
// registration and on update.
func TestAnswersHaveWhatIsStored(t *testing.T) {
	raw := json.RawMessage(`"mine"`)
	for sentence, edit := range map[string]func(c *dcr.Client, res *dcr.Response){
		"the secret is removed":                      func(c *dcr.Client, _ *dcr.Response) { c.Secrets = nil },
		"the secret is replaced":                     func(c *dcr.Client, _ *dcr.Response) { c.Secrets = []dcr.Secret{dcr.HashSecret("mine")} },
		"the secret is overwritten":                  func(c *dcr.Client, _ *dcr.Response) { c.Secrets[0] = dcr.HashSecret("mine") },
		"the token is removed":                       func(c *dcr.Client, _ *dcr.Response) { c.RegistrationTokens = nil },
		"the token is replaced":                      func(c *dcr.Client, _ *dcr.Response) { c.RegistrationTokens = []dcr.Secret{dcr.HashSecret("mine")} },
		"a form without a tag is stored":             func(c *dcr.Client, _ *dcr.Response) { c.Localized = map[string]string{"client_id": "mine"} },
		"a form without a tag is answered":           func(_ *dcr.Client, res *dcr.Response) { res.Localized = map[string]string{"client_id": "mine"} },
		"a tag on a member without tags is answered": func(_ *dcr.Client, res *dcr.Response) { res.Localized = map[string]string{"client_secret#de": "mine"} },
		"a tagged form is stored as an extra":        func(c *dcr.Client, _ *dcr.Response) { c.Extra = map[string]json.RawMessage{"client_name#de": raw} },
	} {
		for hook, install := range map[string]func(o *dcr.Options, v dcr.DefaultValidator, f func(*dcr.Registration, *dcr.Response)){
			"ModifyResponse": func(o *dcr.Options, _ dcr.DefaultValidator, f func(*dcr.Registration, *dcr.Response)) {
				o.ModifyResponse = func(_ context.Context, reg *dcr.Registration, res *dcr.Response) error { f(reg, res); return nil }
			},
			"ShapeResponse": func(o *dcr.Options, v dcr.DefaultValidator, f func(*dcr.Registration, *dcr.Response)) {
				o.Validator = answerEditor{v, f}
			},
		} {
			t.Run(sentence+" by "+hook, func(t *testing.T) {
				edits := false
				r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) {
					o.Logger, _ = quiet()
					o.RotateSecret = true
					install(o, *v, func(reg *dcr.Registration, res *dcr.Response) {
						if edits {
							edit(reg.Client, res)
						}
					})
				})
				old := r.register(t, request(t, ``))
				before := r.stored(t, old)
				edits = true
				for when, a := range map[string]*answer{"registered": r.post(t, request(t, ``)), "updated": r.manage(t, "PUT", old, old.update(nil))} {
					if a.status != 500 {
						t.Errorf("%s: status %d: %s", when, a.status, a.body)
					}
				}
				if count, _ := r.store.CountClients(t.Context(), dcr.Filter{}); count != 1 || r.stored(t, old) != before {
					t.Errorf("%d clients; the first is %s, was %s", count, r.stored(t, old), before)
				}
			})
		}
	}
	t.Run("a client that needed no secret gets one", func(t *testing.T) {
		r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) {
			o.Logger, _ = quiet()
			o.Validator = answerEditor{*v, func(reg *dcr.Registration, _ *dcr.Response) {
				reg.Client.TokenEndpointAuthMethod = "client_secret_basic"
			}}
		})
		if a := r.post(t, request(t, `{"token_endpoint_auth_method":"none"}`)); a.status != 500 {
			t.Errorf("status %d: %s", a.status, a.body)
		}
	})
}

// answerEditor is a policy that edits its answers, and the client.
type answerEditor struct {
	dcr.DefaultValidator
	edit func(*dcr.Registration, *dcr.Response)
}

func (s answerEditor) ShapeResponse(_ context.Context, reg *dcr.Registration, res *dcr.Response) error {
	s.edit(reg, res)
	return nil
}

func TestPanicInAHookStoresNothing(t *testing.T) {
	store := memstore.New()
	handler := newHandler(t, store, dcr.Options{AllowAnonymous: true,
		ModifyResponse: func(context.Context, *dcr.Registration, *dcr.Response) error { panic("hook") }})
	defer func() {
		if recover() == nil {
			t.Error("the panic was swallowed")
		}
		if count, _ := store.CountClients(t.Context(), dcr.Filter{}); count != 0 {
			t.Error("a client was stored")
		}
	}()
	ask(t, handler, "POST", "/connect/dcr", "", plainBody)
}

// otherID is a step that changes the id, which it must not.
type otherID struct{ dcr.DefaultValidator }

func (otherID) SetClientDefaults(_ context.Context, reg *dcr.Registration) error {
	if reg.Client.SoftwareID != "" {
		reg.Client.ID = reg.Client.SoftwareID
	}
	return nil
}

func TestStepCannotUpdateAnotherClient(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = otherID{*v}; o.Logger, _ = quiet() })
	victim, attacker := r.register(t, request(t, `{}`)), r.register(t, request(t, `{}`))
	before, _ := json.Marshal(r.client(t, victim))
	if got := r.manage(t, "PUT", attacker, attacker.update(map[string]any{"software_id": r.client(t, victim).ID})); got.status != 500 {
		t.Errorf("status %d, want 500", got.status)
	}
	if after, _ := json.Marshal(r.client(t, victim)); string(after) != string(before) {
		t.Error("another client was changed")
	}
}

// rawNote is a step that writes something that is not JSON.
type rawNote struct{ dcr.DefaultValidator }

func (rawNote) SetClientDefaults(_ context.Context, reg *dcr.Registration) error {
	reg.Client.Extra = map[string]json.RawMessage{"tenant": json.RawMessage("acme")}
	return nil
}

func TestHooksCannotStoreWhatIsNotJSON(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = rawNote{*v}; o.Logger, _ = quiet() })
	if got := r.post(t, request(t, `{}`)); got.status != 500 {
		t.Errorf("status %d, want 500", got.status)
	}
	r = start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) {
		o.Logger, _ = quiet()
		o.ModifyResponse = func(_ context.Context, _ *dcr.Registration, res *dcr.Response) error {
			res.Extra = map[string]json.RawMessage{"region": json.RawMessage("eu")}
			return nil
		}
	})
	if got := r.post(t, request(t, `{}`)); got.status != 500 {
		t.Errorf("status %d, want 500", got.status)
	}
}

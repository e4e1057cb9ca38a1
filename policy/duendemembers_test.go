package policy_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

// duendeClient is a client that may ask for every setting.
var duendeClient = object{
	"redirect_uris": []string{"https://app.example.com/cb"}, "grant_types": []string{"authorization_code", "refresh_token"},
	"scope": "openid", "token_endpoint_auth_method": "client_secret_basic",
}

// duendeSettings has the settings that a client may ask for, and values that a
// host may set instead.
var duendeSettings = []struct {
	member   string
	asked    any
	standard any // the value if nobody asks
	host     any // what the host sets
	set      func(c *dcr.Client)
	with     object // other members that are needed so that answers show it
}{
	{member: "identity_token_lifetime", asked: 60, standard: 300, host: 7200, set: func(c *dcr.Client) { c.IdentityTokenLifetime = 2 * time.Hour }},
	{member: "access_token_lifetime", asked: 60, standard: 3600, host: 7200, set: func(c *dcr.Client) { c.AccessTokenLifetime = 2 * time.Hour }},
	{member: "authorization_code_lifetime", asked: 60, standard: 300, host: 7200, set: func(c *dcr.Client) { c.AuthorizationCodeLifetime = 2 * time.Hour }},
	{member: "absolute_refresh_token_lifetime", asked: 60, standard: 2592000, host: 0, set: func(c *dcr.Client) { c.AbsoluteRefreshTokenLifetime = 0 }},
	{member: "sliding_refresh_token_lifetime", asked: 60, standard: 1296000, host: 7776000, set: func(c *dcr.Client) { c.SlidingRefreshTokenLifetime = 90 * 24 * time.Hour }, with: object{"refresh_token_expiration": "Sliding"}},
	{member: "consent_lifetime", asked: 60, host: 7776000, set: func(c *dcr.Client) { c.ConsentLifetime = 90 * 24 * time.Hour }},
	{member: "refresh_token_expiration", asked: "Sliding", standard: "Absolute", host: "Sliding", set: func(c *dcr.Client) { c.RefreshTokenExpiration = dcr.RefreshTokenSliding }},
	{member: "refresh_token_usage", asked: "ReUse", standard: "OneTimeOnly", host: "ReUse", set: func(c *dcr.Client) { c.RefreshTokenUsage = dcr.RefreshTokenReUse }},
	{member: "update_access_token_claims_on_refresh", asked: true, standard: false, host: true, set: func(c *dcr.Client) { c.UpdateAccessTokenClaimsOnRefresh = true }},
	{member: "require_consent", asked: false, standard: true, host: false, set: func(c *dcr.Client) { c.RequireConsent = false }},
	{member: "allow_remember_consent", asked: false, standard: true, host: false, set: func(c *dcr.Client) { c.AllowRememberConsent = false }},
	{member: "access_token_type", asked: "Reference", standard: "Jwt", host: "Reference", set: func(c *dcr.Client) { c.AccessTokenType = dcr.AccessTokenReference }},
	{member: "allowed_cors_origins", asked: []any{"https://app.example.com"}, host: []any{"https://host.example"}, set: func(c *dcr.Client) { c.AllowedCORSOrigins = []string{"https://host.example"} }},
	{member: "enable_local_login", asked: false, standard: true, host: false, set: func(c *dcr.Client) { c.EnableLocalLogin = false }},
	{member: "identity_provider_restrictions", asked: []any{"a&b"}, host: []any{"corp"}, set: func(c *dcr.Client) { c.IdentityProviderRestrictions = []string{"corp"} }},
	{member: "coordinate_lifetime_with_user_session", asked: true, host: true, set: func(c *dcr.Client) { c.CoordinateLifetimeWithUserSession = true }},
	{member: "allowed_identity_token_signing_algorithms", asked: []any{"PS256"}, host: []any{"ES256"}, set: func(c *dcr.Client) { c.AllowedIdentityTokenSigningAlgorithms = []string{"ES256"} }},
}

var looseLimits = policy.DuendeLimits{AllowLooserBooleans: true, AllowIdentityProviders: true}

func duendeServer(t *testing.T, limits policy.DuendeLimits, rules ...policy.Rule) server {
	t.Helper()
	v := policy.Stack(policy.Stack(openServer, policy.DuendeMembers(limits)), rules...)
	return serve(t, &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Validator: v})
}

// put sends an update that must be accepted.
func (s server) put(t *testing.T, client, request object) object {
	t.Helper()
	body, _ := json.Marshal(request)
	answer := s.update(client, string(body))
	if answer.Status != http.StatusOK {
		t.Fatalf("%s: %d %s", body, answer.Status, answer.Body)
	}
	return decode(t, answer)
}

// get reads a client in the form in which it sends itself back.
func (s server) get(t *testing.T, client object) object {
	t.Helper()
	members := decode(t, s.send(http.MethodGet, client["registration_client_uri"].(string), client["registration_access_token"].(string), ""))
	for _, name := range []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"} {
		delete(members, name)
	}
	return members
}

// edit changes a client as its host does.
func (s server) edit(t *testing.T, client object, change func(*dcr.Client)) {
	t.Helper()
	stored := s.stored(t, client)
	change(stored)
	if err := s.store.Update(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
}

func (s server) stored(t *testing.T, client object) *dcr.Client {
	t.Helper()
	stored, err := s.store.FindByClientID(t.Context(), client["client_id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func asJSON(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}

func TestDuendeSettingsAreAll(t *testing.T) {
	tested := map[string]bool{"require_client_secret": true} // it follows from the method
	for _, s := range duendeSettings {
		tested[s.member] = true
	}
	declared := policy.Stack(dcr.DefaultValidator{}, policy.DuendeMembers(policy.DuendeLimits{})).DeclaredExtensions()
	for _, extension := range declared {
		if !tested[extension.Name()] {
			t.Errorf("%s is not tested", extension.Name())
		}
	}
	if len(tested) != len(declared) {
		t.Errorf("%d members are declared, %d tested", len(declared), len(tested))
	}
}

// What a client asked for applies as long as it asks for it.
func TestDuendeWishes(t *testing.T) {
	for _, c := range duendeSettings {
		t.Run(c.member, func(t *testing.T) {
			s := duendeServer(t, looseLimits)
			plain := with(duendeClient, c.with)
			asking := with(plain, object{c.member: c.asked})
			says := func(when string, answer object, want any) {
				t.Helper()
				if asJSON(answer[c.member]) != asJSON(want) {
					t.Errorf("%s it is %s, want %s", when, asJSON(answer[c.member]), asJSON(want))
				}
			}
			client := s.register(t, asJSON(plain))
			says("if nobody asks,", client, c.standard)
			says("asked for in an update,", s.put(t, client, asking), c.asked)
			says("left out of the next,", s.put(t, client, plain), c.standard)

			client = s.register(t, asJSON(asking))
			says("asked for at registration,", client, c.asked)
			before := s.stored(t, client)
			says("read,", s.get(t, client), c.asked)
			if asJSON(s.stored(t, client)) != asJSON(before) {
				t.Error("a read changed what is stored")
			}
			says("sent back,", s.put(t, client, s.get(t, client)), c.asked)
			says("sent back again,", s.put(t, client, s.get(t, client)), c.asked)
			says("left out,", s.put(t, client, plain), c.standard)
			if extra := s.stored(t, client).Extra[c.member]; extra != nil {
				t.Errorf("left out, %s is still stored", extra)
			}
		})
	}
}

// What the host set stays, whether an update leaves the member out or sends
// back what was read.
func TestDuendeKeepsWhatTheHostSet(t *testing.T) {
	for name, limits := range map[string]policy.DuendeLimits{"strict": {}, "loose": looseLimits} {
		for _, c := range duendeSettings {
			for _, wish := range []any{nil, c.asked} {
				t.Run(name+" "+c.member+" over "+asJSON(wish), func(t *testing.T) {
					s := duendeServer(t, limits)
					plain := with(duendeClient, c.with)
					client := s.register(t, asJSON(with(plain, object{c.member: wish})))
					if asJSON(client[c.member]) == asJSON(c.host) {
						t.Skip("the host changes nothing")
					}
					s.edit(t, client, c.set)
					for range 3 {
						read := s.get(t, client)
						if asJSON(read[c.member]) != asJSON(c.host) {
							t.Fatalf("it is %s, want %s", asJSON(read[c.member]), asJSON(c.host))
						}
						s.put(t, client, read)
					}
					for range 2 {
						if left := s.put(t, client, plain); asJSON(left[c.member]) != asJSON(c.host) {
							t.Fatalf("left out, it is %s, want %s", asJSON(left[c.member]), asJSON(c.host))
						}
					}
				})
			}
		}
	}
}

// around is a host's validator around another one.
type around struct {
	dcr.Validator
	tokens, defaults, client func(*dcr.Client)
	shape                    func(*dcr.Client)
	statement                *dcr.SoftwareStatement
	ownStatements            bool
}

func (a around) ValidateTokens(ctx context.Context, reg *dcr.Registration) error {
	return a.after(a.Validator.ValidateTokens(ctx, reg), a.tokens, reg)
}

func (a around) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	return a.after(a.Validator.SetClientDefaults(ctx, reg), a.defaults, reg)
}

func (a around) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	return a.after(a.Validator.ValidateClient(ctx, reg), a.client, reg)
}

func (a around) ShapeResponse(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
	return a.after(a.Validator.ShapeResponse(ctx, reg, res), a.shape, reg)
}

func (a around) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if !a.ownStatements {
		return a.Validator.ValidateSoftwareStatement(ctx, reg)
	}
	if reg.Previous == nil {
		reg.Statement = a.statement
	}
	return nil
}

func (a around) after(err error, change func(*dcr.Client), reg *dcr.Registration) error {
	if err == nil && change != nil && reg.Request != nil {
		change(reg.Client)
	}
	return err
}

func tenMinutes(c *dcr.Client) { c.AccessTokenLifetime = min(c.AccessTokenLifetime, 10*time.Minute) }

// lowering has validators around the rule that lower what a client gets.
var lowering = map[string]policy.Rule{
	"LimitLifetimes, dropping":  policy.LimitLifetimes(policy.Lifetimes{AccessToken: policy.Lifetime{Ceiling: 10 * time.Minute}}),
	"LimitLifetimes, replacing": policy.LimitLifetimes(policy.Lifetimes{AccessToken: policy.Lifetime{Ceiling: 20 * time.Minute, Default: 10 * time.Minute, Excess: policy.Replace}}),
	"ValidateTokens":            func(v dcr.Validator) dcr.Validator { return around{Validator: v, tokens: tenMinutes} },
	"SetClientDefaults":         func(v dcr.Validator) dcr.Validator { return around{Validator: v, defaults: tenMinutes} },
	"ValidateClient":            func(v dcr.Validator) dcr.Validator { return around{Validator: v, client: tenMinutes} },
}

// A lowered lifetime is not a change by the host: if nothing lowers it any more
// and the client no longer asks for it, the default applies again.
func TestDuendeWishesThatAreLowered(t *testing.T) {
	asking := with(duendeClient, object{"access_token_lifetime": 1800})
	for name, rule := range lowering {
		for _, way := range []string{"asked for at registration", "asked for in an update", "lowered later"} {
			t.Run(name+", "+way, func(t *testing.T) {
				lowered, free := duendeServer(t, policy.DuendeLimits{}, rule), duendeServer(t, policy.DuendeLimits{})
				free.store = lowered.store
				free.Handler = handlerOver(t, lowered, policy.DuendeMembers(policy.DuendeLimits{}))
				var client, answer object
				switch way {
				case "asked for at registration":
					client = lowered.register(t, asJSON(asking))
					answer = client
				case "asked for in an update":
					client = lowered.register(t, asJSON(duendeClient))
					answer = lowered.put(t, client, with(asking, object{"access_token_lifetime": 1801}))
				case "lowered later":
					client = free.register(t, asJSON(asking))
					answer = lowered.put(t, client, asking)
				}
				if answer["access_token_lifetime"] != 600.0 || lowered.get(t, client)["access_token_lifetime"] != 600.0 {
					t.Errorf("it is answered as %v", answer["access_token_lifetime"])
				}
				if stored := lowered.stored(t, client); stored.AccessTokenLifetime != 10*time.Minute || string(stored.Extra["access_token_lifetime"]) != "600" {
					t.Errorf("stored %v as the lifetime and %s as the request", stored.AccessTokenLifetime, stored.Extra["access_token_lifetime"])
				}
				if answer = lowered.put(t, client, lowered.get(t, client)); answer["access_token_lifetime"] != 600.0 {
					t.Errorf("sent back, it is %v", answer["access_token_lifetime"])
				}
				if answer = free.put(t, client, duendeClient); answer["access_token_lifetime"] != 3600.0 {
					t.Errorf("left out, it is %v: what a rule lowered is taken for a setting of the host", answer["access_token_lifetime"])
				}
			})
		}
	}
}

// handlerOver returns a handler with other rules and the store of s.
func handlerOver(t *testing.T, s server, rules ...policy.Rule) *dcr.Handler {
	t.Helper()
	handler, err := dcr.NewHandler(s.store, &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Validator: policy.Stack(openServer, rules...)})
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// The same without a Handler. Without an answer, the rule cannot know what a
// ValidateClient around it does afterwards.
func TestDuendeWishesThatAreLoweredWithoutAHandler(t *testing.T) {
	for name, rule := range lowering {
		for way, answers := range map[string]bool{"with an answer": true, "by only Validate": false} {
			if name == "ValidateClient" && !answers {
				continue
			}
			t.Run(name+", "+way, func(t *testing.T) {
				free := policy.Stack(openServer, policy.DuendeMembers(policy.DuendeLimits{}))
				lowered := policy.Stack(free, rule)
				reg := &dcr.Registration{Request: parsed(t, with(duendeClient, object{"access_token_lifetime": 1800}))}
				if err := dcr.Validate(t.Context(), lowered, reg); err != nil {
					t.Fatal(err)
				}
				if answers {
					res, err := dcr.NewResponse(t.Context(), lowered, reg, "", "")
					if err != nil || string(res.Extra["access_token_lifetime"]) != "600" {
						t.Fatalf("answered %s, %v", res.Extra["access_token_lifetime"], err)
					}
				}
				if said := string(reg.Client.Extra["access_token_lifetime"]); said != "600" {
					t.Errorf("the request became %s", said)
				}
				client, err := judge(t, free, duendeClient, reg.Client)
				if err != nil || client.AccessTokenLifetime != time.Hour {
					t.Errorf("left out, it is %v, %v", client.AccessTokenLifetime, err)
				}
			})
		}
	}
}

func parsed(t *testing.T, request object) *dcr.Request {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	read, err := dcr.ParseRequest(body, dcr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// What ModifyResponse and a ShapeResponse around the rule set is a setting of
// the host, and stays.
func TestDuendeKeepsWhatHooksSet(t *testing.T) {
	asking := with(duendeClient, object{"access_token_lifetime": 1800})
	for name, options := range map[string]func(*dcr.Options){
		"ModifyResponse": func(o *dcr.Options) {
			o.ModifyResponse = func(_ context.Context, reg *dcr.Registration, _ *dcr.Response) error {
				if reg.Request != nil {
					tenMinutes(reg.Client)
				}
				return nil
			}
		},
		"ShapeResponse": func(o *dcr.Options) { o.Validator = around{Validator: o.Validator, shape: tenMinutes} },
	} {
		t.Run(name, func(t *testing.T) {
			members := policy.DuendeMembers(policy.DuendeLimits{})
			opts := &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Validator: policy.Stack(openServer, members)}
			options(opts)
			s := serve(t, opts)
			client := s.register(t, asJSON(asking))
			if lifetime := s.stored(t, client).AccessTokenLifetime; lifetime != 10*time.Minute {
				t.Fatalf("%v is stored", lifetime)
			}
			s.Handler = handlerOver(t, s, members)
			for _, request := range []object{s.get(t, client), duendeClient} {
				if answer := s.put(t, client, request); answer["access_token_lifetime"] != 600.0 {
					t.Errorf("it is %v", answer["access_token_lifetime"])
				}
			}
		})
	}
}

// If a host's step around the rule sets a setting, that one applies. If it does
// not call the inner step, the rule does not apply.
func TestDuendeUnderAHostsStep(t *testing.T) {
	deaf := func(v dcr.Validator) dcr.Validator { return deafToTokens{v} }
	s := duendeServer(t, policy.DuendeLimits{}, deaf)
	client := s.register(t, asJSON(with(duendeClient, object{"access_token_lifetime": 60, "refresh_token_usage": 5})))
	if client["access_token_lifetime"] != 3600.0 || len(s.stored(t, client).Extra) != 0 {
		t.Errorf("answered %v, stored %s", client["access_token_lifetime"], asJSON(s.stored(t, client).Extra))
	}
}

type deafToTokens struct{ dcr.Validator }

func (deafToTokens) ValidateTokens(context.Context, *dcr.Registration) error { return nil }

// A validator around the rule that verifies statements itself does not affect
// the rule.
func TestDuendeBeginsWithoutTheStatementStep(t *testing.T) {
	own := func(v dcr.Validator) dcr.Validator { return around{Validator: v, ownStatements: true} }
	s := duendeServer(t, policy.DuendeLimits{MaxAccessTokenLifetime: 10 * time.Minute}, own)
	client := s.register(t, asJSON(duendeClient))
	if client["access_token_lifetime"] != 600.0 {
		t.Errorf("a new client begins with %v", client["access_token_lifetime"])
	}
	s.put(t, client, with(duendeClient, object{"access_token_lifetime": 60}))
	if answer := s.put(t, client, duendeClient); answer["access_token_lifetime"] != 600.0 {
		t.Errorf("left out, it is %v", answer["access_token_lifetime"])
	}
}

// The claims of a statement apply to later updates, even claims that had no
// effect when the client registered.
func TestDuendeClaims(t *testing.T) {
	claims := dcr.Metadata{Extra: map[string]json.RawMessage{
		"access_token_lifetime": json.RawMessage("60"), "refresh_token_usage": json.RawMessage(`"OneTimeOnly"`),
	}}
	own := func(v dcr.Validator) dcr.Validator {
		return around{Validator: v, ownStatements: true, statement: &dcr.SoftwareStatement{Issuer: "directory", Metadata: claims}}
	}
	s := duendeServer(t, policy.DuendeLimits{}, own)
	client := s.register(t, asJSON(with(duendeClient, object{"grant_types": []string{"authorization_code"}})))
	answer := s.put(t, client, with(duendeClient, object{"access_token_lifetime": 3600, "refresh_token_usage": "ReUse"}))
	if answer["access_token_lifetime"] != 60.0 || answer["refresh_token_usage"] != "OneTimeOnly" {
		t.Errorf("an update escapes the statement: %s", asJSON(answer))
	}
}

// A registration and an update result in the same client.
func TestDuendeUpdatesAsItRegisters(t *testing.T) {
	v := policy.Stack(openServer, policy.DuendeMembers(policy.DuendeLimits{}))
	previous, err := judge(t, v, with(duendeClient, object{"token_endpoint_auth_method": "none"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []object{
		{"require_client_secret": false, "token_endpoint_auth_method": "none"},
		{"require_client_secret": false, "token_endpoint_auth_method": nil},
		{"require_client_secret": true},
		{"require_consent": true, "access_token_lifetime": 3600},
		{"require_consent": false, "enable_local_login": false},
		{"grant_types": []string{"client_credentials"}, "refresh_token_usage": "\u0001", "allowed_cors_origins": 5},
	} {
		registered, err := judge(t, v, with(duendeClient, request), nil)
		if err != nil {
			t.Fatal(err)
		}
		updated, err := judge(t, v, with(duendeClient, request), previous)
		if err != nil || !sameMetadata(registered, updated) {
			t.Errorf("%s registers one client and updates to another: %v", asJSON(request), err)
		}
	}
}

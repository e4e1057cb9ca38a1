package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// plainStore hides the optional methods of a memstore.Store.
type plainStore struct{ dcr.ClientConfigurationStore }

func TestWarnings(t *testing.T) {
	supports := func(change func(c *dcr.Capabilities)) dcr.DefaultValidator {
		v := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"openid"}}}
		change(&v.Supports)
		return v
	}
	machines := supports(func(c *dcr.Capabilities) { c.GrantTypes = []string{"client_credentials"} })
	symmetric := supports(func(c *dcr.Capabilities) { c.IDTokenSigningAlgs = []string{"RS256", "HS256"} })
	encrypts := supports(func(c *dcr.Capabilities) {
		c.IDTokenEncryptionAlgs, c.IDTokenEncryptionEncs = []string{"RSA-OAEP", "A128KW"}, []string{"A128GCM"}
		c.RequestObjectEncAlgs, c.RequestObjectEncEncs = []string{"dir", "ECDH-ES"}, []string{"A128GCM"}
		c.BackchannelAuthenticationRequestSigningAlgs = []string{"ES256"}
	})
	plain := supports(func(*dcr.Capabilities) {})
	stated := plain
	stated.Statements = &dcr.StatementVerifier{Required: true}
	for _, c := range []struct {
		name  string
		store dcr.ClientConfigurationStore
		opts  dcr.Options
		want  []string // what the warnings contain, in order
	}{
		{"nothing to warn about", nil, dcr.Options{Validator: plain}, nil},
		{"no scopes", nil, dcr.Options{}, []string{"Options.Validator has no scopes: Supports.Scopes is nil, so no client gets the scopes that it asks for"}},
		{"no scopes, under a preset", nil, dcr.Options{Validator: policy.Duende(dcr.DefaultValidator{})}, []string{"Supports.Scopes is nil"}},
		{"no scopes, in a policy", nil, dcr.Options{Validator: plain, Policies: map[string]dcr.Validator{"it": dcr.DefaultValidator{}}}, []string{`Options.Policies["it"] has no scopes`}},
		{"no scopes, on purpose", nil, dcr.Options{Validator: supports(func(c *dcr.Capabilities) { c.Scopes = []string{} })}, nil},
		{"open, with a store in memory", nil, dcr.Options{AllowAnonymous: true}, []string{"memstore loses all clients"}},
		{"open, with a required statement", plainStore{memstore.New()}, dcr.Options{AllowAnonymous: true, SecretLifetime: time.Hour, Validator: stated}, nil},
		{"open, with a rule that requires a statement", plainStore{memstore.New()}, dcr.Options{AllowAnonymous: true, Validator: policy.Stack(plain, policy.RequireStatement(), policy.RequirePKCE())}, nil},
		{"open, with only some policies that require one", plainStore{memstore.New()}, dcr.Options{AllowAnonymous: true, Validator: stated,
			Policies: map[string]dcr.Validator{"it": plain}, ChoosePolicy: func(*http.Request, *dcr.Caller) (string, error) { return "it", nil }}, []string{"Options.MaxClients"}},
		{"open, with an unbounded store", plainStore{memstore.New()}, dcr.Options{AllowAnonymous: true}, []string{"Options.MaxClients"}},
		{"open, with secrets that expire", nil, dcr.Options{AllowAnonymous: true, SecretLifetime: time.Hour}, []string{"memstore", "Options.SecretLifetime"}},
		{"closed, with secrets that expire", nil, dcr.Options{SecretLifetime: time.Hour}, nil},
		{"secrets that nobody can renew", nil, dcr.Options{SecretLifetime: time.Hour, DisableManagement: true}, []string{"Options.SecretLifetime"}},
		{"management that is off", nil, dcr.Options{DisableManagement: true, ManageAs: func(*dcr.Caller, *dcr.Client) bool { return true }}, []string{"Options.ManageAs"}},
		{"open to machines", nil, dcr.Options{AllowAnonymous: true, Validator: machines}, []string{"memstore", "client_credentials"}},
		{"open to machines, but not without a caller", nil, dcr.Options{AllowAnonymous: true, Validator: machines, ChoosePolicy: func(*http.Request, *dcr.Caller) (string, error) { return "strangers", nil }}, []string{"memstore"}},
		{"closed to machines without a caller", nil, dcr.Options{Validator: machines}, nil},
		{"an algorithm without a sealer", nil, dcr.Options{Validator: symmetric}, []string{"HS256"}},
		{"an encryption algorithm without a sealer", nil, dcr.Options{Validator: encrypts}, []string{"supports A128KW, dir, for which"}},
		{"a code challenge method that is refused", nil, dcr.Options{Validator: supports(func(c *dcr.Capabilities) { c.CodeChallengeMethods = []string{"S256", "plain"} })}, []string{"the code challenge method plain"}},
		{"a cache that is embedded", struct{ *cachestore.Store }{cachestore.New(memstore.New(), nil)}, dcr.Options{}, []string{"declare FindStored and As"}},
		{"a cache that is embedded, without management", struct{ *cachestore.Store }{cachestore.New(memstore.New(), nil)}, dcr.Options{DisableManagement: true}, nil},
		{"a cache that is embedded as any store", plainStore{cachestore.New(memstore.New(), nil)}, dcr.Options{}, nil},
		{"an empty allow-list, in a decorator", nil, dcr.Options{Validator: policy.Stack(plain, policy.RedirectHosts(), policy.RequirePKCE())}, []string{"policy.redirect_hosts"}},
		{"a policy beyond discovery", nil, dcr.Options{
			Validator: supports(func(c *dcr.Capabilities) { c.TokenEndpointAuthMethods = []string{"client_secret_basic"} }),
			Policies:  map[string]dcr.Validator{"mcp": policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{TokenEndpointAuthMethods: []string{"none"}, Scopes: []string{"openid"}}})},
		}, []string{`Options.Policies["mcp"]: MCP is for clients that run in a browser`, `Options.Policies["mcp"] registers clients with client_credentials`, `Options.Policies["mcp"] registers clients with none`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			logger, lines := quiet()
			if c.opts.Validator == nil && !strings.HasPrefix(c.name, "no scopes") {
				c.opts.Validator = plain
			}
			c.opts.Endpoint, c.opts.Logger = "https://id.example.com/connect/dcr", logger
			if c.store == nil {
				c.store = memstore.New()
			}
			h, err := dcr.NewHandler(c.store, &c.opts)
			if err != nil {
				t.Fatal(err)
			}
			warnings := h.Warnings()
			if len(warnings) != len(c.want) || strings.Count(lines.String(), "level=WARN") != len(c.want) {
				t.Fatalf("warnings %q, logged %s", warnings, lines)
			}
			for i, want := range c.want {
				if !strings.Contains(warnings[i], want) {
					t.Errorf("%q does not mention %q", warnings[i], want)
				}
			}
		})
	}
}

// TestMisspeltCapabilities checks that each list with registered names is looked at, in
// Options.Validator and in Options.Policies.
func TestMisspeltCapabilities(t *testing.T) {
	for list, names := range map[string]struct{ good, bad string }{
		"grant_types_supported":                            {`"authorization_code","urn:ietf:params:oauth:grant-type:token-exchange"`, "authorisation_code"},
		"response_types_supported":                         {`"code","code id_token"`, "code idtoken"},
		"token_endpoint_auth_methods_supported":            {`"none","attest_jwt_client_auth","https://id.example.com/methods/card"`, "basic"},
		"token_endpoint_auth_signing_alg_values_supported": {`"PS256","HS256"`, "PS265"},
		"response_modes_supported":                         {`"query","form_post.jwt"`, "form-post"},
		"subject_types_supported":                          {`"public"`, "pairwyse"},
		"code_challenge_methods_supported":                 {`"S256"`, "s256"},
		"id_token_signing_alg_values_supported":            {`"RS256"`, "RS265"},
		"id_token_encryption_alg_values_supported":         {`"RSA-OAEP"`, "RSA_OAEP"},
		"id_token_encryption_enc_values_supported":         {`"A256GCM"`, "A256CGM"},
		"userinfo_signing_alg_values_supported":            {`"none","ES256"`, "es256"},
		"userinfo_encryption_enc_values_supported":         {`"A128CBC-HS256"`, "A128CBC"},
		"request_object_signing_alg_values_supported":      {`"EdDSA"`, "EDDSA"},
		"introspection_signing_alg_values_supported":       {`"PS512"`, "PS521"},
		"authorization_encryption_alg_values_supported":    {`"ECDH-ES"`, "ECDHES"},
		"dpop_signing_alg_values_supported":                {`"ES256"`, "E256"},
		"scopes_supported":                                 {`"anything"`, ""},
		"acr_values_supported":                             {`"gold"`, ""},
	} {
		values := names.good
		if names.bad != "" {
			values += `,"` + names.bad + `"`
		}
		document := map[string]json.RawMessage{
			"grant_types_supported": json.RawMessage(`["authorization_code","implicit"]`), "scopes_supported": json.RawMessage(`["openid"]`),
			"id_token_signing_alg_values_supported": json.RawMessage(`["RS256"]`),
		}
		document[list] = json.RawMessage("[" + values + "]")
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		supports := dcr.DefaultValidator{Supports: capabilities(t, string(text))}
		opts := &dcr.Options{Endpoint: "https://id.example.com/connect/dcr", Validator: supports, Policies: map[string]dcr.Validator{"it": supports}}
		sealed(t)(&supports, opts)
		opts.Logger, _ = quiet()
		h, err := dcr.NewHandler(memstore.New(), opts)
		if err != nil {
			t.Errorf("%s: %v", list, err)
			continue
		}
		var got, want []string
		for _, warning := range h.Warnings() {
			if strings.Contains(warning, "misspelt") {
				got = append(got, warning[:strings.Index(warning, ", which")])
			}
		}
		for _, of := range []string{"Options.Validator", `Options.Policies["it"]`} {
			if names.bad != "" {
				want = append(want, fmt.Sprintf("%s: %s has %q", of, list, names.bad))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("warned of %q, want %q", got, want)
		}
	}
}

// slowCounter counts when the test allows it.
type slowCounter struct {
	*memstore.Store
	let func() error
}

func (s *slowCounter) CountClients(ctx context.Context, filter dcr.Filter) (int64, error) {
	if err := s.let(); err != nil {
		return 0, err
	}
	return s.Store.CountClients(ctx, filter)
}

// TestMaxClients checks that the bound holds, and that room which other processes
// made is seen once the count is repeated. Only the first registration waits for
// a count, and for up to a second those that an old count would refuse.
func TestMaxClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowCounter{memstore.New(), func() error { time.Sleep(3 * time.Second); return nil }}
		h := newHandler(t, store, dcr.Options{AllowAnonymous: true, MaxClients: 2})
		register := func(want int, waits time.Duration) {
			t.Helper()
			began := time.Now()
			a := ask(t, h, "POST", "/connect/dcr", "", plainBody)
			if a.status != want || want == 503 && a.header.Get("Retry-After") == "" {
				t.Errorf("got %d %s, want %d", a.status, a.body, want)
			}
			if took := time.Since(began); took != waits {
				t.Errorf("it took %v, not %v", took, waits)
			}
		}
		register(201, 3*time.Second)
		register(201, 0)
		register(503, 0)
		for client, err := range store.ListClients(t.Context(), dcr.Filter{}, "") {
			if err != nil || store.Delete(t.Context(), client.ID) != nil {
				t.Fatal(err)
			}
			break
		}
		register(503, 0) // until the store is asked again
		time.Sleep(time.Minute)
		register(503, 0) // which this request causes
		time.Sleep(3 * time.Second)
		synctest.Wait()
		register(201, 0)
		register(503, 0)
		store.let = func() error { return errors.New("connection refused") }
		time.Sleep(time.Minute)
		register(503, 0) // and a count that failed changes nothing
		synctest.Wait()
		register(503, 0)
		store.let = func() error { time.Sleep(3 * time.Second); return nil }
		time.Sleep(time.Hour)
		register(503, time.Second) // after a quiet time, the next count is waited for, but not for long
		time.Sleep(3 * time.Second)
	})
}

// TestMaxClientsWhileCounting checks that clients that are added while the store
// counts are added to the count.
func TestMaxClientsWhileCounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 50
		store := &slowCounter{memstore.New(), func() error { return nil }}
		h := newHandler(t, store, dcr.Options{AllowAnonymous: true, MaxClients: limit})
		register := func() int { return ask(t, h, "POST", "/connect/dcr", "", plainBody).status }
		register()
		store.let = func() error { time.Sleep(time.Second); return nil }
		time.Sleep(time.Minute)
		var registered atomic.Int64
		var wait sync.WaitGroup
		for range 2 * limit {
			wait.Go(func() {
				if register() == 201 {
					registered.Add(1)
				}
			})
		}
		wait.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		for range limit {
			register()
		}
		if count, err := store.Store.CountClients(t.Context(), dcr.Filter{}); err != nil || count != limit {
			t.Errorf("the store has %d clients, error %v; %d were registered while it counted", count, err, registered.Load())
		}
	})
}

func TestMaxClientsNeedsACountingStore(t *testing.T) {
	_, err := dcr.NewHandler(plainStore{memstore.New()}, &dcr.Options{Endpoint: "https://id.example.com/connect/dcr", MaxClients: 1})
	if err == nil || !strings.Contains(err.Error(), "Options.MaxClients") {
		t.Errorf("got %v", err)
	}
}

// brokenCounter cannot count.
type brokenCounter struct{ *memstore.Store }

func (brokenCounter) CountClients(context.Context, dcr.Filter) (int64, error) {
	return 0, errors.New("connection refused")
}

func TestMaxClientsInAnOutage(t *testing.T) {
	h := newHandler(t, brokenCounter{memstore.New()}, dcr.Options{AllowAnonymous: true, MaxClients: 2})
	if a := ask(t, h, "POST", "/connect/dcr", "", plainBody); a.status != 503 {
		t.Errorf("got %d, want 503", a.status)
	}
}

func TestChoosePolicy(t *testing.T) {
	store := memstore.New()
	h := newHandler(t, store, dcr.Options{
		AllowAnonymous: true,
		Policies: map[string]dcr.Validator{
			"strangers": policy.Stack(dcr.DefaultValidator{}, policy.LoopbackOnly()),
			"partners":  dcr.DefaultValidator{},
		},
		ChoosePolicy: func(r *http.Request, caller *dcr.Caller) (string, error) {
			switch {
			case r.Header.Get("X-Blocked") != "":
				return "", dcr.Errorf(dcr.AccessDenied, "not from here")
			case caller == nil:
				return "strangers", nil
			}
			return dcr.CallerPolicy(r, caller)
		},
	})
	const web, loopback = `{"redirect_uris":["https://app.example.com/"]}`, `{"redirect_uris":["http://127.0.0.1/"]}`
	register := func(caller *dcr.Caller, body, blocked string) (int, map[string]any) {
		r := newRequest("POST", "/connect/dcr", "", body)
		r.Header.Set("X-Blocked", blocked)
		if caller != nil {
			r = r.WithContext(dcr.ContextWithCaller(r.Context(), caller))
		}
		a := exchange(t, h, r)
		return a.status, a.members
	}
	for _, c := range []struct {
		name          string
		caller        *dcr.Caller
		body, blocked string
		status        int
		policy        string
	}{
		{"a stranger, within its policy", nil, loopback, "", 201, "strangers"},
		{"a stranger, beyond it", nil, web, "", 400, ""},
		{"a partner", &dcr.Caller{Policy: "partners"}, web, "", 201, "partners"},
		{"a caller without a policy", &dcr.Caller{}, web, "", 201, ""},
		{"a missing policy", &dcr.Caller{Policy: "gone"}, web, "", 500, ""},
		{"a request that the host refuses", nil, loopback, "yes", 403, ""},
	} {
		status, body := register(c.caller, c.body, c.blocked)
		if status != c.status {
			t.Errorf("%s: got %d %v", c.name, status, body)
			continue
		}
		if status == 201 {
			if client, err := store.FindByClientID(t.Context(), body["client_id"].(string)); err != nil || client.Policy != c.policy {
				t.Errorf("%s: the client's policy is %q, %v", c.name, client.Policy, err)
			}
		}
	}
	status, body := register(nil, loopback, "")
	if status != 201 {
		t.Fatal(status, body)
	}
	uri, token := body["registration_client_uri"].(string), body["registration_access_token"].(string)
	if a := ask(t, h, "PUT", uri, token, `{"client_id":"`+body["client_id"].(string)+`",`+web[1:]); a.status != 400 {
		t.Errorf("an update that the policy of the client does not allow: %d %s", a.status, a.body)
	}
}

package policy_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// forgetful is a ReplayStore that accepts a request any number of times.
type forgetful struct{}

func (forgetful) Remember(context.Context, string, time.Time, time.Time) (bool, error) {
	return true, nil
}

// BenchmarkUKRegister registers with a signed request that contains a signed
// statement, both PS256: two signatures to verify.
func BenchmarkUKRegister(b *testing.B) {
	w := &ukWorld{directory: newPS256(), party: newPS256()}
	server := dcr.DefaultValidator{Statements: &dcr.StatementVerifier{
		Issuers: map[string]dcr.KeySource{"OpenBanking Ltd": dcr.StaticKeys(w.directory.jwks())},
	}}
	preset := policy.UKOpenBanking(server, policy.UKBank{
		Audience: []string{ukAudience}, Keys: dcr.StaticKeys(w.party.jwks()), Replay: forgetful{},
	})
	store := memstore.New()
	store.Limit = 1 << 40
	bank, err := dcr.NewHandler(store, preset.Apply(ukOptions()))
	if err != nil {
		b.Fatal(err)
	}
	body := w.request(b, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, endpoint, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/jose")
		recorder := httptest.NewRecorder()
		if bank.ServeHTTP(recorder, r); recorder.Code != http.StatusCreated {
			b.Fatal(recorder.Code, recorder.Body)
		}
	}
}

// BenchmarkUDAPRegister registers with a statement with two certificates, ES256:
// one signature and a chain to verify. BenchmarkInlineKeys measures the same
// client with its keys in the request.
func BenchmarkUDAPRegister(b *testing.B) {
	w := newUDAP(b, func(s *policy.UDAPServer, _ *dcr.Options) { s.Replay = forgetful{} })
	w.now = udapNow
	body := w.body(w.statement(b, w.app, w.claims("client_credentials", nil)))
	cancel := w.body(w.statement(b, w.app, w.claims("client_credentials", object{"grant_types": []string{}})))
	b.ReportAllocs()
	for b.Loop() {
		if a := w.send(http.MethodPost, "", "", body); a.Status != http.StatusCreated {
			b.Fatal(a.Status, string(a.Body))
		}
		b.StopTimer()
		w.send(http.MethodPost, "", "", cancel)
		b.StartTimer()
	}
}

// BenchmarkValidate measures what a preset and many rules add to Validate.
func BenchmarkValidate(b *testing.B) {
	request, err := dcr.ParseRequest([]byte(`{"client_name":"My App","redirect_uris":["https://app.example.com/callback"],"grant_types":["authorization_code"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_basic"}`), dcr.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	server := dcr.DefaultValidator{
		Supports: dcr.Capabilities{Scopes: []string{"openid", "profile"}, IDTokenSigningAlgs: []string{"RS256"}},
	}
	rules := []policy.Rule{
		policy.SigningAlgorithms("RS256", "PS256", "ES256"), policy.CorrectApplicationType(), policy.RequirePKCE(), policy.ForceConfidential(),
		policy.Deny(policy.DenyList{Hosts: []string{"bad.example"}}), policy.SameHost(policy.Drop), policy.RequireMembers("client_name"),
		policy.LimitLifetimes(policy.Lifetimes{AccessToken: policy.Lifetime{Ceiling: time.Hour}}), policy.GrantTypes(policy.Values{Ceiling: []string{"authorization_code"}}),
		policy.Scopes(policy.Values{Ceiling: []string{"openid", "profile"}}), policy.ReservedNames(map[string][]string{"Example Bank": nil}),
		policy.ReadableNames(dcr.ReadableRune), policy.RedirectHosts("*.example.com"), policy.HTTPSOnly(), policy.KnownScopes(),
	}
	for name, v := range map[string]dcr.Validator{"default": server, "mcp": policy.MCP(server), "rules": policy.Stack(server, rules...)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := dcr.Validate(b.Context(), v, &dcr.Registration{Request: request}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInlineKeys(b *testing.B) {
	store := memstore.New()
	store.Limit = 1 << 40
	h, err := dcr.NewHandler(store, &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Logger: quiet, Validator: dcr.DefaultValidator{Supports: dcr.Capabilities{
		GrantTypes: []string{"client_credentials"}, TokenEndpointAuthMethods: []string{"private_key_jwt"}, Scopes: []string{"system/Patient.rs"},
	}}})
	if err != nil {
		b.Fatal(err)
	}
	body := jsonText(object{
		"client_name": "Cardio Viewer", "contacts": []string{"ops@apps.example.com"}, "grant_types": []string{"client_credentials"}, "scope": "system/Patient.rs",
		"token_endpoint_auth_method": "private_key_jwt", "jwks": json.RawMessage(newES256("a").jwks()),
	})
	b.ReportAllocs()
	for b.Loop() {
		if a := (server{h, store}).send(http.MethodPost, "", "", body); a.Status != http.StatusCreated {
			b.Fatal(a.Status, string(a.Body))
		}
	}
}

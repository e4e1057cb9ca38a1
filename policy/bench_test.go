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

// forgetful takes a request any number of times.
type forgetful struct{}

func (forgetful) Remember(context.Context, string, time.Time, time.Time) (bool, error) {
	return true, nil
}

// BenchmarkUKRegister registers by a signed request with a signed statement
// inside, both PS256: two signatures to verify.
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

// BenchmarkUDAPRegister registers by a statement with two certificates, ES256: one
// signature and a chain to verify. What the same client costs with its keys in the
// request is BenchmarkInlineKeys.
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

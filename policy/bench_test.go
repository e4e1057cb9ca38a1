package policy_test

import (
	"context"
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

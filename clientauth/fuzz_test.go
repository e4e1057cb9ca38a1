package clientauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// FuzzAssertion signs any header and payload with the client's own secret, and
// adds unsigned text. What is accepted must be valid for another reader too.
func FuzzAssertion(f *testing.F) {
	a := assertionAuthenticator(f)
	a.Replay = memory(func(string, time.Time) {})
	client, err := a.Store.FindByClientID(context.Background(), "shared")
	if err != nil {
		f.Fatal(err)
	}
	good := claims("shared", nil)
	f.Add(`{"alg":"HS256"}`, good, "")
	f.Add(`{"alg":"HS256","typ":"client-authentication+jwt","kid":"1"}`, claims("shared", map[string]any{"jti": "1", "nbf": now.Unix(), "aud": []string{issuer}}), "")
	f.Add(`{"alg":"none"}`, good, "")
	f.Add(`{"alg":"HS256","crit":["exp"]}`, good, "=")
	f.Add(`{"alg":"HS256"}`, good[:len(good)-1]+`,"exp":1e10}`, "\n")
	f.Add(`{"alg":"HS256","alg":"none"}`, "null", ".")
	f.Fuzz(func(t *testing.T, header, payload, rest string) {
		assertion := hs256([]byte(shared), header, payload) + rest
		err := a.VerifyAssertion(t.Context(), client, assertion)
		if refused := (*dcr.Error)(nil); err != nil && (!errors.As(err, &refused) || refused.Code != dcr.InvalidClient) {
			t.Fatalf("%v of %q", err, assertion)
		}
		if err == nil && (rest != "" || !isGood(header, payload)) {
			t.Errorf("let in: %q", assertion)
		}
		if _, again := a.Authenticate(asserting(assertion)); (again == nil) != (err == nil) && err == nil {
			t.Errorf("%v, but not VerifyAssertion, of %q", again, assertion)
		}
	})
}

// isGood checks an assertion of the client "shared" with encoding/json.
func isGood(header, payload string) bool {
	var h struct{ Alg, Typ string }
	var p struct {
		Iss, Sub string
		Aud      json.RawMessage
		Exp      float64
		Nbf, Iat float64
	}
	if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &p) != nil {
		return false
	}
	var one string
	var many []string
	if json.Unmarshal(p.Aud, &one) != nil && json.Unmarshal(p.Aud, &many) != nil {
		return false
	}
	types := []string{"", "jwt", "application/jwt", "client-authentication+jwt", "application/client-authentication+jwt", "oauth-client-auth+jwt", "application/oauth-client-auth+jwt"}
	at := float64(now.Unix())
	return h.Alg == "HS256" && slices.Contains(types, strings.ToLower(h.Typ)) && p.Iss == "shared" && p.Sub == "shared" &&
		slices.ContainsFunc(append(many, one), func(aud string) bool { return aud == issuer || aud == endpoint }) &&
		p.Exp > at-60 && p.Exp <= at+660 && p.Nbf <= at+60 && p.Iat <= at+60
}

// FuzzForeignAssertion sends any text as an assertion: what the fuzzer makes up
// without a key must not be accepted, or be taken for an outage.
func FuzzForeignAssertion(f *testing.F) {
	secret, err := sealer(f).Seal(shared, "shared")
	if err != nil {
		f.Fatal(err)
	}
	store := newStore(f, newClient("app", "private_key_jwt", func(c *dcr.Client) { c.JWKS = keySet }),
		newClient("shared", "client_secret_jwt", func(c *dcr.Client) { c.Secrets = []dcr.Secret{{Type: dcr.SecretSealed, Value: secret}} }))
	a := newAuthenticator(store)
	a.Sealer, a.Replay = sealer(f), memory(func(string, time.Time) {})
	signed := []string{jws(key, es256, claims("app", nil)), hs256([]byte(shared), `{"alg":"HS256"}`, claims("shared", nil))}
	for _, assertion := range append(signed, b64([]byte(`{"alg":"none"}`))+"."+b64([]byte(claims("app", nil)))+".", "..", "") {
		f.Add("app", assertion)
	}
	f.Fuzz(func(t *testing.T, clientID, assertion string) {
		_, err := a.Authenticate(post("", url.Values{"client_id": {clientID}, "client_assertion_type": {jwtType}, "client_assertion": {assertion}}))
		if refused := (*dcr.Error)(nil); err != nil && !errors.As(err, &refused) {
			t.Errorf("%v of %q", err, assertion)
		}
		if err == nil && !slices.Contains(signed, assertion) {
			t.Errorf("let in: %q", assertion)
		}
	})
}

package clientauth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

const es256 = `{"alg":"ES256","kid":"1"}`

// keySet is the jwks of the clients that have keys.
var keySet = []byte(`{"keys":[` + jwk(key, `"kid":"1",`) + `]}`)

const shared = "a secret of thirty-two bytes, at least"

func sealer(t testing.TB) dcr.Sealer {
	sealer, err := dcr.NewAESSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

func keyClients(t testing.TB) dcr.ClientConfigurationStore {
	withKeys := func(c *dcr.Client) { c.JWKS = keySet }
	return newStore(t,
		newClient("app", "private_key_jwt", withKeys),
		newClient("es", "private_key_jwt", func(c *dcr.Client) { withKeys(c); c.TokenEndpointAuthSigningAlg = "ES256" }),
		newClient("ps", "private_key_jwt", func(c *dcr.Client) { withKeys(c); c.TokenEndpointAuthSigningAlg = "PS256" }),
		newClient("unnamed", "private_key_jwt", func(c *dcr.Client) { c.JWKS = []byte(`{"keys":[` + jwk(dice, "") + "," + jwk(key, "") + `]}`) }),
		newClient("keyless", "private_key_jwt", nil),
		newClient("far", "private_key_jwt", func(c *dcr.Client) { c.JWKSURI = "https://127.0.0.1/jwks" }),
		newClient("hidden", "client_secret_basic", func(c *dcr.Client) { withKeys(c); withSecret(c) }),
		newClient("disabled", "private_key_jwt", func(c *dcr.Client) { withKeys(c); c.Status = dcr.StatusDisabled }),
		newClient("pending", "private_key_jwt", func(c *dcr.Client) { withKeys(c); c.Status = dcr.StatusPending }),
		newClient("shared", "client_secret_jwt", func(c *dcr.Client) {
			sealed, err := sealer(t).Seal(shared, "shared")
			if err != nil {
				t.Fatal(err)
			}
			c.Secrets = []dcr.Secret{dcr.HashSecret(shared), {Type: dcr.SecretSealed, Value: sealed}}
		}),
		newClient("rotated", "client_secret_jwt", func(c *dcr.Client) {
			sealed, err := sealer(t).Seal(shared, "rotated")
			if err != nil {
				t.Fatal(err)
			}
			c.Secrets = []dcr.Secret{{Type: dcr.SecretSealed, Value: sealed}, {Type: dcr.SecretSealed, Value: "by a key that is lost"}}
		}),
	)
}

func assertionAuthenticator(t testing.TB) *clientauth.Authenticator {
	a := newAuthenticator(keyClients(t))
	a.Sealer = sealer(t)
	return a
}

func TestAssertions(t *testing.T) {
	const let, bad, refused = "private_key_jwt", "400 invalid_request", "401 invalid_client"
	with := func(changes map[string]any) string { return jws(key, es256, claims("app", changes)) }
	good := with(nil)
	parts := strings.Split(good, ".")
	last := good[len(good)-1:]
	sibling := map[string]string{"A": "B", "Q": "R", "g": "h", "w": "x"}[last]
	thumb := sha256.Sum256(keySet)
	for _, c := range []struct{ sentence, assertion, want string }{
		{"a valid assertion is accepted", good, let},
		{"a client with an algorithm signs with it", jws(key, es256, claims("es", nil)), let},
		{"and with no other", jws(key, es256, claims("ps", nil)), refused},
		{"keys without a kid are tried", jws(key, `{"alg":"ES256"}`, claims("unnamed", nil)), let},
		{"whatever kid the assertion has", jws(key, es256, claims("unnamed", nil)), let},
		{"aud may be an endpoint", with(map[string]any{"aud": endpoint}), let},
		{"or a list with one", with(map[string]any{"aud": []string{"https://x.example", issuer}}), let},
		{"it may have a jti", with(map[string]any{"jti": "1"}), let},
		{"the clock may be seconds ahead", with(map[string]any{"iat": now.Add(20 * time.Second).Unix()}), let},
		{"it may have a typ", jws(key, `{"alg":"ES256","typ":"client-authentication+jwt"}`, claims("app", nil)), let},
		{"in full", jws(key, `{"alg":"ES256","typ":"application/oauth-client-auth+jwt"}`, claims("app", nil)), let},
		{"or the typ JWT", jws(key, `{"alg":"ES256","typ":"JWT"}`, claims("app", nil)), let},
		{"a shared secret authenticates", hs256([]byte(shared), `{"alg":"HS256"}`, claims("shared", nil)), "client_secret_jwt"},
		{"although an older one cannot be read any more", hs256([]byte(shared), `{"alg":"HS256"}`, claims("rotated", nil)), "client_secret_jwt"},
		{"whether that one would authenticate is not known", hs256([]byte(shared+"x"), `{"alg":"HS256"}`, claims("rotated", nil)), "503 temporarily_unavailable"},
		{"a pending client is told", jws(key, es256, claims("pending", nil)), "400 access_denied"},
		{"only after it was authenticated", jws(dice, es256, claims("pending", nil)), refused},
		{"keys out of reach are an outage", jws(key, es256, claims("far", nil)), "503 temporarily_unavailable"},

		{"another key", jws(dice, es256, claims("app", nil)), refused},
		{"another key without a kid", jws(dice, `{"alg":"ES256"}`, claims("app", nil)), refused},
		{"a key with another kid", jws(key, `{"alg":"ES256","kid":"2"}`, claims("app", nil)), refused},
		{"a key in the header", jws(dice, `{"alg":"ES256","jwk":`+jwk(dice, "")+`}`, claims("app", nil)), refused},
		{"keys at a URL in the header", jws(dice, `{"alg":"ES256","jku":"https://127.0.0.1/jwks"}`, claims("app", nil)), refused},
		{"alg none", b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", refused},
		{"alg none with a signature", b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + "." + parts[2], refused},
		{"alg none in capitals", b64([]byte(`{"alg":"NONE"}`)) + "." + parts[1] + ".AA", refused},
		{"no alg", jws(key, `{"kid":"1"}`, claims("app", nil)), refused},
		{"HS256 with the public keys", hs256(keySet, `{"alg":"HS256"}`, claims("app", nil)), refused},
		{"HS256 with their digest", hs256(thumb[:], `{"alg":"HS256"}`, claims("app", nil)), refused},
		{"HS256 with an empty key", hs256(nil, `{"alg":"HS256"}`, claims("app", nil)), refused},
		{"HS256 with the secret's hash", hs256([]byte(dcr.HashSecret(shared).Value), `{"alg":"HS256"}`, claims("shared", nil)), refused},
		{"HS256 with another secret", hs256([]byte(shared+"x"), `{"alg":"HS256"}`, claims("shared", nil)), refused},
		{"a key instead of a shared secret", jws(key, es256, claims("shared", nil)), refused},
		{"an algorithm that does not fit the key", jws(key, `{"alg":"RS256","kid":"1"}`, claims("app", nil)), refused},
		{"no signature", parts[0] + "." + parts[1] + ".", refused},
		{"a signature of zeros", parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), refused},
		{"another payload", parts[0] + "." + b64([]byte(claims("app", map[string]any{"x": 1}))) + "." + parts[2], refused},
		{"another header", b64([]byte(`{"alg":"ES256", "kid":"1"}`)) + "." + parts[1] + "." + parts[2], refused},
		{"two parts", parts[0] + "." + parts[1], refused},
		{"four parts", good + "." + parts[2], refused},
		{"text at the end", good + "!", refused},
		{"a line break", good + "\n", refused},
		{"padding", good + "==", refused},
		{"stray bits at the end", strings.TrimSuffix(good, last) + sibling, refused},
		{"the alphabet of plain base64", parts[0] + "." + parts[1] + "." + base64.RawStdEncoding.EncodeToString([]byte("\xff\xfe\xff")), refused},
		{"not a JWS", "x", refused},
		{"a JSON text", `{"payload":"","signatures":[]}`, refused},
		{"too long", with(map[string]any{"x": strings.Repeat("a", 16<<10)}), refused},
		{"crit", jws(key, `{"alg":"ES256","kid":"1","crit":["exp"],"exp":1}`, claims("app", nil)), refused},
		{"an unencoded payload", jws(key, `{"alg":"ES256","kid":"1","b64":false}`, claims("app", nil)), refused},
		{"alg twice", jws(key, `{"alg":"none","alg":"ES256","kid":"1"}`, claims("app", nil)), refused},
		{"the typ of an access token", jws(key, `{"alg":"ES256","typ":"at+jwt"}`, claims("app", nil)), refused},
		{"the typ of a request object", jws(key, `{"alg":"ES256","typ":"oauth-authz-req+jwt"}`, claims("app", nil)), refused},
		{"sub twice", jws(key, es256, strings.Replace(claims("app", nil), "{", `{"sub":"app",`, 1)), refused},
		{"no iss", with(map[string]any{"iss": nil}), refused},
		{"another iss", with(map[string]any{"iss": issuer}), refused},
		{"no sub", with(map[string]any{"sub": nil}), refused},
		{"the sub of another client", with(map[string]any{"sub": "es"}), refused},
		{"iss and sub of another client's key", jws(dice, `{"alg":"ES256"}`, claims("es", nil)), refused},
		{"no aud", with(map[string]any{"aud": nil}), refused},
		{"an empty aud", with(map[string]any{"aud": []string{}}), refused},
		{"another aud", with(map[string]any{"aud": "https://x.example"}), refused},
		{"an aud that only begins like it", with(map[string]any{"aud": issuer + ".evil.example"}), refused},
		{"an aud with a slash", with(map[string]any{"aud": issuer + "/"}), refused},
		{"an aud that is a number", with(map[string]any{"aud": 1}), refused},
		{"no exp", with(map[string]any{"exp": nil}), refused},
		{"an exp of zero", with(map[string]any{"exp": 0}), refused},
		{"an exp that is text", with(map[string]any{"exp": fmt.Sprint(now.Add(time.Minute).Unix())}), refused},
		{"an exp in the past", with(map[string]any{"exp": now.Add(-time.Minute).Unix()}), refused},
		{"an exp that is too far", with(map[string]any{"exp": now.Add(12 * time.Minute).Unix()}), refused},
		{"an exp in milliseconds", with(map[string]any{"exp": now.UnixMilli()}), refused},
		{"an iat minutes ahead", with(map[string]any{"iat": now.Add(2 * time.Minute).Unix()}), refused},
		{"an nbf minutes ahead", with(map[string]any{"nbf": now.Add(2 * time.Minute).Unix()}), refused},
		{"a jti that is a number", with(map[string]any{"jti": 1}), refused},
		{"an unknown client", jws(key, es256, claims("nobody", nil)), refused},
		{"a client without keys", jws(key, es256, claims("keyless", nil)), refused},
		{"a client that registered a secret", jws(key, es256, claims("hidden", nil)), refused},
		{"a disabled client", jws(key, es256, claims("disabled", nil)), refused},
		{"nothing", "", bad},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			if got := outcome(assertionAuthenticator(t), asserting(c.assertion)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestFormOfAssertions(t *testing.T) {
	good := jws(key, es256, claims("app", nil))
	for _, c := range []struct {
		sentence string
		form     url.Values
		want     string
	}{
		{"the client may be named too", url.Values{"client_id": {"app"}, "client_assertion": {good}, "client_assertion_type": {jwtType}}, "private_key_jwt"},
		{"but not another client", url.Values{"client_id": {"es"}, "client_assertion": {good}, "client_assertion_type": {jwtType}}, "401 invalid_client"},
		{"the type is required", url.Values{"client_assertion": {good}}, "400 invalid_request"},
		{"and no other type", url.Values{"client_assertion": {good}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}}, "401 invalid_client"},
		{"there may be only one", url.Values{"client_assertion": {good, good}, "client_assertion_type": {jwtType}}, "400 invalid_request"},
	} {
		if got := outcome(assertionAuthenticator(t), post("", c.form)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.sentence, got, c.want)
		}
	}
}

func TestAssertionsAreUsedOnce(t *testing.T) {
	resigned := func(changes map[string]any) func() string {
		return func() string { return jws(key, es256, claims("app", changes)) } // another signature each time
	}
	for sentence, assertion := range map[string]func() string{"with jti": resigned(map[string]any{"jti": "1"}), "without": resigned(nil)} {
		a := assertionAuthenticator(t)
		other := newAuthenticator(a.Store) // another host
		parts := strings.Split(assertion(), ".")
		for _, step := range []struct{ assertion, want string }{
			{parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), "401 invalid_client"}, // does not use up the jti
			{assertion(), "private_key_jwt"},
			{assertion(), "401 invalid_client"},
			{jws(key, es256, claims("es", map[string]any{"jti": "1"})), "private_key_jwt"}, // another client's
		} {
			if got := outcome(a, asserting(step.assertion)); got != step.want {
				t.Errorf("%s: got %s, want %s", sentence, got, step.want)
			}
		}
		if got := outcome(other, asserting(assertion())); got != "401 invalid_client" {
			t.Errorf("%s: another host: %s", sentence, got)
		}
	}
	a, once := assertionAuthenticator(t), jws(key, es256, claims("app", nil))
	var let atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := a.Authenticate(asserting(once)); err == nil {
				let.Add(1)
			}
		})
	}
	if all.Wait(); let.Load() != 1 {
		t.Errorf("at once: %d were accepted", let.Load())
	}
}

func TestSwitchesOfAssertions(t *testing.T) {
	typed := jws(key, `{"alg":"ES256","typ":"client-authentication+jwt"}`, claims("app", nil))
	listed := jws(key, es256, claims("app", map[string]any{"aud": []string{issuer}}))
	good := jws(key, es256, claims("app", nil))
	for _, c := range []struct {
		sentence  string
		change    func(*clientauth.Authenticator)
		assertion string
		want      string
	}{
		{"RequireType accepts a type", func(a *clientauth.Authenticator) { a.RequireType = true }, typed, "private_key_jwt"},
		{"and refuses none", func(a *clientauth.Authenticator) { a.RequireType = true }, good, "401 invalid_client"},
		{"and JWT", func(a *clientauth.Authenticator) { a.RequireType = true }, jws(key, `{"alg":"ES256","typ":"JWT"}`, claims("app", nil)), "401 invalid_client"},
		{"IssuerAudienceOnly accepts the issuer", func(a *clientauth.Authenticator) { a.IssuerAudienceOnly = true }, good, "private_key_jwt"},
		{"not in a list", func(a *clientauth.Authenticator) { a.IssuerAudienceOnly = true }, listed, "401 invalid_client"},
		{"nor an endpoint", func(a *clientauth.Authenticator) { a.IssuerAudienceOnly = true }, jws(key, es256, claims("app", map[string]any{"aud": endpoint})), "401 invalid_client"},
		{"other algorithms are refused", func(a *clientauth.Authenticator) { a.Algorithms = []string{"PS256"} }, good, "401 invalid_client"},
		{"MaxAge bounds exp", func(a *clientauth.Authenticator) { a.MaxAge, a.Skew = 30*time.Second, -1 }, good, "401 invalid_client"},
		{"without a Sealer no secret can be read", func(a *clientauth.Authenticator) { a.Sealer = nil }, hs256([]byte(shared), `{"alg":"HS256"}`, claims("shared", nil)), "401 invalid_client"},
		{"a Sealer that fails is an outage", func(a *clientauth.Authenticator) { a.Sealer, _ = dcr.NewAESSealer([]byte(strings.Repeat("x", 32))) }, hs256([]byte(shared), `{"alg":"HS256"}`, claims("shared", nil)), "503 temporarily_unavailable"},
		{"a ReplayStore that fails is an outage", func(a *clientauth.Authenticator) { a.Replay = broken{err: errDown} }, good, "503 temporarily_unavailable"},
		{"no audience is the host's fault", func(a *clientauth.Authenticator) { a.Audience = nil }, good, "503 temporarily_unavailable"},
		{"so is an empty one", func(a *clientauth.Authenticator) { a.Audience = []string{""} }, jws(key, es256, claims("app", map[string]any{"aud": ""})), "503 temporarily_unavailable"},
		{"so is a missing ReplayStore", func(a *clientauth.Authenticator) { a.Store = struct{ dcr.ClientConfigurationStore }{a.Store} }, good, "503 temporarily_unavailable"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			a := assertionAuthenticator(t)
			c.change(a)
			if got := outcome(a, asserting(c.assertion)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// The keys in the ReplayStore begin with "assertion:".
func TestMemoryOfAssertions(t *testing.T) {
	a := assertionAuthenticator(t)
	var seen []string
	a.Replay = memory(func(key string, until time.Time) { seen = append(seen, fmt.Sprint(key[:10], " ", until.Sub(now))) })
	if got := outcome(a, asserting(jws(key, es256, claims("app", nil)))); got != "private_key_jwt" || fmt.Sprint(seen) != "[assertion: 2m0s]" {
		t.Errorf("%s, %v", got, seen)
	}
}

type memory func(key string, until time.Time)

func (m memory) Remember(_ context.Context, key string, until, _ time.Time) (bool, error) {
	m(key, until)
	return true, nil
}

func TestVerifyAssertion(t *testing.T) {
	a := assertionAuthenticator(t)
	for id, want := range map[string]bool{"app": true, "pending": false, "disabled": false, "hidden": false} {
		client, err := a.Store.FindByClientID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.VerifyAssertion(t.Context(), client, jws(key, es256, claims(id, nil))); (err == nil) != want {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// No assertion that differs from a valid one in one character is accepted.
func TestForgedAssertions(t *testing.T) {
	a, good := assertionAuthenticator(t), jws(key, es256, claims("app", nil))
	for i := range len(good) {
		for _, c := range "A.=e" {
			forged := good[:i] + string(c) + good[i+1:]
			if forged == good {
				continue
			}
			if _, err := a.Authenticate(asserting(forged)); err == nil {
				t.Fatalf("accepted with %q at %d", c, i)
			}
		}
	}
	if got := outcome(a, asserting(good)); got != "private_key_jwt" {
		t.Errorf("the assertion itself: %s", got)
	}
}

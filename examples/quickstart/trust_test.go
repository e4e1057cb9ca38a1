package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr/examples/internal/presets"
)

// An issuer signs software statements and access tokens.
type issuer struct{ key *ecdsa.PrivateKey }

func newIssuer(t *testing.T) issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{key}
}

// jwks is the issuer's public key set.
func (i issuer) jwks(t *testing.T) string {
	point, err := i.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","use":"sig","kid":"1","x":%q,"y":%q}]}`, encode(point[1:33]), encode(point[33:]))
}

// sign returns a JWT.
func (i issuer) sign(t *testing.T, typ string, claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed := encode([]byte(`{"alg":"ES256","kid":"1","typ":"`+typ+`"}`)) + "." + encode(body)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + encode(signature)
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func TestInitialToken(t *testing.T) {
	p := start(t, "-db=memory:", "-initial-token=3")
	var registered, refused atomic.Int32
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			switch a, err := send(http.MethodPost, p.endpoint, p.initialToken, plain); {
			case err != nil:
				t.Error(err)
			case a.status == http.StatusCreated:
				registered.Add(1)
			case a.status == http.StatusUnauthorized:
				refused.Add(1)
			}
		})
	}
	all.Wait()
	if registered.Load() != 3 || refused.Load() != 9 {
		t.Errorf("of 12, %d were registered and %d refused", registered.Load(), refused.Load())
	}
	p.register(t, plain) // with the bearer token
}

func TestStatements(t *testing.T) {
	const name = "https://statements.example.com"
	trusted, other := newIssuer(t), newIssuer(t)
	p := start(t, "-db=memory:", "-require-statement", "-statement-issuer="+name+"="+write(t, trusted.jwks(t)))
	claims := map[string]any{"iss": name, "iat": time.Now().Unix(), "software_id": "1", "client_name": "Vouched for"}
	body := func(by issuer) string {
		return fmt.Sprintf(`{"client_name":"Mine","redirect_uris":["https://app.example.com/callback"],"software_statement":%q}`, by.sign(t, "JWT", claims))
	}
	if a := p.register(t, body(trusted)); a.text("client_name") != "Vouched for" {
		t.Errorf("client_name is %q", a.text("client_name"))
	}
	for _, body := range []string{plain, body(other)} {
		a, err := send(http.MethodPost, p.endpoint, p.token, body)
		if err != nil || a.status != http.StatusBadRequest || a.text("error") != "invalid_software_statement" {
			t.Errorf("%s: %v %v", body, a, err)
		}
	}
}

func TestBearer(t *testing.T) {
	signer := newIssuer(t)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/.well-known/oauth-authorization-server", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/jwks")
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, signer.jwks(t)) })

	p := start(t, "-db=memory:", "-bearer="+server.URL, "-audience=registration", "-scope=client:register")
	claims := map[string]any{
		"iss": server.URL, "aud": "registration", "sub": "pipeline", "client_id": "pipeline", "jti": "1",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "scope": "openid client:register",
	}
	p.token = signer.sign(t, "at+jwt", claims)
	p.register(t, plain)

	for status, change := range map[int]map[string]any{
		http.StatusForbidden:    {"scope": "openid"},
		http.StatusUnauthorized: {"aud": "elsewhere", "scope": "client:register"},
	} {
		for claim, value := range change {
			claims[claim] = value
		}
		a, err := send(http.MethodPost, p.endpoint, signer.sign(t, "at+jwt", claims), plain)
		if err != nil || a.status != status {
			t.Errorf("%v: %v %v, want %d", change, a, err, status)
		}
		claims["aud"], claims["scope"] = "registration", "client:register"
	}
}

func TestPresets(t *testing.T) {
	method := map[string]string{"mcp": "client_secret_basic", "matrix": "none", "oidc": "client_secret_basic", "fapi2": "private_key_jwt", "duende": "client_secret_basic"}
	for preset := range method {
		t.Run(preset, func(t *testing.T) {
			p := start(t, "-db=memory:", "-open", "-preset="+preset)
			a := p.register(t, `{
				"client_uri":"https://app.example.com","redirect_uris":["https://app.example.com/callback"],
				"grant_types":["authorization_code","refresh_token"],"jwks_uri":"https://app.example.com/jwks"
			}`)
			if a.text("token_endpoint_auth_method") != method[preset] {
				t.Errorf("token_endpoint_auth_method is %q, want %q", a.text("token_endpoint_auth_method"), method[preset])
			}
		})
	}
}

func TestPresetsOfADirectory(t *testing.T) {
	directory := newIssuer(t)
	trust := "-statement-issuer=directory=" + write(t, directory.jwks(t))
	for _, preset := range presets.All(nil) {
		if !preset.Directory {
			continue
		}
		t.Run(preset.Name, func(t *testing.T) {
			p := start(t, "-db=memory:", "-open", "-preset="+preset.Name, trust)
			a, err := send(http.MethodPost, p.endpoint, "", plain)
			if err != nil || a.status < 400 || a.status > 499 {
				t.Errorf("a client without a statement: %v %v", a, err)
			}
		})
	}
}

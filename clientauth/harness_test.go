package clientauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

const (
	issuer   = "https://id.example.com"
	endpoint = issuer + "/token"
	jwtType  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

var (
	now  = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	b64  = base64.RawURLEncoding.EncodeToString
	key  = newKey()
	dice = newKey()
)

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// jwk returns the public half of a key; members end with a comma.
func jwk(key *ecdsa.PrivateKey, members string) string {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{%s"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`, members, b64(point[1:33]), b64(point[33:]))
}

// jws signs header and payload, which are JSON texts.
func jws(key *ecdsa.PrivateKey, header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + b64(signature)
}

// hs256 authenticates header and payload with a secret.
func hs256(secret []byte, header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	mac := hmac.New(crypto.SHA256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}

// claims returns the claims of a valid assertion of the client, with changes;
// nil removes a claim.
func claims(clientID string, changes map[string]any) string {
	all := map[string]any{"iss": clientID, "sub": clientID, "aud": issuer, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix()}
	for name, value := range changes {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// newStore returns a store with the clients, whose ids say what they are.
func newStore(t testing.TB, clients ...*dcr.Client) *memstore.Store {
	store := memstore.New()
	for _, client := range clients {
		if err := store.Add(context.Background(), client); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func newClient(id, method string, change func(*dcr.Client)) *dcr.Client {
	client := dcr.NewClient()
	client.ID, client.TokenEndpointAuthMethod, client.CreatedAt = id, method, now.Add(-time.Hour)
	if change != nil {
		change(client)
	}
	return client
}

func withSecret(client *dcr.Client) { client.Secrets = []dcr.Secret{dcr.HashSecret("its secret")} }

func newAuthenticator(store dcr.ClientConfigurationStore) *clientauth.Authenticator {
	return &clientauth.Authenticator{Store: store, Audience: []string{issuer, endpoint}, Now: func() time.Time { return now }}
}

// post returns a request with a form; basic is "id:secret", as it is sent.
func post(basic string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic != "" {
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(basic)))
	}
	return r
}

// asserting returns a request with an assertion.
func asserting(assertion string) *http.Request {
	return post("", url.Values{"client_assertion_type": {jwtType}, "client_assertion": {assertion}})
}

// outcome returns the method with which a request was authenticated, or the
// status and code of the answer.
func outcome(a *clientauth.Authenticator, r *http.Request) string {
	authentication, err := a.Authenticate(r)
	if err == nil {
		return authentication.Method
	}
	w := httptest.NewRecorder()
	clientauth.WriteError(w, r, err)
	var answer struct{ Error string }
	json.Unmarshal(w.Body.Bytes(), &answer)
	if (w.Code == http.StatusUnauthorized) != (w.Header().Get("WWW-Authenticate") != "") || w.Header().Get("Cache-Control") != "no-store" {
		return fmt.Sprint("headers ", w.Header())
	}
	return fmt.Sprint(w.Code, " ", answer.Error)
}

var errDown = errors.New("the database is down")

// broken is a store that is out of order.
type broken struct {
	dcr.ClientConfigurationStore
	err error
}

func (b broken) FindByClientID(context.Context, string) (*dcr.Client, error) { return nil, b.err }

func (b broken) Remember(context.Context, string, time.Time, time.Time) (bool, error) {
	return false, b.err
}

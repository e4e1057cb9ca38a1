package spec_test

// What the tests of trust share: parties that sign, and their key sets.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

var b64 = base64.RawURLEncoding.EncodeToString

// object is a JSON object.
type object map[string]any

// with returns the object with other members: a name before each value, nil to
// take a member away.
func (o object) with(pairs ...any) object {
	all := maps.Clone(o)
	for i := 0; i < len(pairs); i += 2 {
		if all[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(all, pairs[i].(string))
		}
	}
	return all
}

func (o object) String() string {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// signer is a party with a key.
type signer struct {
	alg, kid string
	key      crypto.Signer
}

// signers has one party for each algorithm, made once.
var signers = sync.OnceValue(func() map[string]*signer {
	rsaKey, errRSA := rsa.GenerateKey(rand.Reader, 2048)
	ecKey, errEC := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, edKey, errEd := ed25519.GenerateKey(rand.Reader)
	if errRSA != nil || errEC != nil || errEd != nil {
		panic("no keys")
	}
	return map[string]*signer{
		"RS256": {"RS256", "rsa", rsaKey}, "PS256": {"PS256", "rsa", rsaKey},
		"ES256": {"ES256", "ec", ecKey}, "EdDSA": {"EdDSA", "ed", edKey},
	}
})

// newSigner makes a party with a key of its own.
func newSigner(kid string) *signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return &signer{alg: "ES256", kid: kid, key: key}
}

// jwk is the public key of the party.
func (s *signer) jwk() object {
	switch key := s.key.Public().(type) {
	case *rsa.PublicKey:
		return object{"kty": "RSA", "kid": s.kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		return object{"kty": "EC", "crv": "P-256", "kid": s.kid, "x": b64(point[1:33]), "y": b64(point[33:])}
	case ed25519.PublicKey:
		return object{"kty": "OKP", "crv": "Ed25519", "kid": s.kid, "x": b64(key)}
	}
	panic("no such key")
}

// jwks is the key set of parties.
func jwks(parties ...*signer) []byte {
	var keys []object
	for _, party := range parties {
		keys = append(keys, party.jwk())
	}
	return []byte(object{"keys": keys}.String())
}

// keys is where statement verifiers find the keys of the party.
func (s *signer) keys() dcr.KeySource { return dcr.StaticKeys(jwks(s)) }

// header is the JWS header that the party writes.
func (s *signer) header() object { return object{"alg": s.alg, "kid": s.kid, "typ": "JWT"} }

// sign signs claims.
func (s *signer) sign(claims object) string { return s.signText(s.header(), claims.String()) }

// signText signs any text under any header.
func (s *signer) signText(header object, payload string) string {
	signed := b64([]byte(header.String())) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	switch key := s.key.(type) {
	case *rsa.PrivateKey:
		if s.alg == "PS256" {
			signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		}
	case *ecdsa.PrivateKey:
		r, t, failed := ecdsa.Sign(rand.Reader, key, digest[:])
		signature, err = make([]byte, 64), failed
		r.FillBytes(signature[:32])
		t.FillBytes(signature[32:])
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(signed))
	}
	if err != nil {
		panic(err)
	}
	return signed + "." + b64(signature)
}

// withPublicKeyAsSecret signs claims with HS256, and the public key of the
// party, as the world can read it, for the secret.
func (s *signer) withPublicKeyAsSecret(claims object) string {
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	signed := b64([]byte(s.header().with("alg", "HS256").String())) + "." + b64([]byte(claims.String()))
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}

// ask sends one request to a handler.
func ask(handler http.Handler, method, path, token, body string) *httptest.ResponseRecorder {
	return askAs(handler, "application/json", method, path, token, body)
}

func askAs(handler http.Handler, contentType, method, path, token, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

// answered checks the status and the error code of an answer, "" for none, and
// returns its members.
func answered(t testing.TB, answer *httptest.ResponseRecorder, status int, code dcr.Code) object {
	t.Helper()
	var members object
	if answer.Body.Len() > 0 {
		if err := json.Unmarshal(answer.Body.Bytes(), &members); err != nil {
			t.Fatalf("not a JSON object: %s", answer.Body)
		}
	}
	if found, _ := members["error"].(string); answer.Code != status || found != string(code) {
		t.Errorf("got %d %s, want %d %s", answer.Code, answer.Body, status, code)
	}
	return members
}

// stored checks how many clients there are.
func stored(t testing.TB, store *memstore.Store, want int64) {
	t.Helper()
	if count, err := store.CountClients(t.Context(), dcr.Filter{}); err != nil || count != want {
		t.Errorf("%d clients are stored, want %d (%v)", count, want, err)
	}
}

// registered is a client that registered, as it manages itself.
type registered struct {
	members object
	handler http.Handler
}

func registerWith(t testing.TB, handler http.Handler, body object) *registered {
	t.Helper()
	return &registered{answered(t, ask(handler, "POST", registerURL, "", body.String()), 201, ""), handler}
}

func (r *registered) update(t testing.TB, body object, status int, code dcr.Code) object {
	t.Helper()
	body = body.with("client_id", r.members["client_id"])
	path := registerURL + "?client_id=" + r.members["client_id"].(string)
	return answered(t, ask(r.handler, "PUT", path, r.members["registration_access_token"].(string), body.String()), status, code)
}

// rush registers many times at once and counts the answers by status.
func rush(handler http.Handler, times int, token, body string) map[int]int {
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := make(map[int]int)
	for range times {
		all.Go(func() {
			status := ask(handler, "POST", registerURL, token, body).Code
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	all.Wait()
	return statuses
}

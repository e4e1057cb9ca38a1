package dcr_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// benchBody is a typical registration of a web application.
const benchBody = `{"client_name":"My Dynamic App","redirect_uris":["https://app.example.com/callback"],"grant_types":["authorization_code"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_basic"}`

// benchValidator is the policy of an OpenID Connect server.
var benchValidator = dcr.DefaultValidator{
	Supports: dcr.Capabilities{
		GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
		TokenEndpointAuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		Scopes:                   []string{"openid", "profile", "email", "offline_access"},
		IDTokenSigningAlgs:       []string{"RS256"},
	},
	DefaultScopes: []string{"openid", "profile"},
}

// benchRegistration is what a client keeps of its registration.
type benchRegistration struct {
	URI    string         `json:"registration_client_uri"`
	Token  string         `json:"registration_access_token"`
	Update map[string]any `json:"-"` // the whole answer, ready to be sent back
}

// newBenchHandler returns a handler that accepts any number of registrations.
func newBenchHandler(b *testing.B) *dcr.Handler {
	store := memstore.New()
	store.Limit = 1 << 40
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		Validator:      benchValidator,
		AllowAnonymous: true,
		Logger:         slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		b.Fatal(err)
	}
	return handler
}

// serve sends one request and checks the status.
func serve(b *testing.B, handler http.Handler, method, target, token, body string, status int) []byte {
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	if recorder.Code != status {
		b.Fatalf("%s answered %d, want %d: %s", method, recorder.Code, status, recorder.Body)
	}
	return recorder.Body.Bytes()
}

// register makes a client to read and update.
func register(b *testing.B, handler http.Handler) (registered benchRegistration) {
	answer := serve(b, handler, http.MethodPost, "/connect/dcr", "", benchBody, http.StatusCreated)
	if err := json.Unmarshal(answer, &registered); err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(answer, &registered.Update); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"} {
		delete(registered.Update, name) // RFC 7592 §2.2 forbids sending them
	}
	return registered
}

func BenchmarkRegister(b *testing.B) {
	handler := newBenchHandler(b)
	b.ReportAllocs()
	for b.Loop() {
		serve(b, handler, http.MethodPost, "/connect/dcr", "", benchBody, http.StatusCreated)
	}
}

func BenchmarkRead(b *testing.B) {
	handler := newBenchHandler(b)
	registered := register(b, handler)
	b.ReportAllocs()
	for b.Loop() {
		serve(b, handler, http.MethodGet, registered.URI, registered.Token, "", http.StatusOK)
	}
}

func BenchmarkUpdate(b *testing.B) {
	handler := newBenchHandler(b)
	registered := register(b, handler)
	body, err := json.Marshal(registered.Update)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		serve(b, handler, http.MethodPut, registered.URI, registered.Token, string(body), http.StatusOK)
	}
}

// BenchmarkHarness measures what the benchmarks above spend outside the
// handler.
func BenchmarkHarness(b *testing.B) {
	empty := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusCreated) })
	b.ReportAllocs()
	for b.Loop() {
		serve(b, empty, http.MethodPost, "/connect/dcr", "", benchBody, http.StatusCreated)
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(benchBody)
	b.ReportAllocs()
	for b.Loop() {
		var request dcr.Request
		if err := request.UnmarshalJSON(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	var request dcr.Request
	if err := request.UnmarshalJSON([]byte(benchBody)); err != nil {
		b.Fatal(err)
	}
	var validator dcr.Validator = benchValidator
	b.ReportAllocs()
	for b.Loop() {
		if err := dcr.Validate(context.Background(), validator, &dcr.Registration{Request: &request}); err != nil {
			b.Fatal(err)
		}
	}
}

// benchClient returns a client as a registration leaves it.
func benchClient(b *testing.B) *dcr.Client {
	var request dcr.Request
	if err := request.UnmarshalJSON([]byte(benchBody)); err != nil {
		b.Fatal(err)
	}
	reg := &dcr.Registration{Request: &request}
	if err := dcr.Validate(context.Background(), benchValidator, reg); err != nil {
		b.Fatal(err)
	}
	client := reg.Client
	client.ID, client.Source = "0199d3a2-5b1c-7e55-8c55-5c3b7f1d9a10", dcr.SourceDynamic
	client.CreatedAt, client.UpdatedAt = reg.Now(), reg.Now()
	client.Secrets = []dcr.Secret{dcr.HashSecret("a secret")}
	client.RegistrationTokens = []dcr.Secret{dcr.HashSecret("a token")}
	return client
}

func BenchmarkEncodeClient(b *testing.B) {
	client := benchClient(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeClient(b *testing.B) {
	document, err := benchClient(b).MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		var client dcr.Client
		if err := client.UnmarshalJSON(document); err != nil {
			b.Fatal(err)
		}
	}
}

// benchDirectory is the issuer of the statements.
const benchDirectory = "https://directory.example"

// statementClaims is the type to which a program that verifies statements
// itself would decode their claims.
type statementClaims struct {
	Issuer       string   `json:"iss"`
	ID           string   `json:"jti"`
	Expiry       int64    `json:"exp"`
	IssuedAt     int64    `json:"iat"`
	SoftwareID   string   `json:"software_id"`
	ClientName   string   `json:"client_name"`
	ClientURI    string   `json:"client_uri"`
	LogoURI      string   `json:"logo_uri"`
	PolicyURI    string   `json:"policy_uri"`
	TOSURI       string   `json:"tos_uri"`
	JWKSURI      string   `json:"jwks_uri"`
	Scope        string   `json:"scope"`
	RedirectURIs []string `json:"redirect_uris"`
	Contacts     []string `json:"contacts"`
}

// BenchmarkStatement measures, in turns, StatementVerifier.Verify and the plain
// cryptography with one JSON decode of the claims, so that a busy machine slows
// both. The metric that counts is xplain, the first time divided by the second.
func BenchmarkStatement(b *testing.B) {
	now := time.Now()
	claims := map[string]any{
		"iss": benchDirectory, "iat": now.Unix() - 10, "exp": now.Unix() + 300, "jti": "statement-1",
		"software_id": "payments", "client_name": "Vouched For", "org_id": "org-7",
		"client_uri": "https://vouched.example", "logo_uri": "https://vouched.example/logo.png",
		"policy_uri": "https://vouched.example/policy", "tos_uri": "https://vouched.example/terms",
		"jwks_uri": "https://keystore.example/vouched.jwks", "scope": "openid accounts payments",
		"contacts":      []string{"security@vouched.example"},
		"redirect_uris": []string{"https://vouched.example/cb", "https://vouched.example/app/cb"},
	}
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			key, statement, jwks := signed(b, alg, claims)
			keys := dcr.StaticKeys(jwks)
			verifier := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{benchDirectory: keys}, MaxAge: time.Hour}
			plain := plainVerification(alg, key, statement)
			var ours, theirs time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				valid := plain()
				between := time.Now()
				_, err := verifier.Verify(b.Context(), statement, now)
				ours += time.Since(between)
				theirs += between.Sub(start)
				if !valid || err != nil {
					b.Fatal(valid, err)
				}
			}
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ours-ns")
			b.ReportMetric(float64(theirs.Nanoseconds())/float64(b.N), "plain-ns")
			b.ReportMetric(float64(ours)/float64(theirs), "xplain")
		})
	}
}

// signed makes a key, a statement signed with it and the set with its public
// key.
func signed(b *testing.B, alg string, claims map[string]any) (key crypto.PublicKey, statement string, jwks []byte) {
	b.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	text := func(value any) []byte {
		data, err := json.Marshal(value)
		if err != nil {
			b.Fatal(err)
		}
		return data
	}
	input := encode(text(map[string]string{"alg": alg, "kid": "1", "typ": "JWT"})) + "." + encode(text(claims))
	digest := sha256.Sum256([]byte(input))
	jwk := map[string]string{"kid": "1"}
	var signature []byte
	var err error
	switch alg {
	case "RS256", "PS256":
		party, failed := rsa.GenerateKey(rand.Reader, 2048)
		if failed != nil {
			b.Fatal(failed)
		}
		var opts crypto.SignerOpts = crypto.SHA256
		if alg == "PS256" {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
		}
		signature, err = party.Sign(rand.Reader, digest[:], opts)
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", encode(party.N.Bytes()), "AQAB"
		key = &party.PublicKey
	case "ES256":
		party, failed := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if failed != nil {
			b.Fatal(failed)
		}
		r, s, failed := ecdsa.Sign(rand.Reader, party, digest[:])
		point, wrong := party.PublicKey.Bytes()
		signature, err = make([]byte, 64), errors.Join(failed, wrong)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
		key = &party.PublicKey
	case "EdDSA":
		public, private, failed := ed25519.GenerateKey(rand.Reader)
		signature, err = ed25519.Sign(private, []byte(input)), failed
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", encode(public)
		key = public
	}
	if err != nil {
		b.Fatal(err)
	}
	return key, input + "." + encode(signature), text(map[string]any{"keys": []any{jwk}})
}

// plainVerification checks the signature with the standard library and decodes
// the claims once, without choosing a key or checking claims.
func plainVerification(alg string, key crypto.PublicKey, statement string) func() bool {
	parts := strings.Split(statement, ".")
	signed := []byte(parts[0] + "." + parts[1])
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	check := func() bool { return false }
	switch key := key.(type) {
	case *rsa.PublicKey:
		check = func() bool {
			digest := sha256.Sum256(signed)
			if alg == "PS256" {
				return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, nil) == nil
			}
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		check = func() bool {
			digest := sha256.Sum256(signed)
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			return ecdsa.Verify(key, digest[:], r, s)
		}
	case ed25519.PublicKey:
		check = func() bool { return ed25519.Verify(key, signed, signature) }
	}
	return func() bool {
		if !check() {
			return false
		}
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		var claims statementClaims
		return json.Unmarshal(payload, &claims) == nil && claims.Issuer == benchDirectory
	}
}

// BenchmarkMembers registers clients with more and more language-tagged names or
// declared extension members: the cost of one must not grow with their number.
func BenchmarkMembers(b *testing.B) {
	for _, count := range []int{20, 40, 80} {
		var validator dcr.DefaultValidator
		tagged, extended := strings.Builder{}, strings.Builder{}
		for i := range count {
			fmt.Fprintf(&tagged, `,"client_name#de-x-%d":"Anwendung"`, i)
			fmt.Fprintf(&extended, `,"extension_%d":"value"`, i)
			validator.Extensions = append(validator.Extensions, dcr.NewField[string](fmt.Sprint("extension_", i)))
		}
		for name, members := range map[string]string{"tagged": tagged.String(), "extended": extended.String()} {
			body := []byte(strings.TrimSuffix(benchBody, "}") + members + "}")
			b.Run(fmt.Sprint(name, "/", count), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					request, err := dcr.ParseRequest(body, dcr.Limits{})
					if err == nil {
						err = dcr.Validate(b.Context(), validator, &dcr.Registration{Request: request})
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/member")
			})
		}
	}
}

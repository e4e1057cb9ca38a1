package dcr_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// benchBody is a usual registration of a web application.
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
	Update map[string]any `json:"-"` // the whole answer, fit to be sent back
}

// newBenchHandler returns a handler that takes any number of registrations.
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

// serve sends one request and wants the status.
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
		delete(registered.Update, name) // RFC 7592 §2.2 forbids to send them
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

// BenchmarkHarness is what the benchmarks above spend outside the handler.
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

// benchClient is a client as a registration leaves it.
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

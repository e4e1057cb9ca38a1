package dcr_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// A client can be registered with an access token of the server, with an
// initial access token, or through a gateway: three authenticators, which guard
// only POST.
func ExampleAnyOf() {
	store := memstore.New()
	handler, err := dcr.NewHandler(store, &dcr.Options{Endpoint: "https://id.example.com/connect/dcr"})
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier := &callerauth.AccessTokenVerifier{
		Issuer:   "https://id.example.com",
		Audience: "https://id.example.com/connect/dcr",
		Scopes:   []string{"client:register"},
	}
	tokens := &callerauth.InitialAccessTokens{Store: store}
	gateway := func(r *http.Request) (*dcr.Caller, error) {
		if user := r.Header.Get("X-Authenticated-User"); user != "" {
			return &dcr.Caller{Subject: user}, nil
		}
		return nil, nil
	}
	mux := http.NewServeMux()
	guard := dcr.Require(dcr.AnyOf(verifier.Authenticate, tokens.Authenticate, gateway))
	mux.Handle("POST /connect/dcr", guard(handler))
	mux.Handle("/connect/dcr", handler)

	register := func(header, value string) {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["https://app.example.com/callback"]}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(header, value)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	register("X-Authenticated-User", "alice")
	register("Authorization", "Bearer of-nobody")
	register("X-Nothing", "")
	// Output:
	// 201 ""
	// 401 "Bearer realm=\"client registration\", error=\"invalid_token\""
	// 401 "Bearer realm=\"client registration\""
}

// A token for two registrations, with its own policy and a note that stays with
// the clients.
func Example_initialAccessToken() {
	store := memstore.New()
	tokens := &callerauth.InitialAccessTokens{Store: store}
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr",
		Caller:   tokens.Authenticate,
		Policies: map[string]dcr.Validator{
			"pipelines": dcr.DefaultValidator{Supports: dcr.Capabilities{GrantTypes: []string{"client_credentials"}}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, kept, err := tokens.Issue(context.Background(), dcr.InitialAccessToken{
		Policy: "pipelines", Subject: "build team", Notes: "ticket 4711", MaxUses: 2,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("in logs it reads", token)

	register := func() int {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"client_name":"Nightly"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	fmt.Println(register(), register(), register())
	for client := range store.ListClients(context.Background(), dcr.Filter{}, "") {
		fmt.Println(client.Policy, client.RegisteredBy, client.Notes)
	}
	fmt.Println(tokens.Revoke(context.Background(), kept.Hash))
	// Output:
	// in logs it reads [redacted]
	// 201 201 401
	// pipelines build team ticket 4711
	// pipelines build team ticket 4711
	// <nil>
}

// quota is how many more clients a team may register.
type quota struct {
	mu   sync.Mutex
	left int
}

func (q *quota) Take(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left == 0 {
		return dcr.Errorf(dcr.AccessDenied, "the quota of this team is used up")
	}
	q.left--
	return nil
}

func (q *quota) GiveBack(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left++
	return nil
}

// An Authenticator says what a registration costs: with Charge, so that it is
// taken even if the host replaces the Caller, and with Caller.Allowance. It is
// taken once, right before the client is stored.
func ExampleCharge() {
	team := &quota{left: 1}
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr",
		Caller: func(r *http.Request) (*dcr.Caller, error) {
			dcr.Charge(r.Context(), team)
			return &dcr.Caller{Subject: "a team", Allowance: team}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, body := range []string{`{}`, `{"redirect_uris":["https://app.example.com/callback"]}`, `{"redirect_uris":["https://app.example.com/callback"]}`} {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, "left:", team.left)
	}
	// Output:
	// 400 left: 1
	// 201 left: 0
	// 403 left: 0
}

// A Decoder says what a body is, who signed it and what it uses up. This one
// accepts one line of YAML from a gateway that has verified its signature.
func ExampleDecodedBody() {
	fromGateway := func(ctx context.Context, r *http.Request, body []byte) (dcr.DecodedBody, error) {
		redirect, found := strings.CutPrefix(strings.TrimSpace(string(body)), "redirect_uris: ")
		if !found {
			return dcr.DecodedBody{}, dcr.Errorf(dcr.InvalidClientMetadata, "the body must be a line of redirect_uris")
		}
		text, err := json.Marshal(map[string]any{"redirect_uris": []string{redirect}})
		return dcr.DecodedBody{JSON: text, Signer: r.Header.Get("X-Verified-Signer")}, err
	}
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", AllowAnonymous: true, MaxClients: 1000,
		Decoders: map[string]dcr.Decoder{"application/yaml": fromGateway},
		ModifyResponse: func(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
			fmt.Println("signed by", reg.Request.Signer)
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, contentType := range []string{"application/yaml", "application/json"} {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader("redirect_uris: https://app.example.com/callback"))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("X-Verified-Signer", "third-party-1")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// signed by third-party-1
	// 201
	// 415
}

package dcr_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// Whoever bears an access token of the server, an initial access token or the
// word of a gateway registers clients: three authenticators, in front of POST
// alone.
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

// A token for two registrations, under a policy of its own, with a note that
// stays with the clients.
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

package callerauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// A pipeline has its own secret, from its vault.
func ExampleStaticToken() {
	guard := dcr.Require(callerauth.StaticToken("32-letters-from-the-vault-or-so!", dcr.Caller{Subject: "pipeline"}))
	handler := guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("let in:", dcr.CallerFromContext(r.Context()).Subject)
	}))
	for _, token := range []string{"32-letters-from-the-vault-or-so!", "a guess"} {
		r := httptest.NewRequest("POST", "/connect/dcr", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// let in: pipeline
	// 200
	// 401
}

// Only the server that issued an opaque token can check it.
func ExampleIntrospectionVerifier() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // the authorization server
		fmt.Fprintf(w, `{"active":%t,"client_id":"pipeline","scope":"client:register"}`, r.FormValue("token") == "2YotnFZFEjr1zCsicMWpAA")
	}))
	defer server.Close()
	verifier := &callerauth.IntrospectionVerifier{
		Endpoint:     server.URL,
		ClientID:     "registration",
		ClientSecret: "what it was given",
		Scopes:       []string{"client:register"},
	}
	for _, token := range []string{"2YotnFZFEjr1zCsicMWpAA", "a guess"} {
		r := httptest.NewRequest("POST", "/connect/dcr", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		caller, err := verifier.Authenticate(r)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("let in:", caller.Subject)
	}
	// Output:
	// let in: pipeline
	// invalid_token: the access token is not valid for this request
}

// Access tokens of a server such as Keycloak, for this endpoint and with a scope.
// The keys are found through the issuer's discovery document.
func ExampleAccessTokenVerifier() {
	verifier := &callerauth.AccessTokenVerifier{
		Issuer:   "https://login.example.com/realms/staff",
		Audience: "https://id.example.com/connect/dcr",
		Scopes:   []string{"client:register"},
	}
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr",
		Caller:   verifier.Authenticate,
	})
	fmt.Println(handler != nil, err)
	// Output: true <nil>
}

// A token for one registration, which an operator gives to someone. Only its hash
// is kept.
func ExampleInitialAccessTokens() {
	store := memstore.New()
	tokens := &callerauth.InitialAccessTokens{Store: store}
	token, kept, err := tokens.Issue(context.Background(), dcr.InitialAccessToken{
		Subject: "Partner Ltd", MaxUses: 1, ExpiresAt: time.Now().Add(24 * time.Hour),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler, err := dcr.NewHandler(store, &dcr.Options{Endpoint: "https://id.example.com/connect/dcr", Caller: tokens.Authenticate})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["https://app.example.com/callback"]}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	fmt.Println(tokens.Revoke(context.Background(), kept.Hash))
	// Output:
	// 201
	// 401
	// <nil>
}

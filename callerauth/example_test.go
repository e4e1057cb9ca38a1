package callerauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
)

// A pipeline has one secret of its own, from its vault.
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

// Opaque tokens are for their server to judge.
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
	// invalid_token: the access token is not valid for this
}

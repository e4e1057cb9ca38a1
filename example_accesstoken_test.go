package dcr_test

import (
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

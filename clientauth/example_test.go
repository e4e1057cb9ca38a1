package clientauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

// A token endpoint first finds out which client asks.
func ExampleAuthenticator() {
	store := memstore.New()
	client := dcr.NewClient()
	client.ID, client.ClientName, client.TokenEndpointAuthMethod = "app-1", "My App", "client_secret_basic"
	client.Secrets = []dcr.Secret{dcr.HashSecret("its-secret")}
	if err := store.Add(context.Background(), client); err != nil {
		fmt.Println(err)
		return
	}
	clients := &clientauth.Authenticator{Store: store, Audience: []string{"https://id.example.com"}}
	token := func(w http.ResponseWriter, r *http.Request) {
		sender, err := clients.Authenticate(r)
		if err != nil {
			clientauth.WriteError(w, r, err)
			return
		}
		fmt.Fprintln(w, "a token for", sender.Client.ClientName, "by", sender.Method)
	}
	for _, secret := range []string{"its-secret", "a-guess"} {
		r := httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth("app-1", secret)
		w := httptest.NewRecorder()
		token(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 a token for My App by client_secret_basic
	// 401 {"error":"invalid_client","error_description":"client authentication failed"}
}

// At the other endpoints, middleware does that.
func ExampleAuthenticator_Require() {
	store := memstore.New()
	client := dcr.NewClient()
	client.ID, client.TokenEndpointAuthMethod = "app-1", "none"
	if err := store.Add(context.Background(), client); err != nil {
		fmt.Println(err)
		return
	}
	clients := &clientauth.Authenticator{Store: store}
	revocation := clients.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("revoke", r.PostFormValue("token"), "of", clientauth.FromContext(r.Context()).Client.ID)
	}))
	for _, clientID := range []string{"app-1", "app-2"} {
		r := httptest.NewRequest("POST", "/revoke", strings.NewReader(url.Values{"client_id": {clientID}, "token": {"t"}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		revocation.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// revoke t of app-1
	// 200 ""
	// 401 "Basic realm=\"token endpoint\""
}

// A host's own middleware can pass on the client with NewContext.
func ExampleNewContext() {
	store := memstore.New()
	client := dcr.NewClient()
	client.ID, client.TokenEndpointAuthMethod = "app-1", "none"
	if err := store.Add(context.Background(), client); err != nil {
		fmt.Println(err)
		return
	}
	clients := &clientauth.Authenticator{Store: store}
	refresh := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("refresh a token of", clientauth.FromContext(r.Context()).Client.ID)
	})
	r := httptest.NewRequest("POST", "/token", strings.NewReader("client_id=app-1&grant_type=refresh_token&refresh_token=t"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	sender, err := clients.AuthenticateRefresh(r, "none") // with the method that began the grant of the token
	if err != nil {
		clientauth.WriteError(w, r, err)
		return
	}
	refresh.ServeHTTP(w, r.WithContext(clientauth.NewContext(r.Context(), sender)))
	// Output: refresh a token of app-1
}

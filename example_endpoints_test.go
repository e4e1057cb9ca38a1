package dcr_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// tokenEndpoint begins as every endpoint does that authenticates clients.
func tokenEndpoint(store dcr.ClientConfigurationStore) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		clientID, secret, _ := r.BasicAuth()
		client, err := store.FindByClientID(r.Context(), clientID)
		if err != nil || !client.VerifySecret(secret, time.Now()) {
			dcr.WriteInvalidClient(w, r, err) // 401 invalid_client, or 503 when the store is out of order
			return
		}
		fmt.Fprintln(w, "a token for", client.ClientName)
	}
}

// authorizeEndpoint shows an error page of its own, and redirects nobody, when
// it does not know the client or the redirect URI.
func authorizeEndpoint(store dcr.ClientConfigurationStore) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		client, err := store.FindByClientID(r.Context(), r.FormValue("client_id"))
		if err != nil || !client.MatchRedirectURI(r.FormValue("redirect_uri")) {
			http.Error(w, "This application is not registered here.", http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, "may", client.ClientName, "act for you?")
	}
}

// A server's own endpoints ask the store for the client, and the client itself
// whether a secret or a redirect URI is its own.
func ExampleClient() {
	store := memstore.New()
	client := dcr.NewClient()
	client.ID, client.ClientName = "app-1", "My App"
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	client.Secrets = []dcr.Secret{dcr.HashSecret("its-secret")}
	if err := store.Add(context.Background(), client); err != nil {
		fmt.Println(err)
		return
	}
	for _, secret := range []string{"its-secret", "a-guess"} {
		r := httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth("app-1", secret)
		w := httptest.NewRecorder()
		tokenEndpoint(store)(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	fmt.Println()
	for _, uri := range []string{"https://app.example.com/callback", "https://app.example.com.evil.example/callback"} {
		w := httptest.NewRecorder()
		authorizeEndpoint(store)(w, httptest.NewRequest("GET", "/authorize?client_id=app-1&redirect_uri="+uri, nil))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 a token for My App
	// 401 {"error":"invalid_client","error_description":"client authentication failed"}
	// 200 may My App act for you?
	// 400 This application is not registered here.
}

package dcr_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// The host's guard stands before POST alone. Reading, updating and deleting a
// client is authorised by the registration access token that the client got,
// which the guard never sees.
func ExampleHandler() {
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:  "https://id.example.com/connect/dcr",
		ClientURI: "https://id.example.com/connect/dcr/{client_id}",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	requireScope := func(next http.Handler) http.Handler { // your own authorization
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer with-the-scope" {
				http.Error(w, "the scope client.create is needed", http.StatusForbidden)
				return
			}
			caller := &dcr.Caller{Subject: "pipeline", Scopes: []string{"client.create"}}
			next.ServeHTTP(w, r.WithContext(dcr.ContextWithCaller(r.Context(), caller)))
		})
	}
	mux := http.NewServeMux()
	mux.Handle("POST /connect/dcr", requireScope(handler))
	mux.Handle("/connect/dcr", handler)
	mux.Handle("/connect/dcr/{client_id}", handler)

	send := func(method, url, token, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, url, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	const endpoint, metadata = "https://id.example.com/connect/dcr", `{"redirect_uris":["https://app.example.com/callback"]}`
	fmt.Println("a stranger registers:", send("POST", endpoint, "", metadata).Code)

	registered := send("POST", endpoint, "with-the-scope", metadata)
	fmt.Println("whom the guard lets registers:", registered.Code)

	var client struct {
		URI   string `json:"registration_client_uri"`
		Token string `json:"registration_access_token"`
	}
	if err := json.Unmarshal(registered.Body.Bytes(), &client); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the client reads itself:", send("GET", client.URI, client.Token, "").Code)
	fmt.Println("nobody else does:", send("GET", client.URI, "with-the-scope", "").Code)
	fmt.Println("the client deletes itself:", send("DELETE", client.URI, client.Token, "").Code)
	fmt.Println("and is gone:", send("GET", client.URI, client.Token, "").Code)
	// Output:
	// a stranger registers: 403
	// whom the guard lets registers: 201
	// the client reads itself: 200
	// nobody else does: 401
	// the client deletes itself: 204
	// and is gone: 401
}

package dcr_test

import (
	"crypto/rand"
	"fmt"
	"log"
	"net/http"

	"github.com/dynreg/dcr"
)

func Example() {
	const endpoint = "http://127.0.0.1:8080/connect/dcr"
	handler, err := dcr.NewHandler(dcr.NewMemoryStore(), &dcr.Options{Endpoint: endpoint})
	if err != nil {
		log.Fatal(err)
	}
	token := rand.Text()
	mux := http.NewServeMux()
	mux.Handle("POST /connect/dcr", requireToken(token, handler)) // registering: whom you let
	mux.Handle("/connect/dcr", handler)                           // managing: the client's own token

	fmt.Printf("curl %s -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '%s'\n",
		endpoint, token, `{"redirect_uris":["https://app.example.com/callback"]}`)
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", mux))
}

// requireToken stands for your own authorization: it says who is calling.
func requireToken(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+token {
			r = r.WithContext(dcr.ContextWithCaller(r.Context(), &dcr.Caller{Subject: "admin"}))
		}
		next.ServeHTTP(w, r) // without a Caller: 401
	})
}

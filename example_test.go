package dcr_test

import (
	"crypto/rand"
	"fmt"
	"log"
	"net/http"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func Example() {
	const endpoint = "http://127.0.0.1:8080/connect/dcr"
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: endpoint})
	if err != nil {
		log.Fatal(err)
	}
	token := rand.Text()
	guard := dcr.Require(func(r *http.Request) (*dcr.Caller, error) { // your own authorization
		if r.Header.Get("Authorization") != "Bearer "+token {
			return nil, nil // nobody: 401
		}
		return &dcr.Caller{Subject: "admin"}, nil
	})
	mux := http.NewServeMux()
	mux.Handle("POST /connect/dcr", guard(handler)) // registering: whom you let
	mux.Handle("/connect/dcr", handler)             // managing: the client's own token

	fmt.Printf("curl %s -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '%s'\n",
		endpoint, token, `{"redirect_uris":["https://app.example.com/callback"]}`)
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", mux))
}

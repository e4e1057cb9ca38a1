package dcr_test

import (
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

func Example() {
	const endpoint = "http://127.0.0.1:8080/connect/dcr"
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: endpoint})
	if err != nil {
		log.Fatal(err)
	}
	token := rand.Text()
	guard := dcr.Require(callerauth.StaticToken(dcr.Plaintext(token), dcr.Caller{Subject: "admin"})) // or your own authorization
	mux := http.NewServeMux()
	mux.Handle("POST /connect/dcr", guard(handler)) // registering: only callers your guard admits
	mux.Handle("/connect/dcr", handler)             // managing: the client's own token

	fmt.Printf("curl %s -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '%s'\n",
		endpoint, token, `{"redirect_uris":["https://app.example.com/callback"]}`)
	server := &http.Server{
		Addr: "127.0.0.1:8080", Handler: mux,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
	}
	log.Fatal(server.ListenAndServe())
}

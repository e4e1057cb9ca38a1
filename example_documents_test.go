package dcr_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

// Clients that publish their metadata are found by one more store: each endpoint
// gets the view that is for it, and discovery follows.
func Example_documents() {
	const issuer = "https://id.example.com"
	clients := memstore.New() // or any other
	policy := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"mcp:tools"}, AuthorizationResponseIss: true}}
	store, err := cimd.New(clients, &cimd.Options{Issuer: issuer, Validator: policy, Admit: cimd.Hosts("claude.ai", "*.vscode.dev")})
	if err != nil {
		log.Fatal(err)
	}
	handler, err := dcr.NewHandler(clients, &dcr.Options{Endpoint: issuer + "/connect/dcr", Validator: policy, Documents: store.Advertised})
	if err != nil {
		log.Fatal(err)
	}
	authorize := func(w http.ResponseWriter, r *http.Request) {
		client, err := store.FindByClientID(r.Context(), r.FormValue("client_id")) // may fetch
		if err != nil {
			http.Error(w, "this client is not let in", http.StatusBadRequest) // a page of your own, never a redirect
			return
		}
		fmt.Fprint(w, client.ClientName)
	}
	token := &clientauth.Authenticator{Store: store.Known(), Audience: []string{issuer}} // never fetches

	mux := http.NewServeMux()
	mux.Handle("/connect/dcr", handler)
	mux.HandleFunc("/connect/authorize", authorize)
	mux.Handle("/connect/token", token.Require(http.NotFoundHandler()))

	_, err = store.FindByClientID(context.Background(), "https://elsewhere.example/client")
	fmt.Println(err)
	// Output: invalid_client: this server takes no clients from the host of this client_id
}

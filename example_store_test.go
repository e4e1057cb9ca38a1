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

// auditedStore wraps another store and reports every client that is added or
// deleted. As keeps the optional capabilities of the store inside; those that add
// or delete clients must be wrapped too.
type auditedStore struct {
	dcr.ClientConfigurationStore
	tell func(change, clientID string)
}

func (s auditedStore) Add(ctx context.Context, client *dcr.Client) error {
	err := s.ClientConfigurationStore.Add(ctx, client)
	if err == nil {
		s.tell("added", client.ID)
	}
	return err
}

func (s auditedStore) Delete(ctx context.Context, clientID string) error {
	err := s.ClientConfigurationStore.Delete(ctx, clientID)
	if err == nil {
		s.tell("deleted", clientID)
	}
	return err
}

func (s auditedStore) As(target any) bool {
	if target, ok := target.(*dcr.RevisionDeleter); ok {
		inside, ok := dcr.StoreAs[dcr.RevisionDeleter](s.ClientConfigurationStore)
		*target = auditedDeleter{s, inside}
		return ok
	}
	return dcr.StoreInto(s.ClientConfigurationStore, target)
}

type auditedDeleter struct {
	store  auditedStore
	inside dcr.RevisionDeleter
}

func (d auditedDeleter) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	err := d.inside.DeleteRevision(ctx, clientID, revision)
	if err == nil {
		d.store.tell("deleted", clientID)
	}
	return err
}

// A store is four methods; dcrtest.TestStore checks them. examples/customstore
// is one that is written from scratch.
func ExampleClientConfigurationStore() {
	store := auditedStore{memstore.New(), func(change, clientID string) { fmt.Println(clientID, "was", change) }}
	ctx := context.Background()
	client := dcr.NewClient()
	client.ID = "app-1"
	fmt.Println(store.Add(ctx, client))
	fmt.Println(store.Add(ctx, client))

	counter, _ := dcr.StoreAs[dcr.ClientCounter](store)
	fmt.Println(counter.CountClients(ctx, dcr.Filter{}))

	fmt.Println(store.Delete(ctx, "app-1"))
	_, err := store.FindByClientID(ctx, "app-1")
	fmt.Println(err)
	// Output:
	// app-1 was added
	// <nil>
	// dcr: client id is taken
	// 1 <nil>
	// app-1 was deleted
	// <nil>
	// dcr: client not found
}

// Another store finds clients that publish their metadata: each endpoint gets
// its own view of it, and discovery follows.
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
			http.Error(w, "this client is not allowed here", http.StatusBadRequest) // show your own page, never redirect
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
	// Output: invalid_client: this server does not accept clients from the host of this client_id
}

package cimd_test

import (
	"context"
	"fmt"
	"log"
	"net/url"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// A server that has a store needs one more line. The cache in front is for speed,
// and has both views.
func ExampleNew() {
	clients := memstore.New()
	published, err := cimd.New(clients, &cimd.Options{
		Issuer: "https://id.example.com",
		Admit:  cimd.Hosts("claude.ai", "vscode.dev", "example.com/oauth/"),
	})
	if err != nil {
		log.Fatal(err)
	}
	store := cachestore.New(published, nil)
	authorize, token := store, store.Known()
	_, errAuthorize := authorize.FindByClientID(context.Background(), "https://elsewhere.example/client")
	_, errToken := token.FindByClientID(context.Background(), "https://claude.ai/oauth/client")
	fmt.Println(errAuthorize)
	fmt.Println(errToken)
	// Output:
	// invalid_client: this server does not accept clients from the host of this client_id
	// cimd: the client's metadata document is unavailable: unknown
}

// Strangers run under their own policy.
func ExampleOptions_policies() {
	partners := cimd.Hosts("*.partner.example")
	store, err := cimd.New(memstore.New(), &cimd.Options{
		Issuer: "https://id.example.com",
		Admit: func(ctx context.Context, id *url.URL) (string, error) {
			if _, err := partners(ctx, id); err == nil {
				return "", nil
			}
			return "strangers", nil
		},
		Policies: map[string]dcr.Validator{
			"strangers": policy.Stack(dcr.DefaultValidator{}, policy.SameHostAsDocument(policy.Refuse), policy.Approval(nil)),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(store.Advertised(context.Background()))
	// Output: true
}

// A server with its own store fetches the document itself.
func ExampleJudge() {
	document := []byte(`{
		"client_id": "https://app.example.com/client",
		"client_name": "App",
		"redirect_uris": ["http://127.0.0.1/callback"],
		"token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
		"jwks_uri": "https://app.example.com/jwks"
	}`)
	client, err := cimd.Judge(context.Background(), "https://app.example.com/client", document, &cimd.Options{Issuer: "https://id.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.TokenEndpointAuthMethod, client.MatchRedirectURI("http://127.0.0.1:4711/callback"))
	// Output: none true
}

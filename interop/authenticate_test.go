package interop

// Clients that register, authenticate and get a token, with special characters in their
// ids and secrets. SDKs form-encode these (RFC 6749 §2.3.1), each a little differently.

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// ids and secrets have every character that some SDK encodes.
const (
	oddID     = "app-1_a.b~c!d*e'f(g)h:i/j?k+l m%n"
	oddSecret = "s-e_c.r~e!t*'():/?+ %&=\"\u20ac"
)

// authorizationServer starts a server with a registration endpoint, a discovery
// document and a token endpoint, and returns its issuer.
func authorizationServer(t *testing.T) string {
	server := httptest.NewUnstartedServer(nil)
	issuer, store, registered := "http://"+server.Listener.Addr().String(), memstore.New(), 0
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint:       issuer + "/connect/dcr",
		AllowAnonymous: true,
		Validator: dcr.DefaultValidator{Supports: dcr.Capabilities{
			GrantTypes:               []string{"client_credentials"},
			TokenEndpointAuthMethods: []string{"client_secret_basic"},
		}},
		NewClientID: func(context.Context, *dcr.Registration) (string, error) {
			registered++
			return fmt.Sprint(oddID, registered), nil
		},
		NewClientSecret: func(context.Context, *dcr.Registration) (dcr.Plaintext, dcr.Secret, error) {
			return oddSecret, dcr.HashSecret(oddSecret), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/connect/dcr", handler)
	mux.Handle("/.well-known/", handler.ServeDiscovery(issuer, map[string]any{
		"authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
	}))
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		clientID, secret, _ := dcr.BasicCredentials(r)
		client, err := store.FindByClientID(r.Context(), clientID)
		if err != nil || !client.VerifySecret(secret.Reveal(), time.Now()) {
			dcr.WriteInvalidClient(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"access_token": "a token", "token_type": "Bearer", "expires_in": 300})
	})
	server.Config.Handler = mux
	server.Start()
	t.Cleanup(server.Close)
	return issuer
}

func TestMCPGoSDKReadsDiscovery(t *testing.T) {
	issuer := authorizationServer(t)
	metadata, err := oauthex.GetAuthServerMeta(t.Context(), issuer+"/.well-known/oauth-authorization-server", issuer, http.DefaultClient)
	if err != nil || metadata == nil || metadata.RegistrationEndpoint != issuer+"/connect/dcr" {
		t.Errorf("%+v, %v", metadata, err)
	}
}

// The MCP Go SDK registers, and golang.org/x/oauth2, which it uses, authenticates.
func TestGoSDKsAuthenticate(t *testing.T) {
	issuer := authorizationServer(t)
	asked := &oauthex.ClientRegistrationMetadata{GrantTypes: []string{"client_credentials"}, TokenEndpointAuthMethod: "client_secret_basic"}
	client, err := oauthex.RegisterClient(t.Context(), issuer+"/connect/dcr", asked, nil)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]bool{client.ClientSecret: true, "a guess": false} {
		config := clientcredentials.Config{ClientID: client.ClientID, ClientSecret: secret, TokenURL: issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader}
		token, err := config.Token(t.Context())
		if (err == nil) != want {
			t.Errorf("secret %q: token %v, %v", secret, token, err)
		}
	}
}

// DCR_TEST_NODE is the directory of authenticate.mjs and its node_modules.
func TestJavaScriptSDKsAuthenticate(t *testing.T) {
	directory := os.Getenv("DCR_TEST_NODE")
	if directory == "" {
		t.Skip("DCR_TEST_NODE is not a directory in which npm ci was run")
	}
	node := exec.CommandContext(t.Context(), "node", "authenticate.mjs")
	node.Dir, node.Env = directory, append(os.Environ(), "ISSUER="+authorizationServer(t))
	if output, err := node.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

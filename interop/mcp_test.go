// Package interop registers clients with the SDKs that real clients use: the MCP Go SDK
// here, and JavaScript SDKs in sdks.test.js.
package interop

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func TestMCPGoSDKRegistersAPublicClient(t *testing.T) {
	asked := metadata("none", "http://127.0.0.1:33418/callback")
	client := register(t, asked)
	if client.ClientSecret != "" || !client.ClientSecretExpiresAt.IsZero() {
		t.Errorf("a public client got a secret: %+v", client)
	}
}

func TestMCPGoSDKRegistersAConfidentialClient(t *testing.T) {
	client := register(t, metadata("client_secret_basic", "https://app.example.com/callback"))
	if client.ClientSecret == "" {
		t.Error("a confidential client got no secret")
	}
}

func TestMCPGoSDKReadsARefusal(t *testing.T) {
	asked := metadata("none", "https://app.example.com/#fragment")
	_, err := oauthex.RegisterClient(t.Context(), serve(t), asked, nil)
	refused := (*oauthex.ClientRegistrationError)(nil)
	if !errors.As(err, &refused) || refused.ErrorCode != string(dcr.InvalidRedirectURI) || refused.ErrorDescription == "" {
		t.Errorf("error %v, want %s with a description", err, dcr.InvalidRedirectURI)
	}
}

func metadata(method, redirectURI string) *oauthex.ClientRegistrationMetadata {
	return &oauthex.ClientRegistrationMetadata{
		ClientName:              "An MCP client",
		RedirectURIs:            []string{redirectURI},
		GrantTypes:              []string{"authorization_code", "refresh_token"},
		ResponseTypes:           []string{"code"},
		TokenEndpointAuthMethod: method,
		Scope:                   "mcp",
	}
}

// register registers a client and checks what every client must get back.
func register(t *testing.T, asked *oauthex.ClientRegistrationMetadata) *oauthex.ClientRegistrationResponse {
	client, err := oauthex.RegisterClient(t.Context(), serve(t), asked, nil)
	if err != nil {
		t.Fatal(err)
	}
	if client.ClientID == "" || client.ClientIDIssuedAt.IsZero() {
		t.Errorf("the client has no id or no client_id_issued_at: %+v", client)
	}
	if client.ClientName != asked.ClientName || client.Scope != asked.Scope ||
		client.TokenEndpointAuthMethod != asked.TokenEndpointAuthMethod ||
		len(client.RedirectURIs) != 1 || client.RedirectURIs[0] != asked.RedirectURIs[0] || len(client.GrantTypes) != 2 {
		t.Errorf("registered %+v, asked for %+v", client.ClientRegistrationMetadata, asked)
	}
	return client
}

// serve starts a server and returns its registration endpoint.
func serve(t *testing.T) string {
	server := httptest.NewUnstartedServer(nil)
	endpoint := "http://" + server.Listener.Addr().String() + "/connect/dcr"
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:       endpoint,
		AllowAnonymous: true,
		Validator:      dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"mcp"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = handler
	server.Start()
	t.Cleanup(server.Close)
	return endpoint
}

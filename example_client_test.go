package dcr_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dynreg/dcr"
)

// The token endpoint asks the client itself.
func ExampleClient_VerifySecret() {
	client := dcr.NewClient()
	client.Secrets = []dcr.Secret{dcr.HashSecret("what-the-client-was-given")}

	now := time.Now()
	fmt.Println(client.VerifySecret("what-the-client-was-given", now))
	fmt.Println(client.VerifySecret("a-guess", now))

	client.Status = dcr.StatusDisabled
	fmt.Println(client.VerifySecret("what-the-client-was-given", now))
	// Output:
	// true
	// false
	// false
}

// The authorize endpoint asks the client itself.
func ExampleClient_MatchRedirectURI() {
	client := dcr.NewClient()
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	fmt.Println(client.MatchRedirectURI("https://app.example.com/callback"))
	fmt.Println(client.MatchRedirectURI("https://app.example.com/callback?x=1"))
	// Output:
	// true
	// false
}

// A redirect URI matches exactly, but for the port of an http loopback one
// (RFC 8252 §7.3).
func ExampleMatchRedirectURI() {
	fmt.Println(dcr.MatchRedirectURI("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback"))
	fmt.Println(dcr.MatchRedirectURI("http://127.0.0.1/callback", "http://localhost:51004/callback"))
	fmt.Println(dcr.MatchRedirectURI("https://app.example.com/callback", "https://app.example.com:8443/callback"))
	// Output:
	// true
	// false
	// false
}

// Discovery gives the members for the host's discovery document, which adds
// those that it alone knows.
func ExampleCapabilities_Discovery() {
	validator := dcr.DefaultValidator{Supports: dcr.Capabilities{
		Scopes:             []string{"openid", "profile"},
		IDTokenSigningAlgs: []string{"ES256"},
	}}
	document := validator.Capabilities().Discovery()
	document["issuer"] = "https://id.example.com"
	document["registration_endpoint"] = "https://id.example.com/connect/dcr"
	for _, member := range []string{"registration_endpoint", "grant_types_supported", "token_endpoint_auth_methods_supported", "scopes_supported"} {
		fmt.Println(member, document[member])
	}
	// Output:
	// registration_endpoint https://id.example.com/connect/dcr
	// grant_types_supported [authorization_code refresh_token]
	// token_endpoint_auth_methods_supported [client_secret_basic none]
	// scopes_supported [openid profile]
}

// Capabilities read the discovery document that a server already has.
func ExampleCapabilities() {
	var capabilities dcr.Capabilities
	err := json.Unmarshal([]byte(`{
		"issuer": "https://id.example.com",
		"grant_types_supported": ["authorization_code"],
		"token_endpoint_auth_methods_supported": ["private_key_jwt"]
	}`), &capabilities)
	fmt.Println(capabilities.GrantTypes, capabilities.TokenEndpointAuthMethods, err)
	// Output:
	// [authorization_code] [private_key_jwt] <nil>
}

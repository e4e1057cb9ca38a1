// Package hosts has authorization servers on three Go libraries. Each maps the
// registered clients to the types of its library and leaves the rest to the library, as
// many people would write it. Each seems to work, but dcrtest.TestHost finds mistakes in
// it. Do not copy these servers: copy examples/ownserver.
package hosts

import (
	"encoding/json"
	"maps"
	"net/http"
)

// discovery serves the document for libraries that leave it to the host.
func discovery(issuer string, more map[string]any) http.Handler {
	document := map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                issuer + "/authorize",
		"token_endpoint":                        issuer + "/token",
		"scopes_supported":                      []string{"files.read", "files.write", "offline_access"},
		"response_types_supported":              []string{"code"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token", "client_credentials"},
		"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":      []string{"S256"},
	}
	maps.Copy(document, more)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(document)
	})
}

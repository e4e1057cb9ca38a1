// Package hosts has authorization servers on three Go libraries, as people write
// them who map the registered clients to what the library wants and leave the
// rest to it. Each works, and dcrtest.TestHost finds in each what nobody sees who
// only tries whether it works. None of them is to be copied: examples/ownserver is.
package hosts

import (
	"encoding/json"
	"maps"
	"net/http"
)

// discovery serves the document of a server that leaves it to the host.
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

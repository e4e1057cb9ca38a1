package dcrtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// A server that refuses everything does not pass for one that refuses only what
// is wrong.
func TestHostThatRefusesEverything(t *testing.T) {
	host := Host{
		Start: func(t *testing.T, _ dcr.ClientConfigurationStore) string {
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			mux.HandleFunc("/.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
				json.NewEncoder(w).Encode(map[string]any{
					"issuer": server.URL, "authorization_endpoint": server.URL + "/authorize", "token_endpoint": server.URL + "/token",
					"introspection_endpoint": server.URL + "/introspect", "revocation_endpoint": server.URL + "/revoke",
					"grant_types_supported":                 []string{"authorization_code", "refresh_token"},
					"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic", "private_key_jwt"},
				})
			})
			return server.URL
		},
		Scopes: []string{"read", "write"},
	}
	found := make(map[string]string)
	for _, finding := range HostFindings(t, host) {
		found[finding.Case] = finding.Sentence
	}
	// These cases need no valid request before the one that must be refused.
	holds := []string{"UnvalidatedRedirect", "ClientCredentials", "JWTBearer", "DiscoveryIssuer", "DiscoveryPath", "DiscoveryMethods", "CORSCredentials"}
	for _, c := range hostCases {
		if sentence, is := found[c.name]; is == slices.Contains(holds, c.name) {
			t.Errorf("%s: %q", c.name, sentence)
		}
	}
	if sentence := found["NoVerifier"]; !strings.Contains(sentence, "cannot be judged") {
		t.Errorf("NoVerifier: %q", sentence)
	}
}

func TestHostSkips(t *testing.T) {
	for _, test := range []struct{ sentence, entry, want string }{
		{"a case is skipped for a reason", "CORS: no pages", ""},
		{"a case must be skipped for a reason", "CORS", "Host.Skip has \"CORS\" without a reason; write it after a colon"},
		{"a blank is not a reason", "CORS: ", "Host.Skip has \"CORS: \" without a reason; write it after a colon"},
		{"an unknown case cannot be skipped", "Cors: no pages", "Host.Skip has \"Cors: no pages\", but no case has that name"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			reasons, err := readSkips([]string{test.entry})
			if err == nil && reasons["CORS"] != "no pages" {
				t.Errorf("reasons %q", reasons)
			}
			if got := fmt.Sprint(err); got != test.want && (err != nil || test.want != "") {
				t.Errorf("error %q, want %q", got, test.want)
			}
		})
	}
}

// The page has a row for each case.
func TestHostCasesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/testing-your-server.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, c := range hostCases {
		fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", c.name, c.trap, c.cure)
	}
	if !strings.Contains(string(page), rows.String()) {
		t.Errorf("the page must have these rows:\n%s", rows.String())
	}
}

package hosts

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

// TestPlainServers holds TestHost to what it finds in plain servers.
func TestPlainServers(t *testing.T) {
	for name, server := range map[string]struct {
		serve    func(issuer string, clients dcr.ClientConfigurationStore) (http.Handler, error)
		findings []string
	}{
		"zitadel/oidc": {func(issuer string, clients dcr.ClientConfigurationStore) (http.Handler, error) {
			return newZitadel(issuer, clients, false)
		}, nil},
		"zitadel/oidc LegacyServer": {func(issuer string, clients dcr.ClientConfigurationStore) (http.Handler, error) {
			return newZitadel(issuer, clients, true)
		}, nil},
		"ory/fosite":       {newFosite, nil},
		"go-oauth2/oauth2": {newGoOAuth2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var found []string
			for _, finding := range dcrtest.HostFindings(t, hostOn(server.serve)) {
				t.Logf("%s: %s", finding.Case, finding.Sentence)
				found = append(found, finding.Case)
			}
			if !slices.Equal(found, server.findings) {
				t.Errorf("found %q", found)
			}
		})
	}
}

// hostOn serves a server, whose person is signed in and consents.
func hostOn(serve func(issuer string, clients dcr.ClientConfigurationStore) (http.Handler, error)) dcrtest.Host {
	return dcrtest.Host{
		Start: func(t *testing.T, store dcr.ClientConfigurationStore) string {
			server := httptest.NewUnstartedServer(nil)
			issuer := "http://" + server.Listener.Addr().String()
			handler, err := serve(issuer, store)
			if err != nil {
				t.Fatal(err)
			}
			server.Config.Handler = handler
			server.Start()
			t.Cleanup(server.Close)
			return issuer
		},
		Scopes: []string{"files.read", "files.write"},
	}
}

package hosts

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

// TestPlainServers checks what TestHost finds in plain servers.
func TestPlainServers(t *testing.T) {
	for name, server := range map[string]struct {
		serve    func(issuer string, clients dcr.ClientConfigurationStore) (http.Handler, error)
		findings string
	}{
		"zitadel/oidc": {newZitadelProvider, `LoopbackLookalike
			NoChallenge PlainChallenge AssertionTwice JWTBearer
			ScopeAtAuthorize ScopeNarrowed
			ClientDeleted ClientDisabled ClientPending ClientExpired OutageAtCode OutageAtRefresh
			TokenLifetime TokenType DiscoveryPath DiscoveryRegistration CORSCredentials`},
		"zitadel/oidc with LegacyServer": {newZitadelLegacyServer, `LoopbackLookalike
			NoChallenge NoVerifier PlainChallenge AssertionTwice JWTBearer
			ScopeAtAuthorize ScopeNarrowed
			ClientDisabled ClientPending ClientExpired OutageAtCode OutageAtRefresh
			TokenLifetime TokenType DiscoveryPath DiscoveryRegistration CORSCredentials`},
		"ory/fosite": {newFosite, `LoopbackPort LoopbackLookalike LoopbackWeb ResponseMode
			NoChallenge ExpiredSecret AssertionAlgorithm GuardedFetch
			ScopeWildcard
			ClientDisabled ClientPending ClientExpired OutageAtAuthorize OutageAtCode OutageAtRefresh
			TokenLifetime IntrospectionEnded DiscoveryRegistration CORS`},
		"go-oauth2/oauth2": {newGoOAuth2, `LoopbackPort LoopbackLookalike WebLookalike UnvalidatedRedirect
			NoChallenge PlainChallenge FormEncodedBasic
			ClientCredentials RefreshOtherClient RefreshWrongSecret RefreshNoSecret RefreshWithdrawn
			ScopeAtAuthorize ScopeAtRefresh ScopeNarrowed
			ClientDeleted ClientDisabled ClientPending ClientExpired OutageAtAuthorize OutageAtCode OutageAtRefresh
			TokenLifetime DiscoveryRegistration CORS`},
	} {
		t.Run(name, func(t *testing.T) {
			var found []string
			for _, finding := range dcrtest.HostFindings(t, hostOn(server.serve)) {
				t.Logf("%s: %s", finding.Case, finding.Sentence)
				found = append(found, finding.Case)
			}
			if want := strings.Fields(server.findings); !slices.Equal(found, want) {
				t.Errorf("found\n%q, not\n%q", found, want)
			}
		})
	}
}

// hostOn serves a server. Its only user is signed in and consents.
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

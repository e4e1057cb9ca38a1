package dcrtest_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

// newServer stands for a host's own server, which finds its clients in store.
func newServer(issuer string, store dcr.ClientConfigurationStore) http.Handler {
	return http.NotFoundHandler()
}

// A test of the host's own server. examples/ownserver has a whole one.
func ExampleTestHost() {
	var t *testing.T // of func TestMyServer(t *testing.T)
	dcrtest.TestHost(t, dcrtest.Host{
		Start: func(t *testing.T, store dcr.ClientConfigurationStore) string {
			server := httptest.NewUnstartedServer(nil)
			issuer := "http://" + server.Listener.Addr().String()
			server.Config.Handler = newServer(issuer, store)
			server.Start()
			t.Cleanup(server.Close)
			return issuer
		},
		Authorize: func(t *testing.T, browser *http.Client, to string) *http.Response {
			response, err := browser.Get(to)
			if err == nil && response.StatusCode == http.StatusOK { // the consent page
				response.Body.Close()
				response, err = browser.PostForm(to, url.Values{"answer": {"yes"}})
			}
			if err != nil {
				t.Fatal(err)
			}
			return response
		},
		Scopes: []string{"files.read", "files.write"},
		Skip:   []string{"DiscoveryRegistration: clients are registered by their owners, on a page"},
	})
}

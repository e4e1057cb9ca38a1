package dcrtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// This example prints which real-world clients can register at the server. In a
// test, use TestClients, which has a subtest for each client.
func ExampleClient_Register() {
	handler, err := dcr.NewHandler(memstore.New(), policy.MCP(dcr.DefaultValidator{}).With(policy.HTTPSOnly()).Apply(&dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", AllowAnonymous: true, MaxClients: 1000,
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, client := range dcrtest.Clients()[:4] {
		fmt.Println(client.Name, client.Register(handler) == nil)
	}
	// Output:
	// Claude true
	// Claude Code false
	// ChatGPT true
	// Cursor false
}

// A store of your own is tested in one line, in its package's test.
func ExampleTestStore() {
	var t *testing.T // of func TestMyStore(t *testing.T)
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
		return memstore.New() // a new one for each case
	})
}

// A validator of your own is tested in one line too.
func ExampleTestValidator() {
	var t *testing.T // of func TestMyValidator(t *testing.T)
	dcrtest.TestValidator(t, policy.Stack(dcr.DefaultValidator{}, policy.HTTPSOnly()))
}

// newServer stands for your own server, which finds its clients in store.
func newServer(issuer string, store dcr.ClientConfigurationStore) http.Handler {
	return http.NotFoundHandler()
}

// A test of your own server. examples/ownserver has a complete one.
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

package fosite_test

import (
	"net/http/httptest"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

// TestHost shows that dcrtest.TestHost finds no mistakes in the example.
func TestHost(t *testing.T) {
	dcrtest.TestHost(t, dcrtest.Host{Start: start, Scopes: []string{"files.read", "files.write"}})
}

// start serves the server of the example.
func start(t *testing.T, store dcr.ClientConfigurationStore) string {
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	provider, err := NewServer(issuer, store)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = provider
	server.Start()
	t.Cleanup(server.Close)
	return issuer
}

package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

// host is the server, and the person who presses the button.
var host = dcrtest.Host{
	Start: func(t *testing.T, store dcr.ClientConfigurationStore) string {
		server := httptest.NewUnstartedServer(nil)
		issuer := "http://" + server.Listener.Addr().String()
		handler, err := newServer(issuer, store)
		if err != nil {
			t.Fatal(err)
		}
		server.Config.Handler = handler
		server.Start()
		t.Cleanup(server.Close)
		return issuer
	},
	Authorize: func(t *testing.T, browser *http.Client, to string) *http.Response {
		response, err := browser.Get(to)
		if err == nil && response.StatusCode == http.StatusOK {
			response.Body.Close()
			response, err = browser.PostForm(to, url.Values{"answer": {"yes"}})
		}
		if err != nil {
			t.Fatal(err)
		}
		return response
	},
	Scopes: supports.Scopes,
}

func TestHost(t *testing.T) { dcrtest.TestHost(t, host) }

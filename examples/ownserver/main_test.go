package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

// host has the server, and the person who consents.
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

// TestConsentPage shows that a client's name cannot look like what the server says
// about the client.
func TestConsentPage(t *testing.T) {
	client := dcr.NewClient()
	client.ID, client.RedirectURIs, client.ResponseTypes = "hostile", []string{"https://evil.example/callback"}, []string{"code"}
	client.ClientName = "<i>Bank (bank.example) wants to say hello. \u05d0"
	store := memstore.New()
	if err := store.Add(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	query := url.Values{
		"client_id": {client.ID}, "redirect_uri": client.RedirectURIs, "response_type": {"code"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	response, err := http.Get(host.Start(t, store) + "/authorize?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if want := "<h1>evil.example, which calls itself <bdi>&lt;i&gt;Bank (bank.example) wants to say hello. \u05d0</bdi>, wants to:"; err != nil || !strings.Contains(string(page), want) {
		t.Errorf("%v: the page lacks %q: %s", err, want, page)
	}
}

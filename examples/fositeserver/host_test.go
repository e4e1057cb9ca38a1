package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

const password = "open sesame"

// serve serves the provider over a store, and returns its issuer.
func serve(t *testing.T, store dcr.ClientConfigurationStore, change func(*settings)) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s := &settings{issuer: "http://" + server.Listener.Addr().String(), password: password, fetch: &dcr.GuardedClient{}}
	if change != nil {
		change(s)
	}
	handler, err := newServer(s, store)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = handler
	server.Start()
	t.Cleanup(server.Close)
	return s.issuer
}

// TestHost finds nothing in it.
func TestHost(t *testing.T) {
	dcrtest.TestHost(t, dcrtest.Host{
		Start: func(t *testing.T, store dcr.ClientConfigurationStore) string { return serve(t, store, nil) },
		Authorize: func(t *testing.T, browser *http.Client, address string) *http.Response {
			t.Helper()
			response, err := visit(browser, address, "allow")
			if err != nil {
				t.Fatal(err)
			}
			return response
		},
		Scopes: []string{"profile", "email"},
	})
}

// newBrowser keeps cookies, and follows redirects within a server alone.
func newBrowser(issuer string) *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), issuer+"/") {
			return nil
		}
		return http.ErrUseLastResponse
	}}
}

var hidden = regexp.MustCompile(`<input type="hidden" name="client" value="([^"]*)"`)

// visit is Paula, who signs in where she is asked to, and then decides.
func visit(browser *http.Client, address, decision string) (*http.Response, error) {
	response, err := browser.Get(address)
	for range 3 {
		if err != nil || response.StatusCode != http.StatusOK {
			return response, err
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return nil, err
		}
		var filled url.Values
		if client := hidden.FindSubmatch(text); client != nil {
			filled = url.Values{"client": {string(client[1])}, "decision": {decision}}
		} else if strings.Contains(string(text), `name="password"`) {
			filled = url.Values{"name": {"paula"}, "password": {password}, "decision": {"sign in"}}
		} else {
			return nil, errors.New("a page without a form: " + string(text))
		}
		if response, err = browser.PostForm(response.Request.URL.String(), filled); err != nil {
			return nil, err
		}
	}
	return response, nil
}

// Package providertest tests the OpenID Providers of the examples: the whole life of a
// client, refusals, and the pages that people see.
package providertest

import (
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// Password is the password of Paula, who signs in.
const Password = "open sesame"

// Settings are the settings of a provider for a test.
type Settings struct {
	Preset    string
	Rotate    bool
	Documents []string           // hosts whose documents are clients
	Fetch     *dcr.GuardedClient // fetches documents and keys
}

// Start serves a provider with a store until the test ends, and returns its issuer.
type Start func(t *testing.T, store dcr.ClientConfigurationStore, settings Settings) (issuer string)

// Test runs the tests that every provider must pass. [Chromium] tests the pages in a
// browser.
func Test(t *testing.T, start Start) {
	start = start.withFetch
	t.Run("Life", func(t *testing.T) { life(t, start) })
	t.Run("LifeOfADocument", func(t *testing.T) { lifeOfADocument(t, start) })
	t.Run("CredentialsThatAreRefused", func(t *testing.T) { credentialsThatAreRefused(t, start) })
	t.Run("RequestsThatAreRefused", func(t *testing.T) { requestsThatAreRefused(t, start) })
	t.Run("TheSecondTime", func(t *testing.T) { theSecondTime(t, start) })
	t.Run("AllAtOnce", func(t *testing.T) { allAtOnce(t, start) })
	t.Run("ScopeThatIsGone", func(t *testing.T) { scopeThatIsGone(t, start) })
	t.Run("StoreThatIsDown", func(t *testing.T) { storeThatIsDown(t, start) })
}

// withFetch starts a provider whose Fetch is never nil.
func (start Start) withFetch(t *testing.T, store dcr.ClientConfigurationStore, settings Settings) string {
	t.Helper()
	if settings.Fetch == nil {
		settings.Fetch = &dcr.GuardedClient{}
	}
	return start(t, store, settings)
}

// NewBrowser returns a client that keeps cookies, and follows redirects only within a
// server.
func NewBrowser(issuer string) *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), issuer+"/") {
			return nil
		}
		return http.ErrUseLastResponse
	}}
}

var (
	forms   = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	hidden  = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	buttons = regexp.MustCompile(`<button[^>]* name="([^"]+)" value="([^"]+)"`)
)

// Fill fills in a form for Paula: her name and password, and her decision if the page asks
// for one. It returns where the form goes, or "" for a page without a form.
func Fill(page, decision string) (action string, filled url.Values) {
	form := forms.FindStringSubmatch(page)
	if form == nil {
		return "", nil
	}
	filled = url.Values{}
	for _, field := range hidden.FindAllStringSubmatch(page, -1) {
		filled.Set(field[1], html.UnescapeString(field[2]))
	}
	if strings.Contains(page, `name="password"`) {
		filled.Set("name", "paula")
		filled.Set("password", Password)
	}
	choice := buttons.FindAllStringSubmatch(page, -1)
	for _, button := range choice {
		if len(choice) == 1 || button[2] == decision {
			filled.Set(button[1], button[2])
		}
	}
	return html.UnescapeString(form[1]), filled
}

// Visit signs in as Paula if necessary, and then decides: "allow" or "deny". It returns
// the last answer.
func Visit(browser *http.Client, address, decision string) (*http.Response, error) {
	response, err := browser.Get(address)
	for range 3 {
		if err != nil || response.StatusCode != http.StatusOK {
			return response, err
		}
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return nil, err
		}
		action, filled := Fill(string(page), decision)
		if action == "" {
			return nil, errors.New("a page without a form: " + string(page))
		}
		to, err := response.Request.URL.Parse(action)
		if err != nil {
			return nil, err
		}
		if response, err = browser.PostForm(to.String(), filled); err != nil {
			return nil, err
		}
	}
	return response, nil
}

// Allow allows everything as Paula. It is the Authorize of a dcrtest.Host.
func Allow(t *testing.T, browser *http.Client, address string) *http.Response {
	t.Helper()
	response, err := Visit(browser, address, "allow")
	if err != nil {
		t.Fatal(err)
	}
	return response
}

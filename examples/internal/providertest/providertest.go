// Package providertest tests the OpenID Providers of the examples: the whole life of a
// client, what it is refused, and the pages that a person meets.
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

// Password is that of Paula, who signs in.
const Password = "open sesame"

// Settings are what a test wants of a provider.
type Settings struct {
	Preset    string
	Rotate    bool
	Documents []string           // hosts whose documents are clients
	Fetch     *dcr.GuardedClient // what fetches them, and keys
}

// Start serves a provider over a store until the test ends, and returns its issuer.
type Start func(t *testing.T, store dcr.ClientConfigurationStore, settings Settings) (issuer string)

// Test runs what every provider must pass; the pages in a browser are [Chromium]'s.
func Test(t *testing.T, start Start) {
	start = start.withFetch
	t.Run("Life", func(t *testing.T) { life(t, start) })
	t.Run("LifeOfADocument", func(t *testing.T) { lifeOfADocument(t, start) })
	t.Run("CredentialsThatAreRefused", func(t *testing.T) { credentialsThatAreRefused(t, start) })
	t.Run("RequestsThatAreRefused", func(t *testing.T) { requestsThatAreRefused(t, start) })
	t.Run("TheSecondTime", func(t *testing.T) { theSecondTime(t, start) })
	t.Run("StoreThatIsDown", func(t *testing.T) { storeThatIsDown(t, start) })
}

// withFetch starts a provider that fetches with something.
func (start Start) withFetch(t *testing.T, store dcr.ClientConfigurationStore, settings Settings) string {
	t.Helper()
	if settings.Fetch == nil {
		settings.Fetch = &dcr.GuardedClient{}
	}
	return start(t, store, settings)
}

// NewBrowser keeps cookies, and follows redirects within a server alone.
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

// Fill is Paula at a form: who she is, and her decision where there is one to take. It
// returns where the form goes, which is "" on a page without one.
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

// Visit is Paula, who signs in where she is asked to, and then decides: "allow" or
// "deny". It returns the last answer.
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

// Allow is Paula, who allows everything: the Authorize of a dcrtest.Host.
func Allow(t *testing.T, browser *http.Client, address string) *http.Response {
	t.Helper()
	response, err := Visit(browser, address, "allow")
	if err != nil {
		t.Fatal(err)
	}
	return response
}

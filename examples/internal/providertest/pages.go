package providertest

// The pages of a provider in a browser.

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/chromium"
	"github.com/dynreg/dcr/memstore"
)

const (
	// foreign counts elements that only an attacker could have added to a page.
	foreign = "document.querySelectorAll('script, iframe, object, img, style ~ style, [onerror], [onload], [style], a[href^=javascript]').length"
	// unnamed counts controls without a name for screen readers.
	unnamed = `[...document.querySelectorAll('input:not([type=hidden]), button, a')].filter(e => !(e.labels && e.labels.length || e.textContent.trim())).length`
	// colours has functions for the lightness of a colour and the background of an
	// element. A page that sets no colour has the one of the browser.
	colours = `
	const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
	const light = c => { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
	const bare = matchMedia('(prefers-color-scheme: dark)').matches && getComputedStyle(document.documentElement).colorScheme.includes('dark') ? '#121212' : 'white';
	const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c != 'rgba(0, 0, 0, 0)') return c } return bare };`
	// faint counts texts whose contrast with the background is below 4.5 (WCAG 2.2, 1.4.3).
	faint = `(() => {` + colours + `
	return [...document.querySelectorAll('h1, h2, p, li, label, button, a, input, bdi')].filter(e => { const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05) < 4.5 }).length
})()`
	// scheme is the color scheme of the page.
	scheme = `(() => {` + colours + `
	return light(behind(document.body)) > 0.5 ? 'light' : 'dark'
})()`
)

// hostile returns clients that are as bad as clients in a database can be. Registration
// would refuse most of this. One of them redirects to this machine, where the test waits
// for it.
func hostile(back string) (clients []*dcr.Client) {
	for id, name := range map[string]string{
		"script": `<script>document.title='owned'</script><img src=x onerror="document.title='owned'">`,
		"turned": "\u202eknaB ruoY\u202c \u2066Sign in again below\u2069",
		"long":   strings.Repeat("A name that is much longer than any name must be ", 40),
		"lines":  "Paula's Bank\n\n\n\n\n\n\nAllow",
		"quiet":  "",
	} {
		client := dcr.NewClient()
		client.ID, client.ClientName, client.Source, client.LogoURI = id, name, dcr.SourceDynamic, back+`/logo.png?"><script>`
		client.ClientURI, client.PolicyURI, client.TOSURI = "https://evil.example/", "javascript:alert(1)", "https://evil.example/terms"
		client.RedirectURIs = []string{"https://a-host-with-a-rather-long-name.of-many-labels.and-still-more-of-them.example.com/cb"}
		if id == "script" {
			client.RedirectURIs = []string{back + "/cb"}
		}
		client.ApplicationType, client.TokenEndpointAuthMethod = "native", "none"
		client.GrantTypes, client.ResponseTypes, client.Scope = []string{"authorization_code"}, []string{"code"}, "openid profile <script>"
		clients = append(clients, client)
	}
	return clients
}

// tab is a browser that shows the pages of a provider.
type tab struct {
	*chromium.Browser
}

// check checks what must be true of every page.
func (b tab) check(t *testing.T, width int, in string) {
	t.Helper()
	for what, want := range map[string]string{
		"document.title == 'owned'": "false", foreign: "0", unnamed: "0", faint: "0", scheme: in,
		"document.querySelectorAll('h1').length": "1", "document.documentElement.lang": "en",
		fmt.Sprintf("document.documentElement.scrollWidth <= %d", width):                                    "true",
		"[...document.querySelectorAll('h1, p, li, a, button')].some(e => e.offsetHeight > 400)":            "false",
		"[...document.querySelectorAll('button, input:not([type=hidden])')].some(e => e.offsetHeight < 40)": "false",
	} {
		if got := b.Evaluate(what); got != want {
			t.Errorf("%s is %s", what, got)
		}
	}
}

// each checks a page on a phone and on a desktop, light and dark.
func (b tab) each(t *testing.T, name, address string) {
	for _, width := range []int{360, 1200} {
		for _, in := range []string{"light", "dark"} {
			t.Run(fmt.Sprintf("%s %s %d", name, in, width), func(t *testing.T) {
				b.Resize(width, in)
				b.Open(address)
				b.check(t, width, in)
				b.Screenshot(fmt.Sprintf("%s %s %d", name, in, width))
			})
		}
	}
}

// choose finds a button with the Tab key only, and presses it.
func (b tab) choose(t *testing.T, text string) {
	t.Helper()
	b.TabTo(text)
	b.Load(func() { b.Press("Enter") })
}

// typeInto types a text into the field that must have the focus.
func (b tab) typeInto(t *testing.T, id, text string) {
	t.Helper()
	// The browser gives the focus to an autofocus field when it draws the page.
	const drawn = "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
	if at := b.Evaluate(drawn + ".then(() => document.activeElement.id)"); at != id {
		t.Errorf("the focus is on %q", at)
	}
	b.Call("Input.insertText", map[string]any{"text": text}, nil)
}

// Chromium checks the pages in a browser: the names of hostile clients are shown and do
// nothing, and the pages can be read on a phone and on a desktop, light and dark, and used
// with the keyboard only. paths are the paths of more pages, by name.
func Chromium(t *testing.T, start Start, paths map[string]string) {
	b := tab{chromium.Start(t)}
	came := make(chan url.Values, 1)
	tracked := 0
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cb":
			came <- r.URL.Query()
		case "/logo.png":
			tracked++
		}
		fmt.Fprintln(w, "<title>The client</title>")
	}))
	defer back.Close()
	store, redirects := memstore.New(), make(map[string]string)
	for _, client := range hostile(back.URL) {
		redirects[client.ID] = client.RedirectURIs[0]
		if err := store.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	issuer := start.withFetch(t, store, Settings{})
	address := func(id string) string {
		return issuer + "/authorize?" + url.Values{
			"client_id": {id}, "redirect_uri": {redirects[id]}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"a long state"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, "resource": {"https://files.example.com/" + strings.Repeat("x", 200)},
		}.Encode()
	}

	b.each(t, "sign in", address("script"))
	b.each(t, "refused", issuer+"/authorize?client_id=none")
	for name, path := range paths {
		b.each(t, name+" signed out", issuer+path)
	}

	// With the keyboard only: a wrong password, then the right one, then a refusal.
	b.Resize(360, "light")
	b.Open(address("script"))
	b.typeInto(t, "name", "paula")
	b.Press("Tab")
	b.typeInto(t, "password", "a guess")
	b.Load(func() { b.Press("Enter") })
	if said := b.Evaluate("document.querySelector('[role=alert]').textContent"); !strings.Contains(said, "wrong") {
		t.Errorf("the page says %q", said)
	}
	b.check(t, 360, "light")
	b.Screenshot("wrong password")
	b.typeInto(t, "password", Password) // the name is still there
	b.Load(func() { b.Press("Enter") })
	b.choose(t, "Do not allow")
	if answer := <-came; answer.Get("error") != "access_denied" || answer.Get("iss") != issuer {
		t.Errorf("the client got %v", answer)
	}

	for id := range redirects {
		b.each(t, "consent "+id, address(id))
	}
	for name, path := range paths {
		b.each(t, name, issuer+path)
	}
	b.Open(address("script"))
	b.choose(t, "Allow")
	if answer := <-came; answer.Get("code") == "" || answer.Get("state") != "a long state" {
		t.Errorf("the client got %v", answer)
	}
	if tracked > 0 {
		t.Errorf("a logo was requested %d times", tracked)
	}
	for _, said := range b.Complaints() {
		if !strings.Contains(said, "status of 40") { // the pages that refuse
			t.Errorf("the browser complains: %s", said)
		}
	}
}

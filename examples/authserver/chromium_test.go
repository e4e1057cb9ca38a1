package main

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
	// foreign counts what only somebody else could have put on a page.
	foreign = "document.querySelectorAll('script, iframe, object, style ~ style, [onerror], [onload], [style]').length"
	// unnamed counts what can be used and has no name that is read out.
	unnamed = `[...document.querySelectorAll('input:not([type=hidden]), button, a')].filter(e => !(e.labels && e.labels.length || e.textContent.trim())).length`
	// faint counts texts whose contrast with what is behind is below 4.5 (WCAG 2.2, 1.4.3).
	faint = `(() => {
	const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
	const light = c => { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
	const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c != 'rgba(0, 0, 0, 0)') return c } return 'white' };
	return [...document.querySelectorAll('h1, h2, p, li, label, button, a, input, bdi')].filter(e => { const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05) < 4.5 }).length
})()`
)

// hostile are clients as bad as a table may have: most of this is refused at
// registration.
func hostile(logo string) map[string]*dcr.Client {
	clients := make(map[string]*dcr.Client)
	for id, name := range map[string]string{
		"script": `<script>document.title='owned'</script><img src=x onerror="document.title='owned'">`,
		"turned": "\u202eknaB ruoY\u202c \u2066Sign in again below\u2069",
		"long":   strings.Repeat("A name that is much longer than any name must be ", 40),
		"lines":  "Paula's Bank\n\n\n\n\n\n\nAllow",
		"quiet":  "",
	} {
		client := dcr.NewClient()
		client.ID, client.ClientName, client.Source, client.LogoURI = id, name, dcr.SourceDynamic, logo
		client.ClientURI, client.PolicyURI, client.TOSURI = "https://evil.example/", "javascript:alert(1)", "https://evil.example/terms"
		client.RedirectURIs = []string{"https://a-host-with-a-rather-long-name.of-many-labels.and-still-more-of-them.example.com/cb"}
		if id == "script" {
			client.RedirectURIs = []string{"http://127.0.0.1/cb"}
		}
		client.ApplicationType, client.TokenEndpointAuthMethod = "native", "none"
		client.GrantTypes, client.ResponseTypes, client.Scope = []string{"authorization_code"}, []string{"code"}, "openid profile <script>"
		clients[id] = client
	}
	return clients
}

// The pages in a browser: what hostile clients call themselves is shown and does
// nothing, all is read on a phone as at a desk, light and dark, and used by keys alone.
func TestChromium(t *testing.T) {
	b := chromium.Start(t)
	tracked := 0
	logos := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tracked++ }))
	defer logos.Close()
	came := make(chan url.Values, 1)
	client := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cb" {
			came <- r.URL.Query()
		}
		fmt.Fprintln(w, "<title>The client</title>")
	}))
	defer client.Close()
	store := memstore.New()
	for _, client := range hostile(logos.URL + `/logo.png?"><script>`) {
		if err := store.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	issuer := serve(t, store, nil)
	address := func(id string) string {
		redirect := "https://a-host-with-a-rather-long-name.of-many-labels.and-still-more-of-them.example.com/cb"
		if id == "script" {
			redirect = strings.Replace(client.URL, "localhost", "127.0.0.1", 1) + "/cb"
		}
		return issuer + "/authorize?" + url.Values{
			"client_id": {id}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"1"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, "resource": {"https://files.example.com/" + strings.Repeat("x", 200)},
		}.Encode()
	}
	check := func(width int, scheme string) {
		t.Helper()
		for what, want := range map[string]string{
			"document.title == 'owned'": "false", foreign: "0", unnamed: "0", faint: "0",
			"document.querySelectorAll('img').length": "0", "document.querySelectorAll('a[href^=javascript]').length": "0",
			"document.querySelectorAll('h1').length": "1", "document.documentElement.lang": "en",
			fmt.Sprintf("document.documentElement.scrollWidth <= %d", width):                                    "true",
			"getComputedStyle(document.body).backgroundColor == 'rgb(255, 255, 255)'":                           fmt.Sprint(scheme == "light"),
			"[...document.querySelectorAll('h1, p, li, a, button')].some(e => e.offsetHeight > 400)":            "false",
			"[...document.querySelectorAll('button, input:not([type=hidden])')].some(e => e.offsetHeight < 40)": "false",
		} {
			if got := b.Evaluate(what); got != want {
				t.Errorf("%s is %s", what, got)
			}
		}
	}
	each := func(name, address string) {
		for _, width := range []int{360, 1200} {
			for _, scheme := range []string{"light", "dark"} {
				t.Run(fmt.Sprintf("%s %s %d", name, scheme, width), func(t *testing.T) {
					b.Resize(width, scheme)
					b.Open(address)
					check(width, scheme)
					b.Screenshot(fmt.Sprintf("%s %s %d", name, scheme, width))
				})
			}
		}
	}
	tabTo := func(text string) {
		t.Helper()
		for range 20 {
			b.Press("Tab")
			if b.Evaluate("document.activeElement.textContent.trim()") == text {
				if b.Evaluate("getComputedStyle(document.activeElement).outlineStyle") == "none" {
					t.Errorf("it is not seen that %q is focused", text)
				}
				return
			}
		}
		t.Fatalf("no key leads to %q", text)
	}

	each("sign in", address("script"))
	each("home", issuer+"/")
	each("refused", issuer+"/authorize?client_id=none")

	// By keys alone: a wrong password, then the right one, then no.
	b.Resize(360, "light")
	b.Open(address("script"))
	if at := b.Evaluate("document.activeElement.id"); at != "name" {
		t.Errorf("the focus is on %q", at)
	}
	b.Call("Input.insertText", map[string]any{"text": "paula"}, nil)
	b.Press("Tab")
	b.Call("Input.insertText", map[string]any{"text": "a guess"}, nil)
	b.Load(func() { b.Press("Enter") })
	if said := b.Evaluate("document.querySelector('[role=alert]').textContent"); said != errWrong.Error() {
		t.Errorf("it says %q", said)
	}
	check(360, "light")
	b.Screenshot("wrong password")
	if at := b.Evaluate("document.activeElement.id"); at != "password" {
		t.Errorf("the focus is on %q", at)
	}
	b.Call("Input.insertText", map[string]any{"text": password}, nil)
	b.Load(func() { b.Press("Enter") })
	tabTo("Allow")
	tabTo("Do not allow")
	b.Load(func() { b.Press("Enter") })
	if answer := <-came; answer.Get("error") != "access_denied" || answer.Get("iss") != issuer {
		t.Errorf("the client is told %v", answer)
	}

	for id := range hostile("") {
		each("consent "+id, address(id))
	}
	each("sign out", issuer+"/logout")
	b.Open(address("script"))
	tabTo("Allow")
	b.Load(func() { b.Press("Enter") })
	if answer := <-came; answer.Get("code") == "" || answer.Get("state") != "1" {
		t.Errorf("the client is told %v", answer)
	}
	if tracked > 0 {
		t.Errorf("the server of a logo was asked %d times", tracked)
	}
	for _, said := range b.Complaints() {
		if !strings.Contains(said, "status of 40") { // the pages that refuse
			t.Errorf("the browser complains: %s", said)
		}
	}
}

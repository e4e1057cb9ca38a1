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

// hostile are clients as bad as a table may have: most of this is refused at
// registration. One of them redirects to this machine, where it is waited for.
func hostile(back string) (clients []*dcr.Client) {
	for id, name := range map[string]string{
		"script": `<script>document.title='owned'</script><img src=x onerror="document.title='owned'">`,
		"turned": "\u202eknaB ruoY\u202c \u2066Sign in again below\u2069",
		"long":   strings.Repeat("A name that is much longer than any name must be ", 40),
		"quiet":  "",
	} {
		client := dcr.NewClient()
		client.ID, client.ClientName, client.Source = id, name, dcr.SourceDynamic
		client.LogoURI, client.ClientURI, client.TOSURI = back+`/logo.png?"><script>`, "javascript:alert(1)", "https://evil.example/terms"
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

// The pages in a browser: what hostile clients call themselves is shown and does
// nothing, all is read on a phone as at a desk, light and dark, and used by keys alone.
func TestChromium(t *testing.T) {
	b := chromium.Start(t)
	came := make(chan url.Values, 1)
	others := 0
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cb":
			came <- r.URL.Query()
		case "/logo.png":
			others++
		}
		fmt.Fprintln(w, "<title>The client</title>")
	}))
	defer back.Close()
	store := memstore.New()
	redirects := make(map[string]string)
	for _, client := range hostile(back.URL) {
		redirects[client.ID] = client.RedirectURIs[0]
		if err := store.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	issuer := serve(t, store, nil)
	address := func(id string) string {
		return issuer + "/authorize?" + url.Values{
			"client_id": {id}, "redirect_uri": {redirects[id]}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"a long state"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, "resource": {"https://files.example.com/" + strings.Repeat("x", 200)},
		}.Encode()
	}
	each := func(name, address string) {
		for _, width := range []int{360, 1200} {
			for _, scheme := range []string{"light", "dark"} {
				t.Run(fmt.Sprintf("%s %s %d", name, scheme, width), func(t *testing.T) {
					b.Resize(width, scheme)
					b.Open(address)
					for what, want := range map[string]string{
						"document.title == 'owned'": "false", "document.querySelectorAll('script, iframe, object, img, style ~ style, [onerror], [style]').length": "0",
						"[...document.querySelectorAll('input:not([type=hidden]), button')].filter(e => !(e.labels && e.labels.length || e.textContent.trim())).length": "0",
						"document.querySelectorAll('h1').length": "1", "document.documentElement.lang": "en",
						fmt.Sprintf("document.documentElement.scrollWidth <= %d", width):                                    "true",
						"matchMedia('(prefers-color-scheme: dark)').matches":                                                fmt.Sprint(scheme == "dark"),
						"[...document.querySelectorAll('button, input:not([type=hidden])')].some(e => e.offsetHeight < 40)": "false",
					} {
						if got := b.Evaluate(what); got != want {
							t.Errorf("%s is %s", what, got)
						}
					}
				})
			}
		}
	}
	tabTo := func(text string) {
		t.Helper()
		for range 20 {
			b.Press("Tab")
			if b.Evaluate("document.activeElement.textContent.trim()") == text {
				return
			}
		}
		t.Fatalf("no key leads to %q", text)
	}

	each("sign in", address("script"))
	each("refused", issuer+"/authorize?client_id=none")
	b.Resize(360, "light")
	b.Open(address("script"))
	for _, typed := range []string{"a guess", password} { // by keys alone
		if at := b.Evaluate("document.activeElement.id"); at != "name" {
			t.Errorf("the focus is on %q", at)
		}
		b.Call("Input.insertText", map[string]any{"text": "paula"}, nil)
		b.Press("Tab")
		b.Call("Input.insertText", map[string]any{"text": typed}, nil)
		b.Load(func() { b.Press("Enter") })
	}
	tabTo("Allow")
	tabTo("Do not allow")
	b.Load(func() { b.Press("Enter") })
	if answer := <-came; answer.Get("error") != "access_denied" || answer.Get("iss") != issuer {
		t.Errorf("the client is told %v", answer)
	}
	for id := range redirects {
		each("consent "+id, address(id))
	}
	b.Open(address("script"))
	tabTo("Allow")
	b.Load(func() { b.Press("Enter") })
	if answer := <-came; answer.Get("code") == "" || answer.Get("state") != "a long state" {
		t.Errorf("the client is told %v", answer)
	}
	if others > 0 {
		t.Errorf("the server of a logo was asked %d times", others)
	}
	for _, said := range b.Complaints() {
		if !strings.Contains(said, "status of 40") { // the pages that refuse
			t.Errorf("the browser complains: %s", said)
		}
	}
}

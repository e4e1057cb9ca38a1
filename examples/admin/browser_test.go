package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dynreg/dcr/examples/internal/chromium"
)

// foreign counts elements that only an attacker could have added to a page.
const foreign = "document.querySelectorAll('script, img, iframe, object, style ~ style, [onerror], [style]').length + document.querySelectorAll('a[href^=\"http\"]').length"

// unnamed counts controls without a name for screen readers.
const unnamed = `[...document.querySelectorAll('input:not([type=hidden]), select, button, a')].filter(e => !(e.labels && e.labels.length || e.textContent.trim() || e.ariaLabel)).length`

// The pages in a browser: the names of hostile clients are shown and do nothing. The pages
// can be read on a phone and on a desktop, light and dark, and used with the keyboard only.
func TestChromium(t *testing.T) {
	b := chromium.Start(t)
	server := newServer(t)
	b.Call("Network.enable", nil, nil)
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte("olga:"+password))
	b.Call("Network.setExtraHTTPHeaders", map[string]any{"headers": map[string]any{"Authorization": login}}, nil)
	at := server.URL + mounted
	hostile := func(n int) string { return fmt.Sprintf("client?id=c%031x", 7919*n+1) }

	for _, width := range []int{360, 1200} {
		for _, scheme := range []string{"light", "dark"} {
			for _, page := range []struct{ name, address string }{
				{"clients", ""}, {"search", "?status=active"}, {"bidi", hostile(9)}, {"long", hostile(10)}, {"used", hostile(100)},
				{"confirmation", strings.Replace(hostile(10), "client", "delete", 1)}, {"waiting", "waiting"}, {"denied", "denied"}, {"tokens", "tokens"}, {"missing", "missing"},
			} {
				t.Run(fmt.Sprintf("%s %s %d", page.name, scheme, width), func(t *testing.T) {
					b.Resize(width, scheme)
					b.Open(at + page.address)
					for what, want := range map[string]string{
						"document.title == 'owned'": "false", foreign: "0", unnamed: "0",
						"document.querySelectorAll('h1').length": "1", "document.documentElement.lang": "en",
						fmt.Sprintf("document.documentElement.scrollWidth <= %d", width):                         "true",
						"getComputedStyle(document.body).backgroundColor == 'rgb(255, 255, 255)'":                fmt.Sprint(scheme == "light"),
						"[...document.querySelectorAll('h1, p, dd, a, button')].some(e => e.offsetHeight > 800)": "false",
					} {
						if got := b.Evaluate(what); got != want {
							t.Errorf("%s is %s", what, got)
						}
					}
					b.Screenshot(fmt.Sprintf("%s %s %d", page.name, scheme, width))
				})
			}
		}
	}

	t.Run("keys", func(t *testing.T) {
		b.Open(at)
		b.TabTo("ChatGPT")
		b.Load(func() { b.Press("Enter") })
		b.TabTo("Disable")
		b.Load(func() { b.Press("Enter") })
		if status := b.Evaluate("document.querySelector('dd.status').textContent"); status != "disabled" {
			t.Errorf("the client is %s", status)
		}
		b.TabTo("Enable")
	})

	t.Run("another site", func(t *testing.T) {
		evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<form method="post" action="%sdenied"><input name="url" value="https://forged.example/client"></form>`, at)
		}))
		defer evil.Close()
		for _, host := range []string{"127.0.0.1", "localhost"} { // another origin of the same site, and another site
			b.Open(strings.Replace(evil.URL, "127.0.0.1", host, 1))
			b.Load(func() { b.Evaluate("document.forms[0].submit()") })
			if title := b.Evaluate("document.title"); title != "Forbidden" {
				t.Errorf("from %s: %q", host, title)
			}
		}
		r, _ := http.NewRequestWithContext(t.Context(), "GET", at+"denied", nil)
		r.Header.Set("Authorization", login)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if text, _ := io.ReadAll(res.Body); strings.Contains(string(text), "forged.example") {
			t.Error("a page of another site could deny a document")
		}
	})

	for _, said := range b.Complaints() {
		if !strings.Contains(said, "status of 40") { // pages that do not exist, or are refused
			t.Errorf("the browser complains: %s", said)
		}
	}
}

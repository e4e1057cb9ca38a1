package explainpage_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr/examples/internal/chromium"
)

// The page in a browser: hostile requests are shown and do nothing. The page can be read
// on a phone and on a desktop, light and dark, and used with the keyboard only.
func TestChromium(t *testing.T) {
	b := chromium.Start(t)
	server := httptest.NewServer(newPage(t))
	t.Cleanup(server.Close)
	open := func(query url.Values) {
		b.Open(server.URL + "/?" + query.Encode())
	}

	for _, width := range []int{360, 1200} {
		for _, scheme := range []string{"light", "dark"} {
			name := fmt.Sprintf("%s %d", scheme, width)
			t.Run(name, func(t *testing.T) {
				b.Resize(width, scheme)
				open(url.Values{"request": {hostileRequest()}, "preset": {"mcp"}})
				if title := b.Evaluate("document.title"); title != "400 - What would happen to a registration" {
					t.Errorf("the title is %q", title)
				}
				if foreign := b.Evaluate("document.querySelectorAll('script, img, iframe, object, style ~ style, [onerror], [onmouseover]').length"); foreign != "0" {
					t.Errorf("%s elements were added", foreign)
				}
				if hidden := b.Evaluate("document.querySelectorAll('li').length > 5 && document.querySelector('h2').offsetHeight > 0"); hidden != "true" {
					t.Error("the decision is not visible")
				}
				if fits := b.Evaluate("document.documentElement.scrollWidth <= " + fmt.Sprint(width)); fits != "true" {
					t.Error("the page is wider than the screen")
				}
				light := b.Evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
				if light != (scheme == "light") {
					t.Error("the page has the other color scheme")
				}
				b.Screenshot("hostile " + name)
				open(url.Values{"client": {"Cursor"}, "preset": {"mcp"}})
				b.Screenshot("Cursor " + name)
			})
		}
	}

	t.Run("keys", func(t *testing.T) {
		open(nil)
		b.Press("Tab", "ArrowDown", "Tab", "ArrowDown", "Tab", "Tab") // the first client, the first policy, past the request
		if at := b.Evaluate("document.activeElement.tagName"); at != "BUTTON" {
			t.Fatalf("the keys lead to %s", at)
		}
		b.Load(func() { b.Press("Enter") })
		if said := b.Evaluate("document.querySelector('#decision').textContent"); !strings.HasPrefix(said, "201") {
			t.Errorf("the page says %q", said)
		}
		if at := b.Evaluate("client.value + ' ' + preset.value"); at != "Claude mcp" {
			t.Errorf("the choices are %s", at)
		}
	})

	for _, said := range b.Complaints() {
		t.Errorf("the browser complains: %s", said)
	}
}

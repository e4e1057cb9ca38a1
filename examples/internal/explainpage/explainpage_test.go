package explainpage_test

import (
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/explainpage"
	"github.com/dynreg/dcr/examples/internal/presets"
	"github.com/dynreg/dcr/memstore"
)

// newPage returns the page of a server without a preset.
func newPage(t *testing.T) http.Handler {
	t.Helper()
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", Logger: slog.New(slog.DiscardHandler),
		Validator: presets.Preset{}.Around(dcr.DefaultValidator{}, nil), Policies: presets.Open().Policies(dcr.DefaultValidator{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return explainpage.New(handler, []string{"mcp", "oidc"})
}

// hostile is the request of an attacker.
const hostile = `{"redirect_uris":["https://app.example.com/cb"],
	"client_name":"</textarea></code><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
	"client_uri":"https://app.example.com/` + "\u202egpj.exe" + `",
	"x\"><script>document.title='owned'</script>":"\u2028` + "\u202e\U000e0041" + `</style><style>*{display:none}</style>",
	"tos_uri#x' onmouseover='document.title=1":"{{.Request}}",
	"z":"`

// hostileRequest returns hostile with a long value.
func hostileRequest() string { return hostile + strings.Repeat("W", 20000) + `"}` }

func get(t *testing.T, page http.Handler, query url.Values) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest("GET", "/?"+query.Encode(), nil))
	return w
}

func TestThePage(t *testing.T) {
	page := newPage(t)
	for _, test := range []struct {
		sentence string
		query    url.Values
		status   int
		says     []string
	}{
		{"the page offers clients and policies", nil, 200, []string{"<option>Claude</option>", "<option>mcp</option>"}},
		{"the server's decision about a known client", url.Values{"client": {"Cursor"}}, 200, []string{"400: it would be refused", "invalid_redirect_uri", "<option selected>Cursor</option>", "changed by"}},
		{"a preset's decision about it", url.Values{"client": {"Cursor"}, "preset": {"mcp"}}, 200, []string{"201: it would be registered", "<option selected>mcp</option>", "&#34;native&#34;"}},
		{"the decision about a pasted request", url.Values{"request": {`{"redirect_uris":["https://a.example/cb"],"scope":"openid gone"}`}}, 200, []string{"201: it would be registered", `<li class="dropped">`, "DefaultValidator.Supports.Scopes"}},
		{"invalid JSON is refused", url.Values{"request": {`{`}}, 200, []string{"400: it would be refused"}},
		{"an unknown client", url.Values{"client": {"<b>"}}, 400, []string{"No known client has this name."}},
		{"a policy that is not offered", url.Values{"request": {`{}`}, "preset": {"fapi2"}}, 400, []string{"This policy does not exist."}},
		{"invisible characters are shown", url.Values{"request": {hostileRequest()}}, 200, []string{`\u202e\udb40\udc41`, "bytes more", "&lt;script&gt;"}},
		{"so are characters that only count as printable", url.Values{"request": {`{"x":"a` + "\u3164\u2800\ufe0f\u034f" + `"}`}}, 200, []string{`a\u3164\u2800\ufe0f\u034f`}},
		{"marks do not cover other lines", url.Values{"request": {`{"x":"a` + strings.Repeat("\u0301", 6) + `"}`}}, 200, []string{"a" + strings.Repeat("\u0301", 4) + `\u0301\u0301&#34;`}},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			w := get(t, page, test.query)
			if w.Code != test.status {
				t.Errorf("status %d", w.Code)
			}
			for _, want := range test.says {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("the page lacks %q:\n%s", want, w.Body)
				}
			}
			if n := strings.Count(w.Body.String(), "<script") + strings.Count(w.Body.String(), "<img"); n > 0 {
				t.Errorf("%d elements were added", n)
			}
			if w.Header().Get("Cache-Control") != "no-store" || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") {
				t.Errorf("headers are %v", w.Header())
			}
		})
	}
}

func TestTheFormIsBounded(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/", strings.NewReader("request="+strings.Repeat("x", 1<<20)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	newPage(t).ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "too large") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

// Every color has enough contrast with both backgrounds, light and dark: WCAG 2.2 §1.4.3,
// and §1.4.11 for lines.
func TestContrast(t *testing.T) {
	source, err := os.ReadFile("page.html")
	if err != nil {
		t.Fatal(err)
	}
	schemes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(source), -1)
	if len(schemes) != 2 {
		t.Fatalf("%d color schemes", len(schemes))
	}
	for _, scheme := range schemes {
		colors := make(map[string]float64)
		for _, c := range regexp.MustCompile(`--(\w+): #(\w{6});`).FindAllStringSubmatch(scheme[1], -1) {
			colors[c[1]] = luminance(t, c[2])
		}
		if len(colors) != 8 {
			t.Errorf("%d colors", len(colors))
		}
		for name, color := range colors {
			for _, background := range []string{"page", "raised"} {
				least := 4.5
				switch name {
				case "page", "raised":
					continue
				case "line":
					least = 3
				}
				lighter, darker := max(color, colors[background]), min(color, colors[background])
				if ratio := (lighter + 0.05) / (darker + 0.05); ratio < least {
					t.Errorf("%s on %s has a contrast of %.2f, less than %.1f", name, background, ratio, least)
				}
			}
		}
	}
}

// luminance returns the relative luminance of a color.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

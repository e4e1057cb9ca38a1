package spec_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func corsHandler(t *testing.T, cors dcr.CORS) http.Handler {
	t.Helper()
	return newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true, CORS: cors})
}

// call sends a request as a page does, or a preflight if asks is set.
func call(t *testing.T, h http.Handler, method, url, origin, asks string) http.Header {
	t.Helper()
	r := newRequest(method, url, "", plainBody)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	if asks != "" {
		r.Header.Set("Access-Control-Request-Method", asks)
		r.Header.Set("Access-Control-Request-Headers", "authorization, content-type, mcp-protocol-version")
	}
	a := exchange(t, h, r)
	a.header.Set("X-Status", http.StatusText(a.status))
	return a.header
}

func TestCORSOrigins(t *testing.T) {
	list := dcr.CORS{Origins: []string{"https://app.example.com"}}
	loopback := dcr.CORS{LoopbackOrigins: true}
	both := dcr.CORS{LoopbackOrigins: true, Origins: []string{"https://app.example.com"}}
	for _, c := range []struct {
		name   string
		cors   dcr.CORS
		origin string
		want   string // Access-Control-Allow-Origin
		varies bool
	}{
		{"off", dcr.CORS{}, "http://localhost:6274", "", false},
		{"any", dcr.CORS{AnyOrigin: true}, "https://evil.example", "*", false},
		{"any, without an origin", dcr.CORS{AnyOrigin: true}, "", "", false},
		{"on the list", list, "https://app.example.com", "https://app.example.com", true},
		{"not on the list", list, "https://evil.example", "", true},
		{"on the list except for its port", list, "https://app.example.com:8443", "", true},
		{"on the list except for its scheme", list, "http://app.example.com", "", true},
		{"no page at all", list, "", "", true},
		{"an opaque origin", both, "null", "", true},
		{"loopback by name", loopback, "http://localhost:6274", "http://localhost:6274", true},
		{"loopback by address", loopback, "https://127.0.0.1:1", "https://127.0.0.1:1", true},
		{"loopback by IPv6 address", loopback, "http://[::1]:6274", "http://[::1]:6274", true},
		{"a loopback look-alike", loopback, "http://localhost.evil.example", "", true},
		{"another loopback look-alike", loopback, "http://127.0.0.1.evil.example", "", true},
		{"an app scheme with the name localhost", loopback, "app://localhost", "", true},
		{"loopback with a path", loopback, "http://localhost:6274/x", "", true},
		{"both, the list", both, "https://app.example.com", "https://app.example.com", true},
		{"both, loopback", both, "http://localhost", "http://localhost", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := corsHandler(t, c.cors)
			for _, asks := range []string{"", "POST"} {
				method := http.MethodPost
				if asks != "" {
					method = http.MethodOptions
				}
				header := call(t, h, method, endpoint, c.origin, asks)
				if got := header.Values("Access-Control-Allow-Origin"); strings.Join(got, "|") != c.want {
					t.Errorf("%s: Access-Control-Allow-Origin %q, want %q", method, got, c.want)
				}
				if varies := slices.Equal(header.Values("Vary"), []string{"Origin"}); varies != c.varies {
					t.Errorf("%s: Vary %q", method, header.Values("Vary"))
				}
				if header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s: credentials are allowed", method)
				}
			}
		})
	}
}

func TestCORSPreflight(t *testing.T) {
	h := corsHandler(t, dcr.CORS{AnyOrigin: true, Headers: []string{"X-Tenant"}})
	for _, c := range []struct{ url, asks, methods string }{
		{endpoint, "POST", "POST, OPTIONS"},
		{endpoint + "?client_id=1", "DELETE", "GET, HEAD, PUT, DELETE, OPTIONS"},
	} {
		header := call(t, h, http.MethodOptions, c.url, "http://localhost:6274", c.asks)
		for name, want := range map[string]string{
			"X-Status":                      "No Content",
			"Access-Control-Allow-Methods":  c.methods,
			"Access-Control-Allow-Headers":  "Authorization, Content-Type, MCP-Protocol-Version, X-Tenant",
			"Access-Control-Max-Age":        "3600",
			"Access-Control-Expose-Headers": "",
			"Allow":                         c.methods,
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", c.url, name, got, want)
			}
		}
	}
}

func TestCORSLetsErrorsBeRead(t *testing.T) {
	h := corsHandler(t, dcr.CORS{AnyOrigin: true})
	for _, url := range []string{endpoint + "?client_id=nobody", endpoint + "?client_id=a&client_id=b"} {
		header := call(t, h, http.MethodGet, url, "https://app.example.com", "")
		if header.Get("Access-Control-Allow-Origin") != "*" || header.Get("Access-Control-Expose-Headers") != "WWW-Authenticate, Retry-After" {
			t.Errorf("%s: %v", url, header)
		}
	}
}

func TestCORSLetsRefusalsOfRequireBeRead(t *testing.T) {
	const page = "https://app.example.com"
	refuses := func(code dcr.Code) dcr.Authenticator {
		return func(*http.Request) (*dcr.Caller, error) { return nil, dcr.Errorf(code, "refused") }
	}
	nobody := func(*http.Request) (*dcr.Caller, error) { return nil, nil }
	somebody := func(*http.Request) (*dcr.Caller, error) { return &dcr.Caller{Subject: "page"}, nil }
	list := dcr.CORS{Origins: []string{page}}
	for _, c := range []struct {
		sentence     string
		cors         dcr.CORS
		authenticate dcr.Authenticator
		origin       string
		status, want string
	}{
		{"no token", list, nobody, page, "Unauthorized", page},
		{"a token that is refused", list, refuses(dcr.InvalidToken), page, "Unauthorized", page},
		{"a token with another scope", list, refuses(dcr.InsufficientScope), page, "Forbidden", page},
		{"an outage", list, refuses(dcr.TemporarilyUnavailable), page, "Service Unavailable", page},
		{"every page", dcr.CORS{AnyOrigin: true}, nobody, page, "Unauthorized", "*"},
		{"a page that may not call", list, nobody, "https://evil.example", "Unauthorized", ""},
		{"no page may call", dcr.CORS{}, nobody, page, "Unauthorized", ""},
		{"an admitted caller gets the handler's answer", list, somebody, page, "Created", page},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			header := call(t, dcr.Require(c.authenticate)(corsHandler(t, c.cors)), http.MethodPost, endpoint, c.origin, "")
			if got := strings.Join(header.Values("Access-Control-Allow-Origin"), "|"); header.Get("X-Status") != c.status || got != c.want {
				t.Errorf("%s, Access-Control-Allow-Origin %q, want %s, %q", header.Get("X-Status"), got, c.status, c.want)
			}
			if got := header.Get("Access-Control-Expose-Headers"); (got == "WWW-Authenticate, Retry-After") != (c.want != "") {
				t.Errorf("Access-Control-Expose-Headers %q", got)
			}
		})
	}
}

func TestCORSBehindTheHostsOwn(t *testing.T) {
	inner := corsHandler(t, dcr.CORS{Origins: []string{"https://app.example.com"}})
	host := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://other.example")
		w.Header().Set("Vary", "Accept-Encoding, origin")
		inner.ServeHTTP(w, r)
	})
	header := call(t, host, http.MethodPost, endpoint, "https://app.example.com", "")
	if got := header.Values("Access-Control-Allow-Origin"); !slices.Equal(got, []string{"https://other.example"}) {
		t.Errorf("Access-Control-Allow-Origin %q", got)
	}
	if got := header.Values("Vary"); len(got) != 1 {
		t.Errorf("Vary %q", got)
	}
	varying := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding, origin")
		inner.ServeHTTP(w, r)
	})
	if got := call(t, varying, http.MethodPost, endpoint, "https://app.example.com", "").Values("Vary"); len(got) != 1 {
		t.Errorf("Vary is doubled: %q", got)
	}
}

func TestCORSOriginsThatNoBrowserSends(t *testing.T) {
	for _, origin := range []string{"*", "https://app.example.com/", "https://App.example.com", "app.example.com", "https://*.example.com", "null", "",
		"https://app.example.com:443", "http://localhost:80", "https://[2001:db8:0::1]", "https://app.example.com?", "https://app.example.com:0", "myapp:a", "https://\u212Aey.example"} {
		_, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: endpoint, CORS: dcr.CORS{Origins: []string{origin}}})
		if err == nil || !strings.Contains(err.Error(), "Options.CORS.Origins") {
			t.Errorf("%q: %v", origin, err)
		}
	}
	for _, origin := range []string{"https://app.example.com", "https://app.example.com:8443", "http://localhost:443", "https://[2001:db8::1]:80", "capacitor://localhost"} {
		if _, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: endpoint, CORS: dcr.CORS{Origins: []string{origin}}}); err != nil {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

func TestCORSWrap(t *testing.T) {
	asked := 0
	token := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++; w.WriteHeader(http.StatusTeapot) })
	wrapped := dcr.CORS{Origins: []string{"https://app.example.com"}, Headers: []string{"DPoP"}}.Wrap(token, "GET, POST")
	for _, c := range []struct {
		sentence, method, origin, asks string
		status, allowed                string
		reaches                        bool
	}{
		{"a page's preflight is answered", "OPTIONS", "https://app.example.com", "POST", "No Content", "https://app.example.com", false},
		{"another page's preflight too, but it allows nothing", "OPTIONS", "https://evil.example", "POST", "No Content", "", false},
		{"an OPTIONS that is not a preflight goes to the endpoint", "OPTIONS", "https://app.example.com", "", "I'm a teapot", "https://app.example.com", true},
		{"a page may read what the endpoint answers", "POST", "https://app.example.com", "", "I'm a teapot", "https://app.example.com", true},
		{"another page may not", "POST", "https://evil.example", "", "I'm a teapot", "", true},
		{"other programs notice nothing", "POST", "", "", "I'm a teapot", "", true},
	} {
		asked = 0
		header := call(t, wrapped, c.method, "/token", c.origin, c.asks)
		if header.Get("X-Status") != c.status || header.Get("Access-Control-Allow-Origin") != c.allowed || (asked == 1) != c.reaches || header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", c.sentence, header)
		}
		if asks := c.asks != "" && c.allowed != ""; asks && (header.Get("Access-Control-Allow-Methods") != "GET, POST" || !strings.HasSuffix(header.Get("Access-Control-Allow-Headers"), ", DPoP")) {
			t.Errorf("%s: %v", c.sentence, header)
		}
	}
	if header := call(t, dcr.CORS{}.Wrap(token, "POST"), "OPTIONS", "/token", "https://app.example.com", "POST"); header.Get("X-Status") != "I'm a teapot" {
		t.Errorf("a CORS with nothing set changes something: %v", header)
	}
	defer func() {
		if recover() == nil {
			t.Error("an origin that no browser sends is accepted")
		}
	}()
	dcr.CORS{Origins: []string{"https://app.example.com/"}}.Wrap(token, "POST")
}

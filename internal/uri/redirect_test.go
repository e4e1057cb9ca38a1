package uri_test

import (
	"strings"
	"testing"

	"github.com/dynreg/dcr/internal/uri"
)

// matches are pairs of a registered and a requested redirect URI. The result
// must be the same if the two are exchanged.
var matches = []struct {
	why, registered, requested string
	match                      bool
}{
	{"equal", "https://a.example/cb", "https://a.example/cb", true},
	{"equal private-use URIs", "myapp:/cb", "myapp:/cb", true},
	{"equal to the last byte of the query", "https://a.example/cb?x=1", "https://a.example/cb?x=1", true},
	{"nothing matches nothing", "", "", false},
	{"nothing registered", "", "https://a.example/cb", false},
	{"the case of the host counts", "https://a.example/cb", "https://A.example/cb", false},
	{"the case of the scheme counts", "https://a.example/cb", "HTTPS://a.example/cb", false},
	{"a trailing slash counts", "https://a.example/cb", "https://a.example/cb/", false},
	{"an empty path is not a slash", "https://a.example", "https://a.example/", false},
	{"an added query", "https://a.example/cb", "https://a.example/cb?x=1", false},
	{"an added empty query", "https://a.example/cb", "https://a.example/cb?", false},
	{"an added fragment", "https://a.example/cb", "https://a.example/cb#x", false},
	{"an escape is not its character", "https://a.example/a-b", "https://a.example/a%2Db", false},
	{"the default port of https", "https://a.example/cb", "https://a.example:443/cb", false},
	{"another port of a remote host", "http://a.example:1/cb", "http://a.example:2/cb", false},
	{"another port on https", "https://127.0.0.1:1/cb", "https://127.0.0.1:2/cb", false},
	{"another port of a private-use URI", "myapp://127.0.0.1:1/cb", "myapp://127.0.0.1:2/cb", false},
	{"http for https", "https://127.0.0.1/cb", "http://127.0.0.1/cb", false},

	{"any port if one is registered", "http://127.0.0.1:3000/cb", "http://127.0.0.1:33418/cb", true},
	{"any port if none is registered", "http://127.0.0.1/cb", "http://127.0.0.1:33418/cb", true},
	{"no port if one is registered", "http://127.0.0.1:3000/cb", "http://127.0.0.1/cb", true},
	{"any port of the IPv6 address", "http://[::1]/cb", "http://[::1]:33418/cb", true},
	{"any port of localhost", "http://localhost:3000/cb", "http://localhost:33418/cb", true},
	{"any port without a path", "http://localhost", "http://localhost:33418", true},
	{"any port before a query", "http://localhost?x=1", "http://localhost:33418?x=1", true},
	{"localhost is not 127.0.0.1", "http://localhost/cb", "http://127.0.0.1:33418/cb", false},
	{"127.0.0.1 is not [::1]", "http://127.0.0.1/cb", "http://[::1]:33418/cb", false},
	{"[::1] is not localhost", "http://[::1]/cb", "http://localhost:33418/cb", false},
	{"another form of the same address", "http://[::1]/cb", "http://[0::1]:33418/cb", false},
	{"localhost in other letters", "http://localhost/cb", "http://Localhost:33418/cb", false},
	{"another address of 127.0.0.0/8", "http://127.0.0.1/cb", "http://127.0.0.2/cb", false},
	{"any port of another address of 127.0.0.0/8", "http://127.0.0.2:1/cb", "http://127.0.0.2:2/cb", false},
	{"another path on another port", "http://127.0.0.1/cb", "http://127.0.0.1:33418/other", false},
	{"a longer path on another port", "http://127.0.0.1/cb", "http://127.0.0.1:33418/cb/x", false},
	{"another query on another port", "http://127.0.0.1/cb?x=1", "http://127.0.0.1:33418/cb?x=2", false},
	{"a fragment on another port", "http://127.0.0.1/cb", "http://127.0.0.1:33418/cb#x", false},
	{"a user that looks like a port", "http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb", false},
	{"a host that begins like the loopback address", "http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false},
	{"an empty port", "http://127.0.0.1/cb", "http://127.0.0.1:/cb", false},
	{"a port out of range", "http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false},
	{"a wildcard as the port", "http://127.0.0.1:*/cb", "http://127.0.0.1:33418/cb", false},
	{"another form of the IPv4 address", "http://127.0.0.1/cb", "http://127.1:33418/cb", false},
	{"a path that a browser would shorten", "http://127.0.0.1/cb", "http://127.0.0.1:33418/x/../cb", false},
	{"a backslash before the path", "http://127.0.0.1/cb", `http://127.0.0.1:33418\cb`, false},
}

// portZero are pairs whose order matters: a registered port 0 stands for any
// port (Kilo Code, HolmesGPT and Orchid register it), a requested port 0 for
// none.
var portZero = []struct {
	why, registered, requested string
	match                      bool
}{
	{"any port of 127.0.0.1", "http://127.0.0.1:0/cb", "http://127.0.0.1:33418/cb", true},
	{"any port of [::1]", "http://[::1]:0/cb", "http://[::1]:33418/cb", true},
	{"any port of localhost", "http://localhost:0/cb", "http://localhost:33418/cb", true},
	{"no port", "http://localhost:0/cb", "http://localhost/cb", true},
	{"itself", "http://localhost:0/cb", "http://localhost:0/cb", false},
	{"requested if no port is registered", "http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false},
	{"requested if another port is registered", "http://127.0.0.1:3000/cb", "http://127.0.0.1:0/cb", false},
	{"another host", "http://localhost:0/cb", "http://127.0.0.1:33418/cb", false},
	{"another path", "http://localhost:0/cb", "http://localhost:33418/", false},
	{"of a remote host", "http://a.example:0/cb", "http://a.example:33418/cb", false},
	{"of a remote host, itself", "https://a.example:0/cb", "https://a.example:0/cb", false},
	{"of another address of 127.0.0.0/8", "http://127.0.0.2:0/cb", "http://127.0.0.2:33418/cb", false},
	{"of https", "https://localhost:0/cb", "https://localhost:33418/cb", false},
	{"of a private-use URI", "myapp://localhost:0/cb", "myapp://localhost:33418/cb", false},
	{"written twice", "http://localhost:00/cb", "http://localhost:33418/cb", false},
}

func TestMatchPortZero(t *testing.T) {
	for _, tt := range portZero {
		if uri.MatchRedirect(tt.registered, tt.requested) != tt.match {
			t.Errorf("%s: MatchRedirect(%q, %q) = %t", tt.why, tt.registered, tt.requested, !tt.match)
		}
	}
}

func TestMatchRedirect(t *testing.T) {
	for _, tt := range matches {
		if uri.MatchRedirect(tt.registered, tt.requested) != tt.match {
			t.Errorf("%s: MatchRedirect(%q, %q) = %t", tt.why, tt.registered, tt.requested, !tt.match)
		}
		if uri.MatchRedirect(tt.requested, tt.registered) != tt.match {
			t.Errorf("%s: MatchRedirect(%q, %q) = %t", tt.why, tt.requested, tt.registered, !tt.match)
		}
	}
}

// FuzzMatchRedirect checks that unequal URIs match only if both are http
// loopback redirects that are equal without their ports. It does not matter
// then which of the two was registered, unless one has port 0.
func FuzzMatchRedirect(f *testing.F) {
	for _, tt := range matches {
		f.Add(tt.registered, tt.requested)
	}
	f.Fuzz(func(t *testing.T, registered, requested string) {
		match := uri.MatchRedirect(registered, requested)
		a, errA := uri.ParseRedirect(registered)
		b, errB := uri.Parse(requested)
		if _, err := uri.Parse(registered); errA == nil && err != nil && errB == nil {
			if uri.MatchRedirect(requested, registered) {
				t.Fatalf("MatchRedirect(%q, %q) is true for port 0", requested, registered)
			}
		} else if match != uri.MatchRedirect(requested, registered) {
			t.Fatalf("MatchRedirect(%q, %q) depends on the order", registered, requested)
		}
		if registered == requested {
			if match != (registered != "") && !strings.Contains(registered, ":0") {
				t.Fatalf("MatchRedirect(%q, the same) = %t", registered, match)
			}
			return
		}
		want := errA == nil && errB == nil && a.Kind() == uri.LoopbackHTTP && b.Kind() == uri.LoopbackHTTP &&
			withoutPort(registered, a) == withoutPort(requested, b)
		if match != want {
			t.Fatalf("MatchRedirect(%q, %q) = %t", registered, requested, match)
		}
	})
}

// withoutPort removes the port from a URI with a host.
func withoutPort(s string, u uri.URI) string {
	if u.Port == "" {
		return s
	}
	scheme, rest, _ := strings.Cut(s, "//")
	authority := strings.IndexAny(rest+"/", "/?#")
	return scheme + "//" + strings.TrimSuffix(rest[:authority], ":"+u.Port) + rest[authority:]
}

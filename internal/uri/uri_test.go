package uri_test

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr/internal/uri"
)

// accepted are URIs that Parse must accept, with the parts that it must find.
// The browser test and the fuzz tests start from them too.
var accepted = []struct {
	why, uri, host, port, path string
	kind                       uri.Kind
}{
	{"the plain case", "https://client.example.com/callback", "client.example.com", "", "/callback", uri.HTTPS},
	{"no path", "https://client.example.com", "client.example.com", "", "", uri.HTTPS},
	{"a query right after the host", "https://client.example.com?x=1", "client.example.com", "", "", uri.HTTPS},
	{"scheme and host in any case", "HTTPS://Client.EXAMPLE.com/CallBack", "client.example.com", "", "/CallBack", uri.HTTPS},
	{"a port", "https://client.example.com:8443/cb", "client.example.com", "8443", "/cb", uri.HTTPS},
	{"the default port, written", "https://client.example.com:443/cb", "client.example.com", "443", "/cb", uri.HTTPS},
	{"the last port", "https://client.example.com:65535/cb", "client.example.com", "65535", "/cb", uri.HTTPS},
	{"a colon in the path", "https://client.example.com/oauth/clients/mcp:tools/callback", "client.example.com", "", "/oauth/clients/mcp:tools/callback", uri.HTTPS},
	{"an @ in the path", "https://client.example.com/@me/cb", "client.example.com", "", "/@me/cb", uri.HTTPS},
	{"two slashes in the path", "https://client.example.com//cb", "client.example.com", "", "//cb", uri.HTTPS},
	{"segments that only begin with dots", "https://client.example.com/.well-known/...x/.a/..b", "client.example.com", "", "/.well-known/...x/.a/..b", uri.HTTPS},
	{"dots in the query", "https://client.example.com/cb?next=/../x", "client.example.com", "", "/cb", uri.HTTPS},
	{"an encoded slash and backslash", "https://client.example.com/a%2fb%5Cc", "client.example.com", "", "/a%2fb%5Cc", uri.HTTPS},
	{"every other character of RFC 3986", "https://client.example.com/-._~!$&'()+,;=:@?-._~!$&()+,;=:@/?", "client.example.com", "", "/-._~!$&'()+,;=:@", uri.HTTPS},
	{"an underscore in the host", "https://my_app.example.com/cb", "my_app.example.com", "", "/cb", uri.HTTPS},
	{"an internationalised host", "https://xn--bcher-kva.example/cb", "xn--bcher-kva.example", "", "/cb", uri.HTTPS},
	{"a host of one label", "https://intranet/cb", "intranet", "", "/cb", uri.HTTPS},
	{"a label of 63 characters", "https://" + strings.Repeat("a", 63) + ".example/cb", strings.Repeat("a", 63) + ".example", "", "/cb", uri.HTTPS},
	{"a host of 253 characters", "https://" + longHost(253) + "/cb", longHost(253), "", "/cb", uri.HTTPS},
	{"an IPv4 address", "https://192.0.2.1/cb", "192.0.2.1", "", "/cb", uri.HTTPS},
	{"numbers in a host that is not an address", "https://1.2.3.4.example/cb", "1.2.3.4.example", "", "/cb", uri.HTTPS},
	{"a last label that only begins like a number", "https://example.0xg/cb", "example.0xg", "", "/cb", uri.HTTPS},
	{"an IPv6 address", "https://[2001:db8::1]:8443/cb", "2001:db8::1", "8443", "/cb", uri.HTTPS},
	{"an IPv6 address in a long form", "https://[2001:0DB8:0:0:0:0:0:1]/cb", "2001:db8::1", "", "/cb", uri.HTTPS},
	{"remote http", "http://client.example.com/cb", "client.example.com", "", "/cb", uri.HTTP},

	{"the IPv4 loopback address", "http://127.0.0.1:33418/callback", "127.0.0.1", "33418", "/callback", uri.LoopbackHTTP},
	{"the IPv4 loopback address without a port", "http://127.0.0.1/callback", "127.0.0.1", "", "/callback", uri.LoopbackHTTP},
	{"the IPv6 loopback address", "http://[::1]:33418/callback", "::1", "33418", "/callback", uri.LoopbackHTTP},
	{"the IPv6 loopback address in full", "http://[0:0:0:0:0:0:0:1]/callback", "::1", "", "/callback", uri.LoopbackHTTP},
	{"the IPv6 loopback address with an IPv4 tail", "http://[::0.0.0.1]/callback", "::1", "", "/callback", uri.LoopbackHTTP},
	{"localhost", "http://localhost:8080", "localhost", "8080", "", uri.LoopbackHTTP},
	{"localhost in capitals", "http://LOCALHOST/cb", "localhost", "", "/cb", uri.LoopbackHTTP},
	{"https on localhost", "https://localhost/cb", "localhost", "", "/cb", uri.LoopbackHTTPS},
	{"https on the loopback address", "https://127.0.0.1/cb", "127.0.0.1", "", "/cb", uri.LoopbackHTTPS},
	{"another address of 127.0.0.0/8 is not loopback", "http://127.0.0.2/cb", "127.0.0.2", "", "/cb", uri.HTTP},
	{"the unspecified address is not loopback", "http://0.0.0.0/cb", "0.0.0.0", "", "/cb", uri.HTTP},
	{"a host that begins like the loopback address", "http://127.0.0.1.evil.example/cb", "127.0.0.1.evil.example", "", "/cb", uri.HTTP},
	{"a host that begins like 127", "http://127.evil.example/cb", "127.evil.example", "", "/cb", uri.HTTP},
	{"a host that begins like localhost", "http://localhost.evil.example/cb", "localhost.evil.example", "", "/cb", uri.HTTP},
	{"a host below localhost", "http://foo.localhost/cb", "foo.localhost", "", "/cb", uri.HTTP},
	{"a host that ends like localhost", "http://notlocalhost/cb", "notlocalhost", "", "/cb", uri.HTTP},

	{"Cursor's redirect", "cursor://anysphere.cursor-mcp/oauth/callback", "anysphere.cursor-mcp", "", "/oauth/callback", uri.PrivateUse},
	{"VS Code's redirect", "vscode://vscode.github-authentication/did-authenticate", "vscode.github-authentication", "", "/did-authenticate", uri.PrivateUse},
	{"a reversed domain with one slash", "com.example.app:/cb", "", "", "/cb", uri.PrivateUse},
	{"a private-use scheme with only two slashes", "myapp://", "", "", "", uri.PrivateUse},
	{"a private-use scheme with three slashes", "myapp:///cb", "", "", "/cb", uri.PrivateUse},
	{"a private-use scheme with only a host", "sample-windows-client://callback", "callback", "", "", uri.PrivateUse},
	{"a private-use scheme without slashes", "myapp:callback", "", "", "callback", uri.PrivateUse},
	{"a private-use scheme in capitals", "MyApp://CallBack", "callback", "", "", uri.PrivateUse},
	{"a private-use scheme on localhost", "myapp://localhost/cb", "localhost", "", "/cb", uri.PrivateUse},
}

func TestParseAccepts(t *testing.T) {
	for _, tt := range accepted {
		u, err := uri.Parse(tt.uri)
		if err != nil {
			t.Errorf("%s: Parse(%q): %v", tt.why, tt.uri, err)
			continue
		}
		if u.Host != tt.host || u.Port != tt.port || u.Path != tt.path || u.Kind() != tt.kind {
			t.Errorf("%s: Parse(%q) has host %q, port %q, path %q and kind %d, want %q, %q, %q and %d",
				tt.why, tt.uri, u.Host, u.Port, u.Path, u.Kind(), tt.host, tt.port, tt.path, tt.kind)
		}
		isLoopback := tt.host == "127.0.0.1" || tt.host == "::1" || tt.host == "localhost"
		if u.IsLoopback() != isLoopback {
			t.Errorf("%s: Parse(%q) is loopback: %t", tt.why, tt.uri, u.IsLoopback())
		}
	}
}

func TestParseReportsParts(t *testing.T) {
	for _, tt := range []struct {
		why, uri string
		want     uri.URI
	}{
		{"all parts", "https://a.example:1/p?q#f", uri.URI{Scheme: "https", Host: "a.example", Port: "1", Path: "/p", Query: "q", Fragment: "f", HasAuthority: true, HasQuery: true, HasFragment: true}},
		{"an empty fragment is a fragment", "https://a.example/#", uri.URI{Scheme: "https", Host: "a.example", Path: "/", HasAuthority: true, HasFragment: true}},
		{"an empty query is a query", "https://a.example/?", uri.URI{Scheme: "https", Host: "a.example", Path: "/", HasAuthority: true, HasQuery: true}},
		{"a ? in the fragment does not begin a query", "https://a.example/#a?b", uri.URI{Scheme: "https", Host: "a.example", Path: "/", Fragment: "a?b", HasAuthority: true, HasFragment: true}},
		{"a wildcard in the path", "https://a.example/*", uri.URI{Scheme: "https", Host: "a.example", Path: "/*", HasAuthority: true, HasWildcard: true}},
		{"a wildcard in the query", "https://a.example?x=*", uri.URI{Scheme: "https", Host: "a.example", Query: "x=*", HasAuthority: true, HasQuery: true, HasWildcard: true}},
		{"a wildcard in a URI without slashes", "myapp:*", uri.URI{Scheme: "myapp", Path: "*", HasWildcard: true}},
		{"dot segments mean nothing without a hierarchy", "myapp:a/../b", uri.URI{Scheme: "myapp", Path: "a/../b"}},
		{"an encoded control character outside the path", "https://a.example/?x=%0a", uri.URI{Scheme: "https", Host: "a.example", Path: "/", Query: "x=%0a", HasAuthority: true, HasQuery: true}},
	} {
		u, err := uri.Parse(tt.uri)
		if err != nil {
			t.Errorf("%s: Parse(%q): %v", tt.why, tt.uri, err)
			continue
		}
		got := uri.URI{Scheme: u.Scheme, Host: u.Host, Port: u.Port, Path: u.Path, Query: u.Query, Fragment: u.Fragment,
			HasAuthority: u.HasAuthority, HasQuery: u.HasQuery, HasFragment: u.HasFragment, HasWildcard: u.HasWildcard}
		if got != tt.want {
			t.Errorf("%s: Parse(%q) = %+v, want %+v", tt.why, tt.uri, got, tt.want)
		}
	}
}

// rejected are URIs that Parse must refuse, with a word from the error.
var rejected = []struct{ why, uri, reason string }{
	{"nothing", "", "empty"},
	{"a letter outside ASCII", "https://bücher.example/cb", "ASCII"},
	{"a full stop outside ASCII", "https://evil。example/cb", "ASCII"},
	{"invalid UTF-8", "https://a.example/\xff", "ASCII"},
	{"a line feed, which browsers drop", "https://a.exa\nmple/cb", "control"},
	{"a tab, which browsers drop", "java\tscript:alert(1)", "control"},
	{"a NUL", "https://a.example/\x00", "control"},
	{"DEL", "https://a.example/\x7f", "control"},
	{"a space before the URI, which browsers drop", " https://a.example/", "space"},
	{"a space after the URI", "https://a.example/ ", "space"},
	{"a space in the path", "https://a.example/a b", "space"},
	{"a backslash instead of a slash", `https:\\a.example/cb`, "backslash"},
	{"a backslash that ends a host for browsers", `https://evil.example\@a.example/cb`, "backslash"},
	{"a quote", `https://a.example/"`, "any of"},
	{"a less-than sign", "https://a.example/<script>", "any of"},
	{"a circumflex", "https://a.example/^", "any of"},
	{"a backtick", "https://a.example/`", "any of"},
	{"a template", "https://a.example/{id}", "any of"},
	{"a vertical bar", "https://a.example|b/", "any of"},
	{"brackets in the query", "https://a.example/?a[]=1", "[ or ]"},
	{"a second fragment", "https://a.example/#a#b", "second #"},
	{"a relative reference", "/cb", "scheme"},
	{"a reference to another host", "//a.example/cb", "scheme"},
	{"only a host", "a.example/cb", "scheme"},
	{"a scheme that begins with a digit", "1app:/cb", "scheme"},
	{"an underscore in the scheme", "my_app:/cb", "scheme"},
	{"only a colon", ":", "scheme"},
	{"only a scheme", "myapp:", "after its scheme"},
	{"a lone percent sign", "https://a.example/100%", "hexadecimal"},
	{"a percent sign with one digit", "https://a.example/%4", "hexadecimal"},
	{"a percent sign with other letters", "https://a.example/?x=%zz", "hexadecimal"},
	{"a malformed escape in a fragment", "https://a.example/#%g0", "hexadecimal"},
	{"an encoded NUL in the path", "https://a.example/%00", "encoded control"},
	{"an encoded line feed in the path", "https://a.example/a%0Ab", "encoded control"},
	{"an encoded DEL in the path", "https://a.example/%7f", "encoded control"},
	{"an encoded NUL in a path without slashes", "myapp:%00", "encoded control"},

	{"https without slashes", "https:a.example/cb", "//"},
	{"https with one slash", "https:/a.example/cb", "//"},
	{"https with three slashes", "https:///a.example/cb", "host"},
	{"https without a host", "https://", "host"},
	{"http with a port and no host", "http://:80/cb", "host"},
	{"http with a query and no host", "http://?x", "host"},
	{"a private-use scheme with a port and no host", "myapp://:80/cb", "host"},
	{"a user", "https://user@a.example/", "user information"},
	{"a user and a password", "https://user:pass@a.example/", "user information"},
	{"an empty user", "https://@a.example/", "user information"},
	{"a user that looks like a host", "https://a.example:443@evil.example/", "user information"},
	{"a user in a private-use URI", "myapp://a@b/cb", "user information"},
	{"an encoded host", "https://%61.example/", "percent-encoding"},
	{"an encoded slash in the host", "https://a.example%2f.evil.example/", "percent-encoding"},
	{"a wildcard in the host", "https://*.example.com/cb", "wildcard"},
	{"a wildcard as the port", "http://localhost:*/cb", "wildcard"},
	{"an empty port", "https://a.example:/cb", "port"},
	{"port zero", "https://a.example:0/cb", "port"},
	{"a port with a leading zero", "https://a.example:0443/cb", "port"},
	{"a port out of range", "https://a.example:65536/cb", "port"},
	{"a port of many digits", "https://a.example:18446744073709551617/cb", "port"},
	{"a port with a sign", "https://a.example:+80/cb", "port"},
	{"two ports", "https://a.example:80:80/cb", "port"},
	{"a trailing dot", "https://a.example./cb", "dot"},
	{"localhost with a trailing dot", "http://localhost./cb", "dot"},
	{"a leading dot", "https://.a.example/cb", "dot"},
	{"two dots in a row", "https://a..example/cb", "dot"},
	{"only dots", "https://../cb", "dot"},
	{"a label of 64 characters", "https://" + strings.Repeat("a", 64) + ".example/", "63"},
	{"a host of 254 characters", "https://" + longHost(254) + "/", "253"},
	{"a character that no host may have", "https://a!b.example/", "letters"},
	{"an xn-- label that stands for plain ASCII", "https://xn--evil-.example/", "xn--"},
	{"an xn-- label that stands for nothing", "https://xn--.example/", "xn--"},

	{"an IPv4 address of two numbers", "http://127.1/cb", "IPv4"},
	{"an IPv4 address of three numbers", "http://127.0.1/cb", "IPv4"},
	{"an IPv4 address with a hexadecimal number", "http://0x7f.1/cb", "IPv4"},
	{"an IPv4 address that ends in a hexadecimal number", "http://127.0.0.0X1/cb", "IPv4"},
	{"an IPv4 address of one hexadecimal number", "http://0x7f000001/cb", "IPv4"},
	{"an IPv4 address of one number", "http://2130706433/cb", "IPv4"},
	{"an IPv4 address with an octal number", "http://0177.0.0.1/cb", "IPv4"},
	{"an IPv4 address with a leading zero", "http://127.0.0.01/cb", "IPv4"},
	{"an IPv4 address of five numbers", "http://127.0.0.0.1/cb", "IPv4"},
	{"an IPv4 number out of range", "http://127.0.0.256/cb", "IPv4"},
	{"a name that ends in a number", "http://example.1/cb", "IPv4"},
	{"a name that ends in an empty hexadecimal number", "http://example.0x/cb", "IPv4"},
	{"an IPv6 address without brackets", "http://fe80::1/cb", "port"},
	{"an IPv6 address without brackets or a first group", "http://::1/cb", "host"},
	{"an IPv6 address without its last bracket", "http://[::1/cb", "IPv6"},
	{"an IPv6 address without its first bracket", "http://::1]/cb", "IPv6"},
	{"empty brackets", "http://[]/cb", "IPv6"},
	{"an IPv4 address in brackets", "http://[127.0.0.1]/cb", "IPv6"},
	{"a name in brackets", "http://[localhost]/cb", "IPv6"},
	{"an address of a later version", "http://[v1.a]/cb", "IPv6"},
	{"a zone", "http://[fe80::1%25eth0]/cb", "percent-encoding"},
	{"something after the brackets", "http://[::1]evil.example/cb", "port"},
	{"something before the brackets", "http://a[::1]/cb", "IPv6"},
	{"a mapped IPv4 address", "http://[::ffff:127.0.0.1]/cb", "IPv6"},
	{"a mapped IPv4 address in hexadecimal", "http://[::ffff:7f00:1]/cb", "IPv6"},

	{"a segment of one dot", "https://a.example/./cb", "segment"},
	{"a segment of two dots", "https://a.example/cb/../admin", "segment"},
	{"two dots at the end", "https://a.example/cb/..", "segment"},
	{"an encoded dot", "https://a.example/%2e/cb", "segment"},
	{"two encoded dots", "https://a.example/%2E%2e/cb", "segment"},
	{"a half-encoded pair of dots", "https://a.example/.%2E?x", "segment"},
	{"dots in a private-use URI with a host", "myapp://a/../b", "segment"},
	{"dots in a private-use URI with a path", "myapp:/../b", "segment"},

	{"a script", "javascript:alert(1)", "treat specially"},
	{"a script in mixed case", "JaVaScRiPt://a.example/%0aalert(1)", "treat specially"},
	{"a document in the URI", "data:text/html,x", "treat specially"},
	{"a file", "file:///etc/passwd", "treat specially"},
	{"the redirect that showed the code", "urn:ietf:wg:oauth:2.0:oob", "treat specially"},
	{"an Android intent", "intent://a.example/#Intent;end", "treat specially"},
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range rejected {
		u, err := uri.Parse(tt.uri)
		var refusal uri.Error
		switch {
		case err == nil:
			t.Errorf("%s: Parse(%q) = %+v, want an error", tt.why, tt.uri, u)
		case u != uri.URI{}:
			t.Errorf("%s: Parse(%q) fails but returns %+v", tt.why, tt.uri, u)
		case !errors.As(err, &refusal) || !strings.Contains(err.Error(), tt.reason):
			t.Errorf("%s: Parse(%q) fails with %q, want a word about %q", tt.why, tt.uri, err, tt.reason)
		}
	}
}

func TestSameOrigin(t *testing.T) {
	for _, tt := range []struct {
		why, a, b string
		same      bool
	}{
		{"paths do not count", "https://a.example/x", "https://a.example/y?z", true},
		{"case does not count", "https://A.example/", "HTTPS://a.EXAMPLE/", true},
		{"the port of https may be implied", "https://a.example/", "https://a.example:443/", true},
		{"the port of http may be implied", "http://a.example:80/", "http://a.example/", true},
		{"an address is the same in all its forms", "https://[2001:db8::1]/", "https://[2001:db8:0::1]/", true},
		{"another scheme", "https://a.example/", "http://a.example/", false},
		{"another scheme on the same port", "https://a.example:8080/", "http://a.example:8080/", false},
		{"another host", "https://a.example/", "https://b.example/", false},
		{"another port", "https://a.example/", "https://a.example:8443/", false},
		{"a private-use scheme implies no port", "myapp://a/", "myapp://a:443/", false},
	} {
		a, b := mustParse(t, tt.a), mustParse(t, tt.b)
		if a.SameOrigin(&b) != tt.same || b.SameOrigin(&a) != tt.same {
			t.Errorf("%s: %q and %q have the same origin: %t", tt.why, tt.a, tt.b, !tt.same)
		}
	}
}

func TestOrigin(t *testing.T) {
	for _, tt := range []struct{ why, text, want string }{
		{"without a path", "https://a.example/x?y#z", "https://a.example"},
		{"in lower case", "HTTPS://A.example", "https://a.example"},
		{"with a port of its own", "https://a.example:8443/", "https://a.example:8443"},
		{"without the port of https", "https://a.example:443/", "https://a.example"},
		{"without the port of http", "http://a.example:80/", "http://a.example"},
		{"with the port of the other scheme", "http://a.example:443/", "http://a.example:443"},
		{"an address in its shortest form", "https://[2001:DB8:0::1]:8443/", "https://[2001:db8::1]:8443"},
		{"a scheme without a default port", "myapp://a:443/", "myapp://a:443"},
	} {
		u := mustParse(t, tt.text)
		if got := u.Origin(); got != tt.want {
			t.Errorf("%s: the origin of %q is %q, want %q", tt.why, tt.text, got, tt.want)
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	for _, s := range []string{
		"https://client.example.com/callback?x=%20",
		"http://127.0.0.1:33418/callback",
		"http://[::1]:33418/callback",
		"cursor://anysphere.cursor-mcp/oauth/callback",
		"javascript:alert(1)",
	} {
		if n := testing.AllocsPerRun(10, func() { _, _ = uri.Parse(s) }); n > 0 {
			t.Errorf("Parse(%q) allocates %v times", s, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range accepted {
		f.Add(tt.uri)
	}
	for _, tt := range rejected {
		f.Add(tt.uri)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := uri.Parse(s)
		if err != nil {
			if msg := err.Error(); !strings.HasPrefix(msg, "must ") || strings.Trim(msg, printable) != "" {
				t.Fatalf("Parse(%q) fails with %q, which is not fit to be shown", s, msg)
			}
			return
		}
		std, err := url.Parse(s)
		if err != nil {
			t.Fatalf("Parse accepts %q, and net/url says %v", s, err)
		}
		host := strings.ToLower(std.Hostname())
		if addr, err := netip.ParseAddr(host); err == nil {
			host = addr.String()
		}
		if u.Scheme != std.Scheme || u.Host != host || u.Port != std.Port() || std.User != nil {
			t.Fatalf("Parse reads scheme %q, host %q and port %q in %q, and net/url %q, %q and %q", u.Scheme, u.Host, u.Port, s, std.Scheme, host, std.Port())
		}
		if path := cmp.Or(std.Opaque, std.EscapedPath()); u.Path != path || u.Query != std.RawQuery {
			t.Fatalf("Parse reads path %q and query %q in %q, and net/url %q and %q", u.Path, u.Query, s, path, std.RawQuery)
		}
		if !u.SameOrigin(&u) || !uri.MatchRedirect(s, s) {
			t.Fatalf("%q does not match itself", s)
		}
	})
}

var printable = func() string {
	var b strings.Builder
	for c := ' '; c < 0x7f; c++ {
		b.WriteRune(c)
	}
	return b.String()
}()

// longHost returns a host of n characters, with labels of at most 63.
func longHost(n int) string {
	host := strings.Repeat(strings.Repeat("a", 49)+".", n/50)
	return host + strings.Repeat("b", n-len(host))
}

func mustParse(t *testing.T, s string) uri.URI {
	t.Helper()
	u, err := uri.Parse(s)
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return u
}

func TestAddress(t *testing.T) {
	for _, host := range []string{
		"", ".", "a", "app.example.com", "localhost", "192.0.2.1", "192.0.2.1.", "192.0.2", "192.0.2.256", "192.0.2.01", "1", "0x7f000001",
		"app1", "::1", "::", "2001:db8::1", "fe80::1%eth0", "192.0.2.1%eth0", "::ffff:192.0.2.1", "[::1]", "a:b", ":",
	} {
		want, err := netip.ParseAddr(host)
		if got, ok := uri.Address(host); got != want || ok != (err == nil) {
			t.Errorf("%q is %v, %t; netip says %v, %v", host, got, ok, want, err)
		}
	}
}

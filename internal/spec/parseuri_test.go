package spec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

func TestParseURI(t *testing.T) {
	for _, test := range []struct {
		sentence, text string
		want           dcr.URI
		says           string // of the error of ParseURI
		redirect       string // of the error of ParseRedirectURI, if ParseURI has none
	}{
		{"https", "https://App.Example.com:8443/a?b", dcr.URI{Kind: dcr.HTTPSURI, Scheme: "https", Host: "app.example.com", Port: "8443", Path: "/a", HasQuery: true}, "", ""},
		{"an empty query is a query", "https://a.example/?", dcr.URI{Kind: dcr.HTTPSURI, Scheme: "https", Host: "a.example", Path: "/", HasQuery: true}, "", ""},
		{"http", "http://a.example", dcr.URI{Kind: dcr.HTTPURI, Scheme: "http", Host: "a.example"}, "", ""},
		{"http on 127.0.0.1", "http://127.0.0.1:1/", dcr.URI{Kind: dcr.LoopbackHTTPURI, Scheme: "http", Host: "127.0.0.1", Port: "1", Path: "/"}, "", ""},
		{"http on [::1]", "http://[::1]/", dcr.URI{Kind: dcr.LoopbackHTTPURI, Scheme: "http", Host: "::1", Path: "/"}, "", ""},
		{"http on localhost", "http://LOCALHOST/", dcr.URI{Kind: dcr.LoopbackHTTPURI, Scheme: "http", Host: "localhost", Path: "/"}, "", ""},
		{"port 0", "https://a.example:0/", dcr.URI{}, "must have a port between 1 and 65535", ""},
		{"https on localhost", "https://localhost/", dcr.URI{Kind: dcr.LoopbackHTTPSURI, Scheme: "https", Host: "localhost", Path: "/"}, "", ""},
		{"a private-use scheme", "com.example.app:/cb", dcr.URI{Kind: dcr.PrivateUseURI, Scheme: "com.example.app", Path: "/cb"}, "", ""},
		{"a fragment", "https://a.example/#f", dcr.URI{Kind: dcr.HTTPSURI, Scheme: "https", Host: "a.example", Path: "/", HasFragment: true}, "", "must not have a fragment"},
		{"an empty fragment", "https://a.example/#", dcr.URI{Kind: dcr.HTTPSURI, Scheme: "https", Host: "a.example", Path: "/", HasFragment: true}, "", "must not have a fragment"},
		{"a wildcard in the path", "https://a.example/*", dcr.URI{Kind: dcr.HTTPSURI, Scheme: "https", Host: "a.example", Path: "/*"}, "", "must not have a wildcard"},
		{"nothing", "", dcr.URI{}, "must", ""},
		{"a relative one", "/a", dcr.URI{}, "must be an absolute URI", ""},
		{"a script", "javascript:alert(1)", dcr.URI{}, "must", ""},
		{"a script in capitals", "JavaScript:alert(1)", dcr.URI{}, "must", ""},
		{"a file", "file:///etc/passwd", dcr.URI{}, "must", ""},
		{"a user name", "https://me@a.example/", dcr.URI{}, "must", ""},
		{"a space", "https://a.example/a b", dcr.URI{}, "must", ""},
		{"a line break", "https://a.example/\r\n", dcr.URI{}, "must", ""},
		{"a dot segment", "https://a.example/../b", dcr.URI{}, "must", ""},
		{"another spelling of 127.0.0.1", "http://2130706433/", dcr.URI{}, "must", ""},
		{"invalid UTF-8", "https://a.example/\xff", dcr.URI{}, "must", ""},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			got, err := dcr.ParseURI(test.text)
			if got != test.want || (err != nil) != (test.says != "") || err != nil && !strings.HasPrefix(err.Error(), test.says) {
				t.Errorf("ParseURI: %+v, %v", got, err)
			}
			if test.says != "" {
				test.redirect, test.want = test.says, dcr.URI{}
			} else if test.redirect != "" {
				test.want = dcr.URI{}
			}
			got, err = dcr.ParseRedirectURI(test.text)
			if got != test.want || (err != nil) != (test.redirect != "") || err != nil && !strings.HasPrefix(err.Error(), test.redirect) {
				t.Errorf("ParseRedirectURI: %+v, %v", got, err)
			}
			if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < 0x20 || r > 0x7e }) {
				t.Errorf("the error repeats what was sent: %q", err)
			}
		})
	}
}

// ParseRedirectURI gives the same errors as a registration.
func TestParseRedirectURIAgreesWithRegistration(t *testing.T) {
	v := dcr.DefaultValidator{}
	for _, text := range []string{
		"https://a.example/cb", "https://a.example/#f", "https://*.example/cb", "https://a.example/*", "javascript:x", "//a.example/", "com.example.app:/cb",
		"http://127.0.0.1/cb", "http://127.0.0.1:0/cb", "https://127.0.0.1:0/cb", "https://a.example/\n", "https://a.example/%2e%2e/b", "",
	} {
		reg := &dcr.Registration{Request: &dcr.Request{Metadata: dcr.Metadata{RedirectURIs: []string{text}}}}
		err := dcr.Validate(t.Context(), v, reg)
		_, parsed := dcr.ParseRedirectURI(text)
		if (err != nil) != (parsed != nil) || err != nil && (!errors.Is(err, dcr.InvalidRedirectURI) || !strings.HasSuffix(err.Error(), parsed.Error())) {
			t.Errorf("%q: registering says %v, ParseRedirectURI %v", text, err, parsed)
		}
	}
}

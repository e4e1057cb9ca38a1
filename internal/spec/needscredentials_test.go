package spec_test

// What a public client must not have.

import (
	"testing"

	"github.com/dynreg/dcr"
)

func TestNeedsCredentials(t *testing.T) {
	for _, c := range []struct {
		sentence string
		has      dcr.Metadata
		needs    bool
	}{
		{"nothing", dcr.Metadata{}, false},
		{"grants with a person", dcr.Metadata{GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"https://a.example/cb"}}, false},
		{"a grant with a person, who is redirected nowhere", dcr.Metadata{GrantTypes: []string{"urn:ietf:params:oauth:grant-type:device_code"}}, false},
		{"redirects that it only pushes", dcr.Metadata{GrantTypes: []string{"authorization_code"}}, true},
		{"its own grant", dcr.Metadata{GrantTypes: []string{"authorization_code", "client_credentials"}}, true},
		{"CIBA", dcr.Metadata{GrantTypes: []string{"urn:openid:params:grant-type:ciba"}}, true},
		{"redirects that nobody can read", dcr.Metadata{RedirectURIs: []string{"https://a.example/cb", "http://127.0.0.1:0/cb", "com.example.app:/cb"}}, false},
		{"a redirect by http", dcr.Metadata{RedirectURIs: []string{"https://a.example/cb", "http://a.example/cb"}}, true},
		{"a return from logout by http", dcr.Metadata{PostLogoutRedirectURIs: []string{"http://a.example/"}}, true},
		{"front-channel logout by http", dcr.Metadata{FrontchannelLogoutURI: "http://a.example/"}, true},
		{"back-channel logout by http", dcr.Metadata{BackchannelLogoutURI: "http://a.example/"}, true},
	} {
		if client := (&dcr.Client{Metadata: c.has}); client.NeedsCredentials() != c.needs {
			t.Errorf("%s: %v", c.sentence, !c.needs)
		}
	}
}

// Package credentials says which clients must authenticate because of what they have.
// Packages cimd and policy must agree on that for a client whose metadata document lists
// the method none among others.
package credentials

// OpenID Connect CIBA Core 1.0 §4, RFC 6749 §4.4 and OpenID Connect Dynamic Client
// Registration 1.0 §2.

import (
	"slices"

	"github.com/dynreg/dcr"
)

// Needed reports whether a client has something that a public one must not have: a grant
// without a person, or a URI of http on another machine.
func Needed(c *dcr.Client) bool {
	if slices.Contains(c.GrantTypes, "client_credentials") || slices.Contains(c.GrantTypes, "urn:openid:params:grant-type:ciba") {
		return true
	}
	logout := []string{c.FrontchannelLogoutURI, c.BackchannelLogoutURI}
	return slices.ContainsFunc(slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs, logout), isHTTP)
}

// isHTTP reports whether a URI is one of http that leads to another machine.
func isHTTP(text string) bool {
	parsed, err := dcr.ParseRedirectURI(text)
	return err == nil && parsed.Kind == dcr.HTTPURI
}

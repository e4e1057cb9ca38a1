package policy

// What the national profiles share: members that a directory vouches for in
// its software statements.

import (
	"context"

	"github.com/dynreg/dcr"
)

// directoryClaims are the claims of a directory's statements that stand for
// registered members; the profiles differ in the name of the key set's.
func directoryClaims(jwksURI string) map[string]string {
	return map[string]string{
		"software_client_name":   "client_name",
		"software_client_uri":    "client_uri",
		"software_logo_uri":      "logo_uri",
		"software_policy_uri":    "policy_uri",
		"software_tos_uri":       "tos_uri",
		"software_redirect_uris": "redirect_uris",
		jwksURI:                  "jwks_uri",
	}
}

// directoryStatements sets up the host's verifier for a profile, as far as the
// host left it open.
func directoryStatements(server *dcr.DefaultValidator, profile, jwksURI string, algs ...string) *dcr.StatementVerifier {
	v := server.Statements
	if v == nil {
		panic("policy: " + profile + " needs Statements: the verifier that names the directory and its keys")
	}
	v.Required = true
	fill(&v.Algorithms, algs...)
	if v.Claims == nil {
		v.Claims = directoryClaims(jwksURI)
	}
	if v.Members == nil {
		v.Members = map[string]dcr.StatementRule{"redirect_uris": dcr.ClaimBounds, "jwks_uri": dcr.ClaimBinds}
	}
	return v
}

// publicHTTPS wants redirect URIs of https on public hosts, no longer than
// longest bytes, if that is not zero.
func publicHTTPS(longest int) Rule {
	return func(inner dcr.Validator) dcr.Validator { return httpsRedirects{inner, longest} }
}

type httpsRedirects struct {
	dcr.Validator
	longest int
}

// ValidateRedirectURIs judges what the inner step accepted.
func (h httpsRedirects) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if err := h.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	for i, redirect := range reg.Client.RedirectURIs {
		if !isPublicHTTPS(redirect) || h.longest > 0 && len(redirect) > h.longest {
			return refuse("redirect_uris", "redirect_uris", "redirect_uris[%d] must be an https URL of a public host, and not too long", i)
		}
	}
	return nil
}

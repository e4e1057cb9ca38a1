package policy

// What the national profiles share: members that a directory vouches for in
// its software statements.

import (
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
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

// publicHTTPS wants https on public hosts wherever a client has itself
// redirected to, and redirect URIs no longer than longest bytes, if that is not
// zero.
func publicHTTPS(longest int) Rule {
	return redirectRule(redirects{
		rule: "redirect_uris", want: "must be an https URL of a public host, and not too long",
		allowed: func(d *destination, _ []string) bool {
			return !d.back || isPublicHTTPS(&d.URI) && (longest == 0 || d.member != "redirect_uris" || len(d.text) <= longest)
		},
	})
}

// isPublicHTTPS reports whether u is https on a host that is not the user's own
// machine, by whatever name.
func isPublicHTTPS(u *uri.URI) bool {
	return u.Kind() == uri.HTTPS && u.Host != "localhost" && !strings.HasSuffix(u.Host, ".localhost")
}

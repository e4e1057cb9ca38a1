package policy

// OpenID Connect Dynamic Client Registration 1.0.

import (
	"context"

	"github.com/dynreg/dcr"
)

// OIDC is OpenID Connect Dynamic Client Registration, followed to the letter,
// for relying parties.
//
// What it changes, and why:
//
//   - redirect_uris must be sent (§2: REQUIRED), also by clients without a
//     redirect flow.
//   - An absent application_type is web, as §2 has it, not inferred: a client
//     with loopback or private-use redirect URIs says that it is native.
//   - Private-use schemes are domain names in reverse (RFC 8252 §7.1).
//   - Scopes beyond the ceiling are refused, not dropped, so that a relying
//     party learns at once that a claim will be missing.
//
// Ceilings that the host leaves nil: the methods client_secret_basic,
// client_secret_post, private_key_jwt and none; the ID Token algorithm RS256, public
// subjects, the scopes openid, profile and email; openid by default.
func OIDC(server dcr.DefaultValidator) Preset {
	fill(&server.Supports.TokenEndpointAuthMethods, "client_secret_basic", "client_secret_post", "private_key_jwt", "none")
	fill(&server.Supports.IDTokenSigningAlgs, "RS256")
	fill(&server.Supports.SubjectTypes, "public")
	fill(&server.Supports.Scopes, "openid", "profile", "email")
	fill(&server.DefaultScopes, "openid")
	server.LiteralApplicationType = true
	server.RefuseUnsupportedScopes = true
	return Preset{Validator: Stack(oidc{server}, ReverseDomainSchemes())}
}

type oidc struct{ dcr.Validator }

// ValidateRedirectURIs requires at least one.
func (o oidc) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if len(reg.Client.RedirectURIs) == 0 {
		return refuse("redirect_uris", "oidc", "redirect_uris must have at least one redirect URI")
	}
	return o.Validator.ValidateRedirectURIs(ctx, reg)
}

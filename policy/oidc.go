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
//   - An absent application_type is web (§2) and is not inferred: a client with
//     loopback or private-use redirect URIs must say that it is native.
//   - Private-use schemes are domain names in reverse (RFC 8252 §7.1).
//   - Scopes that the server does not support are refused, not dropped, so that a
//     relying party learns at once that a claim will be missing.
//
// Lists that the host leaves nil are set to the methods client_secret_basic,
// client_secret_post, private_key_jwt and none, the ID Token algorithm RS256,
// public subjects, the scopes openid, profile and email, and the default scope
// openid. A host that sets Scopes must include openid, or set DefaultScopes too.
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

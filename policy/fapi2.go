package policy

// FAPI 2.0 Security Profile §5.3 and §5.4.

import (
	"context"
	"time"

	"github.com/dynreg/dcr"
)

// FAPI2 is the FAPI 2.0 Security Profile, for clients that move money or
// health data.
//
// What it changes, and why:
//
//   - Clients authenticate with private_key_jwt, tls_client_auth or
//     self_signed_tls_client_auth: no secret that could leak.
//   - Every client pushes its authorization requests (RFC 9126), and gets the
//     code flow alone: nothing passes through the browser that matters.
//   - Every client's tokens are sender-constrained, by mutual TLS where it
//     authenticates so, else by DPoP (RFC 9449); the answer says which. A
//     client may ask for the other where the server supports both.
//   - Signatures are PS256, ES256 or EdDSA, and keys in jwks must have one for
//     them; RSA1_5 is out.
//   - Redirect URIs, pages and logout are https; PKCE is required.
//   - Authorization codes live 60 seconds at most; refresh tokens are not
//     rotated, since they are sender-constrained and rotation loses clients
//     (§5.3.2.1).
//
// Ceilings that the host leaves nil: private_key_jwt; the ID Token algorithms
// PS256, ES256 and EdDSA; DPoP with the same, unless the server binds tokens to
// certificates.
func FAPI2(server dcr.DefaultValidator) Preset {
	supports := &server.Supports
	fill(&supports.TokenEndpointAuthMethods, "private_key_jwt")
	fill(&supports.IDTokenSigningAlgs, fapiAlgorithms...)
	if !supports.TLSClientCertificateBoundAccessTokens {
		fill(&supports.DPoPSigningAlgs, fapiAlgorithms...)
	}
	supports.RequirePushedAuthorizationRequests = true
	server.AllowHTTPRedirects = false
	return Preset{Validator: Stack(fapi2{server},
		SigningAlgorithms(fapiAlgorithms...),
		AuthMethods(Values{Ceiling: []string{"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}, Excess: Refuse}),
		ResponseTypes(Values{Ceiling: []string{"code"}}),
		HTTPSOnly(),
		RequirePKCE(),
		LimitLifetimes(Lifetimes{AuthorizationCode: Lifetime{Ceiling: time.Minute}}),
	)}
}

var fapiAlgorithms = []string{"PS256", "ES256", "EdDSA"}

type fapi2 struct{ dcr.Validator }

// Capabilities removes the grant types and the encryption that the profile
// forbids.
func (f fapi2) Capabilities() dcr.Capabilities {
	supported := f.Validator.Capabilities().WithDefaults()
	supported.GrantTypes = without(supported.GrantTypes, "implicit", "password")
	for _, member := range dcr.AlgorithmMembers() {
		if list := member.Ceiling(&supported); *list != nil {
			*list = without(*list, "RSA1_5")
		}
	}
	return supported
}

// ValidateTokens binds the tokens of a client that did not say how.
func (f fapi2) ValidateTokens(ctx context.Context, reg *dcr.Registration) error {
	c, supported := reg.Client, &reg.Capabilities
	byTLS := c.TokenEndpointAuthMethod != "private_key_jwt" || len(supported.DPoPSigningAlgs) == 0
	switch {
	case c.DPoPBoundAccessTokens || c.TLSClientCertificateBoundAccessTokens:
	case byTLS && supported.TLSClientCertificateBoundAccessTokens:
		c.TLSClientCertificateBoundAccessTokens = true
	case len(supported.DPoPSigningAlgs) > 0:
		c.DPoPBoundAccessTokens = true
	default:
		return refuse("dpop_bound_access_tokens", "fapi2", "this server does not bind tokens to their senders, which the FAPI 2.0 Security Profile requires")
	}
	c.RefreshTokenUsage = dcr.RefreshTokenReUse
	return f.Validator.ValidateTokens(ctx, reg)
}

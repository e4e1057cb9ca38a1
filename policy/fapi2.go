package policy

// FAPI 2.0 Security Profile §5.3 and §5.4.

import (
	"context"
	"errors"
	"time"

	"github.com/dynreg/dcr"
)

// FAPI2 is the FAPI 2.0 Security Profile, for clients that move money or
// health data.
//
// What it changes, and why:
//
//   - Clients authenticate with private_key_jwt, tls_client_auth or
//     self_signed_tls_client_auth, so there is no secret that could leak.
//   - Every client pushes its authorization requests (RFC 9126) and gets only the
//     code flow, so that nothing important passes through the browser.
//   - The tokens of every client are sender-constrained: by mutual TLS if the
//     client authenticates with a certificate, otherwise by DPoP (RFC 9449). The
//     answer says which. If the server supports both, a client may choose.
//   - Signatures are PS256, ES256 or EdDSA, and jwks must have a key for one of
//     them; RSA1_5 is not supported.
//   - Redirect URIs, pages and logout URIs use https; PKCE is required.
//   - Authorization codes are valid for at most 60 seconds. Refresh tokens are not
//     rotated: they are sender-constrained, and rotation loses clients (§5.3.2.1).
//
// Lists that the host leaves nil are set to the method private_key_jwt and the
// ID Token algorithms PS256, ES256 and EdDSA; DPoP has the same algorithms,
// unless the server binds tokens to certificates. What the profile requires of the
// server itself, the host sets in server.Supports:
// PushedAuthorizationRequestEndpoint, and AuthorizationResponseIss for the iss of
// its authorization responses.
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
	for _, member := range algorithmMembers {
		if list := member.Ceiling(&supported); *list != nil {
			*list = without(*list, "RSA1_5")
		}
	}
	return supported
}

// CheckOptions requires a server that binds tokens, since no client may have others.
func (f fapi2) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	supported := f.Validator.Capabilities()
	if !supported.TLSClientCertificateBoundAccessTokens && len(within(supported.DPoPSigningAlgs, fapiAlgorithms)) == 0 {
		return errors.New("FAPI2 binds tokens to their senders, which the server does not support; add PS256, ES256 or EdDSA to Supports.DPoPSigningAlgs, or set TLSClientCertificateBoundAccessTokens")
	}
	return f.Validator.CheckOptions(opts, store)
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

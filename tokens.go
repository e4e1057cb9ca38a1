package dcr

// RFC 8705 §3.4, RFC 9449 §5.2, RFC 9396 §10: the tokens that a client gets.

import "context"

// ValidateTokens settles sender constraining, authorization details types and,
// where the host switched them on, token types and lifetimes.
func (d DefaultValidator) ValidateTokens(ctx context.Context, reg *Registration) error {
	if err := reg.checkSenderConstraint(); err != nil {
		return err
	}
	if err := reg.checkSubset("authorization_details_types", reg.Client.AuthorizationDetailsTypes, reg.Capabilities.AuthorizationDetailsTypes); err != nil {
		return err
	}
	return d.Duende.tokens(reg)
}

// checkSenderConstraint keeps bound tokens away from the browser, where
// nothing binds them.
func (reg *Registration) checkSenderConstraint() error {
	c := reg.Client
	if !c.frontChannel("token") {
		return nil
	}
	if c.TLSClientCertificateBoundAccessTokens {
		return refuseMember("tls_client_certificate_bound_access_tokens", "front_channel", "must not be true with a response type that has token")
	}
	if c.DPoPBoundAccessTokens {
		return refuseMember("dpop_bound_access_tokens", "front_channel", "must not be true with a response type that has token")
	}
	return nil
}

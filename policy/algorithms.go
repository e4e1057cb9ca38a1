package policy

// OpenID Connect Dynamic Client Registration 1.0 §2, JARM §3, RFC 9701 §6,
// CIBA §4: members that name an algorithm (RFC 7518).

import (
	"context"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// algorithm is a member that names an algorithm, and its ceiling.
type algorithm struct {
	name, list string
	ceiling    func(*dcr.Capabilities) *[]string
	at         func(*dcr.Metadata) *string
}

// field is the algorithm's field for a [Limit].
func (a algorithm) field() field {
	f := single(a.name, a.list, a.ceiling, a.at)
	if a.name == "token_endpoint_auth_signing_alg" {
		f.applies = func(c *dcr.Client) bool { return strings.HasSuffix(c.TokenEndpointAuthMethod, "_jwt") }
	}
	return f
}

// signing reports whether the member names a signature algorithm.
func (a algorithm) signing() bool { return strings.Contains(a.list, "signing") }

var algorithms = []algorithm{
	{"token_endpoint_auth_signing_alg", "token_endpoint_auth_signing_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.TokenEndpointAuthSigningAlgs },
		func(m *dcr.Metadata) *string { return &m.TokenEndpointAuthSigningAlg }},
	{"id_token_signed_response_alg", "id_token_signing_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.IDTokenSigningAlgs },
		func(m *dcr.Metadata) *string { return &m.IDTokenSignedResponseAlg }},
	{"id_token_encrypted_response_alg", "id_token_encryption_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.IDTokenEncryptionAlgs },
		func(m *dcr.Metadata) *string { return &m.IDTokenEncryptedResponseAlg }},
	{"id_token_encrypted_response_enc", "id_token_encryption_enc_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.IDTokenEncryptionEncs },
		func(m *dcr.Metadata) *string { return &m.IDTokenEncryptedResponseEnc }},
	{"userinfo_signed_response_alg", "userinfo_signing_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.UserinfoSigningAlgs },
		func(m *dcr.Metadata) *string { return &m.UserinfoSignedResponseAlg }},
	{"userinfo_encrypted_response_alg", "userinfo_encryption_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.UserinfoEncryptionAlgs },
		func(m *dcr.Metadata) *string { return &m.UserinfoEncryptedResponseAlg }},
	{"userinfo_encrypted_response_enc", "userinfo_encryption_enc_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.UserinfoEncryptionEncs },
		func(m *dcr.Metadata) *string { return &m.UserinfoEncryptedResponseEnc }},
	{"request_object_signing_alg", "request_object_signing_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.RequestObjectSigningAlgs },
		func(m *dcr.Metadata) *string { return &m.RequestObjectSigningAlg }},
	{"request_object_encryption_alg", "request_object_encryption_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.RequestObjectEncAlgs },
		func(m *dcr.Metadata) *string { return &m.RequestObjectEncryptionAlg }},
	{"request_object_encryption_enc", "request_object_encryption_enc_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.RequestObjectEncEncs },
		func(m *dcr.Metadata) *string { return &m.RequestObjectEncryptionEnc }},
	{"introspection_signed_response_alg", "introspection_signing_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.IntrospectionSigningAlgs },
		func(m *dcr.Metadata) *string { return &m.IntrospectionSignedResponseAlg }},
	{"introspection_encrypted_response_alg", "introspection_encryption_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.IntrospectionEncryptionAlgs },
		func(m *dcr.Metadata) *string { return &m.IntrospectionEncryptedResponseAlg }},
	{"introspection_encrypted_response_enc", "introspection_encryption_enc_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.IntrospectionEncryptionEncs },
		func(m *dcr.Metadata) *string { return &m.IntrospectionEncryptedResponseEnc }},
	{"authorization_signed_response_alg", "authorization_signing_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.AuthorizationSigningAlgs },
		func(m *dcr.Metadata) *string { return &m.AuthorizationSignedResponseAlg }},
	{"authorization_encrypted_response_alg", "authorization_encryption_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.AuthorizationEncryptionAlgs },
		func(m *dcr.Metadata) *string { return &m.AuthorizationEncryptedResponseAlg }},
	{"authorization_encrypted_response_enc", "authorization_encryption_enc_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.AuthorizationEncryptionEncs },
		func(m *dcr.Metadata) *string { return &m.AuthorizationEncryptedResponseEnc }},
	{"backchannel_authentication_request_signing_alg", "backchannel_authentication_request_signing_alg_values_supported",
		func(c *dcr.Capabilities) *[]string { return &c.BackchannelAuthenticationRequestSigningAlgs },
		func(m *dcr.Metadata) *string { return &m.BackchannelAuthenticationRequestSigningAlg }},
}

// SigningAlgorithms keeps every signature, the server's and the clients', to
// the given algorithms: what a client asks for beyond them is refused, and
// what it leaves open gets the first of them that the server supports.
func SigningAlgorithms(algs ...string) Rule {
	return func(inner dcr.Validator) dcr.Validator { return signing{inner, algs} }
}

type signing struct {
	dcr.Validator
	algs []string
}

// whatAnyMeans are the algorithms that a nil list of request object signing
// algorithms admits where request objects are on.
var whatAnyMeans = []string{"RS256", "PS256", "ES256", "EdDSA"}

// Capabilities narrows every list of signature algorithms.
func (s signing) Capabilities() dcr.Capabilities {
	supported := s.Validator.Capabilities().WithDefaults()
	if supported.RequestParameter && supported.RequestObjectSigningAlgs == nil {
		supported.RequestObjectSigningAlgs = whatAnyMeans
	}
	for _, algorithm := range algorithms {
		if algorithm.signing() {
			narrow(algorithm.ceiling(&supported), s.algs)
		}
	}
	narrow(&supported.DPoPSigningAlgs, s.algs)
	return supported
}

// ValidateClient judges what the steps settled.
func (s signing) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := s.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	for _, algorithm := range algorithms {
		if alg := *algorithm.at(&reg.Client.Metadata); algorithm.signing() && alg != "" && !slices.Contains(s.algs, alg) {
			return refuse(algorithm.name, "signing_algorithms", "%s must be one of: %s", algorithm.name, orNone(s.algs))
		}
	}
	return nil
}

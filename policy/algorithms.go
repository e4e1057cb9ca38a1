package policy

// OpenID Connect Dynamic Client Registration 1.0 §2, JARM §3, RFC 9701 §6,
// CIBA §4: members that name an algorithm (RFC 7518).

import (
	"context"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/jose"
)

// algorithm is the field of a member that names an algorithm.
func algorithm(member dcr.AlgorithmMember) field {
	f := single(member.Name, member.List, member.Ceiling, member.Value)
	if member.Name == authAlg {
		f.applies = func(c *dcr.Client) bool { return strings.HasSuffix(c.TokenEndpointAuthMethod, "_jwt") }
		f.fits = func(c *dcr.Client, alg string) bool {
			return jose.Symmetric(alg) == (c.TokenEndpointAuthMethod == "client_secret_jwt")
		}
	}
	return f
}

const authAlg = "token_endpoint_auth_signing_alg"

// SigningAlgorithms allows only the given algorithms for all signatures, those of the
// server and those of clients. A client that asks for another one is refused; one
// that leaves it open gets the default of the specification if it is among them and
// supported, or else the first supported one that is. A client that authenticates by
// private_key_jwt with keys in jwks must have a key for one of them: if its only key
// were for RS256, say, it could never authenticate.
func SigningAlgorithms(algs ...string) Rule {
	return func(inner dcr.Validator) dcr.Validator { return signing{inner, algs} }
}

type signing struct {
	dcr.Validator
	algs []string
}

var algorithmMembers = dcr.AlgorithmMembers()

// Capabilities narrows every list of signature algorithms.
func (s signing) Capabilities() dcr.Capabilities {
	supported := s.Validator.Capabilities().WithDefaults()
	spellOut(&supported)
	for _, member := range algorithmMembers {
		if member.Signature {
			narrow(member.Ceiling(&supported), s.algs)
		}
	}
	narrow(&supported.DPoPSigningAlgs, s.algs)
	return supported
}

// spellOut lists the signature algorithms of request objects. If these are on, a nil list
// allows the standard ones.
func spellOut(supported *dcr.Capabilities) {
	if supported.RequestObjectSigningAlgs == nil && (supported.RequestParameter || supported.RequireSignedRequestObject) {
		supported.RequestObjectSigningAlgs = slices.Clone(jose.Standard)
	}
}

// ValidateClient judges what the steps settled.
func (s signing) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := s.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	for _, member := range algorithmMembers {
		if alg := *member.Value(&reg.Client.Metadata); member.Signature && alg != "" && !slices.Contains(s.algs, alg) {
			return refuse(member.Name, "signing_algorithms", "%s must be one of: %s", member.Name, orNone(s.algs))
		}
	}
	return s.checkKeys(reg.Client)
}

// checkKeys requires a key that the client can authenticate with. The set at
// jwks_uri may change, and is not fetched.
func (s signing) checkKeys(c *dcr.Client) error {
	if c.TokenEndpointAuthMethod != "private_key_jwt" || c.JWKS == nil {
		return nil
	}
	algs := s.algs
	if c.TokenEndpointAuthSigningAlg != "" {
		algs = []string{c.TokenEndpointAuthSigningAlg}
	}
	if !jose.CanSign(c.JWKS, algs) {
		return refuse("jwks", "signing_keys", "jwks must have a signing key for one of: %s", orNone(algs))
	}
	return nil
}

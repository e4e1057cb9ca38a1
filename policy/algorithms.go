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
	if member.Name == "token_endpoint_auth_signing_alg" {
		f.applies = func(c *dcr.Client) bool { return strings.HasSuffix(c.TokenEndpointAuthMethod, "_jwt") }
	}
	return f
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

// Capabilities narrows every list of signature algorithms.
func (s signing) Capabilities() dcr.Capabilities {
	supported := s.Validator.Capabilities().WithDefaults()
	// Where request objects are on, a nil list admits the standard algorithms.
	if supported.RequestParameter && supported.RequestObjectSigningAlgs == nil {
		supported.RequestObjectSigningAlgs = jose.Standard
	}
	for _, member := range dcr.AlgorithmMembers() {
		if member.Signature {
			narrow(member.Ceiling(&supported), s.algs)
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
	for _, member := range dcr.AlgorithmMembers() {
		if alg := *member.Value(&reg.Client.Metadata); member.Signature && alg != "" && !slices.Contains(s.algs, alg) {
			return refuse(member.Name, "signing_algorithms", "%s must be one of: %s", member.Name, orNone(s.algs))
		}
	}
	return nil
}

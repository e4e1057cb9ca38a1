package callerauth

// One token that never changes: RFC 7591 §3, RFC 6750.

import (
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/http"
	"slices"

	"github.com/dynreg/dcr"
)

// StaticToken authenticates the bearer of this one token as a copy of caller,
// for a pipeline with a secret of its own, or for a trial. It compares in
// constant time, and leaves a request without the token to other
// Authenticators. It panics on a token of fewer than 16 bytes, which could be
// guessed. If caller has an Allowance, each registration costs it.
func StaticToken(token dcr.Plaintext, caller dcr.Caller) dcr.Authenticator {
	if len(token) < 16 {
		panic("callerauth: StaticToken: the token must have at least 16 bytes")
	}
	want := sha256.Sum256([]byte(token))
	return func(r *http.Request) (*dcr.Caller, error) {
		presented, err := dcr.BearerToken(r)
		if err != nil || presented == "" {
			return nil, err
		}
		have := sha256.Sum256([]byte(presented))
		if subtle.ConstantTimeCompare(have[:], want[:]) != 1 {
			return nil, nil
		}
		own := caller // a copy, whose holder may change it
		own.Scopes, own.Claims = slices.Clone(caller.Scopes), maps.Clone(caller.Claims)
		dcr.Charge(r.Context(), own.Allowance)
		return &own, nil
	}
}

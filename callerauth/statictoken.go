package callerauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"github.com/dynreg/dcr"
)

// StaticToken lets in who bears this one token, compared in constant time, as a
// copy of caller: for a pipeline that has a secret of its own, or a trial. It
// panics on a token of fewer than 16 bytes, which could be guessed.
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
		own := caller
		return &own, nil
	}
}

package jose

// HMAC with SHA-2: RFC 7518 section 3.2.

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"
)

var macs = map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}

// MACs lists the algorithms of VerifyMAC.
var MACs = []string{"HS256", "HS384", "HS512"}

// VerifyMAC returns the payload if one of secrets authenticates the token with
// an accepted algorithm that MACs lists. A secret that is too short for the
// algorithm is not tried. The kid is ignored.
func (t *Token) VerifyMAC(secrets [][]byte, accepted []string) (payload string, err error) {
	newHash := macs[t.Header.Algorithm]
	switch {
	case t.Header.Critical:
		return "", ErrCritical
	case newHash == nil || !slices.Contains(accepted, t.Header.Algorithm):
		return "", ErrAlgorithm
	}
	err = ErrUnknownKey
	for _, secret := range secrets {
		if len(secret) < MinSecretBytes(t.Header.Algorithm, "") {
			continue
		}
		mac := hmac.New(newHash, secret)
		mac.Write(t.signed)
		if hmac.Equal(mac.Sum(nil), t.signature) {
			return t.payload, nil
		}
		err = ErrSignature
	}
	return "", err
}

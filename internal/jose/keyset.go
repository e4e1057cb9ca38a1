package jose

// The key set of an issuer that the host trusts: RFC 7517 section 5, with the
// tolerance that it requires (keys that are not understood are ignored).

import (
	"crypto"
	"crypto/rsa"
	"slices"

	"github.com/dynreg/dcr/internal/strictjson"
)

// KeySet contains the keys of a set that verify signatures. It is immutable.
type KeySet struct {
	keys    []key
	byKID   map[string][]key
	unnamed []key // the keys without a kid
}

// A key verifies signatures of its kind, and of its algorithm if it has one.
type key struct {
	kind   string
	alg    string
	public crypto.PublicKey
}

// ParseKeySet reads a trusted issuer's set. It leaves out keys that it cannot
// use: keys of an unknown type or curve, weak keys, keys for encryption, shared
// keys and private keys. It is not an error if none remain; see Len.
func ParseKeySet(jwks []byte) (*KeySet, error) {
	set := &KeySet{byKID: make(map[string][]key)}
	err := readSet(jwks, new(bool), func(_ int, value strictjson.Value) error {
		k, err := readJWK(value)
		if err != nil {
			return nil
		}
		if usable, ok := k.verificationKey(); ok {
			set.keys = append(set.keys, usable)
			if k.kid != "" {
				set.byKID[k.kid] = append(set.byKID[k.kid], usable)
			} else {
				set.unnamed = append(set.unnamed, usable)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return set, nil
}

// verificationKey returns k as a key that verifies signatures, if it can. It
// ignores certificates: a set is trusted as a whole or not at all.
func (k *jwk) verificationKey() (key, bool) {
	if k.symmetric || k.private {
		return key{}, false
	}
	kindName, err := k.kind()
	if err != nil {
		return key{}, false
	}
	if p, err := k.purposes(kindName); err != nil || p&signing == 0 {
		return key{}, false
	}
	public, err := k.public(kindName)
	if err != nil || public == nil {
		return key{}, false
	}
	return key{kind: kindName, alg: k.alg, public: public}, true
}

// CanSign reports whether a client's key set has a key that can sign with one
// of the named algorithms, going by its type, use, key_ops and alg.
func CanSign(jwks []byte, algs []string) bool {
	set, err := ParseKeySet(jwks)
	return err == nil && slices.ContainsFunc(set.keys, func(k key) bool {
		return slices.ContainsFunc(algs, func(alg string) bool {
			a := algorithms[alg]
			return a.verifier != nil && k.fits(alg, a)
		})
	})
}

// Has reports whether the set has a key called kid.
func (s *KeySet) Has(kid string) bool { return len(s.byKID[kid]) > 0 }

// Answering returns the set itself if it has a key called kid. Otherwise it
// returns the keys that have no kid, each of which is then found as kid.
func (s *KeySet) Answering(kid string) *KeySet {
	if kid == "" || s.Has(kid) || len(s.unnamed) == 0 {
		return s
	}
	return &KeySet{keys: s.unnamed, byKID: map[string][]key{kid: s.unnamed}}
}

// Len is the number of keys.
func (s *KeySet) Len() int { return len(s.keys) }

// fits reports whether the key may verify signatures of the algorithm a, whose
// name is alg. EdDSA and Ed25519 are two names of one algorithm.
func (k *key) fits(alg string, a algorithm) bool {
	return a.fits(k.kind) && (k.alg == "" || k.alg == alg || algorithms[k.alg].verifier == a.verifier)
}

// attempts returns how many of the maxAttempts the key counts as.
func (k *key) attempts() int {
	if public, ok := k.public.(*rsa.PublicKey); ok && public.N.BitLen() > slowRSABits {
		return slowAttempts
	}
	return 1
}

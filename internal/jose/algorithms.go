package jose

// The algorithms of RFC 7518 (JWA) sections 3, 4 and 5, RFC 8037 (EdDSA,
// X25519, X448), RFC 8812 (ES256K) and RFC 9864 (Ed25519, Ed448), and the keys
// that each one fits.

import (
	"fmt"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// A purpose is what a key or an algorithm is for: one of these, or both.
type purpose uint8

const (
	signing purpose = 1 << iota
	encrypting

	anything = signing | encrypting
)

// algorithm describes an asymmetric algorithm.
type algorithm struct {
	use      purpose
	kinds    []string     // of keys that it fits, named as in kinds
	verifier jws.Verifier // nil if this package does not verify the algorithm
}

// algorithms are the known asymmetric algorithms, by name.
var algorithms = func() map[string]algorithm {
	ecdh := []string{"P-256", "P-384", "P-521", "X25519", "X448"}
	all := map[string]algorithm{"ES256K": {use: signing, kinds: []string{"secp256k1"}}}
	for _, name := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		all[name] = algorithm{signing, []string{"RSA"}, verifier(name)}
	}
	for name, curve := range map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"} {
		all[name] = algorithm{signing, []string{curve}, verifier(name)}
	}
	eddsa := verifier("EdDSA") // shared by both names, so that they compare as equal
	all["EdDSA"] = algorithm{signing, []string{"Ed25519", "Ed448"}, eddsa}
	all["Ed25519"] = algorithm{signing, []string{"Ed25519"}, eddsa}
	all["Ed448"] = algorithm{use: signing, kinds: []string{"Ed448"}}
	for _, name := range []string{"RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"} {
		all[name] = algorithm{use: encrypting, kinds: []string{"RSA"}}
	}
	for _, name := range []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"} {
		all[name] = algorithm{use: encrypting, kinds: ecdh}
	}
	return all
}()

// verifier returns jwx's verifier, which keeps no state. Asking for it once
// saves each verification a lock.
func verifier(name string) jws.Verifier {
	v, err := jws.NewVerifier(jwa.SignatureAlgorithm(name))
	if err != nil {
		panic("jose: " + err.Error())
	}
	return v
}

func (a algorithm) fits(kind string) bool { return slices.Contains(a.kinds, kind) }

// symmetric maps each algorithm whose key is a shared secret to the least
// number of octets of that secret (RFC 7518 sections 3.2, 4.4 and 4.7). It is
// zero for dir, where the content encryption decides. A PBES2 key is derived
// from a secret of any length; its bound is one of our own.
var symmetric = map[string]int{
	"HS256": 32, "HS384": 48, "HS512": 64,
	"dir":    0,
	"A128KW": 16, "A192KW": 24, "A256KW": 32,
	"A128GCMKW": 16, "A192GCMKW": 24, "A256GCMKW": 32,
	"PBES2-HS256+A128KW": 32, "PBES2-HS384+A192KW": 32, "PBES2-HS512+A256KW": 32,
}

// contentKeys maps each content encryption to the octets of its key (RFC 7518
// section 5).
var contentKeys = map[string]int{
	"A128CBC-HS256": 32, "A192CBC-HS384": 48, "A256CBC-HS512": 64,
	"A128GCM": 16, "A192GCM": 24, "A256GCM": 32,
}

// Symmetric reports whether alg, of a JWS or a JWE, takes a shared secret.
func Symmetric(alg string) bool {
	if alg == "" { // which is the common case
		return false
	}
	_, ok := symmetric[alg]
	return ok
}

// Asymmetric reports whether alg, of a JWS or a JWE, takes a key pair. An
// unknown algorithm is neither symmetric nor asymmetric, and neither is "none".
func Asymmetric(alg string) bool {
	if alg == "" {
		return false
	}
	_, ok := algorithms[alg]
	return ok
}

// ContentEncryption reports whether enc is the content encryption of a JWE.
func ContentEncryption(enc string) bool {
	_, ok := contentKeys[enc]
	return ok
}

// MinSecretBytes returns how many octets a client secret needs to serve as the
// key of alg. It uses enc only if alg is dir. It returns zero if alg takes no
// secret.
func MinSecretBytes(alg, enc string) int {
	size, ok := symmetric[alg]
	if !ok || size > 0 {
		return size
	}
	if size, ok = contentKeys[enc]; ok {
		return size
	}
	return contentKeys["A128CBC-HS256"] // the default enc of OpenID Connect registration
}

// Standard lists the signature algorithms that apply if the host names none:
// the asymmetric ones that servers commonly sign with.
var Standard = []string{"RS256", "PS256", "ES256", "EdDSA"}

// Published lists the algorithms that are accepted from published keys if the
// host names none: the standard ones, and Ed25519, the name that RFC 9864 gives
// to EdDSA with this curve.
var Published = slices.Concat(Standard, []string{"Ed25519"})

// Accepted returns the algorithms that the host named, or Published.
func Accepted(named []string) []string {
	if named == nil {
		return Published
	}
	return named
}

// CheckAccepted refuses algorithms that no published key can verify.
func CheckAccepted(named []string) error {
	for _, alg := range named {
		if !Asymmetric(alg) {
			return fmt.Errorf("Algorithms: %q is not an asymmetric signature algorithm such as RS256, PS256, ES256 or EdDSA", alg)
		}
	}
	return nil
}

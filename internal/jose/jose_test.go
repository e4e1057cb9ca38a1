package jose_test

// What the tests of this package share: keys of every kind, and their JWKs.

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"sync"

	"github.com/dynreg/dcr/internal/jose"
)

var (
	b64  = base64.RawURLEncoding.EncodeToString
	b64d = base64.RawURLEncoding.DecodeString
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// signers has one key of each kind; kindOf names the kind of key that each
// algorithm needs.
var signers = sync.OnceValue(func() map[string]crypto.Signer {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{
		"RSA":     must(rsa.GenerateKey(rand.Reader, 2048)),
		"P-256":   must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"P-384":   must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"P-521":   must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"Ed25519": must(ed, err),
	}
})

var kindOf = map[string]string{
	"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
	"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519",
}

// members are the members of a JWK.
type members map[string]any

// with returns a copy with the given members, as pairs of a name and a value;
// nil removes a member.
func (m members) with(pairs ...any) members {
	all := members{}
	for name, value := range m {
		all[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		if all[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(all, pairs[i].(string))
		}
	}
	return all
}

func (m members) String() string { return string(must(json.Marshal(m))) }

// jwkOf returns the public JWK of key.
func jwkOf(key crypto.PublicKey) members {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return members{"kty": "RSA", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point := must(key.Bytes())[1:]
		half := len(point) / 2
		return members{"kty": "EC", "crv": key.Curve.Params().Name, "x": b64(point[:half]), "y": b64(point[half:])}
	case ed25519.PublicKey:
		return members{"kty": "OKP", "crv": "Ed25519", "x": b64(key)}
	case *ecdh.PublicKey:
		return members{"kty": "OKP", "crv": "X25519", "x": b64(key.Bytes())}
	}
	panic("no such key")
}

// public returns the public JWK of the signer of the given kind.
func public(kind string) members { return jwkOf(signers()[kind].Public()) }

// setOf returns the set of the keys.
func setOf(keys ...members) []byte {
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = key.String()
	}
	return []byte(`{"keys":[` + strings.Join(texts, ",") + `]}`)
}

func keySet(keys ...members) *jose.KeySet { return must(jose.ParseKeySet(setOf(keys...))) }

// sign returns a compact JWS that the signer for alg signed.
func sign(alg, kid string, payload string) string {
	return must(jose.SignCompact(signers()[kindOf[alg]], alg, kid, "", []byte(payload)))
}

package spec_test

// Parties that sign, and their key sets.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"sync"

	"github.com/dynreg/dcr"
)

var b64 = base64.RawURLEncoding.EncodeToString

// signer is a party with a key.
type signer struct {
	alg, kid string
	key      crypto.Signer
}

// signers has one party for each algorithm, made once.
var signers = sync.OnceValue(func() map[string]*signer {
	rsaKey, errRSA := rsa.GenerateKey(rand.Reader, 2048)
	ecKey, errEC := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, edKey, errEd := ed25519.GenerateKey(rand.Reader)
	if errRSA != nil || errEC != nil || errEd != nil {
		panic("no keys")
	}
	return map[string]*signer{
		"RS256": {"RS256", "rsa", rsaKey}, "PS256": {"PS256", "rsa", rsaKey},
		"ES256": {"ES256", "ec", ecKey}, "EdDSA": {"EdDSA", "ed", edKey},
	}
})

// newSigner makes a party with a key of its own.
func newSigner(kid string) *signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return &signer{alg: "ES256", kid: kid, key: key}
}

// jwk returns the public key of the party.
func (s *signer) jwk() object {
	switch key := s.key.Public().(type) {
	case *rsa.PublicKey:
		return object{"kty": "RSA", "kid": s.kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		return object{"kty": "EC", "crv": "P-256", "kid": s.kid, "x": b64(point[1:33]), "y": b64(point[33:])}
	case ed25519.PublicKey:
		return object{"kty": "OKP", "crv": "Ed25519", "kid": s.kid, "x": b64(key)}
	}
	panic("no such key")
}

// jwks returns the key set of parties.
func jwks(parties ...*signer) []byte {
	var keys []object
	for _, party := range parties {
		keys = append(keys, party.jwk())
	}
	return []byte(object{"keys": keys}.String())
}

// keys returns the source of the party's keys for statement verifiers.
func (s *signer) keys() dcr.KeySource { return dcr.StaticKeys(jwks(s)) }

// header returns the JWS header that the party writes.
func (s *signer) header() object { return object{"alg": s.alg, "kid": s.kid, "typ": "JWT"} }

// sign signs claims.
func (s *signer) sign(claims object) string { return s.signText(s.header(), claims.String()) }

// signText signs any text with any header.
func (s *signer) signText(header object, payload string) string {
	signed := b64([]byte(header.String())) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	switch key := s.key.(type) {
	case *rsa.PrivateKey:
		if s.alg == "PS256" {
			signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		}
	case *ecdsa.PrivateKey:
		r, t, failed := ecdsa.Sign(rand.Reader, key, digest[:])
		signature, err = make([]byte, 64), failed
		r.FillBytes(signature[:32])
		t.FillBytes(signature[32:])
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(signed))
	}
	if err != nil {
		panic(err)
	}
	return signed + "." + b64(signature)
}

// withPublicKeyAsSecret signs claims with HS256, with the public key of the
// party as the secret.
func (s *signer) withPublicKeyAsSecret(claims object) string {
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	signed := b64([]byte(s.header().with("alg", "HS256").String())) + "." + b64([]byte(claims.String()))
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}

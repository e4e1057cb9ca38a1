package policy_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
	"testing"
)

// signer is a key of a directory or of a third party.
type signer struct {
	alg, kid string
	key      crypto.Signer
	typ      *string // nil means JWT
}

func newES256(kid string) signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return signer{alg: "ES256", kid: kid, key: key}
}

// newPS256 makes a key only once, since making an RSA key takes time.
var newPS256 = sync.OnceValue(func() signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return signer{alg: "PS256", kid: "directory", key: key}
})

func encode(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

// jwks returns the signer's key set.
func (s signer) jwks() []byte {
	var key string
	switch public := s.key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		key = fmt.Sprintf(`"kty":"EC","crv":"P-256","x":%q,"y":%q`, encode(point[1:33]), encode(point[33:]))
	case *rsa.PublicKey:
		key = fmt.Sprintf(`"kty":"RSA","n":%q,"e":"AQAB"`, encode(public.N.Bytes()))
	}
	return fmt.Appendf(nil, `{"keys":[{"kid":%q,"use":"sig","alg":%q,%s}]}`, s.kid, s.alg, key)
}

// sign returns a compact JWS with the claims.
func (s signer) sign(t testing.TB, claims object) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	typ := "JWT"
	if s.typ != nil {
		typ = *s.typ
	}
	input := encode(fmt.Appendf(nil, `{"alg":%q,"kid":%q,"typ":%q}`, s.alg, s.kid, typ)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	switch key := s.key.(type) {
	case *ecdsa.PrivateKey:
		var r, v *big.Int
		if r, v, err = ecdsa.Sign(rand.Reader, key, digest[:]); err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
		}
	case *rsa.PrivateKey:
		signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(signature)
}

package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr/internal/jose"
)

// BenchmarkVerify measures Verify and the standard library in turns, on the
// same signature, so that a busy machine slows both. The metric that counts is
// xplain: the time of Verify divided by that of the standard library.
func BenchmarkVerify(b *testing.B) {
	claims := `{"iss":"https://issuer.example","aud":"https://id.example.com","sub":"subject","scope":"dcr",` +
		`"exp":1900000000,"iat":1700000000,"jti":"` + strings.Repeat("j", 300) + `"}`
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			token := sign(alg, "a", claims)
			set := keySet(public(kindOf[alg]).with("kid", "a"))
			accepted := []string{"RS256", "PS256", "ES256", "EdDSA"}
			plain := plainVerifier(alg, token)
			var ours, theirs time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				valid := plain()
				between := time.Now()
				_, _, err := verify(token, set, accepted)
				ours += time.Since(between)
				theirs += between.Sub(start)
				if !valid || err != nil {
					b.Fatal(valid, err)
				}
			}
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ours-ns")
			b.ReportMetric(float64(theirs.Nanoseconds())/float64(b.N), "plain-ns")
			b.ReportMetric(float64(ours)/float64(theirs), "xplain")
		})
	}
}

// plainVerifier verifies the token's signature with nothing but the standard
// library: no base64, no JSON, no choice of keys.
func plainVerifier(alg, token string) func() bool {
	last := strings.LastIndexByte(token, '.')
	signed, signature := []byte(token[:last]), must(b64d(token[last+1:]))
	switch key := signers()[kindOf[alg]].Public().(type) {
	case *rsa.PublicKey:
		return func() bool {
			digest := sha256.Sum256(signed)
			if alg == "PS256" {
				return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, nil) == nil
			}
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		der := asn1Signature(signature)
		return func() bool {
			digest := sha256.Sum256(signed)
			return ecdsa.VerifyASN1(key, digest[:], der)
		}
	case ed25519.PublicKey:
		return func() bool { return ed25519.Verify(key, signed, signature) }
	}
	panic("no such algorithm")
}

// asn1Signature returns a signature given as r and s in the form that
// crypto/ecdsa takes.
func asn1Signature(rs []byte) []byte {
	half := len(rs) / 2
	r, s := new(big.Int).SetBytes(rs[:half]), new(big.Int).SetBytes(rs[half:])
	return must(asn1.Marshal(struct{ R, S *big.Int }{r, s}))
}

func BenchmarkCheckClientKeys(b *testing.B) {
	jwks := setOf(public("RSA").with("kid", "a", "use", "sig"), public("P-256").with("kid", "b", "use", "enc"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jose.CheckClientKeys(jwks, 32); err != nil {
			b.Fatal(err)
		}
	}
}

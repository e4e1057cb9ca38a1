package dcr_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// statementClaims is what a program that verifies statements by hand would
// decode their claims to.
type statementClaims struct {
	Issuer       string   `json:"iss"`
	ID           string   `json:"jti"`
	Expiry       int64    `json:"exp"`
	IssuedAt     int64    `json:"iat"`
	SoftwareID   string   `json:"software_id"`
	ClientName   string   `json:"client_name"`
	ClientURI    string   `json:"client_uri"`
	LogoURI      string   `json:"logo_uri"`
	PolicyURI    string   `json:"policy_uri"`
	TOSURI       string   `json:"tos_uri"`
	JWKSURI      string   `json:"jwks_uri"`
	Scope        string   `json:"scope"`
	RedirectURIs []string `json:"redirect_uris"`
	Contacts     []string `json:"contacts"`
}

// BenchmarkStatement measures StatementVerifier.Verify next to the plain
// cryptography and one JSON decode of the claims, in turns, so that a busy
// machine is busy for both. The metric that counts is xplain, the one in terms
// of the other.
func BenchmarkStatement(b *testing.B) {
	claims := stated().with(
		"client_uri", "https://vouched.example", "logo_uri", "https://vouched.example/logo.png",
		"policy_uri", "https://vouched.example/policy", "tos_uri", "https://vouched.example/terms",
		"jwks_uri", "https://keystore.example/vouched.jwks", "scope", "openid accounts payments",
		"contacts", []string{"security@vouched.example"},
		"redirect_uris", []string{"https://vouched.example/cb", "https://vouched.example/app/cb"},
	)
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			party := signers()[alg]
			statement := party.sign(claims)
			verifier := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: party.keys()}, MaxAge: time.Hour}
			plain := plainVerification(party, statement)
			var ours, theirs time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				valid := plain()
				between := time.Now()
				_, err := verifier.Verify(b.Context(), statement, now)
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

// plainVerification checks the signature with the standard library and decodes
// the claims once: no key to choose, nothing to judge.
func plainVerification(party *signer, statement string) func() bool {
	parts := strings.Split(statement, ".")
	signed := []byte(parts[0] + "." + parts[1])
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	check := func() bool { return false }
	switch key := party.key.Public().(type) {
	case *rsa.PublicKey:
		check = func() bool {
			digest := sha256.Sum256(signed)
			if party.alg == "PS256" {
				return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, nil) == nil
			}
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		check = func() bool {
			digest := sha256.Sum256(signed)
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			return ecdsa.Verify(key, digest[:], r, s)
		}
	case ed25519.PublicKey:
		check = func() bool { return ed25519.Verify(key, signed, signature) }
	}
	return func() bool {
		if !check() {
			return false
		}
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		var claims statementClaims
		return json.Unmarshal(payload, &claims) == nil && claims.Issuer == directory
	}
}

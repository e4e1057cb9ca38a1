package jose_test

import (
	"testing"

	"github.com/dynreg/dcr/internal/jose"
)

func TestAlgorithms(t *testing.T) {
	const (
		neither = iota
		symmetric
		asymmetric
	)
	tests := []struct {
		alg, enc string
		is       int
		secret   int
	}{
		{"HS256", "", symmetric, 32},
		{"HS384", "", symmetric, 48},
		{"HS512", "", symmetric, 64},
		{"dir", "A128GCM", symmetric, 16},
		{"dir", "A192GCM", symmetric, 24},
		{"dir", "A256GCM", symmetric, 32},
		{"dir", "A128CBC-HS256", symmetric, 32},
		{"dir", "A192CBC-HS384", symmetric, 48},
		{"dir", "A256CBC-HS512", symmetric, 64},
		{"dir", "", symmetric, 32},
		{"A128KW", "A256CBC-HS512", symmetric, 16},
		{"A192KW", "", symmetric, 24},
		{"A256KW", "", symmetric, 32},
		{"A128GCMKW", "", symmetric, 16},
		{"A192GCMKW", "", symmetric, 24},
		{"A256GCMKW", "", symmetric, 32},
		{"PBES2-HS256+A128KW", "", symmetric, 32},
		{"PBES2-HS384+A192KW", "", symmetric, 32},
		{"PBES2-HS512+A256KW", "", symmetric, 32},
		{"RS256", "", asymmetric, 0},
		{"PS512", "", asymmetric, 0},
		{"ES256", "", asymmetric, 0},
		{"ES256K", "", asymmetric, 0},
		{"EdDSA", "", asymmetric, 0},
		{"Ed25519", "", asymmetric, 0},
		{"RSA-OAEP-256", "A256GCM", asymmetric, 0},
		{"ECDH-ES", "A256GCM", asymmetric, 0},
		{"ECDH-ES+A256KW", "A256GCM", asymmetric, 0},
		{"none", "", neither, 0},
		{"hs256", "", neither, 0},
		{"", "", neither, 0},
	}
	for _, test := range tests {
		t.Run(test.alg+" "+test.enc, func(t *testing.T) {
			if got := jose.Symmetric(test.alg); got != (test.is == symmetric) {
				t.Errorf("symmetric: %v", got)
			}
			if got := jose.Asymmetric(test.alg); got != (test.is == asymmetric) {
				t.Errorf("asymmetric: %v", got)
			}
			if got := jose.MinSecretBytes(test.alg, test.enc); got != test.secret {
				t.Errorf("secret of %d octets", got)
			}
		})
	}
}

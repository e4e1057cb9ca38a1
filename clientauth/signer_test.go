package clientauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// A signer signs with one algorithm, for a client that registered it.
type signer struct {
	alg     string
	sign    func(signed string) []byte
	jwk     string   // its public half, "" for a secret
	secrets [][]byte // what an attacker knows about it, and may try as a secret
}

// signers returns signers for the algorithms that servers allow; each call
// makes new keys.
func signers(t testing.TB) []signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n, curved := key.N.Bytes(), newKey()
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	rsaJWK := fmt.Sprintf(`{"kid":"1","kty":"RSA","n":"%s","e":"AQAB"}`, b64(n))
	pkcs1 := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	known := [][]byte{n, []byte(b64(n)), pkcs1, pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})}
	list := []signer{
		{"RS256", func(signed string) []byte {
			digest := sha256.Sum256([]byte(signed))
			signature, _ := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
			return signature
		}, rsaJWK, append(known, encodings(&key.PublicKey)...)},
		{"PS256", func(signed string) []byte {
			digest := sha256.Sum256([]byte(signed))
			signature, _ := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
			return signature
		}, rsaJWK, append(known, encodings(&key.PublicKey)...)},
		{"ES256", es256Of(curved), jwk(curved, `"kid":"1",`), encodings(&curved.PublicKey)},
		{"EdDSA", func(signed string) []byte { return ed25519.Sign(private, []byte(signed)) },
			fmt.Sprintf(`{"kid":"1","kty":"OKP","crv":"Ed25519","x":"%s"}`, b64(public)), append(encodings(public), public)},
	}
	for alg, hash := range map[string]crypto.Hash{"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512} {
		list = append(list, signer{alg, macOf(hash, []byte(shared+shared)), "", nil})
	}
	return list
}

// encodings returns the usual forms of a public key.
func encodings(public any) [][]byte {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return [][]byte{der, text, []byte(strings.TrimSpace(string(text))), []byte(base64.StdEncoding.EncodeToString(der))}
}

func es256Of(key *ecdsa.PrivateKey) func(string) []byte {
	return func(signed string) []byte {
		digest := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			panic(err)
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature
	}
}

func macOf(hash crypto.Hash, secret []byte) func(string) []byte {
	return func(signed string) []byte {
		mac := hmac.New(hash.New, secret)
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	}
}

// compact returns an assertion with this header and payload, unchanged.
func compact(sign func(string) []byte, header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(sign(signed))
}

// client returns a client that registered the signer's key. named says whether it
// also registered the algorithm.
func (s signer) client(t testing.TB, id string, named bool) *dcr.Client {
	method := "private_key_jwt"
	if s.jwk == "" {
		method = "client_secret_jwt"
	}
	return newClient(id, method, func(c *dcr.Client) {
		if named {
			c.TokenEndpointAuthSigningAlg = s.alg
		}
		if s.jwk != "" {
			c.JWKS = []byte(`{"keys":[` + s.jwk + `]}`)
			return
		}
		sealed, err := sealer(t).Seal(shared+shared, id)
		if err != nil {
			t.Fatal(err)
		}
		c.Secrets = []dcr.Secret{dcr.HashSecret(shared + shared), {Type: dcr.SecretSealed, Value: sealed}}
	})
}

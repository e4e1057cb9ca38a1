package clientauth

// RFC 6749 §10.2 and §10.10: an unknown client costs as much work as a known
// one.

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/jose"
)

// standIn returns a client to use in place of an unknown one, so that a stranger
// learns as little as possible. It is pending, so that its keys are used but
// nobody can authenticate as it.
func standIn(clientID string) *dcr.Client {
	client := &dcr.Client{ID: clientID, Secrets: unknownSecret, Status: dcr.StatusPending}
	client.TokenEndpointAuthMethod, client.JWKS = "private_key_jwt", unknownKeys()
	return client
}

// unknownSecret is the hash of a secret that nobody knows.
var unknownSecret = []dcr.Secret{dcr.HashSecret(dcr.Plaintext(rand.Text() + rand.Text()))}

// unknownKeySet is unknownKeys as a key set.
var unknownKeySet = sync.OnceValue(func() *jose.KeySet {
	keys, err := jose.ParseKeySet(unknownKeys())
	if err != nil {
		panic("clientauth: " + err.Error())
	}
	return keys
})

// unknownKeys is a set of keys that nobody can sign with: nobody has the
// private keys, and the modulus, which costs as much as any, has none.
var unknownKeys = sync.OnceValue(func() []byte {
	encode := base64.RawURLEncoding.EncodeToString
	modulus := make([]byte, 256)
	rand.Read(modulus)
	modulus[0], modulus[len(modulus)-1] = modulus[0]|0x80, modulus[len(modulus)-1]|1
	edwards, _, _ := ed25519.GenerateKey(rand.Reader)
	curved, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("clientauth: " + err.Error())
	}
	point, err := curved.PublicKey.Bytes()
	if err != nil {
		panic("clientauth: " + err.Error())
	}
	return fmt.Appendf(nil, `{"keys":[{"kty":"RSA","n":"%s","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"%s","y":"%s"},{"kty":"OKP","crv":"Ed25519","x":"%s"}]}`,
		encode(modulus), encode(point[1:33]), encode(point[33:]), encode(edwards))
})

package dcr

// Client secrets that the server must be able to use, not only to compare
// (OpenID Connect Core 1.0 §10.1), kept encrypted.

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sealer encrypts client secrets at rest. bind is the client's id: a sealed
// secret must not open under another.
type Sealer interface {
	// Seal encrypts a secret into printable text.
	Seal(secret Plaintext, bind string) (string, error)

	// Open decrypts what Seal made, under any key that was ever in use and is
	// still known.
	Open(sealed, bind string) (Plaintext, error)
}

// AESSealer seals with AES-256-GCM. Make one with [NewAESSealer].
type AESSealer struct {
	current string
	keys    map[string]cipher.AEAD
}

// NewAESSealer returns a Sealer of 32-byte keys. The first one seals; all
// open, so that a new key goes in front and the old one stays until nothing is
// sealed with it. It fails without a key and for one of another length.
func NewAESSealer(keys ...[]byte) (*AESSealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("dcr: a sealer needs a key")
	}
	sealer := &AESSealer{keys: make(map[string]cipher.AEAD)}
	for i, key := range keys {
		if len(key) != 32 {
			return nil, errors.New("dcr: a sealer's key must have 32 bytes")
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("dcr sealer key id\x00"), key...))
		id := base64.RawURLEncoding.EncodeToString(sum[:6])
		if i == 0 {
			sealer.current = id
		}
		sealer.keys[id] = aead
	}
	return sealer, nil
}

// Seal encrypts with the current key.
func (s *AESSealer) Seal(secret Plaintext, bind string) (string, error) {
	aead := s.keys[s.current]
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	sealed := aead.Seal(nonce, nonce, []byte(secret), []byte(bind))
	return s.current + "." + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open decrypts with the key that sealed.
func (s *AESSealer) Open(sealed, bind string) (Plaintext, error) {
	id, text, _ := strings.Cut(sealed, ".")
	aead, known := s.keys[id]
	if !known {
		return "", errors.New("dcr: the secret is sealed with a key that is not known")
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < aead.NonceSize() {
		return "", errors.New("dcr: the sealed secret is damaged")
	}
	secret, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(bind))
	if err != nil {
		return "", errors.New("dcr: the sealed secret is damaged or another client's")
	}
	return Plaintext(secret), nil
}

// OpenSecrets returns the client's valid secrets themselves, for verifying
// client_secret_jwt assertions and for symmetric algorithms. It returns none
// for a client that may not be used at now.
func (c *Client) OpenSecrets(sealer Sealer, now time.Time) ([]Plaintext, error) {
	if !c.Usable(now) {
		return nil, nil
	}
	return c.openSecrets(sealer, now)
}

// openSecrets opens the valid secrets whatever the client's status is.
func (c *Client) openSecrets(sealer Sealer, now time.Time) ([]Plaintext, error) {
	var secrets []Plaintext
	for _, secret := range c.Secrets {
		if secret.Type != SecretSealed || expired(secret.ExpiresAt, now) {
			continue
		}
		opened, err := sealer.Open(secret.Value, c.ID)
		if err != nil {
			return nil, fmt.Errorf("dcr: client %s: %w", c.ID, err)
		}
		secrets = append(secrets, opened)
	}
	return secrets, nil
}

package dcr

// Client secrets and registration access tokens: 256 random bits (RFC 7591
// §5, RFC 7592 §5), shown once, kept as hashes.

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// The types of [Secret].
const (
	SecretSHA256   = "sha256"   // ours: SHA-256 of the secret's bytes, base64url without padding
	SecretBcrypt   = "bcrypt"   // of an imported client, as in $2b$10$…
	SecretArgon2id = "argon2id" // of an imported client, as in $argon2id$v=19$m=65536,t=3,p=4$salt$hash
	SecretSealed   = "sealed"   // the secret itself, encrypted by Options.Sealer
	SecretJWK      = "jwk"      // a public key, kept for the host; never matches a presented secret
)

// Secret is a client secret or a registration access token at rest.
type Secret struct {
	Type      string    `json:"type"`
	Value     string    `json:"value"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
}

// Plaintext is a secret in the clear. Formatting, logging and encoding it
// show a placeholder; Reveal is for the one place that sends it.
type Plaintext string

const redacted = "[redacted]"

// Reveal returns the secret itself.
func (p Plaintext) Reveal() string { return string(p) }

// String returns a placeholder.
func (p Plaintext) String() string { return redacted }

// Format writes a placeholder, whatever the verb.
func (p Plaintext) Format(f fmt.State, verb rune) { io.WriteString(f, redacted) }

// LogValue returns a placeholder.
func (p Plaintext) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON writes a placeholder.
func (p Plaintext) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns a placeholder.
func (p Plaintext) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// newPlaintext returns size random bytes in base64url.
func newPlaintext(size int) Plaintext {
	random := make([]byte, size)
	rand.Read(random) // never fails: see crypto/rand
	return Plaintext(base64.RawURLEncoding.EncodeToString(random))
}

// HashSecret returns the form in which a generated secret is kept: its
// SHA-256. A secret of 256 random bits needs no slow hash; one that a person
// chose does, and is none of ours.
func HashSecret(secret Plaintext) Secret {
	sum := sha256.Sum256([]byte(secret))
	return Secret{Type: SecretSHA256, Value: base64.RawURLEncoding.EncodeToString(sum[:])}
}

// matches reports whether presented is the secret, in a time that tells
// nothing of the secret. An expired secret matches nothing.
func (s *Secret) matches(presented string, now time.Time) bool {
	if expired(s.ExpiresAt, now) {
		return false
	}
	switch s.Type {
	case SecretSHA256:
		return subtle.ConstantTimeCompare([]byte(HashSecret(Plaintext(presented)).Value), []byte(s.Value)) == 1
	case SecretBcrypt:
		return bcrypt.CompareHashAndPassword([]byte(s.Value), []byte(presented)) == nil
	case SecretArgon2id:
		return matchArgon2id(s.Value, presented)
	}
	return false
}

// matchAny reports whether presented is one of secrets.
func matchAny(secrets []Secret, presented string, now time.Time) bool {
	if presented == "" {
		return false
	}
	match := false
	for i := range secrets {
		match = secrets[i].matches(presented, now) || match
	}
	return match
}

// VerifySecret is what the token endpoint asks: whether presented is a secret
// of the client. It compares in constant time, and is false for an expired
// secret and for a pending, disabled or expired client.
func (c *Client) VerifySecret(presented string, now time.Time) bool {
	return matchAny(c.Secrets, presented, now) && c.Usable(now)
}

// The most that a stored argon2id hash may ask for, so that a damaged one
// cannot exhaust the machine.
const (
	argon2MaxMemory = 1 << 20 // KiB
	argon2MaxTime   = 64
)

// matchArgon2id reads the PHC string format of argon2id.
func matchArgon2id(encoded, presented string) bool {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" {
		return false
	}
	cost := map[string]uint64{}
	for _, pair := range strings.Split(parts[3], ",") {
		name, number, _ := strings.Cut(pair, "=")
		value, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return false
		}
		cost[name] = value
	}
	salt, errSalt := base64.RawStdEncoding.DecodeString(parts[4])
	want, errWant := base64.RawStdEncoding.DecodeString(parts[5])
	m, t, p := cost["m"], cost["t"], cost["p"]
	if errSalt != nil || errWant != nil || len(want) < 16 ||
		m == 0 || m > argon2MaxMemory || t == 0 || t > argon2MaxTime || p == 0 || p > 255 {
		return false
	}
	have := argon2.IDKey([]byte(presented), salt, uint32(t), uint32(m), uint8(p), uint32(len(want)))
	return subtle.ConstantTimeCompare(have, want) == 1
}

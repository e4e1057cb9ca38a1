package dcr

// Client secrets and registration access tokens: 256 random bits (RFC 7591
// §5, RFC 7592 §5), shown once, kept as hashes; and their rotation, with its grace
// window.

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/dynreg/dcr/internal/base62"
	"github.com/dynreg/dcr/internal/record"
)

// The values of Secret.Type.
const (
	SecretSHA256   = "sha256"   // ours: SHA-256 of the secret's bytes, base64url without padding
	SecretBcrypt   = "bcrypt"   // a bcrypt hash of an imported client, as in $2b$10$…
	SecretArgon2id = "argon2id" // an argon2id hash of an imported client, as in $argon2id$v=19$m=65536,t=3,p=4$salt$hash
	SecretSealed   = "sealed"   // the secret itself, encrypted by Options.Sealer
	SecretJWK      = "jwk"      // a public key, kept for the host; no presented secret matches it
)

// Secret is a client secret or a registration access token as it is stored.
type Secret struct {
	Type      string    `json:"type"`
	Value     string    `json:"value"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never

	//lint:ignore U1000 internal/record uses it
	unknown record.Rest // members that a newer version stored
}

// Plaintext is a secret in the clear. Formatting, logging and encoding it
// show a placeholder; call Reveal where it is sent.
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

// newPlaintext returns random letters and digits of at least size bytes.
func newPlaintext(size int) Plaintext { return Plaintext(base62.Text(base62.Length(size))) }

// HashSecret returns the form in which a generated secret is stored: its
// SHA-256. A secret of 256 random bits needs no slow hash. One that a person
// chose does: do not use HashSecret for it.
func HashSecret(secret Plaintext) Secret {
	digest := digestOf(string(secret))
	return Secret{Type: SecretSHA256, Value: string(digest[:])}
}

// digestOf returns the SHA-256 of a text as [Secret] keeps it. It allocates
// nothing for secrets of the usual length.
func digestOf(text string) (digest [43]byte) {
	var room [128]byte
	sum := sha256.Sum256(append(room[:0], text...))
	base64.RawURLEncoding.Encode(digest[:], sum[:])
	return digest
}

// matches reports whether presented is the secret, in a time that does not
// depend on the secret. An expired secret matches nothing.
func (s *Secret) matches(presented string, now time.Time) bool {
	if expired(s.ExpiresAt, now) {
		return false
	}
	switch s.Type {
	case SecretSHA256:
		digest := digestOf(presented)
		return subtle.ConstantTimeCompare(digest[:], []byte(s.Value)) == 1
	case SecretBcrypt:
		return matchBcrypt(s.Value, presented)
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

// VerifySecret reports, for the token endpoint, whether the client may
// authenticate at now by presenting this secret. It compares in constant time.
// It returns false for an expired secret, for a pending, disabled or expired
// client, and for a client whose method presents no secret, such as none,
// private_key_jwt and client_secret_jwt. So it can return true for
// client_secret_basic, client_secret_post, no method at all, and methods that
// only the host knows.
func (c *Client) VerifySecret(presented string, now time.Time) bool {
	return c.MatchSecret(Plaintext(presented), now) && c.presentsSecret() && c.CheckUsable(now) == nil
}

// MatchSecret reports whether presented is a secret of the client that has not
// expired at now, whatever the status and the method of the client. It compares
// in constant time. It is for endpoints that must tell a pending client from a
// stranger; a token endpoint calls [Client.VerifySecret].
func (c *Client) MatchSecret(presented Plaintext, now time.Time) bool {
	return matchAny(c.Secrets, presented.Reveal(), now)
}

// withoutSecret are the registered methods (RFC 7591 §2, OpenID Connect Core 1.0
// §9, RFC 8705 §2, OAuth 2.0 Attestation-Based Client Authentication, OAuth
// SPIFFE Client Authentication) by which a client presents no secret.
var withoutSecret = []string{
	"none", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth",
	"attest_jwt_client_auth", "spiffe_jwt", "spiffe_x509",
}

func (c *Client) presentsSecret() bool {
	return !slices.Contains(withoutSecret, c.TokenEndpointAuthMethod)
}

// BasicCredentials returns the client id and secret of the Authorization header
// (client_secret_basic). It form-decodes them, as RFC 6749 §2.3.1 requires and
// [http.Request.BasicAuth] does not: clients encode all but letters, digits and
// a few signs. ok is false if there are none, if the id is empty, if there are
// two headers, and if they are malformed or have control characters. The secret
// may be empty.
func BasicCredentials(r *http.Request) (clientID string, secret Plaintext, ok bool) {
	id, password, ok := r.BasicAuth()
	if !ok || len(r.Header["Authorization"]) > 1 {
		return "", "", false
	}
	id, okID := formDecode(id)
	password, okSecret := formDecode(password)
	if !okID || !okSecret || id == "" {
		return "", "", false
	}
	return id, Plaintext(password), true
}

// formDecode decodes a value of a form. ok is false if it is malformed, is not
// UTF-8 or has control characters.
func formDecode(encoded string) (text string, ok bool) {
	if isPlainValue(encoded) {
		return encoded, true
	}
	text, err := url.QueryUnescape(encoded)
	return text, err == nil && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// isPlainValue reports whether text is ASCII that means the same without
// decoding, like the ids and secrets of this library.
func isPlainValue(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '%' || c == '+' {
			return false
		}
	}
	return true
}

// maxBcrypt is how many bytes of a password bcrypt uses.
const maxBcrypt = 72

// matchBcrypt refuses secrets that bcrypt would not read to the end: those
// longer than 72 bytes and, since many implementations stop there, those with a
// NUL.
func matchBcrypt(encoded, presented string) bool {
	if len(presented) > maxBcrypt || strings.IndexByte(presented, 0) >= 0 {
		return false
	}
	return bcrypt.CompareHashAndPassword([]byte(encoded), []byte(presented)) == nil
}

// The most memory and time that a stored argon2id hash may ask for, so that a
// damaged one cannot exhaust the machine.
const (
	argon2MaxMemory = 256 << 10 // KiB
	argon2MaxTime   = 64
)

// argon2Slots bounds how many argon2id hashes are computed at once, since
// anyone can send a wrong secret.
var argon2Slots = make(chan struct{}, 2)

// matchArgon2id compares with a hash in the PHC string format of argon2id.
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
	argon2Slots <- struct{}{}
	defer func() { <-argon2Slots }()
	have := argon2.IDKey([]byte(presented), salt, uint32(t), uint32(m), uint8(p), uint32(len(want)))
	return subtle.ConstantTimeCompare(have, want) == 1
}

// Sealer encrypts client secrets for the store. bind is the client's id: a
// sealed secret must not open with another id.
type Sealer interface {
	// Seal encrypts a secret into printable text.
	Seal(secret Plaintext, bind string) (string, error)

	// Open decrypts what Seal returned, even if it was sealed with an older key
	// that is still known.
	Open(sealed, bind string) (Plaintext, error)
}

// AESSealer seals with AES-256-GCM. Make one with [NewAESSealer].
type AESSealer struct {
	current string
	keys    map[string]cipher.AEAD
}

// NewAESSealer returns a Sealer with keys of 32 bytes. The first key seals; all
// of them open. To change the key, put a new one first and keep the old one
// until nothing is sealed with it. NewAESSealer returns an error without a key,
// or if a key is not 32 bytes long.
func NewAESSealer(keys ...[]byte) (*AESSealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("dcr: NewAESSealer needs at least one key of 32 bytes")
	}
	sealer := &AESSealer{keys: make(map[string]cipher.AEAD)}
	for i, key := range keys {
		if len(key) != 32 {
			return nil, errors.New("dcr: NewAESSealer: each key must have 32 bytes")
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

// Open decrypts with the key that sealed the secret.
func (s *AESSealer) Open(sealed, bind string) (Plaintext, error) {
	id, text, _ := strings.Cut(sealed, ".")
	aead, known := s.keys[id]
	if !known {
		return "", errors.New("dcr: the secret is sealed with a key that is not known; pass that key to NewAESSealer too")
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < aead.NonceSize() {
		return "", errors.New("dcr: the sealed secret is damaged")
	}
	secret, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(bind))
	if err != nil {
		return "", errors.New("dcr: the sealed secret is damaged, or belongs to another client")
	}
	return Plaintext(secret), nil
}

// OpenSecrets returns the client's sealed secrets that are valid at now, in the
// clear: to verify client_secret_jwt assertions, for symmetric algorithms and,
// with Options.SealAllSecrets, for hosts that compare secrets themselves. The
// newest comes first. It returns none for a client that may not be used at now.
// Its error is that of sealer; the secrets that could be opened are returned
// with it, so that one whose key is lost does not keep a newer one from use.
func (c *Client) OpenSecrets(sealer Sealer, now time.Time) ([]Plaintext, error) {
	if c.CheckUsable(now) != nil {
		return nil, nil
	}
	return c.openSecrets(sealer, now)
}

// openSecrets opens the valid secrets whatever the client's status.
func (c *Client) openSecrets(sealer Sealer, now time.Time) ([]Plaintext, error) {
	var secrets []Plaintext
	var failed error
	for _, secret := range c.Secrets {
		if secret.Type != SecretSealed || expired(secret.ExpiresAt, now) {
			continue
		}
		opened, err := sealer.Open(secret.Value, c.ID)
		if err != nil {
			failed = cmp.Or(failed, fmt.Errorf("dcr: client %s: %w", c.ID, err))
			continue
		}
		secrets = append(secrets, opened)
	}
	return secrets, failed
}

// maxRetired bounds how many old secrets a client can have by rotating often.
const maxRetired = 4

// retire makes valid secrets expire after grace, unless they expire earlier.
func retire(secrets []Secret, now time.Time, grace time.Duration) []Secret {
	var kept []Secret
	end, hashes, sealed := now.Add(grace), 0, 0
	for _, secret := range secrets {
		if expired(secret.ExpiresAt, now) {
			continue
		}
		if secret.Type != SecretJWK { // which is no secret
			count := &hashes
			if secret.Type == SecretSealed { // the other form of one that is hashed
				count = &sealed
			}
			if *count == maxRetired {
				continue
			}
			*count++
			if secret.ExpiresAt.IsZero() || secret.ExpiresAt.After(end) {
				secret.ExpiresAt = end
			}
		}
		kept = append(kept, secret)
	}
	return kept
}

// rotateToken gives a client a new registration access token. The old one stays
// valid until the new one is used or the grace ends.
func (h *Handler) rotateToken(c *Client, now time.Time) Plaintext {
	old := c.RegistrationTokens
	token := newPlaintext(32)
	c.RegistrationTokens = append([]Secret{HashSecret(token)}, retire(old, now, h.opts.RotationGrace)...)
	return token
}

// dropRetiredTokens removes the tokens that were rotated away, if the newest
// was presented, and reports whether there were any.
func dropRetiredTokens(c *Client, presented Plaintext, now time.Time) bool {
	if len(c.RegistrationTokens) < 2 || !isNewestToken(c, presented, now) {
		return false
	}
	c.RegistrationTokens = c.RegistrationTokens[:1]
	return true
}

// isNewestToken reports whether a token of the client was not rotated away.
func isNewestToken(c *Client, presented Plaintext, now time.Time) bool {
	return len(c.RegistrationTokens) > 0 && c.RegistrationTokens[0].matches(presented.Reveal(), now)
}

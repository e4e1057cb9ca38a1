package dcr

// RFC 7591 §3.2.1 and RFC 7592 §3: the identifier and the credentials that a
// client is issued.

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/dynreg/dcr/internal/uri"
)

// RandomClientID returns 32 hexadecimal digits: a UUID of version 8 (RFC 9562 §5.8)
// without its hyphens. It is the default of Options.NewClientID.
//
// The id has five random bits, the time in milliseconds, and 74 random bits. It is
// unique and, like every client id, public; the time in it is that of
// client_id_issued_at, or the present if reg is nil. It has no hyphens because some
// clients percent-encode them and some servers do not decode that (RFC 6749 §2.3.1). The
// five bits in front spread new ids over 32 places of a database index, which stay in
// memory. With one place, writers would wait for each other; with random places, each
// write would read a page.
func RandomClientID(ctx context.Context, reg *Registration) (string, error) {
	const timeBits = 43 // until the year 2248
	id, err := uuid.NewRandom()
	now := time.Now()
	if reg != nil {
		now = reg.Now()
	}
	head := uint64(id[0])>>3<<timeBits | uint64(now.UnixMilli())
	for i := range 6 {
		id[i] = byte(head >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x80
	return hex.EncodeToString(id[:]), err
}

// RandomClientSecret returns a secret of 256 random bits in letters and digits, or more
// if a symmetric algorithm of the client needs more, and its SHA-256. It is the default
// of Options.NewClientSecret.
func RandomClientSecret(ctx context.Context, reg *Registration) (Plaintext, Secret, error) {
	_, need := reg.Client.symmetricNeed()
	secret := newPlaintext(max(32, need))
	return secret, HashSecret(secret), nil
}

// NeedsSecret reports whether the client needs a client secret, for its method
// or for a symmetric algorithm that it registered (OpenID Connect Dynamic
// Client Registration 1.0 §3.2).
func (c *Client) NeedsSecret() bool {
	if strings.HasPrefix(c.TokenEndpointAuthMethod, "client_secret_") {
		return true
	}
	symmetric, _ := c.symmetricNeed()
	return symmetric != ""
}

// NeedsCredentials reports whether the client has what a public client must not have: a
// grant without a person (RFC 6749 §4.4, OpenID Connect CIBA Core 1.0 §4), a URI of http
// on another machine, or no redirect URI although it uses the authorization endpoint (RFC
// 9126 §2.4). A client whose metadata document lists the method none beside others cannot
// use none then.
func (c *Client) NeedsCredentials() bool {
	byHTTP := func(text string) bool {
		parsed, err := uri.ParseRedirect(text)
		return err == nil && parsed.Kind() == uri.HTTP
	}
	return slices.ContainsFunc(authenticatedGrants, c.HasGrant) || len(c.RedirectURIs) == 0 && c.redirects() ||
		slices.ContainsFunc(c.RedirectURIs, byHTTP) || slices.ContainsFunc(c.PostLogoutRedirectURIs, byHTTP) ||
		byHTTP(c.FrontchannelLogoutURI) || byHTTP(c.BackchannelLogoutURI)
}

// issue gives the client of reg what it lacks: an identifier on a registration,
// and a secret if it needs one. It returns the secret that was issued, "" if
// none was. rotate replaces a secret even if it is still valid.
func (h *Handler) issue(ctx context.Context, reg *Registration, rotate bool) (Plaintext, error) {
	c, now := reg.Client, reg.Now()
	if reg.Previous == nil {
		id, err := h.opts.NewClientID(ctx, reg)
		if err != nil {
			return "", err
		}
		if err := h.checkID(id); err != nil {
			return "", fmt.Errorf("dcr: Options.NewClientID returned %.100q: %w", id, err)
		}
		c.ID = id
	}
	if !c.NeedsSecret() {
		c.Secrets = keysAlone(c.Secrets)
		return "", nil
	}
	if rotate {
		return h.newSecret(ctx, reg, retire(c.Secrets, now, h.opts.RotationGrace))
	}
	if has, err := h.hasSecret(c, now); has || err != nil {
		return "", err
	}
	return h.newSecret(ctx, reg, keysAlone(c.Secrets))
}

// RotateSecret gives a client a new secret, made and kept as the options say, and
// returns it in the clear. The old ones are valid for grace, but not longer than
// before; if grace is zero or negative, they expire at once. It is for operators. It
// returns an error if the client needs no secret. It changes only client: store that
// with Update, and only then hand out the secret.
func (h *Handler) RotateSecret(ctx context.Context, client *Client, grace time.Duration) (Plaintext, error) {
	if !client.NeedsSecret() {
		return "", errors.New("dcr: RotateSecret: the client needs no secret")
	}
	if symmetric, _ := client.symmetricNeed(); symmetric != "" && h.opts.Sealer == nil {
		return "", fmt.Errorf("dcr: RotateSecret: %s needs the secret itself to be kept; set Options.Sealer", symmetric)
	}
	reg := &Registration{Client: client, Previous: client.Clone()}
	if err := h.prepare(reg, client.Policy); err != nil {
		return "", err
	}
	kept := keysAlone(client.Secrets)
	if grace > 0 {
		kept = retire(client.Secrets, reg.Now(), grace)
	}
	return h.newSecret(ctx, reg, kept)
}

// keysAlone returns the keys among secrets.
func keysAlone(secrets []Secret) []Secret {
	return slices.DeleteFunc(slices.Clone(secrets), func(s Secret) bool { return s.Type != SecretJWK })
}

// ErrClientID says that no store accepts this id; see [CheckClientID].
var ErrClientID = errors.New("dcr: not a client id: it must be 1 to 255 bytes of UTF-8 without NUL")

// maxClientID is the length of the longest client id, in bytes. Every database
// can index that.
const maxClientID = 255

// CheckClientID returns ErrClientID unless clientID is 1 to 255 bytes of UTF-8
// without NUL. No store has a client of any other id, so a store need not look
// for one, and a cache need not remember that there is none.
func CheckClientID(clientID string) error {
	if clientID == "" || len(clientID) > maxClientID || !utf8.ValidString(clientID) || strings.IndexByte(clientID, 0) >= 0 {
		return ErrClientID
	}
	return nil
}

// checkID returns an error if a client cannot have an id, if it could not be managed
// with it, or if no store accepts it.
func (h *Handler) checkID(id string) error {
	switch {
	case id == "":
		return errors.New("an empty client id")
	case len(id) >= len("https://") && strings.EqualFold(id[:len("https://")], "https://"):
		return errors.New("an https URL is the id of a client that publishes its metadata there")
	case !isPrintable(id):
		return errors.New("a client id must be printable ASCII (RFC 6749 A.1)")
	case h.pathForm && (id == "." || id == ".." || strings.Contains(id, "/")):
		return errors.New("it cannot be in the path of Options.ClientURI; make ids without a slash, or leave ClientURI empty")
	}
	return CheckClientID(id)
}

func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// hasSecret reports whether the client has a valid secret of the kind that it needs. If
// the server must have the secret itself, that is the newest one, since an older one may
// soon expire. A Sealer that fails is an error, and must not cost the client its secret.
func (h *Handler) hasSecret(c *Client, now time.Time) (bool, error) {
	newest := slices.IndexFunc(c.Secrets, func(s Secret) bool {
		return s.Type != SecretSealed && s.Type != SecretJWK && !expired(s.ExpiresAt, now)
	})
	if newest < 0 {
		return false, nil
	}
	symmetric, need := c.symmetricNeed()
	if symmetric == "" {
		return true, nil
	}
	if h.opts.Sealer == nil {
		return false, nil
	}
	opened, err := c.openSecrets(h.opts.Sealer, now)
	for _, secret := range opened {
		if c.Secrets[newest].matches(secret.Reveal(), now) {
			return len(secret) >= need, nil
		}
	}
	if err != nil {
		return false, sealerFails(err)
	}
	return false, nil
}

// sealerFails makes the error for an outage of Options.Sealer.
func sealerFails(err error) *Error {
	unavailable := Unavailable("the server cannot read or keep client secrets at the moment", err)
	unavailable.Rule = "secrets.unavailable"
	return unavailable
}

// newSecret puts a new secret in front of the old ones that are kept.
func (h *Handler) newSecret(ctx context.Context, reg *Registration, old []Secret) (Plaintext, error) {
	c, now := reg.Client, reg.Now()
	secret, kept, err := h.opts.NewClientSecret(ctx, reg)
	if err != nil {
		return "", err
	}
	if secret == "" || kept.Value == "" {
		return "", errors.New("dcr: NewClientSecret returned an empty secret")
	}
	if h.hooked && !kept.matches(secret.Reveal(), now) { // that of RandomClientSecret always matches
		return "", errors.New("dcr: NewClientSecret returned a form that its secret does not match")
	}
	if h.opts.SecretLifetime > 0 {
		kept.ExpiresAt = now.Add(h.opts.SecretLifetime)
	}
	fresh := []Secret{kept}
	symmetric, need := c.symmetricNeed()
	if len(secret) < need {
		return "", errors.New("dcr: NewClientSecret returned a secret that is too short for " + symmetric)
	}
	if symmetric != "" || h.opts.SealAllSecrets {
		sealed, err := h.opts.Sealer.Seal(secret, c.ID)
		if err != nil {
			return "", sealerFails(err)
		}
		fresh = append(fresh, Secret{Type: SecretSealed, Value: sealed, ExpiresAt: kept.ExpiresAt})
	}
	c.Secrets = append(fresh, old...)
	return secret, nil
}

// issuesTokens reports whether the clients of v get registration access tokens
// and may manage themselves with them.
func (h *Handler) issuesTokens(v Validator) bool {
	return !h.opts.DisableManagement && !h.opts.ManageByCallerOnly && !v.sealed().manageByCallerOnly
}

// issueToken gives the client its first registration access token.
func (h *Handler) issueToken(reg *Registration) Plaintext {
	if !h.issuesTokens(reg.validator) {
		return ""
	}
	token := newPlaintext(32)
	reg.Client.RegistrationTokens = []Secret{HashSecret(token)}
	return token
}

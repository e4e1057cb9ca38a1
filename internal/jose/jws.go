// Package jose contains everything that dcr does with JSON Object Signing and
// Encryption. It is the only package that imports jwx, and it exports none of
// jwx's types, so that moving to a later major version of jwx changes only this
// package.
package jose

// Compact JWS: RFC 7515, with the advice of RFC 8725 (the caller lists the
// algorithms, and the key's type must fit the algorithm used).

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/dynreg/dcr/internal/strictjson"
)

// What can be wrong with a JWS. The texts repeat nothing that was sent.
var (
	ErrMalformed  = errors.New("must be a compact JWS")
	ErrCritical   = errors.New("must not have critical header parameters")
	ErrAlgorithm  = errors.New("must be signed with an accepted algorithm that fits the key")
	ErrUnknownKey = errors.New("must be signed with a known key")
	ErrSignature  = errors.New("must have a valid signature")
)

const (
	maxHeader    = 16 << 10 // octets of the encoded header
	maxAttempts  = 8        // keys that are tried for one signature
	slowAttempts = 4        // how many attempts a slow key counts as
)

var headerLimits = strictjson.Limits{Members: 64, Depth: 8}

// Header is the protected header. Keys in the token itself (jwk, jku, x5u) are never
// used, and only Token.Certificates looks at its certificates.
type Header struct {
	Algorithm   string
	KeyID       string // empty if absent
	Type        string // typ
	ContentType string // cty
	Critical    bool   // there is a crit, or the payload is not encoded (RFC 7797)
}

// MediaType returns the typ in lower case, without the optional application/
// (RFC 7515 section 4.1.9).
func (h *Header) MediaType() string { return MediaType(h.Type) }

// MediaType returns a typ as [Header.MediaType] does.
func MediaType(typ string) string {
	typ = strings.ToLower(typ)
	if rest, found := strings.CutPrefix(typ, "application/"); found && !strings.Contains(rest, "/") {
		return rest
	}
	return typ
}

// Token is a compact JWS that has been parsed, but not verified.
type Token struct {
	Header Header

	x5c       strictjson.Value // as it was sent; nil if absent
	signed    []byte           // header and payload as they were sent, which the signature covers
	payload   string
	signature []byte
}

// Parse parses a compact JWS: exactly three parts, none empty, in strict
// base64url. The error is ErrMalformed. The token keeps parts of compact: do not
// change that afterwards.
func Parse[Text string | []byte](compact Text) (*Token, error) {
	text := []byte(compact)
	first, last := bytes.IndexByte(text, '.'), bytes.LastIndexByte(text, '.')
	// The decoder skips line breaks, so they would not be part of what was
	// signed.
	if first <= 0 || first > maxHeader || last <= first || bytes.IndexByte(text, '\r') >= 0 || bytes.IndexByte(text, '\n') >= 0 {
		return nil, ErrMalformed
	}
	var room [2048]byte // for most headers and payloads
	header, err := decode(room[:0], text[:first])
	if err != nil {
		return nil, err
	}
	t := &Token{signed: text[:last]}
	if err := t.readHeader(string(header)); err != nil {
		return nil, ErrMalformed
	}
	payload, err := decode(room[:0], text[first+1:last])
	if err != nil {
		return nil, err
	}
	t.payload = string(payload)
	if t.signature, err = decode(nil, text[last+1:]); err != nil {
		return nil, err
	}
	return t, nil
}

// decode returns what part encodes, in dst if that has room for it.
func decode(dst, part []byte) ([]byte, error) {
	b, err := base64url.AppendDecode(dst, part)
	if err != nil || len(b) == 0 {
		return nil, ErrMalformed
	}
	return b, nil
}

func (t *Token) readHeader(data string) error {
	h := &t.Header
	err := strictjson.ReadObject(data, headerLimits, func(name string, value strictjson.Value) (err error) {
		switch name {
		case "alg":
			h.Algorithm, err = value.Text()
		case "kid":
			h.KeyID, err = value.Text()
		case "typ":
			h.Type, err = value.Text()
		case "cty":
			h.ContentType, err = value.Text()
		case "crit":
			h.Critical = true
		case "b64":
			var encoded bool
			encoded, err = value.Bool()
			h.Critical = h.Critical || !encoded
		case "x5c":
			t.x5c = value
		}
		return err
	})
	if err == nil && h.Algorithm == "" {
		err = ErrMalformed
	}
	return err
}

// Unverified returns the payload, which anyone may have made up. Use it only to
// find out whose keys to fetch.
func (t *Token) Unverified() string { return t.payload }

// Signed returns the header and the payload as they were sent.
func (t *Token) Signed() string { return string(t.signed) }

// Verify returns the payload if a key of set signed the token with an accepted
// asymmetric algorithm. If the token names its key, only that key is tried.
func (t *Token) Verify(set *KeySet, accepted []string) (payload string, err error) {
	h := &t.Header
	if h.Critical {
		return "", ErrCritical
	}
	a := algorithms[h.Algorithm]
	if a.verifier == nil || !slices.Contains(accepted, h.Algorithm) {
		return "", ErrAlgorithm
	}
	candidates := set.keys
	if h.KeyID != "" {
		if candidates = set.byKID[h.KeyID]; len(candidates) == 0 {
			return "", ErrUnknownKey
		}
	}
	attempts := 0
	for i := range candidates {
		if !candidates[i].fits(h.Algorithm, a) {
			continue
		}
		if attempts += candidates[i].attempts(); attempts > maxAttempts {
			break
		}
		if a.verifier.Verify(t.signed, t.signature, candidates[i].public) == nil {
			return t.payload, nil
		}
	}
	switch {
	case attempts > 0:
		return "", ErrSignature
	case h.KeyID != "":
		return "", ErrAlgorithm
	}
	return "", ErrUnknownKey
}

// SignCompact returns payload signed with key, whose type must fit alg. Empty
// kid and typ are left out.
func SignCompact(key crypto.Signer, alg, kid, typ string, payload []byte) (string, error) {
	header := strictjson.AppendString([]byte(`{"alg":`), alg)
	if kid != "" {
		header = strictjson.AppendString(append(header, `,"kid":`...), kid)
	}
	if typ != "" {
		header = strictjson.AppendString(append(header, `,"typ":`...), typ)
	}
	return sign(key, alg, append(header, '}'), payload)
}

// SignWithChain returns payload signed with key, which belongs to the first
// certificate of chain. The chain is sent in x5c.
func SignWithChain(key crypto.Signer, alg string, chain []*x509.Certificate, payload []byte) (string, error) {
	header := append(strictjson.AppendString([]byte(`{"alg":`), alg), `,"x5c":[`...)
	for i, cert := range chain {
		if i > 0 {
			header = append(header, ',')
		}
		header = strictjson.AppendString(header, base64.StdEncoding.EncodeToString(cert.Raw))
	}
	return sign(key, alg, append(header, `]}`...), payload)
}

// sign returns payload signed with a header that names alg.
func sign(key crypto.Signer, alg string, header, payload []byte) (string, error) {
	if alg == "Ed25519" {
		alg = "EdDSA" // jwx knows the older name
	}
	signer, err := jws.NewSigner(jwa.SignatureAlgorithm(alg))
	if err != nil {
		return "", err
	}
	signed := base64url.EncodeToString(header) + "." + base64url.EncodeToString(payload)
	signature, err := signer.Sign([]byte(signed), key)
	if err != nil {
		return "", err
	}
	return signed + "." + base64url.EncodeToString(signature), nil
}

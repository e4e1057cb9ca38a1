package jwt

// RFC 7519 section 7.2 and RFC 8725: checking a token, in two steps. What the
// token says about itself is checked first, so that no keys are fetched for a
// token that would be refused anyway.

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/strictjson"
)

// Rules say what a token must be like, no matter who signed it.
type Rules struct {
	MaxBytes   int                         // of the compact form; if zero, any number
	Algorithms []string                    // it must be signed with one of these
	Type       func(mediaType string) bool // checks typ, as jose.MediaType returns it; if nil, any typ will do
	NamedKey   bool                        // it must have a kid
	Limits     strictjson.Limits           // of its claims
}

// Token is a token that Rules.Read accepted. Anyone may have made it, until
// Verify has verified it.
type Token struct {
	Claims

	signed     *jose.Token
	algorithms []string
	present    []string // the names of the claims that have a value
}

// usualClaims is about the number of claims in a directory's statement.
const usualClaims = 24

// Fault says why a token is refused.
type Fault struct {
	Rule     string // a stable name: length, form, crit, algorithm, type, kid, claims, signature or terms
	Sentence string // what follows the name of the token
	Err      error  // the cause, if there is one
}

// Error returns the sentence.
func (f *Fault) Error() string { return f.Sentence }

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// fault is the Fault that err describes.
func fault(rule string, err error) *Fault {
	return &Fault{Rule: rule, Sentence: err.Error(), Err: err}
}

// Read parses a token in compact form and checks it against the rules. It also
// passes each claim to each, whose error is a fault in the claims. The token keeps
// parts of compact: do not change that afterwards.
func (r *Rules) Read(compact []byte, each func(name string, value strictjson.Value) error) (*Token, *Fault) {
	if r.MaxBytes > 0 && len(compact) > r.MaxBytes {
		return nil, &Fault{Rule: "length", Sentence: fmt.Sprintf("must not be longer than %d bytes", r.MaxBytes)}
	}
	signed, err := jose.Parse(compact)
	if err != nil {
		return nil, fault("form", err)
	}
	switch header := &signed.Header; {
	case header.Critical:
		return nil, fault("crit", jose.ErrCritical)
	case !slices.Contains(r.Algorithms, header.Algorithm):
		return nil, &Fault{Rule: "algorithm", Sentence: "must be signed with one of the algorithms " + strings.Join(r.Algorithms, ", ")}
	case r.Type != nil && !r.Type(header.MediaType()):
		return nil, &Fault{Rule: "type", Sentence: "must have an accepted typ"}
	case r.NamedKey && header.KeyID == "":
		return nil, &Fault{Rule: "kid", Sentence: "must name its key by kid"}
	}
	t := &Token{signed: signed, algorithms: r.Algorithms, present: make([]string, 0, usualClaims)}
	err = t.ReadAll(signed.Unverified(), r.Limits, func(name string, value strictjson.Value) error {
		switch string(value) {
		case "null", `""`:
		default:
			t.present = append(t.present, name)
		}
		return each(name, value)
	})
	if err != nil {
		return nil, &Fault{Rule: "claims", Sentence: "is not valid: " + err.Error(), Err: err}
	}
	return t, nil
}

// KeyID returns the kid of the token, "" if it has none.
func (t *Token) KeyID() string { return t.signed.Header.KeyID }

// Verify returns the claims as they were sent, if one of keys signed them.
func (t *Token) Verify(keys *jose.KeySet) (payload string, wrong *Fault) {
	payload, err := t.signed.Verify(keys, t.algorithms)
	if err != nil {
		return "", fault("signature", err)
	}
	return payload, nil
}

// Certificates returns the certificates that were sent with the token, the
// signer's first. Anyone may have made them.
func (t *Token) Certificates() ([]*x509.Certificate, error) { return t.signed.Certificates() }

// VerifyMAC returns the claims as they were sent, if one of secrets authenticates
// them.
func (t *Token) VerifyMAC(secrets [][]byte) (payload string, wrong *Fault) {
	payload, err := t.signed.VerifyMAC(secrets, t.algorithms)
	if err != nil {
		return "", fault("signature", err)
	}
	return payload, nil
}

// Signed returns the header and the payload as they were sent, without the
// signature.
func (t *Token) Signed() string { return t.signed.Signed() }

// Judge checks the claims against terms at the time now. Each required claim
// must have a value.
func (t *Token) Judge(now time.Time, terms Terms, required ...string) *Fault {
	if err := t.Claims.Check(now, terms); err != nil {
		return fault("terms", err)
	}
	for _, name := range required {
		if !slices.Contains(t.present, name) {
			return &Fault{Rule: "claims", Sentence: "must have the claim " + name}
		}
	}
	return nil
}

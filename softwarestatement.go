package dcr

// RFC 7591 §2.3: software statements, and what their claims do to the metadata
// of the client.

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/dynreg/dcr/internal/strictjson"
)

// SoftwareStatement is a verified software statement. [StatementVerifier]
// makes one; a step of the host's own that verifies statements in its own way
// sets Registration.Statement to one, and what it claims is merged into the
// client all the same.
type SoftwareStatement struct {
	Issuer   string // iss
	ID       string // what names the statement: its jti, or its software_id where it has none
	Metadata        // the members that the statement claims, which win over the request's; Extra holds all the other claims
	Claims   map[string]json.RawMessage
	Text     string // the statement as it was sent, which is what is echoed; if empty, that of the request

	held    bool // it is the one that the client registered with
	present memberSet
	choices map[string][]string // the lists of alternatives that it claims, as those of Request
	faults  []fault             // claims of the wrong form
	rules   map[string]StatementRule
	once    *onceOnly // how often it may be used; nil for any number of times, and for a stored one
}

// Signer is the software that the statement is of: what [Request].Signer is of a
// request which that software signed, so that a step can compare them. It is a
// JSON array of the issuer and the software_id, or the ID where there is no
// software_id, so that it tells apart what two issuers call by one name; "" where
// the statement names no software.
func (s *SoftwareStatement) Signer() string {
	software := cmp.Or(s.SoftwareID, s.ID)
	if software == "" {
		return ""
	}
	name := strictjson.AppendString([]byte{'['}, s.Issuer)
	name = strictjson.AppendString(append(name, ','), software)
	return string(append(name, ']'))
}

// StatementRule says how what a statement claims of a member and what the
// request says of it go together.
type StatementRule int

// The rules for a claimed member. Under each, a request that leaves the member
// out gets what is claimed, and the member's language-tagged forms are those
// that are claimed. A list of alternatives to the member, as
// token_endpoint_auth_methods_supported is one, comes under the rule of the
// member.
//
// What is claimed holds to the end: [Validate] refuses a client of which a later
// step made anything else. Under each rule the server may leave out what it does
// not support of a claimed list or scope, and what people read, as it may of any
// request (RFC 7591 §3.2.1); it never puts anything in its place, such as default
// scopes.
const (
	// ClaimWins replaces what the request says (RFC 7591 §2.3).
	ClaimWins StatementRule = iota

	// ClaimBinds refuses a request that says anything else. Lists and scope are
	// the same in any order. A list of alternatives has the claimed value among
	// them.
	ClaimBinds

	// ClaimBounds lets the request choose among the entries of a claimed list,
	// or the scopes of a claimed scope. Anything else is as under ClaimBinds.
	ClaimBounds

	// ClaimOnly is ClaimBinds, and refuses a request that says anything where
	// nothing is claimed, also one that comes without a statement. The client
	// then has nothing there either, except what every client has, such as
	// grant_types.
	ClaimOnly
)

// ValidateSoftwareStatement verifies the statement of the request with
// d.Statements and sets reg.Statement. An override that has set reg.Statement
// is taken at its word. Without d.Statements a statement is ignored (RFC 7591
// §3.1.1).
//
// On an update a statement is judged in full only if it is not the stored one.
// A stored one that is sent back, or left out, keeps its hold on the client:
// its claims count, and neither its time nor its signature is judged again.
func (d DefaultValidator) ValidateSoftwareStatement(ctx context.Context, reg *Registration) error {
	if reg.Statement != nil {
		return nil
	}
	statement, err := d.Statements.judge(ctx, reg)
	reg.Statement = statement
	return err
}

// checkSoftware holds the statement of an update to the issuer and the software
// of the one that the client registered with, also where a step of the host's
// verified it. What claims nothing leaves the software as it was.
func (reg *Registration) checkSoftware() error {
	if reg.Previous == nil || reg.Previous.Statement == nil || reg.Statement == nil {
		return nil
	}
	verifier := cmp.Or(reg.foundation.statements, &StatementVerifier{})
	if verifier.AllowOtherSoftware {
		return nil
	}
	statement, stored := reg.Statement, reg.Previous.Statement
	was := ""
	if slices.Contains(stored.Members, "software_id") {
		was = reg.Previous.SoftwareID
	}
	software, byID := statement.SoftwareID, verifier.IDClaim != "" && verifier.IDClaim != "software_id"
	if len(statement.claimed()) == 0 {
		software, byID = was, true
	}
	if statement.Issuer != stored.Issuer || software != was || (byID || software == "") && statement.ID != stored.ID {
		return refuse(UnapprovedSoftwareStatement, "software_statement", "software_statement.software",
			"software_statement must be of the issuer and the software that this client registered with")
	}
	return nil
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
	if text == "" && reg.Client.Statement != nil {
		return // an update under the stored one
	}
	claimed := reg.Statement.claimed()
	if stored := reg.Client.Statement; stored != nil && len(claimed) == 0 {
		claimed = stored.Members
	}
	reg.Client.Statement = &StatementRecord{
		Issuer: reg.Statement.Issuer, ID: reg.Statement.ID, Text: text, Hash: hashText(text), Members: claimed,
	}
}

// StatementRequirer is a [Validator], or part of one, that may demand a software
// statement in a way of its own, beside StatementVerifier.Required: then no
// stranger registers, and [Handler.Warnings] says nothing of strangers.
type StatementRequirer interface {
	// RequiresStatement reports whether no client registers without a statement.
	RequiresStatement() bool
}

// requiresStatement reports whether no client registers under v without a
// statement.
func requiresStatement(v Validator) bool {
	if statements := v.sealed().statements; statements != nil && statements.Required {
		return true
	}
	for inner := v; inner != nil; inner = embedded(inner) {
		if requirer, ok := inner.(StatementRequirer); ok && requirer.RequiresStatement() {
			return true
		}
	}
	return false
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

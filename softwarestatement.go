package dcr

// RFC 7591 §2.3: software statements, how their claims are read, and by which a
// statement is told from the other tokens of its issuer. What the claims do to
// the client stands in claims.go.

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/jwt"
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

	held      bool // it is the one that the client registered with
	assumed   bool // its signature was not judged, since nothing is fetched for Handler.Explain
	present   memberSet
	choices   map[string][]string // the lists of alternatives that it claims, as those of Request
	faults    []fault             // claims of the wrong form
	rules     map[string]StatementRule
	signature signature // by which it was found good; zero for a stored one
	once      *onceOnly // how often it may be used; nil for any number of times, and for a stored one
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
	if reg.Statement == nil || reg.plain {
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
	own := strings.Clone // of a part of the body, which is not to be kept
	record := &StatementRecord{Issuer: own(reg.Statement.Issuer), ID: own(reg.Statement.ID), Text: own(text), Hash: hashText(text)}
	for _, name := range claimed {
		record.Members = append(record.Members, own(name))
	}
	reg.Client.Statement = record
}

// StatementRequirer is a [Validator], or part of one, that may demand a software
// statement in a way of its own, besides StatementVerifier.Required: then no
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

// statementClaims are the claims of a statement, read by the rules of a
// registration request.
type statementClaims struct {
	verifier *StatementVerifier
	all      map[string]json.RawMessage
	request  *Request
}

func (v *StatementVerifier) newClaims() *statementClaims {
	return &statementClaims{verifier: v, all: make(map[string]json.RawMessage, 24), request: &Request{}}
}

// claimLimits bound the claims as they do the members of a request.
func claimLimits(limits Limits) strictjson.Limits {
	return strictjson.Limits{Members: limits.Members, Depth: limits.Depth}
}

func (c *statementClaims) read(name string, value strictjson.Value) error {
	c.all[name] = json.RawMessage(value)
	if _, stands := c.verifier.Claims[name]; stands || jwt.Registered(name) {
		return nil
	}
	return c.request.member(name, asClaimed(name, value))
}

// statement returns what was read, with the registered claims with it.
func (c *statementClaims) statement(registered *jwt.Claims) (*SoftwareStatement, error) {
	request := c.request
	if err := c.verifier.readMapped(c.all, request); err != nil {
		return nil, claimError(err)
	}
	for i := range request.faults {
		request.faults[i].err = claimError(request.faults[i].err)
	}
	id := cmp.Or(registered.ID, request.SoftwareID)
	if c.verifier.IDClaim != "" {
		id, _ = strictjson.Value(c.all[c.verifier.IDClaim]).Text()
	}
	return &SoftwareStatement{
		Issuer: registered.Issuer, ID: id,
		Metadata: request.Metadata, Claims: c.all,
		present: request.present, choices: request.Choices, faults: request.faults, rules: c.verifier.Members,
	}, nil
}

// foreignClaims are claims of ID Tokens (OpenID Connect Core 1.0 §2) and Logout
// Tokens (Back-Channel Logout 1.0 §2.4), and of no software statement.
var foreignClaims = []string{"nonce", "at_hash", "c_hash", "auth_time", "sid", "events", "azp"}

// checkKind tells a statement from what else its issuer may have signed: another
// token has claims of its own and says nothing of a client, and a client
// assertion is of the client itself (RFC 7523 §3).
func (s *SoftwareStatement) checkKind(registered *jwt.Claims) error {
	for _, name := range foreignClaims {
		if _, foreign := s.Claims[name]; foreign {
			return invalidStatement("kind", "must not have the claim %s, which belongs to tokens of another kind", name)
		}
	}
	if registered.Issuer != "" && registered.Issuer == registered.Subject {
		return invalidStatement("kind", "must not have the same iss and sub, as a client assertion has")
	}
	if s.present == (memberSet{}) && len(s.Localized) == 0 && len(s.faults) == 0 {
		return invalidStatement("kind", "must claim software_id or another member of the client")
	}
	return nil
}

// asClaimed is what a claim says of a member. Directories issue a version as a
// number too, whose text is what counts: 1.10 is not 1.1.
func asClaimed(member string, value strictjson.Value) strictjson.Value {
	if member == "software_version" && value.Kind() == strictjson.Number {
		return strictjson.Value(strictjson.AppendString(nil, string(value)))
	}
	return value
}

// readMapped reads the claims that stand for members of another name.
func (v *StatementVerifier) readMapped(claims map[string]json.RawMessage, request *Request) error {
	for _, claim := range sortedKeys(v.Claims) {
		name := v.Claims[claim]
		value, claimed := claims[claim]
		if _, own := claims[name]; !claimed || own && name != claim {
			continue
		}
		before := len(request.faults)
		if err := request.member(name, asClaimed(name, strictjson.Value(value))); err != nil {
			return err
		}
		if len(request.faults) > before {
			wrong := *request.faults[before].err
			wrong.Description = claim + strings.TrimPrefix(wrong.Description, name)
			request.faults[before].err = &wrong
		}
	}
	return nil
}

// claimError makes a fault in a claim a fault of the statement.
func claimError(err error) *Error {
	found, shown := (*strictjson.Error)(nil), (*Error)(nil)
	switch {
	case errors.As(err, &found) && found.Path == "":
		return invalidStatement("claims", "%s", "is not sound: its body "+found.Reason)
	case errors.As(err, &shown):
		return invalidStatement("claims", "is not sound: its claim %s", shown.Description)
	}
	return invalidStatement("claims", "is not sound: its claim %s", err)
}

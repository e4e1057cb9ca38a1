package dcr

// RFC 7591 §2.3: software statements, which members they claim, how their claims are
// read, and how a statement is told from other tokens of its issuer. What the claims do
// to the client is in claims.go.

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/decorator"
	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/strictjson"
)

// SoftwareStatement is a verified software statement. [StatementVerifier] makes
// one. A step that verifies statements in its own way sets
// Registration.Statement to one; its claims are then merged into the client
// too.
type SoftwareStatement struct {
	Issuer   string                     // iss
	ID       string                     // names the statement: its jti, or its software_id if it has no jti
	Metadata                            // the members that the statement claims, which override the request's; Extra has all other claims
	Claims   map[string]json.RawMessage // all claims; the values are in one piece of memory, so clone one to keep it alone
	Text     string                     // the statement as it was sent, which the answer repeats; if empty, that of the request

	held      bool // the client registered with it
	assumed   bool // its signature was not judged, since Handler.Explain fetches nothing
	present   memberSet
	choices   map[string][]string // the lists of alternatives that it claims, as in Request
	faults    []fault             // claims of the wrong form
	rules     map[string]StatementRule
	decides   memberSet // the members that it claims or has a rule for, once it is in force
	signature signature // the signature that was verified; zero for a stored statement
	once      *onceOnly // bounds its use; nil if nothing does, and for a stored statement
}

// clone returns a copy that shares nothing with s that code of the host can change: the
// steps of each attempt may change theirs. It returns nil if s is nil.
func (s *SoftwareStatement) clone() *SoftwareStatement {
	if s == nil {
		return nil
	}
	own := *s
	own.Metadata.unshare()
	own.Claims = cloneRaw(s.Claims)
	return &own
}

// Signer names the software that the statement is about, in the same form as
// [Request].Signer names the software that signed a request, so that a step can
// compare the two. It is a JSON array of the issuer and the software_id, or the
// ID if there is no software_id: two issuers may use the same name. It is "" if
// the statement names no software.
func (s *SoftwareStatement) Signer() string {
	software := cmp.Or(s.SoftwareID, s.ID)
	if software == "" {
		return ""
	}
	name := make([]byte, 0, len(s.Issuer)+len(software)+len(`["",""]`)) // enough without escapes
	name = strictjson.AppendString(append(name, '['), s.Issuer)
	name = strictjson.AppendString(append(name, ','), software)
	return string(append(name, ']'))
}

// claimed returns the names of the members that the statement claims, nil if there
// are none. They share no memory with the statement.
func (s *SoftwareStatement) claimed() []string {
	set := s.members()
	n := set.Len() + len(s.Localized) + len(s.Extra)
	if n == 0 {
		return nil
	}
	names := make([]string, 0, n)
	for i := range set.Places() {
		names = append(names, members.Fields[i].Name)
	}
	for _, name := range sortedKeys(s.Localized) {
		names = append(names, strings.Clone(name))
	}
	for _, name := range sortedKeys(s.Extra) {
		names = append(names, strings.Clone(name))
	}
	return names
}

// claimsNothing reports whether claimed has nothing to name.
func (s *SoftwareStatement) claimsNothing() bool {
	return s.members() == (memberSet{}) && len(s.Localized) == 0 && len(s.Extra) == 0
}

// members are the registered members that the statement claims.
func (s *SoftwareStatement) members() memberSet { return s.present.Or(members.Set(&s.Metadata)) }

// claims reports whether the statement claims a registered member.
func (s *SoftwareStatement) claims(f *registered) bool {
	return s.present.Has(f.Place) || !f.IsZero(&s.Metadata)
}

// enforce notes which registered members the claims and their rules decide about,
// so that all others need not be looked at.
func (s *SoftwareStatement) enforce() *SoftwareStatement {
	s.present = s.members()
	s.decides = s.present
	for list := range s.choices {
		s.decides.Add(choiceMember[list])
	}
	for name := range s.rules {
		if f := member(name); f != nil {
			s.decides.Add(f.Place)
		}
	}
	return s
}

// reclaim makes claims of the members that the statement of a client claimed,
// with the values that the client has.
func (s *SoftwareStatement) reclaim(c *Client) {
	for _, name := range c.Statement.Members {
		if f := member(name); f != nil {
			if f.IsZero(&c.Metadata) && lists[f.Place].name != "" {
				continue // the server did not support it then
			}
			f.Copy(&s.Metadata, &c.Metadata)
			s.present.Add(f.Place)
		} else if text, tagged := c.Localized[name]; tagged {
			put(&s.Localized, name, text)
		} else if raw, extended := c.Extra[name]; extended {
			put(&s.Extra, name, raw)
		}
	}
}

// StatementRule says what happens if a statement claims a member that the
// request has too.
type StatementRule int

// The rules for a claimed member. Under each, a request that leaves the member
// out gets the claimed value, and the member has only the language-tagged forms
// that are claimed. The rule of a member also applies to its list of
// alternatives, such as token_endpoint_auth_methods_supported.
//
// No later step may change what is claimed: [Validate] then refuses the client.
// Under each rule the server may leave out entries of a claimed list or scope
// that it does not support, and what people read, as it may with any request (RFC
// 7591 §3.2.1). It puts nothing in their place, such as default scopes. An update that
// sends a member back as the server made it so is treated as if it left the member out.
const (
	// ClaimWins replaces the value in the request (RFC 7591 §2.3).
	ClaimWins StatementRule = iota

	// ClaimBinds refuses a request with another value. The order of lists, of
	// scope and of the words of a response type does not matter. A list of
	// alternatives must contain the claimed value.
	ClaimBinds

	// ClaimBounds lets the request choose among the entries of a claimed list,
	// or the scopes of a claimed scope. For any other member it is ClaimBinds.
	ClaimBounds

	// ClaimOnly is ClaimBinds, and also refuses a request that has the member
	// although it is not claimed, even without a statement. The client then does
	// not have the member either, unless every client has it, such as
	// grant_types.
	ClaimOnly
)

// choose compares the value in a request with the claimed one, and reports
// whether the claimed one replaces it.
func (rule StatementRule) choose(name string, plain, claimed strictjson.Value) (take bool, err error) {
	said, ok := entries(name, plain)
	listed, claimedOK := entries(name, claimed)
	switch {
	case ok && claimedOK:
		return rule.chooseEntries(name, said, listed)
	case !sameJSON([]byte(plain), []byte(claimed)):
		return false, refuseMember(name, "claim", "must be as the software statement has it, or be left out")
	}
	return rule != ClaimBounds || !ok, nil
}

// chooseEntries does for lists, or scopes, what choose does for any value.
func (rule StatementRule) chooseEntries(name string, said, listed []string) (take bool, err error) {
	switch {
	case !withinMember(name, said, listed):
		return false, refuseMember(name, "claim", "must not have an entry that the software statement does not have")
	case rule != ClaimBounds && !withinMember(name, listed, said):
		return false, refuseMember(name, "claim", "must have the entries that the software statement has, or be left out")
	}
	return rule != ClaimBounds, nil
}

// ValidateSoftwareStatement verifies the statement of the request with
// d.Statements and sets reg.Statement. If an override has already set
// reg.Statement, that is kept as it is. Without d.Statements a statement is
// ignored (RFC 7591 §3.1.1).
//
// On an update a statement is judged in full only if it is not the stored one.
// If the stored one is sent back, or no statement is sent, the claims of the
// stored one still apply, and neither its time nor its signature is judged
// again.
func (d DefaultValidator) ValidateSoftwareStatement(ctx context.Context, reg *Registration) error {
	return reg.readStatement(ctx, d.Statements)
}

func (reg *Registration) readStatement(ctx context.Context, verifier *StatementVerifier) error {
	if reg.Statement != nil {
		return nil
	}
	statement, err := verifier.judge(ctx, reg)
	reg.Statement = statement
	return err
}

// checkSoftware requires the statement of an update to have the issuer and the
// software of the one that the client registered with, even if a step of the
// host verified it. A statement that names no software will do.
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
	if statement.claimsNothing() {
		software, byID = was, true
	}
	if statement.Issuer != stored.Issuer || software != was || (byID || software == "") && statement.ID != stored.ID {
		return refuse(UnapprovedSoftwareStatement, "software_statement", "software_statement.software",
			"software_statement must be of the issuer and the software that this client registered with")
	}
	return nil
}

// recordStatement stores in the client the statement that it registers with.
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
		claimed = slices.Clone(stored.Members)
	}
	own := strings.Clone // a copy, so that the body is not kept in memory
	record := &StatementRecord{
		Issuer: own(reg.Statement.Issuer), ID: own(reg.Statement.ID), Text: own(text), Hash: hashText(text), Members: claimed,
	}
	if stored := reg.Client.Statement; stored != nil && stored.Hash == record.Hash {
		record.unknown = stored.unknown // the same statement
	}
	reg.Client.Statement = record
}

// StatementRequirer is a [Validator], or part of one, that may itself require a
// software statement, in addition to StatementVerifier.Required.
// [Handler.Warnings] then does not warn about strangers, since none can
// register.
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
	for inner := v; inner != nil; inner = decorator.Inner(inner) {
		if requirer, ok := inner.(StatementRequirer); ok && requirer.RequiresStatement() {
			return true
		}
	}
	return false
}

func hashText(text string) string {
	digest := digestOf(text)
	return string(digest[:])
}

// statementClaims are the claims of a statement, read by the rules of a
// registration request.
type statementClaims struct {
	verifier *StatementVerifier
	all      map[string]json.RawMessage
	values   []byte   // room for the values of all
	mapped   []string // the claims that stand for a member of another name
	request  *Request
}

// newClaims returns room for the claims of a statement of that length.
func (v *StatementVerifier) newClaims(length int) *statementClaims {
	const perClaim = 80 // about what a claim takes, base64url
	return &statementClaims{verifier: v, all: make(map[string]json.RawMessage, length/perClaim), values: make([]byte, 0, length/2), request: &Request{}}
}

// claimLimits bound the claims as they do the members of a request.
func claimLimits(limits Limits) strictjson.Limits {
	return strictjson.Limits{Members: limits.Members, Depth: limits.Depth}
}

func (c *statementClaims) read(name string, value strictjson.Value) error {
	start := len(c.values)
	c.values = append(c.values, value...)
	c.all[name] = json.RawMessage(slices.Clip(c.values[start:])) // clipped, so that appending to one leaves the next alone
	if _, stands := c.verifier.Claims[name]; stands {
		c.mapped = append(c.mapped, name)
		return nil
	}
	if jwt.Registered(name) {
		return nil
	}
	return c.request.member(name, asClaimed(name, value))
}

// statement returns the statement that was read, with the registered claims.
func (c *statementClaims) statement(registered *jwt.Claims) (*SoftwareStatement, error) {
	request := c.request
	if err := c.readMapped(); err != nil {
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
// Tokens (Back-Channel Logout 1.0 §2.4) that no software statement has.
var foreignClaims = []string{"nonce", "at_hash", "c_hash", "auth_time", "sid", "events", "azp"}

// checkKind refuses other tokens that the issuer may have signed. They have
// claims of their own and say nothing about a client; a client assertion is
// about its own issuer (RFC 7523 §3).
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

// asClaimed returns the value of a member that a claim stands for. Some
// directories issue software_version as a number; its text is what counts,
// since 1.10 is not 1.1.
func asClaimed(member string, value strictjson.Value) strictjson.Value {
	if member == "software_version" && value.Kind() == strictjson.Number {
		return strictjson.Value(strictjson.AppendString(nil, string(value)))
	}
	return value
}

// readMapped reads the claims that stand for members with other names.
func (c *statementClaims) readMapped() error {
	slices.Sort(c.mapped)
	request := c.request
	for _, claim := range c.mapped {
		name := c.verifier.Claims[claim]
		if _, own := c.all[name]; own && name != claim {
			continue
		}
		before := len(request.faults)
		if err := request.member(name, asClaimed(name, strictjson.Value(c.all[claim]))); err != nil {
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

// claimError turns an error about a claim into one about the statement.
func claimError(err error) *Error {
	found, shown := (*strictjson.Error)(nil), (*Error)(nil)
	switch {
	case errors.As(err, &found) && found.Path == "":
		return invalidStatement("claims", "%s", "is not valid: its body "+found.Reason)
	case errors.As(err, &shown):
		return invalidStatement("claims", "is not valid: its claim %s", shown.Description)
	}
	return invalidStatement("claims", "is not valid: its claim %s", err)
}

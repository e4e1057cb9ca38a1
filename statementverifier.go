package dcr

// RFC 7591 §2.3, RFC 7519, RFC 8725: the verification of software statements.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dynreg/dcr/internal/issuer"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/jwt"
)

// StatementVerifier verifies software statements. What is signed by nobody it
// trusts, or not valid now, is refused with invalid_software_statement; what is
// valid and not approved with unapproved_software_statement. Keys that come in
// the statement itself (jwk, jku, x5u, x5c) are never looked at. Do not copy or
// change it after the first use.
type StatementVerifier struct {
	// Issuers are who may issue statements, by iss, which is compared exactly,
	// with their keys.
	Issuers map[string]KeySource

	// Required refuses registrations without a statement.
	Required bool

	// RequiredOnUpdate refuses updates without a statement, and judges one that
	// is sent back again. If false, the stored one stays in force.
	RequiredOnUpdate bool

	// Algorithms are the signature algorithms to accept; none and the
	// symmetric ones are never accepted. If nil, RS256, PS256, ES256, EdDSA and
	// Ed25519.
	Algorithms []string

	// Types are the values of typ to accept, "" among them for a statement
	// without one. If nil, JWT and none at all, so that no access token of the
	// same issuer passes for a statement. Whatever the type, a statement claims
	// software_id or another registered member, and has no claim of an ID Token
	// or a Logout Token.
	Types []string

	// Audience lists what aud may be; one is enough. If empty, aud is not
	// looked at.
	Audience []string

	// Skew is by how much the issuers' clocks may differ. If zero, 1 minute; if
	// negative, not at all.
	Skew time.Duration

	// MaxAge is how long after its iat a statement is good. If zero, for as
	// long as it says itself.
	MaxAge time.Duration

	// MaxLifetime bounds how long a statement may be good for, from its iat to
	// its exp, which is then required. If zero, it is not bounded.
	MaxLifetime time.Duration

	// RequiredClaims are claims that a statement must have besides iss, such as
	// exp or software_id. If nil, none.
	RequiredClaims []string

	// Claims names the members that claims with other names stand for, such as
	// software_redirect_uris for redirect_uris; a declared extension member
	// will do as well. What a statement claims under the member's own name
	// comes first. If nil, each claim stands for the member of its name. A
	// number that is claimed of software_version is read as it is written.
	Claims map[string]string

	// Members says how what is claimed of a member and what the request says
	// of it go together, by the member's name. If nil, ClaimWins for all. They hold
	// for statements that a step of the host's verified too.
	Members map[string]StatementRule

	// IDClaim is the claim that names a statement: SoftwareStatement.ID, which
	// is then required. If empty, jti, or software_id where there is none.
	IDClaim string

	// Once lets a statement register, or be brought to an update, but once, by
	// its jti, which is then required. The handler's store must be a
	// ReplayStore; where it is a ReplayForgetter, what stored no client uses no
	// statement up.
	Once bool

	// OneClient lets a statement have one client at a time, by its ID; with
	// IDClaim software_id, so has each piece of software. The handler's store
	// must be a StatementFinder.
	OneClient bool

	// AllowOtherSoftware lets an update bring the statement of another issuer,
	// or of other software, than the stored one. If false, that is refused: a
	// client stays who it is. See [SoftwareStatement.Signer] for which software
	// a statement is of; where IDClaim is set, its ID stays too.
	AllowOtherSoftware bool

	// Deny is asked about every statement that is valid, also about a stored
	// one when its client is updated, and by Handler.Explain where the keys are
	// [StaticKeys]. An [*Error] or a bare Code, such as
	// UnapprovedSoftwareStatement, refuses and is shown; any other error is
	// logged and answered with a bare 500. If nil, all are approved.
	Deny func(ctx context.Context, statement *SoftwareStatement) error

	rings sync.Map // of *issuer.Ring, by issuer
}

// invalidStatement says what is wrong with a statement; sentence follows its
// name.
func invalidStatement(rule, sentence string, args ...any) *Error {
	return refuse(InvalidSoftwareStatement, "software_statement", "software_statement."+rule, "software_statement "+sentence, args...)
}

// Verify returns a statement, in compact form, that is valid at now. It is what
// [DefaultValidator.ValidateSoftwareStatement] goes by, short of what depends
// on other requests.
func (v *StatementVerifier) Verify(ctx context.Context, statement string, now time.Time) (*SoftwareStatement, error) {
	verified, err := v.verify(ctx, statement, now, Limits{}.effective(), signature{})
	if err == nil && len(verified.faults) > 0 {
		err = verified.faults[0].err
	}
	if err == nil {
		err = v.ask(ctx, verified)
	}
	if err != nil {
		return nil, err
	}
	return verified, nil
}

// judge returns the statement that is in force for a registration or update,
// nil if there is none.
func (v *StatementVerifier) judge(ctx context.Context, reg *Registration) (*SoftwareStatement, error) {
	sent, stored := reg.Request.SoftwareStatement, (*StatementRecord)(nil)
	if reg.Previous != nil {
		stored = reg.Previous.Statement
	}
	var statement *SoftwareStatement
	var err error
	switch {
	case v == nil && stored == nil:
		return nil, nil
	case v == nil:
		return heldBy(stored, &StatementVerifier{}, reg.Limits)
	case sent == "" && v.requires(reg):
		return nil, errNoStatement()
	case sent == "" && stored == nil:
		return nil, nil
	case stored != nil && !v.RequiredOnUpdate && (sent == "" || hashText(sent) == stored.Hash):
		statement, err = v.held(stored, reg.Limits)
	default:
		statement, err = v.verify(reg.explained(ctx), sent, reg.Now(), reg.Limits, reg.Request.verified)
	}
	if err != nil {
		return nil, err
	}
	for _, fault := range statement.faults {
		if reg.on.has(fault.member) {
			return nil, fault.err
		}
	}
	if statement.assumed { // Deny is asked about valid ones alone
		return statement, nil
	}
	return statement, v.ask(ctx, statement)
}

// requires reports whether a statement must come with the request.
func (v *StatementVerifier) requires(reg *Registration) bool {
	if reg.Previous != nil && v.RequiredOnUpdate {
		return true
	}
	return v.Required && (reg.Previous == nil || reg.Previous.Statement == nil)
}

func errNoStatement() *Error { return invalidStatement("missing", "is required here") }

// requireStatement holds a registration to Required and RequiredOnUpdate, whatever
// the host's step made of the statement.
func requireStatement(_ Validator, _ context.Context, reg *Registration) error {
	v := reg.foundation.statements
	switch verified := reg.Statement != nil && !reg.Statement.held; {
	case v == nil || verified || !v.requires(reg):
		return nil
	case reg.Request.SoftwareStatement == "":
		return errNoStatement()
	}
	return errors.New("dcr: ValidateSoftwareStatement left a software statement that is required unverified: let it call that of the DefaultValidator that has Statements")
}

// held returns the statement that a client registered with. The word of an
// issuer that is no longer trusted does not count on.
func (v *StatementVerifier) held(stored *StatementRecord, limits Limits) (*SoftwareStatement, error) {
	statement, err := heldBy(stored, v, limits)
	if err == nil && statement.Claims != nil && v.Issuers[stored.Issuer] == nil {
		return nil, invalidStatement("issuer", "must come from an issuer that this server trusts; this client's no longer is")
	}
	return statement, err
}

// heldBy reads a stored statement, which was verified once. What is not a JWT
// was verified by the host in its own way, and claims nothing here.
func heldBy(stored *StatementRecord, v *StatementVerifier, limits Limits) (*SoftwareStatement, error) {
	token, err := jose.Parse(stored.Text)
	if err != nil {
		return &SoftwareStatement{Issuer: stored.Issuer, ID: stored.ID, Text: stored.Text, held: true}, nil
	}
	claims := v.newClaims()
	registered, err := jwt.ReadClaims(token.Unverified(), claimLimits(limits), claims.read)
	if err != nil {
		return nil, claimError(err)
	}
	statement, err := claims.statement(registered)
	if err == nil {
		statement.Issuer, statement.ID, statement.Text, statement.held = stored.Issuer, stored.ID, stored.Text, true
	}
	return statement, err
}

// ask asks the host's Deny.
func (v *StatementVerifier) ask(ctx context.Context, statement *SoftwareStatement) error {
	if v.Deny == nil {
		return nil
	}
	err := v.Deny(ctx, statement)
	if code, bare := err.(Code); bare {
		return refuse(code, "software_statement", "software_statement.denied", "this software statement is not approved for registration here")
	}
	return err
}

// signature is one that was found good: what all of it is about, to the byte.
type signature struct {
	text string             // the signed statement
	by   *StatementVerifier // who found out, under its own rules
	keys *jose.KeySet       // those of the issuer at that time
}

// verify returns a statement whose signature and registered claims are good.
// known is a signature that was verified for the same request.
func (v *StatementVerifier) verify(ctx context.Context, text string, now time.Time, limits Limits, known signature) (*SoftwareStatement, error) {
	statement, token, err := v.signed(ctx, text, limits, known)
	if err != nil {
		return nil, err
	}
	required := slices.Clip(v.RequiredClaims)
	if v.Once {
		required = append(required, "jti")
	}
	if v.MaxLifetime > 0 {
		required = append(required, "exp")
	}
	terms := jwt.Terms{Skew: jwt.Skew(v.Skew), MaxAge: v.MaxAge, MaxLifetime: v.MaxLifetime, Audience: v.Audience}
	if fault := token.Judge(now, terms, required...); fault != nil {
		return nil, statementFault(fault)
	}
	if statement.ID == "" && (v.IDClaim != "" || v.OneClient) {
		return nil, invalidStatement("claims", "must have the claim %s", cmp.Or(v.IDClaim, "jti or software_id"))
	}
	if v.Once || v.OneClient {
		statement.once = v.onceOnly(statement, &token.Claims, now)
	}
	return statement, nil
}

// signed returns a statement that was signed by its issuer, whatever its time. A
// signature that is known is not verified again.
func (v *StatementVerifier) signed(ctx context.Context, text string, limits Limits, known signature) (*SoftwareStatement, *jwt.Token, error) {
	rules := jwt.Rules{
		MaxBytes: limits.StatementBytes, Algorithms: jose.Accepted(v.Algorithms),
		Type: v.acceptsType, Limits: claimLimits(limits),
	}
	claims := v.newClaims()
	token, fault := rules.Read(text, claims.read)
	if fault != nil {
		return nil, nil, statementFault(fault)
	}
	statement, err := claims.statement(&token.Claims)
	if err == nil {
		err = statement.checkKind(&token.Claims)
	}
	if err != nil {
		return nil, nil, err
	}
	ring := v.ring(token.Issuer)
	switch {
	case token.Issuer == "":
		return nil, nil, invalidStatement("issuer", "must have the claim iss")
	case ring == nil:
		return nil, nil, invalidStatement("issuer", "must come from an issuer that this server trusts")
	}
	statement.Text = text
	if reg := explainedBy(ctx); reg != nil && !isStatic(v.Issuers[token.Issuer]) {
		reg.Assume("software_statement has a signature that was not judged, since the issuer's keys would have to be fetched: it is taken as good, as approved and as that of no client yet")
		statement.assumed = true
		return statement, token, nil
	}
	keys, err := ring.Keys(ctx, token.KeyID())
	if err != nil {
		return nil, nil, keysOutOfReach(err)
	}
	statement.signature = signature{text, v, keys}
	if statement.signature != known {
		if _, fault := token.Verify(keys); fault != nil {
			return nil, nil, statementFault(fault)
		}
	}
	return statement, token, nil
}

// statementFault makes a fault of the token one of the statement.
func statementFault(fault *jwt.Fault) *Error {
	rule, sentence := fault.Rule, fault.Sentence
	switch {
	case rule == "claims" && fault.Err != nil:
		return claimError(fault.Err)
	case rule == "type":
		sentence = "must have the typ of a software statement"
	case rule == "terms":
		rule = "claims"
	}
	return invalidStatement(rule, "%s", sentence)
}

func (v *StatementVerifier) acceptsType(typ string) bool {
	if v.Types == nil {
		return typ == "" || typ == "jwt"
	}
	return slices.ContainsFunc(v.Types, func(accepted string) bool { return jose.MediaType(accepted) == typ })
}

// ring returns the keys of an issuer, nil if it is not trusted.
func (v *StatementVerifier) ring(name string) *issuer.Ring {
	if known, ok := v.rings.Load(name); ok {
		return known.(*issuer.Ring)
	}
	source := v.Issuers[name]
	if source == nil {
		return nil
	}
	known, _ := v.rings.LoadOrStore(name, &issuer.Ring{Source: source})
	return known.(*issuer.Ring)
}

// check refuses settings that would fail every statement, or quietly none.
func (v *StatementVerifier) check(extensions []Extension) error {
	for issuer, source := range v.Issuers {
		if issuer == "" || source == nil {
			return fmt.Errorf("Issuers[%q]: name the issuer, and set the source of its keys", issuer)
		}
	}
	known := func(name string) bool { return member(name) != nil || declared(extensions, name) != nil }
	for claim, name := range v.Claims {
		if !known(name) {
			return fmt.Errorf("Claims[%q]: %q is neither a registered member nor a declared extension", claim, name)
		}
	}
	for name := range v.Members {
		if !known(name) {
			return fmt.Errorf("Members[%q]: it is neither a registered member nor a declared extension", name)
		}
	}
	return jose.CheckAccepted(v.Algorithms)
}

// CheckOptions needs what d.Statements needs: a store that is a [ReplayStore] for
// Once, and one that is a [StatementFinder] for OneClient.
func (d DefaultValidator) CheckOptions(opts *Options, store ClientConfigurationStore) error {
	if d.Statements == nil {
		return nil
	}
	if _, ok := StoreAs[ReplayStore](store); d.Statements.Once && !ok {
		return errors.New("StatementVerifier.Once needs a store that is a ReplayStore")
	}
	if _, ok := StoreAs[StatementFinder](store); d.Statements.OneClient && !ok {
		return errors.New("StatementVerifier.OneClient needs a store that is a StatementFinder")
	}
	return nil
}

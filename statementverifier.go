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

// StatementVerifier verifies software statements. One that is not signed by a
// trusted issuer, or not valid now, is refused with invalid_software_statement;
// one that is valid but not approved, with unapproved_software_statement. Keys
// in the statement itself (jwk, jku, x5u, x5c) are never used. Do not copy or
// change a StatementVerifier after the first use.
type StatementVerifier struct {
	// Issuers are the trusted issuers with their keys, by their iss, which is
	// compared exactly.
	Issuers map[string]KeySource

	// Required refuses registrations without a statement.
	Required bool

	// RequiredOnUpdate refuses updates without a statement, and judges a statement
	// again when it is sent back. If false, the stored one stays in force.
	RequiredOnUpdate bool

	// Algorithms are the signature algorithms to accept; none and the
	// symmetric ones are never accepted. If nil, RS256, PS256, ES256, EdDSA and
	// Ed25519.
	Algorithms []string

	// Types are the values of typ to accept; "" accepts a statement without one.
	// If nil, "" and JWT. So an access token of the same issuer is not accepted as
	// a statement. Whatever the type, a statement claims software_id or another
	// registered member, and has no claim of an ID Token or a Logout Token.
	Types []string

	// Audience lists what aud may be; one is enough. If empty, aud is not
	// checked.
	Audience []string

	// Skew is how much the issuers' clocks may differ. If zero, 1 minute; if
	// negative, not at all.
	Skew time.Duration

	// MaxAge is how long after its iat a statement is valid. If zero, only its
	// exp counts.
	MaxAge time.Duration

	// MaxLifetime bounds how long a statement may be valid, from its iat to its
	// exp, which is then required. If zero, it is not bounded.
	MaxLifetime time.Duration

	// RequiredClaims are claims that a statement must have in addition to iss,
	// such as exp or software_id. If nil, none.
	RequiredClaims []string

	// Claims maps the names of claims to the members that they stand for, such
	// as software_redirect_uris to redirect_uris. The member may also be a
	// declared extension. A claim with the member's own name takes precedence.
	// If nil, each claim stands for the member of its name. A software_version
	// that is a number is read as it is written.
	Claims map[string]string

	// Members has the rule for each claimed member that the request may have too,
	// by the member's name. If nil, ClaimWins for all. The rules also apply to
	// statements that a step of the host verified.
	Members map[string]StatementRule

	// IDClaim is the claim that becomes SoftwareStatement.ID; it is then
	// required. If empty, jti, or software_id if there is no jti.
	IDClaim string

	// Once accepts a statement only once, for a registration or an update. It is
	// recognised by its jti, which is then required. The handler's store must be
	// a ReplayStore; if it is a ReplayForgetter too, a request that stored no
	// client does not use the statement up, but a crash may. It has no effect on
	// metadata documents, which are read again and again.
	Once bool

	// OneClient allows a statement, by its ID, only one client at a time. With
	// IDClaim software_id, that is one client for each piece of software. The
	// handler's store must be a StatementFinder. It has no effect on metadata
	// documents, so anyone who reads a statement in one can publish it too: require
	// there that statements claim client_id or redirect_uris, by RequiredClaims.
	OneClient bool

	// AllowOtherSoftware lets an update send a statement of another issuer, or
	// about other software, than the stored one. If false, that is refused, so
	// that a client keeps its identity. [SoftwareStatement.Signer] says which
	// software a statement is about; if IDClaim is set, the ID must stay the
	// same too.
	AllowOtherSoftware bool

	// Deny is called with every valid statement, also with the stored one when
	// its client is updated, and by Handler.Explain if the keys are
	// [StaticKeys]. An [*Error] or a bare Code, such as
	// UnapprovedSoftwareStatement, refuses and is shown; any other error is
	// logged and answered with a bare 500. If nil, all are approved.
	Deny func(ctx context.Context, statement *SoftwareStatement) error

	rings sync.Map // of *issuer.Ring, by issuer
}

// invalidStatement makes the refusal of a statement; sentence is put after its
// name.
func invalidStatement(rule, sentence string, args ...any) *Error {
	return refuse(InvalidSoftwareStatement, "software_statement", "software_statement."+rule, "software_statement "+sentence, args...)
}

// Verify verifies a statement in compact form at now. It applies the rules of
// [DefaultValidator.ValidateSoftwareStatement], except those that depend on
// other requests, such as Once. Its error is an [*Error], or a fault of the
// server.
func (v *StatementVerifier) Verify(ctx context.Context, statement string, now time.Time) (*SoftwareStatement, error) {
	verified, err := v.verify(ctx, statement, now, Limits{}.effective(), &finding{})
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
		statement, err = v.verify(reg.explained(ctx), sent, reg.Now(), reg.Limits, &reg.Request.finding)
	}
	if err != nil {
		return nil, err
	}
	for _, fault := range statement.faults {
		if reg.on.has(fault.member) {
			return nil, fault.err
		}
	}
	if statement.assumed { // Deny is only called with valid statements
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

// requireStatement enforces Required and RequiredOnUpdate, whatever a step of the
// host did.
func requireStatement(_ Validator, _ context.Context, reg *Registration) error {
	v := reg.foundation.statements
	switch verified := reg.Statement != nil && !reg.Statement.held; {
	case v == nil || verified || !v.requires(reg):
		return nil
	case reg.Request.SoftwareStatement == "":
		return errNoStatement()
	}
	return errors.New("dcr: ValidateSoftwareStatement did not verify a software statement that is required; let it call ValidateSoftwareStatement of the DefaultValidator that has Statements")
}

// held returns the statement that a client registered with. It refuses one
// whose issuer is no longer trusted.
func (v *StatementVerifier) held(stored *StatementRecord, limits Limits) (*SoftwareStatement, error) {
	statement, err := heldBy(stored, v, limits)
	if err == nil && statement.Claims != nil && v.Issuers[stored.Issuer] == nil {
		return nil, invalidStatement("issuer", "must come from an issuer that this server trusts; the issuer of this client's statement no longer is")
	}
	return statement, err
}

// heldBy reads a stored statement, which was verified when it was stored. One
// that is not a JWT was verified by the host in its own way, and has no claims
// here.
func heldBy(stored *StatementRecord, v *StatementVerifier, limits Limits) (*SoftwareStatement, error) {
	token, err := jose.Parse(stored.Text)
	if err != nil {
		return &SoftwareStatement{Issuer: stored.Issuer, ID: stored.ID, Text: stored.Text, held: true}, nil
	}
	claims := v.newClaims(len(stored.Text))
	var registered jwt.Claims
	if err := registered.ReadAll(token.Unverified(), claimLimits(limits), claims.read); err != nil {
		return nil, claimError(err)
	}
	statement, err := claims.statement(&registered)
	if err == nil {
		statement.Issuer, statement.ID, statement.Text, statement.held = stored.Issuer, stored.ID, stored.Text, true
	}
	return statement, err
}

// ask calls the host's Deny.
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

// signature is a signature that was verified: over which bytes, under which
// verifier and with which keys.
type signature struct {
	text string             // the signed statement
	by   *StatementVerifier // verified it, under its own rules
	keys *jose.KeySet       // the issuer's keys at that time
}

// finding is what the Decoder of a request found out about the statement in it.
type finding struct {
	signature
	limits    Limits // within which it was read
	statement *SoftwareStatement
	token     *jwt.Token
}

// take returns the statement as the Decoder read it, or nil if v would read it
// differently. Only the first call gets it, since the steps may change it.
func (f *finding) take(text string, v *StatementVerifier, limits Limits) (*SoftwareStatement, *jwt.Token) {
	if f.statement == nil || f.text != text || f.by != v || f.limits != limits {
		return nil, nil
	}
	statement, token := f.statement, f.token
	f.statement, f.token = nil, nil
	return statement, token
}

// verify returns a statement whose signature and registered claims are valid.
// known is what was already found out for the same request.
func (v *StatementVerifier) verify(ctx context.Context, text string, now time.Time, limits Limits, known *finding) (*SoftwareStatement, error) {
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
		statement.once = v.onceOnly(&token.Claims, now)
	}
	return statement, nil
}

// signed returns a statement that was signed by its issuer, even if it has
// expired. What is known is neither read nor verified again.
func (v *StatementVerifier) signed(ctx context.Context, text string, limits Limits, known *finding) (*SoftwareStatement, *jwt.Token, error) {
	statement, token := known.take(text, v, limits)
	if statement == nil {
		var err error
		if statement, token, err = v.read(text, limits); err != nil {
			return nil, nil, err
		}
	}
	ring := v.ring(token.Issuer)
	switch {
	case token.Issuer == "":
		return nil, nil, invalidStatement("issuer", "must have the claim iss")
	case ring == nil:
		return nil, nil, invalidStatement("issuer", "must come from an issuer that this server trusts")
	}
	if reg := explainedBy(ctx); reg != nil && !isStatic(v.Issuers[token.Issuer]) {
		reg.Assume("software_statement has a signature that was not judged, since the issuer's keys would have to be fetched: it is assumed to be valid and approved, and to have no client yet")
		statement.assumed = true
		return statement, token, nil
	}
	keys, err := ring.Keys(ctx, token.KeyID())
	if err != nil {
		return nil, nil, keysOutOfReach(err)
	}
	statement.signature = signature{text, v, keys}
	if statement.signature != known.signature {
		if _, fault := token.Verify(keys); fault != nil {
			return nil, nil, statementFault(fault)
		}
	}
	return statement, token, nil
}

// read returns a statement without judging its signature.
func (v *StatementVerifier) read(text string, limits Limits) (*SoftwareStatement, *jwt.Token, error) {
	rules := jwt.Rules{
		MaxBytes: limits.StatementBytes, Algorithms: jose.Accepted(v.Algorithms),
		Type: v.acceptsType, Limits: claimLimits(limits),
	}
	claims := v.newClaims(min(len(text), limits.StatementBytes)) // a longer one is refused
	token, fault := rules.Read([]byte(text), claims.read)
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
	statement.Text = text
	return statement, token, nil
}

// statementFault turns a fault of the token into one of the statement.
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

// ring returns the keys of an issuer, nil if the issuer is not trusted.
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

// check refuses settings with which every statement would fail, or which would
// have no effect.
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

// CheckOptions returns an error if d.Statements has Once and the store is not a
// [ReplayStore], or if d.Statements has OneClient and the store is not a
// [StatementFinder].
func (d DefaultValidator) CheckOptions(opts *Options, store ClientConfigurationStore) error {
	if d.Statements == nil {
		return nil
	}
	if _, ok := StoreAs[ReplayStore](store); d.Statements.Once && !ok {
		return errors.New("StatementVerifier.Once needs a store that is a ReplayStore; use one that is, or leave Once false")
	}
	if _, ok := StoreAs[StatementFinder](store); d.Statements.OneClient && !ok {
		return errors.New("StatementVerifier.OneClient needs a store that is a StatementFinder; use one that is, or leave OneClient false")
	}
	return nil
}

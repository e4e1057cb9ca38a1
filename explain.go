package dcr

// What a registration would do, and why: a dry run, for the people who operate a
// server and those whose client it refuses.

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

// Decision says what a registration would do and why.
type Decision struct {
	Status  int              // what would be answered
	Err     error            // the refusal, nil if it would be registered
	Client  *Client          // as it would be stored, without an id and credentials; nil if refused
	Members []MemberDecision // in the order of Metadata; then language-tagged forms, then all others, each by name
	Assumed []string         // sentences about what was assumed to be good, since nothing is fetched
}

// MemberDecision says what a registration would do with one member.
type MemberDecision struct {
	Name      string
	Sent      json.RawMessage // nil if it was not sent
	Effective json.RawMessage // as it would be answered; nil if the client has none
	Verdict   Verdict
	Step      string // the step that settled it, such as ValidateScopes, or Validate for what it does itself; "" if none got that far
	Rule      string // the rule's id, "" if no rule decided
	Switch    string // the field of DefaultValidator, Options or policy that would change the decision; "" if none is known
}

// Verdict says what a registration would do with a member.
type Verdict string

// The verdicts about a member.
const (
	Kept      Verdict = "kept"
	Defaulted Verdict = "defaulted" // not sent, and set by the server
	Dropped   Verdict = "dropped"   // left out, or entries of it
	Replaced  Verdict = "replaced"  // sent, and set to something else
	Refused   Verdict = "refused"   // why the registration is refused
	Ignored   Verdict = "ignored"   // unknown, or its feature is off
)

// Explain judges a body under a policy, "" for Options.Validator, and says what
// registering it would do. It fetches nothing, uses nothing up and stores
// nothing. A refusal is in the Decision; the error is for faults of the server,
// such as a policy that does not exist, or an outage.
//
// Explain applies the same rules as a registration: the limits, every step of the
// policy, its ShapeResponse, the fixed rules, and whether a software statement has a
// client already. It does not judge the caller: one in ctx ([ContextWithCaller]) counts
// as the one who registers, and is charged nothing. Options.Admit, Open, NewClientID,
// NewClientSecret, ModifyResponse and WriteError are not called, and no room is made
// for the client. For steps, Registration.Explaining is set, and Registration.HTTP is a
// POST to Options.Endpoint without headers or a connection.
//
// What would have to be fetched is assumed to be good, and Decision.Assumed says so:
// the document at sector_identifier_uri, and the signature of a software statement
// whose keys are not [StaticKeys]. The claims of such a statement are judged, but since
// anybody may have written them, neither StatementVerifier.Deny nor the store is asked
// about it. Explain does not check whether a statement or a signed body was used
// before. See [Registration.Assume] for steps of your own.
//
// body is JSON; for another media type, it is what the Decoder returns. Policies that
// require a signed body, or a client certificate, assume that the body was signed by
// the software of its statement, and that the certificate was presented.
//
// If the registration is refused, the other members are as the steps that ran
// before left them.
func (h *Handler) Explain(ctx context.Context, policy string, body []byte) (*Decision, error) {
	reg := &Registration{Explaining: true, Caller: CallerFromContext(ctx)}
	err := h.prepare(reg, policy)
	if err != nil {
		return nil, err
	}
	if reg.HTTP, err = http.NewRequestWithContext(ctx, http.MethodPost, h.opts.Endpoint, http.NoBody); err != nil {
		return nil, err
	}
	body = bytes.Clone(body)
	trace := &trace{Validator: reg.validator, by: make(map[string]string), ran: make(map[string]bool)}
	answer, err := h.rehearse(ctx, reg, trace, body)
	refused := asRefusal(err)
	if err != nil && (refused == nil || refused.status() >= http.StatusInternalServerError) {
		return nil, err
	}
	decision := &Decision{Status: http.StatusCreated, Assumed: reg.assumed}
	if refused != nil {
		decision.Status, decision.Err = refused.status(), refused
	} else {
		decision.Client = reg.Client.Clone()
	}
	decision.Members = trace.decide(reg, body, answer, refused)
	return decision, nil
}

// rehearse registers without charging, issuing or storing anything. It returns the
// answer, without the members that the server issues.
func (h *Handler) rehearse(ctx context.Context, reg *Registration, trace *trace, body []byte) (answer []byte, err error) {
	switch {
	case int64(len(body)) > h.opts.MaxBodyBytes:
		return nil, tooLarge(h.opts.MaxBodyBytes)
	case len(bytes.TrimSpace(body)) == 0:
		return nil, emptyBody()
	}
	if reg.Request, err = ParseRequest(body, h.opts.Limits); err != nil {
		return nil, err
	}
	if err := Validate(ctx, trace, reg); err != nil {
		return nil, err
	}
	reg.record()
	res := newResponse(reg, trace.Validator)
	if err := trace.shape(ctx, reg, res); err != nil {
		return nil, err
	}
	if err := h.checkSingle(ctx, reg); err != nil {
		return nil, err
	}
	return (&told{onlySet: res.OnlySet}).appendJSON(nil, res.SoftwareStatement, &res.Metadata, reg.on)
}

// Assume appends a sentence to Decision.Assumed. If Explaining is set, a step must
// not fetch anything, use anything up or judge who sent the request; it calls
// Assume to say what it assumed to be good instead.
func (reg *Registration) Assume(sentence string) {
	if !slices.Contains(reg.assumed, sentence) {
		reg.assumed = append(reg.assumed, sentence)
	}
}

type explainedKey struct{}

// explained returns a context in which, if Explaining is set, a statement is
// verified only if its keys need no fetching.
func (reg *Registration) explained(ctx context.Context) context.Context {
	if !reg.Explaining {
		return ctx
	}
	return context.WithValue(ctx, explainedKey{}, reg)
}

// explainedBy returns the registration that explained was called on, nil if
// there is none.
func explainedBy(ctx context.Context) *Registration {
	reg, _ := ctx.Value(explainedKey{}).(*Registration)
	return reg
}

// A trace is a decorator around the outermost Validator that notes which step
// changed which member. Only Explain uses it.
type trace struct {
	Validator
	at     string                     // the step that runs, or ran last
	failed string                     // the step that refused
	was    map[string]json.RawMessage // the members of the client when they were last noted
	by     map[string]string          // the step that changed a member last
	ran    map[string]bool            // the steps that ran
}

// step runs a step. Changes before it are those of Validate itself, which merges
// the claims of a statement after the first step.
func (t *trace) step(name string, ctx context.Context, reg *Registration, run func(context.Context, *Registration) error) error {
	if t.at != "ValidateSoftwareStatement" {
		t.at = validateStep
	}
	if err := t.note(&reg.Client.Metadata); err != nil {
		return err
	}
	t.at = name
	if err := run(ctx, reg); err != nil {
		t.failed = name
		return err
	}
	t.ran[name] = true
	return t.note(&reg.Client.Metadata)
}

// shape runs ShapeResponse as a step.
func (t *trace) shape(ctx context.Context, reg *Registration, res *Response) error {
	return t.step("ShapeResponse", ctx, reg, func(ctx context.Context, reg *Registration) error {
		if err := reg.shape(ctx, res, t.Validator.ShapeResponse); err != nil {
			return err
		}
		return t.note(&res.Metadata)
	})
}

// note finds out what changed.
func (t *trace) note(metadata *Metadata) error {
	text, err := metadata.MarshalJSON()
	if err != nil {
		return err
	}
	is := membersOf(text)
	if t.was != nil {
		for name, value := range is {
			if !bytes.Equal(t.was[name], value) {
				t.by[name] = t.at
			}
		}
		for name := range t.was {
			if _, kept := is[name]; !kept {
				t.by[name] = t.at
			}
		}
	}
	t.was = is
	return nil
}

// membersOf returns the members of a JSON object, nil for anything else.
func membersOf(object []byte) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(object, &all) != nil {
		return nil
	}
	return all
}

func (t *trace) ValidateSoftwareStatement(ctx context.Context, reg *Registration) error {
	return t.step("ValidateSoftwareStatement", ctx, reg, t.Validator.ValidateSoftwareStatement)
}

func (t *trace) ValidateGrantTypes(ctx context.Context, reg *Registration) error {
	return t.step("ValidateGrantTypes", ctx, reg, t.Validator.ValidateGrantTypes)
}

func (t *trace) ValidateRedirectURIs(ctx context.Context, reg *Registration) error {
	return t.step("ValidateRedirectURIs", ctx, reg, t.Validator.ValidateRedirectURIs)
}

func (t *trace) ValidateScopes(ctx context.Context, reg *Registration) error {
	return t.step("ValidateScopes", ctx, reg, t.Validator.ValidateScopes)
}

func (t *trace) SetDefaultScopes(ctx context.Context, reg *Registration) error {
	return t.step("SetDefaultScopes", ctx, reg, t.Validator.SetDefaultScopes)
}

func (t *trace) ValidateClientAuthentication(ctx context.Context, reg *Registration) error {
	return t.step("ValidateClientAuthentication", ctx, reg, t.Validator.ValidateClientAuthentication)
}

func (t *trace) ValidateDisplay(ctx context.Context, reg *Registration) error {
	return t.step("ValidateDisplay", ctx, reg, t.Validator.ValidateDisplay)
}

func (t *trace) ValidateLogout(ctx context.Context, reg *Registration) error {
	return t.step("ValidateLogout", ctx, reg, t.Validator.ValidateLogout)
}

func (t *trace) ValidateOpenID(ctx context.Context, reg *Registration) error {
	return t.step("ValidateOpenID", ctx, reg, t.Validator.ValidateOpenID)
}

func (t *trace) ValidateRequestObjects(ctx context.Context, reg *Registration) error {
	return t.step("ValidateRequestObjects", ctx, reg, t.Validator.ValidateRequestObjects)
}

func (t *trace) ValidateTokens(ctx context.Context, reg *Registration) error {
	return t.step("ValidateTokens", ctx, reg, t.Validator.ValidateTokens)
}

func (t *trace) ValidateExtensions(ctx context.Context, reg *Registration) error {
	return t.step("ValidateExtensions", ctx, reg, t.Validator.ValidateExtensions)
}

func (t *trace) SetClientDefaults(ctx context.Context, reg *Registration) error {
	return t.step("SetClientDefaults", ctx, reg, t.Validator.SetClientDefaults)
}

func (t *trace) ValidateClient(ctx context.Context, reg *Registration) error {
	return t.step("ValidateClient", ctx, reg, t.Validator.ValidateClient)
}

// Which setting would change a decision, for the most frequent refusals and
// drops.

// A setting is a field that would change a decision.
type setting struct {
	of      string                                // the rule of a refusal, or the verdict and the member, "*" for any
	field   string                                // of DefaultValidator, Options or package policy
	when    func(reg *Registration) bool          // to which refusals by that rule it applies; nil: all
	ceiling func(supported Capabilities) []string // what the DefaultValidator supports: if that has what was sent, a decorator removed it; nil: does not matter
}

var settings = []setting{
	{of: "redirect_uris.kind", field: "DefaultValidator.AllowHTTPRedirects", when: redirectsByHTTP},
	{of: "redirect_uris.kind", field: "policy.CorrectApplicationType", when: mistakesType},
	{of: "redirect_uris.missing", field: "DefaultValidator.AllowPushedRedirectURIs", when: pushes},
	{of: "redirect_uris.items", field: "Options.Limits.ListItems"},
	{of: "application_type.value", field: "policy.CorrectApplicationType"},
	{of: "grant_types.unsupported", field: "DefaultValidator.Supports.GrantTypes", ceiling: grantTypesOf},
	{of: "response_types.unsupported", field: "DefaultValidator.Supports.ResponseTypes", ceiling: responseTypesOf},
	{of: "response_types.grant", field: "DefaultValidator.AllowHybridWithoutImplicit", when: isHybrid},
	{of: "token_endpoint_auth_method.unsupported", field: "DefaultValidator.Supports.TokenEndpointAuthMethods", ceiling: methodsOf},
	{of: "id_token_signed_response_alg.sealed", field: "Options.Sealer"},
	{of: "id_token_signed_response_alg.unsupported", field: "DefaultValidator.Supports.IDTokenSigningAlgs", ceiling: idTokenAlgsOf},
	{of: "subject_type.unsupported", field: "DefaultValidator.Supports.SubjectTypes", ceiling: subjectTypesOf},
	{of: "scope.unsupported", field: "DefaultValidator.RefuseUnsupportedScopes"},
	{of: "scope.length", field: "Options.Limits.ScopeBytes"},
	{of: "client_name.characters", field: "policy.ReadableNames"},
	{of: "jwks_uri.address", field: "DefaultValidator.Fetch"},
	{of: "jwks_uri.port", field: "DefaultValidator.Fetch"},
	{of: "software_statement.missing", field: "DefaultValidator.Statements.Required"},
	{of: "software_statement.issuer", field: "DefaultValidator.Statements.Issuers"},
	{of: "policy.redirect_hosts", field: "policy.RedirectHosts"},
	{of: "policy.https_only", field: "policy.HTTPSOnly"},

	{of: "dropped scope", field: "DefaultValidator.Supports.Scopes", ceiling: scopesOf},
	{of: "replaced scope", field: "DefaultValidator.Supports.Scopes", ceiling: scopesOf},
	{of: "dropped grant_types", field: "DefaultValidator.Supports.GrantTypes", ceiling: grantTypesOf},
	{of: "dropped response_types", field: "DefaultValidator.Supports.ResponseTypes", ceiling: responseTypesOf},
	{of: "ignored software_statement", field: "DefaultValidator.Statements"},
	{of: "ignored token_endpoint_auth_signing_alg", field: "DefaultValidator.Supports.TokenEndpointAuthMethods"},
	{of: "ignored id_token_signed_response_alg", field: "DefaultValidator.Supports.IDTokenSigningAlgs"},
	{of: "ignored subject_type", field: "DefaultValidator.Supports.SubjectTypes"},
	{of: "ignored request_object_signing_alg", field: "DefaultValidator.Supports.RequestObjectSigningAlgs"},
	{of: "ignored request_uris", field: "DefaultValidator.Supports.RequestURIParameter"},
	{of: "ignored post_logout_redirect_uris", field: "DefaultValidator.Supports.EndSessionEndpoint"},
	{of: "ignored frontchannel_logout_uri", field: "DefaultValidator.Supports.FrontchannelLogout"},
	{of: "ignored backchannel_logout_uri", field: "DefaultValidator.Supports.BackchannelLogout"},
	{of: "ignored dpop_bound_access_tokens", field: "DefaultValidator.Supports.DPoPSigningAlgs"},
	{of: "ignored *", field: "DefaultValidator.Extensions"},
}

// switchOf returns the setting that would change a decision, "" if none is
// known.
func (v *verdicts) switchOf(d *MemberDecision) string {
	of := string(d.Verdict) + " " + d.Name
	switch {
	case d.Verdict == Refused:
		of = d.Rule
	case d.Verdict == Ignored && v.isUnknown(d):
		of = "ignored *"
	}
	for _, s := range settings {
		if s.of == of && (s.when == nil || s.when(v.reg)) && (s.ceiling == nil || exceeds(d.Name, d.Sent, s.ceiling(v.supported().WithDefaults()))) {
			return s.field
		}
	}
	return ""
}

// isUnknown reports whether an ignored member belongs to no feature and could
// be declared as an extension.
func (v *verdicts) isUnknown(d *MemberDecision) bool {
	_, list := choiceMember[d.Name]
	return member(d.Name) == nil && !list && !serverSays(d.Name) && v.reg.Request.Extra[d.Name] != nil
}

// exceeds reports whether something was sent that is not in ceiling.
func exceeds(name string, sent json.RawMessage, ceiling []string) bool {
	asked, isList := entries(name, strictjson.Value(sent))
	if text, err := strictjson.Value(sent).Text(); !isList && err == nil {
		asked = []string{text}
	}
	return slices.ContainsFunc(asked, func(value string) bool {
		return !slices.ContainsFunc(ceiling, func(own string) bool { return own == AnyScope || sameWords(own, value) })
	})
}

func grantTypesOf(c Capabilities) []string    { return c.GrantTypes }
func responseTypesOf(c Capabilities) []string { return c.ResponseTypes }
func methodsOf(c Capabilities) []string       { return c.TokenEndpointAuthMethods }
func scopesOf(c Capabilities) []string        { return c.Scopes }
func idTokenAlgsOf(c Capabilities) []string   { return c.IDTokenSigningAlgs }
func subjectTypesOf(c Capabilities) []string  { return c.SubjectTypes }

// redirectsByHTTP reports whether a client is refused for remote http that the
// host could allow.
func redirectsByHTTP(reg *Registration) bool {
	return reg.hasKind(uri.HTTP) && !reg.foundation.httpRedirects && reg.Client.ApplicationType != "native" && reg.Client.mayUseHTTP(reg.authMethod())
}

// mistakesType reports whether the redirect URIs of a client fit another
// application_type than the one that it sent.
func mistakesType(reg *Registration) bool {
	return reg.Client.ApplicationType != "" && !reg.hasKind(uri.HTTP) && !reg.Client.implicitOrHybrid()
}

func (reg *Registration) hasKind(kind uri.Kind) bool {
	return anyOfKind(reg.redirects, kind)
}

// pushes reports whether a client will push its requests, and its redirect URIs with
// them.
func pushes(reg *Registration) bool {
	c := reg.Client
	return (c.RequirePushedAuthorizationRequests || reg.Capabilities.RequirePushedAuthorizationRequests) && reg.authMethod() != "none"
}

// isHybrid reports whether only the response type that UK Open Banking allows
// without the implicit grant lacks its grant.
func isHybrid(reg *Registration) bool {
	return !slices.ContainsFunc(reg.Client.ResponseTypes, func(responseType string) bool {
		return strings.Contains(responseType, "token") && !sameWords(responseType, "code id_token")
	})
}

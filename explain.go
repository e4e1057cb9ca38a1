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
	Err     error            // the refusal, nil where it would be registered
	Client  *Client          // as it would be stored, without an id and credentials; nil where refused
	Members []MemberDecision // in the order of Metadata; then language-tagged forms, then all others, each by name
	Assumed []string         // sentences about what was taken as good, since finding out would fetch something
}

// MemberDecision is what became of one member.
type MemberDecision struct {
	Name      string
	Sent      json.RawMessage // nil where it was not sent
	Effective json.RawMessage // as it would be answered; nil where the client has none
	Verdict   Verdict
	Step      string // the step that settled it, such as ValidateScopes; Validate itself, for what comes before and after the steps; "" where none came that far
	Rule      string // the rule's id, "" where none has a say
	Switch    string // the field of DefaultValidator, Options or policy that would change it; "" where none is known
}

// Verdict is what became of a member.
type Verdict string

// What may become of a member.
const (
	Kept      Verdict = "kept"
	Defaulted Verdict = "defaulted" // not sent, and set by the server
	Dropped   Verdict = "dropped"   // left out, or entries of it
	Replaced  Verdict = "replaced"  // sent, and set to something else
	Refused   Verdict = "refused"   // why the registration is refused
	Ignored   Verdict = "ignored"   // unknown, or its feature is off
)

// Explain judges a body under a policy, "" for Options.Validator, fetches
// nothing, uses nothing up and stores nothing. Its error is the server's, such as
// a policy that there is none of, or an outage; a refusal is in the Decision.
//
// All that judges a registration judges here too: the limits, every step of the
// policy, its ShapeResponse, the fixed rules, and whether a software statement has a
// client already. It judges no caller: one in ctx (ContextWithCaller) is taken as
// the one who registers, and is charged nothing. Options.Admit, Open,
// NewClientID, NewClientSecret, ModifyResponse and WriteError are not called, nor is
// room made for the client. Steps find Registration.Explaining set, and as Registration.HTTP a
// POST to Options.Endpoint without headers and a connection.
//
// What must be fetched is taken as good, and Decision.Assumed says so: the document
// behind sector_identifier_uri, and the signature of a software statement whose keys
// are not [StaticKeys]; its claims are judged, but anybody may have written them, so
// that neither StatementVerifier.Deny nor the store is asked about it. Whether a
// statement, or a signed body, was used before is not asked. See [Registration.Assume] for steps of your
// own.
//
// body is JSON: what a Decoder makes of a body of another media type. The policies
// that take signed bodies alone, or want a client certificate, take the one as signed
// by the software of its statement, and the other as presented.
//
// Where the registration is refused, the other members are as the steps left them
// that ran until then.
func (h *Handler) Explain(ctx context.Context, policy string, body []byte) (*Decision, error) {
	reg := &Registration{Explaining: true, Caller: CallerFromContext(ctx)}
	validator, err := h.prepare(reg, policy)
	if err != nil {
		return nil, err
	}
	if reg.HTTP, err = http.NewRequestWithContext(ctx, http.MethodPost, h.opts.Endpoint, http.NoBody); err != nil {
		return nil, err
	}
	body = bytes.Clone(body)
	trace := &trace{Validator: validator, by: make(map[string]string), ran: make(map[string]bool)}
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

// rehearse registers without anything that costs, issues or stores. It returns the
// answer, without what the server issues.
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

// Assume says, in a sentence for Decision.Assumed, what a step took as good. Where
// Explaining is set, a step that would fetch something, use something up, or judge
// who sent the request leaves that alone, and says so here.
func (reg *Registration) Assume(sentence string) {
	if !slices.Contains(reg.assumed, sentence) {
		reg.assumed = append(reg.assumed, sentence)
	}
}

type explainedKey struct{}

// explained returns a context in which a statement is verified by the keys at hand,
// where nothing is to be fetched.
func (reg *Registration) explained(ctx context.Context) context.Context {
	if !reg.Explaining {
		return ctx
	}
	return context.WithValue(ctx, explainedKey{}, reg)
}

// explainedBy is the registration that explained was called on, nil if none was.
func explainedBy(ctx context.Context) *Registration {
	reg, _ := ctx.Value(explainedKey{}).(*Registration)
	return reg
}

// A trace is a decorator around the outermost Validator that notes which step
// changed which member. A registration that nobody explains runs without it.
type trace struct {
	Validator
	at     string                     // the step that runs, or ran last
	failed string                     // the step that refused
	was    map[string]json.RawMessage // the members of the client, as noted last
	by     map[string]string          // the step that changed a member last
	ran    map[string]bool            // the steps that ran
}

// step runs a step. What changed before it, Validate itself did: after the first
// step, it merged what the statement claims.
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

// membersOf are the members of a JSON object, nil of anything else.
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

// What would change a decision, for the refusals and drops that people meet most.

// A setting is what would change a decision, of a rule or of a verdict and a member.
type setting struct {
	of      string                                // the rule of a refusal; else the verdict and the member, "*" for any
	field   string                                // of DefaultValidator, Options or package policy
	when    func(reg *Registration) bool          // which of the refusals by that rule; nil: all
	ceiling func(supported Capabilities) []string // where the DefaultValidator supports what was sent, another validator took it away; nil: it has no say
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

// switchOf is the setting that would change a decision, "" where none is known.
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

// isUnknown reports whether an ignored member is of no feature, and one that an
// extension could declare.
func (v *verdicts) isUnknown(d *MemberDecision) bool {
	_, list := choiceMember[d.Name]
	return member(d.Name) == nil && !list && !serverSays(d.Name) && v.reg.Request.Extra[d.Name] != nil
}

// exceeds reports whether something was sent that a ceiling does not have.
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

// redirectsByHTTP reports whether a client is refused for remote http that a host
// may allow it.
func redirectsByHTTP(reg *Registration) bool {
	return reg.hasKind(uri.HTTP) && !reg.foundation.httpRedirects && reg.Client.ApplicationType != "native" && reg.Client.mayUseHTTP(reg.authMethod())
}

// mistakesType reports whether the redirect URIs of a client are those of another
// application_type than it says.
func mistakesType(reg *Registration) bool {
	return reg.Client.ApplicationType != "" && !reg.hasKind(uri.HTTP) && !reg.Client.implicitOrHybrid()
}

func (reg *Registration) hasKind(kind uri.Kind) bool {
	return slices.Contains(reg.redirects.kinds, kind)
}

// pushes reports whether a client will push its requests, and its redirect URIs with
// them.
func pushes(reg *Registration) bool {
	c := reg.Client
	return (c.RequirePushedAuthorizationRequests || reg.Capabilities.RequirePushedAuthorizationRequests) && reg.authMethod() != "none"
}

// isHybrid reports whether the one response type that lacks its grant is the one
// that UK Open Banking has without it.
func isHybrid(reg *Registration) bool {
	return !slices.ContainsFunc(reg.Client.ResponseTypes, func(responseType string) bool {
		return strings.Contains(responseType, "token") && !sameWords(responseType, "code id_token")
	})
}

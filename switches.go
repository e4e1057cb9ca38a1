package dcr

// The refusals and the drops that people meet most, each with the setting that would
// change it. A test shows each, and that its setting does.

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

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

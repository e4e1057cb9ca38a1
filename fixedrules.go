package dcr

// The rules that no policy can loosen: those of the RFCs, and that nothing
// exceeds [Capabilities]. The steps of DefaultValidator apply them first; here
// they are applied once more to the finished client, so that no step and no hook
// can skip or undo them.

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/uri"
)

var fixedRules = []func(reg *Registration) error{
	(*Registration).checkGrants,
	(*Registration).checkCorrespondence,
	(*Registration).checkRedirects,
	(*Registration).checkScope,
	(*Registration).checkMembers,
	(*Registration).checkLocalizedNames,
	(*Registration).checkLocalizedURIs,
	(*Registration).checkReadable,
	(*Registration).checkAuthentication,
	(*Registration).checkFrontchannelLogout,
	(*Registration).checkEncPairs,
	(*Registration).checkOpenID,
	(*Registration).checkCIBA,
	(*Registration).checkSubject,
	(*Registration).checkSector,
	(*Registration).checkSubsets,
	(*Registration).checkRequestObjects,
	(*Registration).checkSenderConstraint,
	(*Registration).checkSymmetric,
	(*Registration).checkKeyNeeds,
	(*Registration).checkExtensionNames,
	(*Registration).checkExtensions,
	(*Registration).checkSettings,
}

// fixedRules returns the error of the first rule that the client breaks.
func (reg *Registration) fixedRules() error {
	for _, rule := range fixedRules {
		if err := rule(reg); err != nil {
			return err
		}
	}
	return nil
}

// ValidateClient checks the rules that span several members of the complete
// effective client: which algorithms need a secret, and which need keys.
func (d DefaultValidator) ValidateClient(ctx context.Context, reg *Registration) error {
	return reg.checkNeeds()
}

func (reg *Registration) checkNeeds() error {
	if err := reg.checkSymmetric(); err != nil {
		return err
	}
	return reg.checkKeyNeeds()
}

// checkMembers checks every member that is set: its feature must be on, its
// URIs must follow their rule, and a value of a list must be supported.
func (reg *Registration) checkMembers() error {
	from := &reg.Client.Metadata
	for i := range members.Set(from).Places() {
		f := &members.Fields[i]
		if !reg.on.has(i) {
			return refuseMember(f.Name, "off", "must be left out: this server does not support it")
		}
		if m := uriMembers[i]; m != nil {
			if err := m.check(reg); err != nil {
				return err
			}
		}
		if lists[i].ceiling == nil {
			continue
		}
		if supported := reg.Capabilities.ceiling(f); !slices.Contains(supported, f.Text(from)) {
			return refuseMember(f.Name, "unsupported", "must be one of: %s", orNone(supported))
		}
	}
	if reg.Client.TokenEndpointAuthMethod == "" {
		return refuseMember("token_endpoint_auth_method", "missing", "must be one of: %s", orNone(reg.Capabilities.TokenEndpointAuthMethods))
	}
	return nil
}

// checkSubsets checks that the server supports all values of the members that
// are lists.
func (reg *Registration) checkSubsets() error {
	c, supported := reg.Client, &reg.Capabilities
	if err := reg.checkSubset("default_acr_values", c.DefaultACRValues, supported.ACRValues); err != nil {
		return err
	}
	if err := reg.checkSubset("response_modes", c.ResponseModes, supported.ResponseModes); err != nil {
		return err
	}
	return reg.checkSubset("authorization_details_types", c.AuthorizationDetailsTypes, supported.AuthorizationDetailsTypes)
}

// checkGrants checks that the server supports the grant types and response
// types, and that the client has a grant type that it can start with.
func (reg *Registration) checkGrants() error {
	c, supported := reg.Client, &reg.Capabilities
	begins := false
	for _, grant := range c.GrantTypes {
		if !slices.Contains(supported.GrantTypes, grant) {
			return unusableGrants(supported.GrantTypes)
		}
		begins = begins || grant != "refresh_token"
	}
	if !begins {
		return unusableGrants(supported.GrantTypes)
	}
	for _, responseType := range c.ResponseTypes {
		if !slices.ContainsFunc(supported.ResponseTypes, func(own string) bool { return sameWords(own, responseType) }) {
			return refuseMember("response_types", "unsupported", "must have at least one of: %s", orNone(supported.ResponseTypes))
		}
	}
	return nil
}

// checkScope checks the syntax of scope (RFC 6749 §3.3), and that the server
// supports every scope.
func (reg *Registration) checkScope() error {
	if reg.Client.Scope == "" {
		return nil
	}
	unbounded := reg.Capabilities.anyScope()
	for scope := range strings.SplitSeq(reg.Client.Scope, " ") {
		switch {
		case !isScopeToken(scope):
			return errScopeForm()
		case !unbounded && !slices.Contains(reg.Capabilities.Scopes, scope):
			return refuseMember("scope", "unsupported", "must be among: %s", orNone(reg.Capabilities.Scopes))
		}
	}
	return nil
}

func (reg *Registration) checkEncPairs() error {
	for _, pair := range encryptionPairs {
		if err := reg.checkEncPair(pair.alg, pair.enc); err != nil {
			return err
		}
	}
	return nil
}

// checkLocalizedNames refuses names in Localized that are not language-tagged
// forms, which would be written as other members, such as one that the server
// issues.
func (reg *Registration) checkLocalizedNames() error {
	for name := range reg.Client.Localized {
		if _, tagged := taggedMember(name); !tagged {
			return refuse(ServerError, "", "localized.name", "a language-tagged form must have the name of a human-readable member and a tag")
		}
	}
	return nil
}

// checkExtensionNames refuses extensions with the name of a member that the
// server issues or that has a field of its own.
func (reg *Registration) checkExtensionNames() error {
	for name, raw := range reg.Client.Extra {
		if !json.Valid(raw) {
			return refuseMember(name, "json", "must be JSON")
		}
		if _, tagged := taggedMember(name); tagged || serverSays(name) || member(name) != nil {
			return refuseMember(name, "extension", "must not be an extension member")
		}
	}
	return nil
}

// checkSettings refuses lifetimes that make no sense. Only hooks set them.
func (reg *Registration) checkSettings() error {
	c := reg.Client
	if c.AccessTokenLifetime <= 0 || c.IdentityTokenLifetime <= 0 || c.AuthorizationCodeLifetime <= 0 ||
		c.AbsoluteRefreshTokenLifetime < 0 || c.SlidingRefreshTokenLifetime < 0 || c.ConsentLifetime < 0 {
		return refuse(ServerError, "", "settings.lifetime", "the lifetimes of a client must be positive")
	}
	return nil
}

// checkFixedRules applies the fixed rules after the steps. If the default
// pipeline would refuse the request for the same reason, the registrant is
// refused. Otherwise a hook broke the rule, which is a server error.
func (reg *Registration) checkFixedRules() error {
	broken := reg.fixedRules()
	if broken == nil || reg.plain {
		return broken
	}
	plain := &Registration{
		Request: reg.Request, Statement: cmp.Or(reg.claims, reg.Statement), Caller: reg.Caller, Limits: reg.Limits, Readable: reg.Readable,
		Clock: reg.Clock, canSeal: reg.canSeal, ExactDefaults: reg.ExactDefaults, plain: true,
	}
	standard := DefaultValidator{
		Supports: reg.Capabilities, Extensions: reg.extensions, Fetch: reg.foundation.fetch, AllowHTTPRedirects: reg.foundation.httpRedirects,
		AllowPushedRedirectURIs: reg.foundation.pushedRedirectURIs, AllowHybridWithoutImplicit: reg.foundation.hybridWithoutImplicit,
		KeysByCertificate: reg.foundation.keysByCertificate,
	}
	refused, brokenRule := asRefusal(Validate(context.Background(), standard, plain)), asRefusal(broken)
	if refused != nil && brokenRule != nil && refused.Rule == brokenRule.Rule {
		return refused
	}
	return hookFault(broken)
}

// hookFault makes the server error for a fixed rule that a hook broke.
func hookFault(broken error) error {
	return fmt.Errorf("dcr: a hook left a client that no policy may accept: %s", broken.Error())
}

// What the URIs of each member may be (RFC 7591 §5), by their purpose, which is
// the uri tag of [Metadata]. The steps check members against these rules, and
// the fixed rules do so once more for every member with the tag, so that none
// can be forgotten.

// A uriRule says what a URI may be.
type uriRule struct {
	schemes  string // what is allowed, for the sentence
	allowed  func(kind uri.Kind) bool
	fragment bool // a fragment is allowed
}

func isHTTPS(kind uri.Kind) bool { return kind == uri.HTTPS || kind == uri.LoopbackHTTPS }
func isWeb(kind uri.Kind) bool   { return kind != uri.PrivateUse }

var (
	pageRule     = uriRule{schemes: "an http or https URL", allowed: isWeb, fragment: true}
	httpsRule    = uriRule{schemes: "an https URL", allowed: isHTTPS}
	httpRule     = uriRule{schemes: pageRule.schemes, allowed: isWeb}
	requestRule  = uriRule{schemes: "an https URL, or an http URL with request_object_signing_alg other than none", allowed: isHTTPS, fragment: true}
	signedRule   = uriRule{schemes: requestRule.schemes, allowed: isWeb, fragment: true}
	returnRule   = uriRule{schemes: returnSchemes, allowed: func(kind uri.Kind) bool { return kind != uri.HTTP }}
	anywhereRule = uriRule{schemes: returnSchemes, allowed: func(uri.Kind) bool { return true }}
)

const returnSchemes = "an https URL, an http URL on 127.0.0.1, [::1] or localhost, or a URI of the application's own scheme"

// uriRules are the rules by the purpose of a URI, the value of the uri tag. nil
// means that checkRedirects or checkTLSNames judges the member.
var uriRules = map[string]func(reg *Registration) uriRule{
	"redirect": nil, // where codes and tokens go
	"name":     nil, // a name, which is never fetched

	"page":  func(*Registration) uriRule { return pageRule },  // what a person may be shown
	"https": func(*Registration) uriRule { return httpsRule }, // other URLs for which a specification requires https

	// Where a browser goes after logout, back to an application of any kind.
	"return": func(reg *Registration) uriRule {
		if reg.mayLogOutByHTTP() {
			return anywhereRule
		}
		return returnRule
	},

	// Where logout is announced.
	"logout": func(reg *Registration) uriRule {
		if reg.mayLogOutByHTTP() {
			return httpRule
		}
		return httpsRule
	},

	// Where request objects are, whose signature may stand in for TLS.
	"request": func(reg *Registration) uriRule {
		if alg := reg.Client.RequestObjectSigningAlg; jose.Asymmetric(alg) || jose.Symmetric(alg) {
			return signedRule
		}
		return requestRule
	},
}

// mayLogOutByHTTP reports whether this client's logout URIs may be remote http.
func (reg *Registration) mayLogOutByHTTP() bool {
	return reg.foundation.httpRedirects && reg.authMethod() != "none"
}

// uriMember is a member that holds URIs.
type uriMember struct {
	*registered
	rule    func(reg *Registration) uriRule
	visited bool // this server itself sends requests there
}

// uriMembers are the members that hold URIs, at their places; nil for other
// members.
var uriMembers = func() []*uriMember {
	found := make([]*uriMember, len(members.Fields))
	for i := range members.Fields {
		f := &members.Fields[i]
		purpose := f.Tag.Get("uri")
		rule, known := uriRules[purpose]
		if purpose != "" && !known {
			panic("dcr: no rule is named " + purpose)
		}
		if rule != nil {
			found[i] = &uriMember{registered: f, rule: rule, visited: f.Tag.Get("visited") != ""}
		}
	}
	return found
}()

// uriMemberNamed returns the member of a name, which must be that of a member
// with URIs.
func uriMemberNamed(name string) *uriMember { return uriMembers[member(name).Place] }

// check checks the member against its rule.
func (m *uriMember) check(reg *Registration) error {
	from := &reg.Client.Metadata
	if m.IsZero(from) {
		return nil
	}
	rule := m.rule(reg)
	if m.Kind == record.String {
		return m.judge(reg, &rule, m.Name, m.Text(from))
	}
	for i, text := range m.List(from) {
		if err := m.judge(reg, &rule, fmt.Sprintf("%s[%d]", m.Name, i), text); err != nil {
			return err
		}
	}
	return nil
}

// judge judges one URI of the member; shown is its name in the sentence.
func (m *uriMember) judge(reg *Registration, rule *uriRule, shown, text string) error {
	parsed, err := uri.Parse(text)
	fault := func(rule, sentence string, args ...any) error {
		return refuse(InvalidClientMetadata, m.Name, m.Name+"."+rule, shown+" "+sentence, args...)
	}
	switch {
	case err != nil:
		return fault("form", "%s", err)
	case !rule.allowed(parsed.Kind()):
		return fault("scheme", "must be %s", rule.schemes)
	case parsed.HasFragment && !rule.fragment:
		return fault("fragment", "must not have a fragment")
	case m.visited:
		return reg.foundation.fetch.checkReach(&parsed, fault)
	}
	return nil
}

// checkReach refuses a URL that g would never fetch: if it were accepted, it
// could never be used. For http, which g never fetches, only the host is
// checked: the host itself sends such requests, if it allows them.
func (g *GuardedClient) checkReach(to *uri.URI, fault func(rule, sentence string, args ...any) error) error {
	switch {
	case !g.reaches(to.Host):
		return fault("address", "must lead to a host that this server can reach: not to a special-use address, and not to localhost")
	case to.Scheme == "https" && !g.connects(to.Host, to.Port):
		return fault("port", "must have a port that this server connects to: %s", g.ports())
	}
	return nil
}

// checkURIs checks members against their rules, in the given order.
func (reg *Registration) checkURIs(all ...*uriMember) error {
	for _, m := range all {
		if err := m.check(reg); err != nil {
			return err
		}
	}
	return nil
}

// checkLocalizedURIs checks the language-tagged forms of members with URIs
// against the rules of those members.
func (reg *Registration) checkLocalizedURIs() error {
	for _, name := range sortedKeys(reg.Client.Localized) {
		base, _, _ := strings.Cut(name, "#")
		f := member(base)
		if f == nil || uriMembers[f.Place] == nil {
			continue
		}
		m := uriMembers[f.Place]
		rule := m.rule(reg)
		if err := m.judge(reg, &rule, name, reg.Client.Localized[name]); err != nil {
			return err
		}
	}
	return nil
}

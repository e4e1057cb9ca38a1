package dcr

// What the URIs of each member may be (RFC 7591 §5), by what they are for. The
// steps hold members to these rules, and the fixed rules do so once more, by the
// uri tags of [Metadata]: a member that has the tag cannot be forgotten.

import (
	"fmt"
	"strings"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/uri"
)

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

// uriRules are the rules by what a URI is for, the value of the uri tag. nil:
// the member is judged by checkRedirects or checkTLSNames.
var uriRules = map[string]func(reg *Registration) uriRule{
	"redirect": nil, // where codes and tokens go
	"name":     nil, // a name, which nobody follows

	"page":  func(*Registration) uriRule { return pageRule },  // where a person may be led
	"https": func(*Registration) uriRule { return httpsRule }, // whatever else a specification wants https for

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

// mayLogOutByHTTP reports whether the host allows remote http to this client,
// for logout.
func (reg *Registration) mayLogOutByHTTP() bool {
	return reg.foundation.httpRedirects && reg.authMethod() != "none"
}

// uriMember is a member that holds URIs.
type uriMember struct {
	*registered
	rule    func(reg *Registration) uriRule
	visited bool // this server itself goes there
}

// uriMembers are the members that hold URIs, by their place; nil for the others.
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

// uriMemberNamed is the member of a name that stands in this package.
func uriMemberNamed(name string) *uriMember { return uriMembers[member(name).Place] }

// check holds the member to its rule.
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

// judge judges one URI of the member; shown is what to call it.
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

// checkReach refuses what g would never reach: it would be accepted, and then
// unavailable forever. http, where a host allows it, is the host's own to send.
func (g *GuardedClient) checkReach(to *uri.URI, fault func(rule, sentence string, args ...any) error) error {
	switch {
	case !g.reaches(to.Host):
		return fault("address", "must lead to a host that this server can reach: not to a special-use address, and not to localhost")
	case to.Scheme == "https" && !g.connects(to.Host, to.Port):
		return fault("port", "must have a port that this server connects to: %s", g.ports())
	}
	return nil
}

// checkURIs holds the named members to their rules, in this order.
func (reg *Registration) checkURIs(all ...*uriMember) error {
	for _, m := range all {
		if err := m.check(reg); err != nil {
			return err
		}
	}
	return nil
}

// checkLocalizedURIs holds the language-tagged forms of members that hold URIs to
// the rules of those.
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

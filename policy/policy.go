// Package policy has ready-made policies for client registration: small rules
// that stack on any [dcr.Validator], and presets, each for one field of
// application.
//
// A preset is made from what the server supports, and sets up the options:
//
//	opts := policy.MCP(dcr.DefaultValidator{
//		Supports: dcr.Capabilities{Scopes: []string{"mcp:tools"}},
//	}).Apply(&dcr.Options{
//		Endpoint:       "https://id.example.com/connect/dcr",
//		AllowAnonymous: true,
//	})
//	handler, err := dcr.NewHandler(store, opts)
//
// Rules stack on a preset with [Preset.With], and on any other validator with
// [Stack]:
//
//	v := policy.Stack(dcr.DefaultValidator{},
//		policy.HTTPSOnly(),
//		policy.RedirectHosts("*.example.com"),
//		policy.Scopes(policy.Values{Ceiling: []string{"openid", "email"}, Excess: policy.Refuse}),
//	)
//
// Rules only narrow what is accepted, except for [DuendeMembers], which lets
// clients ask for settings. A rule narrows Capabilities too if it can, so that the
// discovery document says what registration accepts. A rule corrects a client
// before the steps of the inner validators, which then judge the corrected client,
// and refuses one after them. Rules apply to registrations and updates alike, and
// the response has the corrections, as RFC 7591 §3.2.1 requires.
//
// Rules about hosts judge every URI that a browser is sent to: redirect_uris,
// post_logout_redirect_uris, claims_redirect_uris, frontchannel_logout_uri,
// initiate_login_uri and credential_offer_endpoint. Rules about schemes judge
// the first three, which lead back to the application.
//
// Every refusal carries a stable id in [dcr.Error].Rule, "policy." and the
// name of the rule: policy.https_only, policy.scope … Those of [DuendeMembers]
// begin with the member: access_token_lifetime.ceiling.
package policy

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/decorator"
)

// Rule decorates a validator with a rule.
type Rule func(inner dcr.Validator) dcr.Validator

// Stack puts rules on a validator, the first one innermost. Do not change the lists
// of the validator and the rules afterwards, such as a Values.Ceiling.
func Stack(v dcr.Validator, rules ...Rule) dcr.Validator {
	for _, rule := range rules {
		v = rule(v)
	}
	if len(rules) == 0 || !isConstant(v) {
		return v
	}
	supported := v.Capabilities().WithDefaults() // which clips the lists that all requests share
	return stack{v, &supported}
}

// stack is a stack of rules whose capabilities never change. Every registration
// asks for them, so they are narrowed only once.
type stack struct {
	dcr.Validator
	supported *dcr.Capabilities
}

// Capabilities returns what the rules leave.
func (s stack) Capabilities() dcr.Capabilities { return *s.supported }

// isConstant reports whether the capabilities of v never change, since it has only
// rules of this package, on a DefaultValidator that nobody else can reach. Those of
// a host's own validators and rules may change. It looks at the package of each type,
// since a method that says so would be promoted into the types of hosts that embed a
// Preset. So no rule of this package may have capabilities that change.
func isConstant(v dcr.Validator) bool {
	for v != nil {
		typ := reflect.TypeOf(v)
		if typ == reflect.TypeFor[dcr.DefaultValidator]() {
			return true
		}
		if typ.PkgPath() != reflect.TypeFor[stack]().PkgPath() {
			return false
		}
		v = decorator.Inner(v)
	}
	return false
}

// Excess says what a rule does with values beyond its Ceiling. The zero value is Drop.
type Excess int

const (
	// Drop removes the values of a list that are not in Ceiling, and lowers a
	// lifetime to Ceiling. If nothing is left, the client gets Default; if there is
	// no Default, the registration is refused.
	Drop Excess = iota

	// Refuse refuses the registration.
	Refuse

	// Replace gives the client Default instead of all that it sent.
	Replace
)

// refuse makes the error of a rule about a member.
func refuse(member, rule, format string, args ...any) *dcr.Error {
	code := dcr.InvalidClientMetadata
	if member == "redirect_uris" {
		code = dcr.InvalidRedirectURI
	}
	err := dcr.Errorf(code, format, args...)
	err.Member, err.Rule = member, "policy."+rule
	return err
}

// contains reports whether list has value, or allows any. The words of a
// response type have no order.
func contains(list []string, value string) bool {
	return slices.ContainsFunc(list, func(own string) bool {
		return own == value || own == dcr.AnyScope || sameWords(own, value)
	})
}

func sameWords(a, b string) bool {
	if !strings.Contains(a, " ") || len(a) != len(b) {
		return false
	}
	wordsA, wordsB := strings.Fields(a), strings.Fields(b)
	slices.Sort(wordsA)
	slices.Sort(wordsB)
	return slices.Equal(wordsA, wordsB)
}

// within returns the entries of list that are in ceiling too.
func within(list, ceiling []string) []string {
	kept := make([]string, 0, len(list))
	for _, entry := range list {
		if contains(ceiling, entry) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// without returns list without the given entries.
func without(list []string, entries ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(entry string) bool { return slices.Contains(entries, entry) })
}

// narrow removes the entries that are not in ceiling. A nil list stays nil.
func narrow(list *[]string, ceiling []string) {
	switch {
	case *list == nil:
	case slices.Contains(*list, dcr.AnyScope):
		*list = slices.Clone(ceiling)
	case slices.ContainsFunc(*list, func(entry string) bool { return !contains(ceiling, entry) }):
		*list = within(*list, ceiling)
	}
}

// sortedNames returns the names in m in order.
func sortedNames(m map[string]string) []string {
	if len(m) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(m))
}

// orNone lists values for a sentence.
func orNone(values []string) string {
	if len(values) == 0 {
		return "(none)"
	}
	return strings.Join(values, ", ")
}

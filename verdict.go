package dcr

// The verdict about each member of an explained registration, from what was sent,
// what would be answered and which step changed it.

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/strictjson"
)

// verdicts has what is needed to say what became of each member.
type verdicts struct {
	*trace
	reg       *Registration
	sent      map[string]json.RawMessage
	effective map[string]json.RawMessage
	refused   map[string]*Error // members that are refused
}

// decide returns the decision about every member that was sent, that the client
// has, or for which it is refused. answer is nil if it is refused.
func (t *trace) decide(reg *Registration, body, answer []byte, refused *Error) []MemberDecision {
	v := verdicts{trace: t, reg: reg, sent: membersOf(body), effective: membersOf(answer), refused: make(map[string]*Error)}
	switch {
	case refused == nil:
	case reg.Client == nil: // not even the body was read
		v.sent = map[string]json.RawMessage{refused.Member: v.sent[refused.Member]}
	default:
		v.effective = t.asFar(reg)
	}
	v.refuse(refused)
	var all []MemberDecision
	for _, name := range v.names() {
		all = append(all, v.of(name))
	}
	return all
}

// asFar returns the members of a refused client, as they were when it was
// refused.
func (t *trace) asFar(reg *Registration) map[string]json.RawMessage {
	far := maps.Clone(t.was)
	if far == nil { // it was refused before the steps
		admitted, _ := reg.Client.Metadata.MarshalJSON()
		far = membersOf(admitted)
	}
	if text := reg.Request.SoftwareStatement; text != "" && (reg.Statement != nil || reg.foundation.statements != nil) {
		far["software_statement"] = strictjson.AppendString(nil, text)
	}
	return far
}

// refuse notes which members are refused: the one at fault, and all other members of
// the wrong form that the refusal names.
func (v *verdicts) refuse(refused *Error) {
	if refused == nil {
		return
	}
	v.refused[refused.Member] = refused
	if v.reg.Client == nil || !strings.HasSuffix(refused.Rule, ".type") {
		return
	}
	for _, fault := range v.reg.Request.faults {
		if fault.member < 0 || v.reg.on.judges(fault.member) {
			v.refused[fault.err.Member] = fault.err
		}
	}
}

// names returns the members in the order of a Decision.
func (v *verdicts) names() []string {
	rest := make(map[string]bool)
	for _, from := range []map[string]json.RawMessage{v.sent, v.effective} {
		for name := range from {
			rest[name] = true
		}
	}
	for name := range v.refused {
		rest[name] = true
	}
	delete(rest, "") // a refusal that is not about a member
	var names, tagged []string
	for i := range members.Fields {
		if name := members.Fields[i].Name; rest[name] {
			names = append(names, name)
			delete(rest, name)
		}
	}
	for name := range rest {
		if _, is := taggedMember(name); is {
			tagged = append(tagged, name)
			delete(rest, name)
		}
	}
	slices.Sort(tagged)
	return slices.Concat(names, tagged, slices.Sorted(maps.Keys(rest)))
}

// of returns the decision about a member.
func (v *verdicts) of(name string) MemberDecision {
	d := MemberDecision{Name: name, Sent: v.sent[name], Effective: v.effective[name], Step: v.by[name]}
	d.Verdict = v.verdict(&d)
	switch refused := v.refused[name]; {
	case d.Verdict == Refused:
		d.Effective, d.Rule, d.Step = nil, refused.Rule, v.failed
		if d.Step == "" {
			d.Step = validateStep
		}
	case d.Verdict == Ignored:
		d.Step = validateStep
	case (d.Step == "" || d.Verdict == Kept) && v.ran[stepOf(name)]:
		d.Step = stepOf(name)
	}
	d.Switch = v.switchOf(&d)
	return d
}

// validateStep is the step for what [Validate] itself does.
const validateStep = "Validate"

func (v *verdicts) verdict(d *MemberDecision) Verdict {
	_, isList := choiceMember[d.Name]
	absent := d.Sent == nil || isAbsent(d.Name, strictjson.Value(d.Sent))
	switch {
	case v.refused[d.Name] != nil:
		return Refused
	case absent && d.Effective != nil:
		return Defaulted
	case absent, v.ignores(d.Name):
		return Ignored
	case isList:
		return Replaced // by the one of its values that the client has
	case d.Effective == nil && string(d.Sent) != "false":
		return Dropped
	case d.Effective == nil, isSame(d.Name, d.Sent, d.Effective):
		return Kept
	case isLess(d.Name, d.Effective, d.Sent):
		return Dropped
	}
	return Replaced
}

// isAbsent reports whether a value means that the member is absent.
func isAbsent(name string, value strictjson.Value) bool {
	return value.Kind() == strictjson.Null || string(value) == `""` || emptyArray(value) && !keepsEmpty(name)
}

// ignores reports whether a member counts as unknown.
func (v *verdicts) ignores(name string) bool {
	if i, list := choiceMember[name]; list {
		return !v.reg.on.has(i)
	}
	if f := member(name); f != nil {
		return !v.reg.on.has(f.Place)
	}
	_, tagged := taggedMember(name)
	return !tagged && !v.reg.declares(name) && v.effective[name] == nil
}

// isSame compares values by their meaning: the order of scopes, of lists and of the
// words of a response type does not matter.
func isSame(name string, a, b json.RawMessage) bool {
	return bytes.Equal(a, b) || sameJSON(a, b) || isLess(name, a, b) && isLess(name, b, a)
}

// isLess reports whether a list, or scope, only has entries that another has
// too.
func isLess(name string, some, all json.RawMessage) bool {
	own, isList := entries(name, strictjson.Value(some))
	others, areLists := entries(name, strictjson.Value(all))
	return isList && areLists && !slices.ContainsFunc(own, func(entry string) bool {
		return !slices.ContainsFunc(others, func(other string) bool { return sameWords(entry, other) })
	})
}

// stepOf returns the step of DefaultValidator that judges a member.
func stepOf(name string) string {
	base, _, tagged := strings.Cut(name, "#")
	if i, list := choiceMember[name]; list {
		base = members.Fields[i].Name
	}
	switch f := member(base); {
	case name == "software_statement":
		return "ValidateSoftwareStatement"
	case f == nil:
		return "ValidateExtensions"
	case tagged:
		return "ValidateDisplay"
	}
	for step, names := range stepMembers {
		if slices.Contains(names, base) {
			return step
		}
	}
	return "ValidateOpenID"
}

// stepMembers are the members that each step judges; ValidateOpenID judges the
// rest.
var stepMembers = map[string][]string{
	"ValidateGrantTypes":   {"grant_types", "response_types"},
	"ValidateRedirectURIs": {"redirect_uris", "application_type"},
	"ValidateScopes":       {"scope"},
	"ValidateClientAuthentication": {
		"token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "jwks", "jwks_uri",
		"tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip", "tls_client_auth_san_email",
	},
	"ValidateDisplay": {"client_name", "client_uri", "logo_uri", "tos_uri", "policy_uri", "contacts", "software_id", "software_version"},
	"ValidateLogout": {
		"post_logout_redirect_uris", "frontchannel_logout_uri", "frontchannel_logout_session_required",
		"backchannel_logout_uri", "backchannel_logout_session_required",
	},
	"ValidateRequestObjects": {
		"request_object_signing_alg", "request_object_encryption_alg", "request_object_encryption_enc", "request_uris",
		"require_signed_request_object", "require_pushed_authorization_requests",
	},
	"ValidateTokens": {
		"tls_client_certificate_bound_access_tokens", "use_mtls_endpoint_aliases", "dpop_bound_access_tokens", "authorization_details_types",
	},
}

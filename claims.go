package dcr

// RFC 7591 §2.3: what a software statement claims about a client. Claims are
// merged into the client before the other steps, and the finished client is
// checked against them: it must have what is claimed, or less of it.

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/strictjson"
)

// mergeStatement puts the claims in force into the client, even if a step of the
// host verified them.
func mergeStatement(_ Validator, _ context.Context, reg *Registration) error {
	if reg.statementMerged {
		return nil
	}
	reg.statementMerged = true
	if err := reg.checkSoftware(); err != nil {
		return err
	}
	reg.claims = reg.claimsInForce()
	if reg.claims == nil {
		return nil
	}
	if err := reg.claims.mergeMembers(reg); err != nil {
		return err
	}
	if err := reg.claims.mergeExtensions(reg); err != nil {
		return err
	}
	return reg.checkBounds(members.Set(&reg.Client.Metadata))
}

// claimsInForce returns the claims that the client is checked against, with
// their rules. They are those of the statement that was sent or, if there is
// none, of the one that the client registered with, if the host verified that in
// a way that cannot be read again. Without a statement there are no claims, but
// ClaimOnly still applies. It returns nil if there is nothing to check.
func (reg *Registration) claimsInForce() *SoftwareStatement {
	var rules map[string]StatementRule
	if v := reg.foundation.statements; v != nil {
		rules = v.Members
	}
	if reg.Statement != nil && !reg.Statement.claimsNothing() {
		inForce := *reg.Statement
		if inForce.rules == nil {
			inForce.rules = rules
		}
		return inForce.enforce()
	}
	before := reg.Previous != nil && reg.Previous.Statement != nil
	if !before && len(rules) == 0 {
		return nil
	}
	inForce := &SoftwareStatement{rules: rules}
	if before {
		inForce.reclaim(reg.Previous)
	}
	return inForce.enforce()
}

// Claimed reports whether a software statement decides about a member: the one
// that was sent, or the one that the client registered with. A step must not
// correct or complete such a member, since [Validate] refuses a client that is
// not as claimed. name may have a language tag. Call Claimed once
// ValidateSoftwareStatement has run.
func (reg *Registration) Claimed(name string) bool {
	s := reg.claims
	if s == nil {
		return false
	}
	base, _, _ := strings.Cut(name, "#")
	if f := member(base); f != nil && s.claims(f) || s.rules[base] == ClaimOnly {
		return true
	}
	_, tagged := s.Localized[name]
	return tagged || s.Extra[name] != nil || s.Extra[base] != nil
}

func (s *SoftwareStatement) mergeMembers(reg *Registration) error {
	client := &reg.Client.Metadata
	dst, src := client, &s.Metadata
	for i := range s.decides.Places() {
		f := &members.Fields[i]
		if !reg.on.has(i) {
			continue
		}
		claimed := s.claims(f)
		take, rule := claimed, s.rules[f.Name]
		if rule != ClaimWins && !f.IsZero(dst) {
			var err error
			if take, err = s.settle(reg, f); err != nil {
				return err
			}
		}
		if take {
			f.Copy(dst, src)
		}
		if claimed || rule == ClaimOnly {
			client.dropTagged(f)
		}
		if err := s.settleAlternatives(reg, f); err != nil {
			return err
		}
	}
	for name, text := range s.Localized {
		client.localize(name, text)
	}
	return nil
}

// localize replaces a language-tagged form of the request by the claimed one,
// even if the two spell the tag differently.
func (m *Metadata) localize(name, text string) {
	maps.DeleteFunc(m.Localized, func(own, _ string) bool { return strings.EqualFold(own, name) })
	put(&m.Localized, strings.Clone(name), strings.Clone(text))
}

// dropTagged removes the language-tagged forms of a claimed member that the
// request has: people would be shown those in place of the name that is vouched
// for.
func (m *Metadata) dropTagged(f *registered) {
	if !taggable.Has(f.Place) {
		return
	}
	for name := range m.Localized {
		if base, _, _ := strings.Cut(name, "#"); base == f.Name {
			delete(m.Localized, name)
		}
	}
}

// dropTaggedExtra does for a claimed extension member what dropTagged does for a
// registered one. If the claimed name has a tag itself, it removes other
// spellings of that tag. Names in kept are claimed too, and stay.
func (m *Metadata) dropTaggedExtra(name string, kept map[string]json.RawMessage) {
	maps.DeleteFunc(m.Extra, func(own string, _ json.RawMessage) bool {
		base, _, tagged := strings.Cut(own, "#")
		_, claimed := kept[own]
		return !claimed && (tagged && base == name || sameTagged(own, name))
	})
}

func (s *SoftwareStatement) mergeExtensions(reg *Registration) error {
	if reg.noExtensions() {
		return nil
	}
	for _, name := range sortedKeys(s.Extra) {
		if !reg.declares(name) {
			continue
		}
		claimed, take := strictjson.Value(s.Extra[name]), true
		if plain, sent := reg.Client.Extra[name]; sent && s.rules[name] != ClaimWins {
			var err error
			if take, err = s.settleExtension(reg, name, plain); err != nil {
				return err
			}
		}
		if take {
			put(&reg.Client.Extra, strings.Clone(name), json.RawMessage(claimed))
		}
		reg.Client.dropTaggedExtra(name, s.Extra)
	}
	for _, name := range sortedKeys(reg.Client.Extra) {
		if _, claimed := s.Extra[name]; claimed {
			continue
		}
		if s.rules[name] == ClaimOnly {
			return notClaimed(name)
		}
		if base, _, tagged := strings.Cut(name, "#"); tagged && s.rules[base] == ClaimOnly {
			delete(reg.Client.Extra, name)
		}
	}
	return nil
}

// noExtensions reports whether there is no extension member that a claim could be
// about: none is declared, and the client has none.
func (reg *Registration) noExtensions() bool {
	return len(reg.extensions) == 0 && len(reg.Client.Extra) == 0
}

// settle decides, for a member that the request has too, whether the claim
// replaces it. A choice from a claimed list of alternatives is judged when the
// member is settled.
func (s *SoftwareStatement) settle(reg *Registration, f *registered) (take bool, err error) {
	dst, rule := &reg.Client.Metadata, s.rules[f.Name]
	chooses := rule == ClaimBounds && (f.Kind == record.Strings || f.Name == "scope")
	switch claimed := s.claims(f); {
	case !claimed && (rule != ClaimOnly || s.choices[lists[f.Place].name] != nil):
		return false, nil
	case !chooses && reg.sendsBack(f) && s.allows(reg, f):
		f.Clear(dst) // it counts as left out
		return claimed, nil
	case !claimed:
		return false, notClaimed(f.Name)
	}
	claim, absent := []byte("null"), f.IsZero(&s.Metadata)
	if f.Kind == record.Strings && !absent {
		return rule.chooseEntries(f.Name, f.List(dst), f.List(&s.Metadata))
	}
	if !absent {
		if claim, err = f.Append(nil, &s.Metadata); err != nil {
			return false, err
		}
	}
	plain, err := f.Append(nil, dst)
	if err != nil {
		return false, err
	}
	return rule.choose(f.Name, strictjson.Value(plain), strictjson.Value(claim))
}

// settleExtension does for a claimed extension member what settle does for a registered
// one.
func (s *SoftwareStatement) settleExtension(reg *Registration, name string, plain json.RawMessage) (take bool, err error) {
	rule, claimed := s.rules[name], s.Extra[name]
	if rule != ClaimBounds && reg.sendsBackExtension(name, plain) && sameOrLess(name, plain, claimed) {
		return true, nil // it counts as left out
	}
	return rule.choose(name, strictjson.Value(plain), strictjson.Value(claimed))
}

// sendsBack reports whether an update sends a member as the client has it, as RFC 7592
// §2.2 requires.
func (reg *Registration) sendsBack(f *registered) bool {
	if reg.Previous == nil {
		return false
	}
	client, before := &reg.Client.Metadata, &reg.Previous.Metadata
	return f.Equal(client, before) || f.Name == "jwks" && sameJSON(client.JWKS, before.JWKS)
}

func (reg *Registration) sendsBackExtension(name string, plain json.RawMessage) bool {
	return reg.Previous != nil && sameJSON(plain, reg.Previous.Extra[name])
}

// settleAlternatives settles the list of alternatives for a member (OpenID
// Connect RP Metadata Choices 1.0), which restricts the member as well. If the
// member itself is claimed, there are no alternatives.
func (s *SoftwareStatement) settleAlternatives(reg *Registration, f *registered) error {
	list := lists[f.Place].name
	if list == "" {
		return nil
	}
	said, claimed, rule := reg.Request.Choices[list], s.choices[list], s.rules[f.Name]
	switch {
	case s.claims(f):
		if rule != ClaimWins && said != nil && !slices.Contains(said, f.Text(&s.Metadata)) {
			return refuseMember(list, "claim", "must contain the %s that the software statement has, or be left out", f.Name)
		}
		put(&reg.alternatives, list, nil)
	case claimed != nil:
		if said == nil || rule == ClaimWins {
			said = claimed
		} else if !within(said, claimed) {
			return refuseMember(list, "claim", "must not have an entry that the software statement does not have")
		}
		put(&reg.alternatives, list, said)
	case said != nil && rule == ClaimOnly:
		return notClaimed(list)
	}
	return nil
}

func notClaimed(name string) error {
	return refuseMember(name, "claim", "must come from a software statement, and no statement claims it")
}

// entries returns the elements of a list of strings, or the scopes of scope.
func entries(name string, value strictjson.Value) (list []string, ok bool) {
	if name == "scope" {
		text, err := value.Text()
		return strings.Fields(text), err == nil
	}
	list, err := value.Texts()
	return list, err == nil
}

func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(entry string) bool { return !slices.Contains(all, entry) })
}

// withinMember is within for the entries of a member: the words of a response type may
// come in any order.
func withinMember(name string, some, all []string) bool {
	if name != "response_types" {
		return within(some, all)
	}
	return !slices.ContainsFunc(some, func(entry string) bool {
		return !slices.ContainsFunc(all, func(other string) bool { return sameWords(entry, other) })
	})
}

func sameJSON(a, b []byte) bool {
	var left, right any
	return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil && reflect.DeepEqual(left, right)
}

// checkClaims checks every member of the finished client against the claims in
// force.
func (reg *Registration) checkClaims() error {
	s := reg.claims
	if s == nil {
		return nil
	}
	for i := range s.decides.Places() {
		if f := &members.Fields[i]; reg.on.has(i) && !s.allows(reg, f) {
			return notAsClaimed(f.Name)
		}
	}
	for _, name := range sortedKeys(reg.Client.Localized) {
		if !s.allowsTagged(name, reg.Client.Localized[name]) {
			return notAsClaimed(name)
		}
	}
	if reg.noExtensions() {
		return nil
	}
	for _, name := range sortedKeys(s.Extra) {
		if raw, kept := reg.Client.Extra[name]; reg.declares(name) && !(kept && sameOrLess(name, raw, s.Extra[name])) {
			return notAsClaimed(name)
		}
	}
	for _, name := range sortedKeys(reg.Client.Extra) {
		if !s.allowsExtra(name) {
			return notAsClaimed(name)
		}
	}
	return nil
}

func notAsClaimed(name string) error {
	base, _, _ := strings.Cut(name, "#")
	return refuse(memberCode(base), base, base+".claim",
		"%s cannot be as the software statement has it: this server does not support that, or has a rule against it", name)
}

// allows reports whether the client's value of a member is allowed: the claimed
// one, or fewer entries of a claimed list. Members that every client has are
// allowed even if they are not claimed.
func (s *SoftwareStatement) allows(reg *Registration, f *registered) bool {
	client := &reg.Client.Metadata
	switch absent := f.IsZero(client); {
	case s.claims(f):
		return f.Equal(client, &s.Metadata) || s.allowsLess(reg, f, absent)
	case absent:
		return true
	case s.choices[lists[f.Place].name] != nil:
		return slices.Contains(s.choices[lists[f.Place].name], f.Text(client))
	}
	return s.rules[f.Name] != ClaimOnly || reg.everyClientHas(f)
}

// allowsLess reports whether the server may have changed a claimed member into
// what the client has.
func (s *SoftwareStatement) allowsLess(reg *Registration, f *registered, absent bool) bool {
	c, client := reg.Client, &reg.Client.Metadata
	switch {
	case f.Name == "scope":
		return within(strings.Fields(c.Scope), strings.Fields(s.Scope))
	case f.Name == "jwks" && !absent: // only its keys are kept
		keys, err := jose.CheckClientKeys(s.JWKS, reg.Limits.effective().Keys)
		return err == nil && (bytes.Equal(keys.Set, c.JWKS) || sameJSON(keys.Set, c.JWKS))
	case f.Kind == record.Strings:
		return withinMember(f.Name, f.List(client), f.List(&s.Metadata))
	case f.Kind == record.Bool && !absent:
		return reg.everyClientHas(f)
	case !absent:
		return false
	}
	if with := member(f.Tag.Get("with")); with != nil && with.IsZero(client) {
		return true // it has no effect
	}
	// What people read may be left out, and so may the names of certificates,
	// unless the method needs them.
	return f.Tag.Get("lang") != "" || isTLSName(f) && c.TokenEndpointAuthMethod != "tls_client_auth"
}

// everyClientHas reports whether the server gives the member to every client.
func (reg *Registration) everyClientHas(f *registered) bool {
	switch f.Name {
	case "redirect_uris", "grant_types", "response_types", "application_type":
		return true
	case "require_signed_request_object":
		return reg.Capabilities.RequireSignedRequestObject
	case "require_pushed_authorization_requests":
		return reg.Capabilities.RequirePushedAuthorizationRequests
	}
	return lists[f.Place].name != ""
}

// allowsTagged reports whether a language-tagged form is as claimed, or belongs
// to a member that is not claimed.
func (s *SoftwareStatement) allowsTagged(name, text string) bool {
	for own, claim := range s.Localized {
		if strings.EqualFold(own, name) {
			return own == name && claim == text
		}
	}
	base, _, _ := strings.Cut(name, "#")
	f := member(base)
	return f == nil || s.rules[base] != ClaimOnly && !s.claims(f)
}

// allowsExtra reports whether the client's value of an extension member is
// allowed: the claimed one, if it is claimed.
func (s *SoftwareStatement) allowsExtra(name string) bool {
	base, _, _ := strings.Cut(name, "#")
	if _, claimed := s.Extra[name]; claimed {
		return true
	}
	if s.rules[name] == ClaimOnly || s.rules[base] == ClaimOnly || s.Extra[base] != nil {
		return false
	}
	for own := range s.Extra {
		if sameTagged(own, name) {
			return false
		}
	}
	return true
}

// sameOrLess reports whether a value is the claimed one, or a list with some of
// its entries.
func sameOrLess(name string, raw, claimed json.RawMessage) bool {
	if bytes.Equal(raw, claimed) || sameJSON(raw, claimed) {
		return true
	}
	kept, isList := entries(name, strictjson.Value(raw))
	all, claimsList := entries(name, strictjson.Value(claimed))
	return isList && claimsList && within(kept, all)
}

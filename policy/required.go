package policy

// Members that a registration must have.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// RequireMembers requires these metadata members to be sent, or claimed by the
// software statement, instead of left to the server's defaults. false counts as
// sent; null, an empty string and an empty list do not, except that an empty
// response_types does. RequireMembers panics on a member that the server issues, and
// NewHandler refuses one that no client could have: one that is neither registered nor a
// declared extension, or that belongs to a feature that the server does not support. For
// software_statement, use [RequireStatement].
func RequireMembers(names ...string) Rule {
	members := make([]dcr.Field[json.RawMessage], len(names))
	for i, name := range names {
		members[i] = dcr.NewField[json.RawMessage](name)
	}
	return func(inner dcr.Validator) dcr.Validator { return required{inner, members} }
}

type required struct {
	dcr.Validator
	members []dcr.Field[json.RawMessage]
}

// ValidateGrantTypes looks before any step fills in a default.
func (r required) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	var missing []string
	for _, member := range r.members {
		if _, sent, err := member.Get(&reg.Client.Metadata); err != nil {
			return err
		} else if !sent && !saysFalse(reg, member.Name()) && !hasTagged(&reg.Client.Metadata, member.Name()) {
			missing = append(missing, member.Name())
		}
	}
	if len(missing) > 0 {
		return refuse(missing[0], "required", "%s must be sent", strings.Join(missing, ", "))
	}
	return r.Validator.ValidateGrantTypes(ctx, reg)
}

// CheckOptions refuses a member that no client could have, with which nobody could
// register. Decorators around this one may declare it too.
func (r required) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	declared := r.Validator.DeclaredExtensions()
	for _, v := range slices.Concat([]dcr.Validator{opts.Validator}, slices.Collect(maps.Values(opts.Policies))) {
		if v != nil {
			declared = slices.Concat(declared, v.DeclaredExtensions())
		}
	}
	for _, member := range r.members {
		base, _, _ := strings.Cut(member.Name(), "#")
		if !isRegistered(member.Name()) && !slices.ContainsFunc(declared, func(e dcr.Extension) bool { return e.Name() == base }) {
			return fmt.Errorf("policy.RequireMembers has %s, which is neither a registered member nor a declared extension, so that nobody could register; correct the name, or declare it in Extensions", member.Name())
		}
		if base == member.Name() && isRegistered(base) && r.isOff(member) {
			return fmt.Errorf("policy.RequireMembers has %s, which registration ignores since the server does not support what it is for, so that nobody could register; support that in Capabilities, or take the member out", member.Name())
		}
	}
	return r.Validator.CheckOptions(opts, store)
}

// isRegistered reports whether dcr.Metadata has a member, perhaps with a language tag,
// of its own.
func isRegistered(name string) bool {
	var m dcr.Metadata
	if text, err := json.Marshal(map[string]string{name: "x"}); strings.Contains(name, "#") {
		return err == nil && json.Unmarshal(text, &m) == nil && len(m.Localized) > 0
	}
	dcr.NewField[json.RawMessage](name).Set(&m, json.RawMessage("null")) // an error says that it is
	return len(m.Extra) == 0
}

// isOff reports whether registration ignores a registered member, since the feature that it
// belongs to is off.
func (r required) isOff(member dcr.Field[json.RawMessage]) bool {
	sent := dcr.Request{}
	for _, value := range []string{`"x"`, `["x"]`, `true`, `1`, `{"keys":[]}`} { // one of which has its type
		if member.Set(&sent.Metadata, json.RawMessage(value)) == nil {
			break
		}
	}
	taken := &taking{Validator: r.Validator}
	dcr.Validate(context.Background(), taken, &dcr.Registration{Request: &sent}) // ends with errTaken
	_, isSent, _ := member.Get(&sent.Metadata)
	_, isTaken, _ := member.Get(&taken.metadata)
	return isSent && taken.begun && !isTaken
}

// taking notes what registration takes of a request before any step, and ends there.
type taking struct {
	dcr.Validator
	metadata dcr.Metadata
	begun    bool
}

var errTaken = errors.New("policy: that is all")

func (t *taking) ValidateSoftwareStatement(_ context.Context, reg *dcr.Registration) error {
	t.metadata, t.begun = reg.Client.Metadata, true
	return errTaken
}

// saysFalse reports whether a registered boolean was sent or claimed, as false: that is
// also what an absent one is.
func saysFalse(reg *dcr.Registration, name string) bool {
	if !isRegistered(name) || dcr.NewField[bool](name).Set(new(dcr.Metadata), false) != nil {
		return false
	}
	var sent, claimed claims
	json.Unmarshal(reg.Request.Raw, &sent) // it was read before
	switch {
	case reg.Statement != nil:
		claimed = reg.Statement.Claims
	case reg.Previous != nil:
		claimed = storedClaims(reg.Previous)
	}
	return string(sent[name]) == "false" || string(claimed[name]) == "false"
}

// hasTagged reports whether m has a member in a language. Tags have no case (RFC 5646
// §2.1.1).
func hasTagged(m *dcr.Metadata, name string) bool {
	if !strings.Contains(name, "#") {
		return false
	}
	same := func(own string) bool { return strings.EqualFold(own, name) }
	return slices.ContainsFunc(slices.Collect(maps.Keys(m.Localized)), same) || slices.ContainsFunc(slices.Collect(maps.Keys(m.Extra)), same)
}

// RequireStatement requires a software statement that the validator verified,
// from one of these issuers if any are named. An update may leave it out if the
// client registered with one, whose claims still apply.
func RequireStatement(issuers ...string) Rule {
	return func(inner dcr.Validator) dcr.Validator { return statementRequired{inner, issuers} }
}

type statementRequired struct {
	dcr.Validator
	issuers []string
}

// RequiresStatement is true: see [dcr.StatementRequirer].
func (s statementRequired) RequiresStatement() bool { return true }

// ValidateSoftwareStatement judges what the inner step verified.
func (s statementRequired) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if err := s.Validator.ValidateSoftwareStatement(ctx, reg); err != nil {
		return err
	}
	issuer := ""
	switch {
	case reg.Statement != nil:
		issuer = reg.Statement.Issuer
	case reg.Previous != nil && reg.Previous.Statement != nil && reg.Request.SoftwareStatement == "":
		issuer = reg.Previous.Statement.Issuer
	default:
		return refuseStatement(dcr.InvalidSoftwareStatement, "software_statement must be sent, and be one that this server can verify")
	}
	if len(s.issuers) > 0 && !slices.Contains(s.issuers, issuer) {
		return refuseStatement(dcr.UnapprovedSoftwareStatement, "software_statement must come from an issuer that this server approves for registration")
	}
	return nil
}

func refuseStatement(code dcr.Code, description string) *dcr.Error {
	err := dcr.Errorf(code, "%s", description)
	err.Member, err.Rule = "software_statement", "policy.require_statement"
	return err
}

package policy

// Members that a registration must have.

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// RequireMembers requires these metadata members to be sent, or claimed by the
// software statement, instead of left to the server's defaults. It panics on a
// member that the server issues. For software_statement, use
// [RequireStatement].
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
		} else if !sent {
			missing = append(missing, member.Name())
		}
	}
	if len(missing) > 0 {
		return refuse(missing[0], "required", "%s must be sent", strings.Join(missing, ", "))
	}
	return r.Validator.ValidateGrantTypes(ctx, reg)
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

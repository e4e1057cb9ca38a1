package dcr

// RFC 7591 §2.3: the claims of a software statement, how they are read, and by
// which a statement is told from the other tokens of its issuer.

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"

	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/strictjson"
)

// statementClaims are the claims of a statement, read by the rules of a
// registration request.
type statementClaims struct {
	verifier *StatementVerifier
	all      map[string]json.RawMessage
	request  *Request
}

func (v *StatementVerifier) newClaims() *statementClaims {
	return &statementClaims{verifier: v, all: make(map[string]json.RawMessage, 24), request: &Request{}}
}

// claimLimits bound the claims as they do the members of a request.
func claimLimits(limits Limits) strictjson.Limits {
	return strictjson.Limits{Members: limits.Members, Depth: limits.Depth}
}

func (c *statementClaims) read(name string, value strictjson.Value) error {
	c.all[name] = json.RawMessage(value)
	if _, stands := c.verifier.Claims[name]; stands || jwt.Registered(name) {
		return nil
	}
	return c.request.member(name, asClaimed(name, value))
}

// statement returns what was read, with the registered claims beside it.
func (c *statementClaims) statement(registered *jwt.Claims) (*SoftwareStatement, error) {
	request := c.request
	if err := c.verifier.readMapped(c.all, request); err != nil {
		return nil, claimError(err)
	}
	for i := range request.faults {
		request.faults[i].err = claimError(request.faults[i].err)
	}
	id := cmp.Or(registered.ID, request.SoftwareID)
	if c.verifier.IDClaim != "" {
		id, _ = strictjson.Value(c.all[c.verifier.IDClaim]).Text()
	}
	return &SoftwareStatement{
		Issuer: registered.Issuer, ID: id,
		Metadata: request.Metadata, Claims: c.all,
		present: request.present, choices: request.Choices, faults: request.faults, rules: c.verifier.Members,
	}, nil
}

// foreignClaims are claims of ID Tokens (OpenID Connect Core 1.0 §2) and Logout
// Tokens (Back-Channel Logout 1.0 §2.4), and of no software statement.
var foreignClaims = []string{"nonce", "at_hash", "c_hash", "auth_time", "sid", "events", "azp"}

// checkKind tells a statement from what else its issuer may have signed: another
// token has claims of its own and says nothing of a client, and a client
// assertion is of the client itself (RFC 7523 §3).
func (s *SoftwareStatement) checkKind(registered *jwt.Claims) error {
	for _, name := range foreignClaims {
		if _, foreign := s.Claims[name]; foreign {
			return invalidStatement("kind", "must not have the claim %s, which belongs to tokens of another kind", name)
		}
	}
	if registered.Issuer != "" && registered.Issuer == registered.Subject {
		return invalidStatement("kind", "must not have the same iss and sub, as a client assertion has")
	}
	if s.present == (memberSet{}) && len(s.Localized) == 0 && len(s.faults) == 0 {
		return invalidStatement("kind", "must claim software_id or another member of the client")
	}
	return nil
}

// asClaimed is what a claim says of a member. Directories issue a version as a
// number too, whose text is what counts: 1.10 is not 1.1.
func asClaimed(member string, value strictjson.Value) strictjson.Value {
	if member == "software_version" && value.Kind() == strictjson.Number {
		return strictjson.AppendString(nil, string(value))
	}
	return value
}

// readMapped reads the claims that stand for members of another name.
func (v *StatementVerifier) readMapped(claims map[string]json.RawMessage, request *Request) error {
	for _, claim := range sortedKeys(v.Claims) {
		name := v.Claims[claim]
		value, claimed := claims[claim]
		if _, own := claims[name]; !claimed || own && name != claim {
			continue
		}
		before := len(request.faults)
		if err := request.member(name, asClaimed(name, strictjson.Value(value))); err != nil {
			return err
		}
		if len(request.faults) > before {
			wrong := *request.faults[before].err
			wrong.Description = claim + strings.TrimPrefix(wrong.Description, name)
			request.faults[before].err = &wrong
		}
	}
	return nil
}

// claimError makes a fault in a claim a fault of the statement.
func claimError(err error) *Error {
	found, shown := (*strictjson.Error)(nil), (*Error)(nil)
	switch {
	case errors.As(err, &found) && found.Path == "":
		return invalidStatement("claims", "%s", "is not sound: its body "+found.Reason)
	case errors.As(err, &shown):
		return invalidStatement("claims", "is not sound: its claim %s", shown.Description)
	}
	return invalidStatement("claims", "is not sound: its claim %s", err)
}

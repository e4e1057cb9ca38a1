package policy_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// A member that no client can have would refuse every registration.
func TestRequiredMembersThatNobodyKnows(t *testing.T) {
	declares := openServer
	declares.Extensions = []dcr.Extension{dcr.NewField[string]("team"), dcr.NewField[string]("motto").Localized()}
	outer := func(inner dcr.Validator) dcr.Validator { return declaring{inner} }
	for _, c := range []struct {
		name, says string
		v          dcr.Validator
	}{
		{"a registered member", "", policy.Stack(openServer, policy.RequireMembers("contacts", "jwks", "default_max_age", "require_auth_time", "redirect_uris"))},
		{"one in a language", "", policy.Stack(openServer, policy.RequireMembers("client_name#de"))},
		{"a declared extension", "", policy.Stack(declares, policy.RequireMembers("team", "motto#de"))},
		{"an extension that a decorator around the rule declares", "", policy.Stack(openServer, policy.RequireMembers("fleet"), outer)},
		{"a misspelt member", "clent_name", policy.Stack(openServer, policy.RequireMembers("client_name", "clent_name"))},
		{"an extension that nobody declares", "team", policy.Stack(openServer, policy.RequireMembers("team"))},
		{"a member that has no language", "scope#de", policy.Stack(openServer, policy.RequireMembers("scope#de"))},
		{"a member of a feature that is off", "request_uris", policy.Stack(openServer, policy.RequireMembers("redirect_uris", "request_uris"))},
		{"a boolean of a feature that is off", "dpop_bound_access_tokens", policy.Stack(openServer, policy.RequireMembers("dpop_bound_access_tokens"))},
		{"a number of a feature that is off", "default_max_age", policy.Stack(dcr.DefaultValidator{}, policy.RequireMembers("default_max_age"))},
		{"a member of a feature that is on", "", policy.Stack(openServer, policy.RequireMembers("post_logout_redirect_uris", "id_token_signed_response_alg", "subject_type"))},
		{"members of no feature", "", policy.Stack(dcr.DefaultValidator{}, policy.RequireMembers("redirect_uris", "token_endpoint_auth_method", "grant_types", "response_types", "client_name",
			"client_uri", "logo_uri", "scope", "contacts", "tos_uri", "policy_uri", "jwks_uri", "jwks", "software_id", "software_version", "application_type"))},
		{"under another rule", "team", policy.Stack(openServer, policy.RequireMembers("team"), policy.HTTPSOnly())},
		{"on a preset", "team", policy.MCP(dcr.DefaultValidator{}).With(policy.RequireMembers("team"))},
	} {
		for place, opts := range map[string]*dcr.Options{
			"Options.Validator": {Validator: c.v},
			"Options.Policies":  {Policies: map[string]dcr.Validator{"own": c.v}},
		} {
			opts.Endpoint, opts.Logger = endpoint, quiet
			_, err := dcr.NewHandler(memstore.New(), opts)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), "RequireMembers has "+c.says+",") {
				t.Errorf("%s, in %s: got %v, want %q", c.name, place, err, c.says)
			}
		}
	}
}

// declaring declares an extension around other rules.
type declaring struct{ dcr.Validator }

func (d declaring) DeclaredExtensions() []dcr.Extension {
	return append(d.Validator.DeclaredExtensions(), dcr.NewField[string]("fleet"))
}

// A false that the software statement claims is claimed, and one that it leaves open is
// not.
func TestRequiredMembersThatAreClaimed(t *testing.T) {
	for claim, want := range map[string]bool{`{"require_auth_time":false}`: true, `{"require_auth_time":true}`: true, `{"require_auth_time":null}`: false, `{}`: false} {
		var said stated
		if err := json.Unmarshal([]byte(claim), &said.claims); err != nil {
			t.Fatal(err)
		}
		said.DefaultValidator = openServer
		client, err := judge(t, policy.Stack(said, policy.RequireMembers("require_auth_time")), webClient, nil)
		if (err == nil) != want || err == nil && client.RequireAuthTime != strings.Contains(claim, "true") {
			t.Errorf("%s: got %v", claim, err)
		}
	}
}

// stated is a host's validator that has a statement of its own.
type stated struct {
	dcr.DefaultValidator
	claims map[string]json.RawMessage
}

func (s stated) ValidateSoftwareStatement(_ context.Context, reg *dcr.Registration) error {
	reg.Statement = &dcr.SoftwareStatement{Issuer: "directory", Claims: s.claims}
	reg.Statement.RequireAuthTime = string(s.claims["require_auth_time"]) == "true"
	return nil
}

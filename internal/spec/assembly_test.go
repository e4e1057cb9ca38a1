package spec_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

type rule struct{ dcr.Validator }

type deepRule struct{ rule }

type twoValidators struct {
	dcr.DefaultValidator
	deepRule
}

type twoBehindAPointer struct{ *twoValidators }

// promising claims the capabilities that more adds.
type promising struct {
	dcr.Validator
	more func(c *dcr.Capabilities)
}

func (p promising) Capabilities() dcr.Capabilities {
	supported := p.Validator.Capabilities().WithDefaults()
	p.more(&supported)
	return supported
}

func TestValidatorsThatAreAssembledWrongly(t *testing.T) {
	two := twoValidators{deepRule: deepRule{rule{dcr.DefaultValidator{}}}}
	with := func(more func(c *dcr.Capabilities)) dcr.Validator {
		return policy.Stack(promising{dcr.DefaultValidator{}, more}, policy.RequirePKCE())
	}
	for _, c := range []struct {
		sentence  string
		validator dcr.Validator
		says      string // "" if it is fine
	}{
		{"one validator in another", rule{rule{dcr.DefaultValidator{}}}, ""},
		{"a rule that a shallower DefaultValidator hides", two, "deepRule has no effect"},
		{"the same in a decorator", rule{two}, "deepRule has no effect"},
		{"the same in a pointer", twoBehindAPointer{&two}, "deepRule has no effect"},
		{"narrower capabilities", with(func(c *dcr.Capabilities) { c.GrantTypes = []string{"authorization_code"} }), ""},
		{"requirements", with(func(c *dcr.Capabilities) { c.RequirePushedAuthorizationRequests = true }), ""},
		{"an additional grant type", with(func(c *dcr.Capabilities) { c.GrantTypes = append(c.GrantTypes, "client_credentials") }), "client_credentials in grant_types_supported"},
		{"an additional scope", with(func(c *dcr.Capabilities) { c.Scopes = []string{"admin"} }), "admin in scopes_supported"},
		{"all scopes", with(func(c *dcr.Capabilities) { c.Scopes = []string{dcr.AnyScope} }), "in scopes_supported"},
		{"an additional feature", with(func(c *dcr.Capabilities) { c.BackchannelLogout = true }), "true in backchannel_logout_supported"},
		{"an additional endpoint", with(func(c *dcr.Capabilities) { c.EndSessionEndpoint = "https://id.example.com/out" }), "in end_session_endpoint"},
		{"scopes if any scope is supported", promising{dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{dcr.AnyScope}}}, func(c *dcr.Capabilities) { c.Scopes = []string{"read"} }}, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			for what, opts := range map[string]dcr.Options{
				"as Validator": {Validator: c.validator}, "among Policies": {Policies: map[string]dcr.Validator{"p": c.validator}},
			} {
				opts.Endpoint, opts.Logger = endpoint, slog.New(slog.DiscardHandler)
				_, err := dcr.NewHandler(memstore.New(), &opts)
				if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: got %v, want %q", what, err, c.says)
				}
			}
		})
	}
}

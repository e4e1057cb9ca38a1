package policy_test

import (
	"errors"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

func TestKnownScopes(t *testing.T) {
	server := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"openid", "email"}}, DefaultScopes: []string{"openid"}}
	v := policy.Stack(server, policy.KnownScopes())
	for _, c := range []struct{ sentence, members, scope, says string }{
		{"none is known", `,"scope":"groups admin"`, "", "scope must have at least one of: openid, email"},
		{"one is", `,"scope":"groups email"`, "email", ""},
		{"none is sent", ``, "openid", ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			body := `{"redirect_uris":["https://app.example.com/cb"]` + c.members + `}`
			client, err := judge(t, v, body, nil)
			refused := (*dcr.Error)(nil)
			switch {
			case c.says == "" && (err != nil || client.Scope != c.scope):
				t.Errorf("scope is %q, %v; want %q", client.Scope, err, c.scope)
			case c.says != "" && (!errors.As(err, &refused) || refused.Description != c.says || refused.Rule != "policy.known_scopes"):
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

package policy_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

// published judges the metadata document of a client.
func published(t *testing.T, v dcr.Validator, id, document string) (*dcr.Client, error) {
	t.Helper()
	reg := &dcr.Registration{Request: &dcr.Request{}, Client: dcr.StartingClient(v, nil), ExactDefaults: true}
	if err := json.Unmarshal([]byte(document), reg.Request); err != nil {
		t.Fatal(err)
	}
	reg.Client.ID, reg.Client.Source = id, dcr.SourceDocument
	return reg.Client, dcr.Validate(t.Context(), v, reg)
}

// TestRulesOnDocuments holds rules to the host of the document, one sentence a case.
func TestRulesOnDocuments(t *testing.T) {
	const id, own = "https://app.example.com/client", `"client_name":"App","redirect_uris":["https://app.example.com/cb"]`
	keys := dcr.DefaultValidator{Supports: dcr.Capabilities{TokenEndpointAuthMethods: []string{"none", "private_key_jwt"}}}
	secrets := dcr.DefaultValidator{Supports: dcr.Capabilities{TokenEndpointAuthMethods: []string{"client_secret_basic", "private_key_jwt"}}}
	for _, c := range []struct {
		sentence string
		v        dcr.Validator
		id, body string
		rule     string // that refuses it
	}{
		{"a redirect on the host passes", policy.Stack(keys, policy.SameHostAsDocument(policy.Refuse)), id, own, ""},
		{"one below it too", policy.Stack(keys, policy.SameHostAsDocument(policy.Refuse)), id, `"redirect_uris":["https://a.app.example.com:8443/cb"]`, ""},
		{"the person's own machine too", policy.Stack(keys, policy.SameHostAsDocument(policy.Refuse)), id, `"redirect_uris":["http://127.0.0.1/cb"]`, ""},
		{"one elsewhere does not", policy.Stack(keys, policy.SameHostAsDocument(policy.Drop)), id, `"redirect_uris":["https://example.com/cb"]`, "policy.same_host_as_document"},
		{"nor keys", policy.Stack(keys, policy.SameHostAsDocument(policy.Drop)), id, own + `,"jwks_uri":"https://example.com/jwks"`, "policy.same_host_as_document"},
		{"nor a page", policy.Stack(keys, policy.SameHostAsDocument(policy.Refuse)), id, own + `,"tos_uri":"https://example.com/tos"`, "policy.same_host_as_document"},
		{"which may be dropped", policy.Stack(keys, policy.SameHostAsDocument(policy.Drop)), id, own + `,"tos_uri":"https://example.com/tos"`, ""},
		{"a denied host publishes nothing", policy.Stack(keys, policy.Deny(policy.DenyList{Hosts: []string{"example.com"}})), id, `"redirect_uris":["http://127.0.0.1/cb"]`, "policy.deny"},
		{"MCP wants a name", policy.MCP(keys), id, `"redirect_uris":["https://app.example.com/cb"]`, "policy.mcp"},
		{"and redirect URIs", policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{GrantTypes: []string{"client_credentials"}, TokenEndpointAuthMethods: []string{"private_key_jwt"}}}), id, `"client_name":"App","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/jwks"`, "policy.mcp"},
		{"no preset puts a secret in the place of none", policy.Stack(secrets, policy.AuthMethods(policy.Values{Default: []string{"client_secret_basic"}})), id, own, "token_endpoint_auth_method.unsupported"},
		{"nobody is made public unasked", policy.Stack(keys, policy.ForcePublic()), id, own + `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/jwks"`, "token_endpoint_auth_method.unsupported"},
		{"nor confidential", policy.Stack(keys, policy.ForceConfidential()), id, own + `,"token_endpoint_auth_method":"none"`, "token_endpoint_auth_method.unsupported"},
		{"of scopes the ones that are unknown go", policy.OIDC(dcr.DefaultValidator{}), id, own + `,"scope":"openid mcp:tools"`, ""},
		{"unless none is left", policy.OIDC(dcr.DefaultValidator{}), id, own + `,"scope":"mcp:tools"`, "scope.unsupported"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			client, err := published(t, c.v, c.id, `{`+c.body+`}`)
			refused, rule := (*dcr.Error)(nil), ""
			if errors.As(err, &refused) {
				rule = refused.Rule
			} else if err != nil {
				t.Fatal(err)
			}
			if rule != c.rule || err == nil && client.TOSURI != "" {
				t.Errorf("refused by %q (%v), want %q; tos_uri %q", rule, err, c.rule, client.TOSURI)
			}
		})
	}
}

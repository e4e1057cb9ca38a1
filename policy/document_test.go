package policy_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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

// TestRulesOnDocuments tests rules on metadata documents, with a sentence for each
// case.
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
		{"a redirect on the host is accepted", policy.Stack(keys, policy.SameHostAsDocument(policy.Refuse)), id, own, ""},
		{"so is one below it", policy.Stack(keys, policy.SameHostAsDocument(policy.Refuse)), id, `"redirect_uris":["https://a.app.example.com:8443/cb"]`, ""},
		{"so is one on the person's own machine", policy.Stack(keys, policy.SameHostAsDocument(policy.Refuse)), id, `"redirect_uris":["http://127.0.0.1/cb"]`, ""},
		{"one elsewhere is not", policy.Stack(keys, policy.SameHostAsDocument(policy.Drop)), id, `"redirect_uris":["https://example.com/cb"]`, "policy.same_host_as_document"},
		{"nor keys", policy.Stack(keys, policy.SameHostAsDocument(policy.Drop)), id, own + `,"jwks_uri":"https://example.com/jwks"`, "policy.same_host_as_document"},
		{"nor a page", policy.Stack(keys, policy.SameHostAsDocument(policy.Refuse)), id, own + `,"tos_uri":"https://example.com/tos"`, "policy.same_host_as_document"},
		{"which may be dropped", policy.Stack(keys, policy.SameHostAsDocument(policy.Drop)), id, own + `,"tos_uri":"https://example.com/tos"`, ""},
		{"a denied host publishes nothing", policy.Stack(keys, policy.Deny(policy.DenyList{Hosts: []string{"example.com"}})), id, `"redirect_uris":["http://127.0.0.1/cb"]`, "policy.deny"},
		{"MCP requires a name", policy.MCP(keys), id, `"redirect_uris":["https://app.example.com/cb"]`, "policy.mcp"},
		{"and redirect URIs", policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{GrantTypes: []string{"client_credentials"}, TokenEndpointAuthMethods: []string{"private_key_jwt"}}}), id, `"client_name":"App","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/jwks"`, "policy.mcp"},
		{"no preset replaces none by a secret", policy.Stack(secrets, policy.AuthMethods(policy.Values{Default: []string{"client_secret_basic"}})), id, own, "token_endpoint_auth_method.unsupported"},
		{"ForcePublic does not make a client public", policy.Stack(keys, policy.ForcePublic()), id, own + `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/jwks"`, "token_endpoint_auth_method.unsupported"},
		{"nor does ForceConfidential make one confidential", policy.Stack(keys, policy.ForceConfidential()), id, own + `,"token_endpoint_auth_method":"none"`, "token_endpoint_auth_method.unsupported"},
		{"unknown scopes are dropped", policy.OIDC(dcr.DefaultValidator{}), id, own + `,"scope":"openid mcp:tools"`, ""},
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

// The URIs in a client's metadata document may lead only to its own host.
func ExampleSameHostAsDocument() {
	v := policy.Stack(dcr.DefaultValidator{}, policy.SameHostAsDocument(policy.Drop))
	client := dcr.StartingClient(v, nil)
	client.ID, client.Source = "https://app.example.com/client", dcr.SourceDocument // as package cimd makes it
	reg := &dcr.Registration{Request: &dcr.Request{}, Client: client, ExactDefaults: true}
	reg.Request.RedirectURIs = []string{"https://example.com/callback"}
	fmt.Println(dcr.Validate(context.Background(), v, reg))
	// Output: invalid_redirect_uri: redirect_uris[0] must be on the host of the metadata document
}

// TestNoPresetReplacesADefault checks that no preset replaces a member of a
// document, or the meaning of an absent one.
func TestNoPresetReplacesADefault(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for name, v := range map[string]dcr.Validator{
		"MCP": policy.MCP(wideServer()), "OIDC": policy.OIDC(wideServer()), "FAPI2": policy.FAPI2(wideServer()),
		"Duende": policy.Duende(wideServer()), "Matrix": policy.Matrix(wideServer()),
		"its own default": policy.Stack(wideServer(), policy.AuthMethods(policy.Values{Default: []string{"private_key_jwt"}}), policy.Algorithm("id_token_signed_response_alg", policy.Values{Default: []string{"PS256"}, Excess: policy.Replace})),
		"only public":     policy.Stack(wideServer(), policy.ForcePublic()), "only confidential": policy.Stack(wideServer(), policy.ForceConfidential()),
	} {
		for range 2000 {
			request := randomRequest(random)
			if random.IntN(2) == 0 {
				request["client_uri"], request["redirect_uris"] = "https://example.com/", []string{"https://app.example.com/cb"}
			}
			body, err := json.Marshal(request)
			if err != nil {
				t.Fatal(err)
			}
			reg := &dcr.Registration{Request: &dcr.Request{}, Client: dcr.StartingClient(v, nil), ExactDefaults: true}
			if err := json.Unmarshal(body, reg.Request); err != nil {
				t.Fatal(err)
			}
			reg.Client.ID, reg.Client.Source = "https://app.example.com/client", dcr.SourceDocument
			if dcr.Validate(t.Context(), v, reg) != nil {
				continue
			}
			accepted++
			sent, c := reg.Request, reg.Client
			listed := sent.Choices["token_endpoint_auth_methods_supported"]
			if method := sent.TokenEndpointAuthMethod; listed == nil && c.TokenEndpointAuthMethod != cmp.Or(method, "none") || listed != nil && !slices.Contains(listed, c.TokenEndpointAuthMethod) {
				t.Fatalf("%s: the method is %s: %s", name, c.TokenEndpointAuthMethod, body)
			}
			if alg := c.IDTokenSignedResponseAlg; alg != "" && alg != cmp.Or(sent.IDTokenSignedResponseAlg, "RS256") && sent.Choices["id_token_signing_alg_values_supported"] == nil {
				t.Fatalf("%s: id_token_signed_response_alg is %s: %s", name, alg, body)
			}
			if len(sent.GrantTypes) == 0 && !slices.Contains(c.GrantTypes, "authorization_code") {
				t.Fatalf("%s: the grants are %s: %s", name, c.GrantTypes, body)
			}
		}
	}
	if accepted < 100 {
		t.Errorf("only %d documents were accepted: the test shows little", accepted)
	}
}

package spec_test

// Registration.ExactDefaults: what an absent member means, or a refusal.

import (
	"encoding/json"
	"testing"

	"github.com/dynreg/dcr"
)

func TestExactDefaults(t *testing.T) {
	const redirects = `"redirect_uris":["https://rp.example.com/cb"]`
	const key = `,"jwks_uri":"https://rp.example.com/jwks"`
	for _, c := range []struct {
		sentence, capabilities, members string
		answer                          string // the method, or the id of the rule that refuses
	}{
		{"no method means none", `{}`, ``, "none"},
		{"a server without none refuses that", `{"token_endpoint_auth_methods_supported":["private_key_jwt"]}`, key, "token_endpoint_auth_method.unsupported"},
		{"a method that the server lacks is refused", `{}`, `,"token_endpoint_auth_method":"private_key_jwt"` + key, "token_endpoint_auth_method.unsupported"},
		{"unless another one is listed that it supports", `{}`, `,"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none","private_key_jwt"]` + key, "none"},
		{"the named one takes precedence over the list", `{"token_endpoint_auth_methods_supported":["private_key_jwt","none"]}`, `,"token_endpoint_auth_method":"none","token_endpoint_auth_methods_supported":["private_key_jwt","none"]` + key, "none"},
		{"the named one must be in the list", `{}`, `,"token_endpoint_auth_method":"none","token_endpoint_auth_methods_supported":["private_key_jwt"]` + key, "token_endpoint_auth_methods_supported.choice"},
		{"from a list, the strongest is chosen", `{"token_endpoint_auth_methods_supported":["none","tls_client_auth","private_key_jwt"]}`, `,"token_endpoint_auth_methods_supported":["none","private_key_jwt"]` + key, "private_key_jwt"},
		{"a list is never read as none", `{}`, `,"token_endpoint_auth_methods_supported":["private_key_jwt"]` + key, "token_endpoint_auth_methods_supported.unsupported"},
		{"a list with only none means none", `{}`, `,"token_endpoint_auth_methods_supported":["none"]`, "none"},
		{"the algorithm of a method that was not chosen is dropped", `{"token_endpoint_auth_methods_supported":["private_key_jwt","none"]}`, `,"token_endpoint_auth_signing_alg":"RS256"`, "none"},
		{"RS256 is the default of ID Tokens", `{"id_token_signing_alg_values_supported":["ES256"]}`, ``, "id_token_signed_response_alg.unsupported"},
		{"a subject type has no default", `{"subject_types_supported":["pairwise"],"id_token_signing_alg_values_supported":["RS256"]}`, ``, "none"},
		{"authorization_code is the default of grants", `{"grant_types_supported":["urn:ietf:params:oauth:grant-type:device_code"]}`, ``, "grant_types.unsupported"},
		{"code is the default of response types", `{"response_types_supported":["code id_token"],"grant_types_supported":["authorization_code","implicit"]}`, ``, "response_types.unsupported"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			v := dcr.DefaultValidator{Supports: capabilities(t, c.capabilities)}
			reg := &dcr.Registration{Request: &dcr.Request{}, ExactDefaults: true}
			if err := json.Unmarshal([]byte(`{`+redirects+c.members+`}`), reg.Request); err != nil {
				t.Fatal(err)
			}
			answer := ""
			if err := dcr.Validate(t.Context(), v, reg); err == nil {
				answer = reg.Client.TokenEndpointAuthMethod
			} else if refused, ok := err.(*dcr.Error); ok {
				answer = refused.Rule
			}
			if answer != c.answer {
				t.Errorf("got %q, want %q", answer, c.answer)
			}
		})
	}
}

func TestTheTypeOfAPublishedApplicationIsInferred(t *testing.T) {
	v := dcr.DefaultValidator{LiteralApplicationType: true, Supports: dcr.Capabilities{SubjectTypes: []string{"public"}}}
	for source, want := range map[dcr.Source]bool{dcr.SourceDynamic: false, dcr.SourceDocument: true} {
		reg := &dcr.Registration{Request: &dcr.Request{}, Client: dcr.StartingClient(v, nil), ExactDefaults: true}
		reg.Client.Source, reg.Request.RedirectURIs = source, []string{"http://127.0.0.1/cb"}
		if err := dcr.Validate(t.Context(), v, reg); err != nil {
			t.Fatal(err)
		}
		if got := reg.Client.MatchRedirectURI("http://127.0.0.1:4711/cb"); got != want {
			t.Errorf("%s: another port matches: %v", source, got)
		}
	}
}

package spec_test

import (
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// Contradictory settings are an error of NewHandler that says what to change,
// not a surprise at the first request.
func TestContradictionsAreRefusedAtStart(t *testing.T) {
	for _, c := range []struct {
		sentence, capabilities, says string
		changes                      []change
	}{
		{"no grant type", `{"grant_types_supported":[]}`, "grant_types_supported has no grant type", nil},
		{"only refresh tokens", `{"grant_types_supported":["refresh_token"]}`, "grant_types_supported has no grant type", nil},
		{"authorization_code without a response type that uses it", `{"grant_types_supported":["authorization_code","implicit"],"response_types_supported":["id_token"]}`, "add code to response_types_supported", nil},
		{"authorization_code without a response type at all", `{"response_types_supported":[]}`, "add code to response_types_supported", nil},
		{"a response type without its grant", `{"response_types_supported":["code","id_token"]}`, "add implicit to grant_types_supported", nil},
		{"a hybrid response type without implicit", `{"response_types_supported":["code","code id_token"]}`, "add implicit to grant_types_supported", nil},
		{"a response type without authorization_code", `{"grant_types_supported":["implicit"],"response_types_supported":["code","token"]}`, "add authorization_code to grant_types_supported", nil},
		{"the CIBA grant without a delivery mode", `{"grant_types_supported":["urn:openid:params:grant-type:ciba"]}`, "backchannel_token_delivery_modes_supported", nil},
		{"polling without the CIBA grant", `{"backchannel_token_delivery_modes_supported":["poll"]}`, "add urn:openid:params:grant-type:ciba", nil},
		{"no authentication method", `{"token_endpoint_auth_methods_supported":[]}`, "token_endpoint_auth_methods_supported is empty", nil},
		{"machine clients without authentication", `{"grant_types_supported":["client_credentials"],"token_endpoint_auth_methods_supported":["none"]}`, "add a method", nil},
		{"client_secret_jwt without a sealer", `{"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_jwt"]}`, "set Options.Sealer", nil},
		{"client_secret_jwt without a symmetric algorithm", `{"token_endpoint_auth_methods_supported":["client_secret_jwt"],"token_endpoint_auth_signing_alg_values_supported":["RS256"]}`, "add HS256", []change{sealed(t)}},
		{"private_key_jwt without an asymmetric algorithm", `{"token_endpoint_auth_methods_supported":["private_key_jwt"],"token_endpoint_auth_signing_alg_values_supported":["HS256"]}`, "add an asymmetric one", []change{sealed(t)}},
		{"only symmetric ID Tokens without a sealer", `{"id_token_signing_alg_values_supported":["HS256","HS512"]}`, "id_token_signing_alg_values_supported has only HS256, HS512", nil},
		{"only symmetric encryption without a sealer", `{"id_token_signing_alg_values_supported":["RS256"],"id_token_encryption_alg_values_supported":["dir"],"id_token_encryption_enc_values_supported":["A256GCM"]}`, "id_token_encryption_alg_values_supported has only dir", nil},
		{"encryption without a content encryption", `{"userinfo_encryption_alg_values_supported":["RSA-OAEP"],"userinfo_encryption_enc_values_supported":[]}`, "userinfo_encryption_enc_values_supported is empty", nil},
		{"no ID Token algorithm", `{"id_token_signing_alg_values_supported":[]}`, "id_token_signing_alg_values_supported is empty", nil},
		{"no subject type", `{"subject_types_supported":[]}`, "subject_types_supported is empty", nil},
		{"JARM with only none (JARM §3)", `{"authorization_signing_alg_values_supported":["none"]}`, "authorization_signing_alg_values_supported has only none", nil},
		{"introspection with only none (RFC 9701 §6)", `{"introspection_signing_alg_values_supported":["none"]}`, "introspection_signing_alg_values_supported has only none", nil},
		{"CIBA requests that only symmetric algorithms sign (CIBA §7.1.1)", `{"backchannel_token_delivery_modes_supported":["push"],"backchannel_authentication_request_signing_alg_values_supported":["HS256"]}`, "backchannel_authentication_request_signing_alg_values_supported has only HS256", []change{sealed(t)}},
		{"signed request objects required, only none supported (RFC 9101 §10.5)", `{"require_signed_request_object":true,"request_object_signing_alg_values_supported":["none"]}`, "request_object_signing_alg_values_supported has only none", nil},
		{"a default scope beyond the ceiling", `{"scopes_supported":["openid"]}`, `DefaultScopes has "admin", which is not in Supports.Scopes`, []change{defaultScopes("openid", "admin")}},
		{"a default scope without a ceiling", `{}`, `DefaultScopes has "openid"`, []change{defaultScopes("openid")}},
		{"default scopes in one string", `{"scopes_supported":["*"]}`, `DefaultScopes has "openid profile", which is not a scope`, []change{defaultScopes("openid profile")}},
		{"scopes in one string", `{"scopes_supported":["openid profile"]}`, `scopes_supported has "openid profile", which is not a scope`, nil},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			validator := dcr.DefaultValidator{Supports: capabilities(t, c.capabilities)}
			opts := dcr.Options{Endpoint: "https://id.example.com/connect/dcr"}
			for _, change := range c.changes {
				change(&validator, &opts)
			}
			opts.Validator = validator
			if _, err := dcr.NewHandler(memstore.New(), &opts); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "Options.Validator") {
				t.Errorf("as Validator: %v, want %s", err, c.says)
			}
			opts.Validator, opts.Policies = nil, map[string]dcr.Validator{"tight": validator}
			if _, err := dcr.NewHandler(memstore.New(), &opts); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), `Options.Policies["tight"]`) {
				t.Errorf("as a policy: %v, want %s", err, c.says)
			}
		})
	}
}

// The narrower capabilities of a decorator are checked too.
type narrowed struct {
	dcr.Validator
	to dcr.Capabilities
}

func (n narrowed) Capabilities() dcr.Capabilities { return n.to }

func TestContradictionsOfDecorators(t *testing.T) {
	inner := dcr.DefaultValidator{Supports: capabilities(t, closedScopes), DefaultScopes: []string{"openid", "email"}}
	opts := &dcr.Options{Endpoint: "https://id.example.com/connect/dcr", Validator: narrowed{inner, dcr.Capabilities{Scopes: []string{"openid"}}}}
	if _, err := dcr.NewHandler(memstore.New(), opts); err == nil || !strings.Contains(err.Error(), `DefaultScopes has "email"`) {
		t.Errorf("got %v", err)
	}
}

func TestWhatDoesNotContradictItself(t *testing.T) {
	for _, document := range []string{
		`{}`, closedScopes, machines, hybrid, logout, symmetricMixed, duende,
		`{"grant_types_supported":["client_credentials"]}`,
		`{"grant_types_supported":["client_credentials"],"response_types_supported":[]}`,
		`{"grant_types_supported":["urn:ietf:params:oauth:grant-type:device_code"],"token_endpoint_auth_methods_supported":["none"]}`,
		`{"grant_types_supported":["authorization_code","implicit"]}`,
		`{"token_endpoint_auth_methods_supported":["https://id.example.com/own"]}`,
	} {
		t.Run(document, func(t *testing.T) { start(t, document) })
	}
}

// Symmetric algorithms in addition to asymmetric ones are refused to clients,
// not to the host, which may set a Sealer later.
const symmetricMixed = `{"id_token_signing_alg_values_supported":["HS256","RS256"],"userinfo_signing_alg_values_supported":["RS256","HS256"]}`

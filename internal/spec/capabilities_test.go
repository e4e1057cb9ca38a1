package spec_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/dynreg/dcr"
)

func TestCapabilitiesAreReadFromDiscoveryDocuments(t *testing.T) {
	c := capabilities(t, `{"issuer":"https://id.example.com","code_challenge_methods_supported":["S256"],"claims_supported":[{"any":"thing"}],
		"grant_types_supported":null,"scopes_supported":["openid"],"subject_types_supported":[],"end_session_endpoint":"https://id.example.com/out",
		"request_parameter_supported":true,"dpop_signing_alg_values_supported":["ES256"]}`)
	want := dcr.Capabilities{Scopes: []string{"openid"}, SubjectTypes: []string{}, EndSessionEndpoint: "https://id.example.com/out", RequestParameter: true, DPoPSigningAlgs: []string{"ES256"}, CodeChallengeMethods: []string{"S256"}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("read %+v, want %+v", c, want)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if again := capabilities(t, string(text)); !reflect.DeepEqual(again, c) {
		t.Errorf("written %s, read back %+v", text, again)
	}
}

func TestCapabilitiesRefuseWhatTheyCannotRead(t *testing.T) {
	for sentence, document := range map[string]string{
		"a string instead of a list":             `{"scopes_supported":"openid"}`,
		"a list instead of a boolean":            `{"request_parameter_supported":["true"]}`,
		"a string instead of a boolean":          `{"frontchannel_logout_supported":"true"}`,
		"a number in a list":                     `{"grant_types_supported":["authorization_code",5]}`,
		"a member that appears twice":            `{"scopes_supported":["a"],"scopes_supported":["b"]}`,
		"not an object":                          `[]`,
		"anything after the object":              `{} x`,
		"a boolean instead of an endpoint":       `{"end_session_endpoint":true}`,
		"the empty string within a list":         `{"scopes_supported":[""]}`,
		"null within a list":                     `{"scopes_supported":[null]}`,
		"an object instead of a list of methods": `{"token_endpoint_auth_methods_supported":{}}`,
	} {
		t.Run(sentence, func(t *testing.T) {
			kept := dcr.Capabilities{Scopes: []string{"kept"}}
			if err := json.Unmarshal([]byte(document), &kept); err == nil || !reflect.DeepEqual(kept.Scopes, []string{"kept"}) {
				t.Errorf("read %+v, %v", kept, err)
			}
		})
	}
}

// Every field survives being written as JSON and read back.
func TestCapabilitiesJSONIsComplete(t *testing.T) {
	var c dcr.Capabilities
	fields := reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		switch field := fields.Field(i); field.Kind() {
		case reflect.String:
			field.SetString("https://id.example.com/" + fields.Type().Field(i).Name)
		case reflect.Bool:
			field.SetBool(true)
		default:
			field.Set(reflect.ValueOf([]string{fields.Type().Field(i).Name}))
		}
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if again := capabilities(t, string(text)); !reflect.DeepEqual(again, c) {
		t.Errorf("written %s, read back %+v", text, again)
	}
	if len(decode(t, string(text))) != fields.NumField() {
		t.Errorf("%s does not have all %d members", text, fields.NumField())
	}
}

const hostMembers = `{"code_challenge_methods_supported":["S256","plain"],"authorization_response_iss_parameter_supported":true,` +
	`"client_id_metadata_document_supported":true,"authorization_grant_profiles_supported":["urn:ietf:params:oauth:grant-profile:id-jag"],` +
	`"challenge_endpoint":"https://id.example.com/challenge","client_attestation_signing_alg_values_supported":["ES256"],` +
	`"client_attestation_pop_signing_alg_values_supported":["ES256"],"client_attestation_pop_methods_supported":["attestation_pop_jwt"]}`

func TestDiscovery(t *testing.T) {
	for _, c := range []struct{ sentence, capabilities, document string }{
		{"the strict defaults are always published, since the defaults of RFC 8414 §2 differ", `{}`,
			`{"grant_types_supported":["authorization_code","refresh_token"],"response_types_supported":["code"],"token_endpoint_auth_methods_supported":["client_secret_basic","none"]}`},
		{"the star among scopes is not published, nor a response type of a server without codes", `{"scopes_supported":["openid","*"],"grant_types_supported":["client_credentials"]}`,
			`{"scopes_supported":["openid"],"grant_types_supported":["client_credentials"],"token_endpoint_auth_methods_supported":["client_secret_basic","none"]}`},
		{"nor the list that it leaves empty", `{"scopes_supported":["*"]}`,
			`{"grant_types_supported":["authorization_code","refresh_token"],"response_types_supported":["code"],"token_endpoint_auth_methods_supported":["client_secret_basic","none"]}`},
		{"endpoints are published as they are, and algorithms with the methods that use them", `{"end_session_endpoint":"https://id.example.com/out","pushed_authorization_request_endpoint":"https://id.example.com/par","token_endpoint_auth_methods_supported":["private_key_jwt"]}`,
			`{"end_session_endpoint":"https://id.example.com/out","pushed_authorization_request_endpoint":"https://id.example.com/par","token_endpoint_auth_methods_supported":["private_key_jwt"],"token_endpoint_auth_signing_alg_values_supported":["RS256","PS256","ES256","EdDSA"],"grant_types_supported":["authorization_code","refresh_token"],"response_types_supported":["code"]}`},
		{"OpenID Connect publishes what it requires, and that request_uri is off (Discovery §3: absent means true)", `{"subject_types_supported":["pairwise"]}`,
			`{"subject_types_supported":["pairwise"],"id_token_signing_alg_values_supported":["RS256"],"request_uri_parameter_supported":false,"grant_types_supported":["authorization_code","refresh_token"],"response_types_supported":["code"],"token_endpoint_auth_methods_supported":["client_secret_basic","none"]}`},
		{"what the host says about PKCE, issuers in responses, metadata documents, grants and attestations is published", hostMembers,
			hostMembers[:len(hostMembers)-1] + `,"grant_types_supported":["authorization_code","refresh_token"],"response_types_supported":["code"],"token_endpoint_auth_methods_supported":["client_secret_basic","none"]}`},
		{"or on", `{"id_token_signing_alg_values_supported":["ES256"],"request_uri_parameter_supported":true}`,
			`{"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256"],"request_uri_parameter_supported":true,"grant_types_supported":["authorization_code","refresh_token"],"response_types_supported":["code"],"token_endpoint_auth_methods_supported":["client_secret_basic","none"]}`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			supported := capabilities(t, c.capabilities)
			got, want := decode(t, encode(supported.Discovery())), decode(t, c.document)
			if want["code_challenge_methods_supported"] == nil {
				want["code_challenge_methods_supported"] = []any{"S256"} // always published: MCP clients refuse a server that does not publish it
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s\nwant %s", encode(got), encode(want))
			}
		})
	}
	c := capabilities(t, `{"scopes_supported":["a"]}`)
	c.Discovery()["scopes_supported"].([]string)[0] = "changed"
	if c.Scopes[0] != "a" {
		t.Error("the document shares its lists with the capabilities")
	}
}

// appending has a step that appends to every list that it gets.
type appending struct{ dcr.DefaultValidator }

func (appending) ValidateTokens(_ context.Context, reg *dcr.Registration) error {
	handed := reflect.ValueOf(&reg.Capabilities).Elem()
	for i := range handed.NumField() {
		if list, isList := handed.Field(i).Interface().([]string); isList {
			handed.Field(i).Set(reflect.ValueOf(append(list, "appended")))
		}
	}
	return nil
}

func TestWhatAStepAppendsIsNotTheHosts(t *testing.T) {
	var hosts dcr.Capabilities
	fields := reflect.ValueOf(&hosts).Elem()
	var lists [][]string // including their spare capacity
	for i := range fields.NumField() {
		if _, isList := fields.Field(i).Interface().([]string); isList {
			list := append(make([]string, 0, 2), "own")
			fields.Field(i).Set(reflect.ValueOf(list))
			lists = append(lists, list[:2])
		}
	}
	hosts.GrantTypes = append(hosts.GrantTypes[:0], "authorization_code")
	hosts.ResponseTypes = append(hosts.ResponseTypes[:0], "code")
	hosts.TokenEndpointAuthMethods = append(hosts.TokenEndpointAuthMethods[:0], "none")
	hosts.SubjectTypes = append(hosts.SubjectTypes[:0], "public")
	hosts.IDTokenSigningAlgs = append(hosts.IDTokenSigningAlgs[:0], "RS256")
	reg := &dcr.Registration{Request: &dcr.Request{Metadata: dcr.Metadata{RedirectURIs: []string{"https://app.example.com/callback"}}}}
	if err := dcr.Validate(t.Context(), appending{dcr.DefaultValidator{Supports: hosts}}, reg); err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		if list[1] != "" {
			t.Fatalf("a step wrote to the host's list: %q", list)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _ = dcr.DefaultValidator{Supports: hosts}.Capabilities() }); n > 0 {
		t.Errorf("returning the lists takes %v allocations", n)
	}
}

package spec_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// stacked puts rules around the validator.
func stacked(rules ...policy.Rule) change {
	return func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = policy.Stack(*v, rules...) }
}

// supporting changes what the server supports.
func supporting(document string) func(t *testing.T) change {
	return func(t *testing.T) change {
		return func(v *dcr.DefaultValidator, _ *dcr.Options) { v.Supports = capabilities(t, document) }
	}
}

// always returns a change that needs no test.
func always(c change) func(*testing.T) change { return func(*testing.T) change { return c } }

const idTokens = `"id_token_signing_alg_values_supported":["RS256"]`

// switched has the rows of the table in explain.go: a request in which
// something is refused, dropped or ignored, and the switch with which it is
// accepted.
var switched = []struct {
	of, field string
	document  string
	before    change // nil means no change
	request   string
	member    string
	on        func(t *testing.T) change // turns the switch
}{
	{"redirect_uris.kind", "DefaultValidator.AllowHTTPRedirects", `{}`, nil, `{"redirect_uris":["http://rp.example.com/cb"]}`, "redirect_uris", always(allowHTTP)},
	{"redirect_uris.kind", "policy.CorrectApplicationType", `{}`, nil, `{"redirect_uris":["cursor://a/cb"],"application_type":"web"}`, "redirect_uris", always(stacked(policy.CorrectApplicationType()))},
	{"redirect_uris.missing", "DefaultValidator.AllowPushedRedirectURIs", `{"pushed_authorization_request_endpoint":"https://id.example.com/par"}`, nil,
		`{"redirect_uris":null,"require_pushed_authorization_requests":true}`, "redirect_uris",
		always(func(v *dcr.DefaultValidator, _ *dcr.Options) { v.AllowPushedRedirectURIs = true })},
	{"redirect_uris.items", "Options.Limits.ListItems", `{}`, nil, `{"redirect_uris":["https://rp.example.com/1` + strings.Repeat(`","https://rp.example.com/2`, 64) + `"]}`, "redirect_uris",
		always(func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Limits.ListItems = 65 })},
	{"application_type.value", "policy.CorrectApplicationType", `{}`, nil, `{"application_type":"Web"}`, "application_type", always(stacked(policy.CorrectApplicationType()))},
	{"grant_types.unsupported", "DefaultValidator.Supports.GrantTypes", `{}`, nil, `{"grant_types":["client_credentials"]}`, "grant_types", supporting(`{"grant_types_supported":["client_credentials"]}`)},
	{"response_types.unsupported", "DefaultValidator.Supports.ResponseTypes", `{"grant_types_supported":["authorization_code","implicit"]}`, nil, `{"grant_types":["implicit"],"response_types":["id_token"]}`, "response_types",
		supporting(`{"grant_types_supported":["authorization_code","implicit"],"response_types_supported":["code","id_token"]}`)},
	{"response_types.grant", "DefaultValidator.AllowHybridWithoutImplicit", `{"grant_types_supported":["authorization_code","implicit"],"response_types_supported":["code id_token"]}`, nil, `{"response_types":["code id_token"]}`, "response_types", always(ukHybrid)},
	{"token_endpoint_auth_method.unsupported", "DefaultValidator.Supports.TokenEndpointAuthMethods", `{}`, nil, `{"token_endpoint_auth_method":"client_secret_post"}`, "token_endpoint_auth_method",
		supporting(`{"token_endpoint_auth_methods_supported":["client_secret_post"]}`)},
	{"id_token_signed_response_alg.sealed", "Options.Sealer", `{"id_token_signing_alg_values_supported":["RS256","HS256"]}`, nil, `{"id_token_signed_response_alg":"HS256"}`, "id_token_signed_response_alg", sealedChange},
	{"id_token_signed_response_alg.unsupported", "DefaultValidator.Supports.IDTokenSigningAlgs", `{` + idTokens + `}`, nil, `{"id_token_signed_response_alg":"ES256"}`, "id_token_signed_response_alg", supporting(`{"id_token_signing_alg_values_supported":["ES256"]}`)},
	{"subject_type.unsupported", "DefaultValidator.Supports.SubjectTypes", `{` + idTokens + `}`, nil, `{"subject_type":"pairwise"}`, "subject_type", supporting(`{` + pairwise + `}`)},
	{"scope.unsupported", "DefaultValidator.RefuseUnsupportedScopes", `{}`, refuseScopes, `{"scope":"gone"}`, "scope", always(func(v *dcr.DefaultValidator, _ *dcr.Options) { v.RefuseUnsupportedScopes = false })},
	{"scope.length", "Options.Limits.ScopeBytes", `{"scopes_supported":["*"]}`, nil, `{"scope":"` + strings.Repeat("s", 5000) + `"}`, "scope", always(func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Limits.ScopeBytes = 5000 })},
	{"client_name.characters", "policy.ReadableNames", `{}`, nil, `{"client_name":"a\u202eb"}`, "client_name", always(stacked(policy.ReadableNames(func(rune) bool { return true })))},
	{"jwks_uri.address", "DefaultValidator.Fetch", `{}`, nil, `{"jwks_uri":"https://localhost/jwks"}`, "jwks_uri", reachingAll},
	{"jwks_uri.port", "DefaultValidator.Fetch", `{}`, func(v *dcr.DefaultValidator, _ *dcr.Options) { v.Fetch = &dcr.GuardedClient{} }, `{"jwks_uri":"https://rp.example.com:8443/jwks"}`, "jwks_uri", always(func(v *dcr.DefaultValidator, _ *dcr.Options) { v.Fetch = nil })},
	{"software_statement.missing", "DefaultValidator.Statements.Required", `{}`, trustingOnly(true), `{}`, "software_statement", always(trustingOnly(false))},
	{"software_statement.issuer", "DefaultValidator.Statements.Issuers", `{}`, func(v *dcr.DefaultValidator, _ *dcr.Options) { v.Statements = &dcr.StatementVerifier{} },
		statementRequest, "software_statement", always(trustingOnly(true))},
	{"policy.redirect_hosts", "policy.RedirectHosts", `{}`, stacked(policy.RedirectHosts("other.example.com")), `{}`, "redirect_uris", always(stacked(policy.RedirectHosts("rp.example.com")))},
	{"policy.https_only", "policy.HTTPSOnly", `{}`, stacked(policy.HTTPSOnly()), `{"redirect_uris":["http://127.0.0.1/cb"]}`, "redirect_uris", always(stacked())},

	{"dropped scope", "DefaultValidator.Supports.Scopes", `{"scopes_supported":["a"]}`, nil, `{"scope":"a b"}`, "scope", supporting(`{"scopes_supported":["a","b"]}`)},
	{"replaced scope", "DefaultValidator.Supports.Scopes", `{"scopes_supported":["a"]}`, defaultScopes("a"), `{"scope":"b"}`, "scope", supporting(`{"scopes_supported":["a","b"]}`)},
	{"dropped grant_types", "DefaultValidator.Supports.GrantTypes", `{}`, nil, `{"grant_types":["authorization_code","client_credentials"]}`, "grant_types", supporting(`{"grant_types_supported":["authorization_code","client_credentials"]}`)},
	{"dropped response_types", "DefaultValidator.Supports.ResponseTypes", `{"grant_types_supported":["authorization_code","implicit"]}`, nil, `{"grant_types":["authorization_code","implicit"],"response_types":["code","id_token"]}`, "response_types",
		supporting(`{"grant_types_supported":["authorization_code","implicit"],"response_types_supported":["code","id_token"]}`)},
	{"ignored software_statement", "DefaultValidator.Statements", `{}`, nil, statementRequest, "software_statement", always(trustingOnly(false))},
	{"ignored token_endpoint_auth_signing_alg", "DefaultValidator.Supports.TokenEndpointAuthMethods", `{}`, nil, `{"token_endpoint_auth_signing_alg":"RS256","jwks_uri":"https://rp.example.com/jwks"}`, "token_endpoint_auth_signing_alg", supporting(`{"token_endpoint_auth_methods_supported":["private_key_jwt"]}`)},
	{"ignored id_token_signed_response_alg", "DefaultValidator.Supports.IDTokenSigningAlgs", `{}`, nil, `{"id_token_signed_response_alg":"RS256"}`, "id_token_signed_response_alg", supporting(`{` + idTokens + `}`)},
	{"ignored subject_type", "DefaultValidator.Supports.SubjectTypes", `{}`, nil, `{"subject_type":"public"}`, "subject_type", supporting(`{"subject_types_supported":["public"]}`)},
	{"ignored request_object_signing_alg", "DefaultValidator.Supports.RequestObjectSigningAlgs", `{}`, nil, `{"request_object_signing_alg":"RS256","jwks_uri":"https://rp.example.com/jwks"}`, "request_object_signing_alg", supporting(`{"request_object_signing_alg_values_supported":["RS256"]}`)},
	{"ignored request_uris", "DefaultValidator.Supports.RequestURIParameter", `{}`, nil, `{"request_uris":["https://rp.example.com/r"]}`, "request_uris", supporting(`{"request_uri_parameter_supported":true}`)},
	{"ignored post_logout_redirect_uris", "DefaultValidator.Supports.EndSessionEndpoint", `{}`, nil, `{"post_logout_redirect_uris":["https://rp.example.com/"]}`, "post_logout_redirect_uris", supporting(`{"end_session_endpoint":"https://id.example.com/end"}`)},
	{"ignored frontchannel_logout_uri", "DefaultValidator.Supports.FrontchannelLogout", `{}`, nil, `{"frontchannel_logout_uri":"https://rp.example.com/out"}`, "frontchannel_logout_uri", supporting(`{"frontchannel_logout_supported":true}`)},
	{"ignored backchannel_logout_uri", "DefaultValidator.Supports.BackchannelLogout", `{}`, nil, `{"backchannel_logout_uri":"https://rp.example.com/out"}`, "backchannel_logout_uri", supporting(`{"backchannel_logout_supported":true}`)},
	{"ignored dpop_bound_access_tokens", "DefaultValidator.Supports.DPoPSigningAlgs", `{}`, nil, `{"dpop_bound_access_tokens":true}`, "dpop_bound_access_tokens", supporting(`{"dpop_signing_alg_values_supported":["ES256"]}`)},
	{"ignored *", "DefaultValidator.Extensions", `{}`, nil, `{"x_text":"a"}`, "x_text", always(extended(dcr.NewField[string]("x_text")))},
}

const statementRequest = `{"software_statement":"STATEMENT"}`

func sealedChange(t *testing.T) change { return sealed(t) }

func refuseScopes(v *dcr.DefaultValidator, _ *dcr.Options) { v.RefuseUnsupportedScopes = true }

func reachingAll(t *testing.T) change {
	site := aSite(t, nil)
	return func(v *dcr.DefaultValidator, _ *dcr.Options) {
		v.Fetch = reaching(site)
		v.Fetch.PrivateHosts = []string{"localhost"}
	}
}

func trustingOnly(required bool) change {
	return func(v *dcr.DefaultValidator, _ *dcr.Options) {
		v.Statements = &dcr.StatementVerifier{Required: required, Issuers: map[string]dcr.KeySource{directory: signers()["ES256"].keys()}}
	}
}

func TestSwitches(t *testing.T) {
	statement := signers()["ES256"].sign(stated().with("redirect_uris", nil))
	for _, test := range switched {
		t.Run(test.of+" "+test.field, func(t *testing.T) {
			served := func(changes ...change) *dcr.Handler {
				opts := dcr.Options{AllowAnonymous: true, Now: clock, Validator: dcr.DefaultValidator{Supports: capabilities(t, test.document)}}
				return newHandler(t, memstore.New(), opts, changes...)
			}
			before := []change{}
			if test.before != nil {
				before = append(before, test.before)
			}
			body := request(t, strings.Replace(test.request, "STATEMENT", statement, 1))
			m := decisionOf(t, explained(t, served(before...), "", body), test.member)
			if of := string(m.Verdict) + " " + test.member; m.Rule != test.of && of != test.of && test.of != "ignored *" || m.Switch != test.field {
				t.Fatalf("without the switch: %s, rule %q, switch %q", m.Verdict, m.Rule, m.Switch)
			}
			after := explained(t, served(append(before, test.on(t))...), "", body)
			if after.Err != nil {
				t.Fatalf("with the switch it is refused: %v", after.Err)
			}
			for _, m := range after.Members {
				passes := m.Verdict == dcr.Kept || m.Verdict == dcr.Defaulted || test.field == "policy.CorrectApplicationType" || test.field == "DefaultValidator.RefuseUnsupportedScopes"
				if m.Name == test.member && !passes {
					t.Errorf("with the switch it is %s", m.Verdict)
				}
			}
		})
	}
}

func decisionOf(t testing.TB, d *dcr.Decision, name string) dcr.MemberDecision {
	t.Helper()
	for _, m := range d.Members {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("there is no decision about %s: %v", name, d.Err)
	return dcr.MemberDecision{}
}

// Every row has a test, and no two rows are the same.
func TestSwitchesAreAllShown(t *testing.T) {
	source, err := os.ReadFile("../../explain.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	for _, test := range switched {
		shown[test.of+" "+test.field] = true
	}
	rows := regexp.MustCompile(`\{of: "([^"]+)", field: "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	for _, row := range rows {
		if !shown[row[1]+" "+row[2]] {
			t.Errorf("no test shows %s by %s", row[1], row[2])
		}
		delete(shown, row[1]+" "+row[2])
	}
	if len(rows) < 20 || len(shown) > 0 {
		t.Errorf("%d rows, and tests without a row: %v", len(rows), shown)
	}
}

// No switch is named if it would change nothing.
func TestNoSwitchThatChangesNothing(t *testing.T) {
	narrowed := stacked(policy.Scopes(policy.Values{Ceiling: []string{"a"}}), policy.GrantTypes(policy.Values{Ceiling: []string{"authorization_code"}}))
	for _, test := range []struct {
		sentence, document string
		change             change
		request, member    string
	}{
		{"a policy drops what the DefaultValidator supports", `{"scopes_supported":["a","b"]}`, narrowed, `{"scope":"a b"}`, "scope"},
		{"or it supports any", `{"scopes_supported":["*"]}`, stacked(policy.Scopes(policy.Values{Ceiling: []string{"a"}})), `{"scope":"a b"}`, "scope"},
		{"so it does a grant type", `{}`, narrowed, `{"grant_types":["authorization_code","refresh_token"]}`, "grant_types"},
		{"no host can allow remote http for a public client", `{}`, nil, `{"redirect_uris":["http://rp.example.com/cb"],"token_endpoint_auth_method":"none"}`, "redirect_uris"},
		{"nor to a native one", `{}`, nil, `{"redirect_uris":["http://rp.example.com/cb"],"application_type":"native"}`, "redirect_uris"},
		{"nor is one named if remote http is allowed and another URI is at fault", `{}`, allowHTTP, `{"redirect_uris":["http://rp.example.com/cb","cursor://a/cb"],"application_type":"web"}`, "redirect_uris"},
		{"redirect URIs are missing, and nothing is pushed", `{}`, nil, `{"redirect_uris":null}`, "redirect_uris"},
		{"another hybrid response type", `{"grant_types_supported":["authorization_code","implicit"],"response_types_supported":["code token"]}`, nil, `{"response_types":["code token"]}`, "response_types"},
		{"a member that the server issues cannot be an extension", `{}`, nil, `{"client_id":"mine"}`, "client_id"},
		{"a redirect URI with a fragment", `{}`, nil, `{"redirect_uris":["https://rp.example.com/#x"]}`, "redirect_uris"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			changes := []change{}
			if test.change != nil {
				changes = append(changes, test.change)
			}
			handler := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true, Validator: dcr.DefaultValidator{Supports: capabilities(t, test.document)}}, changes...)
			m := decisionOf(t, explained(t, handler, "", request(t, test.request)), test.member)
			if m.Verdict == dcr.Kept || m.Switch != "" {
				t.Errorf("it is %s by %q, and the named switch is %q", m.Verdict, m.Rule, m.Switch)
			}
		})
	}
}

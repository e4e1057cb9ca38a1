package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// judge runs a validator on a request, as an update of previous if that is not
// nil.
func judge(t testing.TB, v dcr.Validator, request any, previous *dcr.Client) (*dcr.Client, error) {
	t.Helper()
	body, isText := request.(string)
	if !isText {
		encoded, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		body = string(encoded)
	}
	reg := &dcr.Registration{Request: &dcr.Request{}, Previous: previous}
	if err := json.Unmarshal([]byte(body), reg.Request); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if err := dcr.Validate(t.Context(), v, reg); err != nil {
		if refused := (*dcr.Error)(nil); !errors.As(err, &refused) {
			t.Fatalf("%s: a fault of the server: %v", body, err)
		}
		return nil, err
	}
	return reg.Client, nil
}

// with returns base with the given members set; a nil value removes one.
func with(base map[string]any, members map[string]any) map[string]any {
	request := make(map[string]any)
	maps.Copy(request, base)
	maps.Copy(request, members)
	maps.DeleteFunc(request, func(_ string, value any) bool { return value == nil })
	return request
}

type object = map[string]any

var webClient = object{
	"client_name": "App", "redirect_uris": []string{"https://app.example.com/cb"},
	"grant_types": []string{"authorization_code"}, "token_endpoint_auth_method": "client_secret_basic",
}

// A ruleCase is a sentence about a rule: what a request becomes, or which rule
// refuses it.
type ruleCase struct {
	name    string
	rule    policy.Rule
	request object // members that replace those of webClient
	refused string // Error.Rule
	want    object // members of the effective client, nil means absent
}

var openServer = dcr.DefaultValidator{Supports: dcr.Capabilities{
	GrantTypes:                   []string{"authorization_code", "refresh_token", "client_credentials", "implicit"},
	ResponseTypes:                []string{"code", "code id_token", "id_token"},
	TokenEndpointAuthMethods:     []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
	Scopes:                       []string{"openid", "email", "profile", "admin"},
	IDTokenSigningAlgs:           []string{"RS256", "ES256", "PS256"},
	TokenEndpointAuthSigningAlgs: []string{"RS256", "ES256"},
	EndSessionEndpoint:           "https://id.example.com/logout",
}, DefaultScopes: []string{"openid"}}

func (c ruleCase) run(t *testing.T, base dcr.DefaultValidator) {
	t.Helper()
	v := policy.Stack(base, c.rule)
	request := with(webClient, c.request)
	if _, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: endpoint, Validator: v, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Errorf("the rule leaves contradictory capabilities: %v", err)
	}
	client, err := judge(t, v, request, nil)
	c.check(t, "on registration", client, err)
	before, err := judge(t, base, webClient, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err = judge(t, v, request, before)
	c.check(t, "on update", client, err)
}

func (c ruleCase) check(t *testing.T, when string, client *dcr.Client, err error) {
	t.Helper()
	refused := (*dcr.Error)(nil)
	if errors.As(err, &refused) || c.refused != "" {
		if refused == nil || refused.Rule != c.refused {
			t.Errorf("%s: got %v by %+v, want it refused by %q", when, err, refused, c.refused)
		}
		return
	}
	encoded, err := client.Metadata.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var got object
	json.Unmarshal(encoded, &got)
	for name, want := range c.want {
		a, _ := json.Marshal(got[name])
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Errorf("%s: %s is %s, want %s", when, name, a, b)
		}
	}
}

func TestFieldRules(t *testing.T) {
	values := func(excess policy.Excess, standard []string, ceiling ...string) policy.Values {
		return policy.Values{Ceiling: ceiling, Default: standard, Excess: excess}
	}
	for _, c := range []ruleCase{
		{name: "a grant is dropped, the others stay", rule: policy.GrantTypes(values(policy.Drop, nil, "authorization_code")),
			request: object{"grant_types": []string{"authorization_code", "refresh_token"}},
			want:    object{"grant_types": []string{"authorization_code"}}},
		{name: "nothing is left and there is no default", rule: policy.GrantTypes(values(policy.Drop, nil, "client_credentials")),
			refused: "grant_types.unsupported"},
		{name: "nothing is left and the default applies", rule: policy.GrantTypes(values(policy.Drop, []string{"authorization_code", "refresh_token"}, "authorization_code", "refresh_token")),
			request: object{"grant_types": []string{"client_credentials"}},
			want:    object{"grant_types": []string{"authorization_code", "refresh_token"}}},
		{name: "a refused grant", rule: policy.GrantTypes(values(policy.Refuse, nil, "authorization_code")),
			request: object{"grant_types": []string{"authorization_code", "refresh_token"}}, refused: "policy.grant_types"},
		{name: "the default grants if the request has none", rule: policy.GrantTypes(values(policy.Drop, []string{"authorization_code", "refresh_token"})),
			request: object{"grant_types": nil},
			want:    object{"grant_types": []string{"authorization_code", "refresh_token"}}},
		{name: "replaced grants", rule: policy.GrantTypes(values(policy.Replace, []string{"authorization_code"}, "authorization_code")),
			request: object{"grant_types": []string{"authorization_code", "refresh_token"}},
			want:    object{"grant_types": []string{"authorization_code"}}},
		{name: "replaced grants without a default", rule: policy.GrantTypes(values(policy.Replace, nil, "authorization_code")),
			request: object{"grant_types": []string{"client_credentials"}},
			want:    object{"grant_types": []string{"authorization_code"}}},
		{name: "the words of a response type have no order", rule: policy.ResponseTypes(values(policy.Refuse, nil, "code", "id_token code")),
			request: object{"response_types": []string{"code id_token"}, "grant_types": []string{"authorization_code", "implicit"}},
			want:    object{"response_types": []string{"code id_token"}}},
		{name: "a refused response type", rule: policy.ResponseTypes(values(policy.Refuse, nil, "code")),
			request: object{"response_types": []string{"code", "id_token"}, "grant_types": []string{"authorization_code", "implicit"}}, refused: "policy.response_types"},
		{name: "an empty list of response types means none", rule: policy.ResponseTypes(values(policy.Refuse, []string{"code"}, "code")),
			request: object{"response_types": []string{}, "grant_types": []string{"client_credentials"}, "redirect_uris": nil},
			want:    object{"response_types": []string{}}},
		{name: "dropped scopes", rule: policy.Scopes(values(policy.Drop, nil, "openid", "email")),
			request: object{"scope": "openid admin email"}, want: object{"scope": "openid email"}},
		{name: "no scope is left: the server's default", rule: policy.Scopes(values(policy.Drop, nil, "openid", "email")),
			request: object{"scope": "admin"}, want: object{"scope": "openid"}},
		{name: "no scope is left: the policy's default", rule: policy.Scopes(values(policy.Drop, []string{"email"}, "openid", "email")),
			request: object{"scope": "admin"}, want: object{"scope": "email"}},
		{name: "the default scopes if the request has none", rule: policy.Scopes(values(policy.Drop, []string{"email"})),
			want: object{"scope": "email"}},
		{name: "a refused scope", rule: policy.Scopes(values(policy.Refuse, nil, "openid", "email")),
			request: object{"scope": "openid admin"}, refused: "policy.scope"},
		{name: "replaced scopes", rule: policy.Scopes(values(policy.Replace, []string{"email"}, "openid", "email")),
			request: object{"scope": "openid admin"}, want: object{"scope": "email"}},
		{name: "with a ceiling of any scope, the server's applies", rule: policy.Scopes(values(policy.Refuse, nil, dcr.AnyScope)),
			request: object{"scope": "openid admin"}, want: object{"scope": "openid admin"}},
		{name: "always these scopes", rule: policy.AlwaysScopes("email", "unsupported"),
			request: object{"scope": "profile"}, want: object{"scope": "profile email"}},
		{name: "always these scopes, in addition to the default", rule: policy.AlwaysScopes("email", "openid"),
			want: object{"scope": "openid email"}},
		{name: "a dropped method becomes the default", rule: policy.AuthMethods(values(policy.Drop, []string{"none"}, "none", "private_key_jwt")),
			want: object{"token_endpoint_auth_method": "none"}},
		{name: "a dropped method without a default", rule: policy.AuthMethods(values(policy.Drop, nil, "none")),
			refused: "token_endpoint_auth_method.unsupported"},
		{name: "a replaced method without a default", rule: policy.AuthMethods(values(policy.Replace, nil, "client_secret_post")),
			want: object{"token_endpoint_auth_method": "client_secret_post"}},
		{name: "a refused method", rule: policy.AuthMethods(values(policy.Refuse, nil, "none")), refused: "policy.token_endpoint_auth_method"},
		{name: "the default method if the request has none", rule: policy.AuthMethods(values(policy.Drop, []string{"tls_client_auth", "client_secret_post"})),
			request: object{"token_endpoint_auth_method": nil}, want: object{"token_endpoint_auth_method": "client_secret_post"}},
		{name: "an alternative within the ceiling is chosen", rule: policy.AuthMethods(values(policy.Refuse, nil, "none", "client_secret_post")),
			request: object{"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"}},
			want:    object{"token_endpoint_auth_method": "client_secret_post"}},
		{name: "a refused algorithm", rule: policy.Algorithm("id_token_signed_response_alg", values(policy.Refuse, nil, "PS256", "ES256")),
			request: object{"id_token_signed_response_alg": "RS256"}, refused: "policy.id_token_signed_response_alg"},
		{name: "a replaced algorithm", rule: policy.Algorithm("id_token_signed_response_alg", values(policy.Replace, []string{"PS256"}, "PS256", "ES256")),
			request: object{"id_token_signed_response_alg": "RS256"}, want: object{"id_token_signed_response_alg": "PS256"}},
		{name: "the default algorithm", rule: policy.Algorithm("id_token_signed_response_alg", values(policy.Drop, []string{"PS256"})),
			want: object{"id_token_signed_response_alg": "PS256"}},
		{name: "no algorithm for a feature that is off", rule: policy.Algorithm("userinfo_signed_response_alg", values(policy.Drop, []string{"PS256"})),
			want: object{"userinfo_signed_response_alg": nil}},
		{name: "no algorithm for a method that has none", rule: policy.Algorithm("token_endpoint_auth_signing_alg", values(policy.Drop, []string{"ES256"})),
			want: object{"token_endpoint_auth_signing_alg": nil}},
		{name: "the default algorithm of a method that was sent", rule: policy.Algorithm("token_endpoint_auth_signing_alg", values(policy.Drop, []string{"HS256", "ES256"})),
			request: object{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example.com/jwks"}, want: object{"token_endpoint_auth_signing_alg": "ES256"}},
		{name: "algorithms beyond the list", rule: policy.SigningAlgorithms("PS256", "ES256"),
			request: object{"id_token_signed_response_alg": "RS256"}, refused: "id_token_signed_response_alg.unsupported"},
		{name: "an algorithm of request objects that are on without a list", rule: policy.Algorithm("request_object_signing_alg", values(policy.Refuse, nil, "ES256")),
			request: object{"request_object_signing_alg": "RS256"}, refused: "policy.request_object_signing_alg"},
		{name: "the default algorithm of such request objects", rule: policy.Algorithm("request_object_signing_alg", values(policy.Drop, []string{"PS256"})),
			request: object{"jwks_uri": "https://app.example.com/jwks"}, want: object{"request_object_signing_alg": "PS256"}},
		{name: "all algorithms, with such request objects", rule: policy.SigningAlgorithms("ES256"),
			request: object{"request_object_signing_alg": "RS256"}, refused: "request_object_signing_alg.unsupported"},
		{name: "algorithms left open", rule: policy.SigningAlgorithms("PS256", "ES256"),
			want: object{"id_token_signed_response_alg": "ES256"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := openServer
			server.Supports.RequestParameter = strings.Contains(c.name, "request objects")
			c.run(t, server)
			server.Supports.RequestParameter, server.Supports.RequireSignedRequestObject = false, server.Supports.RequestParameter
			c.run(t, server)
		})
	}
}

// The default algorithm is also for clients that get their method by default, and fits
// the method.
func TestDefaultAlgorithmOfADefaultMethod(t *testing.T) {
	server := openServer
	server.Supports.TokenEndpointAuthSigningAlgs = []string{"RS256", "ES256", "HS256"}
	limit := policy.Algorithm("token_endpoint_auth_signing_alg", policy.Values{Default: []string{"HS256", "ES256"}})
	keys := with(webClient, object{"token_endpoint_auth_method": nil, "jwks_uri": "https://app.example.com/jwks"})
	for method, want := range map[string]string{"private_key_jwt": "ES256", "client_secret_post": ""} {
		server.Supports.TokenEndpointAuthMethods = []string{method}
		for name, v := range map[string]dcr.Validator{
			"of the server":     policy.Stack(server, limit),
			"of a rule inside":  policy.Stack(server, policy.AuthMethods(policy.Values{Default: []string{method}}), limit),
			"of a rule outside": policy.Stack(server, limit, policy.AuthMethods(policy.Values{Default: []string{method}})),
		} {
			client, err := judge(t, v, keys, nil)
			if err != nil || client.TokenEndpointAuthMethod != method || client.TokenEndpointAuthSigningAlg != want {
				t.Errorf("%s, the default %s: got %+v, %v; want %q", method, name, client, err, want)
			}
			if again, err := judge(t, v, keys, client); err != nil || again.TokenEndpointAuthSigningAlg != want {
				t.Errorf("%s, the default %s, on an update: got %+v, %v; want %q", method, name, again, err, want)
			}
		}
	}
}

func TestRedirectRules(t *testing.T) {
	to := func(redirects ...string) object { return object{"redirect_uris": redirects} }
	for _, c := range []ruleCase{
		{name: "a host on the list", rule: policy.RedirectHosts("app.example.com")},
		{name: "a host on the list in another case", rule: policy.RedirectHosts("App.Example.COM")},
		{name: "a host below one on the list", rule: policy.RedirectHosts("*.example.com")},
		{name: "a wildcard needs at least one label", rule: policy.RedirectHosts("*.app.example.com"), refused: "policy.redirect_hosts"},
		{name: "a host that only ends like it", rule: policy.RedirectHosts("*.example.com"), request: to("https://evilexample.com/cb"), refused: "policy.redirect_hosts"},
		{name: "a host below one on the list, which is not listed", rule: policy.RedirectHosts("example.com"), refused: "policy.redirect_hosts"},
		{name: "one of two hosts", rule: policy.RedirectHosts("app.example.com"), request: to("https://app.example.com/cb", "https://evil.example/"), refused: "policy.redirect_hosts"},
		{name: "no list", rule: policy.RedirectHosts(), refused: "policy.redirect_hosts"},
		{name: "hosts do not restrict loopback", rule: policy.RedirectHosts("app.example.com"), request: to("http://127.0.0.1/cb", "com.example.app:/cb")},
		{name: "a scheme on the list", rule: policy.RedirectSchemes("https", "cursor"), request: to("cursor://anysphere.cursor-mcp/oauth/callback")},
		{name: "a scheme that is not", rule: policy.RedirectSchemes("https", "cursor"), request: to("other:/cb"), refused: "policy.redirect_schemes"},
		{name: "loopback http is http", rule: policy.RedirectSchemes("https"), request: to("http://127.0.0.1/cb"), refused: "policy.redirect_schemes"},
		{name: "loopback", rule: policy.LoopbackOnly(), request: to("http://localhost:1/", "http://127.0.0.1/", "http://[::1]:65535/x")},
		{name: "not loopback", rule: policy.LoopbackOnly(), refused: "policy.loopback_only"},
		{name: "an app scheme with a host like localhost", rule: policy.LoopbackOnly(), request: to("com.example.app://localhost.example/"), refused: "policy.loopback_only"},
		{name: "https", rule: policy.HTTPSOnly()},
		{name: "http loopback is not https", rule: policy.HTTPSOnly(), request: to("http://localhost/"), refused: "policy.https_only"},
		{name: "an app's scheme is not https", rule: policy.HTTPSOnly(), request: to("com.example.app:/cb"), refused: "policy.https_only"},
		{name: "a page over http", rule: policy.HTTPSOnly(), request: object{"logo_uri": "http://app.example.com/logo"}, refused: "policy.https_only"},
		{name: "a page over http for a language", rule: policy.HTTPSOnly(), request: object{"tos_uri#fr": "http://app.example.com/"}, refused: "policy.https_only"},
		{name: "logout to an app", rule: policy.HTTPSOnly(), request: object{"post_logout_redirect_uris": []string{"com.example.app:/out"}}, refused: "policy.https_only"},
		{name: "a reverse domain", rule: policy.ReverseDomainSchemes(), request: to("com.example.app:/cb", "https://app.example.com/")},
		{name: "no domain", rule: policy.ReverseDomainSchemes(), request: to("cursor://anysphere.cursor-mcp/cb"), refused: "policy.reverse_domain_schemes"},
		{name: "half a domain", rule: policy.ReverseDomainSchemes(), request: to("example.:/cb"), refused: "redirect_uris.form"},
		{name: "a denied host", rule: policy.Deny(policy.DenyList{Hosts: []string{"Example.com"}}), refused: "policy.deny"},
		{name: "a denied scheme", rule: policy.Deny(policy.DenyList{Schemes: []string{"app"}}), request: to("app:/cb"), refused: "policy.deny"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, openServer) })
	}
}

func TestOtherRules(t *testing.T) {
	for _, c := range []ruleCase{
		{name: "forced public", rule: policy.ForcePublic(), want: object{"token_endpoint_auth_method": "none"}},
		{name: "forced public, without what needs credentials", rule: policy.ForcePublic(),
			request: object{"grant_types": []string{"authorization_code", "client_credentials"}},
			want:    object{"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code"}}},
		{name: "forced public, a machine", rule: policy.ForcePublic(),
			request: object{"grant_types": []string{"client_credentials"}, "redirect_uris": nil}, refused: "grant_types.unsupported"},
		{name: "forced public, with an algorithm", rule: policy.ForcePublic(),
			request: object{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256", "jwks_uri": "https://app.example.com/jwks"},
			want:    object{"token_endpoint_auth_method": "none", "token_endpoint_auth_signing_alg": nil}},
		{name: "forced public, of alternatives", rule: policy.ForcePublic(),
			request: object{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"client_secret_basic", "none"}},
			want:    object{"token_endpoint_auth_method": "none"}},
		{name: "forced public, of alternatives without none", rule: policy.ForcePublic(),
			request: object{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"client_secret_basic"}},
			refused: "token_endpoint_auth_methods_supported.choice"},
		{name: "forced confidential", rule: policy.ForceConfidential(),
			request: object{"token_endpoint_auth_method": "none"}, want: object{"token_endpoint_auth_method": "client_secret_basic"}},
		{name: "forced confidential, already confidential", rule: policy.ForceConfidential(),
			request: object{"token_endpoint_auth_method": "client_secret_post"}, want: object{"token_endpoint_auth_method": "client_secret_post"}},
		{name: "forced confidential, without an alternative", rule: policy.ForceConfidential(),
			request: object{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"none"}},
			refused: "token_endpoint_auth_methods_supported.unsupported"},
		{name: "contacts", rule: policy.RequireContacts(), request: object{"contacts": []string{"a@example.com"}}},
		{name: "no contacts", rule: policy.RequireContacts(), request: object{"contacts": []string{}}, refused: "policy.required"},
		{name: "a required member", rule: policy.RequireMembers("grant_types", "default_max_age"), refused: "policy.required"},
		{name: "a required member, zero", rule: policy.RequireMembers("default_max_age"), request: object{"default_max_age": 0}},
		{name: "a required member, false", rule: policy.RequireMembers("require_auth_time"), request: object{"require_auth_time": false}},
		{name: "a required boolean that is not sent", rule: policy.RequireMembers("require_auth_time"), refused: "policy.required"},
		{name: "a required boolean that is null", rule: policy.RequireMembers("require_auth_time"), request: object{"require_auth_time": json.RawMessage("null")}, refused: "policy.required"},
		{name: "a required member in a language", rule: policy.RequireMembers("client_name#de"), request: object{"client_name#de": "Anwendung"}},
		{name: "a required member in a language, in another case", rule: policy.RequireMembers("client_name#de-AT"), request: object{"client_name#DE-at": "Anwendung"}},
		{name: "a required member in another language", rule: policy.RequireMembers("client_name#de"), request: object{"client_name#fr": "Application"}, refused: "policy.required"},
		{name: "no statement", rule: policy.RequireStatement(), refused: "policy.require_statement"},
		{name: "a statement that nobody verified", rule: policy.RequireStatement(), request: object{"software_statement": "e30.e30.e30"}, refused: "policy.require_statement"},
		{name: "pages on the host", rule: policy.SameHost(policy.Refuse), request: object{"client_uri": "https://app.example.com/about", "logo_uri#de": "https://app.example.com/l"}},
		{name: "pages elsewhere, refused", rule: policy.SameHost(policy.Refuse), request: object{"logo_uri": "https://bank.example/logo"}, refused: "policy.same_host"},
		{name: "pages elsewhere, dropped", rule: policy.SameHost(policy.Drop),
			request: object{"logo_uri": "https://bank.example/logo", "client_uri": "https://app.example.com/", "tos_uri#fr": "https://bank.example/", "policy_uri": "https://bank.example/"},
			want:    object{"logo_uri": nil, "client_uri": "https://app.example.com/", "tos_uri#fr": nil, "policy_uri": nil}},
		{name: "pages of a native application", rule: policy.SameHost(policy.Refuse),
			request: object{"redirect_uris": []string{"http://127.0.0.1/"}, "client_uri": "https://app.example/", "logo_uri": "https://bank.example/"}, refused: "policy.same_host"},
		{name: "a denied page", rule: policy.Deny(policy.DenyList{Hosts: []string{"bank.example"}}), request: object{"logo_uri": "https://www.bank.example/l"}, refused: "policy.deny"},
		{name: "a denied name", rule: policy.Deny(policy.DenyList{ClientNames: []string{"Bank"}}), request: object{"client_name": "My BANK login"}, refused: "policy.deny"},
		{name: "a denied name for a language", rule: policy.Deny(policy.DenyList{ClientNames: []string{"Bank"}}), request: object{"client_name#de": "Die Bank"}, refused: "policy.deny"},
		{name: "denied software", rule: policy.Deny(policy.DenyList{SoftwareIDs: []string{"s1"}}), request: object{"software_id": "s1"}, refused: "policy.deny"},
		{name: "nothing denied", rule: policy.Deny(policy.DenyList{Hosts: []string{"bank.example"}, Schemes: []string{"x"}, ClientNames: []string{"bank"}, SoftwareIDs: []string{"s1"}})},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, openServer) })
	}
}

func TestRulesNarrowCapabilities(t *testing.T) {
	v := policy.Stack(openServer,
		policy.GrantTypes(policy.Values{Ceiling: []string{"authorization_code", "password"}}),
		policy.Scopes(policy.Values{Ceiling: []string{"openid"}}),
		policy.SigningAlgorithms("ES256"),
		policy.ForceConfidential(),
	)
	got := v.Capabilities()
	for _, list := range []struct {
		name      string
		got, want []string
	}{
		{"GrantTypes", got.GrantTypes, []string{"authorization_code"}},
		{"Scopes", got.Scopes, []string{"openid"}},
		{"IDTokenSigningAlgs", got.IDTokenSigningAlgs, []string{"ES256"}},
		{"UserinfoSigningAlgs", got.UserinfoSigningAlgs, nil},
		{"TokenEndpointAuthMethods", got.TokenEndpointAuthMethods, []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}},
	} {
		if !slices.Equal(list.got, list.want) {
			t.Errorf("%s is %q, want %q", list.name, list.got, list.want)
		}
	}
	if methods := policy.Stack(openServer, policy.ForcePublic()).Capabilities().TokenEndpointAuthMethods; !slices.Equal(methods, []string{"none"}) {
		t.Errorf("ForcePublic leaves %q", methods)
	}
	anything := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{dcr.AnyScope}}}
	if scopes := policy.Stack(anything, policy.Scopes(policy.Values{Ceiling: []string{"a"}})).Capabilities().Scopes; !slices.Equal(scopes, []string{"a"}) {
		t.Errorf("a ceiling on any scope leaves %q", scopes)
	}
}

// switched supports the scopes that it currently points to.
type switched struct {
	dcr.Validator
	scopes *[]string
}

func (s switched) Capabilities() dcr.Capabilities {
	supported := s.Validator.Capabilities()
	supported.Scopes = *s.scopes
	return supported
}

// All requests share the lists of a stack's capabilities, so they have no spare room.
func TestAppendingToTheListsOfAStack(t *testing.T) {
	v := policy.Stack(openServer, policy.Scopes(policy.Values{Ceiling: []string{"openid", "email"}}))
	first, second := append(v.Capabilities().Scopes, "first"), append(v.Capabilities().Scopes, "second")
	if slices.Equal(first, second) {
		t.Errorf("appending to a list changed another's: %q", first)
	}
}

// A stack may narrow the capabilities once, unless they change.
func TestStacksFollowTheHost(t *testing.T) {
	narrow := policy.Scopes(policy.Values{Ceiling: []string{"openid", "email"}})
	for name, stacked := range map[string]func(scopes *[]string) dcr.Validator{
		"a host's validator may change what it supports": func(scopes *[]string) dcr.Validator {
			return policy.Stack(switched{openServer, scopes}, narrow)
		},
		"a stack on a stack follows the validator below": func(scopes *[]string) dcr.Validator {
			return policy.Stack(policy.Stack(switched{openServer, scopes}, narrow), policy.RequirePKCE())
		},
		"a host's rule between two rules may change what it narrows to": func(scopes *[]string) dcr.Validator {
			own := func(inner dcr.Validator) dcr.Validator { return switched{inner, scopes} }
			return policy.Stack(openServer, policy.ForceConfidential(), own, narrow)
		},
		"a host's rule on a preset may change what it narrows to": func(scopes *[]string) dcr.Validator {
			own := func(inner dcr.Validator) dcr.Validator { return switched{inner, scopes} }
			return policy.MCP(openServer).With(own, narrow)
		},
		"a host may change a DefaultValidator to which it has a pointer": func(scopes *[]string) dcr.Validator {
			server := openServer
			server.Supports.Scopes = *scopes
			v := policy.Stack(&server, narrow)
			server.Supports.Scopes = []string{"openid"}
			return v
		},
	} {
		t.Run(name, func(t *testing.T) {
			scopes := []string{"email"}
			v := stacked(&scopes)
			if scopes = []string{"openid"}; !slices.Equal(v.Capabilities().Scopes, scopes) {
				t.Errorf("the scopes are still %q", v.Capabilities().Scopes)
			}
		})
	}
}

func TestAlgorithmPanicsOnAnotherMember(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	policy.Algorithm("client_name", policy.Values{})
}

func TestLifetimes(t *testing.T) {
	minutes := func(n time.Duration) time.Duration { return n * time.Minute }
	server := policy.Stack(openServer, policy.DuendeMembers(policy.DuendeLimits{MaxAccessTokenLifetime: 24 * time.Hour}))
	for _, c := range []struct {
		name    string
		limit   policy.Lifetime
		asked   any
		want    time.Duration
		refused bool
	}{
		{"nothing requested, no default", policy.Lifetime{Ceiling: minutes(90)}, nil, time.Hour, false},
		{"nothing requested, the default", policy.Lifetime{Default: minutes(20)}, nil, minutes(20), false},
		{"the library's default exceeds the ceiling", policy.Lifetime{Ceiling: minutes(10)}, nil, minutes(10), false},
		{"the library's default exceeds a ceiling that refuses", policy.Lifetime{Ceiling: minutes(10), Excess: policy.Refuse}, nil, minutes(10), false},
		{"the ceiling requested, where it refuses", policy.Lifetime{Ceiling: minutes(10), Excess: policy.Refuse}, 600, minutes(10), false},
		{"more than the ceiling, where the library's default exceeds it too", policy.Lifetime{Ceiling: minutes(10), Excess: policy.Refuse}, 601, 0, true},
		{"requested and allowed", policy.Lifetime{Ceiling: minutes(90), Default: minutes(20)}, 1800, minutes(30), false},
		{"too much requested, dropped", policy.Lifetime{Ceiling: minutes(90)}, 7200, minutes(90), false},
		{"too much requested, refused", policy.Lifetime{Ceiling: minutes(90), Excess: policy.Refuse}, 7200, 0, true},
		{"too much requested, replaced", policy.Lifetime{Ceiling: minutes(90), Default: minutes(20), Excess: policy.Replace}, 7200, minutes(20), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := policy.Stack(server, policy.LimitLifetimes(policy.Lifetimes{AccessToken: c.limit}))
			client, err := judge(t, v, with(webClient, object{"access_token_lifetime": c.asked}), nil)
			switch refused := (*dcr.Error)(nil); {
			case c.refused:
				if !errors.As(err, &refused) || refused.Rule != "policy.access_token_lifetime" {
					t.Errorf("got %v", err)
				}
			case err != nil:
				t.Error(err)
			case client.AccessTokenLifetime != c.want:
				t.Errorf("got %v, want %v", client.AccessTokenLifetime, c.want)
			}
		})
	}
	unlimited := policy.Stack(endless{openServer}, policy.LimitLifetimes(policy.Lifetimes{AbsoluteRefreshToken: policy.Lifetime{Ceiling: time.Hour}}))
	if client, err := judge(t, unlimited, webClient, nil); err != nil || client.AbsoluteRefreshTokenLifetime != time.Hour {
		t.Errorf("an unlimited lifetime became %v, %v", client.AbsoluteRefreshTokenLifetime, err)
	}
}

func TestLifetimesThatAnUpdateLeavesOut(t *testing.T) {
	server := policy.Stack(openServer, policy.DuendeMembers(policy.DuendeLimits{MaxAccessTokenLifetime: 24 * time.Hour}))
	limit := policy.Lifetime{Ceiling: 90 * time.Minute, Default: 20 * time.Minute}
	v := policy.Stack(server, policy.LimitLifetimes(policy.Lifetimes{AccessToken: limit}))
	for _, c := range []struct {
		name  string
		asked any           // at registration
		host  time.Duration // what the host set afterwards, if anything
		want  time.Duration // after an update that asks for nothing
	}{
		{"a requested lifetime goes back to the default", 1800, 0, 20 * time.Minute},
		{"so does one that equals the library's default", 3600, 0, 20 * time.Minute},
		{"so does one that was reduced to the ceiling", 7200, 0, 20 * time.Minute},
		{"the default stays", nil, 0, 20 * time.Minute},
		{"a lifetime that the host set stays", nil, 3 * time.Minute, 3 * time.Minute},
		{"one that the host set instead of the requested one stays", 1800, 3 * time.Minute, 3 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := judge(t, v, with(webClient, object{"access_token_lifetime": c.asked}), nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.host > 0 {
				client.AccessTokenLifetime = c.host
			}
			client, err = judge(t, v, webClient, client)
			if err != nil || client.AccessTokenLifetime != c.want {
				t.Errorf("got %v, want %v; %v", client.AccessTokenLifetime, c.want, err)
			}
		})
	}
}

// A limit that is stricter than what a client has is no reason to refuse an update that
// asks for nothing.
func TestLifetimesOfEarlierClients(t *testing.T) {
	before, err := judge(t, openServer, webClient, nil)
	if err != nil {
		t.Fatal(err)
	}
	before.AbsoluteRefreshTokenLifetime = 0 // unlimited
	for excess, want := range map[policy.Excess]time.Duration{policy.Drop: 10 * time.Minute, policy.Refuse: 10 * time.Minute, policy.Replace: 5 * time.Minute} {
		limit := policy.Lifetime{Ceiling: 10 * time.Minute, Default: 5 * time.Minute, Excess: excess}
		v := policy.Stack(openServer, policy.LimitLifetimes(policy.Lifetimes{AccessToken: limit, AbsoluteRefreshToken: limit}))
		client, err := judge(t, v, webClient, before)
		if err != nil || client.AccessTokenLifetime != want || client.AbsoluteRefreshTokenLifetime != want {
			t.Errorf("with Excess %d: got %+v, %v; want %v", excess, client, err, want)
		}
	}
	tooLong := policy.LimitLifetimes(policy.Lifetimes{AbsoluteRefreshToken: policy.Lifetime{Ceiling: time.Hour, Excess: policy.Refuse}})
	refused := (*dcr.Error)(nil)
	if _, err := judge(t, policy.Stack(endless{openServer}, tooLong), webClient, nil); !errors.As(err, &refused) || refused.Rule != "policy.absolute_refresh_token_lifetime" {
		t.Errorf("a hook that sets a lifetime beyond the ceiling: %v", err)
	}
}

// Limits that contradict themselves, and scopes that no client can have, are refused at
// the start.
func TestContradictoryLimits(t *testing.T) {
	values := func(standard []string, ceiling ...string) policy.Values {
		return policy.Values{Ceiling: ceiling, Default: standard}
	}
	lifetime := func(limit policy.Lifetime) policy.Rule {
		return policy.LimitLifetimes(policy.Lifetimes{SlidingRefreshToken: limit})
	}
	anyScope := openServer
	anyScope.Supports.Scopes = []string{dcr.AnyScope}
	for _, c := range []struct {
		name string
		rule policy.Rule
		says string // what the error begins with; "" for no error
	}{
		{"a default within the ceiling", policy.Scopes(values([]string{"openid"}, "openid", "email")), ""},
		{"a default without a ceiling", policy.Scopes(values([]string{"openid"})), ""},
		{"a default that the server does not support", policy.GrantTypes(values([]string{"authorization_code", "password"})), ""},
		{"a default in another order of words", policy.ResponseTypes(values([]string{"id_token code"}, "code", "code id_token")), ""},
		{"one default of a member with one value is within the ceiling", policy.AuthMethods(values([]string{"none", "private_key_jwt"}, "private_key_jwt")), ""},
		{"a default within any scope", policy.Scopes(values([]string{"openid"}, dcr.AnyScope)), ""},
		{"no scope of the default is within the ceiling", policy.Scopes(values([]string{"email"}, "openid")), "the limit of scope has the Default email"},
		{"one scope of the default is not within the ceiling", policy.Scopes(values([]string{"openid", "email"}, "openid")), "the limit of scope has the Default email"},
		{"a grant type of the default is not within the ceiling", policy.GrantTypes(values([]string{"authorization_code", "password"}, "authorization_code")), "the limit of grant_types has the Default password"},
		{"the default method is not within the ceiling", policy.AuthMethods(values([]string{"none"}, "private_key_jwt")), "the limit of token_endpoint_auth_method has the Default none"},
		{"the default algorithm is not within the ceiling", policy.Algorithm("id_token_signed_response_alg", values([]string{"RS256"}, "ES256")), "the limit of id_token_signed_response_alg has the Default RS256"},
		{"two scopes in one default", policy.Scopes(values([]string{"openid email"})), `the limit of scope has "openid email"`},
		{"any scope as the default", policy.Scopes(values([]string{dcr.AnyScope})), `the limit of scope has "*"`},
		{"an unknown Excess", policy.Scopes(policy.Values{Excess: 3}), "the limit of scope has the Excess 3"},
		{"always a scope", policy.AlwaysScopes("openid", "unsupported"), ""},
		{"always two scopes in one", policy.AlwaysScopes("openid email"), `policy.AlwaysScopes has "openid email"`},
		{"always any scope", policy.AlwaysScopes(dcr.AnyScope), `policy.AlwaysScopes has "*"`},
		{"always an empty scope", policy.AlwaysScopes(""), `policy.AlwaysScopes has ""`},
		{"always a scope with a quote", policy.AlwaysScopes(`a"b`), `policy.AlwaysScopes has "a\"b"`},
		{"a default lifetime at its ceiling", lifetime(policy.Lifetime{Ceiling: time.Hour, Default: time.Hour}), ""},
		{"a default lifetime without a ceiling", lifetime(policy.Lifetime{Default: time.Hour}), ""},
		{"a default lifetime beyond its ceiling", lifetime(policy.Lifetime{Ceiling: time.Hour, Default: time.Hour + 1}), "the limit of sliding_refresh_token_lifetime has a Default of"},
		{"a negative ceiling", lifetime(policy.Lifetime{Ceiling: -time.Hour}), "the limit of sliding_refresh_token_lifetime is negative"},
		{"a negative default lifetime", lifetime(policy.Lifetime{Default: -time.Hour}), "the limit of sliding_refresh_token_lifetime is negative"},
		{"an unknown Excess of a lifetime", lifetime(policy.Lifetime{Excess: -1}), "the limit of sliding_refresh_token_lifetime has the Excess -1"},
	} {
		for under, v := range map[string]dcr.Validator{
			"on a validator":     policy.Stack(openServer, c.rule),
			"under another rule": policy.Stack(openServer, c.rule, policy.RequirePKCE()),
			"with any scope":     policy.Stack(anyScope, c.rule),
		} {
			_, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: endpoint, Validator: v, Logger: quiet})
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), "Options.Validator: "+c.says) {
				t.Errorf("%s, %s: got %v, want %q", c.name, under, err, c.says)
			}
		}
	}
}

func TestRequirePKCEOverridesAnExemption(t *testing.T) {
	exempt := policy.Stack(endless{openServer}, policy.RequirePKCE())
	if client, err := judge(t, exempt, webClient, nil); err != nil || !client.RequirePKCE {
		t.Errorf("RequirePKCE is off: %v", err)
	}
}

// endless is a host's validator with lax settings.
type endless struct{ dcr.DefaultValidator }

func (endless) ValidateTokens(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.AbsoluteRefreshTokenLifetime = 0
	reg.Client.RequirePKCE = false
	return nil
}

func TestEveryRuleHasAStableID(t *testing.T) {
	_, err := judge(t, policy.Stack(openServer, policy.HTTPSOnly()), with(webClient, object{"redirect_uris": []string{"app:/"}}), nil)
	refused := (*dcr.Error)(nil)
	if !errors.As(err, &refused) || refused.Code != dcr.InvalidRedirectURI || refused.Member != "redirect_uris" ||
		!strings.HasPrefix(refused.Rule, "policy.") || refused.Description == "" {
		t.Errorf("got %+v", refused)
	}
}

// TestHybridWithoutImplicit checks that a rule without the implicit grant leaves
// "code id_token" to a server that allows it without that grant.
func TestHybridWithoutImplicit(t *testing.T) {
	directory := func(v dcr.DefaultValidator) dcr.DefaultValidator {
		v.Statements = &dcr.StatementVerifier{}
		return v
	}
	noImplicit := policy.GrantTypes(policy.Values{Ceiling: []string{"authorization_code"}})
	allows := openServer
	allows.AllowHybridWithoutImplicit = true
	for _, c := range []struct {
		name string
		v    dcr.Validator
		want []string
	}{
		{"the server does not allow it", policy.Stack(openServer, noImplicit), []string{"code"}},
		{"the server allows it", policy.Stack(allows, noImplicit), []string{"code", "code id_token"}},
		{"under another rule", policy.Stack(allows, policy.HTTPSOnly(), noImplicit), []string{"code", "code id_token"}},
		{"in a validator of the host", policy.Stack(ownValidator{allows}, noImplicit), []string{"code", "code id_token"}},
		{"no code either", policy.Stack(allows, policy.GrantTypes(policy.Values{Ceiling: []string{"client_credentials"}})), nil},
		{"UK Open Banking", policy.UKOpenBanking(directory(openServer), policy.UKBank{}), []string{"code", "code id_token"}},
		{"Open Insurance Brasil", policy.OpenFinanceBrasil(directory(openServer), policy.BrasilBank{OpenInsurance: true, Roles: policy.BrasilRoles()}), []string{"code", "code id_token"}},
	} {
		if got := c.v.Capabilities().ResponseTypes; !slices.Equal(got, c.want) {
			t.Errorf("%s: the response types are %q, want %q", c.name, got, c.want)
		}
	}
}

type ownValidator struct{ dcr.DefaultValidator }

package policy_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// A presetCase is a sentence about a preset.
type presetCase struct {
	name    string
	request string
	refused string // Error.Rule; "" if it is accepted
	check   func(c *dcr.Client) bool
}

func runPreset(t *testing.T, v dcr.Validator, cases []presetCase) {
	t.Helper()
	dcrtest.TestValidator(t, v)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			client, err := judge(t, v, c.request, nil)
			refused := (*dcr.Error)(nil)
			switch {
			case errors.As(err, &refused) || c.refused != "":
				if refused == nil || refused.Rule != c.refused {
					t.Errorf("got %v by %+v, want it refused by %q", err, refused, c.refused)
				}
			case c.check != nil && !c.check(client):
				encoded, _ := client.MarshalJSON()
				t.Errorf("accepted as %s", encoded)
			}
		})
	}
}

func TestOIDC(t *testing.T) {
	runPreset(t, policy.OIDC(openServer), []presetCase{
		{"a relying party", `{"redirect_uris":["https://rp.example.com/cb"],"contacts":["ops@example.com"]}`, "",
			func(c *dcr.Client) bool {
				return c.ApplicationType == "web" && c.TokenEndpointAuthMethod == "client_secret_basic" && c.IDTokenSignedResponseAlg == "RS256" && c.SubjectType == "public" && c.Scope == "openid"
			}},
		{"no redirect URI", `{"grant_types":["client_credentials"]}`, "policy.oidc", nil},
		{"an app that does not say that it is native", `{"redirect_uris":["com.example.app:/cb"]}`, "redirect_uris.kind", nil},
		{"an app", `{"redirect_uris":["com.example.app:/cb"],"application_type":"native"}`, "", nil},
		{"an app whose scheme is not a domain", `{"redirect_uris":["app:/cb"],"application_type":"native"}`, "policy.reverse_domain_schemes", nil},
		{"a scope that is not supported", `{"redirect_uris":["https://rp.example.com/cb"],"scope":"openid everything"}`, "scope.unsupported", nil},
		{"contacts without addresses", `{"redirect_uris":["https://rp.example.com/cb"],"contacts":["the boss"]}`, "contacts.form", nil},
		{"an implicit client on localhost", `{"redirect_uris":["https://localhost/cb"],"response_types":["id_token"],"grant_types":["implicit"]}`, "redirect_uris.kind", nil},
	})
}

const fapiKeys = `"jwks_uri":"https://tpp.example.com/jwks"`

const ecKey = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}` // RFC 7515 §A.3

// fapiJWKS returns a set of RSA keys, each with one of the given members.
func fapiJWKS(says ...string) string {
	keys := make([]string, len(says))
	for i, say := range says {
		keys[i] = fmt.Sprintf(`{"kty":"RSA","e":"AQAB","kid":"%d","n":"%s",%s}`, i, rsaModulus, say)
	}
	return `"jwks":{"keys":[` + strings.Join(keys, ",") + `]}`
}

// rsaModulus is the modulus in RFC 7517 §A.1.
const rsaModulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"

func TestFAPI2(t *testing.T) {
	server := dcr.DefaultValidator{Supports: dcr.Capabilities{
		GrantTypes:                            []string{"authorization_code", "implicit", "refresh_token", "client_credentials", "password"},
		ResponseTypes:                         []string{"code", "code id_token", "token"},
		TokenEndpointAuthMethods:              []string{"client_secret_basic", "none", "private_key_jwt", "tls_client_auth"},
		IDTokenSigningAlgs:                    []string{"RS256", "PS256"},
		IDTokenEncryptionAlgs:                 []string{"RSA1_5", "RSA-OAEP-256"},
		IDTokenEncryptionEncs:                 []string{"A256GCM"},
		DPoPSigningAlgs:                       []string{"ES256"},
		TLSClientCertificateBoundAccessTokens: true,
	}}
	const base = `{"redirect_uris":["https://tpp.example.com/cb"],`
	v := policy.FAPI2(server)
	runPreset(t, v, []presetCase{
		{"with keys", base + fapiKeys + `,"token_endpoint_auth_method":"private_key_jwt"}`, "", func(c *dcr.Client) bool {
			return c.RequirePushedAuthorizationRequests && c.DPoPBoundAccessTokens && !c.TLSClientCertificateBoundAccessTokens &&
				c.IDTokenSignedResponseAlg == "PS256" && c.AuthorizationCodeLifetime == time.Minute && c.RequirePKCE
		}},
		{"with keys, bound to a certificate", base + fapiKeys + `,"token_endpoint_auth_method":"private_key_jwt","tls_client_certificate_bound_access_tokens":true}`, "",
			func(c *dcr.Client) bool { return !c.DPoPBoundAccessTokens && c.TLSClientCertificateBoundAccessTokens }},
		{"with a certificate", base + `"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_subject_dn":"CN=tpp"}`, "",
			func(c *dcr.Client) bool { return !c.DPoPBoundAccessTokens && c.TLSClientCertificateBoundAccessTokens }},
		{"no method: the first that remains", base + fapiKeys + `}`, "", func(c *dcr.Client) bool { return c.TokenEndpointAuthMethod == "private_key_jwt" }},
		{"a public client", base + `"token_endpoint_auth_method":"none"}`, "policy.token_endpoint_auth_method", nil},
		{"a client with a secret", base + `"token_endpoint_auth_method":"client_secret_basic"}`, "policy.token_endpoint_auth_method", nil},
		{"missing keys", base + `"token_endpoint_auth_method":"private_key_jwt"}`, "token_endpoint_auth_method.keys", nil},
		{"keys in jwks, one of which is for PS256", base + fapiJWKS(`"alg":"RS256"`, `"alg":"PS256"`) + `}`, "", nil},
		{"an RSA key for any algorithm", base + fapiJWKS(`"use":"sig"`) + `}`, "", nil},
		{"an elliptic curve", base + `"jwks":{"keys":[` + ecKey + `]}}`, "", nil},
		{"only a key for RS256", base + fapiJWKS(`"alg":"RS256"`) + `}`, "policy.signing_keys", nil},
		{"keys for RS256 and for encryption", base + fapiJWKS(`"use":"sig","alg":"RS256"`, `"use":"enc"`) + `}`, "policy.signing_keys", nil},
		{"an elliptic curve for PS256", base + `"token_endpoint_auth_signing_alg":"PS256","jwks":{"keys":[` + ecKey + `]}}`, "policy.signing_keys", nil},
		{"certificates of a key for RS256", base + fapiJWKS(`"alg":"RS256"`) + `,"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_subject_dn":"CN=tpp"}`, "", nil},
		{"a forbidden algorithm", base + fapiKeys + `,"token_endpoint_auth_signing_alg":"RS256"}`, "token_endpoint_auth_signing_alg.unsupported", nil},
		{"a forbidden encryption algorithm", base + fapiKeys + `,"id_token_encrypted_response_alg":"RSA1_5"}`, "id_token_encrypted_response_alg.unsupported", nil},
		{"only a hybrid response type", base + fapiKeys + `,"response_types":["code id_token"],"grant_types":["authorization_code"]}`, "response_types.unsupported", nil},
		{"only the password grant", base + fapiKeys + `,"grant_types":["password"]}`, "grant_types.unsupported", nil},
		{"loopback", `{"redirect_uris":["http://127.0.0.1/cb"],` + fapiKeys + `}`, "policy.https_only", nil},
	})
	if !v.Capabilities().RequirePushedAuthorizationRequests {
		t.Error("pushed authorization requests are not advertised as required")
	}
	unbound := policy.FAPI2(dcr.DefaultValidator{Supports: dcr.Capabilities{DPoPSigningAlgs: []string{"RS256"}}})
	refused := (*dcr.Error)(nil) // without a Handler, which would not have started
	if _, err := judge(t, unbound, base+fapiKeys+`}`, nil); !errors.As(err, &refused) || refused.Rule != "policy.fapi2" {
		t.Errorf("on a server that binds no tokens, a client is judged with %v", err)
	}
}

func TestDuende(t *testing.T) {
	v := policy.Duende(dcr.DefaultValidator{})
	runPreset(t, v, []presetCase{
		{"no grant types", `{"redirect_uris":["https://app.example.com/cb"]}`, "policy.required", nil},
		{"a lifetime below the ceiling", `{"grant_types":["client_credentials"],"access_token_lifetime":600}`, "", func(c *dcr.Client) bool { return c.AccessTokenLifetime == 10*time.Minute }},
		{"a lifetime beyond the ceiling", `{"grant_types":["client_credentials"],"access_token_lifetime":7200}`, "access_token_lifetime.ceiling", nil},
		{"a pipeline without a secret", `{"grant_types":["client_credentials"],"require_client_secret":false}`, "require_client_secret.client_credentials", nil},
	})
	runPreset(t, policy.Duende(dcr.DefaultValidator{}, policy.DuendeLimits{MaxAccessTokenLifetime: 2 * time.Hour}), []presetCase{
		{"a lifetime below the host's own ceiling", `{"grant_types":["client_credentials"],"access_token_lifetime":7200}`, "", func(c *dcr.Client) bool { return c.AccessTokenLifetime == 2*time.Hour }},
	})
	s := serve(t, v.Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true}))
	dcrtest.TestClients(t, s, slices.DeleteFunc(dcrtest.Clients(), func(c dcrtest.Client) bool { return c.Preset != "Duende" })...)
}

func TestMatrix(t *testing.T) {
	v := policy.Matrix(dcr.DefaultValidator{})
	request := func(redirect, more string) string {
		return `{"client_uri":"https://example.com/","redirect_uris":["` + redirect + `"]` + more + `}`
	}
	const native = `,"application_type":"native"`
	runPreset(t, v, []presetCase{
		{"on the host", request("https://example.com/callback", ""), "", func(c *dcr.Client) bool {
			return c.TokenEndpointAuthMethod == "none" && slices.Contains(c.GrantTypes, "refresh_token") && c.ApplicationType == "web"
		}},
		{"below the host", request("https://app.example.com/callback", ""), "", nil},
		{"another port and a query", request("https://example.com:5173/?query=value", ""), "", nil},
		{"elsewhere", request("https://app.com/callback", ""), "policy.matrix", nil},
		{"a fragment", request("https://example.com/callback#fragment", ""), "redirect_uris.fragment", nil},
		{"http", request("http://example.com/callback", ""), "redirect_uris.kind", nil},
		{"loopback for the web", request("http://localhost/", ""), "policy.matrix", nil},
		{"an app", request("com.example.app:/callback", native), "", nil},
		{"an app of exactly that host", request("com.example:/", native), "", nil},
		{"an app without a slash", request("com.example:callback", native), "", nil},
		{"loopback for an app", request("http://localhost/callback", native), "", nil},
		{"loopback by address", request("http://[::1]/callback", native), "", nil},
		{"claimed https", request("https://app.example.com/callback", native), "", nil},
		{"an app scheme that is not a domain", request("example:/callback", native), "policy.matrix", nil},
		{"an app scheme with a longer domain", request("com.example-evil:/callback", native), "policy.matrix", nil},
		{"an app with an authority", request("com.example.app://callback", native), "policy.matrix", nil},
		{"https on localhost", request("https://localhost/callback", native), "redirect_uris.kind", nil},
		{"a port in a loopback redirect", request("http://localhost:1234/callback", native), "policy.matrix", nil},
		{"no client_uri", `{"redirect_uris":["https://example.com/"]}`, "policy.required", nil},
		{"a client_uri over http", `{"client_uri":"http://example.com/","redirect_uris":["https://example.com/"]}`, "policy.matrix", nil},
		{"a client_uri on a top-level domain", `{"client_uri":"https://com/","redirect_uris":["https://app.com/"]}`, "policy.matrix", nil},
		{"a logo elsewhere", request("https://example.com/", `,"logo_uri":"https://app.com/logo"`), "policy.matrix", nil},
		{"terms elsewhere, for a language", request("https://example.com/", `,"tos_uri#fr":"https://app.com/cgu"`), "policy.matrix", nil},
		{"a method that the server does not support", request("https://example.com/", `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://example.com/jwks"`), "policy.token_endpoint_auth_method", nil},
		{"no refresh token", request("https://example.com/", `,"grant_types":["authorization_code"]`), "policy.matrix", nil},
	})
	s := serve(t, v.Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true}))
	dcrtest.TestClients(t, s, slices.DeleteFunc(dcrtest.Clients(), func(c dcrtest.Client) bool { return c.Preset != "Matrix" })...)
}

// A preset on a server that lacks what every client of it needs is refused at the start.
func TestPresetsOnServersThatLackSomething(t *testing.T) {
	server := func(change func(supports *dcr.Capabilities)) dcr.DefaultValidator {
		server := dcr.DefaultValidator{Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"directory": dcr.StaticKeys([]byte(`{"keys":[]}`))}}}
		change(&server.Supports)
		return server
	}
	holder := policy.CDRHolder{Audience: []string{"https://dh.example.com"}}
	grants := func(grants ...string) func(*dcr.Capabilities) {
		return func(supports *dcr.Capabilities) { supports.GrantTypes = grants }
	}
	scopes := func(scopes ...string) func(*dcr.Capabilities) {
		return func(supports *dcr.Capabilities) { supports.Scopes = scopes }
	}
	dpop := func(algs ...string) func(*dcr.Capabilities) {
		return func(supports *dcr.Capabilities) { supports.DPoPSigningAlgs = algs }
	}
	for _, c := range []struct {
		name   string
		preset policy.Preset
		says   string // part of the error; "" for no error
	}{
		{"FAPI2 on a server with DPoP", policy.FAPI2(server(dpop("RS256", "ES256"))), ""},
		{"FAPI2 on a server with mutual TLS", policy.FAPI2(server(func(supports *dcr.Capabilities) { supports.TLSClientCertificateBoundAccessTokens = true })), ""},
		{"FAPI2 on a server that leaves the list open", policy.FAPI2(server(dpop())), ""},
		{"FAPI2 on a server with an empty list for DPoP", policy.FAPI2(server(func(supports *dcr.Capabilities) { supports.DPoPSigningAlgs = []string{} })), "Supports.DPoPSigningAlgs"},
		{"FAPI2 on a server with no algorithm of the profile for DPoP", policy.FAPI2(server(dpop("RS256"))), "Supports.DPoPSigningAlgs"},
		{"Matrix on a server with both grant types", policy.Matrix(server(grants("refresh_token", "authorization_code", "implicit"))), ""},
		{"Matrix on a server without refresh tokens", policy.Matrix(server(grants("authorization_code"))), "add refresh_token to Supports.GrantTypes"},
		{"ConsumerDataRight on a server for machines alone", policy.ConsumerDataRight(server(grants("client_credentials")), holder), "authorization_code"},
		{"ConsumerDataRight on a server for people", policy.ConsumerDataRight(server(grants("authorization_code")), holder), ""},
		{"OpenFinanceBrasil on a server with the scopes of a role", policy.OpenFinanceBrasil(server(scopes("payments")), policy.BrasilBank{}), ""},
		{"OpenFinanceBrasil on a server with any scope", policy.OpenFinanceBrasil(server(scopes(dcr.AnyScope)), policy.BrasilBank{}), ""},
		{"OpenFinanceBrasil on a server with other scopes", policy.OpenFinanceBrasil(server(scopes("insurance")), policy.BrasilBank{}), "BrasilBank.Roles"},
	} {
		for under, preset := range map[string]policy.Preset{"as it is": c.preset, "under a rule": c.preset.With(policy.ReadableNames(dcr.ReadableRune))} {
			opts := preset.Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Logger: quiet})
			_, err := dcr.NewHandler(memstore.New(), opts)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %s: got %v, want %q", c.name, under, err, c.says)
			}
		}
	}
}

func TestPresetOptions(t *testing.T) {
	opts := policy.MCP(dcr.DefaultValidator{}).With(policy.LoopbackOnly()).Apply(&dcr.Options{Endpoint: endpoint})
	if opts.AllowAnonymous || !opts.CORS.AnyOrigin {
		t.Errorf("MCP sets AllowAnonymous %v and CORS %+v", opts.AllowAnonymous, opts.CORS)
	}
	opts.AllowAnonymous = true
	s := serve(t, opts)
	if answer := s.send(http.MethodPost, "", "", `{"redirect_uris":["https://app.example.com/"]}`); answer.Status != http.StatusBadRequest {
		t.Errorf("a rule on top of a preset does not apply: %d", answer.Status)
	}
	own := policy.MCP(dcr.DefaultValidator{}).Apply(&dcr.Options{CORS: dcr.CORS{LoopbackOrigins: true}})
	if own.CORS.AnyOrigin {
		t.Error("the preset overrides the host's CORS")
	}
	warnings := s.Warnings()
	for i, want := range []string{"memstore", "client_credentials", "Supports.Scopes"} {
		if len(warnings) != 3 || !strings.Contains(warnings[i], want) {
			t.Fatalf("MCP for strangers has warnings %q, want one about %s", warnings, want)
		}
	}
}

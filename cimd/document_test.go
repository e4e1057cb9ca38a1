package cimd_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/policy"
)

const appID = "https://app.example.com/client"

const (
	publicKey  = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	privateKey = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`
	octKey     = `{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`
	jwksURI    = `"jwks_uri":"https://app.example.com/jwks"`
)

// supports is a server with many features.
var supports = dcr.Capabilities{
	GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
	TokenEndpointAuthMethods: []string{"none", "private_key_jwt", "client_secret_basic", "self_signed_tls_client_auth"},
	Scopes:                   []string{"read", "write"},
}

// TestDocuments judges documents, with a sentence for each case. The members replace
// those of app; null removes one.
func TestDocuments(t *testing.T) {
	everything := supports
	everything.BackchannelLogout, everything.RequestURIParameter, everything.EndSessionEndpoint = true, true, "https://id.example.com/end"
	everything.IDTokenSigningAlgs = []string{"RS256"}
	everything.BackchannelTokenDeliveryModes = []string{"ping"}
	everything.GrantTypes = append(slices.Clip(everything.GrantTypes), "urn:openid:params:grant-type:ciba")
	statement := "eyJhbGciOiJFUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"client_secret":"s"}`)) + ".c2ln"
	for _, c := range []struct {
		sentence, members string
		opts              *cimd.Options // if nil, options with supports
		want              string        // the rule, or "ok"
	}{
		{"a public client", ``, nil, "ok"},
		{"client_id is the URL", `"client_id":"https://app.example.com/clien"`, nil, "client_id.mismatch"},
		{"byte for byte, without the default port", `"client_id":"https://app.example.com:443/client"`, nil, "client_id.mismatch"},
		{"in the same case", `"client_id":"https://APP.example.com/client"`, nil, "client_id.mismatch"},
		{"it must be present", `"client_id":null`, nil, "client_id.mismatch"},
		{"and be a string", `"client_id":["https://app.example.com/client"]`, nil, "client_id.mismatch"},
		{"no secret", `"client_secret":"s"`, nil, "client_secret.published"},
		{"not even an empty one", `"client_secret":""`, nil, "client_secret.published"},
		{"no expiry of a secret", `"client_secret_expires_at":0`, nil, "client_secret_expires_at.published"},
		{"no registration access token", `"registration_access_token":"t"`, nil, "registration.published"},
		{"nor any similar member", `"registration_status":"x"`, nil, "registration.published"},
		{"no secret in a statement", `"software_statement":"` + statement + `"`, nil, "client_secret.published"},
		{"no method with a shared secret", `"token_endpoint_auth_method":"client_secret_basic"`, nil, "token_endpoint_auth_method.secret"},
		{"nor client_secret_jwt", `"token_endpoint_auth_method":"client_secret_jwt"`, nil, "token_endpoint_auth_method.secret"},
		{"not even in the list", `"token_endpoint_auth_methods_supported":["none","client_secret_post"]`, nil, "token_endpoint_auth_method.secret"},
		{"nor an algorithm with a shared secret", `"id_token_signed_response_alg":"HS256"`, &cimd.Options{Validator: dcr.DefaultValidator{Supports: dcr.Capabilities{IDTokenSigningAlgs: []string{"RS256", "HS256"}}}}, "id_token_signed_response_alg.public"},
		{"the named method must be in the list", `"token_endpoint_auth_methods_supported":["private_key_jwt"]`, nil, "token_endpoint_auth_methods_supported.choice"},
		{"a method that the server lacks", `"token_endpoint_auth_method":"tls_client_auth"`, nil, "token_endpoint_auth_method.unsupported"},
		{"keys are public", `"jwks":{"keys":[` + privateKey + `]}`, nil, "jwks.keys"},
		{"and not shared", `"jwks":{"keys":[` + octKey + `]}`, nil, "jwks.keys"},
		{"keys in one place", `"jwks":{"keys":[` + publicKey + `]},` + jwksURI, nil, "jwks.both"},
		{"keys that can be fetched", `"jwks_uri":"https://192.168.0.1/jwks"`, nil, "jwks_uri.address"},
		{"keys for a method that needs them", `"token_endpoint_auth_method":"private_key_jwt"`, nil, "token_endpoint_auth_method.keys"},
		{"a grant that the server lacks is dropped", `"grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:device_code"]`, nil, "ok"},
		{"unless nothing is left", `"grant_types":["urn:ietf:params:oauth:grant-type:device_code"]`, nil, "grant_types.unsupported"},
		{"a scope that the server lacks is dropped", `"scope":"read nothing"`, nil, "ok"},
		{"client_credentials need a key", `"grant_types":["client_credentials"]`, nil, "token_endpoint_auth_method.none"},
		{"in no other form", `"grant_types":["client_credentials"],"token_endpoint_auth_method":"self_signed_tls_client_auth",` + jwksURI, nil, "grant_types.client_credentials"},
		{"and have one", `"grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt",` + jwksURI, nil, "ok"},
		{"unknown members are ignored", `"x":{"y":[1]},"require_pushed":true`, nil, "ok"},
		{"each redirect is judged", `"redirect_uris":["https://app.example.com/cb","http://app.example.com/cb"]`, nil, "redirect_uris.kind"},
		{"and each page", `"logo_uri":"javascript:alert(1)"`, nil, "logo_uri.form"},
		{"and each logout redirect", `"post_logout_redirect_uris":["https://app.example.com/","data:x"]`, &cimd.Options{Validator: dcr.DefaultValidator{Supports: everything}}, "post_logout_redirect_uris.form"},
		{"no URI that the server would call on logout", `"backchannel_logout_uri":"https://app.example.com/out"`, &cimd.Options{Validator: dcr.DefaultValidator{Supports: everything}}, "backchannel_logout_uri.callback"},
		{"nor one for request objects", `"request_uris":["https://app.example.com/request"]`, &cimd.Options{Validator: dcr.DefaultValidator{Supports: everything}}, "request_uris.callback"},
		{"nor one for CIBA", `"grant_types":["authorization_code","urn:openid:params:grant-type:ciba"],"token_endpoint_auth_method":"private_key_jwt",` + jwksURI + `,"backchannel_token_delivery_mode":"ping","backchannel_client_notification_endpoint":"https://app.example.com/ping"`,
			&cimd.Options{Validator: dcr.DefaultValidator{Supports: everything}}, "backchannel_client_notification_endpoint.callback"},
		{"unless the host says so", `"backchannel_logout_uri":"https://app.example.com/out"`, &cimd.Options{Validator: dcr.DefaultValidator{Supports: everything}, AllowCallbacks: true}, "ok"},
		{"a member that is off is ignored", `"backchannel_logout_uri":"https://app.example.com/out"`, nil, "ok"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			opts := c.opts
			if opts == nil {
				opts = &cimd.Options{Validator: dcr.DefaultValidator{Supports: supports}}
			}
			client, err := cimd.Judge(t.Context(), appID, documentWith(t, c.members), opts)
			wantOutcome(t, c.members, outcome(t, err), c.want)
			if err == nil && client.NeedsSecret() {
				t.Errorf("%+v", client)
			}
		})
	}
}

// documentWith returns app with members set; null removes one.
func documentWith(t testing.TB, members string) []byte {
	t.Helper()
	document := map[string]any{"client_id": appID}
	for _, text := range []string{app, "{" + members + "}"} {
		if err := json.Unmarshal([]byte(text), &document); err != nil {
			t.Fatal(text, err)
		}
	}
	if strings.Contains(members, "client_credentials\"]") {
		delete(document, "redirect_uris")
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestStrictJSON checks that documents that parsers may read differently are
// refused.
func TestStrictJSON(t *testing.T) {
	whole := string(documentWith(t, ""))
	for sentence, document := range map[string]string{
		"nothing":                     "",
		"a list":                      "[" + whole + "]",
		"something after it":          whole + "{}",
		"a member that appears twice": whole[:len(whole)-1] + `,"client_name":"Other"}`,
		"client_id twice":             whole[:len(whole)-1] + `,"client_id":"` + appID + `"}`,
		"not UTF-8":                   strings.Replace(whole, "App", "A\xffp", 1),
		"a byte order mark":           "\ufeff" + whole,
		"nested too deeply":           whole[:len(whole)-1] + `,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}",
		"too large":                   whole[:len(whole)-1] + `,"x":"` + strings.Repeat("x", 5<<10) + `"}`,
		"a member with a wrong type":  strings.Replace(whole, `"App"`, `7`, 1),
	} {
		if _, err := cimd.Judge(t.Context(), appID, []byte(document), nil); !errors.Is(err, dcr.InvalidClient) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

// giving is a validator that gives every client a method with a secret.
type giving struct{ dcr.DefaultValidator }

func (g giving) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.TokenEndpointAuthMethod = "client_secret_basic"
	return g.DefaultValidator.ValidateGrantTypes(ctx, reg)
}

func TestNoStepGivesASecret(t *testing.T) {
	_, err := cimd.Judge(t.Context(), appID, documentWith(t, ""), &cimd.Options{Validator: giving{}})
	wantOutcome(t, "a step that does", outcome(t, err), "token_endpoint_auth_method.secret")
}

// TestMethods checks with which methods a client may authenticate.
func TestMethods(t *testing.T) {
	for _, c := range []struct{ sentence, members, settled, all string }{
		{"none unless one is named", `"token_endpoint_auth_method":null`, "none", "[none]"},
		{"the named one, and the others in the list", `"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none","private_key_jwt"],` + jwksURI, "private_key_jwt", "[private_key_jwt none]"},
		{"the strongest of a list", `"token_endpoint_auth_method":null,"token_endpoint_auth_methods_supported":["none","private_key_jwt"],` + jwksURI, "private_key_jwt", "[private_key_jwt none]"},
		{"no method without keys", `"token_endpoint_auth_methods_supported":["none","private_key_jwt"]`, "none", "[none]"},
		{"no method that the server lacks", `"token_endpoint_auth_methods_supported":["none","private_key_jwt","tls_client_auth"],` + jwksURI, "none", "[none private_key_jwt]"},
		{"not none with client_credentials", `"grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none","private_key_jwt"],` + jwksURI, "private_key_jwt", "[private_key_jwt]"},
	} {
		document := documentWith(t, c.members)
		client, err := cimd.Judge(t.Context(), appID, document, &cimd.Options{Validator: dcr.DefaultValidator{Supports: supports}})
		if err != nil {
			t.Errorf("%s: %v", c.sentence, err)
			continue
		}
		digest := sha256.Sum256(document)
		if client.TokenEndpointAuthMethod != c.settled || fmt.Sprint(client.Document.AuthMethods) != c.all || client.Document.SHA256 != base64.RawURLEncoding.EncodeToString(digest[:]) {
			t.Errorf("%s: %s of %+v", c.sentence, client.TokenEndpointAuthMethod, client.Document)
		}
	}
}

// TestMethodsBesideNone checks that a client does not get what only a confidential one
// may have by listing none beside another method.
func TestMethodsBesideNone(t *testing.T) {
	const public, either = `"token_endpoint_auth_method":"none",`, `"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["private_key_jwt","none"],` + jwksURI + `,`
	const reuse = `"grant_types":["authorization_code","refresh_token"],"refresh_token_usage":"ReUse"`
	web := dcr.DefaultValidator{Supports: supports, AllowHTTPRedirects: true}
	web.Supports.EndSessionEndpoint, web.Supports.IDTokenSigningAlgs = "https://id.example.com/end", []string{"RS256"}
	pushed := dcr.DefaultValidator{Supports: supports, AllowPushedRedirectURIs: true}
	pushed.Supports.PushedAuthorizationRequestEndpoint, pushed.Supports.RequirePushedAuthorizationRequests = "https://id.example.com/par", true
	duende := policy.Duende(dcr.DefaultValidator{Supports: dcr.Capabilities{TokenEndpointAuthMethods: []string{"none", "private_key_jwt"}, Scopes: []string{"read"}}})
	for _, c := range []struct {
		sentence, members string
		validator         dcr.Validator
		want, methods     string
	}{
		{"no http for a public client", public + `"application_type":"web","redirect_uris":["http://app.example.com/cb"]`, web, "redirect_uris.kind", ""},
		{"with http, none is left out", either + `"application_type":"web","redirect_uris":["https://app.example.com/cb","http://app.example.com/cb"]`, web, "ok", "[private_key_jwt]"},
		{"also after a logout", either + `"application_type":"web","post_logout_redirect_uris":["http://app.example.com/out"]`, web, "ok", "[private_key_jwt]"},
		{"not with http on the person's machine", either + `"redirect_uris":["http://127.0.0.1/cb"]`, web, "ok", "[private_key_jwt none]"},
		{"not with https", either + `"application_type":"web"`, web, "ok", "[private_key_jwt none]"},
		{"none is left out if redirects are only pushed", either + `"redirect_uris":[]`, pushed, "ok", "[private_key_jwt]"},
		{"not if one is registered", either + `"redirect_uris":["https://app.example.com/cb"]`, pushed, "ok", "[private_key_jwt none]"},
		{"a public client must register one", public + `"redirect_uris":[]`, pushed, "redirect_uris.missing", ""},
		{"no refresh token is used again by a public client", public + reuse, duende, "refresh_token_usage.public", ""},
		{"nor by one that may be public", either + reuse, duende, "refresh_token_usage.public", ""},
		{"but by one that may not", `"token_endpoint_auth_method":"private_key_jwt",` + jwksURI + `,` + reuse, duende, "ok", "[private_key_jwt]"},
	} {
		client, err := cimd.Judge(t.Context(), appID, documentWith(t, c.members), &cimd.Options{Validator: c.validator})
		wantOutcome(t, c.sentence, outcome(t, err), c.want)
		if err == nil && fmt.Sprint(client.Document.AuthMethods) != c.methods {
			t.Errorf("%s: by %v", c.sentence, client.Document.AuthMethods)
		}
	}
}

// TestForeignPages checks that client_uri is dropped if it is not on the
// document's host.
func TestForeignPages(t *testing.T) {
	for page, kept := range map[string]bool{"https://app.example.com/about": true, "https://app.example.com:8443/": true, "https://example.com/": false} {
		client, err := cimd.Judge(t.Context(), appID, documentWith(t, `"client_uri":"`+page+`","client_uri#de":"`+page+`","logo_uri":"https://cdn.example/logo"`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if (client.ClientURI != "") != kept || (client.Localized["client_uri#de"] != "") != kept || client.LogoURI == "" {
			t.Errorf("%s: %q %q", page, client.ClientURI, client.Localized)
		}
	}
}

// TestKnownDocuments checks that the documents of clients in the field are accepted
// under the policies that servers use.
func TestKnownDocuments(t *testing.T) {
	open := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"mcp:tools"}}}
	for name, v := range map[string]dcr.Validator{"the default": dcr.DefaultValidator{}, "OIDC": policy.OIDC(dcr.DefaultValidator{}), "MCP": policy.MCP(open)} {
		for _, document := range dcrtest.Documents() {
			client, err := cimd.Judge(t.Context(), document.ClientID, document.Metadata, &cimd.Options{Issuer: issuer, Validator: v})
			if err != nil {
				t.Errorf("%s under %s: %v", document.Name, name, err)
				continue
			}
			if !slices.Contains(client.Document.AuthMethods, "none") && name != "OIDC" || client.ClientName != document.Name {
				t.Errorf("%s under %s: %+v", document.Name, name, client.Document)
			}
			if document.Name == "Claude Code" && (!client.MatchRedirectURI("http://localhost:54545/callback") || !client.NeedsConsent(client.CreatedAt, client.CreatedAt)) {
				t.Errorf("%s under %s: any port matches, and consent is never remembered", document.Name, name)
			}
			if document.Name == "ChatGPT" && client.TokenEndpointAuthMethod == "none" && client.TokenEndpointAuthSigningAlg != "" {
				t.Errorf("%s under %s: the algorithm of a method that was not chosen stays", document.Name, name)
			}
			if name == "MCP" && client.Scope != "mcp:tools" {
				t.Errorf("%s has the scope %q", document.Name, client.Scope)
			}
		}
	}
}

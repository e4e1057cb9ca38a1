package policy_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

// pools has the values from which a random request draws each member: all have
// the right type; some are accepted everywhere, some refused somewhere.
var pools = map[string][]any{
	"token_endpoint_auth_method": {"none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth", "secret_handshake"},
	"token_endpoint_auth_methods_supported": {
		[]string{"none"}, []string{"private_key_jwt", "none"}, []string{"client_secret_basic", "client_secret_post"},
	},
	"scope":                           {"openid", "openid email", "admin", "mcp:tools offline_access", "email admin openid"},
	"application_type":                {"web", "native", "browser"},
	"client_name":                     {"App", "Ünïcode", ""},
	"client_uri":                      {"https://app.example.com/", "https://example.com/", "http://app.example.com/", "https://bank.example/", "https://com/"},
	"logo_uri":                        {"https://app.example.com/logo", "https://bank.example/logo", "javascript:alert(1)"},
	"tos_uri#fr":                      {"https://app.example.com/cgu", "http://bank.example/cgu"},
	"contacts":                        {[]string{"a@example.com"}, []string{"the boss"}, []string{}},
	"jwks_uri":                        {"https://app.example.com/jwks", "https://app.example.com/jwks", "http://app.example.com/jwks"},
	"software_id":                     {"s1", "denied"},
	"tls_client_auth_subject_dn":      {"CN=tpp,O=Example", "no name"},
	"token_endpoint_auth_signing_alg": {"RS256", "PS256", "ES256", "HS256"},
	"id_token_signed_response_alg":    {"RS256", "PS256", "ES256", "HS256", "none"},
	"id_token_encrypted_response_alg": {"RSA1_5", "RSA-OAEP-256"},
	"request_object_signing_alg":      {"RS256", "PS256", "none"},
	"subject_type":                    {"public", "pairwise"},
	"default_max_age":                 {0, 3600},
	"dpop_bound_access_tokens":        {true, false},
	"tls_client_certificate_bound_access_tokens": {true, false},
	"require_pushed_authorization_requests":      {true, false},
	"post_logout_redirect_uris":                  {[]string{"https://app.example.com/out"}, []string{"com.example.app:/out"}},
	"access_token_lifetime":                      {60, 3600, 1 << 20, 0},
	"authorization_code_lifetime":                {30, 300},
	"require_client_secret":                      {true, false},
	"require_consent":                            {true, false},
}

var poolNames = func() (names []string) {
	for name := range pools {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()

var (
	redirectPool = []string{
		"https://app.example.com/cb", "https://app.example.com/cb", "https://example.com/cb?x=1", "https://other.example/cb", "https://localhost:8443/cb",
		"http://127.0.0.1/cb", "http://localhost:8787/cb", "http://[::1]:1/cb", "http://app.example.com/cb",
		"com.example.app:/cb", "cursor://anysphere.cursor-mcp/oauth/callback", "javascript:alert(1)", "https://*.example.com/cb", "https://app.example.com/cb#f",
	}
	grantPool    = []string{"authorization_code", "authorization_code", "refresh_token", "client_credentials", "implicit", "password", "urn:ietf:params:oauth:grant-type:device_code"}
	responsePool = []string{"code", "code", "code", "code id_token", "id_token code", "id_token", "token", "none"}
)

// randomRequest returns a random request: a plausible client with random
// members.
func randomRequest(random *rand.Rand) object {
	some := func(pool []string, most int) []string {
		list := make([]string, random.IntN(most+1))
		for i := range list {
			list[i] = pool[random.IntN(len(pool))]
		}
		return list
	}
	request := object{"redirect_uris": []string{redirectPool[random.IntN(8)]}}
	if random.IntN(4) == 0 {
		request["redirect_uris"] = some(redirectPool, 3)
	}
	if random.IntN(2) == 0 {
		request["grant_types"] = append(some(grantPool, 2), "authorization_code", "refresh_token")
	}
	if random.IntN(3) == 0 {
		request["grant_types"] = some(grantPool, 4)
	}
	if random.IntN(3) == 0 {
		request["response_types"] = some(responsePool, 3)
	}
	if random.IntN(2) == 0 {
		request["token_endpoint_auth_method"], request["jwks_uri"] = "private_key_jwt", "https://app.example.com/jwks"
	}
	if random.IntN(2) == 0 {
		request["client_uri"] = "https://example.com/"
	}
	for range random.IntN(6) {
		name := poolNames[random.IntN(len(poolNames))]
		request[name] = pools[name][random.IntN(len(pools[name]))]
	}
	return request
}

// wideServer supports more than any preset allows.
func wideServer() dcr.DefaultValidator {
	return dcr.DefaultValidator{
		Supports: dcr.Capabilities{
			GrantTypes:                            []string{"authorization_code", "refresh_token", "client_credentials", "implicit", "password"},
			ResponseTypes:                         []string{"code", "code id_token", "id_token", "token"},
			TokenEndpointAuthMethods:              []string{"client_secret_basic", "client_secret_post", "none", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"},
			Scopes:                                []string{"openid", "email", "mcp:tools"},
			SubjectTypes:                          []string{"public", "pairwise"},
			IDTokenSigningAlgs:                    []string{"RS256", "PS256", "ES256"},
			IDTokenEncryptionAlgs:                 []string{"RSA1_5", "RSA-OAEP-256"},
			IDTokenEncryptionEncs:                 []string{"A256GCM"},
			RequestParameter:                      true,
			DPoPSigningAlgs:                       []string{"RS256", "ES256"},
			TLSClientCertificateBoundAccessTokens: true,
			EndSessionEndpoint:                    "https://id.example.com/out",
		},
		DefaultScopes: []string{"openid"},
	}
}

// An invariant checks what must be true of every client of a preset. It returns
// "" if that is true.
type invariant func(c *dcr.Client) string

func TestPresetsHold(t *testing.T) {
	for name, p := range map[string]struct {
		preset policy.Preset
		draw   func(random *rand.Rand) object
		holds  invariant
	}{
		"MCP":    {policy.MCP(wideServer()), randomRequest, mcpHolds},
		"OIDC":   {policy.OIDC(wideServer()), randomRequest, oidcHolds},
		"FAPI2":  {policy.FAPI2(wideServer()), randomRequest, fapi2Holds},
		"Duende": {policy.Duende(wideServer()), randomRequest, duendeHolds},
		"LTI":    {policy.LTI(wideServer(), policy.LTIPlatform{}), over(minimal(object{"scope": "openid email"}, nil)), ltiHolds},
		"Matrix": {policy.Matrix(wideServer()), over(object{"client_uri": "https://example.com/", "redirect_uris": []string{"https://app.example.com/cb"}}), matrixHolds},
	} {
		t.Run(name, func(t *testing.T) { holdPreset(t, p.preset, p.draw, p.holds) })
	}
}

// over returns a function that makes requests which would be accepted, with
// some random members.
func over(base object) func(random *rand.Rand) object {
	return func(random *rand.Rand) object {
		request := with(base, nil)
		for name, value := range randomRequest(random) {
			if random.IntN(4) == 0 {
				request[name] = value
			}
		}
		return request
	}
}

// TestProfilesHold is [TestPresetsHold] for presets that need a directory.
func TestProfilesHold(t *testing.T) {
	t.Run("UKOpenBanking", func(t *testing.T) {
		w := &ukWorld{directory: newES256("directory")}
		server := wideServer()
		server.Supports.RequestObjectSigningAlgs = []string{"RS256", "PS256", "none"}
		server.Statements = &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"OpenBanking Ltd": dcr.StaticKeys(w.directory.jwks())}}
		signer := (&dcr.SoftwareStatement{Issuer: "OpenBanking Ltd", Metadata: dcr.Metadata{SoftwareID: "65d1f27c4aeaa4afd2e1"}}).Signer()
		preset := policy.UKOpenBanking(server, policy.UKBank{Roles: map[string][]string{"AISP": {"email"}}})
		holdPreset(t, signedBy{preset, signer}, over(object{
			"redirect_uris":              []string{"https://prime.example.com/cb"},
			"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256",
			"grant_types": []string{"authorization_code", "client_credentials"}, "scope": "email openid",
			"application_type": "web", "id_token_signed_response_alg": "PS256", "request_object_signing_alg": "PS256",
			"software_statement": w.statement(t, nil), "jwks_uri": "https://keystore.example.org.uk/party.jwks",
		}), ukHolds)
	})
	t.Run("OpenFinanceBrasil", func(t *testing.T) {
		b := &brazil{directory: newPS256()}
		server := wideServer()
		server.Statements = &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"Open Banking Brasil SSA issuer": dcr.StaticKeys(b.directory.jwks())}}
		presented := func(*dcr.Registration) (*x509.Certificate, error) { return brCertificate, nil }
		preset := policy.OpenFinanceBrasil(server, policy.BrasilBank{Certificate: presented, Roles: map[string][]string{"PAGTO": {"openid", "email"}}})
		holdPreset(t, preset, over(object{
			"redirect_uris": []string{"https://www.example.com.br/cb"}, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": brKeys,
			"software_statement": b.statement(t, nil),
		}), brasilHolds)
	})
}

// TestCDRHolds is the same for the Consumer Data Right.
func TestCDRHolds(t *testing.T) {
	w := newCDR(t, policy.CDRHolder{}, nil)
	server := wideServer()
	server.Supports.AuthorizationSigningAlgs = []string{"RS256", "PS256"}
	server.Statements = &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"cdr-register": dcr.StaticKeys(w.register.jwks())}}
	signer := (&dcr.SoftwareStatement{Issuer: "cdr-register", Metadata: dcr.Metadata{SoftwareID: cdrSoftware}}).Signer()
	preset := policy.ConsumerDataRight(server, policy.CDRHolder{Audience: []string{cdrHolder}})
	base := w.claims(t, object{"scope": "openid email", "redirect_uris": []string{"https://app.example.com/cb", "https://adr.example.com/cb2"}}, nil)
	for _, claim := range []string{"iss", "aud", "iat", "exp", "jti", "redirect_uris"} {
		delete(base, claim)
	}
	holdPreset(t, signedBy{preset, signer}, over(base), cdrHolds)
}

// signedBy takes the place of the decoder: it says who signed a request.
type signedBy struct {
	dcr.Validator
	signer string
}

func (s signedBy) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	reg.Request.Signer = s.signer
	return s.Validator.ValidateSoftwareStatement(ctx, reg)
}

// holdPreset sends random requests, each as a registration and as an update of
// the last accepted client.
func holdPreset(t *testing.T, preset dcr.Validator, draw func(random *rand.Rand) object, holds invariant) {
	random := rand.New(rand.NewPCG(2026, 6))
	var last *dcr.Client
	accepted, updated := 0, 0
	for range 400 {
		request := draw(random)
		client, err := judge(t, preset, request, nil)
		text, _ := json.Marshal(request)
		if err == nil {
			accepted++
			if broken := holds(client); broken != "" {
				t.Fatalf("%s\nis accepted: %s", text, broken)
			}
		}
		if last != nil {
			after, errUpdate := judge(t, preset, request, last)
			switch {
			case errUpdate == nil && err != nil:
				t.Fatalf("%s\nis accepted as an update, but refused as a registration: %v", text, err)
			case errUpdate == nil && last.TokenEndpointAuthMethod != "none" && client.TokenEndpointAuthMethod == "none" && after.TokenEndpointAuthMethod != "none" && request["token_endpoint_auth_method"] == nil:
				updated++ // a confidential client stays confidential
			case errUpdate == nil && client.TokenEndpointAuthMethod == after.TokenEndpointAuthMethod && !sameMetadata(client, after):
				t.Fatalf("%s\nregisters one client and updates to another", text)
			case errUpdate == nil:
				updated++
			}
		}
		if err == nil {
			last = client
		}
	}
	if accepted < 25 || updated < 25 {
		t.Errorf("only %d registrations and %d updates were accepted: this proves little", accepted, updated)
	}
}

func sameMetadata(a, b *dcr.Client) bool {
	x, _ := json.Marshal(a.Metadata)
	y, _ := json.Marshal(b.Metadata)
	return string(x) == string(y)
}

// redirectsOnly names the first redirect URI that is not allowed.
func redirectsOnly(c *dcr.Client, allowed func(u *url.URL) bool) string {
	for _, redirect := range c.RedirectURIs {
		parsed, err := url.Parse(redirect)
		if err != nil || !allowed(parsed) || parsed.Fragment != "" || strings.Contains(redirect, "*") || parsed.Scheme == "javascript" {
			return "redirect URI " + redirect
		}
	}
	return ""
}

func isLoopback(u *url.URL) bool {
	return u.Scheme == "http" && slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())
}

func isApp(u *url.URL) bool { return u.Scheme != "http" && u.Scheme != "https" }

// firstBroken returns the first sentence whose condition is true.
func firstBroken(rules ...any) string {
	for i := 0; i < len(rules); i += 2 {
		if rules[i].(bool) {
			return rules[i+1].(string)
		}
	}
	return ""
}

func hasGrant(c *dcr.Client, grants ...string) bool {
	return slices.ContainsFunc(grants, func(grant string) bool { return slices.Contains(c.GrantTypes, grant) })
}

func anyPage(c *dcr.Client, test func(page string) bool) bool {
	pages := []string{c.ClientURI, c.LogoURI, c.TOSURI, c.PolicyURI, c.Localized["tos_uri#fr"]}
	return slices.ContainsFunc(pages, func(page string) bool { return page != "" && test(page) })
}

func mcpHolds(c *dcr.Client) string {
	native := slices.ContainsFunc(c.RedirectURIs, func(redirect string) bool {
		u, _ := url.Parse(redirect)
		return isApp(u) || isLoopback(u)
	})
	return redirectsOnly(c, func(u *url.URL) bool { return u.Scheme == "https" || isLoopback(u) || isApp(u) }) + firstBroken(
		c.TokenEndpointAuthMethod == "none" && hasGrant(c, "client_credentials"), "a public client with client_credentials",
		native && c.ApplicationType != "native", "a native client with another application type",
		c.ApplicationType == "", "no application type",
		!c.RequirePKCE, "no PKCE",
		strings.Contains(c.Scope, "admin"), "a scope beyond the ceiling",
	)
}

func oidcHolds(c *dcr.Client) string {
	return redirectsOnly(c, func(u *url.URL) bool {
		return u.Scheme == "https" || isLoopback(u) || isApp(u) && strings.Contains(u.Scheme, ".") && c.ApplicationType == "native"
	}) + firstBroken(
		len(c.RedirectURIs) == 0, "no redirect URI",
		c.ApplicationType != "web" && c.ApplicationType != "native", "no application type",
		c.SubjectType == "" || c.IDTokenSignedResponseAlg == "" || c.IDTokenSignedResponseAlg == "none", "an unsigned ID Token",
		slices.Contains(c.Contacts, "the boss"), "a contact without an address",
		strings.Contains(c.Scope, "admin"), "a scope beyond the ceiling",
	)
}

func fapi2Holds(c *dcr.Client) string {
	among := func(value string, list ...string) bool { return value == "" || slices.Contains(list, value) }
	return redirectsOnly(c, func(u *url.URL) bool { return u.Scheme == "https" }) + firstBroken(
		!slices.Contains([]string{"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}, c.TokenEndpointAuthMethod), "method "+c.TokenEndpointAuthMethod,
		!c.RequirePushedAuthorizationRequests, "no pushed requests",
		!c.DPoPBoundAccessTokens && !c.TLSClientCertificateBoundAccessTokens, "tokens that are not sender-constrained",
		hasGrant(c, "implicit", "password"), "a forbidden grant",
		slices.ContainsFunc(c.ResponseTypes, func(responseType string) bool { return responseType != "code" }), "a response type other than code",
		!among(c.IDTokenSignedResponseAlg, "PS256", "ES256", "EdDSA") || !among(c.TokenEndpointAuthSigningAlg, "PS256", "ES256", "EdDSA") ||
			!among(c.RequestObjectSigningAlg, "PS256", "ES256", "EdDSA"), "a weak algorithm",
		c.IDTokenEncryptedResponseAlg == "RSA1_5", "RSA1_5",
		c.AuthorizationCodeLifetime > time.Minute, "a code that is valid for more than a minute",
		!c.RequirePKCE, "no PKCE",
		anyPage(c, func(page string) bool { return !strings.HasPrefix(page, "https://") }), "a page without https",
		slices.Contains(c.PostLogoutRedirectURIs, "com.example.app:/out"), "logout to an app",
	)
}

func duendeHolds(c *dcr.Client) string {
	return firstBroken(
		c.TokenEndpointAuthMethod == "none" && hasGrant(c, "client_credentials"), "a public client with client_credentials",
		c.AccessTokenLifetime > time.Hour || c.AccessTokenLifetime <= 0, "a lifetime beyond the ceiling",
		c.AuthorizationCodeLifetime > 5*time.Minute, "a code lifetime beyond the ceiling",
		!c.RequireConsent, "no consent",
		strings.Contains(c.Scope, "admin"), "a scope beyond the ceiling",
	)
}

func matrixHolds(c *dcr.Client) string {
	base, err := url.Parse(c.ClientURI)
	if err != nil || base.Scheme != "https" {
		return "client_uri " + c.ClientURI
	}
	onBase := func(u *url.URL) bool {
		return u.Scheme == "https" && (u.Host == base.Host || base.Host != "com" && strings.HasSuffix(u.Hostname(), "."+base.Hostname()))
	}
	return redirectsOnly(c, func(u *url.URL) bool {
		native := c.ApplicationType == "native"
		return onBase(u) || native && (isLoopback(u) && u.Port() == "" || strings.HasPrefix(u.Scheme, "com.example") && u.Host == "")
	}) + firstBroken(
		len(c.RedirectURIs) == 0, "no redirect URI",
		!hasGrant(c, "authorization_code") || !hasGrant(c, "refresh_token"), "a grant is missing",
		hasGrant(c, "implicit", "password", "client_credentials"), "another grant",
		!slices.Contains(c.ResponseTypes, "code"), "no code",
		anyPage(c, func(page string) bool { u, err := url.Parse(page); return err != nil || !onBase(u) }), "a page elsewhere",
	)
}

func ukHolds(c *dcr.Client) string {
	claimed := []string{"https://prime.example.com/cb", "https://prime.example.co.uk/cb"}
	strong := func(alg string) bool { return alg == "PS256" || alg == "ES256" }
	return firstBroken(
		len(c.RedirectURIs) == 0 || slices.ContainsFunc(c.RedirectURIs, func(redirect string) bool { return !slices.Contains(claimed, redirect) }), "a redirect URI that the statement lacks",
		c.ClientName != "Amazon Prime Movies" || c.SoftwareID != "65d1f27c4aeaa4afd2e1", "another name than the statement's",
		!slices.Contains([]string{"private_key_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth"}, c.TokenEndpointAuthMethod), "method "+c.TokenEndpointAuthMethod,
		hasGrant(c, "implicit", "password"), "a forbidden grant",
		slices.ContainsFunc(c.ResponseTypes, func(responseType string) bool { return responseType != "code" && responseType != "code id_token" }), "another response type",
		!strong(c.IDTokenSignedResponseAlg) || !strong(c.RequestObjectSigningAlg) || c.TokenEndpointAuthMethod == "private_key_jwt" && !strong(c.TokenEndpointAuthSigningAlg), "a weak algorithm",
		c.ApplicationType != "web" && c.ApplicationType != "mobile", "application type "+c.ApplicationType,
		c.Scope == "" || strings.Contains(c.Scope, "admin"), "scope "+c.Scope,
	)
}

func brasilHolds(c *dcr.Client) string {
	claimed := []string{"https://www.example.com.br/cb", "https://www.example.com.br/cb2"}
	return firstBroken(
		len(c.RedirectURIs) == 0 || slices.ContainsFunc(c.RedirectURIs, func(redirect string) bool { return !slices.Contains(claimed, redirect) }), "a redirect URI that the statement lacks",
		c.ClientName != "Raidiam Accounting" || c.JWKSURI != brKeys, "another name or key set than the statement's",
		!slices.Contains([]string{"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}, c.TokenEndpointAuthMethod), "method "+c.TokenEndpointAuthMethod,
		c.IDTokenSignedResponseAlg != "PS256" || c.TokenEndpointAuthSigningAlg != "" && c.TokenEndpointAuthSigningAlg != "PS256", "a weak algorithm",
		!c.TLSClientCertificateBoundAccessTokens, "tokens that are not bound",
		c.Scope == "" || strings.Contains(c.Scope, "mcp") || strings.Contains(c.Scope, "admin"), "scope "+c.Scope,
	)
}

func cdrHolds(c *dcr.Client) string {
	claimed := []string{"https://app.example.com/cb", "https://adr.example.com/cb2"}
	strong := func(alg string) bool { return alg == "PS256" || alg == "ES256" }
	return firstBroken(
		len(c.RedirectURIs) == 0 || slices.ContainsFunc(c.RedirectURIs, func(redirect string) bool { return !slices.Contains(claimed, redirect) }), "a redirect URI that the statement lacks",
		c.ClientName != "Ledger Lens" || c.JWKSURI != "https://adr.example.com/jwks", "another name or key set than the statement's",
		c.TokenEndpointAuthMethod != "private_key_jwt", "method "+c.TokenEndpointAuthMethod,
		!c.HasGrant("authorization_code") || hasGrant(c, "implicit", "password"), "a forbidden grant",
		!slices.Equal(c.ResponseTypes, []string{"code"}), "another response type",
		!strong(c.IDTokenSignedResponseAlg) || !strong(c.RequestObjectSigningAlg) || !strong(c.TokenEndpointAuthSigningAlg) || !strong(c.AuthorizationSignedResponseAlg), "a weak algorithm",
		!c.TLSClientCertificateBoundAccessTokens, "tokens that are not bound",
		c.Scope == "" || strings.Contains(c.Scope, "mcp") || strings.Contains(c.Scope, "admin"), "scope "+c.Scope,
	)
}

func ltiHolds(c *dcr.Client) string {
	config := string(c.Extra[policy.LTIToolConfiguration])
	return redirectsOnly(c, func(u *url.URL) bool { return u.Scheme == "https" }) + firstBroken(
		len(c.RedirectURIs) == 0 || c.InitiateLoginURI == "" || c.JWKSURI == "" || c.ClientName == "", "a member is missing",
		!slices.Equal(c.GrantTypes, []string{"implicit", "client_credentials"}), "other grants",
		!slices.Equal(c.ResponseTypes, []string{"id_token"}), "another response type",
		c.TokenEndpointAuthMethod != "private_key_jwt" || c.ApplicationType != "web", "another method or application type",
		c.IDTokenSignedResponseAlg == "" || c.IDTokenSignedResponseAlg == "none" || strings.HasPrefix(c.IDTokenSignedResponseAlg, "HS"), "a weak algorithm",
		!strings.Contains(config, `"domain":"www.example.org"`) || !strings.Contains(config, `"target_link_uri":"https://www.example.org/lti"`), "another configuration",
		strings.Contains(c.Scope, "admin"), "a scope beyond the ceiling",
	)
}

package spec_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

const (
	codeVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // of codeVerifier (RFC 7636 Appendix B)
	ownRedirect   = "https://app.example.com/cb"
)

// webApp returns a confidential client of the code flow, and a valid request of
// this client.
func webApp() (*dcr.Client, *dcr.AuthorizationRequest) {
	c := dcr.NewClient()
	c.ID = "app-1"
	c.RedirectURIs = []string{ownRedirect}
	c.TokenEndpointAuthMethod = "client_secret_basic"
	c.GrantTypes = []string{"authorization_code", "refresh_token"}
	c.ResponseTypes = []string{"code", "code id_token", "token", "none"}
	c.AllowOfflineAccess = true
	c.Scope = "openid profile offline_access"
	return c, &dcr.AuthorizationRequest{
		RedirectURI: ownRedirect, ResponseType: "code", Scopes: []string{"profile"},
		CodeChallenge: codeChallenge, CodeChallengeMethod: "S256",
	}
}

// nativeApp makes webApp a native client with one redirect URI.
func nativeApp(redirect string) func(c *dcr.Client) {
	return func(c *dcr.Client) {
		c.ApplicationType, c.TokenEndpointAuthMethod, c.RedirectURIs = "native", "none", []string{redirect}
	}
}

func mustPush(c *dcr.Client) { c.RequirePushedAuthorizationRequests, c.RedirectURIs = true, nil }

func TestCheckAuthorizationGrants(t *testing.T) {
	type request = dcr.AuthorizationRequest
	for _, tt := range []struct {
		sentence string
		client   func(c *dcr.Client)
		ask      func(r *request)
		want     dcr.Authorization // where it differs from the answer to webApp's request
	}{
		{"what was registered", nil, nil, dcr.Authorization{}},
		{"no redirect URI if one is registered", nil, func(r *request) { r.RedirectURI = "" }, dcr.Authorization{}},
		{"another port of a native loopback redirect", nativeApp("http://127.0.0.1/cb"), func(r *request) { r.RedirectURI = "http://127.0.0.1:51004/cb" },
			dcr.Authorization{RedirectURI: "http://127.0.0.1:51004/cb"}},
		{"any port if port 0 is registered", nativeApp("http://localhost:0/cb"), func(r *request) { r.RedirectURI = "http://localhost:51004/cb" },
			dcr.Authorization{RedirectURI: "http://localhost:51004/cb"}},
		{"a pushed redirect URI of a confidential client that must push and registered none", mustPush,
			func(r *request) { r.Pushed, r.RedirectURI = true, "https://app.example.com/today" }, dcr.Authorization{RedirectURI: "https://app.example.com/today"}},
		{"a private-use scheme that a native application pushes", func(c *dcr.Client) { mustPush(c); c.ApplicationType = "native" },
			func(r *request) { r.Pushed, r.RedirectURI = true, "com.example.app:/cb" }, dcr.Authorization{RedirectURI: "com.example.app:/cb"}},
		{"the words of a response type in any order", nil, func(r *request) { r.ResponseType = "id_token code" }, dcr.Authorization{ResponseMode: "fragment"}},
		{"a token in the fragment, without PKCE", nil, func(r *request) { r.ResponseType, r.CodeChallenge, r.CodeChallengeMethod = "token", "", "" }, dcr.Authorization{ResponseMode: "fragment"}},
		{"response type none in the query", nil, func(r *request) { r.ResponseType, r.CodeChallenge, r.CodeChallengeMethod = "none", "", "" }, dcr.Authorization{}},
		{"form_post", nil, func(r *request) { r.ResponseMode = "form_post" }, dcr.Authorization{ResponseMode: "form_post"}},
		{"a response mode of the server's own that the client registered", func(c *dcr.Client) { c.ResponseModes = []string{"web_message"} },
			func(r *request) { r.ResponseMode = "web_message" }, dcr.Authorization{ResponseMode: "web_message"}},
		{"tokens in the query in an encrypted JWT", func(c *dcr.Client) { c.AuthorizationEncryptedResponseAlg = "RSA-OAEP-256" },
			func(r *request) { r.ResponseType, r.ResponseMode = "token", "query.jwt" }, dcr.Authorization{ResponseMode: "query.jwt"}},
		{"no PKCE if the host does not require it", func(c *dcr.Client) { c.RequirePKCE = false },
			func(r *request) { r.CodeChallenge, r.CodeChallengeMethod = "", "" }, dcr.Authorization{}},
		{"a pushed request of a client that must push", func(c *dcr.Client) { c.RequirePushedAuthorizationRequests = true }, func(r *request) { r.Pushed = true }, dcr.Authorization{}},
		{"a request object with the registered algorithm", func(c *dcr.Client) { c.RequireSignedRequestObject, c.RequestObjectSigningAlg = true, "PS256" },
			func(r *request) { r.RequestObjectAlg = "PS256" }, dcr.Authorization{}},
		{"a request object with any algorithm if none is registered", func(c *dcr.Client) { c.RequireSignedRequestObject = true },
			func(r *request) { r.RequestObjectAlg = "ES256" }, dcr.Authorization{}},
		{"a request object with the other name of its algorithm", func(c *dcr.Client) { c.RequestObjectSigningAlg = "EdDSA" },
			func(r *request) { r.RequestObjectAlg = "Ed25519" }, dcr.Authorization{}},
		{"and the other way round", func(c *dcr.Client) { c.RequestObjectSigningAlg = "Ed25519" },
			func(r *request) { r.RequestObjectAlg = "EdDSA" }, dcr.Authorization{}},
		{"no request object if one may be sent", func(c *dcr.Client) { c.RequestObjectSigningAlg = "PS256" }, nil, dcr.Authorization{}},
		{"only the scopes of the client, in the order of the request", nil, func(r *request) { r.Scopes = []string{"admin", "profile", "openid", "profile"} },
			dcr.Authorization{Scopes: []string{"profile", "openid"}}},
		{"offline access with a code", nil, func(r *request) { r.Scopes = []string{"profile", "offline_access"} }, dcr.Authorization{Scopes: []string{"profile", "offline_access"}}},
		{"no offline access without a code", nil, func(r *request) { r.ResponseType, r.Scopes = "token", []string{"profile", "offline_access"} }, dcr.Authorization{ResponseMode: "fragment"}},
		{"no offline access without refresh tokens", func(c *dcr.Client) { c.AllowOfflineAccess = false }, func(r *request) { r.Scopes = []string{"profile", "offline_access"} }, dcr.Authorization{}},
		{"no scopes if the request has none", nil, func(r *request) { r.Scopes = nil }, dcr.Authorization{Scopes: []string{}}},
		{"any resource if the client has none of its own", nil, func(r *request) { r.Resources = []string{"https://api.example.com/", "urn:example:files"} },
			dcr.Authorization{Resources: []string{"https://api.example.com/", "urn:example:files"}}},
		{"any resource if the client's own are an empty list", func(c *dcr.Client) { c.Resources = []string{} }, func(r *request) { r.Resources = []string{"https://api.example.com/"} },
			dcr.Authorization{Resources: []string{"https://api.example.com/"}}},
		{"one of the client's resources", func(c *dcr.Client) { c.Resources = []string{"https://a.example/", "https://b.example/"} },
			func(r *request) { r.Resources = []string{"https://b.example/"} }, dcr.Authorization{Resources: []string{"https://b.example/"}}},
		{"the client's resources if the request has none", func(c *dcr.Client) { c.Resources = []string{"https://a.example/", "https://b.example/"} }, nil,
			dcr.Authorization{Resources: []string{"https://a.example/", "https://b.example/"}}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			c, r := webApp()
			if tt.client != nil {
				tt.client(c)
			}
			if tt.ask != nil {
				tt.ask(r)
			}
			want := tt.want
			if want.RedirectURI == "" {
				want.RedirectURI = ownRedirect
			}
			if want.ResponseMode == "" {
				want.ResponseMode = "query"
			}
			if want.Scopes == nil {
				want.Scopes = []string{"profile"}
			}
			granted, err := c.CheckAuthorization(*r, noon)
			if err != nil {
				t.Fatal(err)
			}
			if granted.RedirectURI != want.RedirectURI || granted.ResponseMode != want.ResponseMode ||
				!slices.Equal(granted.Scopes, want.Scopes) || !slices.Equal(granted.Resources, want.Resources) {
				t.Errorf("granted %+v, want %+v", *granted, want)
			}
		})
	}
}

// Refusals that are shown on the server's own page, because the redirect URI
// may not be the client's, or because the client may not be used.
func TestCheckAuthorizationRefusesOnItsOwnPage(t *testing.T) {
	asks := func(redirect string) func(*dcr.AuthorizationRequest) {
		return func(r *dcr.AuthorizationRequest) { r.RedirectURI = redirect }
	}
	pushes := func(redirect string) func(*dcr.AuthorizationRequest) {
		return func(r *dcr.AuthorizationRequest) { r.Pushed, r.RedirectURI = true, redirect }
	}
	for _, tt := range []struct {
		sentence string
		client   func(c *dcr.Client)
		ask      func(r *dcr.AuthorizationRequest)
		code     dcr.Code
		behind   error
	}{
		{"a pending client", func(c *dcr.Client) { c.Status = dcr.StatusPending }, nil, dcr.UnauthorizedClient, dcr.ErrClientPending},
		{"a disabled client", func(c *dcr.Client) { c.Status = dcr.StatusDisabled }, nil, dcr.UnauthorizedClient, dcr.ErrClientDisabled},
		{"a client with an unknown status", func(c *dcr.Client) { c.Status = "frozen" }, nil, dcr.UnauthorizedClient, dcr.ErrClientDisabled},
		{"an expired client", func(c *dcr.Client) { c.ExpiresAt = noon }, nil, dcr.UnauthorizedClient, dcr.ErrClientExpired},
		{"a redirect URI that is left out with the scope openid", nil, func(r *dcr.AuthorizationRequest) { r.RedirectURI, r.Scopes = "", []string{"openid"} }, dcr.InvalidRequest, nil},
		{"none if two are registered", func(c *dcr.Client) { c.RedirectURIs = append(c.RedirectURIs, "https://app.example.com/2") }, asks(""), dcr.InvalidRequest, nil},
		{"none if none is registered", func(c *dcr.Client) { c.RedirectURIs = nil }, asks(""), dcr.InvalidRequest, nil},
		{"none if port 0 is registered", nativeApp("http://127.0.0.1:0/cb"), asks(""), dcr.InvalidRequest, nil},
		{"a registered port 0, sent as it is", nativeApp("http://127.0.0.1:0/cb"), asks("http://127.0.0.1:0/cb"), dcr.InvalidRequest, nil},
		{"port 0 if no port is registered", nativeApp("http://127.0.0.1/cb"), asks("http://127.0.0.1:0/cb"), dcr.InvalidRequest, nil},
		{"another host", nil, asks("https://evil.example/cb"), dcr.InvalidRequest, nil},
		{"a host that begins like the registered one", nil, asks("https://app.example.com.evil.example/cb"), dcr.InvalidRequest, nil},
		{"the registered host as a user", nil, asks("https://app.example.com@evil.example/cb"), dcr.InvalidRequest, nil},
		{"http for https", nil, asks("http://app.example.com/cb"), dcr.InvalidRequest, nil},
		{"another path", nil, asks("https://app.example.com/cb/2"), dcr.InvalidRequest, nil},
		{"an added query", nil, asks(ownRedirect + "?x=1"), dcr.InvalidRequest, nil},
		{"an added fragment", nil, asks(ownRedirect + "#x"), dcr.InvalidRequest, nil},
		{"an upper-case host", nil, asks("https://APP.example.com/cb"), dcr.InvalidRequest, nil},
		{"another port of a web redirect", nil, asks("https://app.example.com:8443/cb"), dcr.InvalidRequest, nil},
		{"another form of loopback", nativeApp("http://127.0.0.1/cb"), asks("http://localhost:51004/cb"), dcr.InvalidRequest, nil},
		{"https for http on loopback", nativeApp("http://127.0.0.1/cb"), asks("https://127.0.0.1:51004/cb"), dcr.InvalidRequest, nil},
		{"another address of 127.0.0.0/8", nativeApp("http://127.0.0.1/cb"), asks("http://127.0.0.2:51004/cb"), dcr.InvalidRequest, nil},
		{"another loopback port of a web application", func(c *dcr.Client) { c.ApplicationType, c.RedirectURIs = "web", []string{"http://127.0.0.1/cb"} },
			asks("http://127.0.0.1:51004/cb"), dcr.InvalidRequest, nil},
		{"one that is pushed but not registered", func(c *dcr.Client) { c.RequirePushedAuthorizationRequests = true }, pushes("https://app.example.com/2"), dcr.InvalidRequest, nil},
		{"one that is pushed by a client that need not push", func(c *dcr.Client) { c.RedirectURIs = nil }, pushes(ownRedirect), dcr.InvalidRequest, nil},
		{"one that a public client pushes", func(c *dcr.Client) { mustPush(c); c.TokenEndpointAuthMethod = "none" }, pushes(ownRedirect), dcr.InvalidRequest, nil},
		{"one that is pushed by a client whose document allows it to be public", func(c *dcr.Client) {
			mustPush(c)
			c.Document = &dcr.DocumentRecord{AuthMethods: []string{"none", "private_key_jwt"}}
		}, pushes(ownRedirect), dcr.InvalidRequest, nil},
		{"one that should have been pushed", mustPush, asks(ownRedirect), dcr.InvalidRequest, nil},
		{"one that is pushed with a fragment", mustPush, pushes(ownRedirect + "#x"), dcr.InvalidRequest, nil},
		{"one that is pushed with a refused scheme", mustPush, pushes("javascript:alert(1)"), dcr.InvalidRequest, nil},
		{"one that is pushed with port 0", mustPush, pushes("http://127.0.0.1:0/cb"), dcr.InvalidRequest, nil},
		{"remote http that is pushed", mustPush, pushes("http://app.example.com/cb"), dcr.InvalidRequest, nil},
		{"a private-use scheme that a web application pushes", func(c *dcr.Client) { mustPush(c); c.ApplicationType = "web" }, pushes("com.example.app:/cb"), dcr.InvalidRequest, nil},
		{"localhost that a web application with tokens in the browser pushes", func(c *dcr.Client) { mustPush(c); c.ApplicationType = "web" }, pushes("http://localhost/cb"), dcr.InvalidRequest, nil},
		{"https on localhost that a native application pushes", func(c *dcr.Client) { mustPush(c); c.ApplicationType = "native" }, pushes("https://localhost/cb"), dcr.InvalidRequest, nil},
		{"none, but pushed", mustPush, pushes(""), dcr.InvalidRequest, nil},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			refused := refusedAuthorization(t, tt.client, tt.ask)
			if refused.Code != tt.code || refused.RedirectURI != "" || !errors.Is(refused, tt.behind) && tt.behind != nil {
				t.Errorf("got %+v", *refused)
			}
		})
	}
}

// Refusals that are sent to the client, at its own redirect URI.
func TestCheckAuthorizationRefusesAtTheRedirectURI(t *testing.T) {
	type request = dcr.AuthorizationRequest
	for _, tt := range []struct {
		sentence string
		client   func(c *dcr.Client)
		ask      func(r *request)
		code     dcr.Code
		rule     string
	}{
		{"no response type", nil, func(r *request) { r.ResponseType = "" }, dcr.InvalidRequest, "response_type.missing"},
		{"an unregistered response type", nil, func(r *request) { r.ResponseType = "id_token" }, dcr.UnauthorizedClient, "response_type.unregistered"},
		{"a registered word twice", nil, func(r *request) { r.ResponseType = "code code" }, dcr.UnauthorizedClient, "response_type.unregistered"},
		{"an unknown response mode", nil, func(r *request) { r.ResponseMode = "carrier_pigeon" }, dcr.InvalidRequest, "response_mode.unknown"},
		{"a response mode that is not registered", func(c *dcr.Client) { c.ResponseModes = []string{"query"} }, func(r *request) { r.ResponseMode = "form_post" }, dcr.UnauthorizedClient, "response_mode.unregistered"},
		{"a default response mode that is not registered", func(c *dcr.Client) { c.ResponseModes = []string{"form_post"} }, nil, dcr.UnauthorizedClient, "response_mode.unregistered"},
		{"tokens in the query", nil, func(r *request) { r.ResponseType, r.ResponseMode = "token", "query" }, dcr.InvalidRequest, "response_mode.query"},
		{"an ID Token in the query", nil, func(r *request) { r.ResponseType, r.ResponseMode = "code id_token", "query" }, dcr.InvalidRequest, "response_mode.query"},
		{"tokens in the query in a JWT that is not encrypted", nil, func(r *request) { r.ResponseType, r.ResponseMode = "token", "query.jwt" }, dcr.InvalidRequest, "response_mode.query"},
		{"no challenge", nil, func(r *request) { r.CodeChallenge, r.CodeChallengeMethod = "", "" }, dcr.InvalidRequest, "code_challenge.missing"},
		{"no challenge for a code among other things", nil, func(r *request) { r.ResponseType, r.CodeChallenge, r.CodeChallengeMethod = "code id_token", "", "" }, dcr.InvalidRequest, "code_challenge.missing"},
		{"a method without a challenge", func(c *dcr.Client) { c.RequirePKCE = false }, func(r *request) { r.CodeChallenge = "" }, dcr.InvalidRequest, "code_challenge.missing"},
		{"plain", nil, func(r *request) { r.CodeChallengeMethod = "plain" }, dcr.InvalidRequest, "code_challenge_method"},
		{"plain by default", nil, func(r *request) { r.CodeChallengeMethod = "" }, dcr.InvalidRequest, "code_challenge_method"},
		{"plain if PKCE is not required", func(c *dcr.Client) { c.RequirePKCE = false }, func(r *request) { r.CodeChallengeMethod = "plain" }, dcr.InvalidRequest, "code_challenge_method"},
		{"plain without a code", nil, func(r *request) { r.ResponseType, r.CodeChallengeMethod = "token", "plain" }, dcr.InvalidRequest, "code_challenge_method"},
		{"a method in lower case", nil, func(r *request) { r.CodeChallengeMethod = "s256" }, dcr.InvalidRequest, "code_challenge_method"},
		{"a request that should have been pushed", func(c *dcr.Client) { c.RequirePushedAuthorizationRequests = true }, nil, dcr.InvalidRequest, "pushed"},
		{"a request that should have been signed", func(c *dcr.Client) { c.RequireSignedRequestObject = true }, nil, dcr.InvalidRequest, "request_object.missing"},
		{"a pushed request that should have been signed", func(c *dcr.Client) { c.RequireSignedRequestObject = true }, func(r *request) { r.Pushed = true }, dcr.InvalidRequest, "request_object.missing"},
		{"a request object that is not signed", func(c *dcr.Client) { c.RequireSignedRequestObject = true }, func(r *request) { r.RequestObjectAlg = "none" }, dcr.InvalidRequestObject, "request_object.unsigned"},
		{"a request object with another algorithm", func(c *dcr.Client) { c.RequestObjectSigningAlg = "PS256" }, func(r *request) { r.RequestObjectAlg = "RS256" }, dcr.InvalidRequestObject, "request_object.algorithm"},
		{"a request object with an algorithm of the same family", func(c *dcr.Client) { c.RequestObjectSigningAlg = "Ed25519" }, func(r *request) { r.RequestObjectAlg = "Ed448" }, dcr.InvalidRequestObject, "request_object.algorithm"},
		{"an unsigned request object if an algorithm is registered", func(c *dcr.Client) { c.RequestObjectSigningAlg = "PS256" }, func(r *request) { r.RequestObjectAlg = "none" }, dcr.InvalidRequestObject, "request_object.algorithm"},
		{"no scope that the client has", nil, func(r *request) { r.Scopes = []string{"admin"} }, dcr.InvalidScope, "scope"},
		{"any scope of a client without scopes", func(c *dcr.Client) { c.Scope = "" }, nil, dcr.InvalidScope, "scope"},
		{"only offline access, without a code", nil, func(r *request) { r.ResponseType, r.Scopes = "token", []string{"offline_access"} }, dcr.InvalidScope, "scope"},
		{"a foreign resource", func(c *dcr.Client) { c.Resources = []string{"https://a.example/"} }, func(r *request) { r.Resources = []string{"https://b.example/"} }, dcr.InvalidTarget, "resource.foreign"},
		{"a foreign resource among the client's", func(c *dcr.Client) { c.Resources = []string{"https://a.example/"} },
			func(r *request) { r.Resources = []string{"https://a.example/", "https://b.example/"} }, dcr.InvalidTarget, "resource.foreign"},
		{"a resource that looks like the client's", func(c *dcr.Client) { c.Resources = []string{"https://a.example/"} }, func(r *request) { r.Resources = []string{"https://a.example"} }, dcr.InvalidTarget, "resource.foreign"},
		{"a resource that is relative", nil, func(r *request) { r.Resources = []string{"/files"} }, dcr.InvalidTarget, "resource.form"},
		{"a resource with a fragment", nil, func(r *request) { r.Resources = []string{"https://a.example/#"} }, dcr.InvalidTarget, "resource.form"},
		{"hostile text, which is not repeated", nil, func(r *request) { r.ResponseMode = "\"\r\nLocation: <script>" }, dcr.InvalidRequest, "response_mode.unknown"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			refused := refusedAuthorization(t, tt.client, tt.ask)
			if refused.Code != tt.code || refused.Rule != "authorization."+tt.rule || refused.RedirectURI != ownRedirect {
				t.Errorf("got %+v", *refused)
			}
		})
	}
}

// refusedAuthorization returns the refusal of webApp's request after changes,
// and checks what is true of every refusal.
func refusedAuthorization(t *testing.T, client func(*dcr.Client), ask func(*dcr.AuthorizationRequest)) *dcr.AuthorizationError {
	t.Helper()
	c, r := webApp()
	if client != nil {
		client(c)
	}
	if ask != nil {
		ask(r)
	}
	granted, err := c.CheckAuthorization(*r, noon)
	var refused *dcr.AuthorizationError
	if granted != nil || !errors.As(err, &refused) {
		t.Fatalf("granted %+v, error %v", granted, err)
	}
	if !errors.Is(err, refused.Code) || err.Error() != string(refused.Code)+": "+refused.Description {
		t.Errorf("the error is %q", err)
	}
	if strings.ContainsFunc(refused.Description, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' || r == '<' }) {
		t.Errorf("described as %q", refused.Description)
	}
	return refused
}

// The caller may change the authorization that it gets.
func TestAuthorizationSharesNothing(t *testing.T) {
	c, r := webApp()
	c.Resources = []string{"https://a.example/"}
	granted, err := c.CheckAuthorization(*r, noon)
	if err != nil {
		t.Fatal(err)
	}
	granted.Scopes[0], granted.Resources[0] = "changed", "changed"
	if r.Scopes[0] != "profile" || c.Resources[0] != "https://a.example/" {
		t.Error("a change of the authorization changed the request or the client")
	}
}

func TestGrantScopes(t *testing.T) {
	for _, tt := range []struct {
		sentence  string
		scope     string
		refresh   bool
		requested []string
		want      []string
	}{
		{"the client's, in the order of the request", "a b c", true, []string{"c", "x", "a"}, []string{"c", "a"}},
		{"each once", "a", true, []string{"a", "a"}, []string{"a"}},
		{"none if the request has none", "a", true, nil, nil},
		{"none of a client without scopes", "", true, []string{"a", ""}, nil},
		{"not a part of a scope", "files.read", true, []string{"files"}, nil},
		{"offline_access with refresh tokens", "a offline_access", true, []string{"offline_access"}, []string{"offline_access"}},
		{"no offline_access that the client did not register", "a", true, []string{"offline_access"}, nil},
		{"no offline_access without refresh tokens", "a offline_access", false, []string{"a", "offline_access"}, []string{"a"}},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			c, _ := webApp()
			c.Scope, c.AllowOfflineAccess = tt.scope, tt.refresh
			if got := c.GrantScopes(tt.requested); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestVerifyCodeVerifier(t *testing.T) {
	long := strings.Repeat("v", 128)
	digest := sha256.Sum256([]byte(long))
	for _, tt := range []struct {
		sentence                    string
		require                     bool
		challenge, method, verifier string
		ok                          bool
	}{
		{"the verifier of the challenge", true, codeChallenge, "S256", codeVerifier, true},
		{"the longest verifier", true, base64.RawURLEncoding.EncodeToString(digest[:]), "S256", long, true},
		{"the same if PKCE is not required", false, codeChallenge, "S256", codeVerifier, true},
		{"neither, if PKCE is not required", false, "", "", "", true},
		{"neither, if PKCE is required", true, "", "", "", false},
		{"a verifier without a challenge", true, "", "", codeVerifier, false},
		{"a verifier without a challenge if PKCE is not required", false, "", "", codeVerifier, false},
		{"a challenge without a verifier", false, codeChallenge, "S256", "", false},
		{"another verifier", true, codeChallenge, "S256", codeVerifier[1:] + "x", false},
		{"the challenge as its own verifier", true, codeChallenge, "S256", codeChallenge, false},
		{"a challenge with padding", true, codeChallenge + "=", "S256", codeVerifier, false},
		{"plain", false, codeVerifier, "plain", codeVerifier, false},
		{"plain by default", false, codeVerifier, "", codeVerifier, false},
		{"an unknown method", false, codeChallenge, "S512", codeVerifier, false},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			c := dcr.NewClient()
			c.RequirePKCE = tt.require
			err := c.VerifyCodeVerifier(tt.challenge, tt.method, tt.verifier)
			var refused *dcr.Error
			if tt.ok != (err == nil) || err != nil && (!errors.As(err, &refused) || refused.Code != dcr.InvalidGrant || refused.Rule == "") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestRefreshTokenEnd(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		sentence          string
		expiration        dcr.RefreshTokenExpiration
		absolute, sliding time.Duration
		age               time.Duration // of the grant
		end               time.Duration // from now; zero means never
	}{
		{"an absolute one ends after its lifetime", dcr.RefreshTokenAbsolute, 30 * day, 15 * day, 0, 30 * day},
		{"which does not begin again with the next token", dcr.RefreshTokenAbsolute, 30 * day, 15 * day, 20 * day, 10 * day},
		{"and may have passed", dcr.RefreshTokenAbsolute, 30 * day, 15 * day, 40 * day, -10 * day},
		{"one without a lifetime never ends", dcr.RefreshTokenAbsolute, 0, 15 * day, 20 * day, 0},
		{"one with a lifetime below zero has ended", dcr.RefreshTokenAbsolute, -day, 15 * day, 0, -day},
		{"a sliding one too", dcr.RefreshTokenSliding, -day, 15 * day, 0, -day},
		{"a sliding one ends when it is not used", dcr.RefreshTokenSliding, 30 * day, 15 * day, 0, 15 * day},
		{"which begins again with the next token", dcr.RefreshTokenSliding, 30 * day, 15 * day, 10 * day, 15 * day},
		{"but no later than the absolute end", dcr.RefreshTokenSliding, 30 * day, 15 * day, 20 * day, 10 * day},
		{"a sliding one without an absolute end slides forever", dcr.RefreshTokenSliding, 0, 15 * day, 400 * day, 15 * day},
		{"the default is absolute", "", 30 * day, 15 * day, 20 * day, 10 * day},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			c := &dcr.Client{RefreshTokenExpiration: tt.expiration, AbsoluteRefreshTokenLifetime: tt.absolute, SlidingRefreshTokenLifetime: tt.sliding}
			want := noon.Add(tt.end)
			if tt.end == 0 {
				want = time.Time{}
			}
			if got := c.RefreshTokenEnd(noon.Add(-tt.age), noon); !got.Equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if tt.age == 0 && !c.RefreshTokenEnd(time.Time{}, noon).Equal(want) {
				t.Error("the first token of a grant ends at another time")
			}
		})
	}
}

func TestNeedsConsent(t *testing.T) {
	for _, tt := range []struct {
		sentence   string
		change     func(c *dcr.Client)
		remembered time.Time
		want       bool
	}{
		{"the first time", nil, time.Time{}, true},
		{"not again", nil, noon.Add(-time.Hour), false},
		{"each time if it may not be remembered", func(c *dcr.Client) { c.AllowRememberConsent = false }, noon.Add(-time.Hour), true},
		{"not before the consent ends", func(c *dcr.Client) { c.ConsentLifetime = time.Hour }, noon.Add(-time.Hour + 1), false},
		{"again if it never lasts", func(c *dcr.Client) { c.ConsentLifetime = -time.Hour }, noon, true},
		{"again when it has ended", func(c *dcr.Client) { c.ConsentLifetime = time.Hour }, noon.Add(-time.Hour), true},
		{"each time for a public client on the person's machine", nativeApp("http://127.0.0.1/cb"), noon.Add(-time.Hour), true},
		{"also with localhost", nativeApp("http://localhost/cb"), noon.Add(-time.Hour), true},
		{"also with https on localhost", nativeApp("https://localhost/cb"), noon.Add(-time.Hour), true},
		{"also with port 0", nativeApp("http://localhost:0/cb"), noon.Add(-time.Hour), true},
		{"each time for a client with a private-use scheme", nativeApp("com.example.app:/cb"), noon.Add(-time.Hour), true},
		{"also with one such redirect among others", func(c *dcr.Client) {
			nativeApp(ownRedirect)(c)
			c.RedirectURIs = append(c.RedirectURIs, "com.example.app:/cb")
		}, noon.Add(-time.Hour), true},
		{"not again for a public client on the web", nativeApp(ownRedirect), noon.Add(-time.Hour), false},
		{"not again for a confidential client on the person's machine", func(c *dcr.Client) { c.RedirectURIs = []string{"http://127.0.0.1/cb"} }, noon.Add(-time.Hour), false},
		{"each time if its document allows it to be public there", func(c *dcr.Client) {
			c.RedirectURIs = []string{"http://127.0.0.1/cb"}
			c.TokenEndpointAuthMethod, c.Document = "private_key_jwt", &dcr.DocumentRecord{AuthMethods: []string{"private_key_jwt", "none"}}
		}, noon.Add(-time.Hour), true},
		{"not again if its document does not", func(c *dcr.Client) {
			c.RedirectURIs = []string{"http://127.0.0.1/cb"}
			c.TokenEndpointAuthMethod, c.Document = "private_key_jwt", &dcr.DocumentRecord{AuthMethods: []string{"private_key_jwt"}}
		}, noon.Add(-time.Hour), false},
		{"never if the host requires no consent", func(c *dcr.Client) { nativeApp("http://127.0.0.1/cb")(c); c.RequireConsent = false }, time.Time{}, false},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			c, _ := webApp()
			if tt.change != nil {
				tt.change(c)
			}
			if got := c.NeedsConsent(tt.remembered, noon); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestWhatAClientAnswers(t *testing.T) {
	logout := func(c *dcr.Client) { c.PostLogoutRedirectURIs = []string{"https://app.example.com/bye"} }
	disabled := func(c *dcr.Client) { logout(c); c.Status = dcr.StatusDisabled }
	returns := func(uri string) func(c *dcr.Client) bool {
		return func(c *dcr.Client) bool { return c.MatchPostLogoutRedirectURI(uri) }
	}
	for _, tt := range []struct {
		sentence string
		change   func(c *dcr.Client)
		ask      func(c *dcr.Client) bool
		want     bool
	}{
		{"a client with a secret is not public", nil, (*dcr.Client).Public, false},
		{"nor is one without a method", func(c *dcr.Client) { c.TokenEndpointAuthMethod = "" }, (*dcr.Client).Public, false},
		{"one with the method none is", func(c *dcr.Client) { c.TokenEndpointAuthMethod = "none" }, (*dcr.Client).Public, true},
		{"a response type is found in another order", nil, func(c *dcr.Client) bool { return c.HasResponseType("id_token code") }, true},
		{"a word of it is not", nil, func(c *dcr.Client) bool { return c.HasResponseType("id_token") }, false},
		{"an empty response type is not", nil, func(c *dcr.Client) bool { return c.HasResponseType("") }, false},
		{"a person returns to a registered URI", logout, returns("https://app.example.com/bye"), true},
		{"but not to a similar one", logout, returns("https://app.example.com/bye?"), false},
		{"nor to another host", logout, returns("https://app.example.com.evil.example/bye"), false},
		{"nor to an empty URI", logout, returns(""), false},
		{"nor to a disabled client", disabled, returns("https://app.example.com/bye"), false},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			c, _ := webApp()
			if tt.change != nil {
				tt.change(c)
			}
			if got := tt.ask(c); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

package providertest

// An application, with golang.org/x/oauth2 and coreos/go-oidc.

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// Object is a JSON object.
type Object = map[string]any

// Callback is the redirect URI of the clients of [Register].
const Callback = "https://app.example.com/callback"

// App is a client of one kind.
type App struct {
	t        *testing.T
	issuer   string
	metadata Object
	uses     string // the redirect URI of its requests, if not the registered one
	key      *ecdsa.PrivateKey
	kid      string
	offline  bool // whether it must request offline_access

	Registered Object
	provider   *oidc.Provider
}

// Register registers an application with an authentication method and more metadata.
func Register(t *testing.T, issuer, method string, more Object) *App {
	t.Helper()
	a := &App{metadata: Object{
		"redirect_uris": []string{Callback}, "grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": method, "scope": "openid profile",
	}}
	if method == "private_key_jwt" {
		a.key = newKey(t)
		a.metadata["jwks"] = jwks(a.key.Public(), "")
	}
	maps.Copy(a.metadata, more)
	a.register(t, issuer)
	return a
}

func (a *App) register(t *testing.T, issuer string) {
	t.Helper()
	a.discover(t, issuer)
	var found struct{ Registration_endpoint string }
	if err := a.provider.Claims(&found); err != nil {
		t.Fatal(err)
	}
	var status int
	if status, a.Registered = send(t, "POST", found.Registration_endpoint, "", a.metadata); status != 201 {
		t.Fatalf("status %d: %v", status, a.Registered)
	}
}

func (a *App) discover(t *testing.T, issuer string) {
	t.Helper()
	var err error
	if a.provider, err = oidc.NewProvider(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	a.t, a.issuer = t, issuer
}

// Text returns a member of the registered client.
func (a *App) Text(member string) string {
	text, _ := a.Registered[member].(string)
	return text
}

// send sends JSON, and returns the status and the members of the answer.
func send(t *testing.T, method, to, token string, body any) (int, Object) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(method, to, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return exchange(t, r)
}

func exchange(t *testing.T, r *http.Request) (int, Object) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var members Object
	json.NewDecoder(response.Body).Decode(&members) // a 204 has none
	return response.StatusCode, members
}

// assertion returns an assertion of a client with a key (RFC 7523 §3).
func (a *App) assertion() string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: a.key, KeyID: a.kid}}, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	claims, _ := json.Marshal(Object{
		"iss": a.Text("client_id"), "sub": a.Text("client_id"), "aud": a.issuer, "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	signed, err := signer.Sign(claims)
	if err != nil {
		a.t.Fatal(err)
	}
	text, _ := signed.CompactSerialize()
	return text
}

func (a *App) redirect() string {
	if a.uses != "" {
		return a.uses
	}
	return a.metadata["redirect_uris"].([]string)[0]
}

// Config returns the OAuth configuration of the application.
func (a *App) Config() *oauth2.Config {
	c := &oauth2.Config{ClientID: a.Text("client_id"), ClientSecret: a.Text("client_secret"), Endpoint: a.provider.Endpoint(), RedirectURL: a.redirect(), Scopes: []string{"openid", "profile"}}
	if a.offline {
		c.Scopes = append(c.Scopes, oidc.ScopeOfflineAccess)
	}
	c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	if a.metadata["token_endpoint_auth_method"] == "client_secret_basic" {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	}
	return c
}

// Post sends a form to the token endpoint, with the credentials of the client.
func (a *App) Post(form url.Values) (int, Object) {
	a.t.Helper()
	form.Set("client_id", a.Text("client_id"))
	basic := a.metadata["token_endpoint_auth_method"] == "client_secret_basic"
	switch {
	case a.key != nil:
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", a.assertion())
	case !basic && a.Text("client_secret") != "":
		form.Set("client_secret", a.Text("client_secret"))
	}
	r, err := http.NewRequest("POST", a.provider.Endpoint().TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		r.SetBasicAuth(a.Text("client_id"), a.Text("client_secret"))
	}
	return exchange(a.t, r)
}

// Code sends Paula to the server, and returns the answer to the client.
func (a *App) Code(browser *http.Client, options ...oauth2.AuthCodeOption) (url.Values, int) {
	a.t.Helper()
	response, err := Visit(browser, a.Config().AuthCodeURL("a state", options...), "allow")
	if err != nil {
		a.t.Fatal(err)
	}
	response.Body.Close()
	to, err := response.Location()
	if err != nil {
		return nil, response.StatusCode
	}
	if !strings.HasPrefix(to.String(), a.redirect()) || to.Query().Get("state") != "a state" || to.Query().Get("iss") != a.issuer {
		a.t.Errorf("the answer goes to %s", to)
	}
	return to.Query(), response.StatusCode
}

// login logs in, calls userinfo, and refreshes. It returns the next refresh token.
func (a *App) login() string {
	a.t.Helper()
	ctx, verifier, nonce := a.t.Context(), oauth2.GenerateVerifier(), rand.Text()
	answer, status := a.Code(NewBrowser(a.issuer), oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce))
	if answer.Get("code") == "" {
		a.t.Fatalf("status %d, no code: %v", status, answer)
	}
	options := []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}
	if a.key != nil {
		options = append(options, oauth2.SetAuthURLParam("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), oauth2.SetAuthURLParam("client_assertion", a.assertion()))
	}
	token, err := a.Config().Exchange(ctx, answer.Get("code"), options...)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	verified, err := a.provider.Verifier(&oidc.Config{ClientID: a.Text("client_id")}).Verify(ctx, raw)
	if err != nil || verified.Subject != "paula" || verified.Nonce != nonce || verified.VerifyAccessToken(token.AccessToken) != nil {
		a.t.Fatalf("the ID Token is %+v: %v", verified, err)
	}
	told, err := a.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	var claims struct{ Name string }
	if err != nil || told.Subject != "paula" || told.Claims(&claims) != nil || claims.Name != "Paula Person" {
		a.t.Fatalf("userinfo says %+v: %v", told, err)
	}
	status, refreshed := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}})
	next, _ := refreshed["refresh_token"].(string)
	if status != 200 || next == "" || next == token.RefreshToken {
		a.t.Fatalf("status %d: the answer to a refresh is %v", status, refreshed)
	}
	return next
}

// update replaces the registered redirect URI.
func (a *App) update(redirect string) {
	a.t.Helper()
	before := a.redirect()
	a.metadata["redirect_uris"], a.uses = []string{redirect}, ""
	body := Object{"client_id": a.Text("client_id")}
	for name, value := range a.metadata {
		body[name] = value
	}
	status, updated := send(a.t, "PUT", a.Text("registration_client_uri"), a.Text("registration_access_token"), body)
	if status != 200 || updated["registration_access_token"] == a.Text("registration_access_token") || a.Text("client_secret") != "" && updated["client_secret"] == a.Text("client_secret") {
		a.t.Fatalf("status %d: nothing was rotated: %v", status, updated)
	}
	a.Registered = updated
	config := a.Config()
	config.RedirectURL = before
	response, err := Visit(NewBrowser(a.issuer), config.AuthCodeURL("a state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), "allow")
	if err != nil || response.StatusCode != http.StatusBadRequest {
		a.t.Errorf("the old redirect URI: status %d, %v", response.StatusCode, err)
	}
	response.Body.Close()
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func jwks(public crypto.PublicKey, kid string) jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: kid, Use: "sig", Algorithm: "ES256"}}}
}

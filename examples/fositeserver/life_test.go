package main

// From registration to deletion, with golang.org/x/oauth2 and coreos/go-oidc.

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

type object = map[string]any

// app is a client of one kind.
type app struct {
	t        *testing.T
	issuer   string
	metadata object
	uses     string // the redirect URI of its requests, if it is not the one that it registered
	key      *ecdsa.PrivateKey
	kid      string
	offline  bool // it must ask for offline_access

	registered object
	provider   *oidc.Provider
}

func (a *app) text(member string) string {
	text, _ := a.registered[member].(string)
	return text
}

// send sends JSON, and returns the status and what came back.
func send(t *testing.T, method, to, token string, body any) (int, object) {
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

func exchange(t *testing.T, r *http.Request) (int, object) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var members object
	json.NewDecoder(response.Body).Decode(&members) // none in a 204
	return response.StatusCode, members
}

// assertion is what a client with a key signs (RFC 7523 §3).
func (a *app) assertion() string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: a.key, KeyID: a.kid}}, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	claims, _ := json.Marshal(object{
		"iss": a.text("client_id"), "sub": a.text("client_id"), "aud": a.issuer, "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	signed, err := signer.Sign(claims)
	if err != nil {
		a.t.Fatal(err)
	}
	text, _ := signed.CompactSerialize()
	return text
}

func (a *app) redirect() string {
	if a.uses != "" {
		return a.uses
	}
	return a.metadata["redirect_uris"].([]string)[0]
}

func (a *app) config() *oauth2.Config {
	c := &oauth2.Config{ClientID: a.text("client_id"), ClientSecret: a.text("client_secret"), Endpoint: a.provider.Endpoint(), RedirectURL: a.redirect(), Scopes: []string{"openid", "profile"}}
	if a.offline {
		c.Scopes = append(c.Scopes, oidc.ScopeOfflineAccess)
	}
	c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	if a.metadata["token_endpoint_auth_method"] == "client_secret_basic" {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	}
	return c
}

// post sends a form to the token endpoint, with what authenticates the client.
func (a *app) post(form url.Values) (int, object) {
	a.t.Helper()
	form.Set("client_id", a.text("client_id"))
	basic := a.metadata["token_endpoint_auth_method"] == "client_secret_basic"
	switch {
	case a.key != nil:
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", a.assertion())
	case !basic && a.text("client_secret") != "":
		form.Set("client_secret", a.text("client_secret"))
	}
	r, err := http.NewRequest("POST", a.provider.Endpoint().TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		r.SetBasicAuth(a.text("client_id"), a.text("client_secret"))
	}
	return exchange(a.t, r)
}

// code sends Paula to the server, and returns the answer to the client.
func (a *app) code(browser *http.Client, options ...oauth2.AuthCodeOption) (url.Values, int) {
	a.t.Helper()
	response, err := visit(browser, a.config().AuthCodeURL("a state", options...), "allow")
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

// login is the way from discovery to userinfo and refresh. It returns a refresh token.
func (a *app) login() string {
	a.t.Helper()
	ctx, verifier, nonce := a.t.Context(), oauth2.GenerateVerifier(), rand.Text()
	answer, status := a.code(newBrowser(a.issuer), oauth2.S256ChallengeOption(verifier), oidc.Nonce(nonce))
	if answer.Get("code") == "" {
		a.t.Fatalf("status %d, no code: %v", status, answer)
	}
	options := []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}
	if a.key != nil {
		options = append(options, oauth2.SetAuthURLParam("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), oauth2.SetAuthURLParam("client_assertion", a.assertion()))
	}
	token, err := a.config().Exchange(ctx, answer.Get("code"), options...)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	verified, err := a.provider.Verifier(&oidc.Config{ClientID: a.text("client_id")}).Verify(ctx, raw)
	if err != nil || verified.Subject != "paula" || verified.Nonce != nonce || verified.VerifyAccessToken(token.AccessToken) != nil {
		a.t.Fatalf("the ID Token is %+v: %v", verified, err)
	}
	told, err := a.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	var claims struct{ Name string }
	if err != nil || told.Subject != "paula" || told.Claims(&claims) != nil || claims.Name != "Paula Person" {
		a.t.Fatalf("userinfo says %+v: %v", told, err)
	}
	status, refreshed := a.post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}})
	next, _ := refreshed["refresh_token"].(string)
	if status != 200 || next == "" || next == token.RefreshToken {
		a.t.Fatalf("status %d: a refresh is answered by %v", status, refreshed)
	}
	return next
}

// update registers another redirect URI in the place of the one that it has.
func (a *app) update(redirect string) {
	a.t.Helper()
	before := a.redirect()
	a.metadata["redirect_uris"], a.uses = []string{redirect}, ""
	body := object{"client_id": a.text("client_id")}
	for name, value := range a.metadata {
		body[name] = value
	}
	status, updated := send(a.t, "PUT", a.text("registration_client_uri"), a.text("registration_access_token"), body)
	if status != 200 || updated["registration_access_token"] == a.text("registration_access_token") || a.text("client_secret") != "" && updated["client_secret"] == a.text("client_secret") {
		a.t.Fatalf("status %d: nothing was rotated: %v", status, updated)
	}
	a.registered = updated
	config := a.config()
	config.RedirectURL = before
	response, err := visit(newBrowser(a.issuer), config.AuthCodeURL("a state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), "allow")
	if err != nil || response.StatusCode != http.StatusBadRequest {
		a.t.Errorf("the redirect URI that it had before: status %d, %v", response.StatusCode, err)
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

func TestLife(t *testing.T) {
	publisher, key := dcrtest.NewPublisher(t), newKey(t)
	keys, err := json.Marshal(jwks(key.Public(), "2"))
	if err != nil {
		t.Fatal(err)
	}
	const web, native = "https://app.example.com/callback", "http://127.0.0.1/callback"
	issuer := serve(t, memstore.New(), func(s *settings) { s.rotate, s.fetch = true, publisher.Fetch() })
	for name, a := range map[string]*app{
		"a native one on another port":  {uses: "http://127.0.0.1:49152/callback", metadata: object{"application_type": "native", "redirect_uris": []string{native}, "token_endpoint_auth_method": "none"}},
		"one with a private-use scheme": {metadata: object{"application_type": "native", "redirect_uris": []string{"com.example.app:/callback"}, "token_endpoint_auth_method": "none"}},
		"one in a browser":              {metadata: object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "none"}},
		"one with basic":                {metadata: object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "client_secret_basic"}},
		"one with post":                 {metadata: object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "client_secret_post"}},
		"one with a key":                {key: key, kid: "1", metadata: object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(key.Public(), "1")}},
		"one with a key without a kid":  {key: key, metadata: object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(key.Public(), "")}},
		"one with keys at a URL":        {key: key, kid: "2", metadata: object{"redirect_uris": []string{web}, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": publisher.Publish("/keys", keys)}},
	} {
		t.Run(name, func(t *testing.T) {
			a.t, a.issuer = t, issuer
			a.metadata["grant_types"] = []string{"authorization_code", "refresh_token"}
			if a.provider, err = oidc.NewProvider(t.Context(), issuer); err != nil {
				t.Fatal(err)
			}
			var found struct{ Registration_endpoint string }
			if err := a.provider.Claims(&found); err != nil {
				t.Fatal(err)
			}
			var status int
			if status, a.registered = send(t, "POST", found.Registration_endpoint, "", a.metadata); status != 201 {
				t.Fatalf("status %d: %v", status, a.registered)
			}
			a.login()
			other := "https://other.example.com/callback"
			if a.metadata["application_type"] == "native" {
				other = "com.example.other:/callback"
			}
			a.update(other)
			refresh := a.login()
			if status, _ := send(t, "DELETE", a.text("registration_client_uri"), a.text("registration_access_token"), nil); status != 204 {
				t.Fatalf("it is deleted with status %d", status)
			}
			if status, answer := a.post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}); status != 401 || answer["error"] != "invalid_client" {
				t.Errorf("deleted, it is answered by status %d: %v", status, answer)
			}
		})
	}
}

// A client that publishes its metadata goes the same way, without registering.
func TestLifeOfADocument(t *testing.T) {
	publisher := dcrtest.NewPublisher(t)
	for _, preset := range []string{"", "mcp", "oidc"} {
		t.Run(preset, func(t *testing.T) {
			document := []byte(`{"client_name":"Document","application_type":"native","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"scope":"openid profile offline_access"}`)
			id, store := publisher.Publish("/"+preset+"client.json", document), memstore.New()
			issuer := serve(t, store, func(s *settings) {
				s.preset, s.documents, s.fetch = preset, []string{publisher.Host()}, publisher.Fetch()
			})
			provider, err := oidc.NewProvider(t.Context(), issuer)
			if err != nil {
				t.Fatal(err)
			}
			a := &app{t: t, issuer: issuer, provider: provider, uses: "http://127.0.0.1:49152/callback", metadata: object{}, registered: object{"client_id": id}, offline: preset == "oidc"}
			refresh := a.login()
			client, err := store.FindByClientID(t.Context(), id)
			if err != nil || client.Source != dcr.SourceDocument {
				t.Fatalf("it has no row: %+v, %v", client, err)
			}
			client.Status = dcr.StatusDisabled
			if err := store.Update(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			if status, answer := a.post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}); status != 401 || answer["error"] != "invalid_client" {
				t.Errorf("disabled, it is answered by status %d: %v", status, answer)
			}
		})
	}
}

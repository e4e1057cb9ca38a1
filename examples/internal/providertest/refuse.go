package providertest

// Refusals, and outages, which are not refusals.

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// token posts a form as it is.
func token(t *testing.T, endpoint string, basic *url.Userinfo, form url.Values) (int, Object) {
	t.Helper()
	r, err := http.NewRequest("POST", endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic != nil {
		secret, _ := basic.Password()
		r.SetBasicAuth(basic.Username(), secret)
	}
	return exchange(t, r)
}

func credentialsThatAreRefused(t *testing.T, start Start) {
	store := memstore.New()
	issuer := start(t, store, Settings{})
	basic, other, public, signing := Register(t, issuer, "client_secret_basic", nil), Register(t, issuer, "client_secret_basic", nil), Register(t, issuer, "none", nil), Register(t, issuer, "private_key_jwt", nil)
	expired := Register(t, issuer, "client_secret_basic", nil)
	client, err := store.FindByClientID(t.Context(), expired.Text("client_id"))
	if err != nil {
		t.Fatal(err)
	}
	client.Secrets[0].ExpiresAt = time.Now().Add(-time.Second)
	if err := store.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	twice := url.Values{
		"client_id": {signing.Text("client_id")}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {signing.assertion()},
	}
	foreign := url.Values{"client_id": {signing.Text("client_id")}, "client_assertion_type": twice["client_assertion_type"]}
	key := signing.key
	signing.key = newKey(t)
	foreign.Set("client_assertion", signing.assertion())
	signing.key = key
	byPost := func(a *App, secret string) url.Values {
		return url.Values{"client_id": {a.Text("client_id")}, "client_secret": {secret}}
	}
	for _, c := range []struct {
		sentence string
		basic    *url.Userinfo
		form     url.Values
		code     string
	}{
		{"the right secret is accepted, but the code does not exist", url.UserPassword(basic.Text("client_id"), basic.Text("client_secret")), url.Values{}, "invalid_grant"},
		{"a wrong secret", url.UserPassword(basic.Text("client_id"), "wrong"), url.Values{}, "invalid_client"},
		{"the secret of another client", url.UserPassword(basic.Text("client_id"), other.Text("client_secret")), url.Values{}, "invalid_client"},
		{"an expired secret", url.UserPassword(expired.Text("client_id"), expired.Text("client_secret")), url.Values{}, "invalid_client"},
		{"no secret", nil, url.Values{"client_id": {basic.Text("client_id")}}, "invalid_client"},
		{"a secret of a client that signs", nil, byPost(signing, basic.Text("client_secret")), "invalid_client"},
		{"a secret of a public client", nil, byPost(public, basic.Text("client_secret")), "invalid_client"},
		{"no credentials of a client that signs", nil, url.Values{"client_id": {signing.Text("client_id")}}, "invalid_client"},
		{"an assertion is accepted", nil, twice, "invalid_grant"},
		{"an assertion that was used before", nil, twice, "invalid_client"},
		{"an assertion by another key", nil, foreign, "invalid_client"},
		{"a client that does not exist", url.UserPassword("none", "wrong"), url.Values{}, "invalid_client"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			for name, value := range map[string]string{"grant_type": "authorization_code", "code": "none", "redirect_uri": Callback, "code_verifier": oauth2.GenerateVerifier()} {
				c.form.Set(name, value)
			}
			status, answer := token(t, basic.provider.Endpoint().TokenURL, c.basic, c.form)
			wants := map[string]int{"invalid_grant": 400, "invalid_client": 401}[c.code]
			if status != wants || answer["error"] != c.code {
				t.Errorf("status %d: %v", status, answer)
			}
		})
	}
}

func requestsThatAreRefused(t *testing.T, start Start) {
	store := memstore.New()
	issuer := start(t, store, Settings{})
	a := Register(t, issuer, "client_secret_basic", nil)
	pkce := oauth2.S256ChallengeOption(oauth2.GenerateVerifier())
	for _, redirect := range []string{
		"https://app.example.com/callback/", "https://app.example.com/Callback", "https://app.example.com:443/callback", "https://app.example.com/callback?x=1",
		"https://app.example.com@evil.example/callback", "https://app.example.com.evil.example/callback", "http://app.example.com/callback", "https://app.example.com/%63allback", "//app.example.com/callback", "",
	} {
		config := a.Config()
		config.RedirectURL = redirect
		response, err := Visit(NewBrowser(issuer), config.AuthCodeURL("a state", pkce), "allow")
		if err != nil || response.StatusCode != http.StatusBadRequest || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%q: %v %v", redirect, response, err)
		}
	}
	if answer, _ := a.Code(NewBrowser(issuer)); answer.Get("error") != "invalid_request" {
		t.Errorf("without PKCE: %v", answer)
	}
	if answer, _ := a.Code(NewBrowser(issuer), pkce, oauth2.SetAuthURLParam("scope", "email")); answer.Get("error") != "invalid_scope" {
		t.Errorf("for a scope that it does not have: %v", answer)
	}
	answer, _ := a.Code(NewBrowser(issuer), pkce, oauth2.SetAuthURLParam("scope", "openid email"))
	if _, got := a.Post(url.Values{"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {Callback}}); got["error"] != "invalid_grant" {
		t.Errorf("a code without its verifier: %v", got)
	}
	verifier := oauth2.GenerateVerifier()
	answer, _ = a.Code(NewBrowser(issuer), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("scope", "openid email"))
	granted, err := a.Config().Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil || granted.Extra("scope") != "openid" {
		t.Errorf("the scope is %v: %v", granted, err)
	}
	for _, status := range []dcr.Status{dcr.StatusDisabled, dcr.StatusPending} {
		client, err := store.FindByClientID(t.Context(), a.Text("client_id"))
		if err != nil {
			t.Fatal(err)
		}
		client.Status = status
		if err := store.Update(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		if answer, at := a.Code(NewBrowser(issuer), pkce); at != http.StatusBadRequest || answer != nil {
			t.Errorf("%s: status %d, %v", status, at, answer)
		}
		if at, got := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {granted.RefreshToken}}); at < 400 || at > 401 || got["access_token"] != nil {
			t.Errorf("%s: status %d, %v", status, at, got)
		}
		if _, err := a.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(granted)); err == nil {
			t.Errorf("%s: userinfo answers", status)
		}
	}
}

// A code or refresh token that is used twice was stolen, so its grant ends.
func theSecondTime(t *testing.T, start Start) {
	issuer := start(t, memstore.New(), Settings{})
	a := Register(t, issuer, "none", nil)
	for name, again := range map[string]func(code url.Values, refresh string) (int, Object){
		"a code": func(code url.Values, _ string) (int, Object) { return a.Post(code) },
		"a refresh token": func(_ url.Values, refresh string) (int, Object) {
			return a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
		},
	} {
		verifier := oauth2.GenerateVerifier()
		answer, _ := a.Code(NewBrowser(issuer), oauth2.S256ChallengeOption(verifier))
		code := url.Values{"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {Callback}, "code_verifier": {verifier}}
		_, first := a.Post(code)
		refresh, _ := first["refresh_token"].(string)
		_, second := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
		next, _ := second["refresh_token"].(string)
		if next == "" {
			t.Fatalf("%s: %v", name, second)
		}
		if status, got := again(code, refresh); status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("%s: status %d: %v", name, status, got)
		}
		if status, got := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {next}}); status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("after %s was used twice, the grant still works: status %d: %v", name, status, got)
		}
	}
}

// A code or refresh token that many requests send at once gives tokens to one of them at most.
// The race detector finds a host that lets them change at once what it stores.
func allAtOnce(t *testing.T, start Start) {
	issuer := start(t, memstore.New(), Settings{})
	a := Register(t, issuer, "none", nil)
	verifier := oauth2.GenerateVerifier()
	code := func() url.Values {
		answer, _ := a.Code(NewBrowser(issuer), oauth2.S256ChallengeOption(verifier))
		return url.Values{"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {Callback}, "code_verifier": {verifier}}
	}
	for name, form := range map[string]func() url.Values{
		"a code": code,
		"a refresh token": func() url.Values {
			_, granted := a.Post(code())
			refresh, _ := granted["refresh_token"].(string)
			return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}
		},
	} {
		for range 3 {
			sent := form()
			var granted atomic.Int32
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if _, got := a.Post(maps.Clone(sent)); got["access_token"] != nil {
						granted.Add(1)
					}
				})
			}
			all.Wait()
			if granted.Load() > 1 {
				t.Errorf("%s gives tokens to %d requests", name, granted.Load())
			}
		}
	}
}

// A token no longer opens what was removed from the client's scope, neither at userinfo nor
// for a resource server.
func scopeThatIsGone(t *testing.T, start Start) {
	store := memstore.New()
	issuer := start(t, store, Settings{})
	a := Register(t, issuer, "client_secret_post", nil)
	verifier := oauth2.GenerateVerifier()
	answer, _ := a.Code(NewBrowser(issuer), oauth2.S256ChallengeOption(verifier))
	granted, err := a.Config().Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scope string
		name  bool
	}{{"openid profile", true}, {"openid", false}} {
		client, err := store.FindByClientID(t.Context(), a.Text("client_id"))
		if err != nil {
			t.Fatal(err)
		}
		client.Scope = c.scope
		if err := store.Update(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		status, told := send(t, "GET", a.provider.UserInfoEndpoint(), granted.AccessToken, nil)
		if _, named := told["name"]; status != 200 || named != c.name {
			t.Errorf("with the scope %q, userinfo answers %d %v", c.scope, status, told)
		}
	}
	status, refreshed := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {granted.RefreshToken}})
	if status != 200 || refreshed["scope"] != "openid" {
		t.Errorf("a refresh is answered with %d %v", status, refreshed)
	}
}

// Store is a store that can be down.
type Store struct {
	*memstore.Store
	Down atomic.Bool
}

func (s *Store) FindByClientID(ctx context.Context, id string) (*dcr.Client, error) {
	if s.Down.Load() {
		return nil, errors.New("the database is down")
	}
	return s.Store.FindByClientID(ctx, id)
}

func storeThatIsDown(t *testing.T, start Start) {
	store := &Store{Store: memstore.New()}
	issuer := start(t, store, Settings{})
	a := Register(t, issuer, "client_secret_basic", nil)
	verifier := oauth2.GenerateVerifier()
	answer, _ := a.Code(NewBrowser(issuer), oauth2.S256ChallengeOption(verifier))
	granted, err := a.Config().Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	store.Down.Store(true)
	is503 := func(name string, status int, answer any) {
		if status != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d: %v", name, status, answer)
		}
	}
	status, got := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {granted.RefreshToken}})
	is503("a refresh", status, got)
	status, got = send(t, "GET", a.provider.UserInfoEndpoint(), granted.AccessToken, nil)
	is503("userinfo", status, got)
	status, got = send(t, "GET", a.Text("registration_client_uri"), a.Text("registration_access_token"), nil)
	is503("a client that reads itself", status, got)
	_, status = a.Code(NewBrowser(issuer), oauth2.S256ChallengeOption(verifier))
	is503("an authorization request", status, nil)

	store.Down.Store(false)
	if status, got := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {granted.RefreshToken}}); status != 200 {
		t.Errorf("the outage used up the refresh token: status %d: %v", status, got)
	}
}

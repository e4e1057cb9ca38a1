package main

// What a person sees.

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/dynreg/dcr/examples/internal/providertest"
	"github.com/dynreg/dcr/memstore"
)

// read opens a page, and returns its status, its text and its address.
func read(t *testing.T, browser *http.Client, address string) (int, string, *url.URL) {
	t.Helper()
	response, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if to, err := response.Location(); err == nil {
		return response.StatusCode, string(text), to
	}
	return response.StatusCode, string(text), response.Request.URL
}

// signIn signs a person in without an application.
func signIn(t *testing.T, browser *http.Client, issuer, name, password string) (int, string) {
	t.Helper()
	response, err := browser.PostForm(issuer+"/login", url.Values{"name": {name}, "password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// A client can ask without a page whether a person is signed in, and can make them sign
// in again.
func TestPrompts(t *testing.T) {
	issuer := serve(t, memstore.New(), nil)
	a := providertest.Register(t, issuer, "client_secret_basic", nil)
	browser := providertest.NewBrowser(issuer)
	pkce := oauth2.S256ChallengeOption(oauth2.GenerateVerifier())
	prompt := func(name, value string) string {
		return a.Config().AuthCodeURL("a state", pkce, oauth2.SetAuthURLParam(name, value))
	}
	refused := func(wants string) {
		t.Helper()
		if _, _, to := read(t, browser, prompt("prompt", "none")); to.Query().Get("error") != wants || to.Query().Get("iss") != issuer || to.Query().Get("state") != "a state" {
			t.Errorf("the answer is %s", to)
		}
	}
	asks := func(address, wants string) {
		t.Helper()
		if status, text, _ := read(t, browser, address); status != 200 || !strings.Contains(text, wants) {
			t.Errorf("status %d, and the page lacks %s: %s", status, wants, text)
		}
	}
	refused("login_required")
	signIn(t, browser, issuer, "paula", providertest.Password)
	refused("consent_required")
	if answer, _ := a.Code(browser, pkce); answer.Get("code") == "" {
		t.Fatalf("no code: %v", answer)
	}
	if _, _, to := read(t, browser, prompt("prompt", "none")); to.Query().Get("code") == "" {
		t.Errorf("the person agreed before, but the answer is %s", to)
	}
	asks(prompt("prompt", "login"), `type="password"`)
	asks(prompt("prompt", "select_account"), `type="password"`)
	asks(prompt("max_age", "0"), `type="password"`)
	asks(prompt("prompt", "consent"), "asks for access")
	asks(prompt("login_hint", `"><script>`)+"&prompt=login", `value="&#34;&gt;&lt;script&gt;"`)

	response, err := providertest.Visit(browser, prompt("prompt", "consent"), "deny")
	if err != nil {
		t.Fatal(err)
	}
	if to, err := response.Location(); err != nil || to.Query().Get("error") != "access_denied" || to.Query().Get("iss") != issuer {
		t.Errorf("the answer after a denial is %v, %v", to, err)
	}
}

// When a client changes, the person is asked again, and a consent to the old version
// does not count.
func TestConsentIsForTheClientAsItWasShown(t *testing.T) {
	store := memstore.New()
	issuer := serve(t, store, nil)
	a := providertest.Register(t, issuer, "client_secret_basic", nil)
	browser := providertest.NewBrowser(issuer)
	pkce := oauth2.S256ChallengeOption(oauth2.GenerateVerifier())
	signIn(t, browser, issuer, "paula", providertest.Password)
	_, text, _ := read(t, browser, a.Config().AuthCodeURL("a state", pkce))
	_, filled := providertest.Fill(text, "allow")
	client, err := store.FindByClientID(t.Context(), a.Text("client_id"))
	if err != nil {
		t.Fatal(err)
	}
	client.ClientName = "Another name"
	if err := store.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	response, err := browser.PostForm(issuer+"/consent", filled)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if shown, _ := io.ReadAll(response.Body); response.StatusCode != 200 || !strings.Contains(string(shown), "Another name") {
		t.Errorf("status %d: %s", response.StatusCode, shown)
	}
}

// Someone who knows the link to the sign-in page does not get the code of the person who
// agreed.
func TestCodeGoesToTheBrowserThatAgreed(t *testing.T) {
	issuer := serve(t, memstore.New(), nil)
	a := providertest.Register(t, issuer, "none", nil)
	mallory, paula := providertest.NewBrowser(issuer), providertest.NewBrowser(issuer)
	_, _, link := read(t, mallory, a.Config().AuthCodeURL("a state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	id := link.Query().Get("id")
	signIn(t, paula, issuer, "paula", providertest.Password)
	_, text, _ := read(t, paula, link.String())
	_, filled := providertest.Fill(text, "allow")
	paula.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := paula.PostForm(issuer+"/consent", filled)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	back, err := response.Location()
	if err != nil || back.Path != "/authorize/callback" {
		t.Fatalf("Paula is sent to %v: %v", back, err)
	}
	if status, _, to := read(t, mallory, issuer+"/authorize/callback?id="+url.QueryEscape(id)); status != http.StatusBadRequest {
		t.Errorf("Mallory is sent to %s", to)
	}
	if status, _, _ := read(t, mallory, link.String()); status != http.StatusBadRequest {
		t.Errorf("the request is still waiting: status %d", status)
	}
	if _, _, to := read(t, paula, back.String()); to.Query().Get("code") == "" {
		t.Errorf("Paula is then sent to %s", to)
	}
	if status, _, to := read(t, paula, back.String()); status != http.StatusBadRequest {
		t.Errorf("there is a second code at %s", to)
	}
}

func TestSigningOut(t *testing.T) {
	issuer := serve(t, memstore.New(), nil)
	a := providertest.Register(t, issuer, "none", providertest.Object{"post_logout_redirect_uris": []string{"https://app.example.com/bye"}})
	browser, verifier := providertest.NewBrowser(issuer), oauth2.GenerateVerifier()
	answer, _ := a.Code(browser, oauth2.S256ChallengeOption(verifier))
	granted, err := a.Config().Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	isSignedIn := func() bool {
		_, text, _ := read(t, browser, issuer+"/")
		return strings.Contains(text, "signed in as <bdi>Paula")
	}
	hint, _ := granted.Extra("id_token").(string)
	leave := url.Values{"post_logout_redirect_uri": {"https://app.example.com/bye"}, "client_id": {a.Text("client_id")}, "state": {"1"}}
	if _, text, at := read(t, browser, issuer+"/end_session?"+leave.Encode()); at.Path != "/logout" || !strings.Contains(text, "Sign out?") || !isSignedIn() {
		t.Errorf("anybody can sign Paula out: %s", at)
	}
	leave.Set("id_token_hint", hint)
	if _, _, at := read(t, browser, issuer+"/end_session?"+leave.Encode()); at.String() != "https://app.example.com/bye?state=1" || isSignedIn() {
		t.Errorf("after signing out, Paula is sent to %s", at)
	}
	if status, got := a.Post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {granted.RefreshToken}}); status != 400 {
		t.Errorf("a grant without offline_access outlives the session: status %d: %v", status, got)
	}
	signIn(t, browser, issuer, "paula", providertest.Password)
	if response, err := browser.PostForm(issuer+"/logout", nil); err != nil || response.StatusCode != 200 || isSignedIn() {
		t.Errorf("Paula cannot sign out herself: %v %v", response, err)
	}
}

func TestOperatorsPages(t *testing.T) {
	issuer := serve(t, memstore.New(), nil)
	for name, wants := range map[string]string{"": "Password", "paula": "These pages are for operators", "olga": "Signed in as <bdi>olga</bdi>"} {
		browser := providertest.NewBrowser(issuer)
		if name != "" {
			signIn(t, browser, issuer, name, providertest.Password)
		}
		if _, text, at := read(t, browser, issuer+adminPath); !strings.Contains(text, wants) {
			t.Errorf("%q sees at %s: %s", name, at, text)
		}
	}
}

func TestPasswordsAreNotGuessed(t *testing.T) {
	issuer := serve(t, memstore.New(), nil)
	for range 10 {
		if status, text := signIn(t, providertest.NewBrowser(issuer), issuer, "paula", "a guess"); status != 403 || !strings.Contains(text, errWrong.Error()) {
			t.Fatalf("status %d: %s", status, text)
		}
	}
	if status, text := signIn(t, providertest.NewBrowser(issuer), issuer, "paula", providertest.Password); status != 403 || !strings.Contains(text, errTooMany.Error()) {
		t.Errorf("status %d: %s", status, text)
	}
	if status, text := signIn(t, providertest.NewBrowser(issuer), issuer, "nobody", providertest.Password); status != 403 || !strings.Contains(text, errWrong.Error()) {
		t.Errorf("status %d: %s", status, text)
	}
}

func TestNoOtherSitePosts(t *testing.T) {
	issuer := serve(t, memstore.New(), nil)
	for _, path := range []string{"/login", "/consent", "/logout"} {
		r, err := http.NewRequest("POST", issuer+path, strings.NewReader("name=paula"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		response, err := providertest.NewBrowser(issuer).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", path, response.StatusCode)
		}
	}
}

func TestAutoApprove(t *testing.T) {
	issuer := serve(t, memstore.New(), func(s *settings) { s.autoApprove = true })
	a := providertest.Register(t, issuer, "none", nil)
	_, _, to := read(t, providertest.NewBrowser(issuer), a.Config().AuthCodeURL("a state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	if to.Query().Get("code") == "" {
		t.Errorf("the answer is %s", to)
	}
}

// A logo is shown only if the operator allows it, and only from the client's server.
func TestLogos(t *testing.T) {
	for _, shows := range []bool{false, true} {
		issuer := serve(t, memstore.New(), func(s *settings) { s.logos = shows })
		a := providertest.Register(t, issuer, "none", providertest.Object{"logo_uri": "https://app.example.com/logo.png?a=%22%3E%3Cscript%3E", "client_uri": "https://app.example.com/"})
		browser := providertest.NewBrowser(issuer)
		signIn(t, browser, issuer, "paula", providertest.Password)
		response, err := browser.Get(a.Config().AuthCodeURL("a state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		policy := response.Header.Get("Content-Security-Policy")
		if strings.Contains(string(text), "<img ") != shows || strings.HasSuffix(policy, "; img-src https://app.example.com") != shows || !strings.Contains(string(text), "asks for access") {
			t.Errorf("-logos=%t: %s: %s", shows, policy, text)
		}
	}
}

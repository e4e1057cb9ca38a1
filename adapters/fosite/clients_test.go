package fosite_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"

	"github.com/dynreg/dcr"
	adapter "github.com/dynreg/dcr/adapters/fosite"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

const (
	issuer    = "https://id.example.com"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	redirect  = "https://app.example.com/callback"
)

// world has the server of the example and its parts.
type world struct {
	*testing.T
	store   *memstore.Store
	server  server
	handler http.Handler
}

// newWorld returns a server with a confidential client, app-1.
func newWorld(t *testing.T, clients adapter.Clients) *world {
	store := memstore.New()
	clients.Store = store
	return newWorldOf(t, store, clients)
}

func newWorldOf(t *testing.T, store *memstore.Store, clients adapter.Clients) *world {
	w := &world{T: t, store: store}
	config := &fosite.Config{GlobalSecret: make([]byte, 32), IDTokenIssuer: issuer}
	rand.Read(config.GlobalSecret)
	w.server = server{issuer: issuer, clients: &clients}
	w.server.provider = compose.Compose(config, &Storage{Kept{storage.NewMemoryStore()}, &clients}, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OAuth2TokenIntrospectionFactory, compose.OAuth2PKCEFactory)
	clients.Configure(config)
	senders := &clientauth.Authenticator{Store: clients.Store}
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", w.server.authorize)
	mux.Handle("/token", senders.Require(http.HandlerFunc(w.server.token)))
	mux.Handle("/introspect", senders.Require(http.HandlerFunc(w.server.introspect)))
	w.handler = mux
	client := dcr.NewClient()
	client.ID, client.RedirectURIs, client.ResponseTypes = "app-1", []string{redirect}, []string{"code"}
	client.GrantTypes, client.Scope = []string{"authorization_code", "refresh_token"}, "files.read offline_access"
	client.TokenEndpointAuthMethod, client.Secrets = "client_secret_post", []dcr.Secret{dcr.HashSecret("secret")}
	client.AllowOfflineAccess = true
	if err := w.store.Add(context.Background(), client); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) change(change func(client *dcr.Client)) {
	client, err := w.store.FindByClientID(context.Background(), "app-1")
	if err != nil {
		w.Fatal(err)
	}
	change(client)
	if err := w.store.Update(context.Background(), client); err != nil {
		w.Fatal(err)
	}
}

// authorize returns the parameters that are sent to the redirect URI.
func (w *world) authorize(more url.Values) url.Values {
	recorder := w.get(more)
	to, err := recorder.Result().Location()
	if err != nil {
		w.Fatalf("the answer is a page of status %d: %s", recorder.Code, recorder.Body)
	}
	return to.Query()
}

// get sends an authorization request.
func (w *world) get(more url.Values) *httptest.ResponseRecorder {
	query := url.Values{
		"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"files.read"}, "state": {"12345678"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for name, values := range more {
		query[name] = values
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, httptest.NewRequest("GET", issuer+"/authorize?"+query.Encode(), nil))
	return recorder
}

// post sends a form as the client and returns the members of the answer.
func (w *world) post(path string, form url.Values) map[string]any {
	form.Set("client_id", "app-1")
	form.Set("client_secret", "secret")
	return w.send(httptest.NewRequest("POST", issuer+path, nil), form)
}

func (w *world) send(request *http.Request, form url.Values) map[string]any {
	request.Body = io.NopCloser(strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, request)
	members := make(map[string]any)
	if err := json.Unmarshal(recorder.Body.Bytes(), &members); err != nil {
		w.Fatalf("the answer is %d %s", recorder.Code, recorder.Body)
	}
	return members
}

func (w *world) redeem(code string) map[string]any {
	return w.post("/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
}

// A client that does not request offline_access gets a refresh token, and one that
// requests no scope gets the default scopes.
func TestRefreshWithoutScope(t *testing.T) {
	w := newWorld(t, adapter.Clients{RefreshWithoutScope: true, DefaultScopes: []string{"files.read", "files.write"}})
	granted := w.redeem(w.authorize(url.Values{"scope": {""}}).Get("code"))
	if granted["scope"] != "files.read" || granted["refresh_token"] == nil {
		t.Errorf("without a scope, the answer is %v", granted)
	}
	w = newWorld(t, adapter.Clients{})
	if granted := w.redeem(w.authorize(nil).Get("code")); granted["access_token"] == nil || granted["refresh_token"] != nil {
		t.Errorf("without offline_access, the answer is %v", granted)
	}
	if granted := w.redeem(w.authorize(url.Values{"scope": {"files.read offline_access"}}).Get("code")); granted["refresh_token"] == nil {
		t.Errorf("with offline_access, the answer is %v", granted)
	}
	w.change(func(client *dcr.Client) { client.Scope = "offline" })
	if granted := w.redeem(w.authorize(url.Values{"scope": {"offline"}}).Get("code")); granted["refresh_token"] != nil {
		t.Errorf("with fosite's own scope offline, the answer is %v", granted)
	}
}

// A client that acts on its own behalf gets only its own scope and resources.
func TestClientCredentials(t *testing.T) {
	w := newWorld(t, adapter.Clients{})
	w.change(func(client *dcr.Client) {
		client.GrantTypes, client.Scope, client.Resources = []string{"client_credentials"}, "files.read photos.*", []string{"https://files.example.com/a"}
	})
	for _, c := range []struct {
		scope, audience string
		wants           any
	}{
		{"files.read", "https://files.example.com/a", nil},
		{"files.write", "", "invalid_scope"},
		{"photos.read", "", "invalid_scope"},
		{"files.read files.write", "", nil},
		{"files.read", "https://files.example.com/a/b", "invalid_target"},
	} {
		for _, name := range []string{"audience", "resource"} {
			form := url.Values{"grant_type": {"client_credentials"}, "scope": {c.scope}}
			if c.audience != "" {
				form.Set(name, c.audience)
			}
			got := w.post("/token", form)
			if got["error"] != c.wants {
				t.Errorf("for %s and the %s %q the answer is %v", c.scope, name, c.audience, got)
			}
			if got["error"] != nil {
				continue
			}
			token, _ := got["access_token"].(string)
			told := w.post("/introspect", url.Values{"token": {token}})
			if audience, _ := told["aud"].([]any); told["scope"] != "files.read" || len(audience) != 1 || audience[0] != "https://files.example.com/a" {
				t.Errorf("for %s and the %s %q introspection says %v", c.scope, name, c.audience, told)
			}
		}
	}
}

// TestPublicClientsDoNotIntrospect checks that nobody introspects without credentials,
// not even a client that has a key but may come without.
func TestPublicClientsDoNotIntrospect(t *testing.T) {
	w := newWorld(t, adapter.Clients{})
	public, either := dcr.NewClient(), dcr.NewClient()
	public.TokenEndpointAuthMethod, either.TokenEndpointAuthMethod = "none", "private_key_jwt"
	either.Source, either.Document = dcr.SourceDocument, &dcr.DocumentRecord{AuthMethods: []string{"private_key_jwt", "none"}}
	for _, c := range []struct {
		client  *dcr.Client
		method  string
		refused bool
	}{{public, "none", true}, {either, "none", true}, {either, "private_key_jwt", false}} {
		r := httptest.NewRequest("POST", issuer+"/introspect", nil)
		r = r.WithContext(clientauth.NewContext(r.Context(), &clientauth.Authentication{Client: c.client, Method: c.method}))
		if _, err := w.server.clients.Introspect(w.server.provider, r, new(fosite.DefaultSession)); errors.Is(err, fosite.ErrUnauthorizedClient) != c.refused {
			t.Errorf("a client of %s by %s: the error is %v", c.client.TokenEndpointAuthMethod, c.method, err)
		}
	}
}

// Scopes that the client does not have are left out. Its resources become the audience,
// which a refresh does not change.
func TestWhatIsGranted(t *testing.T) {
	w := newWorld(t, adapter.Clients{RefreshWithoutScope: true})
	granted := w.redeem(w.authorize(url.Values{
		"scope": {"files.read files.write"}, "resource": {"https://files.example.com/a"}, "audience": {"https://other.example.com"},
	}).Get("code"))
	if granted["scope"] != "files.read" {
		t.Errorf("the answer is %v", granted)
	}
	token, _ := granted["refresh_token"].(string)
	granted = w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	token, _ = granted["access_token"].(string)
	told := w.post("/introspect", url.Values{"token": {token}})
	audience, _ := told["aud"].([]any)
	if told["active"] != true || len(audience) != 1 || audience[0] != "https://files.example.com/a" {
		t.Errorf("introspection says %v", told)
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, httptest.NewRequest("GET", issuer+"/authorize?response_type=code&response_mode=fragment&client_id=app-1&redirect_uri="+url.QueryEscape(redirect), nil))
	if to := recorder.Header().Get("Location"); !strings.HasPrefix(to, redirect+"#error=invalid_request") {
		t.Errorf("the refusal is sent to %q", to)
	}
	w.change(func(client *dcr.Client) { client.Resources = []string{"https://files.example.com/b"} })
	if answer := w.authorize(url.Values{"resource": {"https://files.example.com/b/c"}}); answer.Get("error") != "invalid_target" || answer.Get("state") == "" {
		t.Errorf("the answer is %v", answer)
	}
}

// A grant ends after AbsoluteRefreshTokenLifetime, no matter how often it is refreshed.
func TestRefreshTokensEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, adapter.Clients{RefreshWithoutScope: true})
		w.change(func(client *dcr.Client) {
			client.AbsoluteRefreshTokenLifetime, client.SlidingRefreshTokenLifetime = 50*time.Minute, 30*time.Minute
			client.RefreshTokenExpiration = dcr.RefreshTokenSliding
		})
		granted := w.redeem(w.authorize(nil).Get("code"))
		for _, left := range []time.Duration{30 * time.Minute, 30 * time.Minute, 10 * time.Minute} {
			token, _ := granted["refresh_token"].(string)
			_, request, err := w.server.provider.IntrospectToken(t.Context(), token, fosite.RefreshToken, new(fosite.DefaultSession))
			if err != nil {
				t.Fatal(err)
			}
			if ends := time.Until(request.GetSession().GetExpiresAt(fosite.RefreshToken)); ends != left {
				t.Errorf("the refresh token ends in %v, not %v", ends, left)
			}
			time.Sleep(20 * time.Minute)
			granted = w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
		}
		if granted["error"] != "invalid_grant" {
			t.Errorf("after an hour the answer is %v", granted)
		}
	})
}

// A code expires after the client's own lifetime, whether that is long or short.
func TestCodesEnd(t *testing.T) {
	for lifetime, wants := range map[time.Duration]any{time.Minute: "invalid_grant", 5 * time.Minute: nil} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, adapter.Clients{})
			w.change(func(client *dcr.Client) { client.AuthorizationCodeLifetime = lifetime })
			code := w.authorize(nil).Get("code")
			time.Sleep(2 * time.Minute)
			if got := w.redeem(code); got["error"] != wants {
				t.Errorf("after two minutes, the answer for a code that lives %v is %v", lifetime, got)
			}
		})
	}
}

// After a change to a weaker method, a client must begin a new grant. Basic and post
// count as the same method.
func TestRefreshWithAnotherMethod(t *testing.T) {
	for method, wants := range map[string]any{"client_secret_basic": nil, "none": "invalid_client"} {
		w := newWorld(t, adapter.Clients{RefreshWithoutScope: true})
		granted := w.redeem(w.authorize(nil).Get("code"))
		w.change(func(client *dcr.Client) { client.TokenEndpointAuthMethod = method })
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {granted["refresh_token"].(string)}, "client_id": {"app-1"}}
		r := httptest.NewRequest("POST", issuer+"/token", nil)
		if method == "client_secret_basic" {
			r.SetBasicAuth("app-1", "secret")
		}
		got := w.send(r, form)
		if got["error"] != wants {
			t.Errorf("the answer to a refresh with %s is %v", method, got)
		}
		w.change(func(client *dcr.Client) { client.TokenEndpointAuthMethod = "client_secret_post" })
		if wants != nil {
			if got := w.post("/token", form); got["access_token"] == nil {
				t.Errorf("the refusal used up the refresh token: %v", got)
			}
		}
	}
}

// Each authorization response has an iss (RFC 9207), in the requested mode.
func TestIss(t *testing.T) {
	w := newWorld(t, adapter.Clients{})
	for sentence, query := range map[string]url.Values{
		"a code":                        nil,
		"a refusal":                     {"code_challenge": {""}},
		"an unknown response mode":      {"response_mode": {"jwt"}},
		"a code that is posted":         {"response_mode": {"form_post"}},
		"a refusal that is posted":      {"response_mode": {"form_post"}, "code_challenge": {""}},
		"a refusal by fosite":           {"prompt": {"none"}, "state": {"short"}},
		"a refusal without a state":     {"state": {""}, "code_challenge": {""}},
		"a request object, not allowed": {"request": {"e30.e30."}, "scope": {"openid files.read"}},
	} {
		recorder := w.get(query)
		to, err := recorder.Result().Location()
		if query.Get("response_mode") == "form_post" {
			body := recorder.Body.String()
			if !strings.Contains(body, `name="iss" value="`+issuer+`"`) || !strings.Contains(body, `name="state" value="12345678"`) {
				t.Errorf("%s: %d %s", sentence, recorder.Code, body)
			}
			continue
		}
		if err != nil || to.Query().Get("iss") != issuer || !strings.HasPrefix(to.String(), redirect+"?") {
			t.Errorf("%s: %d %v", sentence, recorder.Code, to)
		}
		if states := to.Query()["state"]; len(states) > 1 || len(states) == 1 && states[0] == "" {
			t.Errorf("%s: the state is %q", sentence, states)
		}
	}
}

// A client that publishes its metadata gets tokens. If its document changes, its code is
// refused.
func TestDocument(t *testing.T) {
	publisher := dcrtest.NewPublisher(t)
	id := publisher.Publish("/client.json", []byte(`{"client_name":"Document","redirect_uris":["`+redirect+`"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"scope":"files.read"}`))
	store := memstore.New()
	published, err := cimd.New(store, &cimd.Options{Issuer: issuer, Admit: cimd.Any, Validator: dcr.DefaultValidator{Supports: supports}, Fetch: publisher.Fetch()})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldOf(t, store, adapter.Clients{Store: published.Known(), Published: published, RefreshWithoutScope: true})
	code := w.authorize(url.Values{"client_id": {id}}).Get("code")
	ask := func(form url.Values) map[string]any {
		form.Set("client_id", id)
		return w.send(httptest.NewRequest("POST", issuer+"/token", nil), form)
	}
	granted := ask(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
	refresh, _ := granted["refresh_token"].(string)
	if granted = ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}); granted["access_token"] == nil {
		t.Fatalf("the answer to a refresh is %v", granted)
	}
	client, err := store.FindByClientID(t.Context(), id)
	if err != nil || client.Source != dcr.SourceDocument {
		t.Fatalf("the client is not stored: %+v, %v", client, err)
	}
	client.Status = dcr.StatusDisabled
	if err := store.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	refresh, _ = granted["refresh_token"].(string)
	if got := ask(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}); got["error"] != "invalid_client" {
		t.Errorf("the answer to a disabled client is %v", got)
	}
	if recorder := w.get(url.Values{"client_id": {id}}); recorder.Code != http.StatusBadRequest {
		t.Errorf("the status for the authorization request of a disabled client is %d", recorder.Code)
	}
}

// The tokens of a deleted client are also invalid for code that asks fosite itself.
func TestTokensOfAClientThatIsGone(t *testing.T) {
	w := newWorld(t, adapter.Clients{})
	granted := w.redeem(w.authorize(nil).Get("code"))
	token, _ := granted["access_token"].(string)
	ask := func() error {
		_, _, err := w.server.provider.IntrospectToken(context.Background(), token, fosite.AccessToken, new(fosite.DefaultSession))
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Delete(context.Background(), "app-1"); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err == nil {
		t.Error("the token is still valid")
	}
}

// If the host forgets something, that is an error of the server, and no client is
// accepted.
func TestMisuse(t *testing.T) {
	w := newWorld(t, adapter.Clients{})
	provider := w.server.provider
	form := "client_id=app-1&client_secret=secret&grant_type=client_credentials&token=t"
	post := func() *http.Request {
		r := httptest.NewRequest("POST", issuer+"/token", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	for sentence, call := range map[string]func() error{
		"NewAuthorizeRequest in place of CheckAuthorizeRequest": func() error {
			_, err := provider.NewAuthorizeRequest(context.Background(), httptest.NewRequest("GET", issuer+"/authorize?client_id=app-1", nil))
			return errors.Unwrap(err)
		},
		"a token endpoint without Require": func() error {
			_, err := provider.NewAccessRequest(context.Background(), post(), new(fosite.DefaultSession))
			return err
		},
		"an introspection endpoint without Require": func() error {
			_, err := w.server.clients.Introspect(provider, post(), new(fosite.DefaultSession))
			return err
		},
		"fosite's own assertions": func() error { return w.server.clients.SetClientAssertionJWT(context.Background(), "jti", time.Now()) },
	} {
		if err := call(); !errors.Is(err, fosite.ErrServerError) {
			t.Errorf("%s: the error is %v", sentence, err)
		}
	}
}

// A revocation endpoint without Require does not answer as if it had revoked the token.
func TestMisusedRevocation(t *testing.T) {
	w := newWorld(t, adapter.Clients{})
	r := httptest.NewRequest("POST", issuer+"/revoke", strings.NewReader("token=t&client_id=app-1"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	recorder := httptest.NewRecorder()
	w.server.revoke(recorder, r)
	if recorder.Code != http.StatusBadRequest {
		t.Errorf("the answer is %d %s", recorder.Code, recorder.Body)
	}
}

// Request objects are refused, and their URLs are not fetched.
func TestRequestObjects(t *testing.T) {
	w := newWorld(t, adapter.Clients{})
	w.change(func(client *dcr.Client) {
		client.Scope, client.RequestURIs, client.JWKSURI = "openid", []string{"http://127.0.0.1:1/"}, "http://127.0.0.1:1/"
	})
	query := url.Values{
		"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {"12345678"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "request_uri": {"http://127.0.0.1:1/"},
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, httptest.NewRequest("GET", issuer+"/authorize?"+query.Encode(), nil))
	if recorder.Code != http.StatusBadRequest || !strings.Contains(recorder.Body.String(), "request_uri_not_supported") {
		t.Errorf("the answer is %d %s", recorder.Code, recorder.Body)
	}
}

package fosite_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/dynreg/dcr"
	adapter "github.com/dynreg/dcr/adapters/fosite"
	"github.com/dynreg/dcr/clientauth"
)

const (
	files  = "https://files.example.com"
	photos = "https://photos.example.com"
)

// newWorldWithTwo returns a server whose client has two scopes and may use any resource, and
// the request for both scopes and two resources.
func newWorldWithTwo(t *testing.T, clients adapter.Clients) (*world, url.Values) {
	w := newWorld(t, clients)
	w.change(func(client *dcr.Client) { client.Scope = "files.read files.write offline_access" })
	return w, url.Values{"scope": {"files.read files.write"}, "resource": {files, photos}}
}

// Changes since the person consented take effect when the code is redeemed.
func TestCodeOfAClientThatChanged(t *testing.T) {
	for sentence, c := range map[string]struct {
		before, after func(client *dcr.Client)
		asked         url.Values
		wants         string
	}{
		"the redirect URI is gone": {after: func(client *dcr.Client) { client.RedirectURIs = []string{redirect + "2"} }, wants: "invalid_grant"},
		"the redirect URI, which the request did not name, is gone": {
			asked: url.Values{"redirect_uri": {""}}, after: func(client *dcr.Client) { client.RedirectURIs = []string{redirect + "2"} }, wants: "invalid_grant",
		},
		"another redirect URI was added": {
			asked: url.Values{"redirect_uri": {""}}, after: func(client *dcr.Client) { client.RedirectURIs = append(client.RedirectURIs, redirect+"2") },
		},
		"a granted scope is gone":    {after: func(client *dcr.Client) { client.Scope = "offline_access" }, wants: "invalid_grant"},
		"a granted resource is gone": {after: func(client *dcr.Client) { client.Resources = []string{photos} }, wants: "invalid_grant"},
		"the grant type is gone":     {after: func(client *dcr.Client) { client.GrantTypes = []string{"client_credentials"} }, wants: "unauthorized_client"},
		"the client is disabled":     {after: func(client *dcr.Client) { client.Status = dcr.StatusDisabled }, wants: "invalid_client"},
		"it must use PKCE now": {
			before: func(client *dcr.Client) { client.RequirePKCE = false }, asked: url.Values{"code_challenge": {""}, "code_challenge_method": {""}},
			after: func(client *dcr.Client) { client.RequirePKCE = true }, wants: "invalid_grant",
		},
	} {
		for _, named := range []string{"", redirect, redirect + "2"} {
			if named == "" != c.asked.Has("redirect_uri") && named != redirect+"2" {
				continue
			}
			if named == redirect+"2" && c.wants == "" {
				c.wants = "invalid_grant" // the code was not sent there
			}
			w, asked := newWorldWithTwo(t, adapter.Clients{})
			for name, values := range c.asked {
				asked[name] = values
			}
			if c.before != nil {
				w.change(c.before)
			}
			code := w.authorize(asked).Get("code")
			w.change(c.after)
			form := url.Values{"grant_type": {"authorization_code"}, "code": {code}}
			if named != "" {
				form.Set("redirect_uri", named)
			}
			if !c.asked.Has("code_challenge") {
				form.Set("code_verifier", verifier)
			}
			if got := w.post("/token", form); got["error"] != c.wants && !(c.wants == "" && got["access_token"] != nil) {
				t.Errorf("%s, and the token request names %q: the answer is %v", sentence, named, got)
			}
		}
	}
}

// At a refresh, the scopes that were removed from the client are left out. Without any left,
// or without a resource that was granted, the refresh token is refused.
func TestRefreshOfAClientThatChanged(t *testing.T) {
	for sentence, c := range map[string]struct {
		offline bool // offline_access is needed
		change  func(client *dcr.Client)
		scope   any
		wants   any
	}{
		"nothing changed":                   {change: func(client *dcr.Client) {}, scope: "files.read files.write"},
		"a scope is gone":                   {change: func(client *dcr.Client) { client.Scope = "files.read" }, scope: "files.read"},
		"all scopes are gone":               {change: func(client *dcr.Client) { client.Scope = "openid" }, wants: "invalid_scope"},
		"a scope and offline_access remain": {offline: true, change: func(client *dcr.Client) { client.Scope = "files.read offline_access" }, scope: "files.read offline_access"},
		"offline_access is gone":            {offline: true, change: func(client *dcr.Client) { client.Scope = "files.read" }, wants: "invalid_scope"},
		"the resources remain":              {change: func(client *dcr.Client) { client.Resources = []string{photos, files} }, scope: "files.read files.write"},
		"a resource is gone":                {change: func(client *dcr.Client) { client.Resources = []string{photos} }, wants: "invalid_grant"},
		"offline access is switched off":    {change: func(client *dcr.Client) { client.AllowOfflineAccess = false }, wants: "unauthorized_client"},
		"the client is disabled":            {change: func(client *dcr.Client) { client.Status = dcr.StatusDisabled }, wants: "invalid_client"},
	} {
		w, asked := newWorldWithTwo(t, adapter.Clients{RefreshWithoutScope: !c.offline})
		if c.offline {
			asked.Set("scope", "files.read files.write offline_access")
		}
		granted := w.redeem(w.authorize(asked).Get("code"))
		w.change(c.change)
		token, _ := granted["refresh_token"].(string)
		got := w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
		if got["error"] != c.wants || got["scope"] != c.scope {
			t.Errorf("%s: the answer to a refresh is %v", sentence, got)
		}
		if c.wants != nil {
			continue
		}
		token, _ = got["access_token"].(string)
		use, request, err := w.server.provider.IntrospectToken(t.Context(), token, fosite.AccessToken, new(fosite.DefaultSession))
		if err != nil || use != fosite.AccessToken || len(request.GetGrantedAudience()) != 2 {
			t.Errorf("%s: introspection says %v, %v", sentence, request.GetGrantedAudience(), err)
		}
		if scopes := request.GetClient().GetScopes(); scopes.Has(" ") {
			t.Errorf("%s: the stored client has the scopes %q", sentence, scopes)
		}
	}
}

// Introspection leaves out what was removed from the client, also for code that asks fosite
// itself.
func TestTokensOfAClientThatChanged(t *testing.T) {
	for sentence, c := range map[string]struct {
		change   func(client *dcr.Client)
		scope    any
		audience int
		inactive bool
	}{
		"nothing changed":        {change: func(client *dcr.Client) {}, scope: "files.read files.write", audience: 2},
		"a scope is gone":        {change: func(client *dcr.Client) { client.Scope = "files.read" }, scope: "files.read", audience: 2},
		"a resource is gone":     {change: func(client *dcr.Client) { client.Resources = []string{photos} }, scope: "files.read files.write", audience: 1},
		"all resources are gone": {change: func(client *dcr.Client) { client.Resources = []string{"https://mail.example.com"} }, inactive: true},
	} {
		w, asked := newWorldWithTwo(t, adapter.Clients{})
		granted := w.redeem(w.authorize(asked).Get("code"))
		w.change(c.change)
		token, _ := granted["access_token"].(string)
		told := w.post("/introspect", url.Values{"token": {token}})
		audience, _ := told["aud"].([]any)
		if told["active"] != !c.inactive || told["scope"] != c.scope || len(audience) != c.audience {
			t.Errorf("%s: introspection says %v", sentence, told)
		}
		_, _, err := w.server.provider.IntrospectToken(t.Context(), token, fosite.AccessToken, new(fosite.DefaultSession), "files.write")
		if isValid := c.scope == "files.read files.write"; isValid != (err == nil) {
			t.Errorf("%s: for files.write, the error is %v", sentence, err)
		}
	}
}

// A client that requires bound tokens does not get unbound ones.
func TestBoundTokensAreNotIssued(t *testing.T) {
	for name, bind := range map[string]func(client *dcr.Client){
		"DPoP": func(client *dcr.Client) { client.DPoPBoundAccessTokens = true },
		"mTLS": func(client *dcr.Client) { client.TLSClientCertificateBoundAccessTokens = true },
	} {
		w := newWorld(t, adapter.Clients{RefreshWithoutScope: true})
		w.change(func(client *dcr.Client) { client.GrantTypes = append(client.GrantTypes, "client_credentials") })
		granted := w.redeem(w.authorize(nil).Get("code"))
		token, _ := granted["refresh_token"].(string)
		code := w.authorize(nil).Get("code")
		w.change(bind)
		if answer := w.authorize(nil); answer.Get("error") != "server_error" || answer.Get("code") != "" {
			t.Errorf("%s: the answer to an authorization request is %v", name, answer)
		}
		for grant, got := range map[string]map[string]any{
			"a code":             w.redeem(code),
			"a refresh":          w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}),
			"client credentials": w.post("/token", url.Values{"grant_type": {"client_credentials"}}),
		} {
			if got["error"] != "server_error" || got["access_token"] != nil {
				t.Errorf("%s: the answer to %s is %v", name, grant, got)
			}
		}
	}
}

// A grant that no handler of fosite knows is refused.
func TestUnknownGrants(t *testing.T) {
	w := newWorld(t, adapter.Clients{})
	for _, grant := range []string{"password", "urn:ietf:params:oauth:grant-type:jwt-bearer", "refresh_token client_credentials", "x"} {
		w.change(func(client *dcr.Client) { client.GrantTypes = []string{grant} })
		if got := w.post("/token", url.Values{"grant_type": {grant}, "username": {"a"}, "password": {"b"}}); got["error"] == nil {
			t.Errorf("for %s the answer is %v", grant, got)
		}
	}
}

// forgetful is a session that keeps only the times of the token types that it knows.
type forgetful struct{ *fosite.DefaultSession }

func (f forgetful) SetExpiresAt(kind fosite.TokenType, at time.Time) {
	if kind == fosite.AuthorizeCode || kind == fosite.AccessToken {
		f.DefaultSession.SetExpiresAt(kind, at)
	}
}

func (f forgetful) Clone() fosite.Session { return f }

// A session that does not keep the times of all token types is an error of the server.
func TestForgetfulSession(t *testing.T) {
	w := newWorld(t, adapter.Clients{})
	client, err := w.store.FindByClientID(t.Context(), "app-1")
	if err != nil {
		t.Fatal(err)
	}
	query := url.Values{
		"client_id": {"app-1"}, "response_type": {"code"}, "scope": {"files.read"}, "state": {"12345678"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	r := httptest.NewRequest("GET", issuer+"/authorize?"+query.Encode(), nil)
	r = r.WithContext(clientauth.NewContext(context.Background(), &clientauth.Authentication{Client: client}))
	request, err := w.server.clients.CheckAuthorizeRequest(w.server.provider, r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.server.provider.NewAuthorizeResponse(r.Context(), request, forgetful{new(fosite.DefaultSession)})
	if !errors.Is(err, fosite.ErrServerError) {
		t.Errorf("the error is %v", err)
	}
}

package zitadeloidc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/adapters/zitadeloidc"
	"github.com/dynreg/dcr/memstore"
)

// get returns the answer to a request, and its text.
func get(t *testing.T, address, token string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	browser := &http.Client{CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if next.URL.Host == request.URL.Host {
			return nil
		}
		return http.ErrUseLastResponse
	}}
	response, err := browser.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

// A posted authorization response has iss, because discovery says that all have it.
func TestFormPostHasTheIssuer(t *testing.T) {
	store := memstore.New()
	register(t, store, nil)
	issuer := start(t, store)
	query := url.Values{
		"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {`"><script>`},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "response_mode": {"form_post"},
	}
	response, page := get(t, issuer+"/authorize?"+query.Encode(), "")
	for _, wants := range []string{`action="` + redirect + `"`, `name="iss" value="` + issuer + `"`, `name="code"`, `name="state" value="&#34;&gt;&lt;script&gt;"`} {
		if !strings.Contains(page, wants) {
			t.Errorf("the page lacks %s: %s", wants, page)
		}
	}
	if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'sha256-") {
		t.Errorf("its policy is %q", policy)
	}
}

// For a request that nobody consented to, the client gets an error. For an unknown
// request, the person gets it.
func TestRefusalsOnTheWayBack(t *testing.T) {
	store := memstore.New()
	register(t, store, nil)
	kept := newStorage(store)
	issuer, err := serve(t, kept, new(op.Config), nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := kept.CreateAuthRequest(context.Background(), &oidc.AuthRequest{
		ClientID: "app-1", RedirectURI: redirect, ResponseType: oidc.ResponseTypeCode, State: "1", Scopes: []string{"openid"},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	response, _ := get(t, issuer+"/authorize/callback?id="+made.GetID(), "")
	to, _ := response.Location()
	if to == nil || to.Query().Get("error") != "interaction_required" || to.Query().Get("iss") != issuer || to.Query().Get("state") != "1" {
		t.Errorf("the person is sent to %v", to)
	}
	if response, text := get(t, issuer+"/authorize/callback?id=none", ""); response.StatusCode != http.StatusBadRequest || !strings.Contains(text, "has expired") {
		t.Errorf("status %d: %s", response.StatusCode, text)
	}
	if err := store.Delete(context.Background(), "app-1"); err != nil {
		t.Fatal(err)
	}
	if err := kept.CheckUsernamePassword("test-user@127.0.0.1", "verysecure", made.GetID()); err != nil {
		t.Fatal(err)
	}
	if response, _ := get(t, issuer+"/authorize/callback?id="+made.GetID(), ""); response.StatusCode != http.StatusBadRequest {
		t.Errorf("after the client was deleted: status %d", response.StatusCode)
	}
}

// renaming is a storage with clients of its own type.
type renaming struct{ *Storage }

type named struct{ zitadeloidc.Client }

func (s renaming) GetClientByClientID(ctx context.Context, clientID string) (op.Client, error) {
	found, err := s.Storage.GetClientByClientID(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return named{found.(zitadeloidc.Client)}, nil
}

// Nobody is sent to a redirect URI that the client lost while the person signed in, neither
// with a code nor with an error.
func TestRedirectURIThatIsGoneOnTheWayBack(t *testing.T) {
	for _, c := range []struct{ signsIn, ownType bool }{{true, false}, {false, false}, {true, true}} {
		store := memstore.New()
		client := register(t, store, nil)
		kept := newStorage(store)
		var served op.Storage = kept
		if c.ownType {
			served = renaming{kept}
		}
		issuer, err := serve(t, served, new(op.Config), nil)
		if err != nil {
			t.Fatal(err)
		}
		made, err := kept.CreateAuthRequest(context.Background(), &oidc.AuthRequest{
			ClientID: "app-1", RedirectURI: redirect, ResponseType: oidc.ResponseTypeCode, State: "1", Scopes: []string{"openid"},
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		if c.signsIn {
			if err := kept.CheckUsernamePassword("test-user@127.0.0.1", "verysecure", made.GetID()); err != nil {
				t.Fatal(err)
			}
		}
		client.RedirectURIs = []string{redirect + "2"}
		if err := store.Update(context.Background(), client); err != nil {
			t.Fatal(err)
		}
		response, text := get(t, issuer+"/authorize/callback?id="+made.GetID(), "")
		if response.StatusCode != http.StatusBadRequest || strings.Contains(text, "app.example.com") || response.Header.Get("Location") != "" {
			t.Errorf("%+v: status %d, to %q: %s", c, response.StatusCode, response.Header.Get("Location"), text)
		}
	}
}

// down is a storage that cannot look up tokens.
type down struct{ *Storage }

func (d down) SetUserinfoFromToken(context.Context, *oidc.UserInfo, string, string, string) error {
	return oidc.ErrServerError().WithParent(errors.New("the database is down"))
}

func TestUserinfoRefuses(t *testing.T) {
	for _, c := range []struct {
		sentence, token, challenge string
		isDown                     bool
		status                     int
	}{
		{"without a token, the answer is only a challenge", "", "Bearer", false, 401},
		{"a token that does not exist is invalid", "none", `Bearer error="invalid_token"`, false, 401},
		{"the token of a deleted client is invalid", "issued", `Bearer error="invalid_token"`, false, 401},
		{"an outage gets 503", "issued", "", true, 503},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			store := memstore.New()
			register(t, store, nil)
			var kept op.Storage = newStorage(store)
			if c.isDown {
				kept = down{newStorage(store)}
			}
			issuer, err := serve(t, kept, new(op.Config), nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.token == "issued" {
				c.token, _ = redeem(t, issuer, nil)["access_token"].(string)
			}
			if c.token != "" && !c.isDown {
				if err := store.Delete(context.Background(), "app-1"); err != nil {
					t.Fatal(err)
				}
			}
			response, text := get(t, issuer+"/userinfo", c.token)
			if response.StatusCode != c.status || response.Header.Get("WWW-Authenticate") != c.challenge {
				t.Errorf("status %d, challenge %q: %s", response.StatusCode, response.Header.Get("WWW-Authenticate"), text)
			}
			if strings.Contains(text, "database") {
				t.Errorf("it tells: %s", text)
			}
		})
	}
}

// A person who signs out is sent only to a URI that the client registered, byte for byte.
func TestEndSession(t *testing.T) {
	const back = "http://127.0.0.1/bye"
	store := memstore.New()
	register(t, store, func(client *dcr.Client) {
		client.ApplicationType, client.PostLogoutRedirectURIs = "native", []string{back}
	})
	issuer := start(t, store)
	for to, status := range map[string]int{
		back: 302, "http://localhost/bye": 400, "http://127.0.0.1:4711/bye": 400, "http://[::1]/bye": 400, "https://evil.example/bye": 400,
	} {
		response, text := get(t, issuer+"/end_session?"+url.Values{"client_id": {"app-1"}, "post_logout_redirect_uri": {to}}.Encode(), "")
		if response.StatusCode != status {
			t.Errorf("to %s: status %d: %s", to, response.StatusCode, text)
		}
	}
}

// aimed adds resources to requests.
type aimed struct{ *Storage }

type aimedRequest struct{ op.AuthRequest }

func (aimedRequest) GetResources() []string { return []string{"https://files.example.com"} }

func (a aimed) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	request, err := a.Storage.AuthRequestByCode(ctx, code)
	return aimedRequest{request}, err
}

// JWT access tokens have the resources as their audience, and have the scope. The
// audience of ID Tokens is the client.
func TestWhomTokensAreFor(t *testing.T) {
	store := memstore.New()
	register(t, store, nil)
	issuer, err := serve(t, aimed{newStorage(store)}, new(op.Config), nil)
	if err != nil {
		t.Fatal(err)
	}
	granted := redeem(t, issuer, nil)
	for name, wants := range map[string]string{"access_token": "https://files.example.com", "id_token": "app-1"} {
		token, _ := granted[name].(string)
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			t.Fatalf("%s is %q", name, token)
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		var claims struct {
			Aud   []string
			Scope string
			Exp   int64
		}
		if err := json.Unmarshal(payload, &claims); err != nil || len(claims.Aud) != 1 || claims.Aud[0] != wants || claims.Exp < time.Now().Unix() {
			t.Errorf("%s: %v: %s", name, err, payload)
		}
		if name == "access_token" && claims.Scope != "openid files.read" {
			t.Errorf("%s: %s", name, payload)
		}
	}
}

var _ zitadeloidc.ResourceKeeper = aimedRequest{}

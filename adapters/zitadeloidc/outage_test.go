package zitadeloidc_test

import (
	"context"
	"errors"
	"fmt"
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

// sick is a storage of which one method fails.
type sick struct {
	*Storage
	method *string
	err    error
}

func (s sick) failed(method string) error {
	if *s.method == method {
		return s.err
	}
	return nil
}

func (s sick) CreateAuthRequest(ctx context.Context, asked *oidc.AuthRequest, person string) (op.AuthRequest, error) {
	if err := s.failed("CreateAuthRequest"); err != nil {
		return nil, err
	}
	return s.Storage.CreateAuthRequest(ctx, asked, person)
}

func (s sick) DeleteAuthRequest(ctx context.Context, id string) error {
	return errors.Join(s.failed("DeleteAuthRequest"), s.Storage.DeleteAuthRequest(ctx, id))
}

func (s sick) CreateAccessToken(ctx context.Context, asked op.TokenRequest) (string, time.Time, error) {
	if err := s.failed("CreateAccessToken"); err != nil {
		return "", time.Time{}, err
	}
	return s.Storage.CreateAccessToken(ctx, asked)
}

func (s sick) CreateAccessAndRefreshTokens(ctx context.Context, asked op.TokenRequest, current string) (string, string, time.Time, error) {
	if err := s.failed("CreateAccessAndRefreshTokens"); err != nil {
		return "", "", time.Time{}, err
	}
	return s.Storage.CreateAccessAndRefreshTokens(ctx, asked, current)
}

func (s sick) ClientCredentialsTokenRequest(ctx context.Context, clientID string, scopes []string) (op.TokenRequest, error) {
	if err := s.failed("ClientCredentialsTokenRequest"); err != nil {
		return nil, err
	}
	return s.Storage.ClientCredentialsTokenRequest(ctx, clientID, scopes)
}

func (s sick) SigningKey(ctx context.Context) (op.SigningKey, error) {
	if err := s.failed("SigningKey"); err != nil {
		return nil, err
	}
	return s.Storage.SigningKey(ctx)
}

func (s sick) KeySet(ctx context.Context) ([]op.Key, error) {
	if err := s.failed("KeySet"); err != nil {
		return nil, err
	}
	return s.Storage.KeySet(ctx)
}

func (s sick) Health(ctx context.Context) error {
	return errors.Join(s.failed("Health"), s.Storage.Health(ctx))
}

func (s sick) TerminateSession(ctx context.Context, person, clientID string) error {
	return errors.Join(s.failed("TerminateSession"), s.Storage.TerminateSession(ctx, person, clientID))
}

func (s sick) SetIntrospectionFromToken(ctx context.Context, told *oidc.IntrospectionResponse, id, subject, clientID string) error {
	told.Username = "somebody"
	if err := s.failed("SetIntrospectionFromToken"); err != nil {
		return err
	}
	return s.Storage.SetIntrospectionFromToken(ctx, told, id, subject, clientID)
}

// If the op.Storage fails, the client learns that the server failed, but not how, and not
// that its token is invalid.
func TestOutages(t *testing.T) {
	outage := errors.New("dial tcp 10.0.0.5:5432")
	for _, c := range []struct {
		method, request string
		err             error
		status          int
		wants           string
	}{
		{"CreateAuthRequest", "authorize", outage, 302, "error=server_error"},
		{"DeleteAuthRequest", "code", outage, 500, "server_error"},
		{"CreateAccessAndRefreshTokens", "code", outage, 500, "server_error"},
		{"SigningKey", "code", outage, 500, "server_error"},
		{"CreateAccessAndRefreshTokens", "refresh", outage, 400, "invalid_grant"},
		{"CreateAccessAndRefreshTokens", "refresh", oidc.ErrServerError().WithParent(outage), 500, "server_error"},
		{"SigningKey", "refresh", outage, 500, "server_error"},
		{"ClientCredentialsTokenRequest", "client credentials", outage, 500, "server_error"},
		{"CreateAccessToken", "client credentials", outage, 500, "server_error"},
		{"SigningKey", "client credentials", outage, 500, "server_error"},
		{"KeySet", "keys", outage, 500, "server_error"},
		{"Health", "ready", outage, 500, "server_error"},
		{"TerminateSession", "logout", outage, 500, "server_error"},
		{"SetIntrospectionFromToken", "introspect", oidc.ErrServerError().WithParent(outage), 503, "server_error"},
		{"SetIntrospectionFromToken", "introspect", fmt.Errorf("unknown token %w", outage), 200, `{"active":false}`},
	} {
		t.Run(c.method+" fails at "+c.request, func(t *testing.T) {
			store := memstore.New()
			register(t, store, func(client *dcr.Client) {
				client.GrantTypes, client.AccessTokenType = append(client.GrantTypes, "client_credentials"), dcr.AccessTokenJWT
			})
			method := ""
			issuer, err := serve(t, sick{newStorage(store), &method, c.err}, new(op.Config), func(options *zitadeloidc.Options) { options.RefreshWithoutScope = true })
			if err != nil {
				t.Fatal(err)
			}
			granted := redeem(t, issuer, nil)
			of := func(name string) string { text, _ := granted[name].(string); return text }
			code := authorize(t, issuer, nil).Get("code")
			query := url.Values{
				"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"},
				"code_challenge": {challenge}, "code_challenge_method": {"S256"},
			}
			method = c.method
			var response *http.Response
			var text string
			switch c.request {
			case "authorize":
				response, text = get(t, issuer+"/authorize?"+query.Encode(), "")
				if to, err := response.Location(); err != nil || to.Query().Get("iss") != issuer {
					t.Errorf("the client gets %v, without iss", to)
				}
			case "keys":
				response, text = get(t, issuer+"/keys", "")
			case "ready":
				response, text = get(t, issuer+"/ready", "")
			case "logout":
				response, text = get(t, issuer+"/end_session?id_token_hint="+of("id_token"), "")
			case "introspect":
				response, text = send(t, issuer+"/oauth/introspect", url.Values{"token": {of("access_token")}})
			case "code":
				response, text = send(t, issuer+"/oauth/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
			case "refresh":
				response, text = send(t, issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {of("refresh_token")}})
			case "client credentials":
				response, text = send(t, issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}})
			}
			if text += response.Header.Get("Location"); response.StatusCode != c.status || !strings.Contains(text, c.wants) || strings.Contains(text, "10.0.0.5") {
				t.Errorf("the answer is %d %s", response.StatusCode, text)
			}
		})
	}
}

// send sends a form as the client and returns the answer and its text.
func send(t *testing.T, endpoint string, form url.Values) (*http.Response, string) {
	request, err := http.NewRequest("POST", endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("app-1", "secret")
	response, err := http.DefaultClient.Do(request)
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

// withdrawing is a store whose client app-1 may withdraw its metadata document, as that of
// cimd.Store.Known says.
type withdrawing struct {
	*memstore.Store
	err *error
}

func (w withdrawing) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	if clientID == "app-1" && *w.err != nil {
		return nil, *w.err
	}
	return w.Store.FindByClientID(ctx, clientID)
}

// A client that has withdrawn its metadata document, or that cimd.Options.Admit refuses, is
// refused, which is no outage.
func TestRefusedClients(t *testing.T) {
	for _, c := range []struct {
		err                                               error
		userinfo, introspect, callback, logout, authorize int
	}{
		{dcr.Errorf(dcr.InvalidClient, "the document is gone"), 401, 200, 400, 400, 400},
		{dcr.Errorf(dcr.AccessDenied, "not on the list"), 401, 200, 400, 400, 400},
		{dcr.ErrClientNotFound, 401, 200, 400, 400, 400},
		{dcr.Unavailable("the store is down", nil), 503, 503, 503, 503, 503},
		{errors.New("the store is down"), 503, 503, 503, 503, 503},
	} {
		var failure error
		store := memstore.New()
		register(t, store, nil)
		resource := dcr.NewClient()
		resource.ID, resource.TokenEndpointAuthMethod, resource.Secrets = "api-1", "client_secret_basic", []dcr.Secret{dcr.HashSecret("secret")}
		if err := store.Add(t.Context(), resource); err != nil {
			t.Fatal(err)
		}
		kept := newStorage(withdrawing{store, &failure})
		issuer, err := serve(t, kept, new(op.Config), nil)
		if err != nil {
			t.Fatal(err)
		}
		granted := redeem(t, issuer, nil)
		token, _ := granted["access_token"].(string)
		hint, _ := granted["id_token"].(string)
		made, err := kept.CreateAuthRequest(context.Background(), &oidc.AuthRequest{
			ClientID: "app-1", RedirectURI: redirect, ResponseType: oidc.ResponseTypeCode, Scopes: []string{"openid"},
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		failure = c.err
		check := func(what string, status int, response *http.Response, text string) {
			t.Helper()
			if response.StatusCode != status || strings.Contains(text, `"active":true`) {
				t.Errorf("%v: %s is answered with %d %s", c.err, what, response.StatusCode, text)
			}
		}
		query := url.Values{
			"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"},
			"code_challenge": {challenge}, "code_challenge_method": {"S256"},
		}
		response, text := get(t, issuer+"/authorize?"+query.Encode(), "")
		check("an authorization request", c.authorize, response, text)
		response, text = get(t, issuer+"/userinfo", token)
		check("userinfo", c.userinfo, response, text)
		response, text = get(t, issuer+"/authorize/callback?id="+made.GetID(), "")
		check("the way back", c.callback, response, text)
		response, text = get(t, issuer+"/end_session?"+url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {redirect}}.Encode(), "")
		check("logout", c.logout, response, text)
		request, err := http.NewRequest("POST", issuer+"/oauth/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth("api-1", "secret")
		if response, err = http.DefaultClient.Do(request); err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		check("introspection", c.introspect, response, string(body))
	}
}

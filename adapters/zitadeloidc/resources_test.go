package zitadeloidc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/adapters/zitadeloidc"
	"github.com/dynreg/dcr/memstore"
)

const (
	files  = "https://files.example.com"
	photos = "https://photos.example.com"
)

// keeping is a storage that keeps the resources of the one grant that a test begins.
type keeping struct {
	*Storage
	resources []string
}

type keptCode struct {
	op.AuthRequest
	resources []string
}

func (k keptCode) GetResources() []string { return k.resources }

type keptRefresh struct {
	op.RefreshTokenRequest
	resources []string
}

func (k keptRefresh) GetResources() []string { return k.resources }

func (k *keeping) CreateAuthRequest(ctx context.Context, request *oidc.AuthRequest, person string) (op.AuthRequest, error) {
	k.resources = zitadeloidc.AuthorizationFromContext(ctx).Resources
	return k.Storage.CreateAuthRequest(ctx, request, person)
}

func (k *keeping) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	request, err := k.Storage.AuthRequestByCode(ctx, code)
	return keptCode{request, k.resources}, err
}

func (k *keeping) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	request, err := k.Storage.TokenRequestByRefreshToken(ctx, token)
	return keptRefresh{request, k.resources}, err
}

func (k *keeping) CreateAccessAndRefreshTokens(ctx context.Context, request op.TokenRequest, current string) (id, next string, ends time.Time, err error) {
	switch kept := request.(type) {
	case keptCode:
		request = kept.AuthRequest
	case keptRefresh:
		request = kept.RefreshTokenRequest
	}
	return k.Storage.CreateAccessAndRefreshTokens(ctx, request, current)
}

func (k *keeping) ClientCredentialsTokenRequest(ctx context.Context, clientID string, scopes []string) (op.TokenRequest, error) {
	k.resources = zitadeloidc.AuthorizationFromContext(ctx).Resources
	return k.Storage.ClientCredentialsTokenRequest(ctx, clientID, scopes)
}

func (k *keeping) SetIntrospectionFromToken(ctx context.Context, told *oidc.IntrospectionResponse, id, subject, clientID string) error {
	err := k.Storage.SetIntrospectionFromToken(ctx, told, id, subject, clientID)
	told.Audience = k.resources
	return err
}

// serveKeeping serves a client, which change changes, and returns how to change it again.
func serveKeeping(t *testing.T, change func(client *dcr.Client), options func(*zitadeloidc.Options)) (issuer string, again func(func(client *dcr.Client))) {
	store := memstore.New()
	client := register(t, store, change)
	issuer, err := serve(t, &keeping{Storage: newStorage(store)}, new(op.Config), options)
	if err != nil {
		t.Fatal(err)
	}
	return issuer, func(change func(client *dcr.Client)) {
		change(client)
		if err := store.Update(context.Background(), client); err != nil {
			t.Fatal(err)
		}
	}
}

// Codes and refresh tokens for a resource that was removed from the client are refused, and
// introspection leaves the resource out.
func TestResourcesThatAreGone(t *testing.T) {
	for sentence, c := range map[string]struct {
		remain []string
		wants  any
		told   int // how many resources introspection lists; 0 for an inactive token
	}{
		"the client has no list": {nil, nil, 2},
		"both remain":            {[]string{photos, files}, nil, 2},
		"one is gone":            {[]string{photos}, "invalid_grant", 1},
		"both are gone":          {[]string{"https://mail.example.com"}, "invalid_grant", 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			issuer, change := serveKeeping(t, nil, func(options *zitadeloidc.Options) { options.RefreshWithoutScope = true })
			asked := url.Values{"resource": {files, photos}}
			granted := redeem(t, issuer, asked)
			code := authorize(t, issuer, asked).Get("code")
			change(func(client *dcr.Client) { client.Resources = c.remain })
			access, _ := granted["access_token"].(string)
			told := post(t, issuer+"/oauth/introspect", url.Values{"token": {access}})
			if audience, _ := told["aud"].([]any); told["active"] != (c.told > 0) || len(audience) != c.told {
				t.Errorf("introspection says %v", told)
			}
			token, _ := granted["refresh_token"].(string)
			if got := post(t, issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}); got["error"] != c.wants {
				t.Errorf("the answer to a refresh is %v", got)
			}
			got := post(t, issuer+"/oauth/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}})
			if got["error"] != c.wants {
				t.Errorf("the answer to a code is %v", got)
			}
		})
	}
}

// A client that acts on its own behalf gets tokens only for its own resources.
func TestResourcesOfClientCredentials(t *testing.T) {
	for sentence, c := range map[string]struct {
		own, asked, wants []string
		refused           any
	}{
		"nothing is limited or requested":        {wants: []string{"app-1"}},
		"what is requested is granted":           {asked: []string{photos}, wants: []string{photos}},
		"the client's own, if none is requested": {own: []string{files, photos}, wants: []string{files, photos}},
		"one of the client's own":                {own: []string{files, photos}, asked: []string{photos}, wants: []string{photos}},
		"one that the client does not have":      {own: []string{files}, asked: []string{files, photos}, refused: "invalid_target"},
	} {
		t.Run(sentence, func(t *testing.T) {
			issuer, _ := serveKeeping(t, func(client *dcr.Client) {
				client.GrantTypes, client.AccessTokenType, client.Resources = []string{"client_credentials"}, dcr.AccessTokenJWT, c.own
			}, nil)
			got := post(t, issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"files.read"}, "resource": c.asked})
			if got["error"] != c.refused {
				t.Fatalf("the answer is %v", got)
			}
			if c.refused != nil {
				return
			}
			token, _ := got["access_token"].(string)
			var claims struct{ Aud []string }
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
			if err != nil || json.Unmarshal(payload, &claims) != nil || !slices.Equal(claims.Aud, c.wants) {
				t.Errorf("the token says %s, %v", payload, err)
			}
		})
	}
}

// A provider that needs offline_access for refresh tokens refuses them once the client has
// lost it.
func TestOfflineAccessThatIsGone(t *testing.T) {
	for isNeeded, wants := range map[bool]any{true: "invalid_scope", false: nil} {
		issuer, change := serveKeeping(t, func(client *dcr.Client) { client.Scope += " offline_access" }, func(options *zitadeloidc.Options) { options.RefreshWithoutScope = !isNeeded })
		refresh := func(token any) map[string]any {
			text, _ := token.(string)
			return post(t, issuer+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text}, "scope": {"openid"}})
		}
		granted := refresh(redeem(t, issuer, url.Values{"scope": {"openid offline_access"}})["refresh_token"])
		if granted["access_token"] == nil {
			t.Fatalf("before the change, the answer is %v", granted)
		}
		change(func(client *dcr.Client) { client.Scope = "openid files.read" })
		if got := refresh(granted["refresh_token"]); got["error"] != wants {
			t.Errorf("if offline_access is needed: %v: the answer is %v", isNeeded, got)
		}
	}
}

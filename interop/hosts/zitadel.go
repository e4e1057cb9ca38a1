package hosts

// A server on zitadel/oidc.

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
)

// newZitadelProvider returns an OpenID provider on zitadel/oidc: the library's example,
// with the clients in the store.
func newZitadelProvider(issuer string, clients dcr.ClientConfigurationStore) (http.Handler, error) {
	return newZitadel(issuer, clients, func(provider *op.Provider) http.Handler { return provider })
}

// newZitadelLegacyServer is newZitadelProvider with the library's other type of server.
func newZitadelLegacyServer(issuer string, clients dcr.ClientConfigurationStore) (http.Handler, error) {
	return newZitadel(issuer, clients, func(provider *op.Provider) http.Handler {
		return op.RegisterLegacyServer(op.NewLegacyServer(provider, *op.DefaultEndpoints), op.AuthorizeCallbackHandler(provider))
	})
}

func newZitadel(issuer string, clients dcr.ClientConfigurationStore, serve func(provider *op.Provider) http.Handler) (http.Handler, error) {
	kept := &zitadelStorage{storage.NewStorage(storage.NewUserStore(issuer)), clients}
	config := &op.Config{CodeMethodS256: true, AuthMethodPost: true, AuthMethodPrivateKeyJWT: true, GrantTypeRefreshToken: true}
	rand.Read(config.CryptoKey[:])
	provider, err := op.NewProvider(config, kept, op.StaticIssuer(issuer), op.WithAllowInsecure())
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", serve(provider))
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) { // the person is signed in and consents
		id := r.FormValue("id")
		if err := kept.CheckUsernamePassword("test-user@127.0.0.1", "verysecure", id); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, op.AuthCallbackURL(provider)(op.ContextWithIssuer(r.Context(), issuer), id), http.StatusFound)
	})
	return mux, nil
}

// zitadelStorage keeps everything but clients in memory.
type zitadelStorage struct {
	*storage.Storage
	clients dcr.ClientConfigurationStore
}

func (s *zitadelStorage) GetClientByClientID(ctx context.Context, clientID string) (op.Client, error) {
	client, err := s.clients.FindByClientID(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return zitadelClient{client}, nil
}

func (s *zitadelStorage) AuthorizeClientIDSecret(ctx context.Context, clientID, clientSecret string) error {
	client, err := s.clients.FindByClientID(ctx, clientID)
	if err == nil && !client.VerifySecret(clientSecret, time.Now()) {
		err = errors.New("wrong secret")
	}
	return err
}

func (s *zitadelStorage) GetKeyByIDAndClientID(ctx context.Context, keyID, clientID string) (*jose.JSONWebKey, error) {
	client, err := s.clients.FindByClientID(ctx, clientID)
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(client.JWKS, &set); err != nil {
		return nil, err
	}
	for _, key := range set.Key(keyID) {
		return &key, nil
	}
	return nil, errors.New("the key does not exist")
}

func (s *zitadelStorage) ClientCredentials(ctx context.Context, clientID, clientSecret string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, clientID, clientSecret); err != nil {
		return nil, err
	}
	return s.GetClientByClientID(ctx, clientID)
}

func (s *zitadelStorage) ClientCredentialsTokenRequest(_ context.Context, clientID string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: clientID, Audience: []string{clientID}, Scopes: scopes}, nil
}

func (s *zitadelStorage) ValidateJWTProfileScopes(_ context.Context, _ string, scopes []string) ([]string, error) {
	return scopes, nil
}

// zitadelClient is a client as zitadel/oidc needs it.
type zitadelClient struct{ client *dcr.Client }

func (c zitadelClient) GetID() string                        { return c.client.ID }
func (c zitadelClient) RedirectURIs() []string               { return c.client.RedirectURIs }
func (c zitadelClient) PostLogoutRedirectURIs() []string     { return c.client.PostLogoutRedirectURIs }
func (c zitadelClient) LoginURL(id string) string            { return "/login?id=" + url.QueryEscape(id) }
func (c zitadelClient) IDTokenLifetime() time.Duration       { return c.client.IdentityTokenLifetime }
func (c zitadelClient) DevMode() bool                        { return false }
func (c zitadelClient) IDTokenUserinfoClaimsAssertion() bool { return false }
func (c zitadelClient) ClockSkew() time.Duration             { return 0 }

func (c zitadelClient) ApplicationType() op.ApplicationType {
	if c.client.ApplicationType == "native" {
		return op.ApplicationTypeNative
	}
	return op.ApplicationTypeWeb
}

func (c zitadelClient) AccessTokenType() op.AccessTokenType {
	if c.client.AccessTokenType == dcr.AccessTokenJWT {
		return op.AccessTokenTypeJWT
	}
	return op.AccessTokenTypeBearer
}

func (c zitadelClient) AuthMethod() oidc.AuthMethod {
	return oidc.AuthMethod(c.client.TokenEndpointAuthMethod)
}

func (c zitadelClient) ResponseTypes() (types []oidc.ResponseType) {
	for _, name := range c.client.ResponseTypes {
		types = append(types, oidc.ResponseType(name))
	}
	return types
}

func (c zitadelClient) GrantTypes() (types []oidc.GrantType) {
	for _, name := range c.client.GrantTypes {
		types = append(types, oidc.GrantType(name))
	}
	return types
}

func (c zitadelClient) IsScopeAllowed(scope string) bool {
	return slices.Contains(strings.Fields(c.client.Scope), scope)
}

func (c zitadelClient) RestrictAdditionalIdTokenScopes() func(scopes []string) []string {
	return func(scopes []string) []string { return scopes }
}

func (c zitadelClient) RestrictAdditionalAccessTokenScopes() func(scopes []string) []string {
	return func(scopes []string) []string { return scopes }
}

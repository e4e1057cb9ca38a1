package zitadeloidc_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/adapters/zitadeloidc"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

// Storage is the op.Storage of the server. Everything but the clients stays in Kept.
type Storage struct {
	Kept
	zitadeloidc.Clients

	owners sync.Map // from the id of each access token to its client
}

// Kept is your existing storage, here that of zitadel's example.
type Kept struct{ *storage.Storage }

var _ op.Storage = (*Storage)(nil)

// CreateAccessToken limits the lifetime of a token to that of the client's tokens.
func (s *Storage) CreateAccessToken(ctx context.Context, request op.TokenRequest) (string, time.Time, error) {
	id, ends, err := s.Kept.CreateAccessToken(ctx, request)
	return id, s.note(ctx, id, ends), err
}

func (s *Storage) CreateAccessAndRefreshTokens(ctx context.Context, request op.TokenRequest, current string) (string, string, time.Time, error) {
	id, next, ends, err := s.Kept.CreateAccessAndRefreshTokens(ctx, request, current)
	return id, next, s.note(ctx, id, ends), err
}

func (s *Storage) note(ctx context.Context, id string, ends time.Time) time.Time {
	client := clientauth.FromContext(ctx).Client
	s.owners.Store(id, client.ID)
	if own := time.Now().Add(client.AccessTokenLifetime); own.Before(ends) {
		return own
	}
	return ends
}

// SetIntrospectionFromToken sets the client of a token. Server then checks that the
// client is usable.
func (s *Storage) SetIntrospectionFromToken(ctx context.Context, told *oidc.IntrospectionResponse, id, subject, _ string) error {
	owner, _ := s.owners.Load(id)
	clientID, _ := owner.(string)
	return s.Kept.SetIntrospectionFromToken(ctx, told, id, subject, clientID)
}

// SetUserinfoFromToken fails for a client that is not usable.
func (s *Storage) SetUserinfoFromToken(ctx context.Context, told *oidc.UserInfo, id, subject, origin string) error {
	owner, _ := s.owners.Load(id)
	clientID, _ := owner.(string)
	if _, err := s.GetClientByClientID(ctx, clientID); err != nil {
		return err
	}
	return s.Kept.SetUserinfoFromToken(ctx, told, id, subject, origin)
}

// ClientCredentialsTokenRequest is needed only for the grant client_credentials.
func (s *Storage) ClientCredentialsTokenRequest(_ context.Context, clientID string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: clientID, Audience: []string{clientID}, Scopes: scopes}, nil
}

// supports says what clients may register for. The discovery document says the same.
var supports = dcr.Capabilities{
	Scopes:                   []string{"openid", "profile", "files.read", "files.write", "offline_access"},
	GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
	TokenEndpointAuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
	IDTokenSigningAlgs:       []string{"RS256"},
	SubjectTypes:             []string{"public"},
}

// NewProvider returns a provider. Anybody may register.
func NewProvider(issuer string, store dcr.ClientConfigurationStore) (http.Handler, error) {
	kept := &Storage{Kept: Kept{storage.NewStorage(storage.NewUserStore(issuer))}}
	kept.Clients = zitadeloidc.Clients{Store: store, LoginURL: func(id string) string { return "/login?id=" + url.QueryEscape(id) }}
	config := &op.Config{CodeMethodS256: true, GrantTypeRefreshToken: true}
	rand.Read(config.CryptoKey[:])
	provider, err := op.NewProvider(config, kept, op.StaticIssuer(issuer), op.WithAllowInsecure()) // no https in this example
	if err != nil {
		return nil, err
	}

	pages := dcr.CORS{AnyOrigin: true}
	server, err := zitadeloidc.NewServer(provider, zitadeloidc.Options{
		Issuer:        issuer,
		Clients:       &clientauth.Authenticator{Store: store, Audience: []string{issuer, issuer + "/oauth/token"}},
		DefaultScopes: []string{"files.read"}, RefreshWithoutScope: true, CORS: pages,
	})
	if err != nil {
		return nil, err
	}
	registration, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: issuer + "/register", AllowAnonymous: true, CORS: pages,
		Validator: dcr.DefaultValidator{Supports: supports, DefaultScopes: supports.Scopes},
	})
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.Handle("/", server)
	mux.Handle("/register", registration)
	mux.Handle("/.well-known/", registration.ServeDiscovery(issuer, server.Metadata()))
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) { // your sign-in and consent go here
		if err := kept.CheckUsernamePassword("test-user@127.0.0.1", "verysecure", r.FormValue("id")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, server.AuthCallbackURL()(op.ContextWithIssuer(r.Context(), issuer), r.FormValue("id")), http.StatusFound)
	})
	return mux, nil
}

// This example is a provider on zitadel/oidc for registered clients.
func Example() {
	client := dcr.NewClient()
	client.ID, client.TokenEndpointAuthMethod, client.ApplicationType = "app-1", "none", "native"
	client.RedirectURIs, client.ResponseTypes = []string{"http://127.0.0.1/callback"}, []string{"code"}
	client.GrantTypes, client.Scope = []string{"authorization_code"}, "files.read"
	store := memstore.New()
	if err := store.Add(context.Background(), client); err != nil {
		log.Fatal(err)
	}
	provider, err := NewProvider("https://id.example.com", store)
	if err != nil {
		log.Fatal(err)
	}
	for _, redirect := range []string{"http://127.0.0.1:4711/callback", "http://localhost:4711/callback"} {
		query := url.Values{
			"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"files.read"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		}
		w := httptest.NewRecorder()
		provider.ServeHTTP(w, httptest.NewRequest("GET", "https://id.example.com/authorize?"+query.Encode(), nil))
		fmt.Println(w.Code, redirect)
	}
	// Output:
	// 302 http://127.0.0.1:4711/callback
	// 400 http://localhost:4711/callback
}

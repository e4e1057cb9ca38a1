package fosite_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"

	"github.com/dynreg/dcr"
	adapter "github.com/dynreg/dcr/adapters/fosite"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

// Storage is the storage of fosite. Everything but the clients stays in Kept.
type Storage struct {
	Kept
	*adapter.Clients
}

// Kept is your existing storage, here fosite's own, which is in memory.
type Kept struct{ *storage.MemoryStore }

// supports says what clients may register for. The discovery document says the same.
var supports = dcr.Capabilities{
	Scopes:                   []string{"files.read", "files.write", "offline_access"},
	GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
	TokenEndpointAuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
	AuthorizationResponseIss: true,
}

type server struct {
	issuer   string
	clients  *adapter.Clients
	provider fosite.OAuth2Provider
}

// NewServer returns an authorization server. Anybody may register.
func NewServer(issuer string, store dcr.ClientConfigurationStore) (http.Handler, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	config := &fosite.Config{GlobalSecret: make([]byte, 32), TokenURL: issuer + "/token", IDTokenIssuer: issuer}
	rand.Read(config.GlobalSecret)

	s := &server{issuer: issuer}
	s.clients = &adapter.Clients{Store: store, DefaultScopes: []string{"files.read"}, RefreshWithoutScope: true}
	s.provider = compose.ComposeAllEnabled(config, &Storage{Kept{storage.NewMemoryStore()}, s.clients}, key)
	s.clients.Configure(config)

	pages := dcr.CORS{AnyOrigin: true}
	registration, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: issuer + "/register", AllowAnonymous: true, CORS: pages,
		Validator: dcr.DefaultValidator{Supports: supports, DefaultScopes: supports.Scopes},
	})
	if err != nil {
		return nil, err
	}
	senders := &clientauth.Authenticator{Store: store, Audience: []string{issuer, issuer + "/token"}}
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", s.authorize)
	mux.Handle("/token", pages.Wrap(senders.Require(http.HandlerFunc(s.token)), "POST"))
	mux.Handle("/revoke", pages.Wrap(senders.Require(http.HandlerFunc(s.revoke)), "POST"))
	mux.Handle("/introspect", senders.Require(http.HandlerFunc(s.introspect)))
	mux.Handle("/register", registration)
	mux.Handle("/.well-known/", registration.ServeDiscovery(issuer, map[string]any{
		"authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
		"introspection_endpoint": issuer + "/introspect", "revocation_endpoint": issuer + "/revoke",
	}))
	return http.MaxBytesHandler(mux, 64<<10), nil
}

func (s *server) authorize(w http.ResponseWriter, r *http.Request) {
	request, err := s.clients.CheckAuthorizeRequest(s.provider, r)
	if err != nil {
		s.provider.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	// Your sign-in and consent go here. In this example, the person always consents.
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	for _, resource := range request.GetRequestedAudience() {
		request.GrantAudience(resource)
	}
	response, err := s.provider.NewAuthorizeResponse(r.Context(), request, &fosite.DefaultSession{Subject: "person"})
	if err != nil {
		s.provider.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	s.provider.WriteAuthorizeResponse(r.Context(), w, request, response)
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	request, err := s.provider.NewAccessRequest(r.Context(), r, &fosite.DefaultSession{})
	if err != nil {
		s.provider.WriteAccessError(r.Context(), w, request, err)
		return
	}
	if request.GetGrantTypes().ExactOne("client_credentials") {
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
	}
	response, err := s.provider.NewAccessResponse(r.Context(), request)
	if err != nil {
		s.provider.WriteAccessError(r.Context(), w, request, err)
		return
	}
	s.provider.WriteAccessResponse(r.Context(), w, request, response)
}

func (s *server) introspect(w http.ResponseWriter, r *http.Request) {
	response, err := s.clients.Introspect(s.provider, r, &fosite.DefaultSession{})
	if err != nil {
		s.provider.WriteIntrospectionError(r.Context(), w, err)
		return
	}
	s.provider.WriteIntrospectionResponse(r.Context(), w, response)
}

func (s *server) revoke(w http.ResponseWriter, r *http.Request) {
	err := s.provider.NewRevocationRequest(r.Context(), r)
	if errors.Is(err, fosite.ErrTemporarilyUnavailable) { // fosite would answer 200
		dcr.WriteError(w, r, dcr.Unavailable("the token cannot be revoked at the moment", err))
		return
	}
	s.provider.WriteRevocationResponse(r.Context(), w, err)
}

// This example is a server on ory/fosite for registered clients.
func Example() {
	client := dcr.NewClient()
	client.ID, client.TokenEndpointAuthMethod, client.ApplicationType = "app-1", "none", "native"
	client.RedirectURIs, client.ResponseTypes = []string{"http://localhost/callback"}, []string{"code"}
	client.GrantTypes, client.Scope = []string{"authorization_code"}, "files.read"
	store := memstore.New()
	if err := store.Add(context.Background(), client); err != nil {
		log.Fatal(err)
	}
	server, err := NewServer("https://id.example.com", store)
	if err != nil {
		log.Fatal(err)
	}
	for _, redirect := range []string{"http://localhost:4711/callback", "http://127.0.0.1:4711/callback"} {
		query := url.Values{
			"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"files.read"}, "state": {"12345678"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest("GET", "https://id.example.com/authorize?"+query.Encode(), nil))
		fmt.Println(w.Code, redirect)
	}
	// Output:
	// 303 http://localhost:4711/callback
	// 400 http://127.0.0.1:4711/callback
}

package hosts

// A server on ory/fosite.

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"

	"github.com/dynreg/dcr"
)

// newFosite returns an authorization server on ory/fosite, with everything
// enabled.
func newFosite(issuer string, clients dcr.ClientConfigurationStore) (http.Handler, error) {
	config := &fosite.Config{
		GlobalSecret: make([]byte, 32), TokenURL: issuer + "/token", IDTokenIssuer: issuer,
		EnforcePKCEForPublicClients: true, ClientSecretsHasher: fositeHasher{},
	}
	rand.Read(config.GlobalSecret)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	s := fositeServer{compose.ComposeAllEnabled(config, &fositeStore{storage.NewMemoryStore(), clients}, key)}
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", s.authorize)
	mux.HandleFunc("/token", s.token)
	mux.HandleFunc("/introspect", s.introspect)
	mux.HandleFunc("/revoke", s.revoke)
	mux.Handle("/.well-known/oauth-authorization-server", discovery(issuer, map[string]any{
		"introspection_endpoint": issuer + "/introspect", "revocation_endpoint": issuer + "/revoke",
		"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
	}))
	return mux, nil
}

type fositeServer struct{ provider fosite.OAuth2Provider }

func (s fositeServer) authorize(w http.ResponseWriter, r *http.Request) {
	request, err := s.provider.NewAuthorizeRequest(r.Context(), r)
	if err != nil {
		s.provider.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	for _, scope := range request.GetRequestedScopes() { // the person consents
		request.GrantScope(scope)
	}
	response, err := s.provider.NewAuthorizeResponse(r.Context(), request, &fosite.DefaultSession{Subject: "person"})
	if err != nil {
		s.provider.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	s.provider.WriteAuthorizeResponse(r.Context(), w, request, response)
}

func (s fositeServer) token(w http.ResponseWriter, r *http.Request) {
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

func (s fositeServer) introspect(w http.ResponseWriter, r *http.Request) {
	response, err := s.provider.NewIntrospectionRequest(r.Context(), r, &fosite.DefaultSession{})
	if err != nil {
		s.provider.WriteIntrospectionError(r.Context(), w, err)
		return
	}
	s.provider.WriteIntrospectionResponse(r.Context(), w, response)
}

func (s fositeServer) revoke(w http.ResponseWriter, r *http.Request) {
	s.provider.WriteRevocationResponse(r.Context(), w, s.provider.NewRevocationRequest(r.Context(), r))
}

// fositeStore keeps everything but clients in memory.
type fositeStore struct {
	*storage.MemoryStore
	clients dcr.ClientConfigurationStore
}

func (s *fositeStore) GetClient(ctx context.Context, clientID string) (fosite.Client, error) {
	client, err := s.clients.FindByClientID(ctx, clientID)
	if errors.Is(err, dcr.ErrClientNotFound) {
		return nil, fosite.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	mapped := &fosite.DefaultOpenIDConnectClient{
		DefaultClient: &fosite.DefaultClient{
			ID: client.ID, RedirectURIs: client.RedirectURIs, GrantTypes: client.GrantTypes, ResponseTypes: client.ResponseTypes,
			Scopes: strings.Fields(client.Scope), Public: client.Public(),
		},
		RequestURIs: client.RequestURIs, JSONWebKeysURI: client.JWKSURI,
		TokenEndpointAuthMethod: client.TokenEndpointAuthMethod, TokenEndpointAuthSigningAlgorithm: client.TokenEndpointAuthSigningAlg,
	}
	if len(client.Secrets) > 0 {
		mapped.Secret = []byte(client.Secrets[0].Value)
	}
	if client.JWKS != nil {
		mapped.JSONWebKeys = &jose.JSONWebKeySet{}
		return mapped, json.Unmarshal(client.JWKS, mapped.JSONWebKeys)
	}
	return mapped, nil
}

// fositeHasher compares secrets with the form in which dcr stores them.
type fositeHasher struct{}

func (fositeHasher) Compare(_ context.Context, hash, data []byte) error {
	client := &dcr.Client{Secrets: []dcr.Secret{{Type: dcr.SecretSHA256, Value: string(hash)}}}
	if !client.MatchSecret(dcr.Plaintext(data), time.Now()) {
		return errors.New("wrong secret")
	}
	return nil
}

func (fositeHasher) Hash(_ context.Context, data []byte) ([]byte, error) {
	return []byte(dcr.HashSecret(dcr.Plaintext(data)).Value), nil
}

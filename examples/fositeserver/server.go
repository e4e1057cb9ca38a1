package main

// The server: its policy, its provider and its routes.

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/openid"

	"github.com/dynreg/dcr"
	adapter "github.com/dynreg/dcr/adapters/fosite"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/policy"
)

// server is the whole provider.
type server struct {
	*settings
	clients  *adapter.Clients
	provider fosite.OAuth2Provider
	key      *rsa.PrivateKey // created at each start, with a new kid
	kid      string
	people   people
}

// newServer returns the endpoints of a provider. Anybody may register.
func newServer(s *settings, store dcr.ClientConfigurationStore) (http.Handler, error) {
	p := &server{settings: s, kid: rand.Text(), people: newPeople()}
	options := &dcr.Options{
		Endpoint: s.issuer + "/register", AllowAnonymous: true, CORS: dcr.CORS{AnyOrigin: true},
		Admit: callerauth.RateLimit(300, 300, 10_000, from), MaxClients: 100_000,
		RotateSecret: s.rotate, RotateRegistrationToken: s.rotate,
	}
	if err := s.judge(options); err != nil {
		return nil, err
	}
	p.clients = &adapter.Clients{Store: store, DefaultScopes: []string{"openid"}, RefreshWithoutScope: s.preset != "oidc"}
	if err := p.takeDocuments(store, options); err != nil {
		return nil, err
	}
	registration, err := dcr.NewHandler(store, options)
	if err != nil {
		return nil, err
	}
	if err := p.compose(); err != nil {
		return nil, err
	}
	return p.routes(registration), nil
}

// from returns the address of a connection.
func from(r *http.Request, _ *dcr.Caller) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// judge sets what may be registered: what this server supports, limited by the policy.
func (s *settings) judge(options *dcr.Options) error {
	v := dcr.DefaultValidator{Fetch: s.fetch, Supports: dcr.Capabilities{
		GrantTypes:               []string{"authorization_code", "refresh_token"}, // a stranger gets no tokens without a person
		TokenEndpointAuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		Scopes:                   []string{"openid", "profile", "email", "offline_access"},
		SubjectTypes:             []string{"public"},
		IDTokenSigningAlgs:       []string{"RS256"},
		AuthorizationResponseIss: true,
	}}
	v.DefaultScopes = v.Supports.Scopes
	switch s.preset {
	case "":
		options.Validator = v
	case "mcp":
		policy.MCP(v).Apply(options)
	case "oidc":
		policy.OIDC(v).Apply(options)
	default:
		return fmt.Errorf("-preset %s: want mcp or oidc", s.preset)
	}
	return nil
}

// takeDocuments accepts clients that publish their metadata, with the same policy.
func (p *server) takeDocuments(store dcr.ClientConfigurationStore, options *dcr.Options) (err error) {
	if p.documents == nil {
		return nil
	}
	defer func() {
		if wrong := recover(); wrong != nil { // Hosts panics, because hosts are usually in the program
			err = fmt.Errorf("-documents: %v", wrong)
		}
	}()
	admit := cimd.Any
	if !slices.Equal(p.documents, []string{"*"}) {
		admit = cimd.Hosts(p.documents...)
	}
	published, err := cimd.New(store, &cimd.Options{Issuer: p.issuer, Admit: admit, Validator: options.Validator, Fetch: p.fetch})
	if err != nil {
		return err
	}
	p.clients.Published, p.clients.Store, options.Documents = published, published.Known(), published.Advertised
	return nil
}

// compose creates the provider of fosite, for codes with PKCE and refresh tokens only.
func (p *server) compose() (err error) {
	if p.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return err
	}
	config := &fosite.Config{
		GlobalSecret: make([]byte, 32), IDTokenIssuer: p.issuer, TokenURL: p.issuer + "/token",
		MinParameterEntropy: 1, // some clients send a short state; PKCE protects them
	}
	rand.Read(config.GlobalSecret)
	keys := func(context.Context) (any, error) { return p.key, nil }
	p.provider = compose.Compose(config, newStorage(p.clients),
		&compose.CommonStrategy{CoreStrategy: compose.NewOAuth2HMACStrategy(config), OpenIDConnectTokenStrategy: compose.NewOpenIDConnectStrategy(keys, config)},
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OpenIDConnectExplicitFactory, compose.OpenIDConnectRefreshFactory,
		compose.OAuth2TokenIntrospectionFactory, compose.OAuth2TokenRevocationFactory, compose.OAuth2PKCEFactory)
	p.clients.Configure(config)
	return nil
}

func (p *server) routes(registration *dcr.Handler) http.Handler {
	pages := dcr.CORS{AnyOrigin: true}
	senders := &clientauth.Authenticator{Store: p.clients.Store, Keys: &dcr.ClientKeys{Fetch: p.fetch}, Audience: []string{p.issuer, p.issuer + "/token"}}
	own := http.NewCrossOriginProtection() // no other site can submit the forms
	mux := http.NewServeMux()
	mux.Handle("/authorize", own.Handler(http.HandlerFunc(p.authorize)))
	mux.Handle("/token", pages.Wrap(senders.Require(http.HandlerFunc(p.token)), "POST"))
	mux.Handle("/revoke", pages.Wrap(senders.Require(http.HandlerFunc(p.revoke)), "POST"))
	mux.Handle("/introspect", senders.Require(http.HandlerFunc(p.introspect)))
	mux.Handle("/userinfo", pages.Wrap(http.HandlerFunc(p.userinfo), "GET, POST"))
	mux.Handle("/jwks", pages.Wrap(http.HandlerFunc(p.jwks), "GET"))
	mux.Handle("/register", registration)
	mux.Handle("/.well-known/", registration.ServeDiscovery(p.issuer, map[string]any{
		"authorization_endpoint": p.issuer + "/authorize", "token_endpoint": p.issuer + "/token", "userinfo_endpoint": p.issuer + "/userinfo",
		"introspection_endpoint": p.issuer + "/introspect", "revocation_endpoint": p.issuer + "/revoke", "jwks_uri": p.issuer + "/jwks",
		"response_modes_supported": []string{"query", "form_post"}, "claims_supported": []string{"sub", "name", "email"},
	}))
	return http.MaxBytesHandler(mux, 64<<10)
}

func (p *server) token(w http.ResponseWriter, r *http.Request) {
	request, err := p.provider.NewAccessRequest(r.Context(), r, openid.NewDefaultSession())
	if err != nil {
		p.provider.WriteAccessError(r.Context(), w, request, err)
		return
	}
	response, err := p.provider.NewAccessResponse(r.Context(), request)
	if err != nil {
		p.provider.WriteAccessError(r.Context(), w, request, err)
		return
	}
	p.provider.WriteAccessResponse(r.Context(), w, request, response)
}

func (p *server) introspect(w http.ResponseWriter, r *http.Request) {
	response, err := p.clients.Introspect(p.provider, r, openid.NewDefaultSession())
	if err != nil {
		p.provider.WriteIntrospectionError(r.Context(), w, err)
		return
	}
	p.provider.WriteIntrospectionResponse(r.Context(), w, response)
}

func (p *server) revoke(w http.ResponseWriter, r *http.Request) {
	err := p.provider.NewRevocationRequest(r.Context(), r)
	if errors.Is(err, fosite.ErrTemporarilyUnavailable) { // fosite would answer 200
		dcr.WriteError(w, r, dcr.Unavailable("the token cannot be revoked at the moment", err))
		return
	}
	p.provider.WriteRevocationResponse(r.Context(), w, err)
}

// userinfo is the userinfo endpoint (OpenID Connect Core §5.3, RFC 6750 §3).
func (p *server) userinfo(w http.ResponseWriter, r *http.Request) {
	presented := fosite.AccessTokenFromRequest(r)
	if presented == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	use, request, err := p.provider.IntrospectToken(r.Context(), presented, fosite.AccessToken, openid.NewDefaultSession())
	switch {
	case errors.Is(err, fosite.ErrTemporarilyUnavailable):
		dcr.WriteError(w, r, dcr.Unavailable("the token cannot be looked up at the moment", err))
	case err != nil || use != fosite.AccessToken: // a refresh token is not an access token
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
	case !request.GetGrantedScopes().Has("openid"):
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="openid"`)
		w.WriteHeader(http.StatusForbidden)
	default:
		claims := map[string]any{"sub": request.GetSession().GetSubject()}
		if request.GetGrantedScopes().Has("profile") {
			claims["name"] = "Paula Person"
		}
		if request.GetGrantedScopes().Has("email") {
			claims["email"], claims["email_verified"] = "paula@example.com", true
		}
		writeJSON(w, claims)
	}
}

// jwks serves the key that signs ID Tokens.
func (p *server) jwks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: p.kid, Algorithm: "RS256", Use: "sig"}}})
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		slog.Warn("fositeserver: cannot send an answer", "error", err)
	}
}

package main

// The server: its settings, its policy and its routes.

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/adapters/zitadeloidc"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/policy"
)

const (
	registrationPath = "/connect/register"
	adminPath        = "/admin/clients/"
	refreshLifetime  = 30 * 24 * time.Hour // the longest that refresh tokens live, from dcr.NewClient
)

// provider is the whole server.
type provider struct {
	*settings
	handler   http.Handler
	clients   dcr.ClientConfigurationStore // fetches documents, because a person waits
	known     dcr.ClientConfigurationStore // never fetches documents
	documents *cimd.Store                  // nil without -documents
	storage   *storage
	sessions  *sessions
	people    *people
	oidc      *zitadeloidc.Server
}

// events receives everything that happens to clients, and logs it.
var events = dcr.LogEvents(nil)

func newProvider(s *settings, store dcr.ClientConfigurationStore) (*provider, error) {
	p := &provider{settings: s, clients: store, known: store, sessions: newSessions(strings.HasPrefix(s.issuer, "https://"))}
	options := &dcr.Options{
		Endpoint: s.issuer + registrationPath, AllowAnonymous: true, CORS: dcr.CORS{AnyOrigin: true},
		Admit: callerauth.RateLimit(300, 300, 10_000, from), Origin: func(r *http.Request) string { return from(r, nil) },
		RotateSecret: s.rotate, RotateRegistrationToken: s.rotate,
		MaxClients: 100_000, AfterDelete: p.afterDelete, Events: events,
	}
	if err := s.judge(options); err != nil {
		return nil, err
	}
	if err := p.takeDocuments(store, options); err != nil {
		return nil, err
	}
	if err := p.serveOIDC(); err != nil {
		return nil, err
	}
	registration, err := dcr.NewHandler(store, options)
	if err != nil {
		return nil, err
	}
	operations := &admin.Admin{Store: p.known, Handler: registration, AfterDelete: p.afterDelete, Events: events}
	pages, err := admin.NewHandler(operations, &admin.PageOptions{Path: adminPath, Operator: p.operator})
	if err != nil {
		return nil, err
	}
	p.routes(registration, pages)
	return p, nil
}

// from returns the address of a connection. Behind a proxy that is the proxy's own
// address: use the one that the proxy reports, and trust no other.
func from(r *http.Request, _ *dcr.Caller) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// algorithm returns the algorithm of the server's signatures.
func (s *settings) algorithm() jose.SignatureAlgorithm {
	if s.preset == "fapi2" {
		return jose.PS256
	}
	return jose.RS256
}

// judge sets what may be registered: what this server supports, limited by the policy.
func (s *settings) judge(options *dcr.Options) error {
	v := dcr.DefaultValidator{Fetch: s.fetch, Supports: dcr.Capabilities{
		GrantTypes:               []string{"authorization_code", "refresh_token"}, // a stranger gets no tokens without a person
		TokenEndpointAuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		Scopes:                   append([]string{"openid", "profile", "email", "offline_access"}, s.scopes...),
		SubjectTypes:             []string{"public"},
		IDTokenSigningAlgs:       []string{string(s.algorithm())},
		AuthorizationResponseIss: true,
		EndSessionEndpoint:       s.issuer + "/end_session", // without it, nobody can register post_logout_redirect_uris
	}}
	v.DefaultScopes = v.Supports.Scopes
	switch s.preset {
	case "":
		options.Validator = v
	case "mcp":
		policy.MCP(v).Apply(options)
	case "oidc":
		policy.OIDC(v).Apply(options)
	case "fapi2":
		policy.FAPI2(v).Apply(options)
	default:
		return fmt.Errorf("-preset %s: want mcp, oidc or fapi2", s.preset)
	}
	return nil
}

// takeDocuments accepts clients that publish their metadata, with the same policy.
func (p *provider) takeDocuments(store dcr.ClientConfigurationStore, options *dcr.Options) (err error) {
	if p.settings.documents == nil {
		return nil
	}
	defer func() {
		if wrong := recover(); wrong != nil { // Hosts panics, because hosts are usually in the program
			err = fmt.Errorf("-documents: %v", wrong)
		}
	}()
	admit := cimd.Any
	if !slices.Equal(p.settings.documents, []string{"*"}) {
		admit = cimd.Hosts(p.settings.documents...)
	}
	p.documents, err = cimd.New(store, &cimd.Options{
		Issuer: p.issuer, Admit: admit, Validator: options.Validator, Fetch: p.fetch, AfterDelete: p.afterDelete, Events: events,
	})
	if err != nil {
		return err
	}
	p.clients, p.known, options.Documents = p.documents, p.documents.Known(), p.documents.Advertised
	return nil
}

// serveOIDC creates the endpoints of the provider.
func (p *provider) serveOIDC() (err error) {
	if p.people, err = newPeople(p.password); err != nil {
		return err
	}
	key, err := newSigningKey(p.algorithm())
	if err != nil {
		return err
	}
	clients := zitadeloidc.Clients{Store: p.known, LoginURL: func(id string) string { return "/login?id=" + url.QueryEscape(id) }}
	p.storage = newStorage(clients, p.issuer, p.people, key, p.sessions.end)
	config := &op.Config{CodeMethodS256: true, GrantTypeRefreshToken: true, DefaultLogoutRedirectURI: "/"}
	rand.Read(config.CryptoKey[:])
	var insecure []op.Option
	if strings.HasPrefix(p.issuer, "http://") {
		insecure = append(insecure, op.WithAllowInsecure()) // on this machine; dcr.NewHandler refuses http elsewhere
	}
	zitadel, err := op.NewProvider(config, p.storage, op.StaticIssuer(p.issuer), insecure...)
	if err != nil {
		return err
	}
	p.oidc, err = zitadeloidc.NewServer(zitadel, zitadeloidc.Options{
		Issuer: p.issuer, Published: p.clients,
		Clients: &clientauth.Authenticator{
			Store: p.known, Keys: &dcr.ClientKeys{Fetch: p.fetch},
			Audience: []string{p.issuer, zitadel.TokenEndpoint().Absolute(p.issuer)},
		},
		DefaultScopes:       p.defaultScopes(),
		RefreshWithoutScope: p.preset == "" || p.preset == "mcp", // MCP clients never request offline_access
		CORS:                dcr.CORS{AnyOrigin: true},
	})
	return err
}

// defaultScopes are for a request without scopes. They reveal as little as possible
// about the person.
func (p *provider) defaultScopes() []string {
	if len(p.scopes) > 0 {
		return p.scopes
	}
	return []string{"openid"}
}

// metadata returns what discovery says about the endpoints.
func (p *provider) metadata() map[string]any {
	members := p.oidc.Metadata()
	members["response_modes_supported"] = []string{"query", "fragment", "form_post"}
	members["claims_supported"] = []string{"sub", "name", "given_name", "family_name", "preferred_username", "email", "email_verified"}
	return members
}

func (p *provider) routes(registration *dcr.Handler, operators http.Handler) {
	own := http.NewCrossOriginProtection().Handler // no other site can submit the forms
	mux := http.NewServeMux()
	mux.Handle("/", p.oidc)
	for _, endpoint := range []*op.Endpoint{p.oidc.Endpoints().Authorization, p.oidc.Endpoints().EndSession} {
		mux.Handle(endpoint.Relative(), p.sessions.keep(p.onPage(p.oidc)))
		mux.Handle(endpoint.Relative()+"/", p.onPage(p.oidc))
	}
	mux.Handle(registrationPath, registration)
	mux.Handle("/.well-known/", registration.ServeDiscovery(p.issuer, p.metadata()))
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("GET /login", p.login)
	mux.Handle("POST /login", own(http.HandlerFunc(p.signIn)))
	mux.Handle("POST /consent", own(http.HandlerFunc(p.decide)))
	mux.HandleFunc("GET /logout", p.logout)
	mux.Handle("POST /logout", own(http.HandlerFunc(p.signOut)))
	mux.Handle(adminPath, p.onlyOperators(operators))
	p.handler = mux
}

// afterDelete is called with each deleted client, no matter who deleted it.
func (p *provider) afterDelete(ctx context.Context, client *dcr.Client) error {
	p.sessions.forget(client.ID)
	return p.storage.afterDelete(ctx, client)
}

// tend does the regular work until ctx ends.
func (p *provider) tend(ctx context.Context) {
	janitor := &admin.Janitor{
		Store: p.known, NeverActivated: 24 * time.Hour, Expired: true, Withdrawn: 7 * 24 * time.Hour,
		Idle: 90 * 24 * time.Hour, RefreshTokens: refreshLifetime,
		AfterDelete: p.afterDelete, Events: events,
	}
	go func() {
		if err := janitor.Run(ctx); ctx.Err() == nil {
			slog.Error("authserver: the janitor stopped", "error", err)
		}
	}()
	if p.documents == nil {
		return
	}
	go func() {
		for hours := time.NewTicker(time.Hour); ; {
			select {
			case <-ctx.Done():
				hours.Stop()
				return
			case <-hours.C:
				if _, err := p.documents.RefreshUsed(ctx); err != nil {
					slog.Warn("authserver: documents were not refreshed", "error", err)
				}
			}
		}
	}()
}

// sample is a registration that this server accepts.
func (p *provider) sample() string {
	if p.preset == "fapi2" {
		return `{"client_name":"My App","redirect_uris":["https://app.example.com/callback"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/jwks"}`
	}
	return `{"client_name":"My App","redirect_uris":["https://app.example.com/callback"]}`
}

// Package zitadeloidc connects registered clients to a provider on zitadel/oidc. Embed
// [Clients] in your op.Storage, and serve [Server] instead of the op.Provider. All rules
// about clients are in packages dcr and clientauth; this package calls them where
// zitadel/oidc does not.
package zitadeloidc

import (
	"errors"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

// Options are the settings of a [Server].
type Options struct {
	// Issuer is the issuer of the provider. Required.
	Issuer string

	// Clients authenticates clients at the token, introspection and revocation
	// endpoints. Required, with the Audience that clients sign assertions for.
	Clients *clientauth.Authenticator

	// Published finds the client of an authorization request, and may fetch its
	// metadata document: a cimd.Store. If nil, Clients.Store of the op.Storage.
	Published dcr.ClientConfigurationStore

	// DefaultScopes are the scopes of a request without scopes, such as clients of the
	// Model Context Protocol send. If nil, such a request is refused.
	DefaultScopes []string

	// RefreshWithoutScope issues refresh tokens to all clients with the grant
	// refresh_token. If false, the scope offline_access must be granted too,
	// which clients of the Model Context Protocol never request.
	RefreshWithoutScope bool

	// CORS says which web pages may call the endpoints for clients in browsers. The
	// zero value allows none.
	CORS dcr.CORS
}

// Server serves the endpoints of a provider to registered clients: the code flow
// with PKCE, refresh tokens and client credentials.
type Server struct {
	*op.LegacyServer
	introspecting *op.LegacyServer
	options       Options
	clients       Clients
	encoder       issuerEncoder
	mux           *http.ServeMux
}

// NewServer returns the endpoints of a provider whose op.Storage embeds [Clients].
func NewServer(provider op.OpenIDProvider, options Options) (*Server, error) {
	storage, ok := provider.Storage().(interface{ embedded() Clients })
	switch {
	case !ok:
		return nil, errors.New("zitadeloidc: the op.Storage has no Clients; embed zitadeloidc.Clients in it")
	case storage.embedded().Store == nil || storage.embedded().LoginURL == nil:
		return nil, errors.New("zitadeloidc: Clients.Store or LoginURL is nil; set both")
	case options.Issuer == "":
		return nil, errors.New("zitadeloidc: Options.Issuer is empty; set it to the issuer of op.StaticIssuer")
	case options.Clients == nil:
		return nil, errors.New("zitadeloidc: Options.Clients is nil; set it to an Authenticator of the same store")
	case provider.RequestObjectSupported():
		return nil, errors.New("zitadeloidc: op.Config.RequestObjectSupported is set; leave it out, because request objects are not supported")
	}
	s := &Server{options: options, clients: storage.embedded(), mux: http.NewServeMux()}
	if s.options.Published == nil {
		s.options.Published = s.clients.Store
	}
	s.LegacyServer = op.NewLegacyServer(provider, op.Endpoints{
		Authorization: provider.AuthorizationEndpoint(), Token: provider.TokenEndpoint(), Introspection: provider.IntrospectionEndpoint(),
		Userinfo: provider.UserinfoEndpoint(), Revocation: provider.RevocationEndpoint(), EndSession: provider.EndSessionEndpoint(),
		JwksURI: provider.KeysEndpoint(),
	})
	s.introspecting = op.NewLegacyServer(introspecting{provider}, s.Endpoints())
	s.encoder = issuerEncoder{provider.Encoder(), options.Issuer}
	all := op.RegisterLegacyServer(s, s.answer, op.WithEncoder(s.encoder), op.WithServerCORSOptions(nil))
	s.mux.Handle("/", all)
	s.mux.Handle(provider.TokenEndpoint().Relative(), options.CORS.Wrap(s.authenticate(onlyServed(all)), "POST"))
	s.mux.Handle(provider.RevocationEndpoint().Relative(), options.CORS.Wrap(s.authenticate(all), "POST"))
	s.mux.Handle(provider.IntrospectionEndpoint().Relative(), s.authenticate(all))
	s.mux.Handle(provider.UserinfoEndpoint().Relative(), options.CORS.Wrap(challenging(all), "GET, POST"))
	s.mux.Handle(provider.KeysEndpoint().Relative(), options.CORS.Wrap(all, "GET"))
	return s, nil
}

// ServeHTTP serves all endpoints except the discovery documents. For those, pass
// [Server.Metadata] to dcr.Handler.ServeDiscovery.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Metadata returns the members of the discovery document about the endpoints.
func (s *Server) Metadata() map[string]any {
	members := map[string]any{"authorization_response_iss_parameter_supported": true}
	for name, endpoint := range map[string]*op.Endpoint{
		"authorization_endpoint": s.Endpoints().Authorization, "token_endpoint": s.Endpoints().Token,
		"introspection_endpoint": s.Endpoints().Introspection, "revocation_endpoint": s.Endpoints().Revocation,
		"userinfo_endpoint": s.Endpoints().Userinfo, "end_session_endpoint": s.Endpoints().EndSession, "jwks_uri": s.Endpoints().JwksURI,
	} {
		members[name] = endpoint.Absolute(s.options.Issuer)
	}
	return members
}

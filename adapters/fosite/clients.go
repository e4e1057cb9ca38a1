// Package fosite connects registered clients to an authorization server on ory/fosite.
// Embed [Clients] in your storage, and call its Configure. All rules about clients are
// in packages dcr and clientauth; this package calls them where fosite does not.
package fosite

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

// Clients is the fosite.ClientManager of a storage: embed it in yours.
type Clients struct {
	Store         dcr.ClientConfigurationStore // finds clients; with package cimd, cimd.Store.Known
	Published     dcr.ClientConfigurationStore // finds the client of an authorization request, and may fetch its metadata document: a cimd.Store; if nil, Store
	DefaultScopes []string                     // the scopes of an authorization request without scopes; if nil, none

	// RefreshWithoutScope issues refresh tokens to all clients with the grant
	// refresh_token. If false, the scope offline_access must be granted too,
	// which clients of the Model Context Protocol never request.
	RefreshWithoutScope bool
}

var (
	_ fosite.ClientManager                = (*Clients)(nil)
	_ fosite.ClientAuthenticationStrategy = (*Clients)(nil).AuthenticateClient
)

// misused logs what the host must do, because fosite does not show such an error.
func misused(sentence string) *fosite.RFC6749Error {
	slog.Error("adapters/fosite: " + sentence)
	return fosite.ErrServerError.WithDebug(sentence)
}

type judgedKey struct{}

// GetClient returns a [Client] that is usable now. In an authorization request, it is
// the client that CheckAuthorizeRequest checked.
func (c *Clients) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	if judged, ok := ctx.Value(judgedKey{}).(Client); ok && judged.Registered.ID == id {
		return judged, nil
	}
	if ctx.Value(fosite.AuthorizeRequestContextKey) != nil {
		return nil, misused("call Clients.CheckAuthorizeRequest instead of NewAuthorizeRequest")
	}
	client, err := c.Store.FindByClientID(ctx, id)
	if err != nil {
		return nil, notFound(err)
	}
	if err := client.CheckUsable(time.Now()); err != nil {
		return nil, fosite.ErrNotFound.WithWrap(err)
	}
	return Client{Registered: client}, nil
}

// notFound distinguishes a client that does not exist or is refused from an outage.
func notFound(err error) error {
	refused, _ := errors.AsType[*dcr.Error](err)
	switch {
	case errors.Is(err, dcr.ErrClientNotFound):
		return fosite.ErrNotFound.WithWrap(err)
	case refused.Refuses():
		return fosite.ErrInvalidClient.WithWrap(err).WithDescription(refused.Description)
	}
	return fosite.ErrTemporarilyUnavailable.WithWrap(err)
}

// ClientAssertionJWTValid always fails, because clientauth remembers assertions.
func (c *Clients) ClientAssertionJWTValid(context.Context, string) error {
	return misused("call Clients.Configure")
}

// SetClientAssertionJWT always fails, because clientauth remembers assertions.
func (c *Clients) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return misused("call Clients.Configure")
}

// AuthenticateClient is the fosite.ClientAuthenticationStrategy that Configure sets. It
// returns the client that clientauth.Authenticator.Require has authenticated.
func (c *Clients) AuthenticateClient(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	sender := clientauth.FromContext(r.Context())
	if sender == nil {
		// WriteRevocationResponse answers most other errors with 200.
		return nil, misused("put clientauth.Authenticator.Require in front of the endpoint").WithWrap(fosite.ErrInvalidRequest)
	}
	client := Client{Registered: sender.Client}
	if request, ok := ctx.Value(fosite.AccessRequestContextKey).(*fosite.AccessRequest); ok {
		client.refreshing = request.GetGrantTypes().ExactOne("refresh_token")
		if request.GetGrantTypes().ExactOne("client_credentials") {
			settle(request, sender.Client, form["resource"])
		}
	}
	return client, nil
}

// settle leaves the scopes that the client does not have out of a request for client
// credentials, and adds its resources (RFC 8707) to the audience. If none of the scopes is
// left, fosite refuses those that were requested.
func settle(request *fosite.AccessRequest, client *dcr.Client, resources []string) {
	if scopes := client.GrantScopes(request.GetRequestedScopes()); len(scopes) > 0 {
		request.SetRequestedScopes(scopes)
	}
	for _, resource := range resources {
		request.AppendRequestedAudience(resource)
	}
	if len(request.GetRequestedAudience()) == 0 {
		request.SetRequestedAudience(client.Resources)
	}
}

// CheckAuthorizeRequest replaces provider.NewAuthorizeRequest: it first checks the
// request with Client.CheckAuthorization. The requested scopes of the result may all be
// granted, and so may its audience, which has the resources (RFC 8707). Pass an error
// to provider.WriteAuthorizeError, with the returned request.
func (c *Clients) CheckAuthorizeRequest(provider fosite.OAuth2Provider, r *http.Request) (fosite.AuthorizeRequester, error) {
	refused := fosite.NewAuthorizeRequest()
	if err := r.ParseForm(); err != nil {
		return refused, fosite.ErrInvalidRequest.WithWrap(err)
	}
	refused.Form, refused.State = r.Form, r.Form.Get("state")
	mode := fosite.ResponseModeType(r.Form.Get("response_mode"))
	known := answers{}.ResponseModes().Has(mode)
	if known {
		refused.ResponseMode = mode
	}
	published := c.Published
	if published == nil {
		published = c.Store
	}
	client, err := published.FindByClientID(r.Context(), r.Form.Get("client_id"))
	if err != nil {
		return refused, notFound(err)
	}
	scopes := strings.Fields(r.Form.Get("scope"))
	if len(scopes) == 0 {
		scopes = client.GrantScopes(c.DefaultScopes)
	}
	granted, err := client.CheckAuthorization(dcr.AuthorizationRequest{
		RedirectURI: r.Form.Get("redirect_uri"), ResponseType: r.Form.Get("response_type"), ResponseMode: r.Form.Get("response_mode"),
		Scopes: scopes, Resources: r.Form["resource"],
		CodeChallenge: r.Form.Get("code_challenge"), CodeChallengeMethod: r.Form.Get("code_challenge_method"),
	}, time.Now())
	if why, ok := errors.AsType[*dcr.AuthorizationError](err); ok {
		if redirect, err := url.Parse(why.RedirectURI); err == nil && why.RedirectURI != "" {
			refused.RedirectURI, refused.Client = redirect, Client{Registered: client, redirect: why.RedirectURI}
		}
		shown := &fosite.RFC6749Error{ErrorField: string(why.Code), DescriptionField: why.Description, CodeField: http.StatusBadRequest}
		return refused, shown.WithWrap(why)
	}
	if err != nil {
		return refused, fosite.ErrServerError.WithWrap(err)
	}
	if !known {
		if refused.RedirectURI, err = url.Parse(granted.RedirectURI); err == nil {
			refused.Client, err = Client{Registered: client, redirect: granted.RedirectURI}, fosite.ErrUnsupportedResponseMode
		}
		return refused, err
	}
	r.Form.Set("scope", strings.Join(granted.Scopes, " "))
	r.Form["audience"] = granted.Resources
	return provider.NewAuthorizeRequest(context.WithValue(r.Context(), judgedKey{}, Client{Registered: client, redirect: granted.RedirectURI}), r)
}

// Introspect introspects a token for a confidential client with any authentication
// method, which provider.NewIntrospectionRequest cannot do. Pass the result to
// provider.WriteIntrospectionResponse, and an error, such as an outage of the storage, to
// provider.WriteIntrospectionError.
func (c *Clients) Introspect(provider fosite.OAuth2Provider, r *http.Request, session fosite.Session) (fosite.IntrospectionResponder, error) {
	sender := clientauth.FromContext(r.Context())
	switch {
	case sender == nil:
		return nil, written(misused("put clientauth.Authenticator.Require in front of the endpoint"))
	case sender.Client.Public() || sender.Method == "none": // which a metadata document may list beside another
		return nil, written(fosite.ErrUnauthorizedClient)
	}
	use, request, err := provider.IntrospectToken(r.Context(), r.PostFormValue("token"), fosite.TokenUse(r.PostFormValue("token_type_hint")), session)
	switch {
	case isOutage(err):
		slog.ErrorContext(r.Context(), "adapters/fosite: a token cannot be introspected", "error", cmp.Or(errors.Unwrap(fosite.ErrorToRFC6749Error(err)), err))
		return nil, written(fosite.ErrTemporarilyUnavailable.WithWrap(err))
	case err != nil:
		return &fosite.IntrospectionResponse{}, nil
	}
	response := &fosite.IntrospectionResponse{Active: true, AccessRequester: request, TokenUse: use}
	if use == fosite.AccessToken {
		response.AccessTokenType = fosite.BearerAccessToken
	}
	return response, nil
}

// isOutage reports whether IntrospectToken could not find out about a token. fosite refuses
// the token in the same way if the storage fails, and if it does not have the token, which is
// an error of fosite.
func isOutage(err error) bool {
	shown, ok := errors.AsType[*fosite.RFC6749Error](err)
	switch {
	case !ok || shown.CodeField >= http.StatusInternalServerError:
		return err != nil
	case !errors.Is(shown, fosite.ErrRequestUnauthorized) || shown.Cause() == nil:
		return false
	}
	_, ok = errors.AsType[*fosite.RFC6749Error](shown.Cause())
	return !ok
}

// written returns an error that provider.WriteIntrospectionError writes as it is. It writes
// others as an inactive token.
func written(err *fosite.RFC6749Error) error {
	return err.WithWrap(errors.Join(fosite.ErrRequestUnauthorized, err.Cause()))
}

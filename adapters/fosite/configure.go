package fosite

// What fosite does not check about clients itself, and RFC 9207: the issuer in
// authorization responses.

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

// maxCodeLifetime is the longest that RFC 6749 §4.1.2 recommends.
const maxCodeLifetime = 10 * time.Minute

// Configure sets how fosite authenticates and checks clients and how it refuses
// authorization requests, and adds handlers for authorization requests, token
// requests and introspection. Call it after compose.Compose, because its handlers
// must come last. The iss of authorization responses (RFC 9207) is the IDTokenIssuer
// of config.
func (c *Clients) Configure(config *fosite.Config) {
	config.ClientAuthenticationStrategy = c.AuthenticateClient
	config.ScopeStrategy = fosite.ExactScopeStrategy
	config.AudienceMatchingStrategy = matchAudience
	config.EnablePKCEPlainChallengeMethod = false
	config.GrantTypeJWTBearerCanSkipClientAuth = false
	config.AuthorizeCodeLifespan = maxCodeLifetime                                      // grants checks the client's own
	config.RedirectSecureChecker = func(context.Context, *url.URL) bool { return true } // registration checked it
	config.RefreshTokenScopes = []string{"offline_access"}
	if c.RefreshWithoutScope {
		config.RefreshTokenScopes = []string{}
	}
	config.ResponseModeHandlerExtension = answers{config}
	config.AuthorizeEndpointHandlers.Append(answers{config})
	config.TokenEndpointHandlers.Append(grants{})
	config.TokenIntrospectionHandlers.Append(usable{c.Store})
}

// matchAudience checks that an audience is among the resources of a client, if the
// client has any, as Client.CheckAuthorization does.
func matchAudience(resources, audience []string) error {
	if len(resources) == 0 {
		return nil
	}
	return fosite.ExactAudienceMatchingStrategy(resources, audience)
}

// answers adds iss to authorization responses (RFC 9207).
type answers struct{ *fosite.Config }

// HandleAuthorizeEndpointRequest is called for a request that fosite has granted.
func (a answers) HandleAuthorizeEndpointRequest(ctx context.Context, _ fosite.AuthorizeRequester, response fosite.AuthorizeResponder) error {
	if a.IDTokenIssuer == "" {
		return misused("set fosite.Config.IDTokenIssuer, which is the iss of authorization responses")
	}
	response.AddParameter("iss", a.IDTokenIssuer)
	return nil
}

// ResponseModes returns the modes for which fosite calls WriteAuthorizeError: all.
func (answers) ResponseModes() fosite.ResponseModeTypes {
	return append(Client{}.GetResponseModes(), fosite.ResponseModeDefault)
}

// WriteAuthorizeError sends an error to the client if the redirect URI is valid.
// Otherwise it shows the error as fosite does.
func (a answers) WriteAuthorizeError(ctx context.Context, w http.ResponseWriter, request fosite.AuthorizeRequester, err error) {
	plain := fosite.NewOAuth2Provider(nil, withoutAnswers(a))
	if !request.IsRedirectURIValid() {
		plain.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	response := fosite.NewAuthorizeResponse()
	response.Parameters = fosite.ErrorToRFC6749Error(err).WithExposeDebug(a.GetSendDebugMessagesToClients(ctx)).ToValues()
	response.AddParameter("iss", a.IDTokenIssuer)
	if state := request.GetState(); state != "" {
		response.AddParameter("state", state)
	}
	plain.WriteAuthorizeResponse(ctx, w, request, response)
}

// WriteAuthorizeResponse is never called, because fosite supports the modes itself.
func (answers) WriteAuthorizeResponse(context.Context, http.ResponseWriter, fosite.AuthorizeRequester, fosite.AuthorizeResponder) {
}

type withoutAnswers struct{ *fosite.Config }

func (withoutAnswers) GetResponseModeHandlerExtension(context.Context) fosite.ResponseModeHandler {
	return fosite.NewDefaultResponseModeHandler()
}

// grantBegan is a token type under which a fosite.Session stores when a grant began and
// how the client authenticated then. The session must store the times of token types
// that it does not know, as fosite's own sessions do.
func grantBegan(sender *clientauth.Authentication) fosite.TokenType {
	return fosite.TokenType("dcr_grant_began_by_" + sender.GrantMethod())
}

// grants checks token requests against the current client, and sets the expiry of
// refresh tokens to Client.RefreshTokenEnd.
type grants struct{}

func (grants) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (grants) CanHandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) bool {
	return request.GetGrantTypes().ExactOne("authorization_code") || request.GetGrantTypes().ExactOne("refresh_token")
}

func (grants) HandleTokenEndpointRequest(ctx context.Context, request fosite.AccessRequester) error {
	sender := clientauth.FromContext(ctx)
	if sender == nil {
		return misused("pass the context of the request to NewAccessRequest")
	}
	client, session, now := sender.Client, request.GetSession(), time.Now().UTC()
	if request.GetGrantTypes().ExactOne("authorization_code") {
		scopes, redirect := []string(request.GetRequestedScopes()), request.GetRequestForm().Get("redirect_uri")
		issued := session.GetExpiresAt(fosite.AuthorizeCode).Add(-maxCodeLifetime)
		switch {
		case !now.Before(issued.Add(client.AuthorizationCodeLifetime)):
			return fosite.ErrInvalidGrant.WithHint("The code has expired.")
		case redirect != "" && !client.MatchRedirectURI(redirect) || !slices.Equal(client.GrantScopes(scopes), scopes):
			return fosite.ErrInvalidGrant.WithHint("The client has changed since the code was issued.")
		}
		session.SetExpiresAt(grantBegan(sender), now)
		if session.GetExpiresAt(grantBegan(sender)).IsZero() {
			return misused("the fosite.Session must store the times of all token types")
		}
	}
	began := session.GetExpiresAt(grantBegan(sender))
	if began.IsZero() {
		return fosite.ErrInvalidClient.WithDebug("The grant began with another method of authentication.")
	}
	session.SetExpiresAt(fosite.RefreshToken, client.RefreshTokenEnd(began, now))
	return nil
}

func (grants) PopulateTokenEndpointResponse(context.Context, fosite.AccessRequester, fosite.AccessResponder) error {
	return fosite.ErrUnknownRequest
}

// usable refuses the tokens of clients that are not usable now.
type usable struct{ store dcr.ClientConfigurationStore }

func (u usable) IntrospectToken(ctx context.Context, _ string, _ fosite.TokenUse, request fosite.AccessRequester, _ []string) (fosite.TokenUse, error) {
	id := request.GetClient().GetID()
	if id == "" { // no other handler knew the token
		return "", fosite.ErrUnknownRequest
	}
	client, err := u.store.FindByClientID(ctx, id)
	if err != nil {
		return "", notFound(err)
	}
	if err := client.CheckUsable(time.Now()); err != nil {
		return "", fosite.ErrInactiveToken.WithWrap(err)
	}
	return "", fosite.ErrUnknownRequest
}

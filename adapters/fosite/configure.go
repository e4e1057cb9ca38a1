package fosite

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/dynreg/dcr"
)

// Configure sets what fosite asks about clients, and adds a handler of token requests
// and one of introspection. Call it after compose.Compose: its handlers come last.
func (c *Clients) Configure(config *fosite.Config) {
	config.ClientAuthenticationStrategy = c.AuthenticateClient
	config.ScopeStrategy = fosite.ExactScopeStrategy
	config.AudienceMatchingStrategy = matchAudience
	config.EnablePKCEPlainChallengeMethod = false
	config.GrantTypeJWTBearerCanSkipClientAuth = false
	config.AuthorizeCodeLifespan = dcr.NewClient().AuthorizationCodeLifetime
	config.RedirectSecureChecker = func(context.Context, *url.URL) bool { return true } // registration judged it
	config.RefreshTokenScopes = []string{"offline_access"}
	if c.RefreshWithoutScope {
		config.RefreshTokenScopes = []string{}
	}
	config.TokenEndpointHandlers.Append(grants{})
	config.TokenIntrospectionHandlers.Append(usable{c.Store})
}

// matchAudience holds an audience to the resources of a client that has some, as
// Client.CheckAuthorization does.
func matchAudience(resources, audience []string) error {
	if len(resources) == 0 {
		return nil
	}
	return fosite.ExactAudienceMatchingStrategy(resources, audience)
}

// grantBegan is when a grant began, among the times of a fosite.Session. It must keep
// those of token types that it does not know, as fosite's own do.
const grantBegan fosite.TokenType = "dcr_grant_began"

// grants holds token requests to what the client may have now, and refresh tokens to
// Client.RefreshTokenEnd.
type grants struct{}

func (grants) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (grants) CanHandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) bool {
	return request.GetGrantTypes().ExactOne("authorization_code") || request.GetGrantTypes().ExactOne("refresh_token")
}

func (grants) HandleTokenEndpointRequest(_ context.Context, request fosite.AccessRequester) error {
	client, ok := request.GetClient().(Client)
	if !ok {
		return misused("call Clients.Configure")
	}
	now, session := time.Now().UTC(), request.GetSession()
	if request.GetGrantTypes().ExactOne("authorization_code") {
		scopes, redirect := []string(request.GetRequestedScopes()), request.GetRequestForm().Get("redirect_uri")
		if redirect != "" && !client.Registered.MatchRedirectURI(redirect) || !slices.Equal(client.Registered.GrantScopes(scopes), scopes) {
			return fosite.ErrInvalidGrant.WithHint("The client has changed since the code was issued.")
		}
		session.SetExpiresAt(grantBegan, now)
	}
	began := session.GetExpiresAt(grantBegan)
	if began.IsZero() {
		return misused("the fosite.Session must keep the times of all token types")
	}
	session.SetExpiresAt(fosite.RefreshToken, client.Registered.RefreshTokenEnd(began, now))
	return nil
}

func (grants) PopulateTokenEndpointResponse(context.Context, fosite.AccessRequester, fosite.AccessResponder) error {
	return fosite.ErrUnknownRequest
}

// usable refuses the tokens of clients that may not act now.
type usable struct{ store dcr.ClientConfigurationStore }

func (u usable) IntrospectToken(ctx context.Context, _ string, _ fosite.TokenUse, request fosite.AccessRequester, _ []string) (fosite.TokenUse, error) {
	id := request.GetClient().GetID()
	if id == "" { // no other handler knows the token
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

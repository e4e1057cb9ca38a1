package fosite

// What fosite does not check about clients itself, and RFC 9207: the issuer in
// authorization responses.

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
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
	config.ScopeStrategy = matchScope
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
	config.AuthorizeEndpointHandlers = slices.Insert(config.AuthorizeEndpointHandlers, 0, fosite.AuthorizeEndpointHandler(answers{config})) // before the code is stored
	config.TokenEndpointHandlers.Append(grants{config})
	config.TokenIntrospectionHandlers.Append(usable{c.Store})
}

// anyScope is what the scopes of a client are while it refreshes. No scope contains a
// space.
const anyScope = " "

// matchScope compares scopes as plain strings.
func matchScope(scopes []string, scope string) bool {
	return slices.Contains(scopes, anyScope) || slices.Contains(scopes, scope)
}

// matchAudience checks that an audience is among the resources of a client, if the
// client has any, as Client.CheckAuthorization does.
func matchAudience(resources, audience []string) error {
	if len(resources) == 0 || fosite.ExactAudienceMatchingStrategy(resources, audience) == nil {
		return nil
	}
	return &fosite.RFC6749Error{
		ErrorField: string(dcr.InvalidTarget), CodeField: http.StatusBadRequest, DescriptionField: "The client has no access to a requested resource.",
	}
}

// answers adds iss to authorization responses (RFC 9207).
type answers struct{ *fosite.Config }

// HandleAuthorizeEndpointRequest is called for a request that the person has granted.
func (a answers) HandleAuthorizeEndpointRequest(ctx context.Context, request fosite.AuthorizeRequester, response fosite.AuthorizeResponder) error {
	if a.IDTokenIssuer == "" {
		return misused("set fosite.Config.IDTokenIssuer, which is the iss of authorization responses")
	}
	if client, ok := request.GetClient().(interface{ registered() *dcr.Client }); ok {
		if err := unbound(client.registered()); err != nil { // the response may have a token
			return err
		}
	}
	sent := codeFor(request.GetRedirectURI().String(), request.GetRequestForm().Get("code_challenge"))
	request.GetSession().SetExpiresAt(sent, time.Now().UTC())
	if request.GetSession().GetExpiresAt(sent).IsZero() {
		return errSession()
	}
	response.AddParameter("iss", a.IDTokenIssuer)
	return nil
}

// codeFor is a token type under which a fosite.Session stores where a code was sent, which the
// request need not have said, and for which code_challenge. fosite deletes the challenge when
// a verifier is wrong, and then redeems the code without one.
func codeFor(redirect, challenge string) fosite.TokenType {
	if parsed, err := url.Parse(redirect); err == nil {
		redirect = parsed.String() // as fosite keeps it
	}
	return fosite.TokenType("dcr_code_for_" + digestOf(redirect+" "+challenge))
}

func digestOf(text string) string {
	digest := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(digest[:])
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
type grants struct{ *fosite.Config }

func (grants) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (grants) CanHandleTokenEndpointRequest(context.Context, fosite.AccessRequester) bool {
	return true
}

// HandleTokenEndpointRequest returns fosite.ErrUnknownRequest for grants that it has nothing
// to say about, so that fosite refuses those that no other handler knows.
func (g grants) HandleTokenEndpointRequest(ctx context.Context, requester fosite.AccessRequester) error {
	sender := clientauth.FromContext(ctx)
	request, ok := requester.(*fosite.AccessRequest)
	if sender == nil || !ok {
		return misused("pass the context of the request to NewAccessRequest")
	}
	client := sender.Client
	err := unbound(client)
	switch {
	case err != nil:
		return err
	case request.GetGrantTypes().ExactOne("authorization_code"):
		err = redeem(request, sender)
	case request.GetGrantTypes().ExactOne("refresh_token"):
		err = g.refresh(request, client)
	case request.GetGrantTypes().ExactOne("client_credentials"):
		for _, resource := range request.GetRequestedAudience() { // fosite has compared it with the client's
			request.GrantAudience(resource)
		}
		return fosite.ErrUnknownRequest
	default:
		return fosite.ErrUnknownRequest
	}
	if err != nil {
		return err
	}
	began := request.GetSession().GetExpiresAt(grantBegan(sender))
	if began.IsZero() {
		return fosite.ErrInvalidClient.WithDebug("The grant began with another method of authentication.")
	}
	request.GetSession().SetExpiresAt(fosite.RefreshToken, client.RefreshTokenEnd(began, time.Now().UTC()))
	return nil
}

// unbound refuses a client that requires bound tokens, because anybody could use the tokens
// that fosite issues.
func unbound(client *dcr.Client) error {
	if client.DPoPBoundAccessTokens || client.TLSClientCertificateBoundAccessTokens {
		return misused("sender-constrained tokens are not supported; leave DPoPSigningAlgs and TLSClientCertificateBoundAccessTokens out of the Capabilities")
	}
	return nil
}

var errCodeDiffers = fosite.ErrInvalidGrant.WithHint("The redirect_uri or the code_verifier is not the one of the code, or the client has changed since the code was issued.")

// redeem checks a code that fosite would redeem.
func redeem(request *fosite.AccessRequest, sender *clientauth.Authentication) error {
	client, session, form, now := sender.Client, request.GetSession(), request.GetRequestForm(), time.Now().UTC()
	scopes, redirects := []string(request.GetRequestedScopes()), client.RedirectURIs
	if redirect := form.Get("redirect_uri"); redirect != "" {
		redirects = []string{redirect}
	}
	challenge := ""
	if verifier := form.Get("code_verifier"); verifier != "" {
		challenge = digestOf(verifier)
	}
	issued := session.GetExpiresAt(fosite.AuthorizeCode).Add(-maxCodeLifetime)
	switch {
	case !now.Before(issued.Add(client.AuthorizationCodeLifetime)):
		return fosite.ErrInvalidGrant.WithHint("The code has expired.")
	case client.RequirePKCE && challenge == "":
		return fosite.ErrInvalidGrant.WithHint("The code_verifier is missing.")
	case !slices.ContainsFunc(redirects, func(redirect string) bool {
		return client.MatchRedirectURI(redirect) && !session.GetExpiresAt(codeFor(redirect, challenge)).IsZero()
	}):
		return errCodeDiffers
	case !slices.Equal(client.GrantScopes(scopes), scopes), matchAudience(client.Resources, request.GetRequestedAudience()) != nil:
		return errCodeDiffers
	}
	session.SetExpiresAt(grantBegan(sender), now)
	if session.GetExpiresAt(grantBegan(sender)).IsZero() {
		return errSession()
	}
	return nil
}

func errSession() error {
	return misused("the fosite.Session must store the times of all token types")
}

// refresh leaves out the scopes that the client no longer has. Without any left, or without
// one that refreshing needs, it refuses the refresh token.
func (g grants) refresh(request *fosite.AccessRequest, client *dcr.Client) error {
	if matchAudience(client.Resources, request.GrantedAudience) != nil {
		return fosite.ErrInvalidGrant.WithHint("The client has lost access to a resource since the person consented.")
	}
	granted := fosite.Arguments(client.GrantScopes(request.GrantedScope))
	if len(granted) == 0 && len(request.GrantedScope) > 0 || len(g.RefreshTokenScopes) > 0 && !granted.HasOneOf(g.RefreshTokenScopes...) {
		return fosite.ErrInvalidScope.WithHint("The client does not have the granted scope any more.")
	}
	request.GrantedScope, request.Client = granted, Client{Registered: client}
	return nil
}

func (grants) PopulateTokenEndpointResponse(context.Context, fosite.AccessRequester, fosite.AccessResponder) error {
	return fosite.ErrUnknownRequest
}

// usable refuses the tokens of clients that are not usable now, and leaves out the scopes
// and resources that a client no longer has.
type usable struct{ store dcr.ClientConfigurationStore }

func (u usable) IntrospectToken(ctx context.Context, _ string, _ fosite.TokenUse, requester fosite.AccessRequester, scopes []string) (fosite.TokenUse, error) {
	id := requester.GetClient().GetID()
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
	request, ok := requester.(*fosite.AccessRequest)
	if !ok {
		return "", misused("introspect tokens with IntrospectToken of the provider")
	}
	request.GrantedScope = client.GrantScopes(request.GrantedScope)
	for _, scope := range scopes {
		if scope != "" && !request.GrantedScope.Has(scope) {
			return "", fosite.ErrInvalidScope.WithHintf("The client does not have the scope '%s' any more.", scope)
		}
	}
	if len(client.Resources) > 0 && len(request.GrantedAudience) > 0 {
		request.GrantedAudience = slices.DeleteFunc(slices.Clone(request.GrantedAudience), func(resource string) bool { return !slices.Contains(client.Resources, resource) })
		if len(request.GrantedAudience) == 0 {
			return "", fosite.ErrInactiveToken.WithHint("The client has no access to the resources of the token any more.")
		}
	}
	return "", fosite.ErrUnknownRequest
}

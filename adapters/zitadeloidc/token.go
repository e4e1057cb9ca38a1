package zitadeloidc

// RFC 6749 §3.2, RFC 7009, RFC 7662, RFC 9068: the endpoints at which clients
// authenticate.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

// MethodKeeper is an op.RefreshTokenRequest that knows how the client authenticated
// when the grant began: store clientauth.FromContext(ctx).Method in
// CreateAccessAndRefreshTokens. Server then refuses a client that has changed its
// method, as clientauth.Authenticator.AuthenticateRefresh does.
type MethodKeeper interface {
	GetClientAuthMethod() string
}

// ResourceKeeper is an op.TokenRequest that knows the resources of its access tokens,
// which are those of AuthorizationFromContext. They become the aud of JWT access tokens
// (RFC 9068 §3). Server refuses a code or a refresh token for a resource that the client no
// longer has. GetAudience is also the audience of ID Tokens, so it should then return
// only the client.
type ResourceKeeper interface {
	GetResources() []string
}

// authenticate calls next for authenticated clients, with an Authentication in the
// context.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		sender, err := s.options.Clients.Authenticate(r)
		if err != nil {
			clientauth.WriteError(w, r, err)
			return
		}
		next.ServeHTTP(&challenger{w, `Basic realm="token endpoint"`}, r.WithContext(clientauth.NewContext(r.Context(), sender)))
	})
}

// sameMethod reports whether the client authenticated as it did when the grant began, if
// the request knows that.
func sameMethod(sender *clientauth.Authentication, request op.RefreshTokenRequest) bool {
	keeper, ok := request.(MethodKeeper)
	if !ok {
		return true
	}
	then := *sender
	then.Method = keeper.GetClientAuthMethod()
	return then.GrantMethod() == sender.GrantMethod()
}

// onlyServed refuses the grants of op for which Server does not check the client.
func onlyServed(next http.Handler) http.Handler {
	served := []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken, oidc.GrantTypeClientCredentials}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(served, oidc.GrantType(r.PostFormValue("grant_type"))) {
			dcr.WriteError(w, r, dcr.Errorf("unsupported_grant_type", "grant_type must be authorization_code, refresh_token or client_credentials"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// VerifyClient returns the client that authenticated.
func (s *Server) VerifyClient(ctx context.Context, _ *op.Request[op.ClientCredentials]) (op.Client, error) {
	return s.clients.authenticated(ctx, "")
}

// CodeExchange redeems a code with its verifier, for what the client may still get.
func (s *Server) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	client := clientauth.FromContext(ctx).Client
	request, err := s.Provider().Storage().AuthRequestByCode(ctx, r.Data.Code)
	if err != nil {
		return nil, invalidGrant(err)
	}
	var challenge oidc.CodeChallenge
	if kept := request.GetCodeChallenge(); kept != nil {
		challenge = *kept
	}
	switch err := client.VerifyCodeVerifier(challenge.Challenge, string(challenge.Method), r.Data.CodeVerifier); {
	case request.GetClientID() != client.ID || request.GetRedirectURI() != r.Data.RedirectURI:
		return nil, oidc.ErrInvalidGrant().WithDescription("the code is for another client or another redirect_uri")
	case err != nil:
		return nil, oidc.ErrInvalidGrant().WithParent(err)
	case !client.MatchRedirectURI(r.Data.RedirectURI) || !slices.Equal(client.GrantScopes(request.GetScopes()), request.GetScopes()) || exceeds(client, request):
		return nil, oidc.ErrInvalidGrant().WithDescription("the client has changed since the code was issued")
	}
	refreshes := client.HasGrant("refresh_token") &&
		(s.options.RefreshWithoutScope || slices.Contains(request.GetScopes(), oidc.ScopeOfflineAccess))
	response, err := s.respond(ctx, client, request, refreshes, r.Data.Code, "")
	if err != nil {
		return nil, hidden(err)
	}
	return op.NewResponse(response), hidden(s.Provider().Storage().DeleteAuthRequest(ctx, request.GetID()))
}

// RefreshToken issues tokens for what the client may still get of a grant.
func (s *Server) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	sender := clientauth.FromContext(ctx)
	client := sender.Client
	request, err := s.Provider().Storage().TokenRequestByRefreshToken(ctx, r.Data.RefreshToken)
	switch {
	case err != nil:
		return nil, invalidGrant(err)
	case request.GetClientID() != client.ID:
		return nil, oidc.ErrInvalidGrant()
	case !sameMethod(sender, request): // checked here, because op decides which token of the request counts
		return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("client authentication failed"), http.StatusUnauthorized)
	case exceeds(client, request):
		return nil, oidc.ErrInvalidGrant().WithDescription("the client has lost access to a resource since the grant began")
	case !s.options.RefreshWithoutScope && !s.clients.client(client).IsScopeAllowed(oidc.ScopeOfflineAccess):
		return nil, oidc.ErrInvalidScope().WithDescription("the client has lost the scope offline_access")
	}
	asked := words(r.Data.Scopes)
	if len(asked) == 0 {
		asked = request.GetScopes()
	}
	if err := op.ValidateRefreshTokenScopes(asked, request); err != nil {
		return nil, err
	}
	scopes := client.GrantScopes(asked)
	if len(scopes) == 0 && len(asked) > 0 {
		return nil, oidc.ErrInvalidScope()
	}
	request.SetCurrentScopes(scopes)
	response, err := s.respond(ctx, client, request, true, "", r.Data.RefreshToken)
	if err != nil {
		return nil, hidden(err)
	}
	return op.NewResponse(response), nil
}

// ClientCredentialsExchange issues a token to the client itself.
func (s *Server) ClientCredentialsExchange(ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	client := clientauth.FromContext(ctx).Client
	storage, ok := s.Provider().Storage().(op.ClientCredentialsStorage)
	if !ok {
		return nil, oidc.ErrUnsupportedGrantType()
	}
	asked := words(r.Data.Scope)
	scopes := client.GrantScopes(asked)
	if len(scopes) == 0 && len(asked) > 0 {
		return nil, oidc.ErrInvalidScope()
	}
	resources := r.PostForm["resource"]
	if len(resources) == 0 {
		resources = client.Resources
	}
	if beyond(client, resources) {
		return nil, errTarget()
	}
	ctx = context.WithValue(ctx, grantedKey{}, &dcr.Authorization{Scopes: scopes, Resources: resources})
	request, err := storage.ClientCredentialsTokenRequest(ctx, client.ID, scopes)
	if err != nil {
		return nil, hidden(err)
	}
	if exceeds(client, request) {
		return nil, errTarget()
	}
	id, ends, err := s.Provider().Storage().CreateAccessToken(ctx, request)
	if err != nil {
		return nil, hidden(err)
	}
	response, err := s.accessToken(ctx, client, request, id, ends)
	if err != nil {
		return nil, hidden(err)
	}
	return op.NewResponse(response), nil
}

// exceeds reports whether a request is for a resource that the client no longer has.
func exceeds(client *dcr.Client, request any) bool {
	keeper, ok := request.(ResourceKeeper)
	return ok && beyond(client, keeper.GetResources())
}

// beyond reports whether one of the resources is not among those of the client, if the
// client has any.
func beyond(client *dcr.Client, resources []string) bool {
	return len(client.Resources) > 0 && slices.ContainsFunc(resources, func(resource string) bool { return !slices.Contains(client.Resources, resource) })
}

func errTarget() error {
	refused := oidc.ErrInvalidRequest().WithDescription("the client has no access to a requested resource")
	setCode(&refused.ErrorType, dcr.InvalidTarget)
	return refused
}

// respond does what op.CreateTokenResponse does, but issues an ID Token only for the
// scope openid.
func (s *Server) respond(ctx context.Context, client *dcr.Client, request op.IDTokenRequest, refreshes bool, code, refreshToken string) (response *oidc.AccessTokenResponse, err error) {
	storage := s.Provider().Storage()
	var id, next string
	var ends time.Time
	if refreshes {
		id, next, ends, err = storage.CreateAccessAndRefreshTokens(ctx, request, refreshToken)
		if err != nil && refreshToken != "" { // it was used up by another request
			err = invalidGrant(err)
		}
	} else {
		id, ends, err = storage.CreateAccessToken(ctx, request)
	}
	if err != nil {
		return nil, err
	}
	if response, err = s.accessToken(ctx, client, request, id, ends); err != nil {
		return nil, err
	}
	response.RefreshToken = next
	if slices.Contains(request.GetScopes(), oidc.ScopeOpenID) {
		response.IDToken, err = op.CreateIDToken(ctx, op.IssuerFromContext(ctx), request, client.IdentityTokenLifetime, response.AccessToken, code, storage, s.clients.client(client))
	}
	return response, err
}

// accessToken checks that the op.Storage respects the lifetime of the client's tokens.
// A client that requires bound tokens gets none, because anybody could use unbound ones.
func (s *Server) accessToken(ctx context.Context, client *dcr.Client, request op.TokenRequest, id string, ends time.Time) (*oidc.AccessTokenResponse, error) {
	if client.DPoPBoundAccessTokens || client.TLSClientCertificateBoundAccessTokens {
		return nil, oidc.ErrServerError().WithParent(errors.New("zitadeloidc: sender-constrained tokens are not supported; " +
			"leave DPoPSigningAlgs and TLSClientCertificateBoundAccessTokens out of the Capabilities"))
	}
	lifetime := time.Until(ends)
	if lifetime > client.AccessTokenLifetime {
		return nil, oidc.ErrServerError().WithParent(fmt.Errorf("zitadeloidc: the op.Storage created a token that lives for %v, but those of the client live for %v; "+
			"use clientauth.FromContext(ctx).Client.AccessTokenLifetime", lifetime, client.AccessTokenLifetime))
	}
	var token string
	var err error
	if mapped := s.clients.client(client); mapped.AccessTokenType() == op.AccessTokenTypeJWT {
		token, err = s.jwt(ctx, mapped, request, id, ends)
	} else {
		token, err = op.CreateBearerToken(id, request.GetSubject(), s.Provider().Crypto())
	}
	return &oidc.AccessTokenResponse{AccessToken: token, TokenType: oidc.BearerToken, ExpiresIn: uint64(max(0, lifetime.Seconds())), Scope: request.GetScopes()}, err
}

// jwt returns a JWT of op that is signed again with what RFC 9068 §2 also requires: the
// typ, the scope and the resources.
func (s *Server) jwt(ctx context.Context, client Client, request op.TokenRequest, id string, ends time.Time) (string, error) {
	token, err := op.CreateJWT(ctx, op.IssuerFromContext(ctx), request, ends, id, client, s.Provider().Storage())
	if err != nil {
		return "", err
	}
	key, err := s.Provider().Storage().SigningKey(ctx)
	if err != nil {
		return "", err
	}
	made, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{key.SignatureAlgorithm()})
	if err != nil {
		return "", err
	}
	var claims map[string]any
	numbers := json.NewDecoder(bytes.NewReader(made.UnsafePayloadWithoutVerification()))
	numbers.UseNumber()
	if err := numbers.Decode(&claims); err != nil {
		return "", err
	}
	if scopes := request.GetScopes(); len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
	if keeper, ok := request.(ResourceKeeper); ok && len(keeper.GetResources()) > 0 {
		claims["aud"] = keeper.GetResources()
	} else if granted := AuthorizationFromContext(ctx); granted != nil && len(granted.Resources) > 0 { // client credentials
		claims["aud"] = granted.Resources
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.SignatureAlgorithm(), Key: jose.JSONWebKey{Key: key.Key(), KeyID: key.ID()}},
		new(jose.SignerOptions).WithType("at+jwt"))
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// Introspect answers confidential clients. The tokens of clients that are not usable now
// are inactive, and so are tokens only for resources that the client no longer has.
// SetIntrospectionFromToken must set the client of the token: a token without a client is
// inactive.
func (s *Server) Introspect(ctx context.Context, r *op.Request[op.IntrospectionRequest]) (*op.Response, error) {
	sender, err := s.clients.authenticated(ctx, "") // with a secret or an assertion, which op requires
	if err != nil {
		return nil, err
	}
	r.Data.ClientCredentials = &op.ClientCredentials{ClientID: sender.GetID()}
	var failed error
	response, err := s.introspecting.Introspect(context.WithValue(ctx, failedKey{}, &failed), r)
	if err != nil {
		return nil, err
	}
	if shown, ok := errors.AsType[*oidc.Error](failed); ok && shown.ErrorType == oidc.ServerError {
		return nil, op.NewStatusError(shown, http.StatusServiceUnavailable)
	}
	told, ok := response.Data.(*oidc.IntrospectionResponse)
	if !ok || !told.Active {
		return op.NewResponse(new(oidc.IntrospectionResponse)), nil
	}
	client, err := s.clients.Store.FindByClientID(ctx, told.ClientID)
	switch {
	case isGone(err) || err == nil && !client.Usable(time.Now()):
		return op.NewResponse(new(oidc.IntrospectionResponse)), nil
	case err != nil:
		return nil, op.NewStatusError(oidc.ErrServerError().WithParent(err), http.StatusServiceUnavailable)
	}
	told.Scope = client.GrantScopes(told.Scope)
	if named := told.Audience; beyond(client, named) {
		told.Audience = slices.DeleteFunc(slices.Clone(named), func(resource string) bool { return resource != client.ID && beyond(client, []string{resource}) })
		if len(told.Audience) == 0 {
			return op.NewResponse(new(oidc.IntrospectionResponse)), nil
		}
	}
	return response, nil
}

// introspecting is the provider for introspection. Without it, op would answer an outage
// of the op.Storage as if the token were inactive.
type introspecting struct{ op.OpenIDProvider }

func (i introspecting) Storage() op.Storage { return noting{i.OpenIDProvider.Storage()} }

// noting notes the error of SetIntrospectionFromToken, which op ignores.
type noting struct{ op.Storage }

type failedKey struct{}

func (n noting) SetIntrospectionFromToken(ctx context.Context, told *oidc.IntrospectionResponse, id, subject, clientID string) error {
	err := n.Storage.SetIntrospectionFromToken(ctx, told, id, subject, clientID)
	if failed, ok := ctx.Value(failedKey{}).(*error); ok {
		*failed = err
	}
	return err
}

// hidden returns err as a server error that does not say what failed, unless it is an
// oidc.Error. op would show the text of the error.
func hidden(err error) error {
	if _, ok := errors.AsType[*oidc.Error](err); ok || err == nil {
		return err
	}
	if status, ok := errors.AsType[op.StatusError](err); ok { // op would show the error in it
		err = status.Unwrap()
	}
	return oidc.ErrServerError().WithParent(err)
}

// invalidGrant refuses a code or a refresh token, unless the op.Storage failed.
func invalidGrant(err error) error {
	if shown, ok := errors.AsType[*oidc.Error](err); ok && shown.ErrorType == oidc.ServerError {
		return err
	}
	return oidc.ErrInvalidGrant().WithParent(err)
}

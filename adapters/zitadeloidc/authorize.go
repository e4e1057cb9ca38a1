package zitadeloidc

// RFC 6749 §4.1.1, RFC 8707: authorization requests.

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
)

// CheckAuthRequest checks an authorization request with Client.CheckAuthorization.
// resources are those of the request (RFC 8707), which op does not know. It removes from
// request.Scopes those that may not be granted. An error is an *oidc.Error. It is
// redirected only if the redirect URI is known to be the client's. Server calls this
// function.
func CheckAuthRequest(client *dcr.Client, request *oidc.AuthRequest, resources []string) (*dcr.Authorization, error) {
	granted, err := client.CheckAuthorization(dcr.AuthorizationRequest{
		RedirectURI: request.RedirectURI, ResponseType: string(request.ResponseType), ResponseMode: string(request.ResponseMode),
		Scopes: request.Scopes, Resources: resources,
		CodeChallenge: request.CodeChallenge, CodeChallengeMethod: string(request.CodeChallengeMethod),
	}, time.Now())
	if refused, ok := errors.AsType[*dcr.AuthorizationError](err); ok {
		shown := oidc.ErrInvalidRequest()
		if refused.RedirectURI == "" {
			shown = oidc.ErrInvalidRequestRedirectURI()
		}
		setCode(&shown.ErrorType, refused.Code)
		return nil, shown.WithParent(refused).WithDescription("%s", refused.Description)
	}
	modes := []string{string(oidc.ResponseModeQuery), string(oidc.ResponseModeFragment), string(oidc.ResponseModeFormPost)}
	switch {
	case err != nil:
		return nil, oidc.ErrServerError().WithParent(err)
	case request.ResponseType != oidc.ResponseTypeCode:
		return nil, oidc.ErrInvalidRequest().WithDescription("response_type must be code")
	case !slices.Contains(modes, granted.ResponseMode):
		return nil, oidc.ErrInvalidRequest().WithDescription("response_mode must be query, fragment or form_post")
	}
	request.Scopes = granted.Scopes
	return granted, nil
}

// setCode sets an error type of oidc, which has no exported name.
func setCode[T ~string](into *T, code dcr.Code) { *into = T(code) }

// words returns the scopes without empty ones: op reads an empty parameter as one scope.
func words(scopes []string) []string { return strings.Fields(strings.Join(scopes, " ")) }

// judged is a client whose authorization request was checked. The rules of op, which
// run next, are partly looser and partly stricter than those of registration, so judged
// passes all of them.
type judged struct {
	Client
	request *oidc.AuthRequest
	granted *dcr.Authorization
	refused error // for Authorize, which sends it to the redirect URI
}

func (j judged) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative }
func (j judged) DevMode() bool                       { return true }
func (j judged) RedirectURIs() []string              { return []string{j.request.RedirectURI} }
func (j judged) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{j.request.ResponseType}
}

// VerifyAuthRequest finds the client and checks the request.
func (s *Server) VerifyAuthRequest(ctx context.Context, r *op.Request[oidc.AuthRequest]) (*op.ClientRequest[oidc.AuthRequest], error) {
	client, err := s.options.Published.FindByClientID(ctx, r.Data.ClientID)
	refused := refusal(err)
	switch {
	case errors.Is(err, dcr.ErrClientNotFound):
		return nil, oidc.ErrInvalidRequestRedirectURI().WithParent(err).WithDescription("this application is not registered here")
	case refused != nil:
		return nil, oidc.ErrInvalidRequestRedirectURI().WithParent(err).WithDescription("%s", refused.Description)
	case err != nil:
		return nil, op.NewStatusError(oidc.ErrServerError().WithParent(err), http.StatusServiceUnavailable)
	}
	if r.Data.Scopes = words(r.Data.Scopes); len(r.Data.Scopes) == 0 { // op refuses a request without scopes
		r.Data.Scopes = client.GrantScopes(s.options.DefaultScopes)
	}
	granted, err := CheckAuthRequest(client, r.Data, r.Form["resource"])
	if shown, ok := errors.AsType[*oidc.Error](err); ok && shown.IsRedirectDisabled() {
		return nil, err
	}
	return &op.ClientRequest[oidc.AuthRequest]{Request: r, Client: judged{s.clients.client(client), r.Data, granted, err}}, nil
}

// Authorize stores a request that may be granted and sends the person to the sign-in
// page. The [dcr.Authorization] is in the context of CreateAuthRequest.
func (s *Server) Authorize(ctx context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	client, ok := r.Client.(judged)
	if !ok {
		return nil, errServe
	}
	if client.refused != nil {
		return nil, client.refused
	}
	person, err := op.ValidateAuthReqIDTokenHint(ctx, r.Data.IDTokenHint, s.Provider().IDTokenHintVerifier(ctx))
	switch {
	case err != nil:
		return nil, hidden(err)
	case r.Data.RequestParam != "":
		return nil, oidc.ErrRequestNotSupported()
	}
	request, err := s.Provider().Storage().CreateAuthRequest(context.WithValue(ctx, grantedKey{}, client.granted), r.Data, person)
	if err != nil {
		return nil, oidc.DefaultToServerError(err, "the request could not be stored")
	}
	return op.NewRedirect(client.LoginURL(request.GetID())), nil
}

type grantedKey struct{}

// AuthorizationFromContext returns what may be granted, in CreateAuthRequest of an
// op.Storage, and in what is called for the grant client_credentials. Store its Resources,
// which op does not know, as the audience of the tokens. Anywhere else, it returns nil.
func AuthorizationFromContext(ctx context.Context) *dcr.Authorization {
	granted, _ := ctx.Value(grantedKey{}).(*dcr.Authorization)
	return granted
}

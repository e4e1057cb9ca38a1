package zitadeloidc

// OpenID Connect Core 1.0 §5.3, RFC 6750 §3 and OpenID Connect RP-Initiated Logout 1.0:
// userinfo and logout; and what anybody may ask: the keys, and whether the server is ready.

import (
	"context"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// UserInfo answers an invalid token as RFC 6750 requires, and treats an
// oidc.ErrServerError of the op.Storage as an outage.
func (s *Server) UserInfo(ctx context.Context, r *op.Request[oidc.UserInfoRequest]) (*op.Response, error) {
	response, err := s.LegacyServer.UserInfo(ctx, r)
	if err == nil {
		return response, nil
	}
	refused := oidc.ErrInvalidRequest().WithParent(err).WithDescription("the access token is unknown or expired")
	setCode(&refused.ErrorType, "invalid_token")
	if err := unavailable(err, refused); err != refused {
		return nil, err
	}
	return nil, op.NewStatusError(refused, http.StatusUnauthorized)
}

// challenging adds the challenge of RFC 6750 §3 to a 401.
func challenging(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		challenge := "Bearer"
		if r.Header.Get("Authorization") != "" {
			challenge = `Bearer error="invalid_token"`
		}
		next.ServeHTTP(&challenger{w, challenge}, r)
	})
}

type challenger struct {
	http.ResponseWriter
	challenge string
}

func (c *challenger) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		c.Header().Set("WWW-Authenticate", c.challenge)
	}
	c.ResponseWriter.WriteHeader(status)
}

// EndSession redirects the person only to a URI that the client registered, byte for
// byte. With op alone, a native client could use any http loopback address.
func (s *Server) EndSession(ctx context.Context, r *op.Request[oidc.EndSessionRequest]) (*op.Redirect, error) {
	named := r.Data.PostLogoutRedirectURI
	request, err := op.ValidateEndSessionRequest(ctx, r.Data, s.Provider())
	if err != nil {
		return nil, unavailable(err, oidc.ErrInvalidRequest().WithParent(err).WithDescription("id_token_hint, client_id and post_logout_redirect_uri must be valid and belong together"))
	}
	if named != "" && request.ClientID != "" {
		client, err := s.clients.Store.FindByClientID(ctx, request.ClientID)
		switch {
		case err != nil && !isGone(err):
			return nil, op.NewStatusError(oidc.ErrServerError().WithParent(err), http.StatusServiceUnavailable)
		case err != nil || !client.MatchPostLogoutRedirectURI(named):
			return nil, oidc.ErrInvalidRequest().WithDescription("post_logout_redirect_uri must be one that the client registered")
		}
	}
	redirect, err := s.LegacyServer.EndSession(ctx, r)
	return redirect, hidden(err)
}

// Keys serves the keys that sign tokens.
func (s *Server) Keys(ctx context.Context, r *op.Request[struct{}]) (*op.Response, error) {
	response, err := s.LegacyServer.Keys(ctx, r)
	return response, hidden(err)
}

// Ready says whether the op.Storage works.
func (s *Server) Ready(ctx context.Context, r *op.Request[struct{}]) (*op.Response, error) {
	response, err := s.LegacyServer.Ready(ctx, r)
	return response, hidden(err)
}

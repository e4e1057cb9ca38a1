package main

// The op.Storage: grants and tokens.

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

// grant is what a person allowed a client to do. It lasts longer than its tokens if
// they are refreshed.
type grant struct {
	clientID, person string
	scopes           []string
	resources        []string
	signedIn, began  time.Time
	method           string // how the client authenticated
	ended            bool
}

type accessToken struct {
	*grant
	scopes []string // all or some of those of the grant
	ends   time.Time
}

type refreshToken struct {
	*grant
	used bool
}

// digest returns the key under which a token is stored. Someone who reads the stored keys
// cannot use them as tokens.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// refreshing is a grant that is refreshed. It is an op.RefreshTokenRequest.
type refreshing struct {
	*grant
	current []string
}

func (r *refreshing) GetAMR() []string            { return []string{"pwd"} }
func (r *refreshing) GetAudience() []string       { return []string{r.clientID} }
func (r *refreshing) GetResources() []string      { return r.resources }
func (r *refreshing) GetAuthTime() time.Time      { return r.signedIn }
func (r *refreshing) GetClientID() string         { return r.clientID }
func (r *refreshing) GetScopes() []string         { return r.current }
func (r *refreshing) GetSubject() string          { return r.person }
func (r *refreshing) GetClientAuthMethod() string { return r.method }

// SetCurrentScopes narrows only this answer, not the grant (RFC 6749 §6).
func (r *refreshing) SetCurrentScopes(scopes []string) { r.current = scopes }

// begin returns the grant that a request is for.
func begin(ctx context.Context, asked op.TokenRequest) (*grant, error) {
	sender := clientauth.FromContext(ctx)
	made := &grant{clientID: sender.Client.ID, person: asked.GetSubject(), scopes: asked.GetScopes(), began: time.Now(), method: sender.Method}
	switch asked := asked.(type) {
	case *refreshing:
		return asked.grant, nil
	case *request:
		made.resources, made.signedIn = asked.resources, asked.signedIn
		asked.grant = made
	default:
		return nil, errors.New("this grant is not supported")
	}
	return made, nil
}

// CreateAccessToken creates an access token without a refresh token.
func (s *storage) CreateAccessToken(ctx context.Context, asked op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, err := begin(ctx, asked)
	if err != nil {
		return "", time.Time{}, err
	}
	id, ends := s.newAccessToken(ctx, of, asked.GetScopes())
	return id, ends, nil
}

func (s *storage) newAccessToken(ctx context.Context, of *grant, scopes []string) (string, time.Time) {
	id, ends := rand.Text(), time.Now().Add(clientauth.FromContext(ctx).Client.AccessTokenLifetime)
	s.access.put(id, &accessToken{of, scopes, ends}, ends)
	return id, ends
}

// CreateAccessAndRefreshTokens begins a grant or refreshes one. A refresh uses up
// current, unless the client may reuse its refresh token. If two requests use the same
// refresh token, one of them comes from a thief.
func (s *storage) CreateAccessAndRefreshTokens(ctx context.Context, asked op.TokenRequest, current string) (string, string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, err := begin(ctx, asked)
	if err != nil {
		return "", "", time.Time{}, err
	}
	client, next := clientauth.FromContext(ctx).Client, rand.Text()
	if current != "" {
		token, err := s.unused(current)
		if err != nil {
			return "", "", time.Time{}, err
		}
		if client.RefreshTokenUsage == dcr.RefreshTokenReUse {
			next = current
		} else {
			token.used = true
		}
	}
	ends := client.RefreshTokenEnd(of.began, time.Now())
	if ends.IsZero() {
		ends = time.Now().AddDate(10, 0, 0) // never
	}
	s.refresh.put(digest(next), &refreshToken{grant: of}, ends)
	id, expires := s.newAccessToken(ctx, of, asked.GetScopes())
	return id, next, expires, nil
}

// unused returns a refresh token. If it was used before, its grant ends (RFC 9700
// §4.14.2).
func (s *storage) unused(token string) (*refreshToken, error) {
	found, ok := s.refresh.get(digest(token))
	switch {
	case !ok || found.ended:
		return nil, errUnknown
	case found.used:
		found.ended = true
		return nil, errUnknown
	}
	return found, nil
}

// TokenRequestByRefreshToken returns the grant of a refresh token.
func (s *storage) TokenRequestByRefreshToken(_ context.Context, token string) (op.RefreshTokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.unused(token)
	if err != nil {
		return nil, err
	}
	return &refreshing{found.grant, found.scopes}, nil
}

// GetRefreshTokenInfo says whether a token to revoke is a refresh token.
func (s *storage) GetRefreshTokenInfo(_ context.Context, _, token string) (person, tokenID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.refresh.get(digest(token))
	if !ok {
		return "", "", op.ErrInvalidRefreshToken
	}
	return found.person, token, nil
}

// RevokeToken ends the grant of a refresh token, or a single access token (RFC 7009
// §2.1). A token of another client stays valid, and the answer does not reveal it.
func (s *storage) RevokeToken(_ context.Context, token, _, clientID string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.refresh.get(digest(token)); ok && found.clientID == clientID {
		found.ended = true
	}
	if found, ok := s.access.get(token); ok && found.clientID == clientID {
		s.access.take(token)
	}
	return nil
}

// active returns an access token if it is valid and its client is usable. It has only the
// scopes that the client still has.
func (s *storage) active(ctx context.Context, id string) (*accessToken, error) {
	s.mu.Lock()
	found, ok := s.access.get(id)
	ended := !ok || found.ended
	s.mu.Unlock()
	if ended {
		return nil, errUnknown
	}
	client, err := s.GetClientByClientID(ctx, found.clientID)
	if err != nil {
		return nil, err
	}
	now := *found
	now.scopes = client.RestrictAdditionalAccessTokenScopes()(found.scopes)
	return &now, nil
}

// SetUserinfoFromToken answers at userinfo.
func (s *storage) SetUserinfoFromToken(ctx context.Context, told *oidc.UserInfo, id, _, _ string) error {
	found, err := s.active(ctx, id)
	if err != nil {
		return err
	}
	if !slices.Contains(found.scopes, oidc.ScopeOpenID) {
		return errors.New("the token lacks the scope openid")
	}
	return s.SetUserinfoFromScopes(ctx, told, found.person, found.clientID, found.scopes)
}

// SetIntrospectionFromToken answers at introspection.
func (s *storage) SetIntrospectionFromToken(ctx context.Context, told *oidc.IntrospectionResponse, id, _, _ string) error {
	found, err := s.active(ctx, id)
	if err != nil {
		return err
	}
	told.ClientID, told.Subject, told.Scope, told.TokenType = found.clientID, found.person, found.scopes, oidc.BearerToken
	told.Expiration, told.JWTID, told.Audience = oidc.FromTime(found.ends), id, found.resources
	return nil
}

// GetPrivateClaimsFromScopes adds nothing to JWT access tokens.
func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

// endGrants ends the grants of a client: for one person, or for all people if person is
// "", and those for which only returns true, or all if only is nil.
func (s *storage) endGrants(clientID, person string, only func(*grant) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := func(of *grant) {
		if of.clientID == clientID && (person == "" || of.person == person) && (only == nil || only(of)) {
			of.ended = true
		}
	}
	for _, e := range s.refresh.entries {
		end(e.value.grant)
	}
	for _, e := range s.access.entries {
		end(e.value.grant)
	}
}

// afterDelete ends the grants of a deleted client (RFC 7592 §2.3).
func (s *storage) afterDelete(_ context.Context, client *dcr.Client) error {
	s.endGrants(client.ID, "", nil)
	return nil
}

// TerminateSession is never called: see TerminateSessionFromRequest.
func (s *storage) TerminateSession(context.Context, string, string) error {
	return errors.New("unused")
}

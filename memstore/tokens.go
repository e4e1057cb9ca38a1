package memstore

// Initial access tokens.

import (
	"context"
	"errors"
	"time"

	"github.com/dynreg/dcr"
)

// AddInitialAccessToken stores a new token; see [dcr.InitialAccessTokenStore].
func (s *Store) AddInitialAccessToken(ctx context.Context, token *dcr.InitialAccessToken) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.tokens[token.Hash]; taken {
		return errors.New("memstore: there is already an initial access token with this hash")
	}
	s.tokens[token.Hash] = *token
	return nil
}

// FindInitialAccessToken returns the token with a hash; see
// [dcr.InitialAccessTokenStore].
func (s *Store) FindInitialAccessToken(ctx context.Context, hash string) (*dcr.InitialAccessToken, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	token, found := s.tokens[hash]
	if !found {
		return nil, dcr.ErrTokenNotFound
	}
	return &token, nil
}

// UseInitialAccessToken counts one use; see [dcr.InitialAccessTokenStore].
func (s *Store) UseInitialAccessToken(ctx context.Context, hash string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, found := s.tokens[hash]
	if !found {
		return dcr.ErrTokenNotFound
	}
	if token.MaxUses > 0 && token.Uses >= token.MaxUses || !token.ExpiresAt.IsZero() && !now.Before(token.ExpiresAt) {
		return dcr.ErrTokenUsedUp
	}
	token.Uses++
	s.tokens[hash] = token
	return nil
}

// ReleaseInitialAccessToken takes one use back; see [dcr.InitialAccessTokenStore].
func (s *Store) ReleaseInitialAccessToken(ctx context.Context, hash string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token, found := s.tokens[hash]; found && token.Uses > 0 {
		token.Uses--
		s.tokens[hash] = token
	}
	return nil
}

// DeleteInitialAccessToken revokes a token; see [dcr.InitialAccessTokenStore].
func (s *Store) DeleteInitialAccessToken(ctx context.Context, hash string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.tokens[hash]; !found {
		return dcr.ErrTokenNotFound
	}
	delete(s.tokens, hash)
	return nil
}

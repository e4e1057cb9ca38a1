package sqlstore

// Initial access tokens.

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dynreg/dcr"
)

// AddInitialAccessToken stores a new token; see [dcr.InitialAccessTokenStore].
// It returns an error if there already is a token with that hash.
func (s *Store) AddInitialAccessToken(ctx context.Context, token *dcr.InitialAccessToken) error {
	text, err := json.Marshal(token)
	if err != nil {
		return err
	}
	document := string(text)
	return s.write(ctx,
		func() (int64, error) {
			return s.exec(ctx, step{&s.sql.addToken, []any{s.tenant, key(token.Hash),
				int64(token.MaxUses), int64(token.Uses), micros(token.ExpiresAt), micros(token.CreatedAt), document}})
		},
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			taken := errors.New("sqlstore: there is already an initial access token with this hash")
			if !unsure {
				return settled(taken)
			}
			found, err := s.token(ctx, token.Hash, read)
			switch {
			case errors.Is(err, dcr.ErrTokenNotFound):
				return verdict{}, nil
			case err != nil:
				return verdict{}, err
			case found.document == document:
				return settled(nil)
			}
			return settled(taken)
		})
}

// FindInitialAccessToken returns the token of that hash; see
// [dcr.InitialAccessTokenStore].
func (s *Store) FindInitialAccessToken(ctx context.Context, hash string) (*dcr.InitialAccessToken, error) {
	found, err := s.token(ctx, hash, s.readRow)
	if err != nil {
		return nil, err
	}
	token := &dcr.InitialAccessToken{}
	if err := json.Unmarshal([]byte(found.document), token); err != nil {
		return nil, fmt.Errorf("sqlstore: initial access token: %w", err)
	}
	token.Uses = found.uses
	return token, nil
}

type storedToken struct {
	uses     int
	document string
}

func (s *Store) token(ctx context.Context, hash string, read rowReader) (*storedToken, error) {
	var found storedToken
	err := read(ctx, &s.sql.findToken, []any{s.tenant, key(hash)}, &found.uses, &found.document)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, dcr.ErrTokenNotFound
	}
	return &found, err
}

// errUseUnknown is the error of a use that was not answered. It cannot be told from the
// uses of others, so it is not tried again, and one use may be lost.
const errUseUnknown = untold("a use of an initial access token cannot be told from others")

// UseInitialAccessToken counts one use in one statement, which checks the limit
// and the expiry too; see [dcr.InitialAccessTokenStore].
func (s *Store) UseInitialAccessToken(ctx context.Context, hash string, now time.Time) error {
	return s.write(ctx,
		func() (int64, error) {
			return s.exec(ctx, step{&s.sql.useToken, []any{s.tenant, key(hash), micros(now)}})
		},
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			if unsure {
				return verdict{}, errUseUnknown
			}
			if _, err := s.token(ctx, hash, read); err != nil {
				return settled(err)
			}
			return settled(dcr.ErrTokenUsedUp)
		})
}

// ReleaseInitialAccessToken takes one use back; see
// [dcr.InitialAccessTokenStore].
func (s *Store) ReleaseInitialAccessToken(ctx context.Context, hash string) error {
	return s.write(ctx,
		func() (int64, error) { return s.exec(ctx, step{&s.sql.releaseToken, []any{s.tenant, key(hash)}}) },
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			if unsure {
				return verdict{}, errUseUnknown
			}
			return settled(nil)
		})
}

// DeleteInitialAccessToken revokes a token; see [dcr.InitialAccessTokenStore].
func (s *Store) DeleteInitialAccessToken(ctx context.Context, hash string) error {
	return s.write(ctx,
		func() (int64, error) { return s.exec(ctx, step{&s.sql.removeToken, []any{s.tenant, key(hash)}}) },
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			if !unsure {
				return settled(dcr.ErrTokenNotFound)
			}
			_, err := s.token(ctx, hash, read)
			if errors.Is(err, dcr.ErrTokenNotFound) {
				return settled(nil)
			}
			return verdict{}, err
		})
}

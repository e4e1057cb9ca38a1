package callerauth

// RFC 7591 §1.2 and §3: initial access tokens.

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

var errNoTokenStore = errors.New("callerauth: InitialAccessTokens.Store is nil; set it to the store that keeps the tokens")

// InitialAccessTokens issues and revokes tokens that allow their bearers to
// register clients, and authenticates those bearers: its method Authenticate is a
// [dcr.Authenticator]. The store counts a use when a client is stored, so that
// hosts that share it never exceed the number together. A registration that fails
// uses nothing. But if nobody knows whether the client was stored, after an outage of
// the store or a crash, the use stays counted. The tokens of a tenant are in the
// tenant's view of the store.
type InitialAccessTokens struct {
	// Store keeps the tokens; memstore.Store and sqlstore.Store do. Required.
	Store dcr.InitialAccessTokenStore

	// Now is the clock. If nil, time.Now.
	Now func() time.Time
}

// tokenPrefix marks initial access tokens, for people who find one, for secret
// scanners and for Authenticate.
const tokenPrefix = "dcr_iat_"

func (t *InitialAccessTokens) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}

// Issue stores a new token of the given kind. It returns the token in the
// clear, which is stored nowhere and which only Reveal shows, and as it is
// stored. Hash, Uses and CreatedAt of kind are ignored.
func (t *InitialAccessTokens) Issue(ctx context.Context, kind dcr.InitialAccessToken) (dcr.Plaintext, dcr.InitialAccessToken, error) {
	now := t.now()
	switch {
	case t.Store == nil:
		return "", kind, errNoTokenStore
	case kind.MaxUses < 0:
		return "", kind, errors.New("callerauth: an initial access token cannot have a negative number of uses")
	case past(kind.ExpiresAt, now):
		return "", kind, errors.New("callerauth: an initial access token cannot expire before it is issued")
	}
	token := newToken()
	kind.Hash, kind.Uses, kind.CreatedAt = dcr.HashSecret(token).Value, 0, now
	if err := t.Store.AddInitialAccessToken(ctx, &kind); err != nil {
		return "", kind, err
	}
	return token, kind, nil
}

// Revoke revokes the token with this Hash. The hash of a token in the clear is
// HashSecret(token).Value. Clients that registered with the token stay. Revoke
// returns ErrTokenNotFound if there is no such token.
func (t *InitialAccessTokens) Revoke(ctx context.Context, hash string) error {
	if t.Store == nil {
		return errNoTokenStore
	}
	return t.Store.DeleteInitialAccessToken(ctx, hash)
}

// Authenticate returns the caller whose initial access token the request has; it
// is a [dcr.Authenticator]. The Caller has the token's Subject, Policy and
// Notes. It leaves any other token to other Authenticators.
//
// The [dcr.Handler] counts the use later. It learns of it through [dcr.Charge],
// even if the host makes a Caller of its own.
func (t *InitialAccessTokens) Authenticate(r *http.Request) (*dcr.Caller, error) {
	presented, err := dcr.BearerToken(r)
	if err != nil || !strings.HasPrefix(presented.Reveal(), tokenPrefix) {
		return nil, err
	}
	if t.Store == nil {
		return nil, misconfigured(errNoTokenStore)
	}
	hash := dcr.HashSecret(presented).Value
	token, err := t.Store.FindInitialAccessToken(r.Context(), hash)
	switch {
	case errors.Is(err, dcr.ErrTokenNotFound):
		return nil, dcr.RefuseToken("unknown", nil)
	case err != nil:
		return nil, tokensOutOfReach(err)
	case token.MaxUses > 0 && token.Uses >= token.MaxUses || past(token.ExpiresAt, t.now()):
		return nil, dcr.RefuseToken("used_up", nil)
	}
	cost := tokenUse{tokens: t, hash: hash}
	dcr.Charge(r.Context(), cost)
	return &dcr.Caller{Subject: token.Subject, Policy: token.Policy, Notes: token.Notes, Allowance: cost}, nil
}

func past(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func tokensOutOfReach(cause error) error {
	err := dcr.Unavailable("the store of initial access tokens is unavailable", cause)
	err.Rule = "token.unavailable"
	return err
}

// newToken returns a token of 256 random bits.
func newToken() dcr.Plaintext {
	random := make([]byte, 32)
	rand.Read(random) // never fails: see crypto/rand
	return dcr.Plaintext(tokenPrefix + base64.RawURLEncoding.EncodeToString(random))
}

// tokenUse is one use of a token. The uses of one token are equal, so that a
// request that is authenticated twice costs one.
type tokenUse struct {
	tokens *InitialAccessTokens
	hash   string
}

// Take counts the use. The token may have been used up since it was read.
func (u tokenUse) Take(ctx context.Context) error {
	err := u.tokens.Store.UseInitialAccessToken(ctx, u.hash, u.tokens.now())
	switch {
	case errors.Is(err, dcr.ErrTokenUsedUp), errors.Is(err, dcr.ErrTokenNotFound):
		return dcr.RefuseToken("used_up", err)
	case err != nil:
		return tokensOutOfReach(err)
	}
	return nil
}

// GiveBack takes the use back.
func (u tokenUse) GiveBack(ctx context.Context) error {
	return u.tokens.Store.ReleaseInitialAccessToken(ctx, u.hash)
}

package dcr

// RFC 7591 §1.2 and §3: initial access tokens.

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// The errors by which an [InitialAccessTokenStore] says what it found.
var (
	ErrTokenNotFound = errors.New("dcr: initial access token not found")
	ErrTokenUsedUp   = errors.New("dcr: initial access token is used up or expired")
)

var errNoTokenStore = errors.New("dcr: InitialAccessTokens.Store is nil; set it to the store that keeps the tokens")

// InitialAccessToken is an initial access token at rest: what whoever bears it
// may register, and how often.
type InitialAccessToken struct {
	Hash      string    `json:"hash"`                // SHA-256 of the token, base64url; names the token
	Policy    string    `json:"policy,omitempty"`    // a name in Options.Policies, "" for Options.Validator
	Subject   string    `json:"subject,omitempty"`   // ends up as the client's RegisteredBy
	Notes     string    `json:"notes,omitempty"`     // ends up as the client's Notes
	MaxUses   int       `json:"max_uses,omitempty"`  // zero: any number
	Uses      int       `json:"uses,omitempty"`      // counted by the store
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	CreatedAt time.Time `json:"created_at,omitzero"`
}

// InitialAccessTokens issues and revokes the tokens that let their bearers
// register clients, and lets those bearers in: its method Authenticate is an
// [Authenticator]. A use is counted when a client is stored, by the store, so
// that hosts which share it never exceed the number together; a registration
// that fails costs none, but a crash may. The tokens of a tenant are those of
// the tenant's view of the store.
type InitialAccessTokens struct {
	// Store keeps the tokens; MemoryStore and sqlstore.Store do. Required.
	Store InitialAccessTokenStore

	// Now is the clock. If nil, time.Now.
	Now func() time.Time
}

// tokenPrefix tells an initial access token from all others at sight: people
// who find one, scanners of secrets, and Authenticate.
const tokenPrefix = "dcr_iat_"

func (t *InitialAccessTokens) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}

// Issue stores a token of the given kind and returns it in the clear, which is
// nowhere kept, and as it is at rest. Hash, Uses and CreatedAt of kind do not
// count.
func (t *InitialAccessTokens) Issue(ctx context.Context, kind InitialAccessToken) (Plaintext, InitialAccessToken, error) {
	now := t.now()
	switch {
	case t.Store == nil:
		return "", kind, errNoTokenStore
	case kind.MaxUses < 0:
		return "", kind, errors.New("dcr: an initial access token cannot have a negative number of uses")
	case expired(kind.ExpiresAt, now):
		return "", kind, errors.New("dcr: an initial access token cannot expire before it is issued")
	}
	token := tokenPrefix + newPlaintext(32)
	kind.Hash, kind.Uses, kind.CreatedAt = HashSecret(token).Value, 0, now
	if err := t.Store.AddInitialAccessToken(ctx, &kind); err != nil {
		return "", kind, err
	}
	return token, kind, nil
}

// Revoke ends a token, which is named by its Hash. That of a token in the
// clear is HashSecret(token).Value. Clients that registered with it stay.
// ErrTokenNotFound says that there is none.
func (t *InitialAccessTokens) Revoke(ctx context.Context, hash string) error {
	return t.Store.DeleteInitialAccessToken(ctx, hash)
}

// Authenticate returns who bears the initial access token of the request: an
// [Authenticator]. Its Caller has the token's Subject, Policy and Notes. Any
// other token is none of its business.
//
// The use is counted later, by the [Handler], by way of that very Caller or a
// copy of it: a host that makes a Caller of its own instead lets the token
// register any number of clients.
func (t *InitialAccessTokens) Authenticate(r *http.Request) (*Caller, error) {
	presented, err := presentedToken(r)
	if err != nil || !strings.HasPrefix(presented.Reveal(), tokenPrefix) {
		return nil, err
	}
	if t.Store == nil {
		return nil, errNoTokenStore
	}
	hash := HashSecret(presented).Value
	token, err := t.Store.FindInitialAccessToken(r.Context(), hash)
	switch {
	case errors.Is(err, ErrTokenNotFound):
		return nil, badToken("unknown", nil)
	case err != nil:
		return nil, tokensOutOfReach(err)
	case token.MaxUses > 0 && token.Uses >= token.MaxUses || expired(token.ExpiresAt, t.now()):
		return nil, badToken("used up", nil)
	}
	return &Caller{
		Subject: token.Subject, Policy: token.Policy, Notes: token.Notes,
		use: &tokenUse{tokens: t, hash: hash},
	}, nil
}

func tokensOutOfReach(cause error) error {
	err := Errorf(TemporarilyUnavailable, "the store of initial access tokens is out of order; try again later")
	err.Rule, err.RetryAfter, err.cause = "token.unavailable", retryAfter, cause
	return err
}

// tokenUse is the right to register one client.
type tokenUse struct {
	tokens *InitialAccessTokens
	hash   string
}

// take counts the use. The token may have been used up since it was looked at.
func (u *tokenUse) take(ctx context.Context) error {
	err := u.tokens.Store.UseInitialAccessToken(ctx, u.hash, u.tokens.now())
	switch {
	case errors.Is(err, ErrTokenUsedUp), errors.Is(err, ErrTokenNotFound):
		return badToken("used up", err)
	case err != nil:
		return tokensOutOfReach(err)
	}
	return nil
}

// giveBack takes the use back.
func (u *tokenUse) giveBack(ctx context.Context) error {
	return u.tokens.Store.ReleaseInitialAccessToken(ctx, u.hash)
}

package dcr

// RFC 7591 §1.2 and §3: initial access tokens.

import (
	"errors"
	"time"
)

// The errors by which an [InitialAccessTokenStore] says what it found.
var (
	ErrTokenNotFound = errors.New("dcr: initial access token not found")
	ErrTokenUsedUp   = errors.New("dcr: initial access token is used up or expired")
)

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

package dcr

// What is stored of a registered client, and what the authorize and token
// endpoints ask of it.

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

// Status says whether a client may be used. The zero value is active.
type Status string

// The statuses of a client.
const (
	StatusActive   Status = ""
	StatusPending  Status = "pending"  // waits for the host's approval; cannot authenticate, nor update itself
	StatusDisabled Status = "disabled" // switched off by the host; cannot authenticate
)

// Source says how a client came to be.
type Source string

// The sources of a client. Only clients of SourceDynamic are managed over the
// wire. A client with a source that is not here, also the empty one, belongs to
// the host, which may name its own sources.
const (
	SourceDynamic  Source = "dynamic"  // the client registered itself
	SourceDocument Source = "document" // its id is the URL of its metadata
)

// AccessTokenType is the form of the access tokens that a client gets.
type AccessTokenType string

// The forms of an access token.
const (
	AccessTokenJWT       AccessTokenType = "Jwt"
	AccessTokenReference AccessTokenType = "Reference"
)

// RefreshTokenExpiration says how refresh tokens end.
type RefreshTokenExpiration string

// The ways in which refresh tokens end.
const (
	RefreshTokenAbsolute RefreshTokenExpiration = "Absolute" // at AbsoluteRefreshTokenLifetime
	RefreshTokenSliding  RefreshTokenExpiration = "Sliding"  // after SlidingRefreshTokenLifetime without use, at AbsoluteRefreshTokenLifetime at the latest
)

// RefreshTokenUsage says whether a refresh token outlives its use.
type RefreshTokenUsage string

// The usages of refresh tokens (RFC 9700 §2.2.2 wants the first for public
// clients).
const (
	RefreshTokenOneTimeOnly RefreshTokenUsage = "OneTimeOnly"
	RefreshTokenReUse       RefreshTokenUsage = "ReUse"
)

// Client is a registered client as it is stored: never a secret in the clear.
// Its JSON is the documented stored form (docs/stored-form.md): the metadata
// under "metadata" in its registered names, the declared extensions under
// "extensions", and everything else by the names below; what has its default
// is left out, and what a newer version wrote is kept.
type Client struct {
	ID                 string   `json:"client_id"`
	Metadata                    // the effective metadata
	Secrets            []Secret `json:"secrets"`             // hashes; more than one only during a rotation's grace window, or next to a sealed form
	RegistrationTokens []Secret `json:"registration_tokens"` // hashes; more than one only during a rotation's grace window

	// Settings that the server owns, in the terms of Duende IdentityServer. A
	// request reaches none of them but where a policy lets it, as
	// policy.DuendeMembers does up to the host's ceilings.
	RequirePKCE                           bool                   `json:"require_pkce"`                    // RFC 7636; default true
	RequireConsent                        bool                   `json:"require_consent"`                 // default true
	AllowRememberConsent                  bool                   `json:"allow_remember_consent"`          // default true
	ConsentLifetime                       time.Duration          `json:"consent_lifetime"`                // zero: as long as it is remembered
	AllowOfflineAccess                    bool                   `json:"allow_offline_access"`            // whether refresh tokens are issued; only with the refresh_token grant
	OfflineAccessRefused                  bool                   `json:"offline_access_refused"`          // the host took offline access away: no update brings it back
	AccessTokenType                       AccessTokenType        `json:"access_token_type"`               // default AccessTokenJWT
	AccessTokenLifetime                   time.Duration          `json:"access_token_lifetime"`           // default 1 hour
	IdentityTokenLifetime                 time.Duration          `json:"identity_token_lifetime"`         // default 5 minutes
	AuthorizationCodeLifetime             time.Duration          `json:"authorization_code_lifetime"`     // default 5 minutes
	AbsoluteRefreshTokenLifetime          time.Duration          `json:"absolute_refresh_token_lifetime"` // default 30 days; zero: unlimited
	SlidingRefreshTokenLifetime           time.Duration          `json:"sliding_refresh_token_lifetime"`  // default 15 days
	RefreshTokenExpiration                RefreshTokenExpiration `json:"refresh_token_expiration"`        // default RefreshTokenAbsolute
	RefreshTokenUsage                     RefreshTokenUsage      `json:"refresh_token_usage"`             // default RefreshTokenOneTimeOnly
	UpdateAccessTokenClaimsOnRefresh      bool                   `json:"update_access_token_claims_on_refresh"`
	AllowedCORSOrigins                    []string               `json:"allowed_cors_origins"`
	EnableLocalLogin                      bool                   `json:"enable_local_login"`             // default true
	IdentityProviderRestrictions          []string               `json:"identity_provider_restrictions"` // nil: any
	CoordinateLifetimeWithUserSession     bool                   `json:"coordinate_lifetime_with_user_session"`
	AllowedIdentityTokenSigningAlgorithms []string               `json:"allowed_identity_token_signing_algorithms"` // nil: any that the server supports
	Resources                             []string               `json:"resources"`                                 // the resources (RFC 8707) that its tokens may be for; nil: those of the server

	// Record.
	Status         Status           `json:"status"`        // zero is active
	Revision       int64            `json:"-"`             // of this version, below 2^53: random at first, then counting up; the store keeps it, and it never recurs for an id
	Source         Source           `json:"source"`        // SourceDynamic for a client that registered itself
	Policy         string           `json:"policy"`        // the name in Options.Policies that it registered under, "" for Options.Validator
	RegisteredBy   string           `json:"registered_by"` // the caller's subject, "" for a stranger
	Notes          string           `json:"notes"`         // what the initial access token or the host noted
	Statement      *StatementRecord `json:"statement"`     // the software statement it registered with, nil if none
	CreatedAt      time.Time        `json:"created_at"`
	UpdatedAt      time.Time        `json:"updated_at"`      // default CreatedAt
	ActivatedAt    time.Time        `json:"activated_at"`    // when it was first used; zero: never
	LastUsedAt     time.Time        `json:"last_used_at"`    // zero: never
	ExpiresAt      time.Time        `json:"expires_at"`      // when the client itself ends; zero: never
	RegisteredFrom string           `json:"registered_from"` // where the registration came from, as the host says; "" if it says nothing
	ActivatedBy    string           `json:"activated_by"`    // the first person who consented to it, as the host names people; "" if nobody is known
	Document       *DocumentRecord  `json:"document"`        // what is known of its metadata document; nil if it has none

	// What a newer version of this library stored and this one does not know.
	unknown         map[string]json.RawMessage
	unknownMetadata map[string]json.RawMessage
}

// StatementRecord is what is kept of a verified software statement.
type StatementRecord struct {
	Issuer  string   `json:"issuer"`
	ID      string   `json:"id,omitempty"`      // its jti, or its software_id where it has none
	Hash    string   `json:"sha256,omitempty"`  // of the statement as it was sent, base64url
	Members []string `json:"members,omitempty"` // the names of the members that it claims, to which updates are held
	Text    string   `json:"text,omitempty"`    // the statement as it was sent, echoed unmodified (RFC 7591 §3.2.1)
}

// DocumentRecord is what is kept of a client's metadata document (OAuth Client
// ID Metadata Document).
type DocumentRecord struct {
	FetchedAt   time.Time `json:"fetched_at,omitzero"`    // when it was fetched last
	FreshUntil  time.Time `json:"fresh_until,omitzero"`   // until when it need not be fetched again
	SHA256      string    `json:"sha256,omitempty"`       // of the exact octets, base64url without padding
	AuthMethods []string  `json:"auth_methods,omitempty"` // by which the client may authenticate, the settled one among them
	Withdrawn   time.Time `json:"withdrawn,omitzero"`     // since when its server says that there is none; zero: it does not
}

// Clone returns a copy that shares nothing with d, nil of nil.
func (d *DocumentRecord) Clone() *DocumentRecord {
	if d == nil {
		return nil
	}
	own := *d
	own.AuthMethods = slices.Clone(own.AuthMethods)
	return &own
}

// NewClient returns a client with every default of the server-owned settings,
// as a registration starts from it.
func NewClient() *Client {
	return &Client{
		RequirePKCE:                  true,
		RequireConsent:               true,
		AllowRememberConsent:         true,
		AccessTokenType:              AccessTokenJWT,
		AccessTokenLifetime:          time.Hour,
		IdentityTokenLifetime:        5 * time.Minute,
		AuthorizationCodeLifetime:    5 * time.Minute,
		AbsoluteRefreshTokenLifetime: 30 * 24 * time.Hour,
		SlidingRefreshTokenLifetime:  15 * 24 * time.Hour,
		RefreshTokenExpiration:       RefreshTokenAbsolute,
		RefreshTokenUsage:            RefreshTokenOneTimeOnly,
		EnableLocalLogin:             true,
	}
}

var clientDefaults = *NewClient()

// clientFields is the description of the stored form, less the metadata.
var clientFields = record.Describe[Client]()

// Clone returns a copy that shares nothing with c.
func (c *Client) Clone() *Client {
	own := *c
	clientFields.Unshare(&own)
	own.Metadata.unshare()
	own.Secrets, own.RegistrationTokens = slices.Clone(c.Secrets), slices.Clone(c.RegistrationTokens)
	if c.Statement != nil {
		statement := *c.Statement
		statement.Members = slices.Clone(statement.Members)
		own.Statement = &statement
	}
	own.Document = c.Document.Clone()
	own.unknown = cloneRaw(c.unknown)
	own.unknownMetadata = cloneRaw(c.unknownMetadata)
	return &own
}

// The reasons of [Client.CheckUsable].
var (
	ErrClientPending  = errors.New("dcr: the client waits for approval")
	ErrClientDisabled = errors.New("dcr: the client is disabled")
	ErrClientExpired  = errors.New("dcr: the client has expired")
)

// CheckUsable returns why the client may not act at now: ErrClientDisabled, also
// for a status that this version does not know, ErrClientExpired or
// ErrClientPending, in this order. It returns nil if the client may act.
// [Client.Usable], [Client.VerifySecret], [Client.OpenSecrets],
// [Client.CheckAuthorization] and [Client.MatchRedirectURI] ask it too.
func (c *Client) CheckUsable(now time.Time) error {
	switch {
	case c.Status != StatusActive && c.Status != StatusPending:
		return ErrClientDisabled
	case expired(c.ExpiresAt, now):
		return ErrClientExpired
	case c.Status == StatusPending:
		return ErrClientPending
	}
	return nil
}

// Usable reports whether the client may act at now. For a client that presents
// no secret the token endpoint asks it itself.
func (c *Client) Usable(now time.Time) bool { return c.CheckUsable(now) == nil }

// HasGrant reports whether the client registered the grant type; refresh_token
// counts only with AllowOfflineAccess. Whether the client may act at all is for
// [Client.Usable] to say.
func (c *Client) HasGrant(grantType string) bool {
	return slices.Contains(c.GrantTypes, grantType) && (grantType != "refresh_token" || c.AllowOfflineAccess)
}

func expired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// MarshalJSON writes the stored form, in a slice of its size.
func (c *Client) MarshalJSON() ([]byte, error) {
	room := scratch.Get().(*[]byte)
	defer scratch.Put(room)
	text, err := c.AppendJSON(*room)
	*room = text[:0]
	return slices.Clone(text), err
}

// AppendJSON appends the stored form to dst, for a store that has room of its own
// to write in.
func (c *Client) AppendJSON(dst []byte) ([]byte, error) {
	object := objectWriter{dst: append(dst, '{')}
	object.text("client_id", c.ID)
	object.own("metadata")
	metadata := objectWriter{dst: append(object.dst, '{')}
	metadata.metadata(&c.Metadata, memberSet{})
	metadata.extra(c.unknownMetadata)
	metadata.dst = append(metadata.dst, '}')
	object.dst = metadata.dst
	if len(c.Extra) > 0 {
		object.own("extensions")
		extensions := objectWriter{dst: append(object.dst, '{')}
		extensions.extra(c.Extra)
		object.dst = append(extensions.dst, '}')
	}
	for i := range clientFields.Fields {
		if f := &clientFields.Fields[i]; f.Name != "client_id" && !c.hasDefault(f) {
			writeField(&object, f, c)
		}
	}
	object.extra(c.unknown)
	text, err := object.finish()
	return text, errors.Join(metadata.err, err)
}

// hasDefault reports whether f has the value that is left out.
func (c *Client) hasDefault(f *record.Field[Client]) bool {
	if f.Name == "updated_at" {
		return c.UpdatedAt.Equal(c.CreatedAt)
	}
	return f.Equal(c, &clientDefaults)
}

// storedLimits bound a stored document, which this library wrote.
var storedLimits = strictjson.Limits{Members: 1 << 20, Depth: 1 << 10}

// UnmarshalJSON reads the stored form. Revision is the store's to set. Where it
// fails, c is a disabled client that has nothing.
func (c *Client) UnmarshalJSON(text []byte) error {
	revision, updated := c.Revision, false
	*c = clientDefaults
	c.Revision = revision
	within := func(name string) strictjson.Member {
		switch name {
		case "metadata":
			return c.readMetadata
		case "extensions":
			return func(name string, value strictjson.Value) error {
				put(&c.Extra, name, json.RawMessage(value))
				return nil
			}
		}
		return nil
	}
	err := strictjson.ReadObjects(text, storedLimits, within, func(name string, value strictjson.Value) error {
		i, known := clientFields.Find(name)
		if !known {
			put(&c.unknown, name, json.RawMessage(value))
			return nil
		}
		updated = updated || name == "updated_at"
		if err := clientFields.Fields[i].DecodeStored(c, value); err != nil {
			return fmt.Errorf("dcr: stored client: %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		*c = Client{Revision: revision, Status: StatusDisabled}
		return err
	}
	if !updated {
		c.UpdatedAt = c.CreatedAt
	}
	return nil
}

// readMetadata reads a member of the metadata in the stored form. What a
// registration would refuse today is read all the same: it was accepted once.
func (c *Client) readMetadata(name string, value strictjson.Value) error {
	i, known := members.Find(name)
	if known {
		if err := members.Fields[i].DecodeStored(&c.Metadata, value); err != nil {
			return fmt.Errorf("dcr: stored client: metadata: %s: %w", name, err)
		}
		return nil
	}
	if base, _, tagged := strings.Cut(name, "#"); tagged && member(base) != nil {
		var text string
		err := json.Unmarshal([]byte(value), &text)
		put(&c.Localized, name, text)
		return err
	}
	put(&c.unknownMetadata, name, json.RawMessage(value))
	return nil
}

// Touch notes in the client that it was used at the given time.
func (c *Client) Touch(at time.Time) {
	if c.ActivatedAt.IsZero() {
		c.ActivatedAt = at
	}
	if c.LastUsedAt.Before(at) {
		c.LastUsedAt = at
	}
}

// neverUsed reports whether nobody is known to have used the client.
func (c *Client) neverUsed() bool { return c.ActivatedAt.IsZero() && c.LastUsedAt.IsZero() }

// hasRedirectHost reports whether a redirect URI of the client is on the host,
// which is in lower case.
func (c *Client) hasRedirectHost(host string) bool {
	return slices.ContainsFunc(c.RedirectURIs, func(redirect string) bool {
		parsed, err := uri.Parse(redirect)
		return err == nil && parsed.Host == host
	})
}

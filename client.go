package dcr

// What is stored for a registered client, and what the authorize and token
// endpoints ask about it.

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

// Status says whether a client may be used. The zero value is StatusActive.
type Status string

// The statuses of a client.
const (
	StatusActive   Status = ""
	StatusPending  Status = "pending"  // waits for the host's approval; cannot authenticate, nor update itself
	StatusDisabled Status = "disabled" // switched off by the host; cannot authenticate
)

// Source says where a client comes from.
type Source string

// The sources of a client. Only clients of SourceDynamic can manage themselves
// (RFC 7592). A client with any other source, or with none, belongs to the
// host, which may name sources of its own.
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

// RefreshTokenExpiration says how refresh tokens expire.
type RefreshTokenExpiration string

// The ways in which refresh tokens expire.
const (
	RefreshTokenAbsolute RefreshTokenExpiration = "Absolute" // at AbsoluteRefreshTokenLifetime
	RefreshTokenSliding  RefreshTokenExpiration = "Sliding"  // after SlidingRefreshTokenLifetime without use, and no later than AbsoluteRefreshTokenLifetime
)

// RefreshTokenUsage says whether a refresh token may be used more than once.
type RefreshTokenUsage string

// The usages of refresh tokens. RFC 9700 §2.2.2 requires the first for public
// clients whose tokens are not sender-constrained.
const (
	RefreshTokenOneTimeOnly RefreshTokenUsage = "OneTimeOnly"
	RefreshTokenReUse       RefreshTokenUsage = "ReUse"
)

// Client is a registered client as it is stored. It never has a secret in the
// clear. Its JSON is the documented stored form (docs/stored-form.md): the
// metadata under "metadata" with its registered names, the declared extensions
// under "extensions", and everything else under the names below. Fields that
// have their default are left out, and members that a newer version wrote are
// kept.
type Client struct {
	ID                 string   `json:"client_id"`
	Metadata                    // the effective metadata
	Secrets            []Secret `json:"secrets"`             // hashes, the newest first; more than one only during a rotation's grace, or next to a sealed form
	RegistrationTokens []Secret `json:"registration_tokens"` // hashes, the newest first; more than one only during a rotation's grace

	// Settings that the server owns, named as in Duende IdentityServer. A
	// request cannot set them, unless a policy lets it, as policy.DuendeMembers
	// does within the host's limits.
	RequirePKCE                           bool                   `json:"require_pkce"`                    // RFC 7636; default true
	RequireConsent                        bool                   `json:"require_consent"`                 // default true
	AllowRememberConsent                  bool                   `json:"allow_remember_consent"`          // default true
	ConsentLifetime                       time.Duration          `json:"consent_lifetime"`                // zero: until it is revoked
	AllowOfflineAccess                    bool                   `json:"allow_offline_access"`            // whether refresh tokens are issued; only with the refresh_token grant
	OfflineAccessRefused                  bool                   `json:"offline_access_refused"`          // the host does not allow this client refresh tokens; no update changes that
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
	Resources                             []string               `json:"resources"`                                 // the resources that its tokens may be for (RFC 8707); nil: those of the server

	// Record.
	Status         Status           `json:"status"`        // zero: active
	Revision       int64            `json:"-"`             // the version, below 2^53: random at first, one more with each update; the store sets it, and never uses one twice for an id
	Source         Source           `json:"source"`        // SourceDynamic for a client that registered itself
	Policy         string           `json:"policy"`        // the name in Options.Policies that it registered under, "" for Options.Validator
	RegisteredBy   string           `json:"registered_by"` // the caller's subject, "" for a stranger
	Notes          string           `json:"notes"`         // notes of the initial access token or the host
	Statement      *StatementRecord `json:"statement"`     // the software statement that it registered with, nil if none
	CreatedAt      time.Time        `json:"created_at"`
	UpdatedAt      time.Time        `json:"updated_at"`      // default CreatedAt
	ActivatedAt    time.Time        `json:"activated_at"`    // when it was first used; zero: never
	LastUsedAt     time.Time        `json:"last_used_at"`    // zero: never
	ExpiresAt      time.Time        `json:"expires_at"`      // when the client itself expires; zero: never
	RegisteredFrom string           `json:"registered_from"` // where the registration came from, as the host says; "" if it says nothing
	ActivatedBy    string           `json:"activated_by"`    // the first person who consented to it, as the host names people; "" if not known
	Document       *DocumentRecord  `json:"document"`        // about its metadata document; nil if it has none

	// Members that a newer version of this library stored and that this one does
	// not know.
	unknown         map[string]json.RawMessage
	unknownMetadata map[string]json.RawMessage
}

// StatementRecord is what is stored about a verified software statement.
type StatementRecord struct {
	Issuer  string   `json:"issuer"`
	ID      string   `json:"id,omitempty"`      // its jti, or its software_id if it has no jti
	Hash    string   `json:"sha256,omitempty"`  // of the statement as it was sent, base64url
	Members []string `json:"members,omitempty"` // the names of the members that it claims, which updates must not change
	Text    string   `json:"text,omitempty"`    // the statement as it was sent, echoed unmodified (RFC 7591 §3.2.1)

	unknown record.Rest // members that a newer version stored
}

// DocumentRecord is what is stored about a client's metadata document (OAuth
// Client ID Metadata Document).
type DocumentRecord struct {
	FetchedAt   time.Time `json:"fetched_at,omitzero"`    // when it was fetched last
	FreshUntil  time.Time `json:"fresh_until,omitzero"`   // when it must be fetched again
	SHA256      string    `json:"sha256,omitempty"`       // of the exact octets, base64url without padding
	AuthMethods []string  `json:"auth_methods,omitempty"` // the methods by which the client may authenticate, including the effective one
	Withdrawn   time.Time `json:"withdrawn,omitzero"`     // since when there has been none, or it has been refused; zero: there is one

	unknown record.Rest // members that a newer version stored
}

// documentFields is the description of a DocumentRecord.
var documentFields = record.Describe[DocumentRecord]()

// MarshalJSON returns the form in which a store keeps a record next to its client.
func (d DocumentRecord) MarshalJSON() ([]byte, error) {
	type plain DocumentRecord
	text, err := json.Marshal(plain(d))
	if err != nil || d.unknown == "" {
		return text, err
	}
	return append(d.unknown.Append(text[:len(text)-1]), '}'), nil
}

// UnmarshalJSON reads what MarshalJSON returned, and keeps members that a newer version
// stored.
func (d *DocumentRecord) UnmarshalJSON(text []byte) error {
	type plain DocumentRecord
	read := plain{}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	if *d = DocumentRecord(read); strictjson.Value(text).Kind() != strictjson.Object {
		return nil // null
	}
	return strictjson.Value(text).Members(func(name string, value strictjson.Value) error {
		if _, known := documentFields.Find(name); !known {
			d.unknown.Add(name, value)
		}
		return nil
	})
}

// Clone returns a copy that shares nothing with d; nil if d is nil.
func (d *DocumentRecord) Clone() *DocumentRecord {
	if d == nil {
		return nil
	}
	own := *d
	own.AuthMethods = slices.Clone(own.AuthMethods)
	return &own
}

// NewClient returns a client with the default of every server-owned setting. A
// registration starts from it.
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

// clientFields is the description of the stored form, without the metadata.
var clientFields = record.Describe[Client]()

// Clone returns a copy that shares nothing with c.
func (c *Client) Clone() *Client {
	own := *c
	own.unshare()
	return &own
}

// unshare makes c, a copy by assignment, share nothing with the original.
func (c *Client) unshare() {
	clientFields.Unshare(c)
	c.Metadata.unshare()
	c.Secrets, c.RegistrationTokens = slices.Clone(c.Secrets), slices.Clone(c.RegistrationTokens)
	if c.Statement != nil {
		statement := *c.Statement
		statement.Members = slices.Clone(statement.Members)
		c.Statement = &statement
	}
	c.Document = c.Document.Clone()
	c.unknown = cloneRaw(c.unknown)
	c.unknownMetadata = cloneRaw(c.unknownMetadata)
}

// The errors of [Client.CheckUsable].
var (
	ErrClientPending  = errors.New("dcr: the client waits for approval")
	ErrClientDisabled = errors.New("dcr: the client is disabled")
	ErrClientExpired  = errors.New("dcr: the client has expired")
)

// CheckUsable returns nil if the client may be used at now. Otherwise it returns
// the first that applies of ErrClientDisabled, which also stands for a status
// that this version does not know, ErrClientExpired and ErrClientPending.
// [Client.Usable], [Client.VerifySecret], [Client.OpenSecrets],
// [Client.CheckAuthorization] and [Client.MatchRedirectURI] call it too.
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

// Usable reports whether the client may be used at now. [Client.VerifySecret]
// calls it; for a client that presents no secret, the token endpoint must.
func (c *Client) Usable(now time.Time) bool { return c.CheckUsable(now) == nil }

// HasGrant reports whether the client registered the grant type; refresh_token
// counts only with AllowOfflineAccess. It does not check whether the client may
// be used: [Client.Usable] does.
func (c *Client) HasGrant(grantType string) bool {
	return slices.Contains(c.GrantTypes, grantType) && (grantType != "refresh_token" || c.AllowOfflineAccess)
}

func expired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// MarshalJSON returns the stored form, in a slice of exactly its size.
func (c *Client) MarshalJSON() ([]byte, error) {
	room := scratch.Get().(*[]byte)
	defer scratch.Put(room)
	text, err := c.AppendJSON(*room)
	*room = text[:0]
	return slices.Clone(text), err
}

// AppendJSON appends the stored form to dst, for a store that reuses its buffers.
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

// hasDefault reports whether f has its default, which is left out.
func (c *Client) hasDefault(f *record.Field[Client]) bool {
	if f.Name == "updated_at" {
		return c.UpdatedAt.Equal(c.CreatedAt)
	}
	return f.Equal(c, &clientDefaults)
}

// storedLimits bound a stored document, which this library wrote.
var storedLimits = strictjson.Limits{Members: 1 << 20, Depth: 1 << 10}

// UnmarshalJSON reads the stored form. It leaves Revision, which the store
// sets, as it is. If it fails, c becomes a disabled client with nothing else
// set.
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

// readMetadata reads a member of the metadata in the stored form. It accepts
// what a registration would refuse today, since it was accepted once.
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

// neverUsed reports whether no use of the client is known.
func (c *Client) neverUsed() bool { return c.ActivatedAt.IsZero() && c.LastUsedAt.IsZero() }

// hasRedirectHost reports whether a redirect URI of the client is on the host, whatever
// its port, which may be 0 on the user's own machine.
func (c *Client) hasRedirectHost(host string) bool {
	if written, ok := uri.ParseHost(host); ok {
		host = written // an IPv6 address has many forms
	}
	return slices.ContainsFunc(c.RedirectURIs, func(redirect string) bool {
		parsed, err := uri.ParseRedirect(redirect)
		return err == nil && parsed.Host == host
	})
}

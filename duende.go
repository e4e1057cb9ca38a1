package dcr

// The extension members of Duende IdentityServer's Configuration API, by which
// a registrant asks for settings that the server owns.

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

// DuendeExtensions switches Duende's extension members on, with a ceiling for
// each, so that a stranger cannot ask for an endless refresh token. What goes
// beyond a ceiling is refused; booleans are heard only where they tighten. The
// zero value allows nothing beyond the defaults of [Client].
type DuendeExtensions struct {
	MaxIdentityTokenLifetime        time.Duration // if zero, 5 minutes
	MaxAccessTokenLifetime          time.Duration // if zero, 1 hour
	MaxAuthorizationCodeLifetime    time.Duration // if zero, 5 minutes
	MaxAbsoluteRefreshTokenLifetime time.Duration // if zero, 30 days; 0 seconds, unlimited, is above any
	MaxSlidingRefreshTokenLifetime  time.Duration // if zero, 15 days
	MaxConsentLifetime              time.Duration // if zero, 30 days

	AllowLooserBooleans    bool // hear booleans that loosen too, such as require_consent false
	AllowIdentityProviders bool // hear enable_local_login and identity_provider_restrictions
}

// setting is one extension member. Its value is the field of [Client] with the
// same stored name.
type setting struct {
	name  string
	shown func(c *Client) bool // whether answers show it
}

func hasGrant(c *Client, grant string) bool { return slices.Contains(c.GrantTypes, grant) }
func hasOpenIDScope(c *Client) bool         { return slices.Contains(strings.Fields(c.Scope), "openid") }
func interactive(c *Client) bool            { return hasGrant(c, "authorization_code") }
func refreshes(c *Client) bool              { return hasGrant(c, "refresh_token") }

func slides(c *Client) bool   { return refreshes(c) && c.RefreshTokenExpiration == RefreshTokenSliding }
func consents(c *Client) bool { return interactive(c) && c.RequireConsent }
func always(*Client) bool     { return true }

var settings = []setting{
	{"identity_token_lifetime", hasOpenIDScope},
	{"access_token_lifetime", always},
	{"authorization_code_lifetime", interactive},
	{"absolute_refresh_token_lifetime", refreshes},
	{"sliding_refresh_token_lifetime", slides},
	{"refresh_token_expiration", refreshes},
	{"refresh_token_usage", refreshes},
	{"update_access_token_claims_on_refresh", refreshes},
	{"require_consent", interactive},
	{"allow_remember_consent", consents},
	{"consent_lifetime", func(c *Client) bool { return consents(c) && c.ConsentLifetime > 0 }},
	{"access_token_type", always},
	{"allowed_cors_origins", func(c *Client) bool { return interactive(c) && len(c.AllowedCORSOrigins) > 0 }},
	{"require_client_secret", always},
	{"enable_local_login", interactive},
	{"identity_provider_restrictions", func(c *Client) bool {
		return interactive(c) && len(c.IdentityProviderRestrictions) > 0
	}},
	{"coordinate_lifetime_with_user_session", func(c *Client) bool { return c.CoordinateLifetimeWithUserSession }},
	{"allowed_identity_token_signing_algorithms", func(c *Client) bool {
		return hasOpenIDScope(c) && len(c.AllowedIdentityTokenSigningAlgorithms) > 0
	}},
}

func isDuendeMember(name string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return s.name == name })
}

// field is where the client keeps a setting, nil for require_client_secret,
// which its method says.
func (s *setting) field() *record.Field[Client] {
	if i, found := clientFields.Find(s.name); found {
		return &clientFields.Fields[i]
	}
	return nil
}

// value is the JSON value of a setting.
func (s *setting) value(c *Client) (json.RawMessage, error) {
	if f := s.field(); f != nil {
		return f.Append(nil, c)
	}
	return strconv.AppendBool(nil, c.TokenEndpointAuthMethod != "none"), nil
}

// ceiling is the most that a lifetime may be.
func (e *DuendeExtensions) ceiling(name string) time.Duration {
	switch name {
	case "identity_token_lifetime":
		return cmp.Or(e.MaxIdentityTokenLifetime, clientDefaults.IdentityTokenLifetime)
	case "access_token_lifetime":
		return cmp.Or(e.MaxAccessTokenLifetime, clientDefaults.AccessTokenLifetime)
	case "authorization_code_lifetime":
		return cmp.Or(e.MaxAuthorizationCodeLifetime, clientDefaults.AuthorizationCodeLifetime)
	case "absolute_refresh_token_lifetime":
		return cmp.Or(e.MaxAbsoluteRefreshTokenLifetime, clientDefaults.AbsoluteRefreshTokenLifetime)
	case "sliding_refresh_token_lifetime":
		return cmp.Or(e.MaxSlidingRefreshTokenLifetime, clientDefaults.SlidingRefreshTokenLifetime)
	}
	return cmp.Or(e.MaxConsentLifetime, 30*24*time.Hour)
}

// lifetime is where the client keeps a lifetime.
func (c *Client) lifetime(f *record.Field[Client]) *time.Duration { return f.Span(c) }

// begin sets what a client begins with.
func (e *DuendeExtensions) begin(reg *Registration) {
	if reg.Previous == nil {
		e.start(reg.Client)
		return
	}
	fresh := NewClient()
	e.start(fresh)
	reg.Client.forgetAsked(fresh)
}

// start holds what a new client begins with to the ceilings.
func (e *DuendeExtensions) start(c *Client) {
	for i := range settings {
		if f := settings[i].field(); f != nil && f.Kind == record.Duration {
			*c.lifetime(f) = min(*c.lifetime(f), e.ceiling(f.Name))
		}
	}
}

// lifetimes hears lifetimes in seconds up to their ceilings. What the client
// has already, by whatever hand, is not beyond them.
func (e *DuendeExtensions) lifetimes(reg *Registration, names ...string) error {
	for _, name := range names {
		seconds, sent, err := asked(reg, name, strictjson.Value.Int)
		if err != nil {
			return err
		}
		if !sent {
			continue
		}
		i, _ := clientFields.Find(name)
		f, most := &clientFields.Fields[i], int64(e.ceiling(name)/time.Second)
		had := reg.Previous != nil && seconds == int64(*reg.Previous.lifetime(f)/time.Second)
		if !had && (seconds <= 0 || seconds > most) {
			return refuseMember(name, "ceiling", "must be from 1 to %d seconds", most)
		}
		*reg.Client.lifetime(f) = time.Duration(seconds) * time.Second
	}
	return nil
}

// keepAsked makes the extension members that the registrant asked for say what
// became of them. They stay with the client, and so say later what it asked.
func (c *Client) keepAsked() error {
	for i := range settings {
		if _, asked := c.Extra[settings[i].name]; !asked {
			continue
		}
		value, err := settings[i].value(c)
		if err != nil {
			return err
		}
		c.Extra[settings[i].name] = value
	}
	return nil
}

// forgetAsked gives each setting that the registrant once asked for back to its
// default, unless the host has changed it since: what an update leaves out, it
// deletes (RFC 7592 §2.2).
func (c *Client) forgetAsked(fresh *Client) {
	for i := range settings {
		f := settings[i].field()
		asked, sent := c.Extra[settings[i].name]
		if f == nil || !sent {
			continue
		}
		if value, err := f.Append(nil, c); err == nil && bytes.Equal(value, asked) {
			f.Copy(c, fresh)
		}
	}
}

// showSettings makes the extension members of an answer say what the client's
// settings are, or takes them out where the host has not switched them on.
func (res *Response) showSettings(reg *Registration) error {
	c, foundation := reg.Client, &reg.foundation
	if foundation.duende == nil && len(res.Extra) == 0 {
		return nil
	}
	for i := range settings {
		name := settings[i].name
		switch {
		case foundation.duende != nil && settings[i].shown(c):
			value, err := settings[i].value(c)
			if err != nil {
				return err
			}
			put(&res.Extra, name, value)
		case foundation.duende != nil || !reg.declares(name):
			delete(res.Extra, name)
		}
	}
	return nil
}

// asked reads an extension member. sent is false where it was not sent.
func asked[T any](reg *Registration, name string, read func(strictjson.Value) (T, error)) (value T, sent bool, err error) {
	raw, sent := reg.Client.Extra[name]
	if !sent {
		return value, false, nil
	}
	if value, err = read(strictjson.Value(raw)); err != nil {
		return value, true, memberError(name, err)
	}
	return value, true, nil
}

// clientSecret reads require_client_secret: a choice of method, no loosening.
func (e *DuendeExtensions) clientSecret(reg *Registration) error {
	if e == nil {
		return nil
	}
	required, sent, err := asked(reg, "require_client_secret", strictjson.Value.Bool)
	if err != nil || !sent {
		return err
	}
	method := &reg.Client.TokenEndpointAuthMethod
	switch {
	case required && (*method == "none" || *method == "" && reg.authMethod() == "none"):
		return refuseMember("require_client_secret", "none", "must not be true with token_endpoint_auth_method none")
	case !required && hasGrant(reg.Client, "client_credentials"):
		return refuseMember("require_client_secret", "client_credentials", "must not be false with the grant type client_credentials")
	case !required && *method == "":
		*method = "none"
	}
	return nil
}

// consent reads the members about consent and login.
func (e *DuendeExtensions) consent(reg *Registration) error {
	if e == nil || !interactive(reg.Client) {
		return nil
	}
	c := reg.Client
	if err := e.boolean(reg, "require_consent", &c.RequireConsent, true); err != nil {
		return err
	}
	if err := e.boolean(reg, "allow_remember_consent", &c.AllowRememberConsent, false); err != nil {
		return err
	}
	if err := e.lifetimes(reg, "consent_lifetime"); err != nil {
		return err
	}
	if err := e.identityProviders(reg); err != nil {
		return err
	}
	return e.corsOrigins(reg)
}

// identityProviders reads the members about where users may log in.
func (e *DuendeExtensions) identityProviders(reg *Registration) error {
	if !e.AllowIdentityProviders {
		return nil
	}
	login, sent, err := asked(reg, "enable_local_login", strictjson.Value.Bool)
	if err != nil {
		return err
	}
	if sent {
		reg.Client.EnableLocalLogin = login
	}
	providers, sent, err := askedList(reg, "identity_provider_restrictions")
	if err == nil && sent {
		reg.Client.IdentityProviderRestrictions = providers
	}
	return err
}

// askedList reads a list of strings, within the bounds of any list.
func askedList(reg *Registration, name string) (list []string, sent bool, err error) {
	if list, sent, err = asked(reg, name, strictjson.Value.Texts); err == nil {
		err = reg.checkList(name, list)
	}
	return list, sent, err
}

// boolean hears a boolean that tightens; one that loosens only where the host
// allows it.
func (e *DuendeExtensions) boolean(reg *Registration, name string, setting *bool, tight bool) error {
	value, sent, err := asked(reg, name, strictjson.Value.Bool)
	if err == nil && sent && (value == tight || e.AllowLooserBooleans) {
		*setting = value
	}
	return err
}

// corsOrigins hears allowed_cors_origins: https origins, or http on the user's
// own machine.
func (e *DuendeExtensions) corsOrigins(reg *Registration) error {
	const name = "allowed_cors_origins"
	origins, sent, err := askedList(reg, name)
	if err != nil || !sent {
		return err
	}
	for _, origin := range origins {
		parsed, err := uri.Parse(origin)
		bare := err == nil && parsed.Path == "" && !parsed.HasQuery && !parsed.HasFragment
		if !bare || parsed.Kind() == uri.HTTP || parsed.Kind() == uri.PrivateUse {
			return refuseMember(name, "form", "must be https origins without a path, or http on 127.0.0.1, [::1] or localhost")
		}
	}
	reg.Client.AllowedCORSOrigins = origins
	return nil
}

// tokens reads the members about tokens.
func (e *DuendeExtensions) tokens(reg *Registration) error {
	if e == nil {
		return nil
	}
	c := reg.Client
	if err := e.lifetimes(reg, "identity_token_lifetime", "access_token_lifetime"); err != nil {
		return err
	}
	if interactive(c) {
		if err := e.lifetimes(reg, "authorization_code_lifetime"); err != nil {
			return err
		}
	}
	if err := oneOf(reg, "access_token_type", &c.AccessTokenType, AccessTokenJWT, AccessTokenReference); err != nil {
		return err
	}
	if err := e.boolean(reg, "coordinate_lifetime_with_user_session", &c.CoordinateLifetimeWithUserSession, true); err != nil {
		return err
	}
	if err := e.refreshTokens(reg); err != nil {
		return err
	}
	return identityTokenAlgorithms(reg)
}

func (e *DuendeExtensions) refreshTokens(reg *Registration) error {
	c := reg.Client
	if !refreshes(c) {
		return nil
	}
	if err := e.lifetimes(reg, "absolute_refresh_token_lifetime", "sliding_refresh_token_lifetime"); err != nil {
		return err
	}
	if err := oneOf(reg, "refresh_token_expiration", &c.RefreshTokenExpiration, RefreshTokenAbsolute, RefreshTokenSliding); err != nil {
		return err
	}
	if err := oneOf(reg, "refresh_token_usage", &c.RefreshTokenUsage, RefreshTokenOneTimeOnly, RefreshTokenReUse); err != nil {
		return err
	}
	bound := c.DPoPBoundAccessTokens || c.TLSClientCertificateBoundAccessTokens
	if c.RefreshTokenUsage == RefreshTokenReUse && c.TokenEndpointAuthMethod == "none" && !bound {
		return refuseMember("refresh_token_usage", "public", "must be OneTimeOnly for a public client whose tokens are not sender-constrained")
	}
	return e.boolean(reg, "update_access_token_claims_on_refresh", &c.UpdateAccessTokenClaimsOnRefresh, true)
}

// oneOf hears a member that has two values, in their exact case.
func oneOf[T ~string](reg *Registration, name string, setting *T, first, second T) error {
	text, sent, err := asked(reg, name, strictjson.Value.Text)
	if err != nil || !sent {
		return err
	}
	value := T(text)
	if value != first && value != second {
		return refuseMember(name, "value", "must be %s or %s", first, second)
	}
	*setting = value
	return nil
}

// identityTokenAlgorithms hears allowed_identity_token_signing_algorithms, as
// far as the server supports them.
func identityTokenAlgorithms(reg *Registration) error {
	const name = "allowed_identity_token_signing_algorithms"
	algorithms, sent, err := askedList(reg, name)
	if err != nil || !sent || !hasOpenIDScope(reg.Client) {
		return err
	}
	kept := among(algorithms, reg.Capabilities.IDTokenSigningAlgs)
	if len(kept) == 0 {
		return refuseMember(name, "unsupported", "must have at least one of: %s", orNone(reg.Capabilities.IDTokenSigningAlgs))
	}
	reg.Client.AllowedIdentityTokenSigningAlgorithms = kept
	return nil
}

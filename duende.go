package dcr

// The extension members of Duende IdentityServer's Configuration API, by which
// a registrant asks for settings that the server owns.

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr/internal/record"
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

// setting is one extension member: how it shows in an answer.
type setting struct {
	name string
	show func(c *Client) (value any, shown bool)
}

func hasGrant(c *Client, grant string) bool { return slices.Contains(c.GrantTypes, grant) }
func hasOpenIDScope(c *Client) bool         { return slices.Contains(strings.Fields(c.Scope), "openid") }
func interactive(c *Client) bool            { return hasGrant(c, "authorization_code") }
func refreshes(c *Client) bool              { return hasGrant(c, "refresh_token") }

// inSeconds is a lifetime as a JSON number of seconds.
func inSeconds(d time.Duration) json.RawMessage { return record.AppendSeconds(nil, d) }

var settings = []setting{
	{"identity_token_lifetime", func(c *Client) (any, bool) { return inSeconds(c.IdentityTokenLifetime), hasOpenIDScope(c) }},
	{"access_token_lifetime", func(c *Client) (any, bool) { return inSeconds(c.AccessTokenLifetime), true }},
	{"authorization_code_lifetime", func(c *Client) (any, bool) { return inSeconds(c.AuthorizationCodeLifetime), interactive(c) }},
	{"absolute_refresh_token_lifetime", func(c *Client) (any, bool) { return inSeconds(c.AbsoluteRefreshTokenLifetime), refreshes(c) }},
	{"sliding_refresh_token_lifetime", func(c *Client) (any, bool) {
		return inSeconds(c.SlidingRefreshTokenLifetime), refreshes(c) && c.RefreshTokenExpiration == RefreshTokenSliding
	}},
	{"refresh_token_expiration", func(c *Client) (any, bool) { return c.RefreshTokenExpiration, refreshes(c) }},
	{"refresh_token_usage", func(c *Client) (any, bool) { return c.RefreshTokenUsage, refreshes(c) }},
	{"update_access_token_claims_on_refresh", func(c *Client) (any, bool) { return c.UpdateAccessTokenClaimsOnRefresh, refreshes(c) }},
	{"require_consent", func(c *Client) (any, bool) { return c.RequireConsent, interactive(c) }},
	{"allow_remember_consent", func(c *Client) (any, bool) { return c.AllowRememberConsent, interactive(c) && c.RequireConsent }},
	{"consent_lifetime", func(c *Client) (any, bool) {
		return inSeconds(c.ConsentLifetime), interactive(c) && c.RequireConsent && c.ConsentLifetime > 0
	}},
	{"access_token_type", func(c *Client) (any, bool) { return c.AccessTokenType, true }},
	{"allowed_cors_origins", func(c *Client) (any, bool) {
		return c.AllowedCORSOrigins, interactive(c) && len(c.AllowedCORSOrigins) > 0
	}},
	{"require_client_secret", func(c *Client) (any, bool) { return c.TokenEndpointAuthMethod != "none", true }},
	{"enable_local_login", func(c *Client) (any, bool) { return c.EnableLocalLogin, interactive(c) }},
	{"identity_provider_restrictions", func(c *Client) (any, bool) {
		return c.IdentityProviderRestrictions, interactive(c) && len(c.IdentityProviderRestrictions) > 0
	}},
	{"coordinate_lifetime_with_user_session", func(c *Client) (any, bool) {
		return c.CoordinateLifetimeWithUserSession, c.CoordinateLifetimeWithUserSession
	}},
	{"allowed_identity_token_signing_algorithms", func(c *Client) (any, bool) {
		return c.AllowedIdentityTokenSigningAlgorithms, hasOpenIDScope(c) && len(c.AllowedIdentityTokenSigningAlgorithms) > 0
	}},
}

func isDuendeMember(name string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return s.name == name })
}

// showSettings makes the extension members in extra say what the client's
// settings are.
func (c *Client) showSettings(extra *map[string]json.RawMessage) error {
	for _, setting := range settings {
		value, shown := setting.show(c)
		if !shown {
			delete(*extra, setting.name)
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		put(extra, setting.name, raw)
	}
	return nil
}

// showsSettings reports whether the client registered with the extension
// members switched on.
func (c *Client) showsSettings() bool {
	_, shown := c.Extra["access_token_type"]
	return shown && c.Source == SourceDynamic
}

// asked reads an extension member, nil where it was not sent.
func asked[T any](reg *Registration, name, want string) (*T, error) {
	raw, sent := reg.Client.Extra[name]
	if !sent {
		return nil, nil
	}
	value := new(T)
	if err := json.Unmarshal(raw, value); err != nil {
		return nil, refuseMember(name, "type", "must be %s", want)
	}
	return value, nil
}

// clientSecret reads require_client_secret: a choice of method, no loosening.
func (e *DuendeExtensions) clientSecret(reg *Registration) error {
	if e == nil {
		return nil
	}
	required, err := asked[bool](reg, "require_client_secret", "true or false")
	if err != nil || required == nil {
		return err
	}
	method := &reg.Client.TokenEndpointAuthMethod
	switch {
	case *required && *method == "none":
		return refuseMember("require_client_secret", "none", "must not be true with token_endpoint_auth_method none")
	case !*required && hasGrant(reg.Client, "client_credentials"):
		return refuseMember("require_client_secret", "client_credentials", "must not be false with the grant type client_credentials")
	case !*required && *method == "":
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
	if err := lifetime(reg, "consent_lifetime", &c.ConsentLifetime, cmp.Or(e.MaxConsentLifetime, 30*24*time.Hour)); err != nil {
		return err
	}
	if e.AllowIdentityProviders {
		login, err := asked[bool](reg, "enable_local_login", "true or false")
		if err != nil {
			return err
		}
		if login != nil {
			c.EnableLocalLogin = *login
		}
		providers, err := asked[[]string](reg, "identity_provider_restrictions", "an array of strings")
		if err != nil {
			return err
		}
		if providers != nil {
			if err := reg.checkList("identity_provider_restrictions", *providers); err != nil {
				return err
			}
			c.IdentityProviderRestrictions = *providers
		}
	}
	return e.corsOrigins(reg)
}

// boolean hears a boolean that tightens; one that loosens only where the host
// allows it.
func (e *DuendeExtensions) boolean(reg *Registration, name string, setting *bool, tight bool) error {
	value, err := asked[bool](reg, name, "true or false")
	if err == nil && value != nil && (*value == tight || e.AllowLooserBooleans) {
		*setting = *value
	}
	return err
}

// lifetime hears a lifetime in seconds up to a ceiling.
func lifetime(reg *Registration, name string, setting *time.Duration, ceiling time.Duration) error {
	seconds, err := asked[int64](reg, name, "a whole number of seconds")
	if err != nil || seconds == nil {
		return err
	}
	if *seconds <= 0 || *seconds > int64(ceiling/time.Second) {
		return refuseMember(name, "ceiling", "must be from 1 to %d seconds", int64(ceiling/time.Second))
	}
	*setting = time.Duration(*seconds) * time.Second
	return nil
}

// corsOrigins hears allowed_cors_origins: https origins, or http on the user's
// own machine.
func (e *DuendeExtensions) corsOrigins(reg *Registration) error {
	origins, err := asked[[]string](reg, "allowed_cors_origins", "an array of strings")
	if err != nil || origins == nil {
		return err
	}
	if len(*origins) > reg.Limits.ListItems {
		return refuseMember("allowed_cors_origins", "items", "must not have more than %d entries", reg.Limits.ListItems)
	}
	for _, origin := range *origins {
		parsed, err := uri.Parse(origin)
		bare := err == nil && parsed.Path == "" && !parsed.HasQuery && !parsed.HasFragment
		if !bare || parsed.Kind() == uri.HTTP || parsed.Kind() == uri.PrivateUse {
			return refuseMember("allowed_cors_origins", "form", "must be https origins without a path, or http on 127.0.0.1, [::1] or localhost")
		}
	}
	reg.Client.AllowedCORSOrigins = *origins
	return nil
}

// tokens reads the members about tokens.
func (e *DuendeExtensions) tokens(reg *Registration) error {
	if e == nil {
		return nil
	}
	c := reg.Client
	if err := lifetime(reg, "identity_token_lifetime", &c.IdentityTokenLifetime, cmp.Or(e.MaxIdentityTokenLifetime, clientDefaults.IdentityTokenLifetime)); err != nil {
		return err
	}
	if err := lifetime(reg, "access_token_lifetime", &c.AccessTokenLifetime, cmp.Or(e.MaxAccessTokenLifetime, clientDefaults.AccessTokenLifetime)); err != nil {
		return err
	}
	if interactive(c) {
		if err := lifetime(reg, "authorization_code_lifetime", &c.AuthorizationCodeLifetime, cmp.Or(e.MaxAuthorizationCodeLifetime, clientDefaults.AuthorizationCodeLifetime)); err != nil {
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
	if err := lifetime(reg, "absolute_refresh_token_lifetime", &c.AbsoluteRefreshTokenLifetime, cmp.Or(e.MaxAbsoluteRefreshTokenLifetime, clientDefaults.AbsoluteRefreshTokenLifetime)); err != nil {
		return err
	}
	if err := lifetime(reg, "sliding_refresh_token_lifetime", &c.SlidingRefreshTokenLifetime, cmp.Or(e.MaxSlidingRefreshTokenLifetime, clientDefaults.SlidingRefreshTokenLifetime)); err != nil {
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
	value, err := asked[T](reg, name, string(first)+" or "+string(second))
	if err != nil || value == nil {
		return err
	}
	if *value != first && *value != second {
		return refuseMember(name, "value", "must be %s or %s", first, second)
	}
	*setting = *value
	return nil
}

// identityTokenAlgorithms hears allowed_identity_token_signing_algorithms, as
// far as the server supports them.
func identityTokenAlgorithms(reg *Registration) error {
	const name = "allowed_identity_token_signing_algorithms"
	algorithms, err := asked[[]string](reg, name, "an array of strings")
	if err != nil || algorithms == nil || !hasOpenIDScope(reg.Client) {
		return err
	}
	kept := among(*algorithms, reg.Capabilities.IDTokenSigningAlgs)
	if len(kept) == 0 && len(*algorithms) > 0 {
		return refuseMember(name, "unsupported", "must have at least one of: %s", orNone(reg.Capabilities.IDTokenSigningAlgs))
	}
	reg.Client.AllowedIdentityTokenSigningAlgorithms = kept
	return nil
}

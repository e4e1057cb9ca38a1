package policy

// The settings that Duende's extension members ask for, and what may be asked
// for.

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

// duendeSetting is an extension member, and the setting of a client that it asks
// for.
type duendeSetting struct {
	name  string
	at    any           // where it is: *time.Duration, *bool, *string or *[]string
	read  bool          // whether the member is read; if not, it counts as unknown
	shown bool          // whether answers show it
	most  time.Duration // the limit of a lifetime

	hear func(h hearing) (heard bool, err error) // sets what was asked for; heard is false if that does not count
}

// hearing is a member as it was asked for.
type hearing struct {
	*dcr.Registration
	name  string
	asked strictjson.Value
	had   bool // an update asks for what the client has
}

// members are all of them.
func (l *DuendeLimits) members(c *dcr.Client) []duendeSetting {
	return append(l.secretSettings(c), l.settings(c)...)
}

// settings are those that the client keeps.
func (l *DuendeLimits) settings(c *dcr.Client) []duendeSetting {
	return slices.Concat(l.consentSettings(c), l.tokenSettings(c), l.contentSettings(c))
}

// secretSettings follow from token_endpoint_auth_method.
func (l *DuendeLimits) secretSettings(c *dcr.Client) []duendeSetting {
	required := c.TokenEndpointAuthMethod != "none"
	return []duendeSetting{{name: "require_client_secret", at: &required, read: true, shown: true, hear: hearing.clientSecret}}
}

// consentSettings are about consent and login.
func (l *DuendeLimits) consentSettings(c *dcr.Client) []duendeSetting {
	code := slices.Contains(c.GrantTypes, "authorization_code")
	consent, login := code && c.RequireConsent, code && l.AllowIdentityProviders
	return []duendeSetting{
		boolean("require_consent", &c.RequireConsent, code, code, l.tightens(true)),
		boolean("allow_remember_consent", &c.AllowRememberConsent, code, consent, l.tightens(false)),
		lifetime("consent_lifetime", &c.ConsentLifetime, code, consent && c.ConsentLifetime > 0, l.MaxConsentLifetime),
		boolean("enable_local_login", &c.EnableLocalLogin, login, code, func(bool) bool { return true }),
		texts("identity_provider_restrictions", &c.IdentityProviderRestrictions, login, code, hearing.anyTexts),
		texts("allowed_cors_origins", &c.AllowedCORSOrigins, code, code, hearing.origins),
	}
}

// tokenSettings are about tokens and how long they last.
func (l *DuendeLimits) tokenSettings(c *dcr.Client) []duendeSetting {
	code, refresh := slices.Contains(c.GrantTypes, "authorization_code"), slices.Contains(c.GrantTypes, "refresh_token")
	slides := refresh && c.RefreshTokenExpiration == dcr.RefreshTokenSliding
	return []duendeSetting{
		lifetime("identity_token_lifetime", &c.IdentityTokenLifetime, true, usesOpenID(c), l.MaxIdentityTokenLifetime),
		lifetime("access_token_lifetime", &c.AccessTokenLifetime, true, true, l.MaxAccessTokenLifetime),
		lifetime("authorization_code_lifetime", &c.AuthorizationCodeLifetime, code, code, l.MaxAuthorizationCodeLifetime),
		oneOf("access_token_type", (*string)(&c.AccessTokenType), true, string(dcr.AccessTokenJWT), string(dcr.AccessTokenReference)),
		boolean("coordinate_lifetime_with_user_session", &c.CoordinateLifetimeWithUserSession, true, c.CoordinateLifetimeWithUserSession, l.tightens(true)),
		lifetime("absolute_refresh_token_lifetime", &c.AbsoluteRefreshTokenLifetime, refresh, refresh, l.MaxAbsoluteRefreshTokenLifetime),
		lifetime("sliding_refresh_token_lifetime", &c.SlidingRefreshTokenLifetime, refresh, slides, l.MaxSlidingRefreshTokenLifetime),
		oneOf("refresh_token_expiration", (*string)(&c.RefreshTokenExpiration), refresh, string(dcr.RefreshTokenAbsolute), string(dcr.RefreshTokenSliding)),
		oneOf("refresh_token_usage", (*string)(&c.RefreshTokenUsage), refresh, string(dcr.RefreshTokenOneTimeOnly), string(dcr.RefreshTokenReUse)),
	}
}

// contentSettings are about what tokens hold and how they are signed.
func (l *DuendeLimits) contentSettings(c *dcr.Client) []duendeSetting {
	refresh := slices.Contains(c.GrantTypes, "refresh_token")
	return []duendeSetting{
		boolean("update_access_token_claims_on_refresh", &c.UpdateAccessTokenClaimsOnRefresh, refresh, refresh, l.tightens(true)),
		texts("allowed_identity_token_signing_algorithms", &c.AllowedIdentityTokenSigningAlgorithms, true, usesOpenID(c), hearing.identityTokenAlgorithms),
	}
}

func usesOpenID(c *dcr.Client) bool { return slices.Contains(strings.Fields(c.Scope), "openid") }

// value is the setting as JSON.
func (s *duendeSetting) value() json.RawMessage {
	switch at := s.at.(type) {
	case *time.Duration:
		return strictjson.AppendSeconds(nil, *at)
	case *bool:
		return strconv.AppendBool(nil, *at)
	case *string:
		return strictjson.AppendString(nil, *at)
	}
	return strictjson.AppendStrings(nil, *s.at.(*[]string))
}

// lifetime is a number of seconds up to a limit. What the client already has is
// always allowed.
func lifetime(name string, at *time.Duration, read, shown bool, most time.Duration) duendeSetting {
	return duendeSetting{name, at, read, shown, most, func(h hearing) (bool, error) {
		seconds, err := h.asked.Int()
		if err != nil {
			return false, err
		}
		if longest := int64(most / time.Second); !h.had && (seconds <= 0 || seconds > longest) {
			return false, h.refuse("ceiling", "must be from 1 to %d seconds", longest)
		}
		*at = time.Duration(seconds) * time.Second
		return true, nil
	}}
}

// boolean is true or false; hears reports whether a value counts.
func boolean(name string, at *bool, read, shown bool, hears func(asked bool) bool) duendeSetting {
	return duendeSetting{name, at, read, shown, 0, func(h hearing) (bool, error) {
		asked, err := h.asked.Bool()
		if err != nil || !hears(asked) {
			return false, err
		}
		*at = asked
		return true, nil
	}}
}

// tightens accepts the value that tightens, and the other one if the host
// allows it.
func (l *DuendeLimits) tightens(tight bool) func(asked bool) bool {
	return func(asked bool) bool { return asked == tight || l.AllowLooserBooleans }
}

// oneOf is one of two values, in their exact case.
func oneOf(name string, at *string, uses bool, first, second string) duendeSetting {
	return duendeSetting{name, at, uses, uses, 0, func(h hearing) (bool, error) {
		asked, err := h.asked.Text()
		if err != nil {
			return false, err
		}
		if asked != first && asked != second {
			return false, h.refuse("value", "must be %s or %s", first, second)
		}
		*at = asked
		return true, nil
	}}
}

// texts is a list of strings, within the bounds of any list. It counts only if
// uses is true, and is shown if it is not empty.
func texts(name string, at *[]string, read, uses bool, judge func(h hearing, asked []string) ([]string, error)) duendeSetting {
	return duendeSetting{name, at, read, uses && len(*at) > 0, 0, func(h hearing) (bool, error) {
		asked, err := h.asked.Texts()
		if err == nil {
			err = h.checkBounds(asked)
		}
		if err != nil || !uses {
			return false, err
		}
		if asked, err = judge(h, asked); err == nil {
			*at = asked
		}
		return true, err
	}}
}

// checkBounds checks a list against Limits.
func (h hearing) checkBounds(list []string) error {
	if len(list) > h.Limits.ListItems {
		return h.refuse("items", "must not have more than %d entries", h.Limits.ListItems)
	}
	for i, text := range list {
		if len(text) > h.Limits.NameBytes {
			return refuseSetting(h.name, "length", "%s[%d] must not be longer than %d bytes", h.name, i, h.Limits.NameBytes)
		}
	}
	return nil
}

func (h hearing) anyTexts(asked []string) ([]string, error) { return asked, nil }

// origins are https origins, or http on the user's own machine. They are kept in the
// form in which browsers send them, since they will be compared with that.
func (h hearing) origins(asked []string) ([]string, error) {
	sent := make([]string, len(asked))
	for i, origin := range asked {
		parsed, err := uri.Parse(origin)
		bare := err == nil && parsed.Path == "" && !parsed.HasQuery && !parsed.HasFragment
		if !bare || parsed.Kind() == uri.HTTP || parsed.Kind() == uri.PrivateUse {
			return nil, h.refuse("form", "must be https origins without a path, or http on 127.0.0.1, [::1] or localhost")
		}
		sent[i] = parsed.Origin()
	}
	return sent, nil
}

// identityTokenAlgorithms keeps those that the server supports.
func (h hearing) identityTokenAlgorithms(asked []string) ([]string, error) {
	supported := h.Capabilities.IDTokenSigningAlgs
	kept := make([]string, 0, len(asked))
	for _, alg := range asked {
		if slices.Contains(supported, alg) && !slices.Contains(kept, alg) {
			kept = append(kept, alg)
		}
	}
	if len(kept) == 0 {
		return nil, h.refuse("unsupported", "must have at least one of: %s", cmp.Or(strings.Join(supported, ", "), "(this server supports none)"))
	}
	return kept, nil
}

// clientSecret applies require_client_secret, which chooses a method and
// loosens nothing.
func (h hearing) clientSecret() (bool, error) {
	required, err := h.asked.Bool()
	method := &h.Client.TokenEndpointAuthMethod
	switch {
	case err != nil:
		return false, err
	case required && cmp.Or(*method, h.standardMethod()) == "none":
		return false, h.refuse("none", "must not be true with token_endpoint_auth_method none")
	case !required && slices.Contains(h.Client.GrantTypes, "client_credentials"):
		return false, h.refuse("client_credentials", "must not be false with the grant type client_credentials")
	case !required && *method == "":
		*method = "none"
	}
	return true, nil
}

// standardMethod is the method of a client that does not name one.
func (h hearing) standardMethod() string {
	supported := h.Capabilities.TokenEndpointAuthMethods
	if choices := h.Request.Choices[authMethod.list]; choices != nil {
		supported = slices.DeleteFunc(slices.Clone(supported), func(method string) bool { return !slices.Contains(choices, method) })
	}
	switch {
	case slices.Contains(supported, "client_secret_basic"):
		return "client_secret_basic"
	case len(supported) > 0:
		return supported[0]
	}
	return "none" // it will be refused; until then, trust it as little as possible
}

// refuse makes the error of a rule about the member, whose name comes before
// the sentence.
func (h hearing) refuse(rule, sentence string, args ...any) error {
	return refuseSetting(h.name, rule, h.name+" "+sentence, args...)
}

// refuseSetting makes an error whose rule begins with the member's name.
func refuseSetting(member, rule, format string, args ...any) *dcr.Error {
	err := refuse(member, rule, format, args...)
	err.Rule = member + "." + rule
	return err
}

package policy

// The extension members of Duende IdentityServer's Configuration API, by which
// a registrant asks for settings that the server owns.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/strictjson"
)

// DuendeLimits are the limits of [DuendeMembers], so that a stranger cannot
// get, say, a refresh token that never expires. The zero value allows nothing
// beyond the defaults of [dcr.Client].
type DuendeLimits struct {
	MaxIdentityTokenLifetime        time.Duration // the longest identity_token_lifetime; if zero, 5 minutes
	MaxAccessTokenLifetime          time.Duration // the longest access_token_lifetime; if zero, 1 hour
	MaxAuthorizationCodeLifetime    time.Duration // the longest authorization_code_lifetime; if zero, 5 minutes
	MaxAbsoluteRefreshTokenLifetime time.Duration // the longest absolute_refresh_token_lifetime; if zero, 30 days; a request for 0 seconds means unlimited, which is longer than any limit
	MaxSlidingRefreshTokenLifetime  time.Duration // the longest sliding_refresh_token_lifetime; if zero, 15 days
	MaxConsentLifetime              time.Duration // the longest consent_lifetime; if zero, 30 days

	AllowLooserBooleans    bool // also accept booleans that make the client less strict, such as require_consent false
	AllowIdentityProviders bool // accept enable_local_login and identity_provider_restrictions
}

// DuendeMembers accepts Duende IdentityServer's extension members
// (access_token_lifetime, require_consent …), with which a registrant asks for
// settings of its client, and answers with the settings in force. A lifetime
// beyond its limit is refused; booleans count only if they tighten a setting.
// If a limit is below the default, a new client starts at the limit.
//
// What a client asked for, and got, is stored under the member's name in
// Metadata.Extra. If an update leaves the member out, the setting goes back to
// its default (RFC 7592 §2.2), unless the host has changed it since. No update
// undoes what the host set, whether it leaves the member out or sends back what
// was read.
//
// Stack it once, before the rules that limit what it accepts. Rules and steps
// around it may change a setting until the response is made, so without a
// [dcr.Handler] call [dcr.NewResponse] before you store a client. Changes by
// Options.ModifyResponse count as the host's.
//
// The ids of refusals begin with the member, not with "policy.":
// access_token_lifetime.ceiling.
func DuendeMembers(limits DuendeLimits) Rule {
	standard := dcr.NewClient()
	fill := func(limit *time.Duration, standard time.Duration) { *limit = cmp.Or(*limit, standard) }
	fill(&limits.MaxIdentityTokenLifetime, standard.IdentityTokenLifetime)
	fill(&limits.MaxAccessTokenLifetime, standard.AccessTokenLifetime)
	fill(&limits.MaxAuthorizationCodeLifetime, standard.AuthorizationCodeLifetime)
	fill(&limits.MaxAbsoluteRefreshTokenLifetime, standard.AbsoluteRefreshTokenLifetime)
	fill(&limits.MaxSlidingRefreshTokenLifetime, standard.SlidingRefreshTokenLifetime)
	fill(&limits.MaxConsentLifetime, 30*24*time.Hour)
	return func(inner dcr.Validator) dcr.Validator { return duendeMembers{inner, &limits} }
}

type duendeMembers struct {
	dcr.Validator
	limits *DuendeLimits
}

// DeclaredExtensions adds the members.
func (d duendeMembers) DeclaredExtensions() []dcr.Extension {
	return slices.Concat(d.Validator.DeclaredExtensions(), duendeExtensions)
}

// duendeExtensions accept any value; the rule judges it, since it depends on
// the client whether a member is read at all.
var duendeExtensions = func() (declared []dcr.Extension) {
	for _, s := range new(DuendeLimits).members(new(dcr.Client)) {
		declared = append(declared, dcr.NewField[json.RawMessage](s.name))
	}
	return declared
}()

// ValidateSoftwareStatement is the first step, so it sets what the client
// starts with.
func (d duendeMembers) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	d.begin(reg)
	return d.Validator.ValidateSoftwareStatement(ctx, reg)
}

// ValidateClientAuthentication reads require_client_secret before the method is
// settled.
func (d duendeMembers) ValidateClientAuthentication(ctx context.Context, reg *dcr.Registration) error {
	if err := d.hear(reg, d.limits.secretSettings); err != nil {
		return err
	}
	return d.Validator.ValidateClientAuthentication(ctx, reg)
}

// ValidateDisplay reads the members about consent and login.
func (d duendeMembers) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if err := d.Validator.ValidateDisplay(ctx, reg); err != nil {
		return err
	}
	return d.hear(reg, d.limits.consentSettings)
}

// ValidateTokens reads the members about tokens. Refresh tokens of a public
// client must not be used twice, even if the host chose that, unless they are
// sender-constrained (RFC 9700 §2.2.2).
func (d duendeMembers) ValidateTokens(ctx context.Context, reg *dcr.Registration) error {
	if err := d.Validator.ValidateTokens(ctx, reg); err != nil {
		return err
	}
	if err := d.hear(reg, d.limits.tokenSettings); err != nil {
		return err
	}
	c := reg.Client
	reuses := slices.Contains(c.GrantTypes, "refresh_token") && c.RefreshTokenUsage == dcr.RefreshTokenReUse
	bound := c.DPoPBoundAccessTokens || c.TLSClientCertificateBoundAccessTokens
	if reuses && mayBePublic(reg) && !bound {
		return refuseSetting("refresh_token_usage", "public", "refresh_token_usage must be OneTimeOnly for a public client whose tokens are not sender-constrained")
	}
	return d.hear(reg, d.limits.contentSettings)
}

// ValidateExtensions removes members that do not count before the others are
// judged.
func (d duendeMembers) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	d.keep(reg)
	return d.Validator.ValidateExtensions(ctx, reg)
}

// ValidateClient stores what the client asked for and got.
func (d duendeMembers) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	err := d.Validator.ValidateClient(ctx, reg)
	d.keep(reg)
	return err
}

// ShapeResponse sets the members to the client's settings. It runs after the
// steps of all validators around this one, so it stores once more what the
// client got.
func (d duendeMembers) ShapeResponse(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
	if err := d.Validator.ShapeResponse(ctx, reg, res); err != nil {
		return err
	}
	d.keep(reg)
	for _, s := range d.limits.members(reg.Client) {
		if !s.shown {
			delete(res.Extra, s.name)
			continue
		}
		if res.Extra == nil {
			res.Extra = make(map[string]json.RawMessage)
		}
		res.Extra[s.name] = s.value()
	}
	return nil
}

// owners says who chose each setting; the zero owner stands for its default.
type owners map[string]owner

type owner byte

const (
	byHost owner = iota + 1
	byRegistrant
)

// ownersItem is where they are in Registration.Items.
const ownersItem = "policy.DuendeMembers"

// begin sets what a client starts with: a new client with the defaults, within
// the limits; an updated one with what it has, except what it once asked for.
func (d duendeMembers) begin(reg *dcr.Registration) owners {
	chosen := make(owners)
	reg.Items[ownersItem] = chosen
	if reg.Previous == nil {
		d.lower(reg.Client)
		return chosen
	}
	fresh := dcr.NewClient()
	d.lower(fresh)
	had, standard := d.limits.settings(reg.Previous), d.limits.settings(fresh)
	for i, s := range d.limits.settings(reg.Client) {
		switch wished := had[i].wished(reg.Previous); {
		case wished && s.equal(&had[i]):
			reflect.ValueOf(s.at).Elem().Set(reflect.ValueOf(standard[i].at).Elem())
		case !wished && !had[i].equal(&standard[i]):
			chosen[s.name] = byHost
		}
	}
	return chosen
}

// lower limits the lifetimes of a new client.
func (d duendeMembers) lower(c *dcr.Client) {
	for _, s := range d.limits.settings(c) {
		if at, ok := s.at.(*time.Duration); ok {
			*at = min(*at, s.most)
		}
	}
}

// hear applies what the registrant asks for, and what a statement claims.
func (d duendeMembers) hear(reg *dcr.Registration, settings func(*dcr.Client) []duendeSetting) error {
	chosen, begun := reg.Items[ownersItem].(owners)
	if !begun { // a validator around this one verifies statements without calling this step
		chosen = d.begin(reg)
	}
	var before []duendeSetting
	if reg.Previous != nil {
		before = settings(reg.Previous)
	}
	for i, s := range settings(reg.Client) {
		asked, sent := reg.Client.Extra[s.name]
		if !sent || !s.read {
			continue
		}
		had := before != nil && bytes.Equal(asked, before[i].value())
		heard, err := s.hear(hearing{reg, s.name, strictjson.Value(asked), had})
		if malformed := (*strictjson.Error)(nil); errors.As(err, &malformed) {
			return refuseSetting(s.name, "type", "%s", strictjson.In(s.name, err))
		}
		if err != nil {
			return err
		}
		echo := chosen[s.name] == byHost && s.equal(&before[i])
		if heard && !echo {
			chosen[s.name] = byRegistrant
		}
	}
	return nil
}

// keep sets the members that the registrant sent to what it got, and drops
// those that had no effect. They are stored with the client, and so say later
// what it asked for. Claims of a statement stay as they are, since later
// updates are checked against them.
func (d duendeMembers) keep(reg *dcr.Registration) {
	chosen, begun := reg.Items[ownersItem].(owners)
	if !begun {
		return // a read
	}
	for _, s := range d.limits.members(reg.Client) {
		_, sent := reg.Client.Extra[s.name]
		switch {
		case !sent:
		case chosen[s.name] == byRegistrant:
			reg.Client.Extra[s.name] = s.value()
		case !reg.Claimed(s.name):
			delete(reg.Client.Extra, s.name)
		}
	}
}

// wished reports whether the setting of c is what the client asked for and got,
// and was not changed by the host since.
func (s *duendeSetting) wished(c *dcr.Client) bool {
	asked, sent := c.Extra[s.name]
	return sent && bytes.Equal(asked, s.value())
}

func (s *duendeSetting) equal(other *duendeSetting) bool {
	return bytes.Equal(s.value(), other.value())
}

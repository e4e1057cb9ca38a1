package policy

// RFC 6749 §4.1.2, RFC 9700 §4.14: how long the codes and tokens of a client
// are valid.

import (
	"context"
	"fmt"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/strictjson"
)

// Lifetimes limits how long the codes and tokens of a client are valid. A zero Ceiling
// means no limit. An AbsoluteRefreshTokenLifetime of zero means that refresh tokens
// never expire, which is beyond any Ceiling.
type Lifetimes struct {
	AccessToken          Lifetime
	IdentityToken        Lifetime
	AuthorizationCode    Lifetime
	AbsoluteRefreshToken Lifetime
	SlidingRefreshToken  Lifetime
}

// LimitLifetimes limits lifetimes, whether a registrant chose them through
// [DuendeMembers] or a hook of the host did. A Default applies to new clients,
// and to an update that no longer asks for what the client asked for before. If a
// client asked for more than it gets, its member of DuendeMembers says what it
// got. What a client has without asking, such as the server's own default, is lowered
// to the Ceiling, also with [Refuse].
func LimitLifetimes(limits Lifetimes) Rule {
	return func(inner dcr.Validator) dcr.Validator { return lifetimes{inner, limits} }
}

type lifetimes struct {
	dcr.Validator
	limits Lifetimes
}

// limitedLifetime is a lifetime of a client, and the limit of it.
type limitedLifetime struct {
	member   string
	limit    Lifetime
	lifetime *time.Duration
}

// of returns every limit with the lifetime that it limits.
func (l lifetimes) of(c *dcr.Client) [5]limitedLifetime {
	return [...]limitedLifetime{
		{"access_token_lifetime", l.limits.AccessToken, &c.AccessTokenLifetime},
		{"identity_token_lifetime", l.limits.IdentityToken, &c.IdentityTokenLifetime},
		{"authorization_code_lifetime", l.limits.AuthorizationCode, &c.AuthorizationCodeLifetime},
		{"absolute_refresh_token_lifetime", l.limits.AbsoluteRefreshToken, &c.AbsoluteRefreshTokenLifetime},
		{"sliding_refresh_token_lifetime", l.limits.SlidingRefreshToken, &c.SlidingRefreshTokenLifetime},
	}
}

// CheckOptions refuses limits that contradict themselves.
func (l lifetimes) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	for _, limited := range l.of(new(dcr.Client)) {
		limit := limited.limit
		if err := checkExcess(limited.member, limit.Excess); err != nil {
			return err
		}
		if limit.Ceiling < 0 || limit.Default < 0 {
			return fmt.Errorf("the limit of %s is negative; set Ceiling and Default to lifetimes, or leave them zero", limited.member)
		}
		if limit.Ceiling > 0 && limit.Default > limit.Ceiling {
			return fmt.Errorf("the limit of %s has a Default of %v beyond its Ceiling of %v; raise the Ceiling, or lower the Default", limited.member, limit.Default, limit.Ceiling)
		}
	}
	return l.Validator.CheckOptions(opts, store)
}

// ValidateGrantTypes gives a client the defaults, before any step reads what it
// asks for. An update keeps what the client has, within the ceiling, unless the client
// once asked for it: what an update leaves out, it deletes (RFC 7592 §2.2).
func (l lifetimes) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	for i, limited := range l.of(reg.Client) {
		if limited.limit.Default > 0 && (reg.Previous == nil || l.of(reg.Previous)[i].asked(reg.Previous)) {
			*limited.lifetime = limited.limit.Default
		}
		if limited.isBeyond() { // and nobody asked for it, so there is nothing to refuse
			*limited.lifetime = limited.most()
		}
	}
	return l.Validator.ValidateGrantTypes(ctx, reg)
}

// isBeyond reports whether the lifetime is longer than the ceiling. One of zero is
// unlimited.
func (l limitedLifetime) isBeyond() bool {
	return l.limit.Ceiling > 0 && (*l.lifetime > l.limit.Ceiling || *l.lifetime == 0)
}

// most returns what a client gets instead of a lifetime beyond the ceiling.
func (l limitedLifetime) most() time.Duration {
	if l.limit.Excess == Replace && l.limit.Default > 0 {
		return min(l.limit.Default, l.limit.Ceiling)
	}
	return l.limit.Ceiling
}

// asked reports whether the lifetime is what the client asked for and got, and
// was not changed by the host since.
func (l limitedLifetime) asked(c *dcr.Client) bool {
	seconds, sent, err := dcr.NewField[float64](l.member).Get(&c.Metadata)
	return sent && err == nil && seconds == l.lifetime.Seconds()
}

// set gives the client another lifetime, which is then what it got for its own
// request.
func (l limitedLifetime) set(c *dcr.Client, to time.Duration) {
	asked := l.asked(c)
	*l.lifetime = to
	if asked {
		c.Extra[l.member] = strictjson.AppendSeconds(nil, to)
	}
}

// ValidateClient limits the lifetimes that all steps left.
func (l lifetimes) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := l.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	for _, limited := range l.of(reg.Client) {
		switch member, beyond := limited.member, limited.isBeyond(); {
		case beyond && limited.limit.Excess == Refuse:
			return refuse(member, member, "%s must not be longer than %d seconds", member, limited.limit.Ceiling/time.Second)
		case beyond:
			limited.set(reg.Client, limited.most())
		}
	}
	return nil
}

package policy

// How long what a client gets is valid: RFC 6749 §4.1.2, RFC 9700 §4.14.

import (
	"context"
	"time"

	"github.com/dynreg/dcr"
)

// Lifetimes limits the lifetimes of what a client gets. A ceiling of zero is
// none; of absolute refresh tokens, a lifetime of zero is unlimited and thus
// beyond any ceiling.
type Lifetimes struct {
	AccessToken          Lifetime
	IdentityToken        Lifetime
	AuthorizationCode    Lifetime
	AbsoluteRefreshToken Lifetime
	SlidingRefreshToken  Lifetime
}

// LimitLifetimes limits lifetimes, whoever chose them: a registrant through
// [dcr.DuendeExtensions], or a hook of the host.
func LimitLifetimes(limits Lifetimes) Rule {
	return func(inner dcr.Validator) dcr.Validator { return lifetimes{inner, limits} }
}

type lifetimes struct {
	dcr.Validator
	limits Lifetimes
}

// each pairs every limit with what it limits.
func (l lifetimes) each(c *dcr.Client, do func(member string, limit Lifetime, lifetime *time.Duration) error) error {
	for _, limited := range [...]struct {
		member   string
		limit    Lifetime
		lifetime *time.Duration
	}{
		{"access_token_lifetime", l.limits.AccessToken, &c.AccessTokenLifetime},
		{"identity_token_lifetime", l.limits.IdentityToken, &c.IdentityTokenLifetime},
		{"authorization_code_lifetime", l.limits.AuthorizationCode, &c.AuthorizationCodeLifetime},
		{"absolute_refresh_token_lifetime", l.limits.AbsoluteRefreshToken, &c.AbsoluteRefreshTokenLifetime},
		{"sliding_refresh_token_lifetime", l.limits.SlidingRefreshToken, &c.SlidingRefreshTokenLifetime},
	} {
		if err := do(limited.member, limited.limit, limited.lifetime); err != nil {
			return err
		}
	}
	return nil
}

// ValidateGrantTypes gives a new client the defaults, before any step reads
// what it asks for. An update keeps what the client has.
func (l lifetimes) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	if reg.Previous == nil {
		l.each(reg.Client, func(_ string, limit Lifetime, lifetime *time.Duration) error {
			if limit.Default > 0 {
				*lifetime = limit.Default
			}
			return nil
		})
	}
	return l.Validator.ValidateGrantTypes(ctx, reg)
}

// ValidateClient holds what every step left to the ceilings.
func (l lifetimes) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := l.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	return l.each(reg.Client, func(member string, limit Lifetime, lifetime *time.Duration) error {
		switch beyond := limit.Ceiling > 0 && (*lifetime > limit.Ceiling || *lifetime == 0); {
		case beyond && limit.Excess == Refuse:
			return refuse(member, member, "%s must not be longer than %d seconds", member, limit.Ceiling/time.Second)
		case beyond && limit.Excess == Replace && limit.Default > 0:
			*lifetime = min(limit.Default, limit.Ceiling)
		case beyond:
			*lifetime = limit.Ceiling
		}
		return nil
	})
}

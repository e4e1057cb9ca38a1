package policy

// RFC 6749 §4.1.2, RFC 9700 §4.14: how long the codes and tokens of a client
// are valid.

import (
	"context"
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
// got.
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

// ValidateGrantTypes gives a client the defaults, before any step reads what it
// asks for. An update keeps what the client has, unless the client once asked
// for it: what an update leaves out, it deletes (RFC 7592 §2.2).
func (l lifetimes) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	for i, limited := range l.of(reg.Client) {
		if limited.limit.Default > 0 && (reg.Previous == nil || l.of(reg.Previous)[i].asked(reg.Previous)) {
			*limited.lifetime = limited.limit.Default
		}
	}
	return l.Validator.ValidateGrantTypes(ctx, reg)
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
		member, limit, lifetime := limited.member, limited.limit, limited.lifetime
		switch beyond := limit.Ceiling > 0 && (*lifetime > limit.Ceiling || *lifetime == 0); {
		case beyond && limit.Excess == Refuse:
			return refuse(member, member, "%s must not be longer than %d seconds", member, limit.Ceiling/time.Second)
		case beyond && limit.Excess == Replace && limit.Default > 0:
			limited.set(reg.Client, min(limit.Default, limit.Ceiling))
		case beyond:
			limited.set(reg.Client, limit.Ceiling)
		}
	}
	return nil
}

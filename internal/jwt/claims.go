// Package jwt reads and checks JSON Web Tokens (RFC 7519) of any kind: software
// statements, access tokens and signed requests. It reports what is wrong as a
// Fault, which each caller words in its own way.
package jwt

// The registered claims: RFC 7519 section 4.1.

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/dynreg/dcr/internal/strictjson"
)

// What can be wrong with a token's time and audience. Each text follows the
// name of the token.
var (
	ErrExpired  = errors.New("has expired")
	ErrTooEarly = errors.New("is not valid yet")
	ErrTooOld   = errors.New("was issued too long ago")
	ErrTooLong  = errors.New("is valid for longer than this server accepts")
	ErrAudience = errors.New("does not have this server in its aud")
)

// Limits bound the claims of a token.
var Limits = strictjson.Limits{Members: 256, Depth: 16}

// Claims are the registered claims of a token; an absent claim is zero.
type Claims struct {
	Issuer, Subject, ID         string
	Audience                    []string
	Expiry, NotBefore, IssuedAt time.Time
}

// Registered reports whether name is a registered claim.
func Registered(name string) bool {
	switch name {
	case "iss", "sub", "aud", "exp", "nbf", "iat", "jti":
		return true
	}
	return false
}

// Read stores one claim of the token; it ignores a claim that is not
// registered. The error is a *strictjson.Error.
func (c *Claims) Read(name string, value strictjson.Value) (err error) {
	switch name {
	case "iss":
		c.Issuer, err = value.Text()
	case "sub":
		c.Subject, err = value.Text()
	case "jti":
		c.ID, err = value.Text()
	case "aud":
		c.Audience, err = OneOrMore(value)
	case "exp":
		c.Expiry, err = numericDate(value)
	case "nbf":
		c.NotBefore, err = numericDate(value)
	case "iat":
		c.IssuedAt, err = numericDate(value)
	}
	return strictjson.In(name, err)
}

// ReadAll stores the registered claims of a payload. It also passes every claim to
// each.
func (c *Claims) ReadAll(payload string, limits strictjson.Limits, each func(name string, value strictjson.Value) error) error {
	return strictjson.ReadObject(payload, limits, func(name string, value strictjson.Value) error {
		if err := c.Read(name, value); err != nil {
			return err
		}
		return each(name, value)
	})
}

// OneOrMore returns the strings of an array, or a single string as a list of
// one.
func OneOrMore(value strictjson.Value) ([]string, error) {
	if value.Kind() != strictjson.String {
		return value.Texts()
	}
	text, err := value.Text()
	return []string{text}, err
}

// lastSecond is the end of the year 9999; a later time was probably given in
// milliseconds.
const lastSecond = 253402300799

// numericDate reads seconds since 1970, which may have a fraction.
func numericDate(value strictjson.Value) (time.Time, error) {
	seconds, err := strconv.ParseFloat(string(value), 64)
	if value.Kind() != strictjson.Number || err != nil || seconds < 0 || seconds > lastSecond {
		return time.Time{}, &strictjson.Error{Reason: "must be a number of seconds since 1970"}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), nil
}

// Skew returns how much clocks may differ if an option is set to set: a minute
// if it is zero, and no time if it is negative.
func Skew(set time.Duration) time.Duration {
	switch {
	case set == 0:
		return time.Minute
	case set < 0:
		return 0
	}
	return set
}

// Terms say when and for which audience a token is valid.
type Terms struct {
	Skew        time.Duration // how much clocks may differ
	MaxAge      time.Duration // since iat; if zero, unlimited
	MaxLifetime time.Duration // from iat (from now if it is absent) to exp; if zero, unlimited
	Audience    []string      // the token must name one of these; if empty, any audience will do
}

// Check checks the claims at the time now. An absent claim is accepted, unless
// the terms need it: with MaxAge, a token without iat is too old; with
// Audience, a token without aud is for someone else.
func (c *Claims) Check(now time.Time, terms Terms) error {
	early, late := now.Add(-terms.Skew), now.Add(terms.Skew)
	switch {
	case !c.Expiry.IsZero() && !early.Before(c.Expiry):
		return ErrExpired
	case c.NotBefore.After(late) || c.IssuedAt.After(late):
		return ErrTooEarly
	case terms.MaxAge > 0 && early.Add(-terms.MaxAge).After(c.IssuedAt):
		return fmt.Errorf("%w: its iat must be at most %v ago", ErrTooOld, terms.MaxAge)
	case terms.MaxLifetime > 0 && c.Expiry.Sub(cmp.Or(c.IssuedAt, late)) > terms.MaxLifetime:
		return fmt.Errorf("%w: its exp must be at most %v after its iat", ErrTooLong, terms.MaxLifetime)
	case len(terms.Audience) > 0 && !slices.ContainsFunc(c.Audience, func(aud string) bool {
		return slices.Contains(terms.Audience, aud)
	}):
		return ErrAudience
	}
	return nil
}

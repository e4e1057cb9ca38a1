// Package jwt reads and judges JSON Web Tokens (RFC 7519), whatever the token
// is: a software statement, an access token or a signed request. What is wrong
// with one is a Fault, which each caller tells in its own way.
package jwt

// The registered claims: RFC 7519 section 4.1.

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/dynreg/dcr/internal/strictjson"
)

// What can be wrong with a token's time and audience. Each follows the name of
// the token.
var (
	ErrExpired  = errors.New("has expired")
	ErrTooEarly = errors.New("is not valid yet")
	ErrTooOld   = errors.New("was issued too long ago")
	ErrTooLong  = errors.New("is valid for longer than this server accepts")
	ErrAudience = errors.New("does not have this server in its aud")
)

// Limits bound the claims of a token.
var Limits = strictjson.Limits{Members: 256, Depth: 16}

// Claims are the registered claims of a token; one that is absent is zero.
type Claims struct {
	Issuer, Subject, ID         string
	Audience                    []string
	Expiry, NotBefore, IssuedAt time.Time
}

// Registered reports whether name is that of a registered claim.
func Registered(name string) bool {
	switch name {
	case "iss", "sub", "aud", "exp", "nbf", "iat", "jti":
		return true
	}
	return false
}

// Read takes one claim of the token; one that is not registered is ignored.
// The error is a *strictjson.Error.
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

// ReadClaims returns the registered claims of a payload, and hands every claim
// to each as well.
func ReadClaims(payload []byte, limits strictjson.Limits, each func(name string, value strictjson.Value) error) (*Claims, error) {
	claims := &Claims{}
	err := strictjson.ReadObject(payload, limits, func(name string, value strictjson.Value) error {
		if err := claims.Read(name, value); err != nil {
			return err
		}
		return each(name, value)
	})
	if err != nil {
		return nil, err
	}
	return claims, nil
}

// OneOrMore returns the strings of an array, or the one that stands alone.
func OneOrMore(value strictjson.Value) ([]string, error) {
	if value.Kind() != strictjson.String {
		return value.Texts()
	}
	text, err := value.Text()
	return []string{text}, err
}

// lastSecond is the end of the year 9999: what is later was meant in
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

// Skew is by how much clocks may differ where an option says set: a minute
// where it is zero, nothing where it is negative.
func Skew(set time.Duration) time.Duration {
	switch {
	case set == 0:
		return time.Minute
	case set < 0:
		return 0
	}
	return set
}

// Terms say when, and for which audience, a token is valid.
type Terms struct {
	Skew        time.Duration // by which clocks may differ
	MaxAge      time.Duration // since iat; if zero, any
	MaxLifetime time.Duration // from iat, or from now where it is absent, to exp; if zero, any
	Audience    []string      // of which the token must name one; if empty, any
}

// Check judges the claims at now. A claim that is absent is not judged, but
// for those that the terms are about: without iat a token is too old, without
// aud it is for somebody else.
func (c *Claims) Check(now time.Time, terms Terms) error {
	early, late := now.Add(-terms.Skew), now.Add(terms.Skew)
	switch {
	case !c.Expiry.IsZero() && !early.Before(c.Expiry):
		return ErrExpired
	case c.NotBefore.After(late) || c.IssuedAt.After(late):
		return ErrTooEarly
	case terms.MaxAge > 0 && early.Add(-terms.MaxAge).After(c.IssuedAt):
		return ErrTooOld
	case terms.MaxLifetime > 0 && c.Expiry.Sub(cmp.Or(c.IssuedAt, late)) > terms.MaxLifetime:
		return ErrTooLong
	case len(terms.Audience) > 0 && !slices.ContainsFunc(c.Audience, func(aud string) bool {
		return slices.Contains(terms.Audience, aud)
	}):
		return ErrAudience
	}
	return nil
}

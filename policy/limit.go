package policy

// RFC 7591 §2: members whose values the server limits.

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/decorator"
)

// Limit is the rule of one member: the most that a client gets, what it gets
// when it asks for nothing, and what happens when it asks for more. NewHandler refuses
// a Default beyond the Ceiling.
type Limit[T any] struct {
	Ceiling T      // the most that a client gets, within what the server supports; nil or zero: no limit
	Default T      // for a client that asks for nothing, or is left with nothing; nil or zero: the server's own default
	Excess  Excess // what happens to values beyond Ceiling
}

// Values limits a member whose values come from a list, such as grant_types. If the
// member has a single value, such as token_endpoint_auth_method, the default is the
// first entry of Default that the server supports.
type Values = Limit[[]string]

// Lifetime limits a lifetime.
type Lifetime = Limit[time.Duration]

// GrantTypes limits grant_types.
func GrantTypes(limit Values) Rule { return limited(grantTypes, limit) }

// ResponseTypes limits response_types.
func ResponseTypes(limit Values) Rule { return limited(responseTypes, limit) }

// Scopes limits scope. A Ceiling with [dcr.AnyScope] does not limit it.
func Scopes(limit Values) Rule { return limited(scope, limit) }

// AuthMethods limits token_endpoint_auth_method.
func AuthMethods(limit Values) Rule { return limited(authMethod, limit) }

// Algorithm limits a member that names an algorithm, such as
// id_token_signed_response_alg. It panics if [dcr.AlgorithmMembers] does not have the
// member.
func Algorithm(member string, limit Values) Rule {
	for _, known := range algorithmMembers {
		if known.Name == member {
			return limited(algorithm(known), limit)
		}
	}
	panic("policy: " + member + " is no metadata member that names an algorithm")
}

// field is a member whose values are limited by the capabilities.
type field struct {
	name    string
	list    string // the member's name in the capabilities
	ceiling func(*dcr.Capabilities) *[]string
	get     func(*dcr.Client) []string // nil if the member is absent
	set     func(*dcr.Client, []string)
	applies func(*dcr.Client) bool                             // whether the default may be set; nil: always
	fits    func(c *dcr.Client, value string) bool             // whether the client may have a value of the default; nil: always
	keeps   func(previous *dcr.Client, standard []string) bool // whether a client keeps what it has, instead of the default, if an update leaves the member out; nil: never
}

var (
	grantTypes = field{
		name: "grant_types", ceiling: func(c *dcr.Capabilities) *[]string { return &c.GrantTypes },
		get: func(c *dcr.Client) []string { return c.GrantTypes },
		set: func(c *dcr.Client, values []string) { c.GrantTypes = values },
	}
	responseTypes = field{
		name: "response_types", ceiling: func(c *dcr.Capabilities) *[]string { return &c.ResponseTypes },
		get: func(c *dcr.Client) []string { return c.ResponseTypes },
		set: func(c *dcr.Client, values []string) { c.ResponseTypes = values },
		applies: func(c *dcr.Client) bool {
			return c.GrantTypes == nil || slices.Contains(c.GrantTypes, "authorization_code") || slices.Contains(c.GrantTypes, "implicit")
		},
	}
	scope = field{
		name: "scope", ceiling: func(c *dcr.Capabilities) *[]string { return &c.Scopes },
		get: func(c *dcr.Client) []string { return strings.Fields(c.Scope) },
		set: func(c *dcr.Client, values []string) { c.Scope = strings.Join(values, " ") },
	}
	authMethod = func() field {
		f := single("token_endpoint_auth_method", "token_endpoint_auth_methods_supported",
			func(c *dcr.Capabilities) *[]string { return &c.TokenEndpointAuthMethods },
			func(m *dcr.Metadata) *string { return &m.TokenEndpointAuthMethod })
		f.keeps = func(previous *dcr.Client, standard []string) bool {
			return previous.TokenEndpointAuthMethod != "none" && slices.Index(standard, "none") == 0
		}
		return f
	}()
)

// single makes the field of a member that has one value.
func single(name, list string, ceiling func(*dcr.Capabilities) *[]string, at func(*dcr.Metadata) *string) field {
	return field{
		name: name, list: list, ceiling: ceiling,
		get: func(c *dcr.Client) []string {
			if value := *at(&c.Metadata); value != "" {
				return []string{value}
			}
			return nil
		},
		set: func(c *dcr.Client, values []string) {
			*at(&c.Metadata) = ""
			if len(values) > 0 {
				*at(&c.Metadata) = values[0]
			}
		},
	}
}

func limited(of field, limit Values) Rule {
	return func(inner dcr.Validator) dcr.Validator { return limiter{inner, of, limit} }
}

// limiter applies a limit to one field. Its first step corrects the member, so
// that every step of the inner validator sees what the client will have.
type limiter struct {
	dcr.Validator
	field field
	limit Values
}

// Capabilities narrows the list of the field.
func (l limiter) Capabilities() dcr.Capabilities {
	supported := l.Validator.Capabilities().WithDefaults()
	if l.field.name == "request_object_signing_alg" {
		spellOut(&supported)
	}
	if l.limit.Ceiling != nil {
		before := supported.GrantTypes
		narrow(l.field.ceiling(&supported), l.limit.Ceiling)
		dropResponseTypes(&supported, before, l.Validator)
	}
	return supported
}

// CheckOptions refuses a default that contradicts the ceiling.
func (l limiter) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if err := checkExcess(l.field.name, l.limit.Excess); err != nil {
		return err
	}
	var beyond []string
	if l.limit.Ceiling != nil {
		beyond = slices.DeleteFunc(slices.Clone(l.limit.Default), func(entry string) bool { return contains(l.limit.Ceiling, entry) })
	}
	// A member with one value gets the first entry that it can have.
	if alternatives := l.field.list != ""; len(beyond) > 0 && !(alternatives && len(beyond) < len(l.limit.Default)) {
		return fmt.Errorf("the limit of %s has the Default %s, which its Ceiling does not allow; add it there, or take it out of Default", l.field.name, strings.Join(beyond, ", "))
	}
	if l.field.name == scope.name {
		if err := checkScopes("the limit of scope", l.limit.Default); err != nil {
			return err
		}
	}
	return l.Validator.CheckOptions(opts, store)
}

// checkExcess refuses a value that is none of the constants.
func checkExcess(member string, excess Excess) error {
	if excess < Drop || excess > Replace {
		return fmt.Errorf("the limit of %s has the Excess %d; set it to Drop, Refuse or Replace", member, excess)
	}
	return nil
}

// dropResponseTypes removes the response types that need grant types which were
// removed.
func dropResponseTypes(supported *dcr.Capabilities, before []string, inner dcr.Validator) {
	gone := func(grant string) bool { return contains(before, grant) && !contains(supported.GrantTypes, grant) }
	noCode, noImplicit := gone("authorization_code"), gone("implicit")
	if !noCode && !noImplicit {
		return
	}
	supported.ResponseTypes = slices.DeleteFunc(slices.Clone(supported.ResponseTypes), func(responseType string) bool {
		words := strings.Fields(responseType)
		front := slices.Contains(words, "token") || slices.Contains(words, "id_token")
		allowed := sameWords(responseType, "code id_token") && hybridWithoutImplicit(inner)
		return noCode && slices.Contains(words, "code") || noImplicit && front && !allowed
	})
}

// hybridWithoutImplicit returns AllowHybridWithoutImplicit of the
// DefaultValidator that v, or what it decorates, is or embeds.
func hybridWithoutImplicit(v dcr.Validator) bool {
	for inner := decorator.Inner(v); inner != nil; inner = decorator.Inner(v) {
		v = inner
	}
	value := reflect.Indirect(reflect.ValueOf(v))
	if value.Kind() != reflect.Struct {
		return false
	}
	allowed := value.FieldByName("AllowHybridWithoutImplicit")
	return allowed.Kind() == reflect.Bool && allowed.Bool()
}

// ValidateGrantTypes settles the field, then runs the inner step.
func (l limiter) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	if err := l.settle(reg); err != nil {
		return err
	}
	return l.Validator.ValidateGrantTypes(ctx, reg)
}

// ValidateClientAuthentication settles the algorithm of a client whose method an inner
// step has only now chosen.
func (l limiter) ValidateClientAuthentication(ctx context.Context, reg *dcr.Registration) error {
	if err := l.Validator.ValidateClientAuthentication(ctx, reg); err != nil || l.field.name != authAlg {
		return err
	}
	return l.settle(reg)
}

// settle judges what was asked for. Values that are only to be dropped are left
// to the member's step, which judges by the narrowed capabilities.
func (l limiter) settle(reg *dcr.Registration) error {
	c, supported := reg.Client, *l.field.ceiling(&reg.Capabilities)
	if supported == nil || reg.Request.Choices[l.field.list] != nil {
		return nil // off; or alternatives were listed, from which the member's step picks
	}
	if reg.ExactDefaults && l.field.list != "" {
		return nil // nothing may replace the value, or the default: the member's step refuses it
	}
	asked := l.field.get(c)
	if len(asked) == 0 {
		absent := asked == nil || l.field.name == "scope"
		if l.keep(reg, supported) {
			return nil
		}
		if absent && (l.field.applies == nil || l.field.applies(c)) {
			l.fallBack(c, supported)
		}
		return nil
	}
	kept := within(asked, supported)
	switch {
	case len(kept) == len(asked):
		return nil
	case l.limit.Excess == Refuse:
		return refuse(l.field.name, l.field.name, "%s must be among: %s", l.field.name, orNone(supported))
	case l.limit.Excess == Replace:
		l.field.set(c, nil)
		l.fallBack(c, supported)
	case len(kept) == 0:
		l.fallBack(c, supported)
	}
	return nil
}

// keep lets a client keep what it has, if the field says so and an update
// leaves the member out: a confidential client must not become public because
// it leaves the member out.
func (l limiter) keep(reg *dcr.Registration, supported []string) bool {
	if reg.Previous == nil || l.field.keeps == nil || !l.field.keeps(reg.Previous, within(l.limit.Default, supported)) {
		return false
	}
	has := within(l.field.get(reg.Previous), supported)
	if len(has) > 0 {
		l.field.set(reg.Client, has)
	}
	return len(has) > 0
}

// fallBack sets the default, if there is one.
func (l limiter) fallBack(c *dcr.Client, supported []string) {
	standard := within(l.limit.Default, supported)
	if l.field.fits != nil {
		standard = slices.DeleteFunc(standard, func(value string) bool { return !l.field.fits(c, value) })
	}
	if len(standard) > 0 {
		l.field.set(c, standard)
	}
}

package policy

// RFC 7591 §2: scope.

import (
	"context"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// KnownScopes refuses a request that asks for scopes of which none is supported,
// if the client would also get no default scopes: it would otherwise only learn
// later that it can do nothing. It allows a request without scope.
func KnownScopes() Rule {
	return func(inner dcr.Validator) dcr.Validator { return knownScopes{inner} }
}

type knownScopes struct{ dcr.Validator }

// ValidateScopes judges what the inner step left.
func (k knownScopes) ValidateScopes(ctx context.Context, reg *dcr.Registration) error {
	err := k.Validator.ValidateScopes(ctx, reg)
	if err == nil && reg.Client.Scope == "" {
		return refuse("scope", "known_scopes", "scope must have at least one of: %s", orNone(without(reg.Capabilities.Scopes, dcr.AnyScope)))
	}
	return err
}

// AlwaysScopes gives every client those of these scopes that the server
// supports, whatever it asked for, unless a software statement decides about
// scope.
func AlwaysScopes(scopes ...string) Rule {
	return func(inner dcr.Validator) dcr.Validator { return alwaysScopes{inner, scopes} }
}

type alwaysScopes struct {
	dcr.Validator
	scopes []string
}

// ValidateScopes adds to what the inner step left. If it left nothing, the
// default scopes are set first.
func (a alwaysScopes) ValidateScopes(ctx context.Context, reg *dcr.Registration) error {
	err := a.Validator.ValidateScopes(ctx, reg)
	if err == nil && reg.Client.Scope != "" {
		a.add(reg)
	}
	return err
}

// SetDefaultScopes adds to the inner default.
func (a alwaysScopes) SetDefaultScopes(ctx context.Context, reg *dcr.Registration) error {
	err := a.Validator.SetDefaultScopes(ctx, reg)
	if err == nil {
		a.add(reg)
	}
	return err
}

func (a alwaysScopes) add(reg *dcr.Registration) {
	if reg.Claimed("scope") {
		return // a software statement bounds it
	}
	scopes := strings.Fields(reg.Client.Scope)
	for _, scope := range within(a.scopes, reg.Capabilities.Scopes) {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	reg.Client.Scope = strings.Join(scopes, " ")
}

package policy

// RFC 7591 §2: scope.

import (
	"context"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// KnownScopes refuses a request of whose scopes none is supported, where the
// default leaves the client without any: it would learn only later that it can do
// nothing. A request without scope passes.
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

// AlwaysScopes adds scopes to every client, as far as the server supports
// them, whatever it asked for, unless scope is for a software statement to say.
func AlwaysScopes(scopes ...string) Rule {
	return func(inner dcr.Validator) dcr.Validator { return alwaysScopes{inner, scopes} }
}

type alwaysScopes struct {
	dcr.Validator
	scopes []string
}

// ValidateScopes adds to what the inner step left. Where it left nothing, the
// default scopes come first.
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

package policy

// RFC 7591 §2: scope.

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// KnownScopes refuses a request that asks for scopes of which none is supported,
// instead of giving the client the default scopes: it would otherwise only learn
// later that it can do nothing that it asked for. It allows a request without scope.
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
// scope. NewHandler refuses an entry that is not a scope.
func AlwaysScopes(scopes ...string) Rule {
	return func(inner dcr.Validator) dcr.Validator { return alwaysScopes{inner, scopes} }
}

type alwaysScopes struct {
	dcr.Validator
	scopes []string
}

// CheckOptions refuses entries that no client may have.
func (a alwaysScopes) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if err := checkScopes("policy.AlwaysScopes", a.scopes); err != nil {
		return err
	}
	return a.Validator.CheckOptions(opts, store)
}

// checkScopes refuses what is not a scope-token (RFC 6749 §3.3), and [dcr.AnyScope].
func checkScopes(of string, scopes []string) error {
	for _, scope := range scopes {
		if bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }; scope == "" || scope == dcr.AnyScope || strings.ContainsFunc(scope, bad) {
			return fmt.Errorf("%s has %q, which is not a scope; give each scope as an entry of its own", of, scope)
		}
	}
	return nil
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

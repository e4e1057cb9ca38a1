package policy

// RFC 7591 §2: scope.

import (
	"context"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

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

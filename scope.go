package dcr

// RFC 6749 §3.3 and RFC 7591 §2: scope.

import (
	"context"
	"slices"
	"strings"
)

// validateScope runs the two steps about scope.
func validateScope(v Validator, ctx context.Context, reg *Registration) error {
	c := reg.Client
	c.Scope = strings.Join(strings.FieldsFunc(c.Scope, isSpace), " ")
	if c.Scope != "" {
		if err := v.ValidateScopes(ctx, reg); err != nil {
			return err
		}
	}
	if c.Scope == "" {
		return v.SetDefaultScopes(ctx, reg)
	}
	return nil
}

func isSpace(r rune) bool { return r == ' ' }

// ValidateScopes drops the scopes that the server does not support, or
// refuses them where RefuseUnsupportedScopes says so.
func (d DefaultValidator) ValidateScopes(ctx context.Context, reg *Registration) error {
	c := reg.Client
	kept := make([]string, 0, 8)
	for _, scope := range strings.Split(c.Scope, " ") {
		if !isScopeToken(scope) {
			return refuseMember("scope", "form", "must be scopes of printable ASCII, without quotes and backslashes, separated by spaces")
		}
		switch {
		case slices.Contains(kept, scope):
		case reg.Capabilities.anyScope() || slices.Contains(reg.Capabilities.Scopes, scope):
			kept = append(kept, scope)
		case d.RefuseUnsupportedScopes:
			return refuseMember("scope", "unsupported", "must be among: %s", orNone(reg.Capabilities.Scopes))
		}
	}
	c.Scope = strings.Join(kept, " ")
	return nil
}

// isScopeToken reports whether scope is a scope-token of RFC 6749 §3.3.
func isScopeToken(scope string) bool {
	for _, c := range []byte(scope) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return scope != "" && scope != AnyScope
}

// SetDefaultScopes gives the client d.DefaultScopes, as far as the server
// supports them.
func (d DefaultValidator) SetDefaultScopes(ctx context.Context, reg *Registration) error {
	kept := d.DefaultScopes
	if !reg.Capabilities.anyScope() {
		kept = among(d.DefaultScopes, reg.Capabilities.Scopes)
	}
	reg.Client.Scope = strings.Join(kept, " ")
	return nil
}

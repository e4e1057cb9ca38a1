package dcr

// What a host would rather hear at start than find out later. What contradicts
// itself is an error of NewHandler; what is merely unwise is said here.

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/jose"
)

// Warner is a [Validator], or part of one, that knows what a host may have
// configured by mistake.
type Warner interface {
	// Warnings returns one sentence for each suspicion, which says what to
	// change.
	Warnings() []string
}

// Warnings says, one sentence each, what is allowed and probably not meant:
// what to change stands in each. [NewHandler] logs them at level Warn.
func (h *Handler) Warnings() []string {
	warnings := h.openWarnings()
	if h.opts.SecretLifetime > 0 && h.opts.DisableManagement {
		warnings = append(warnings, "Options.SecretLifetime ends client secrets, and with DisableManagement no client can renew its own; leave SecretLifetime at zero, or management on")
	}
	if h.opts.ManageAs != nil && h.opts.DisableManagement {
		warnings = append(warnings, "Options.ManageAs has no effect with DisableManagement; leave one of them out")
	}
	warnings = append(warnings, h.validatorWarnings("Options.Validator", h.opts.Validator)...)
	advertised := h.Capabilities().effective()
	for _, name := range sortedKeys(h.opts.Policies) {
		policy, of := h.opts.Policies[name], fmt.Sprintf("Options.Policies[%q]", name)
		warnings = append(warnings, h.validatorWarnings(of, policy)...)
		warnings = append(warnings, unadvertised(of, policy.Capabilities().effective(), advertised)...)
	}
	return warnings
}

// openWarnings are about registration by strangers.
func (h *Handler) openWarnings() []string {
	if !h.opts.AllowAnonymous {
		return nil
	}
	var warnings []string
	if !h.bounded() {
		warnings = append(warnings, "Options.AllowAnonymous lets anyone fill the store, which has no ceiling; set Options.MaxClients")
	}
	for _, grant := range []string{"client_credentials", "password"} {
		if h.opts.ChoosePolicy == nil && slices.Contains(h.Capabilities().effective().GrantTypes, grant) {
			warnings = append(warnings, fmt.Sprintf("Options.AllowAnonymous lets a stranger have the grant type %s, and with it tokens without a person's consent; take it out of GrantTypes, or let ChoosePolicy give strangers another policy", grant))
		}
	}
	if h.opts.SecretLifetime > 0 {
		warnings = append(warnings, "Options.SecretLifetime ends the secrets of clients that register themselves, and most of them never renew one; leave it at zero with AllowAnonymous")
	}
	return warnings
}

// validatorWarnings are about one validator.
func (h *Handler) validatorWarnings(of string, v Validator) []string {
	var warnings []string
	supported := v.Capabilities().effective()
	if symmetric := supported.symmetricAlgs(); symmetric != nil && h.opts.Sealer == nil {
		warnings = append(warnings, fmt.Sprintf("%s supports %s, for which the server must keep client secrets themselves, so that registration refuses what discovery advertises; set Options.Sealer, or take it out", of, strings.Join(symmetric, ", ")))
	}
	for inner := v; inner != nil; inner = embedded(inner) {
		if warner, ok := inner.(Warner); ok {
			for _, warning := range warner.Warnings() {
				warnings = append(warnings, of+": "+warning)
			}
		}
	}
	return warnings
}

// embedded returns the Validator that a decorator embeds, nil if v is none. A
// struct that embeds DefaultValidator has its Warnings already.
func embedded(v Validator) Validator {
	value := reflect.Indirect(reflect.ValueOf(v))
	if value.Kind() != reflect.Struct {
		return nil
	}
	inner := value.FieldByName("Validator")
	if !inner.IsValid() || !inner.CanInterface() {
		return nil
	}
	found, _ := inner.Interface().(Validator)
	return found
}

// symmetricAlgs are the algorithms on the list by which a client would need a
// secret that the server itself can read.
func (c *Capabilities) symmetricAlgs() []string {
	var symmetric []string
	for _, list := range [][]string{c.IDTokenSigningAlgs, c.UserinfoSigningAlgs, c.RequestObjectSigningAlgs, c.IntrospectionSigningAlgs, c.AuthorizationSigningAlgs} {
		for _, alg := range list {
			if jose.Symmetric(alg) && !slices.Contains(symmetric, alg) {
				symmetric = append(symmetric, alg)
			}
		}
	}
	return symmetric
}

// unadvertised says what a policy registers and the discovery document, which
// is made of Options.Validator, does not mention: a client that reads it will
// not use that, and an endpoint that follows it will refuse it.
func unadvertised(of string, registers, advertised Capabilities) []string {
	var warnings []string
	for _, list := range []struct {
		name                  string
		registers, advertised []string
	}{
		{"grant_types_supported", registers.GrantTypes, advertised.GrantTypes},
		{"response_types_supported", registers.ResponseTypes, advertised.ResponseTypes},
		{"token_endpoint_auth_methods_supported", registers.TokenEndpointAuthMethods, advertised.TokenEndpointAuthMethods},
	} {
		for _, value := range list.registers {
			if !slices.Contains(list.advertised, value) {
				warnings = append(warnings, fmt.Sprintf("%s registers clients with %s, which is missing from the %s of Options.Validator that discovery advertises; add it there, or take it out here", of, value, list.name))
			}
		}
	}
	return warnings
}

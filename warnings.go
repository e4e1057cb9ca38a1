package dcr

// What NewHandler accepts and warns of, since it is probably a mistake.

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/decorator"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/record"
)

// Warner is a [Validator], or part of one, that finds likely mistakes in its
// own configuration.
type Warner interface {
	// Warnings returns one sentence for each likely mistake. The sentence says
	// what to change.
	Warnings() []string
}

// OptionsWarner is a [Validator], or part of one, that finds options that do
// not fit it well. Validator.CheckOptions refuses options that it cannot work
// with. A store may be an OptionsWarner too; it is then asked if strangers may
// register.
type OptionsWarner interface {
	// OptionsWarnings returns one sentence for each option that is not as it
	// should be. The sentence says what to set. opts are as the host set them:
	// nil and zero still mean the defaults.
	OptionsWarnings(opts *Options) []string
}

// Warnings returns one sentence for each setting that is allowed but probably a
// mistake. The sentence says what to change. [NewHandler] logs them at level
// Warn.
func (h *Handler) Warnings() []string {
	warnings := h.openWarnings()
	if h.opts.SecretLifetime > 0 && h.opts.DisableManagement {
		warnings = append(warnings, "Options.SecretLifetime makes client secrets expire, and with DisableManagement no client can renew its own; leave SecretLifetime at zero, or DisableManagement false")
	}
	if h.opts.ManageAs != nil && h.opts.DisableManagement {
		warnings = append(warnings, "Options.ManageAs has no effect with DisableManagement; leave one of them out")
	}
	if h.managesAsFound() {
		warnings = append(warnings, "the store has FindStored from a store that it embeds, which does not count, so that clients are managed as FindByClientID finds them, maybe from a cache or by fetching a document; embed that store as a dcr.ClientConfigurationStore, and declare FindStored and As")
	}
	warnings = append(warnings, h.documentWarnings()...)
	warnings = append(warnings, h.validatorWarnings("Options.Validator", h.opts.Validator)...)
	advertised := h.Capabilities().WithDefaults()
	if slices.Contains(advertised.CodeChallengeMethods, "plain") {
		warnings = append(warnings, "Options.Validator advertises the code challenge method plain, which Client.CheckAuthorization and Client.VerifyCodeVerifier refuse (RFC 9700 §2.1.1); take it out of CodeChallengeMethods")
	}
	for _, name := range sortedKeys(h.opts.Policies) {
		policy, of := h.opts.Policies[name], fmt.Sprintf("Options.Policies[%q]", name)
		warnings = append(warnings, h.validatorWarnings(of, policy)...)
		warnings = append(warnings, unadvertised(of, policy.Capabilities().WithDefaults(), advertised)...)
	}
	return warnings
}

// managesAsFound reports whether a store with FindStored is no [StoredFinder].
func (h *Handler) managesAsFound() bool {
	if _, has := h.store.(StoredFinder); !has || h.opts.DisableManagement {
		return false
	}
	_, counts := StoreAs[StoredFinder](h.store)
	return !counts
}

// letsStrangersIn reports whether anyone may register without a Caller and without
// a software statement.
func (h *Handler) letsStrangersIn() bool {
	if !h.opts.AllowAnonymous {
		return false
	}
	if !requiresStatement(h.opts.Validator) {
		return true
	}
	return h.opts.ChoosePolicy != nil && slices.ContainsFunc(sortedKeys(h.opts.Policies), func(name string) bool {
		return !requiresStatement(h.opts.Policies[name])
	})
}

// openWarnings are about registration by strangers.
func (h *Handler) openWarnings() []string {
	if !h.letsStrangersIn() {
		return nil
	}
	var warnings []string
	if warner, ok := StoreAs[OptionsWarner](h.store); ok {
		for _, suspicion := range warner.OptionsWarnings(h.given) {
			warnings = append(warnings, "the store: "+suspicion)
		}
	}
	if !h.bounded() {
		warnings = append(warnings, "Options.AllowAnonymous lets anyone fill the store, which has no bound; set Options.MaxClients")
	}
	for _, grant := range []string{"client_credentials", "password"} {
		if h.opts.ChoosePolicy == nil && slices.Contains(h.Capabilities().WithDefaults().GrantTypes, grant) {
			warnings = append(warnings, fmt.Sprintf("Options.AllowAnonymous lets a stranger have the grant type %s, and with it tokens without a person's consent; set Supports.GrantTypes to a list without it, or let ChoosePolicy give strangers another policy", grant))
		}
	}
	if h.opts.SecretLifetime > 0 {
		warnings = append(warnings, "Options.SecretLifetime makes the secrets of clients that register themselves expire, and most such clients never renew one; leave it at zero with AllowAnonymous")
	}
	return warnings
}

// documentWarnings are about what clients that publish their metadata look for in
// the discovery document. These clients do not use a server that lacks it.
func (h *Handler) documentWarnings() []string {
	if h.opts.Documents == nil {
		return nil
	}
	var warnings []string
	c := h.Capabilities().WithDefaults()
	if !slices.Contains(c.TokenEndpointAuthMethods, "none") && !slices.Contains(c.TokenEndpointAuthMethods, "private_key_jwt") {
		warnings = append(warnings, "Options.Documents is set, but Options.Validator supports no method that a client with a metadata document can have; add none or private_key_jwt to TokenEndpointAuthMethods")
	}
	if !slices.Contains(c.CodeChallengeMethods, "S256") {
		warnings = append(warnings, "Options.Documents is set, and clients with a metadata document need PKCE with S256; add S256 to CodeChallengeMethods")
	}
	if !c.AuthorizationResponseIss {
		warnings = append(warnings, "Options.Documents is set, and clients with a metadata document look for iss in authorization responses (RFC 9207); send it, and set AuthorizationResponseIss")
	}
	return warnings
}

// validatorWarnings are about one validator.
func (h *Handler) validatorWarnings(of string, v Validator) []string {
	var warnings []string
	supported := v.Capabilities().WithDefaults()
	if symmetric := supported.symmetricAlgs(); symmetric != nil && h.opts.Sealer == nil {
		warnings = append(warnings, fmt.Sprintf("%s supports %s, for which the server must keep the client secrets themselves, so that registration refuses what discovery advertises; set Options.Sealer, or take that out", of, strings.Join(symmetric, ", ")))
	}
	if supported.Scopes == nil {
		warnings = append(warnings, fmt.Sprintf("%s has no scopes: Supports.Scopes is nil, so no client gets the scopes that it asks for; list the server's scopes, or dcr.AnyScope to allow any, or set an empty list if the server has no scopes", of))
	}
	warnings = append(warnings, supported.unknownNames(of)...)
	for inner := v; inner != nil; inner = decorator.Inner(inner) { // a struct that embeds DefaultValidator already has its Warnings
		var suspicions []string
		if warner, ok := inner.(Warner); ok {
			suspicions = warner.Warnings()
		}
		if warner, ok := inner.(OptionsWarner); ok {
			suspicions = append(suspicions, warner.OptionsWarnings(h.given)...)
		}
		for _, suspicion := range suspicions {
			warnings = append(warnings, of+": "+suspicion)
		}
	}
	return warnings
}

// unknownNames are about values that no client will ask for, since they are probably
// misspelt.
func (c *Capabilities) unknownNames(of string) []string {
	var warnings []string
	for i := range capabilityMembers.Fields {
		f := &capabilityMembers.Fields[i]
		if f.Kind != record.Strings {
			continue
		}
		for _, entry := range f.List(c) {
			if !knownName(f.Name, entry) {
				warnings = append(warnings, fmt.Sprintf("%s: %s has %q, which is not a name that this library knows; correct it if it is misspelt", of, f.Name, entry))
			}
		}
	}
	return warnings
}

// knownName reports whether a value of a discovery list is a registered one. Other grant
// types and authentication methods are absolute URIs (RFC 6749 §4.5, RFC 7591 §2). In
// lists such as that of scopes every name is known.
func knownName(list, name string) bool {
	switch list {
	case "grant_types_supported":
		return slices.Contains([]string{"authorization_code", "implicit", "password", "client_credentials", "refresh_token"}, name) || strings.Contains(name, ":")
	case "token_endpoint_auth_methods_supported":
		return slices.Contains([]string{"none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth", "attest_jwt_client_auth"}, name) || strings.Contains(name, ":")
	case "response_types_supported":
		return !slices.ContainsFunc(strings.Fields(name), func(word string) bool { return !slices.Contains([]string{"code", "token", "id_token", "none"}, word) })
	case "response_modes_supported":
		return slices.Contains(responseModes, name)
	case "subject_types_supported":
		return name == "public" || name == "pairwise"
	case "code_challenge_methods_supported":
		return name == "S256" || name == "plain"
	}
	switch {
	case strings.HasSuffix(list, "_enc_values_supported"):
		return jose.ContentEncryption(name)
	case strings.HasSuffix(list, "_alg_values_supported"):
		return name == "none" || jose.Symmetric(name) || jose.Asymmetric(name)
	}
	return true
}

// symmetricAlgs returns the supported algorithms for which the server must know
// the client's secret itself.
func (c *Capabilities) symmetricAlgs() []string {
	var symmetric []string
	on := c.features()
	for _, a := range algorithmMembers {
		if !on.has(a.member.Place) || a.Name == "token_endpoint_auth_signing_alg" || a.Name == "backchannel_authentication_request_signing_alg" {
			continue // NewHandler refuses client_secret_jwt, and CIBA has no symmetric algorithms
		}
		for _, alg := range a.ceiling.List(c) {
			if jose.Symmetric(alg) && !slices.Contains(symmetric, alg) {
				symmetric = append(symmetric, alg)
			}
		}
	}
	return symmetric
}

// unadvertised says what a policy registers but the discovery document, which
// is made from Options.Validator, does not mention: clients that read the
// document will not use that, and endpoints that follow it will refuse it.
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

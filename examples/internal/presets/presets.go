// Package presets names the ready-made policies for command lines, and says what a
// server supports without one.
package presets

import (
	"errors"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

// Capabilities is what a server supports without a preset. A preset has its own
// capabilities, except for the scopes.
var Capabilities = dcr.Capabilities{
	GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
	TokenEndpointAuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
	Scopes:                   []string{"openid", "profile", "email", "offline_access"},
	SubjectTypes:             []string{"public"},
	IDTokenSigningAlgs:       []string{"RS256", "PS256", "ES256"},
}

// Preset is a ready-made policy. The zero Preset has no policy.
type Preset struct {
	Name      string
	Directory bool // whether it has the scopes of a directory, and requires a statement from it

	policy func(dcr.DefaultValidator) policy.Preset
}

// A Set is a choice of presets, in the order of their names.
type Set []Preset

// All returns all presets. certificate returns the client certificate for those that
// need one; if nil, they take it from the TLS connection.
func All(certificate policy.CertificateSource) Set {
	return Set{
		{"duende", false, func(v dcr.DefaultValidator) policy.Preset { return policy.Duende(v) }},
		{"fapi2", false, policy.FAPI2},
		{"matrix", false, func(v dcr.DefaultValidator) policy.Preset { return policy.Matrix(v) }},
		{"mcp", false, policy.MCP},
		{"oidc", false, policy.OIDC},
		{"openfinancebrasil", true, func(v dcr.DefaultValidator) policy.Preset {
			return policy.OpenFinanceBrasil(v, policy.BrasilBank{Certificate: certificate})
		}},
		{"ukopenbanking", true, func(v dcr.DefaultValidator) policy.Preset { return policy.UKOpenBanking(v, policy.UKBank{}) }},
	}
}

// Open returns the presets that need no directory.
func Open() Set {
	return slices.DeleteFunc(All(nil), func(p Preset) bool { return p.Directory })
}

// Find returns the preset with a name, in any case and with or without hyphens.
func (s Set) Find(name string) (Preset, error) {
	name = strings.ToLower(strings.ReplaceAll(name, "-", ""))
	if i := slices.IndexFunc(s, func(p Preset) bool { return p.Name == name }); i >= 0 {
		return s[i], nil
	}
	return Preset{}, errors.New("want one of " + s.Names())
}

// Names returns the names as a text for people.
func (s Set) Names() string {
	var names []string
	for _, p := range s {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// Policies returns the presets by name, each around v.
func (s Set) Policies(v dcr.DefaultValidator) map[string]dcr.Validator {
	policies := make(map[string]dcr.Validator)
	for _, p := range s {
		policies[p.Name] = p.Around(v, nil)
	}
	return policies
}

// Around puts the preset around v with the given capabilities. If supports is nil, the
// preset's own capabilities count.
func (p Preset) Around(v dcr.DefaultValidator, supports *dcr.Capabilities) policy.Preset {
	sendsIss := v.Supports.AuthorizationResponseIss // the program decides this
	switch {
	case supports != nil:
		v.Supports = *supports
	case p.policy == nil:
		v.Supports = Capabilities
	case !p.Directory:
		v.Supports.Scopes = Capabilities.Scopes
	}
	v.Supports.AuthorizationResponseIss = v.Supports.AuthorizationResponseIss || sendsIss
	if p.policy == nil {
		return policy.Preset{Validator: v}
	}
	return p.policy(v)
}

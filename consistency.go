package dcr

// What NewHandler refuses: capabilities that contradict each other, so that a
// registration could not have what discovery advertises (RFC 8414 §2).

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/jose"
)

// usable reports why v cannot serve: because it wraps nothing, or because what
// it supports contradicts itself.
func usable(v Validator, canSeal bool) error {
	if err := ready(v); err != nil {
		return err
	}
	return contradiction(v, canSeal)
}

// contradiction says what is wrong with what v supports, and what to change;
// nil if nothing is. canSeal says whether client secrets can be kept themselves.
func contradiction(v Validator, canSeal bool) error {
	c, base := v.Capabilities().effective(), v.sealed()
	for _, check := range []func() error{
		func() error { return c.contradictoryGrants(&base) },
		c.contradictoryCIBA,
		func() error { return c.contradictoryMethods(canSeal) },
		func() error { return c.contradictoryLists(canSeal) },
		func() error { return c.contradictoryScopes(base.defaultScopes) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// contradictoryGrants holds grant types and response types together, as
// registration will.
func (c *Capabilities) contradictoryGrants(base *foundation) error {
	if !slices.ContainsFunc(c.GrantTypes, func(grant string) bool { return grant != "refresh_token" }) {
		return errors.New("grant_types_supported has no grant type that a client can begin with; add one, such as authorization_code")
	}
	usesCode := false
	for _, responseType := range c.ResponseTypes {
		needs := responseTypeGrants(responseType, base.hybridWithoutImplicit)
		usesCode = usesCode || len(needs) == 0 || slices.Contains(needs, "authorization_code")
		if slices.Equal(c.ResponseTypes, defaultResponseTypes) {
			continue // the default of servers that grant no codes, too
		}
		for _, grant := range needs {
			if !slices.Contains(c.GrantTypes, grant) {
				return fmt.Errorf("response_types_supported has %q, which needs %s; add %[2]s to grant_types_supported, or take the response type out", responseType, grant)
			}
		}
	}
	if !usesCode && slices.Contains(c.GrantTypes, "authorization_code") {
		return errors.New("grant_types_supported has authorization_code, but no entry of response_types_supported uses it; add code to response_types_supported, or take the grant type out")
	}
	return nil
}

// contradictoryCIBA holds the CIBA grant and its delivery modes together.
func (c *Capabilities) contradictoryCIBA() error {
	granted := slices.Contains(c.GrantTypes, grantCIBA)
	if granted && len(c.BackchannelTokenDeliveryModes) == 0 {
		return fmt.Errorf("grant_types_supported has %s, but backchannel_token_delivery_modes_supported names no mode; name poll, ping or push, or take the grant type out", grantCIBA)
	}
	for _, mode := range c.BackchannelTokenDeliveryModes {
		if !granted && mode != "push" {
			return fmt.Errorf("backchannel_token_delivery_modes_supported has %s, which needs the grant type; add %s to grant_types_supported, or take the mode out", mode, grantCIBA)
		}
	}
	return nil
}

// contradictoryMethods refuses authentication methods that no client could
// register, or use.
func (c *Capabilities) contradictoryMethods(canSeal bool) error {
	methods := c.TokenEndpointAuthMethods
	secretJWT, keyJWT := slices.Contains(methods, "client_secret_jwt"), slices.Contains(methods, "private_key_jwt")
	forPublic := slices.ContainsFunc(c.GrantTypes, func(grant string) bool {
		return grant != "refresh_token" && !slices.Contains(authenticatedGrants, grant)
	})
	switch {
	case slices.Equal(methods, []string{"none"}) && !forPublic:
		return errors.New("every entry of grant_types_supported needs client authentication, but token_endpoint_auth_methods_supported has none alone; add a method")
	case secretJWT && !canSeal:
		return errors.New("token_endpoint_auth_methods_supported has client_secret_jwt, which needs the client secret itself; set Options.Sealer, or take the method out")
	case secretJWT && !slices.ContainsFunc(c.TokenEndpointAuthSigningAlgs, jose.Symmetric):
		return errors.New("token_endpoint_auth_methods_supported has client_secret_jwt, but token_endpoint_auth_signing_alg_values_supported has no algorithm for it; add HS256, or take the method out")
	case keyJWT && !slices.ContainsFunc(c.TokenEndpointAuthSigningAlgs, jose.Asymmetric):
		return errors.New("token_endpoint_auth_methods_supported has private_key_jwt, but token_endpoint_auth_signing_alg_values_supported has no algorithm for it; add an asymmetric one such as PS256, or take the method out")
	}
	return nil
}

// contradictoryLists refuses lists of values, most of them algorithms, of which
// registration would accept none.
func (c *Capabilities) contradictoryLists(canSeal bool) error {
	on := c.features()
	for i, f := range members.Fields {
		list := f.Tag.Get("list")
		if list == "" || !on.has(i) {
			continue
		}
		supported := c.ceiling(&f)
		if len(supported) == 0 {
			return fmt.Errorf("%s is empty, so that no value of %s is accepted; name a value, or leave the list out", list, f.Name)
		}
		if !strings.HasSuffix(f.Name, "_alg") {
			continue
		}
		if !slices.ContainsFunc(supported, func(alg string) bool { return c.canBe(f.Name, alg, canSeal) }) {
			return fmt.Errorf("%s has only %s, which registration refuses; add an asymmetric algorithm, or, where symmetric ones are meant, set Options.Sealer", list, strings.Join(supported, ", "))
		}
	}
	return nil
}

// canBe reports whether any client could register an algorithm for a member.
func (c *Capabilities) canBe(name, alg string, canSeal bool) bool {
	switch {
	case jose.Symmetric(alg):
		return canSeal && name != "backchannel_authentication_request_signing_alg"
	case alg == "none":
		return !slices.Contains(neverNone, member(name)) && !(name == "request_object_signing_alg" && c.RequireSignedRequestObject)
	}
	return true
}

// contradictoryScopes refuses default scopes beyond the ceiling.
func (c *Capabilities) contradictoryScopes(defaults []string) error {
	for _, scope := range defaults {
		if !isScopeToken(scope) {
			return fmt.Errorf("DefaultScopes has %q, which is no scope; give each scope as an entry of its own", scope)
		}
		if !c.anyScope() && !slices.Contains(c.Scopes, scope) {
			return fmt.Errorf("DefaultScopes has %q, which is not in scopes_supported; add it there, or take it out", scope)
		}
	}
	return nil
}

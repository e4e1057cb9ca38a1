package policy

// RFC 7591 §2 and §3.2.1, RFC 7636: how clients prove who they are.

import (
	"context"

	"github.com/dynreg/dcr"
)

// ForcePublic makes every client public: token_endpoint_auth_method is none, whatever
// was asked for, and the answer says so (RFC 7591 §3.2.1). A client is refused if it
// lists the methods that it supports without none (RP Metadata Choices) or, with
// [dcr.Registration.ExactDefaults], does not allow none. Grant types that need a
// client's own credentials are dropped.
func ForcePublic() Rule {
	return func(inner dcr.Validator) dcr.Validator { return forcePublic{inner} }
}

type forcePublic struct{ dcr.Validator }

// Capabilities leaves only the method none.
func (f forcePublic) Capabilities() dcr.Capabilities {
	supported := f.Validator.Capabilities().WithDefaults()
	narrow(&supported.TokenEndpointAuthMethods, []string{"none"})
	supported.GrantTypes = without(supported.GrantTypes, "client_credentials", grantCIBA)
	return supported
}

const grantCIBA = "urn:openid:params:grant-type:ciba"

// ValidateGrantTypes replaces the method before any step reads it.
func (f forcePublic) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	if !reg.ExactDefaults {
		reg.Client.TokenEndpointAuthMethod = "none"
	}
	return f.Validator.ValidateGrantTypes(ctx, reg)
}

// ForceConfidential makes every client confidential: one that asks for none
// gets client_secret_basic, or the first method that the server supports, and
// the answer says so (RFC 7591 §3.2.1); with [dcr.Registration.ExactDefaults] it is
// refused.
func ForceConfidential() Rule {
	return func(inner dcr.Validator) dcr.Validator { return forceConfidential{inner} }
}

type forceConfidential struct{ dcr.Validator }

// Capabilities removes the method none.
func (f forceConfidential) Capabilities() dcr.Capabilities {
	supported := f.Validator.Capabilities().WithDefaults()
	supported.TokenEndpointAuthMethods = without(supported.TokenEndpointAuthMethods, "none")
	return supported
}

// ValidateGrantTypes replaces the method before any step reads it.
func (f forceConfidential) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	if reg.Client.TokenEndpointAuthMethod == "none" && !reg.ExactDefaults {
		reg.Client.TokenEndpointAuthMethod = "" // the server's default
	}
	return f.Validator.ValidateGrantTypes(ctx, reg)
}

// RequirePKCE requires PKCE of every client, even of those that the host or an
// inner validator exempted.
func RequirePKCE() Rule {
	return func(inner dcr.Validator) dcr.Validator { return requirePKCE{inner} }
}

type requirePKCE struct{ dcr.Validator }

// ValidateClient sets RequirePKCE after all other steps.
func (r requirePKCE) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := r.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	reg.Client.RequirePKCE = true
	return nil
}

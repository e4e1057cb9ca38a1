package dcr

// What NewHandler refuses: options, and capabilities (RFC 8414 §2), that contradict
// each other. What it only warns of is in warnings.go; how a Validator is put together
// is judged in validator.go.

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/uri"
)

// checkURLs refuses an Endpoint and a ClientURI that clients could not use.
func (o *Options) checkURLs() error {
	if o.Endpoint == "" {
		return errors.New("Options.Endpoint is empty; set it to the public URL of the registration endpoint")
	}
	if err := uri.CheckPublic(o.Endpoint); err != nil {
		return fmt.Errorf("Options.Endpoint %w", err)
	}
	_, text, _ := strings.Cut(o.Endpoint, "?")
	query, err := url.ParseQuery(text)
	if err != nil {
		return errors.New("Options.Endpoint has a malformed query, so that every request would be refused; leave the query out")
	}
	if query.Has("client_id") {
		return errors.New("Options.Endpoint has client_id in its query, so that nobody could register; leave client_id out")
	}
	if o.ClientURI == "" {
		return nil
	}
	if strings.Count(o.ClientURI, clientIDPlace) != 1 {
		return errors.New("Options.ClientURI must contain {client_id} once")
	}
	if err := uri.CheckPublic(strings.Replace(o.ClientURI, clientIDPlace, "id", 1)); err != nil {
		return fmt.Errorf("Options.ClientURI %w", err)
	}
	return nil
}

// check refuses options that contradict each other.
func (o *Options) check(store ClientConfigurationStore) error {
	if err := o.checkURLs(); err != nil {
		return err
	}
	if err := o.CORS.check(); err != nil {
		return err
	}
	if o.DisableManagement && (o.RotateRegistrationToken || o.RotateSecret) {
		return errors.New("Options.RotateRegistrationToken and RotateSecret rotate with updates, which DisableManagement turns off; leave them false, or DisableManagement")
	}
	if o.ManageByCallerOnly && (o.DisableManagement || o.RotateRegistrationToken) {
		return errors.New("Options.ManageByCallerOnly leaves management to callers, without registration access tokens; leave either ManageByCallerOnly false, or both DisableManagement and RotateRegistrationToken")
	}
	if o.ManageByCallerOnly && o.ManageAs == nil {
		return errors.New("Options.ManageByCallerOnly leaves management to the callers that ManageAs allows, but ManageAs is nil, so that nobody could manage a client; set ManageAs")
	}
	if o.SealAllSecrets && o.Sealer == nil {
		return errors.New("Options.SealAllSecrets needs a Sealer; set Options.Sealer, or leave SealAllSecrets false")
	}
	if o.ClosedStatus != 0 && o.ClosedStatus != http.StatusForbidden && o.ClosedStatus != http.StatusNotFound {
		return fmt.Errorf("Options.ClosedStatus is %d, which does not say that registration is closed; set it to 403 or 404", o.ClosedStatus)
	}
	if err := o.checkEviction(store); err != nil {
		return err
	}
	if err := checkDecoders(o.Decoders); err != nil {
		return fmt.Errorf("Options.%w", err)
	}
	if o.Validator != nil {
		if err := o.checkValidator(o.Validator, store); err != nil {
			return fmt.Errorf("Options.Validator: %w", err)
		}
	}
	for _, name := range sortedKeys(o.Policies) {
		if name == "" {
			return errors.New(`Options.Policies[""] would never run, since "" is the name of Options.Validator; give it another name`)
		}
		if err := o.checkValidator(o.Policies[name], store); err != nil {
			return fmt.Errorf("Options.Policies[%q]: %w", name, err)
		}
	}
	return nil
}

// checkValidator refuses a validator that cannot serve here.
func (o *Options) checkValidator(v Validator, store ClientConfigurationStore) error {
	if v == nil {
		return errors.New("it is nil; set it, or take the name out")
	}
	if err := usable(v, o.Sealer != nil); err != nil {
		return err
	}
	if err := checkDecoders(v.Decoders()); err != nil {
		return err
	}
	if v.sealed().manageByCallerOnly && !o.DisableManagement && o.ManageAs == nil {
		return errors.New("it leaves management to the callers that Options.ManageAs allows, but ManageAs is nil, so that nobody could manage a client; set ManageAs, or DisableManagement")
	}
	own := *o
	return v.CheckOptions(&own, store)
}

func checkDecoders(decoders map[string]Decoder) error {
	if decoders != nil && len(decoders) == 0 {
		return errors.New("Decoders is empty, so that no body is accepted; name a media type, or leave it nil")
	}
	for mediaType, decode := range decoders {
		parsed, _, err := mime.ParseMediaType(mediaType)
		if err != nil || parsed != mediaType || decode == nil {
			return fmt.Errorf("Decoders[%q]: name a media type in lower case, without parameters, and set its Decoder", mediaType)
		}
	}
	return nil
}

// usable returns an error if v cannot serve, because it wraps nil, or because
// its capabilities contradict each other.
func usable(v Validator, canSeal bool) error {
	if err := ready(v); err != nil {
		return err
	}
	if err := checkExtensions(v.DeclaredExtensions()); err != nil {
		return err
	}
	if err := misassembled(v); err != nil {
		return err
	}
	if statements := v.sealed().statements; statements != nil {
		if err := statements.check(v.DeclaredExtensions()); err != nil {
			return fmt.Errorf("StatementVerifier.%w", err)
		}
	}
	return contradiction(v, canSeal)
}

// checkExtensions refuses declarations that would have no effect.
func checkExtensions(extensions []Extension) error {
	for _, extension := range extensions {
		switch {
		case extension == nil || extension.Name() == "":
			return errors.New("DeclaredExtensions has one without a name; make each by NewField")
		case member(extension.Name()) != nil:
			return fmt.Errorf("DeclaredExtensions has %s, which is a registered member; take it out, and judge it in the step that it belongs to", extension.Name())
		}
	}
	return nil
}

// contradiction returns an error if the capabilities of v contradict each other,
// which says what to change. canSeal says whether the server can keep client
// secrets themselves.
func contradiction(v Validator, canSeal bool) error {
	c, foundation := v.Capabilities().WithDefaults(), v.sealed()
	for _, check := range []func() error{
		func() error { return c.contradictoryGrants(&foundation) },
		c.contradictoryCIBA,
		func() error { return c.contradictoryMethods(canSeal) },
		func() error { return c.contradictoryLists(canSeal) },
		func() error { return c.contradictoryScopes(foundation.defaultScopes) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// contradictoryGrants checks that grant types and response types fit together,
// as registration will.
func (c *Capabilities) contradictoryGrants(foundation *foundation) error {
	if !slices.ContainsFunc(c.GrantTypes, func(grant string) bool { return grant != "refresh_token" }) {
		return errors.New("grant_types_supported has no grant type that a client can start with; add one, such as authorization_code")
	}
	usesCode := false
	for _, responseType := range c.ResponseTypes {
		needs := responseTypeGrants(responseType, foundation.hybridWithoutImplicit)
		usesCode = usesCode || len(needs) == 0 || slices.Contains(needs, "authorization_code")
		if slices.Equal(c.ResponseTypes, defaultResponseTypes) {
			continue // the default, which servers have even if they grant no codes
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

// contradictoryCIBA checks that the CIBA grant and its delivery modes fit
// together.
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
		return errors.New("every entry of grant_types_supported needs client authentication, but token_endpoint_auth_methods_supported has only none; add a method with credentials")
	case secretJWT && !canSeal:
		return errors.New("token_endpoint_auth_methods_supported has client_secret_jwt, which needs the client secret itself; set Options.Sealer, or take the method out")
	case secretJWT && !slices.ContainsFunc(c.TokenEndpointAuthSigningAlgs, jose.Symmetric):
		return errors.New("token_endpoint_auth_methods_supported has client_secret_jwt, but token_endpoint_auth_signing_alg_values_supported has no algorithm for it; add HS256, or take the method out")
	case keyJWT && !slices.ContainsFunc(c.TokenEndpointAuthSigningAlgs, jose.Asymmetric):
		return errors.New("token_endpoint_auth_methods_supported has private_key_jwt, but token_endpoint_auth_signing_alg_values_supported has no algorithm for it; add an asymmetric one such as PS256, or take the method out")
	}
	return nil
}

// contradictoryLists refuses lists, most of them of algorithms, from which
// registration would accept no value.
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
			return fmt.Errorf("%s has only %s, which registration refuses; add an asymmetric algorithm, or set Options.Sealer to support symmetric ones", list, strings.Join(supported, ", "))
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

// contradictoryScopes refuses scopes that nobody can ask for, and default scopes that
// are not supported.
func (c *Capabilities) contradictoryScopes(defaults []string) error {
	for _, scope := range c.Scopes {
		if scope != AnyScope && !isScopeToken(scope) {
			return fmt.Errorf("scopes_supported has %q, which is not a scope; give each scope as an entry of its own", scope)
		}
	}
	for _, scope := range defaults {
		if !isScopeToken(scope) {
			return fmt.Errorf("DefaultScopes has %q, which is not a scope; give each scope as an entry of its own", scope)
		}
		if !c.anyScope() && !slices.Contains(c.Scopes, scope) {
			return fmt.Errorf("DefaultScopes has %q, which is not in Supports.Scopes; add it there, or set DefaultScopes without it", scope)
		}
	}
	return nil
}

// ready returns an error if v cannot be used, such as a decorator around nil.
func ready(v Validator) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it embeds a Validator that is nil; set the embedded one")
		}
	}()
	v.sealed()
	v.Capabilities()
	return nil
}

package dcr

// What NewHandler refuses: options, and capabilities (RFC 8414 §2), that contradict
// each other; and what it only warns of. How a Validator is put together is judged
// in validator.go.

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"reflect"
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

// contradictoryScopes refuses default scopes that are not supported.
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
	warnings = append(warnings, h.documentWarnings()...)
	warnings = append(warnings, h.validatorWarnings("Options.Validator", h.opts.Validator)...)
	advertised := h.Capabilities().WithDefaults()
	for _, name := range sortedKeys(h.opts.Policies) {
		policy, of := h.opts.Policies[name], fmt.Sprintf("Options.Policies[%q]", name)
		warnings = append(warnings, h.validatorWarnings(of, policy)...)
		warnings = append(warnings, unadvertised(of, policy.Capabilities().WithDefaults(), advertised)...)
	}
	return warnings
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
			warnings = append(warnings, fmt.Sprintf("Options.AllowAnonymous lets a stranger have the grant type %s, and with it tokens without a person's consent; take it out of GrantTypes, or let ChoosePolicy give strangers another policy", grant))
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
		warnings = append(warnings, fmt.Sprintf("%s has no scopes: Supports.Scopes is empty, so that no client gets any scope that it asks for; name the server's scopes, or dcr.AnyScope to allow any, or set an empty list if there are none", of))
	}
	for inner := v; inner != nil; inner = embedded(inner) {
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

// embedded returns the Validator that a decorator embeds, nil if v is not a
// decorator. A struct that embeds DefaultValidator already has its Warnings.
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

// symmetricAlgs returns the supported algorithms for which the server must know
// the client's secret itself.
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

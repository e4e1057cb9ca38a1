package dcr

// The order of the steps, and the short steps of DefaultValidator. The long
// ones have their own files.
//
// A step of DefaultValidator only calls a method of Registration, which does
// the work. The compiler inlines such a step, and so does not copy the
// DefaultValidator, which is large, unless the step reads a field of it.

import (
	"context"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

type step = func(v Validator, ctx context.Context, reg *Registration) error

// steps is the order in which a registration is judged.
var steps = []step{
	Validator.ValidateSoftwareStatement,
	requireStatement,
	mergeStatement,
	Validator.ValidateGrantTypes,
	Validator.ValidateRedirectURIs,
	settleScope,
	Validator.ValidateClientAuthentication,
	Validator.ValidateDisplay,
	Validator.ValidateLogout,
	Validator.ValidateOpenID,
	Validator.ValidateRequestObjects,
	Validator.ValidateTokens,
	Validator.ValidateExtensions,
	Validator.SetClientDefaults,
	Validator.ValidateClient,
}

// settleScope runs the two steps about scope. If a software statement decides
// about scope, the client gets no default scopes, even if the statement claims
// none, or none that the server supports.
func settleScope(v Validator, ctx context.Context, reg *Registration) error {
	c := reg.Client
	if blankScope("scope", c.Scope) {
		return errScopeForm()
	}
	c.Scope = strings.Trim(c.Scope, " ")
	if strings.Contains(c.Scope, "  ") {
		c.Scope = strings.Join(strings.FieldsFunc(c.Scope, isSpace), " ")
	}
	if c.Scope != "" {
		if err := v.ValidateScopes(ctx, reg); err != nil {
			return err
		}
	}
	if c.Scope == "" && !reg.Claimed("scope") {
		return v.SetDefaultScopes(ctx, reg)
	}
	return nil
}

// blankScope reports whether a member is a scope with only white space, which
// is likely a mistake.
func blankScope(name, text string) bool {
	return name == "scope" && text != "" && strings.TrimSpace(text) == ""
}

func isSpace(r rune) bool { return r == ' ' }

// ValidateScopes drops the scopes that the server does not support. With
// RefuseUnsupportedScopes it refuses them; for a metadata document, only if
// none is left.
func (d DefaultValidator) ValidateScopes(ctx context.Context, reg *Registration) error {
	return reg.settleScopes(d.RefuseUnsupportedScopes)
}

func (reg *Registration) settleScopes(refuseUnsupported bool) error {
	c := reg.Client
	refuses := refuseUnsupported && c.Source != SourceDocument // a document is written for many servers
	kept, asked := make([]string, 0, 8), 0
	for scope := range strings.SplitSeq(c.Scope, " ") {
		asked++
		if scope == AnyScope {
			return refuseMember("scope", "any", "must name each scope that is asked for, not *")
		}
		if !isScopeToken(scope) {
			return errScopeForm()
		}
		switch {
		case slices.Contains(kept, scope):
		case reg.Capabilities.anyScope() || slices.Contains(reg.Capabilities.Scopes, scope):
			kept = append(kept, scope)
		case refuses:
			return unsupportedScope(reg)
		}
	}
	if len(kept) == 0 && refuseUnsupported {
		return unsupportedScope(reg)
	}
	if len(kept) < asked {
		c.Scope = strings.Join(kept, " ")
	}
	return nil
}

func unsupportedScope(reg *Registration) *Error {
	return refuseMember("scope", "unsupported", "must be among: %s", orNone(reg.Capabilities.Scopes))
}

func errScopeForm() *Error {
	return refuseMember("scope", "form", "must be scopes of printable ASCII, without quotes and backslashes, separated by spaces")
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

// SetDefaultScopes gives the client those of d.DefaultScopes that the server
// supports.
func (d DefaultValidator) SetDefaultScopes(ctx context.Context, reg *Registration) error {
	return reg.setDefaultScopes(d.DefaultScopes)
}

func (reg *Registration) setDefaultScopes(scopes []string) error {
	if !reg.Capabilities.anyScope() {
		scopes = appendAmong(make([]string, 0, 8), scopes, reg.Capabilities.Scopes)
	}
	reg.Client.Scope = strings.Join(scopes, " ")
	return nil
}

// displayURIs are the members with web pages and pictures for people.
var displayURIs = []*uriMember{uriMemberNamed("client_uri"), uriMemberNamed("logo_uri"), uriMemberNamed("tos_uri"), uriMemberNamed("policy_uri")}

// ValidateDisplay accepts only http and https for web pages, in every language,
// and refuses deceptive characters in what a person reads. With OpenID Connect,
// contacts must be e-mail addresses, or https, mailto or tel URIs.
func (d DefaultValidator) ValidateDisplay(ctx context.Context, reg *Registration) error {
	return reg.checkDisplay()
}

func (reg *Registration) checkDisplay() error {
	if err := reg.checkURIs(displayURIs...); err != nil {
		return err
	}
	if err := reg.checkLocalizedURIs(); err != nil {
		return err
	}
	if err := reg.checkReadable(); err != nil {
		return err
	}
	if reg.Capabilities.openID() {
		for i, contact := range reg.Client.Contacts {
			if !isContact(contact) {
				return refuse(InvalidClientMetadata, "contacts", "contacts.form", "contacts[%d] must be an e-mail address, or an https, mailto or tel URI", i)
			}
		}
	}
	return nil
}

// ReadableRune reports whether a character may be in what a person reads about
// a client. Bidirectional embeddings, overrides and isolates, which make a name
// look like another one, may not, nor may line and paragraph separators and the
// invisible tag characters. Joiners, variation selectors and directional marks
// may, since scripts and emoji need them.
func ReadableRune(r rune) bool {
	switch {
	case '\u202A' <= r && r <= '\u202E', '\u2066' <= r && r <= '\u2069':
		return false
	case r == '\u2028', r == '\u2029':
		return false
	}
	return r < 0xE0000 || r > 0xE007F
}

const unreadable = "must not contain bidirectional embeddings, overrides or isolates, line separators or tag characters"

// checkReadable judges what people read about the client: users read its names,
// in every language, and operators the rest.
func (reg *Registration) checkReadable() error {
	accepted, sentence := isReadable, unreadable
	if allowed := reg.Readable; allowed != nil {
		accepted, sentence = func(text string) bool { return all(text, allowed) }, "must contain only characters that are accepted in names here"
	}
	for name, text := range reg.names() {
		if !accepted(text) {
			base, _, _ := strings.Cut(name, "#")
			return refuse(InvalidClientMetadata, base, base+".characters", "%s %s", name, sentence)
		}
	}
	c := reg.Client
	for i, contact := range c.Contacts {
		if !isReadable(contact) {
			return refuse(InvalidClientMetadata, "contacts", "contacts.characters", "contacts[%d] %s", i, unreadable)
		}
	}
	if !isReadable(c.SoftwareID) {
		return refuseMember("software_id", "characters", unreadable)
	}
	if !isReadable(c.SoftwareVersion) {
		return refuseMember("software_version", "characters", unreadable)
	}
	return nil
}

// isReadable reports whether all characters of text are readable. Those of ASCII
// are.
func isReadable(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return all(text, ReadableRune)
		}
	}
	return true
}

func all(text string, allowed func(r rune) bool) bool {
	for _, r := range text {
		if !allowed(r) {
			return false
		}
	}
	return true
}

// names yields the name and each text of the members that users read:
// client_name and the extensions that may have a language tag, except URIs.
func (reg *Registration) names() iter.Seq2[string, string] {
	c := reg.Client
	return func(yield func(name, text string) bool) {
		if !yield("client_name", c.ClientName) {
			return
		}
		for _, name := range sortedKeys(c.Localized) {
			if !isURIMember(name) && !yield(name, c.Localized[name]) {
				return
			}
		}
		for _, name := range sortedKeys(c.Extra) {
			if extension := reg.declaration(name); extension == nil || !extension.localized() || isURIMember(name) {
				continue
			}
			for _, text := range appendTexts(nil, strictjson.Value(c.Extra[name])) {
				if !yield(name, text) {
					return
				}
			}
		}
	}
}

// isURIMember reports whether a member, perhaps with a language tag, has a URI.
func isURIMember(name string) bool {
	base, _, _ := strings.Cut(name, "#")
	return strings.HasSuffix(base, "_uri")
}

// isEmail reports whether address looks like an addr-spec (RFC 5322 §3.4.1).
// Only sending a message could tell more.
func isEmail(address string) bool {
	local, domain, found := strings.Cut(address, "@")
	return found && local != "" && domain != "" && !strings.ContainsAny(address, " ,;<>()") && !strings.Contains(domain, "@")
}

// isContact reports whether text is an e-mail address, or the URI of a page, an
// e-mail address or a telephone number (RFC 6068, RFC 3966).
func isContact(text string) bool {
	scheme, rest, hasScheme := strings.Cut(text, ":")
	switch {
	case !hasScheme:
		return isEmail(text)
	case strings.EqualFold(scheme, "mailto"):
		address, _, _ := strings.Cut(rest, "?")
		return isEmail(address)
	case strings.EqualFold(scheme, "tel"):
		number, _, _ := strings.Cut(rest, ";")
		return strings.ContainsAny(number, "0123456789") && strings.Trim(number, "+0123456789-.()*#") == ""
	}
	parsed, err := uri.Parse(text)
	return err == nil && parsed.Scheme == "https" || isEmail(text)
}

// logoutURIs are the members about logout, in the order of [Metadata].
var logoutURIs = []*uriMember{uriMemberNamed("post_logout_redirect_uris"), uriMemberNamed("frontchannel_logout_uri"), uriMemberNamed("backchannel_logout_uri")}

// ValidateLogout judges the logout URIs: https; http only for confidential
// clients and if the host allows it; native schemes only for RP-initiated
// logout.
func (d DefaultValidator) ValidateLogout(ctx context.Context, reg *Registration) error {
	return reg.settleLogout()
}

func (reg *Registration) settleLogout() error {
	c := reg.Client
	if err := reg.checkURIs(logoutURIs...); err != nil {
		return err
	}
	if c.BackchannelLogoutURI == "" {
		c.BackchannelLogoutSessionRequired = false
	}
	if c.FrontchannelLogoutURI == "" {
		c.FrontchannelLogoutSessionRequired = false
	}
	return reg.checkFrontchannelLogout()
}

// checkFrontchannelLogout requires the origin of a redirect URI, since the
// browser loads the page in a frame on a page of the server (Front-Channel
// Logout 1.0 §2).
func (reg *Registration) checkFrontchannelLogout() error {
	if reg.Client.FrontchannelLogoutURI == "" {
		return nil
	}
	logout, err := uri.Parse(reg.Client.FrontchannelLogoutURI)
	for _, redirect := range reg.Client.RedirectURIs {
		if parsed, errRedirect := uri.ParseRedirect(redirect); err == nil && errRedirect == nil && parsed.SameOrigin(&logout) {
			return nil
		}
	}
	return refuseMember("frontchannel_logout_uri", "origin", "must have the scheme, host and port of one of redirect_uris")
}

// ValidateRequestObjects settles signed and encrypted request objects,
// request_uris and pushed requests. It registers what the server requires of
// all clients for each of them.
func (d DefaultValidator) ValidateRequestObjects(ctx context.Context, reg *Registration) error {
	return reg.settleRequestObjects()
}

func (reg *Registration) settleRequestObjects() error {
	c := reg.Client
	if err := reg.settle(requestObjectAlg, ""); err != nil {
		return err
	}
	if err := reg.settleEncryption(requestObjectEncryptionAlg, requestObjectEncryptionEnc); err != nil {
		return err
	}
	if reg.Capabilities.RequireSignedRequestObject && reg.on.has(requireSignedRequestObject.Place) {
		c.RequireSignedRequestObject = true
	}
	if reg.Capabilities.RequirePushedAuthorizationRequests {
		c.RequirePushedAuthorizationRequests = true
	}
	if err := requestURIs.check(reg); err != nil {
		return err
	}
	return reg.checkRequestObjects()
}

var (
	requestObjectAlg           = member("request_object_signing_alg")
	requestObjectEncryptionAlg = member("request_object_encryption_alg")
	requestObjectEncryptionEnc = member("request_object_encryption_enc")
	requireSignedRequestObject = member("require_signed_request_object")
	requestURIs                = uriMemberNamed("request_uris")
)

func (reg *Registration) checkRequestObjects() error {
	c := reg.Client
	if c.RequireSignedRequestObject && c.RequestObjectSigningAlg == "none" {
		return refuseMember("request_object_signing_alg", "none", "must not be none with require_signed_request_object true")
	}
	return nil
}

// ValidateTokens refuses sender-constrained tokens together with a response type that
// sends tokens through the browser, and authorization_details_types that the server does
// not support. It leaves token types and lifetimes as they are; a policy that has rules
// for them judges them in this step.
func (d DefaultValidator) ValidateTokens(ctx context.Context, reg *Registration) error {
	return reg.checkTokens()
}

func (reg *Registration) checkTokens() error {
	if err := reg.checkSenderConstraint(); err != nil {
		return err
	}
	return reg.checkSubset("authorization_details_types", reg.Client.AuthorizationDetailsTypes, reg.Capabilities.AuthorizationDetailsTypes)
}

// checkSenderConstraint refuses bound tokens that would pass through the
// browser, where nothing binds them.
func (reg *Registration) checkSenderConstraint() error {
	c := reg.Client
	if !c.frontChannel("token") {
		return nil
	}
	if c.TLSClientCertificateBoundAccessTokens {
		return refuseMember("tls_client_certificate_bound_access_tokens", "front_channel", "must not be true with a response type that has token")
	}
	if c.DPoPBoundAccessTokens {
		return refuseMember("dpop_bound_access_tokens", "front_channel", "must not be true with a response type that has token")
	}
	return nil
}

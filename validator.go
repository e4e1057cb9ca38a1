package dcr

// The steps by which a registration is judged, and how they are run. Their order
// is in steps.go.

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/record"
)

// Validator judges registrations and updates. It has a step for each aspect;
// [Validate] runs them in order. A step judges, corrects and completes
// Registration.Client against Registration.Capabilities, may read
// Registration.Request, and keeps no state of its own. It refuses with an
// [*Error]; any other error is logged and answered with 500.
//
// The interface is sealed, so that a later version may add a step: implement
// it by embedding [DefaultValidator], or another Validator in a decorator.
type Validator interface {
	// Capabilities says what the server supports. A decorator may only narrow
	// what the inner Validator supports; NewHandler refuses one that widens it.
	// The lists are shared, so a decorator clones each list that it changes.
	Capabilities() Capabilities

	// ValidateSoftwareStatement verifies the software statement and sets
	// Registration.Statement; its claims override the client's metadata.
	ValidateSoftwareStatement(ctx context.Context, reg *Registration) error

	// ValidateGrantTypes settles grant_types, response_types and, with them,
	// AllowOfflineAccess.
	ValidateGrantTypes(ctx context.Context, reg *Registration) error

	// ValidateRedirectURIs settles redirect_uris and application_type.
	ValidateRedirectURIs(ctx context.Context, reg *Registration) error

	// ValidateScopes settles the scopes that the client asked for; it is skipped
	// if it asked for none.
	ValidateScopes(ctx context.Context, reg *Registration) error

	// SetDefaultScopes is called if the client asked for no scopes or none
	// remain, unless a software statement decides about scope.
	SetDefaultScopes(ctx context.Context, reg *Registration) error

	// ValidateClientAuthentication settles token_endpoint_auth_method and its
	// algorithm, jwks, jwks_uri and tls_client_auth_*.
	ValidateClientAuthentication(ctx context.Context, reg *Registration) error

	// ValidateDisplay settles client_name, client_uri, logo_uri, tos_uri,
	// policy_uri, contacts and their language-tagged forms.
	ValidateDisplay(ctx context.Context, reg *Registration) error

	// ValidateLogout settles post_logout_redirect_uris and front- and
	// back-channel logout.
	ValidateLogout(ctx context.Context, reg *Registration) error

	// ValidateOpenID settles subject_type, sector_identifier_uri, the ID
	// Token, UserInfo, authorization response and introspection algorithms,
	// default_max_age, require_auth_time, default_acr_values,
	// initiate_login_uri and CIBA. The document at sector_identifier_uri is
	// fetched at the end of Validate, if nothing else has refused the client.
	ValidateOpenID(ctx context.Context, reg *Registration) error

	// ValidateRequestObjects settles request_object_*, request_uris,
	// require_signed_request_object and require_pushed_authorization_requests.
	ValidateRequestObjects(ctx context.Context, reg *Registration) error

	// ValidateTokens judges sender-constrained tokens and
	// authorization_details_types. A policy that has rules for token types and
	// lifetimes judges them here.
	ValidateTokens(ctx context.Context, reg *Registration) error

	// ValidateExtensions settles the declared extension members.
	ValidateExtensions(ctx context.Context, reg *Registration) error

	// SetClientDefaults is a hook for the host's own settings for every client.
	SetClientDefaults(ctx context.Context, reg *Registration) error

	// ValidateClient is the last step: it judges the complete effective client.
	ValidateClient(ctx context.Context, reg *Registration) error

	// DeclaredExtensions returns the extension members that are accepted. A
	// decorator adds its own to those of the inner Validator.
	DeclaredExtensions() []Extension

	// ShapeResponse edits the answer to a registration, a read or an update,
	// before Options.ModifyResponse. reg.Request is nil on a read. Its changes
	// to reg.Client are stored, except on a read, and must stay within the fixed
	// rules.
	ShapeResponse(ctx context.Context, reg *Registration, res *Response) error

	// Decoders returns the decoders for the bodies that this policy accepts, by
	// media type, or nil to use Options.Decoders. It always returns the same
	// ones. NewHandler refuses an empty map.
	Decoders() map[string]Decoder

	// AuthorizeManagement is called for every GET, PUT and DELETE of a client of
	// this policy that its token or Options.ManageAs, and then
	// Options.ManageClient, authorise, before anything is answered or written.
	// An [*Error] refuses; any other error is logged and gets 500. For a PUT it
	// is called before the body is read, and again after it with the client as
	// it is then stored; it must neither read the body nor change the client.
	AuthorizeManagement(r *http.Request, client *Client) error

	// CheckOptions returns an error that says what to set if the options or the
	// store lack something that the policy needs. NewHandler calls it for
	// Options.Validator and all of Options.Policies, with a copy of the options
	// as the host set them: nil and zero still mean the defaults.
	CheckOptions(opts *Options, store ClientConfigurationStore) error

	// sealed returns what Validate must know about the DefaultValidator at the
	// bottom.
	sealed() foundation

	// supported returns Supports of the DefaultValidator at the bottom, which no
	// decorator may widen.
	supported() Capabilities
}

// DefaultValidator is the policy of RFC 7591 and OpenID Connect Dynamic Client
// Registration as data. Its zero value is ready to use and strict. Embed it to
// override a step.
type DefaultValidator struct {
	Supports      Capabilities       // what the server supports; zero fields mean strict defaults
	DefaultScopes []string           // the scopes of a client that asks for none, or for none that is supported
	Statements    *StatementVerifier // verifies software statements; if nil, statements are ignored
	Extensions    []Extension        // extension members to accept
	Fetch         *GuardedClient     // fetches what clients name; a URL that it would not fetch is refused; if nil, one with the defaults that allows any port

	AllowHTTPRedirects         bool // allow http to hosts other than loopback in redirect URIs of confidential clients of the code flow, and in logout URIs of confidential clients
	AllowPushedRedirectURIs    bool // allow confidential clients that must push their requests to have no redirect_uris (RFC 9126 §2.4); policies such as policy.RedirectHosts do not see what they push, so the host must judge that
	AllowHybridWithoutImplicit bool // allow the response type "code id_token" without the implicit grant, as UK Open Banking does
	LiteralApplicationType     bool // treat an absent application_type as web, as OpenID Connect says, instead of inferring it; for a metadata document, it is always inferred
	RefuseUnsupportedScopes    bool // refuse unsupported scopes instead of dropping them; for a metadata document, only if none is left
	KeysByCertificate          bool // allow private_key_jwt without jwks and jwks_uri: the host knows the client's keys in another way, as with a ChainVerifier
	ManageByCallerOnly         bool // the same as Options.ManageByCallerOnly, for the clients of this policy
}

// foundation is what Validate must know about the DefaultValidator at the
// bottom of a Validator.
type foundation struct {
	statements            *StatementVerifier
	fetch                 *GuardedClient
	httpRedirects         bool
	pushedRedirectURIs    bool
	hybridWithoutImplicit bool
	defaultScopes         []string
	manageByCallerOnly    bool
	keysByCertificate     bool
}

func (d DefaultValidator) sealed() foundation { return d.foundation() }

func (d *DefaultValidator) foundation() foundation {
	return foundation{
		statements: d.Statements, fetch: d.Fetch, httpRedirects: d.AllowHTTPRedirects,
		pushedRedirectURIs: d.AllowPushedRedirectURIs, hybridWithoutImplicit: d.AllowHybridWithoutImplicit,
		defaultScopes: d.DefaultScopes, manageByCallerOnly: d.ManageByCallerOnly, keysByCertificate: d.KeysByCertificate,
	}
}

func (d DefaultValidator) supported() Capabilities { return d.Supports }

// DeclaredExtensions returns d.Extensions.
func (d DefaultValidator) DeclaredExtensions() []Extension { return d.Extensions }

// ShapeResponse leaves the answer as it is.
func (d DefaultValidator) ShapeResponse(ctx context.Context, reg *Registration, res *Response) error {
	return nil
}

// Decoders returns nil, for those of Options.Decoders.
func (d DefaultValidator) Decoders() map[string]Decoder { return nil }

// AuthorizeManagement allows everything.
func (d DefaultValidator) AuthorizeManagement(r *http.Request, client *Client) error { return nil }

// Capabilities returns d.Supports with its strict defaults filled in.
func (d DefaultValidator) Capabilities() Capabilities {
	d.Supports.complete()
	return d.Supports
}

// Validate runs the steps of v over a registration, or over an update if
// reg.Previous is set. It starts from the metadata of reg.Request, without
// undeclared extensions and members of features that are off, and from the
// server-owned settings of a new client or of the previous one. It ends with the
// fixed rules, which no step can skip: those of the RFCs, for every member, and
// that nothing exceeds reg.Capabilities. Then the client is checked against the
// claims of its software statement and, last, against what must be fetched for it.
// After that, reg.Client is the effective client. A refusal is an [*Error]; any
// other error is a fault of the server.
func Validate(ctx context.Context, v Validator, reg *Registration) error {
	if err := reg.begin(v); err != nil {
		return err
	}
	reg.inSteps = true
	defer func() { reg.inSteps = false }()
	for _, step := range steps {
		if err := step(v, ctx, reg); err != nil {
			return err
		}
	}
	reg.settleOfflineAccess()
	if err := reg.checkFixedRules(); err != nil {
		return err
	}
	if err := reg.checkClaims(); err != nil {
		return err
	}
	reg.recordStatement()
	return reg.fetchSector(ctx)
}

// begin sets up everything that the steps rely on.
func (reg *Registration) begin(v Validator) error {
	if reg.Request == nil {
		reg.Request = &Request{}
	}
	if reg.Items == nil {
		reg.Items = make(map[string]any)
	}
	reg.Limits = reg.Limits.effective()
	reg.sector, reg.statementMerged, reg.claims, reg.alternatives = sector{}, false, nil, nil
	reg.measureBy(v)
	if reg.Client == nil {
		reg.Client = startingClient(reg.Previous)
	} else {
		reg.Client.Metadata = Metadata{}
	}
	return reg.checkForm(reg.admit())
}

// measureBy notes what the steps judge by.
func (reg *Registration) measureBy(v Validator) {
	switch d := v.(type) {
	case DefaultValidator: // each call of a method through v would copy it
		d.Supports.complete()
		reg.Capabilities = d.Supports
		reg.foundation = d.foundation()
		reg.extensions = d.Extensions
	default:
		supported := v.Capabilities()
		supported.complete() // a decorator may have left a list out
		reg.Capabilities = supported
		reg.foundation = v.sealed()
		reg.extensions = v.DeclaredExtensions()
	}
	reg.on = reg.Capabilities.features()
	reg.extensionsOf, reg.measured = nil, true
}

// StartingClient returns the client that [Validate] starts from if
// Registration.Client is nil: one with the default settings or, on an update, a
// copy of previous, whose metadata Validate replaces. The steps of v may change
// the settings later. Code without a [Handler] may set the client's ID and
// Source, for steps to read, and put it into Registration.Client; on an update,
// it sets Registration.Previous to previous as well.
func StartingClient(v Validator, previous *Client) *Client {
	client := startingClient(previous)
	if previous != nil {
		client.Metadata = previous.Metadata
		client.Metadata.unshare()
	}
	return client
}

// startingClient is StartingClient without the metadata.
func startingClient(previous *Client) *Client {
	if previous == nil {
		client := NewClient()
		client.AllowOfflineAccess = true // until a step finds no refresh_token
		return client
	}
	client := new(Client)
	*client = *previous
	client.Metadata = Metadata{}
	client.unshare()
	if slices.Contains(previous.GrantTypes, "refresh_token") {
		client.OfflineAccessRefused = !client.AllowOfflineAccess
	} else {
		client.AllowOfflineAccess = !client.OfflineAccessRefused // it may be off only because the grant was missing
	}
	return client
}

// settleOfflineAccess clears AllowOfflineAccess for clients without the grant. It
// never sets it, so that a refusal by the host stands whatever the order.
func (reg *Registration) settleOfflineAccess() {
	if !slices.Contains(reg.Client.GrantTypes, "refresh_token") {
		reg.Client.AllowOfflineAccess = false
	}
}

// SetClientDefaults does nothing; it is for hosts to override.
func (d DefaultValidator) SetClientDefaults(ctx context.Context, reg *Registration) error { return nil }

// How a Validator is put together. NewHandler refuses mistakes by which a rule
// would never run, or a capability would be promised that no step knows.

var validatorType = reflect.TypeFor[Validator]()

// misassembled returns an error if v is put together wrongly, which says what to
// change.
func misassembled(v Validator) error {
	if _, plain := v.(DefaultValidator); plain {
		return nil
	}
	if err := shadowed(reflect.ValueOf(v)); err != nil {
		return err
	}
	return widened(v)
}

// shadowed refuses a struct that embeds two Validators: Go calls only the steps
// of the less deeply embedded one.
func shadowed(v reflect.Value) error {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	called := -1
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.Anonymous || !isValidator(field.Type) {
			continue
		}
		if called >= 0 {
			first, second := v.Type().Field(called), field
			if depth(second.Type) < depth(first.Type) {
				first, second = second, first
			}
			return fmt.Errorf("%s embeds %s and %s, and Go calls the steps of %[2]s alone, so that %[3]s has no effect; embed one Validator, and let %[3]s decorate it: struct{ dcr.Validator }",
				v.Type(), first.Name, second.Name)
		}
		called = i
		if err := shadowed(v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func isValidator(typ reflect.Type) bool {
	return typ.Implements(validatorType) || reflect.PointerTo(typ).Implements(validatorType)
}

// depth returns how deeply the steps are embedded in a type.
func depth(typ reflect.Type) int {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[DefaultValidator]() {
		return 0
	}
	for i := range typ.NumField() {
		if field := typ.Field(i); field.Anonymous && isValidator(field.Type) {
			return 1 + depth(field.Type)
		}
	}
	return 0
}

// widened refuses capabilities that the DefaultValidator at the bottom does not
// have: a decorator may only narrow.
func widened(v Validator) error {
	claimed, supported := v.Capabilities().WithDefaults(), v.supported().WithDefaults()
	if supported.RequestObjectSigningAlgs == nil && supported.features()&featureNamed("request_object") != 0 {
		supported.RequestObjectSigningAlgs = defaultSigningAlgs // those that registration accepts then
	}
	for i := range capabilityMembers.Fields {
		f := &capabilityMembers.Fields[i]
		if value := beyond(f, &claimed, &supported); value != "" {
			return fmt.Errorf("Capabilities has %s in %s, which Supports of the DefaultValidator at the bottom does not have; add it there: a decorator may only narrow", value, f.Name)
		}
	}
	return nil
}

// beyond returns a value of a member that claimed has and supported does not, ""
// if there is none. A requirement is not a capability.
func beyond(f *record.Field[Capabilities], claimed, supported *Capabilities) string {
	switch {
	case f.Kind == record.Strings:
		own := f.List(supported)
		for _, value := range f.List(claimed) {
			known := func(other string) bool {
				return other == AnyScope && f.Name == "scopes_supported" || sameWords(other, value)
			}
			if !slices.ContainsFunc(own, known) {
				return value
			}
		}
	case f.IsZero(claimed) || !f.IsZero(supported) || strings.HasPrefix(f.Name, "require_"):
	case f.Kind == record.String:
		return f.Text(claimed)
	default:
		return "true"
	}
	return ""
}

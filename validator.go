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

// Validator judges registrations and updates, one aspect a step, in the order
// that [Validate] runs. Each step reads Registration.Request, judges, corrects
// and completes Registration.Client, measures against
// Registration.Capabilities, and keeps no state of its own. It refuses with an
// [*Error]; any other error is the server's fault.
//
// The interface is sealed, so that a later version may add a step: implement
// it by embedding [DefaultValidator], or another Validator in a decorator.
type Validator interface {
	// Capabilities says what the server supports. A decorator narrows what
	// the inner Validator supports; NewHandler refuses one that widens it. The
	// lists of that are shared: it clones the ones that it changes.
	Capabilities() Capabilities

	// ValidateSoftwareStatement verifies the software statement and sets
	// Registration.Statement; its claims override the client's metadata.
	ValidateSoftwareStatement(ctx context.Context, reg *Registration) error

	// ValidateGrantTypes settles grant_types and response_types;
	// AllowOfflineAccess follows.
	ValidateGrantTypes(ctx context.Context, reg *Registration) error

	// ValidateRedirectURIs settles redirect_uris and application_type.
	ValidateRedirectURIs(ctx context.Context, reg *Registration) error

	// ValidateScopes settles the scopes asked for; it is skipped when none were.
	ValidateScopes(ctx context.Context, reg *Registration) error

	// SetDefaultScopes is called when no scopes were asked for or none remain,
	// unless scope is for a software statement to say.
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
	// initiate_login_uri and CIBA. What sector_identifier_uri leads to is
	// fetched at the end of Validate, once nothing else refuses the client.
	ValidateOpenID(ctx context.Context, reg *Registration) error

	// ValidateRequestObjects settles request_object_*, request_uris,
	// require_signed_request_object and require_pushed_authorization_requests.
	ValidateRequestObjects(ctx context.Context, reg *Registration) error

	// ValidateTokens settles sender constraining and authorization details
	// types: what a policy says of token types and lifetimes belongs here too.
	ValidateTokens(ctx context.Context, reg *Registration) error

	// ValidateExtensions settles the declared extension members.
	ValidateExtensions(ctx context.Context, reg *Registration) error

	// SetClientDefaults is a hook for the host's own settings of every client.
	SetClientDefaults(ctx context.Context, reg *Registration) error

	// ValidateClient judges the complete effective client, last.
	ValidateClient(ctx context.Context, reg *Registration) error

	// DeclaredExtensions are the extension members that are accepted: those of
	// the DefaultValidator and of every decorator. A decorator adds its own to
	// those of the inner Validator.
	DeclaredExtensions() []Extension

	// ShapeResponse edits the answer to a registration, a read or an update,
	// before Options.ModifyResponse. reg.Request is nil on a read. What it does
	// to reg.Client is stored, except on a read, and must stay within the fixed
	// rules.
	ShapeResponse(ctx context.Context, reg *Registration, res *Response) error

	// Decoders are the bodies that this policy takes, by media type, each time
	// the same; nil: those of Options.Decoders. An empty map is refused by
	// NewHandler.
	Decoders() map[string]Decoder

	// AuthorizeManagement is asked about every GET, PUT and DELETE of a client
	// of this policy that a token or Options.ManageAs, and Options.ManageClient,
	// let through, before anything is answered or written. An [*Error] refuses;
	// any other error is the server's. It is asked about a PUT before the body
	// is read, which it does not do, and again about the client as it is stored
	// then, which it must not change.
	AuthorizeManagement(r *http.Request, client *Client) error

	// CheckOptions reports what the policy needs of the options and the store
	// and does not find there, as an error that says what to set. NewHandler
	// asks it of Options.Validator and of every one of Options.Policies, with a
	// copy of the options as the host set them: nil and zero still mean the
	// defaults.
	CheckOptions(opts *Options, store ClientConfigurationStore) error

	// sealed returns what Validate must know of the DefaultValidator below.
	sealed() foundation

	// supported is Supports of the DefaultValidator below, which no decorator
	// widens.
	supported() Capabilities
}

// DefaultValidator is the policy of RFC 7591 and OpenID Connect Dynamic Client
// Registration as data. Its zero value is ready to use and strict. Embed it to
// override a step.
type DefaultValidator struct {
	Supports      Capabilities       // what the server supports; zero fields mean strict defaults
	DefaultScopes []string           // for a client that asks for no scope, or none that is supported
	Statements    *StatementVerifier // if nil, software statements are ignored
	Extensions    []Extension        // extension members to accept
	Fetch         *GuardedClient     // fetches what clients name, and what it never reaches is refused; if nil, one with the defaults, and any port passes

	AllowHTTPRedirects         bool // remote http in the redirect URIs of confidential clients of the code flow, and the logout URIs of confidential clients
	AllowPushedRedirectURIs    bool // no redirect_uris for confidential clients that must push their requests (RFC 9126 §2.4)
	AllowHybridWithoutImplicit bool // the response type "code id_token" without the implicit grant, as UK Open Banking has it
	LiteralApplicationType     bool // an absent application_type is web, as OpenID Connect says, rather than inferred, which it is of a metadata document
	RefuseUnsupportedScopes    bool // refuse scopes beyond the ceiling rather than drop them; of a metadata document, where none is left
	KeysByCertificate          bool // private_key_jwt without jwks and jwks_uri: the host knows a client's keys otherwise, as a ChainVerifier does
	ManageByCallerOnly         bool // as Options.ManageByCallerOnly, for the clients of this policy
}

// foundation is what Validate itself must know of the DefaultValidator at the
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

func (d DefaultValidator) sealed() foundation {
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

// Decoders returns nil: those of Options.Decoders.
func (d DefaultValidator) Decoders() map[string]Decoder { return nil }

// AuthorizeManagement lets all through.
func (d DefaultValidator) AuthorizeManagement(r *http.Request, client *Client) error { return nil }

// Capabilities returns d.Supports with its strict defaults filled in.
func (d DefaultValidator) Capabilities() Capabilities { return d.Supports.WithDefaults() }

// Validate runs the steps of v over a registration, or over an update where
// reg.Previous is set. It starts from the metadata of reg.Request, less
// undeclared extensions and members of features that are off, and from the
// server-owned settings of a new client or of the previous one; it ends with
// the fixed rules, which no step can skip: those of the RFCs, for every member,
// and the ceilings of reg.Capabilities. Then the client is held to what a software
// statement claims and, last, to what must be fetched for it. reg.Client is then
// the effective client. Refusals are [*Error]s; any other error is the server's.
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
		reg.Client = StartingClient(v, reg.Previous)
	}
	reg.Client.Metadata = Metadata{}
	reg.admit()
	return reg.checkForm()
}

// measureBy notes what the steps measure against.
func (reg *Registration) measureBy(v Validator) {
	reg.Capabilities = v.Capabilities()
	if _, plain := v.(DefaultValidator); !plain {
		reg.Capabilities.complete() // a decorator may have left a list out
	}
	reg.on = reg.Capabilities.features()
	reg.foundation, reg.extensions, reg.extensionsOf = v.sealed(), v.DeclaredExtensions(), nil
	reg.measured = true
}

// StartingClient is the client that [Validate] starts from where
// Registration.Client is nil: the defaults of the server-owned settings, or
// previous with its metadata still to be replaced; it shares nothing with
// previous. What the steps of v make of the settings comes later. A caller
// without a [Handler] may set its ID and Source, for steps to read, and put it
// into Registration.Client; on an update, Registration.Previous is still
// previous.
func StartingClient(v Validator, previous *Client) *Client {
	if previous == nil {
		client := NewClient()
		client.AllowOfflineAccess = true // until a step finds no refresh_token
		return client
	}
	client := previous.Clone()
	if slices.Contains(client.GrantTypes, "refresh_token") {
		client.OfflineAccessRefused = !client.AllowOfflineAccess
	} else {
		client.AllowOfflineAccess = !client.OfflineAccessRefused // it may be off only for want of the grant
	}
	return client
}

// settleOfflineAccess holds AllowOfflineAccess to clients that have the grant. It
// only ever takes it away, so that a host's refusal stands whatever the order.
func (reg *Registration) settleOfflineAccess() {
	if !slices.Contains(reg.Client.GrantTypes, "refresh_token") {
		reg.Client.AllowOfflineAccess = false
	}
}

// SetClientDefaults does nothing: it is the host's.
func (d DefaultValidator) SetClientDefaults(ctx context.Context, reg *Registration) error { return nil }

// How a Validator is put together, and which mistakes in that NewHandler refuses:
// those by which a rule would never run, or a capability would be promised that
// no step knows of.

var validatorType = reflect.TypeFor[Validator]()

// misassembled says what is wrong with how v is put together, and what to change;
// nil if nothing is.
func misassembled(v Validator) error {
	if _, plain := v.(DefaultValidator); plain {
		return nil
	}
	if err := shadowed(reflect.ValueOf(v)); err != nil {
		return err
	}
	return widened(v)
}

// shadowed refuses a struct that embeds two Validators: only the steps of the one
// that is less deep are called.
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

// depth is how deep in an embedded type its steps are.
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
// have: a decorator narrows.
func widened(v Validator) error {
	claimed, supported := v.Capabilities().WithDefaults(), v.supported().WithDefaults()
	for i := range capabilityMembers.Fields {
		f := &capabilityMembers.Fields[i]
		if value := beyond(f, &claimed, &supported); value != "" {
			return fmt.Errorf("Capabilities has %s in %s, which Supports of the DefaultValidator at the bottom does not have; add it there, for a decorator only narrows", value, f.Name)
		}
	}
	return nil
}

// beyond is what claimed has of a member and supported has not, "" if nothing. A
// requirement is no capability.
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

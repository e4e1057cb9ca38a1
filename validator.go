package dcr

// The steps by which a registration is judged, and their order.

import (
	"context"
	"slices"
	"strings"
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
	// the inner Validator supports.
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

	// SetDefaultScopes is called when no scopes were asked for or none remain.
	SetDefaultScopes(ctx context.Context, reg *Registration) error

	// ValidateClientAuthentication settles token_endpoint_auth_method and its
	// algorithm, jwks, jwks_uri, tls_client_auth_* and require_client_secret.
	ValidateClientAuthentication(ctx context.Context, reg *Registration) error

	// ValidateDisplay settles client_name, client_uri, logo_uri, tos_uri,
	// policy_uri, contacts, their language-tagged forms, and consent settings.
	ValidateDisplay(ctx context.Context, reg *Registration) error

	// ValidateLogout settles post_logout_redirect_uris and front- and
	// back-channel logout.
	ValidateLogout(ctx context.Context, reg *Registration) error

	// ValidateOpenID settles subject_type, sector_identifier_uri, the ID
	// Token, UserInfo, authorization response and introspection algorithms,
	// default_max_age, require_auth_time, default_acr_values,
	// initiate_login_uri and CIBA.
	ValidateOpenID(ctx context.Context, reg *Registration) error

	// ValidateRequestObjects settles request_object_*, request_uris,
	// require_signed_request_object and require_pushed_authorization_requests.
	ValidateRequestObjects(ctx context.Context, reg *Registration) error

	// ValidateTokens settles token types, lifetimes and sender constraining.
	ValidateTokens(ctx context.Context, reg *Registration) error

	// ValidateExtensions settles the declared extension members.
	ValidateExtensions(ctx context.Context, reg *Registration) error

	// SetClientDefaults is a hook for the host's own settings of every client.
	SetClientDefaults(ctx context.Context, reg *Registration) error

	// ValidateClient judges the complete effective client, last.
	ValidateClient(ctx context.Context, reg *Registration) error

	// sealed returns what Validate must know of the DefaultValidator below.
	sealed() foundation
}

// DefaultValidator is the policy of RFC 7591 and OpenID Connect Dynamic Client
// Registration as data. Its zero value is ready to use and strict. Embed it to
// override a step.
type DefaultValidator struct {
	Supports      Capabilities       // what the server supports; zero fields mean strict defaults
	DefaultScopes []string           // for a client that asks for no scope, or none that is supported
	Statements    *StatementVerifier // if nil, software statements are ignored
	Extensions    []Extension        // extension members to accept
	Duende        *DuendeExtensions  // if not nil, Duende IdentityServer's extension members are accepted
	Fetch         *GuardedClient     // fetches sector_identifier_uri; if nil, one with the defaults

	AllowHTTPRedirects         bool // remote http in the redirect and logout URIs of confidential clients of the code flow
	AllowPushedRedirectURIs    bool // no redirect_uris for confidential clients that must push their requests (RFC 9126 §2.4)
	AllowHybridWithoutImplicit bool // the response type "code id_token" without the implicit grant, as UK Open Banking has it
	LiteralApplicationType     bool // an absent application_type is web, as OpenID Connect says, rather than inferred
	RefuseUnsupportedScopes    bool // refuse scopes beyond the ceiling rather than drop them
}

// foundation is what Validate itself must know of the DefaultValidator at the
// bottom of a Validator.
type foundation struct {
	extensions            []Extension
	statements            *StatementVerifier
	duende                *DuendeExtensions
	pushedRedirectURIs    bool
	hybridWithoutImplicit bool
	defaultScopes         []string
}

// declares reports whether an extension member is accepted.
func (f *foundation) declares(name string) bool {
	return f.extension(name) != nil || f.duende != nil && isDuendeMember(name)
}

// extension is the declaration of a member, nil if there is none. A
// language-tagged member belongs to the declaration of the untagged one.
func (f *foundation) extension(name string) Extension {
	base, tag, tagged := strings.Cut(name, "#")
	for _, e := range f.extensions {
		if e.Name() == name || tagged && e.Name() == base && e.localized() && wellFormedTag(tag) {
			return e
		}
	}
	return nil
}

func (d DefaultValidator) sealed() foundation {
	return foundation{
		extensions: d.Extensions, statements: d.Statements, duende: d.Duende,
		pushedRedirectURIs: d.AllowPushedRedirectURIs, hybridWithoutImplicit: d.AllowHybridWithoutImplicit,
		defaultScopes: d.DefaultScopes,
	}
}

// Capabilities returns d.Supports with its strict defaults filled in.
func (d DefaultValidator) Capabilities() Capabilities { return d.Supports.effective() }

type step = func(v Validator, ctx context.Context, reg *Registration) error

// steps is the order in which a registration is judged.
var steps = []step{
	Validator.ValidateSoftwareStatement,
	mergeStatement,
	Validator.ValidateGrantTypes,
	Validator.ValidateRedirectURIs,
	validateScope,
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

// Validate runs the steps of v over a registration, or over an update where
// reg.Previous is set. It starts from the metadata of reg.Request, less
// undeclared extensions and members of switched-off features, and from the
// server-owned settings of a new client or of the previous one; it ends with
// the fixed rules of the RFCs, which no step can skip. reg.Client is then the
// effective client. Refusals are [*Error]s; any other error is the server's.
func Validate(ctx context.Context, v Validator, reg *Registration) error {
	if err := reg.begin(v); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(v, ctx, reg); err != nil {
			return err
		}
	}
	reg.offlineAccess()
	if err := reg.checkFixedRules(); err != nil {
		return err
	}
	return reg.Client.keepAsked()
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
	reg.statementMerged = false
	reg.Capabilities = v.Capabilities()
	reg.Capabilities.complete()
	reg.on = reg.Capabilities.features()
	reg.base = v.sealed()
	if reg.Client == nil {
		reg.Client = reg.startingClient()
	}
	reg.Client.Metadata = Metadata{}
	reg.Request.admit(&reg.Client.Metadata, reg.on, &reg.base)
	return reg.checkForm()
}

// startingClient is the client before the first step: every server-owned
// default on a registration, the stored client on an update.
func (reg *Registration) startingClient() *Client {
	if reg.Previous == nil {
		client := NewClient()
		if reg.base.duende != nil {
			reg.base.duende.start(client)
		}
		client.AllowOfflineAccess = true // until a step finds no refresh_token
		return client
	}
	client := reg.Previous.Clone()
	if reg.base.duende != nil {
		fresh := NewClient()
		reg.base.duende.start(fresh)
		client.forgetAsked(fresh)
	}
	if slices.Contains(client.GrantTypes, "refresh_token") {
		client.OfflineAccessRefused = !client.AllowOfflineAccess
	} else {
		client.AllowOfflineAccess = !client.OfflineAccessRefused // it may be off only for want of the grant
	}
	return client
}

// offlineAccess holds AllowOfflineAccess to clients that have the grant. It
// only ever takes it away, so that a host's refusal stands whatever the order.
func (reg *Registration) offlineAccess() {
	if !slices.Contains(reg.Client.GrantTypes, "refresh_token") {
		reg.Client.AllowOfflineAccess = false
	}
}

// SetClientDefaults does nothing: it is the host's.
func (d DefaultValidator) SetClientDefaults(ctx context.Context, reg *Registration) error { return nil }

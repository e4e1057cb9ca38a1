// Package dcr lets clients register themselves at an OAuth 2.0 or OpenID
// Connect authorization server: RFC 7591 (registration), RFC 7592 (read,
// update, delete), OpenID Connect Dynamic Client Registration 1.0, software
// statements, and the client metadata of the specifications around them. Clients
// that publish their metadata instead, under the URL that is their client id, are
// judged by the same policy: package cimd finds them. Clients of the Model Context
// Protocol do either; a client that needs a secret, or that someone must vouch
// for, registers.
//
// It is a library for a server you already have. You mount a [Handler] on your
// own mux, put your own authorization in front of it, choose what may be
// registered, and say where clients are kept:
//
//	store := memstore.New()
//	handler, err := dcr.NewHandler(store, &dcr.Options{
//		Endpoint: "https://id.example.com/connect/dcr",
//	})
//	mux.Handle("POST /connect/dcr", requireScope(handler)) // your guard
//	mux.Handle("/connect/dcr", handler)                    // the client's own token guards the rest
//
// # How a registration flows
//
// The body becomes a [Request], the wire's view. [Validate] copies what it may
// into a [Client], the stored view, and runs the steps of a [Validator] over
// it, in the order of their methods: each judges, corrects and completes one
// aspect of the complete effective client. The RFCs' fixed rules come last, and
// no step can skip them. Then the client gets its identifier and credentials, a
// [Response] is made from it, your ModifyResponse hook may edit that response,
// the caller is charged what the registration costs, the client is stored, and
// the answer goes out. An update runs the same steps over the client as it
// would become, so an update can never reach what a registration would be
// refused.
//
// # How to change a rule
//
// Most policy is data: [Capabilities] says what the server supports, in the
// terms of its discovery document, and [DefaultValidator] holds the rest. To
// change a step, embed DefaultValidator, override the one method, and call the
// default where it still applies:
//
//	type validator struct{ dcr.DefaultValidator }
//
//	func (v validator) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
//		if len(reg.Client.RedirectURIs) > 3 {
//			return dcr.Errorf(dcr.InvalidRedirectURI, "redirect_uris must not have more than 3 entries")
//		}
//		return v.DefaultValidator.ValidateRedirectURIs(ctx, reg)
//	}
//
// A step refuses by returning an error. An [*Error] is shown to the registrant;
// any other error is logged and answered with a bare 500. If a store, a key set
// or an [Authenticator] is out of reach, the answer is a bare 503: it never says
// that a client does not exist.
//
// # Who may register
//
// The host authorises registrations. Middleware in front puts a [Caller] into
// the request's context with [ContextWithCaller]; without one, and without
// Options.AllowAnonymous, a registration is refused with 401. [Require] is such
// a middleware, for any [Authenticator]: those of package callerauth for the
// access tokens of an authorization server and for initial access tokens, your
// own function, or several with [AnyOf]. A [StatementVerifier] lets software
// register with a statement that a directory signed for it. Reading, updating
// and deleting are authorised by the registration access token that each client
// got when it registered.
//
// # At the authorize and token endpoints
//
// [Client.CheckAuthorization] judges an authorization request under the same
// rules as registration, and [Client.ConsentView] is what to show a person about
// the client. Package clientauth finds out which client sends a request to the
// token endpoint, whatever its authentication method, and notes that the client
// is in use.
//
// # The other packages
//
// Clients live in memstore, in package sqlstore, or in your own store, with
// cachestore in front. Package policy has rules that stack and presets, for MCP,
// OpenID Connect, FAPI 2.0 and open banking; package extension has the members of
// other specifications. Package cimd finds clients that publish their metadata,
// package admin has what operators do, with web pages for it, and dcrtest tests
// your store, your validator and your server. Telemetry and the adapters for
// zitadel/oidc and ory/fosite are modules of their own.
package dcr

import (
	"context"
	"net/http"
	"time"

	"github.com/dynreg/dcr/internal/jose"
)

// Registration is one registration or update in progress: what the steps of a
// [Validator] and the hooks of [Options] work on.
type Registration struct {
	Request      *Request           // as the client sent it; steps never change it, and judge Client instead; nil on a read or delete
	Client       *Client            // the client as it will be, with defaults and a statement's claims: what steps judge and correct
	Previous     *Client            // the stored client on an update, nil on a registration
	Capabilities Capabilities       // what the outermost validator supports, and all that steps may rely on; never write to its lists, which are the host's
	Statement    *SoftwareStatement // the verified software statement, nil if there is none
	Caller       *Caller            // who asked, nil if anonymous
	HTTP         *http.Request      // the request, its body already read; nil outside a Handler
	Items        map[string]any     // notes that hooks leave for later hooks; never nil
	Limits       Limits             // the bounds in force; zero fields mean the defaults
	Readable     func(r rune) bool  // which characters the names that people read may have; if nil, ReadableRune; an early step may set it
	Explaining   bool               // nothing will be registered: [Handler.Explain] asked; see Assume

	// ExactDefaults is for clients that never see an answer, such as those that
	// publish their metadata. If true, a registration is refused if the server does
	// not support the default that a specification gives an absent member. An
	// absent token_endpoint_auth_method then means none, unless the request lists
	// alternatives without none: then the strongest of those. If false, the server
	// uses a value that it supports, and the answer says which.
	ExactDefaults bool

	Clock func() time.Time // what Now calls: Options.Now in a Handler; if nil, time.Now

	at              time.Time           // what Clock said; zero until it is called
	on              features            // the features that Capabilities turns on
	statementMerged bool                // the statement's claims are in Client
	claims          *SoftwareStatement  // what is claimed about the client, and the rules for it; nil if nothing is
	alternatives    map[string][]string // the lists of Request.Choices that a statement decides about, as they count
	canSeal         bool                // the host can keep a secret itself, not only its hash
	keys            jose.Keys
	keysJudged      string     // the jwks that keys describes; a copy, since a hook can change the other
	redirects       []redirect // the redirect URIs that were read last
	sector          sector     // the sector document of the client
	assumed         []string   // what was assumed to be good, since Explaining fetches nothing
	inSteps         bool       // Validate runs the steps
	plain           bool       // this is the default pipeline's own judgement
	policy          string     // the name in Options.Policies that this runs under
	foundation      foundation
	extensions      []Extension            // that are declared
	extensionsOf    map[string][]Extension // the same by name, without language tags; nil until many are looked for
	measured        bool                   // Capabilities, on, foundation and extensions are those of the validator
	validator       Validator              // under which a Handler judges
}

// Now is the time of the registration: what Clock returned when Now was first
// called.
func (reg *Registration) Now() time.Time {
	if reg.at.IsZero() {
		now := reg.Clock
		if now == nil {
			now = time.Now
		}
		reg.at = now()
	}
	return reg.at
}

// Caller says who asked for a registration, as the host's own authorization
// found out.
type Caller struct {
	Subject  string         // the person or service
	Issuer   string         // who vouches for it
	ClientID string         // the OAuth client that called
	Scopes   []string       // what the caller's token allows
	Claims   map[string]any // everything else that is known about the caller
	Policy   string         // the name in Options.Policies that its registrations run under; "" for Options.Validator
	Notes    string         // kept with the clients that the caller registers

	Allowance Allowance // what one registration costs the caller; the Handler takes it; nil for nothing
}

type callerKey struct{}

// ContextWithCaller returns a context that carries caller. A host's
// authorization middleware calls it before the [Handler].
func ContextWithCaller(ctx context.Context, caller *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// CallerFromContext returns the caller that [ContextWithCaller] put into ctx,
// nil if there is none.
func CallerFromContext(ctx context.Context) *Caller {
	caller, _ := ctx.Value(callerKey{}).(*Caller)
	return caller
}

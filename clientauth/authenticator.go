// Package clientauth finds out which client sends a request to the token,
// revocation, introspection and pushed authorization request endpoints:
//
//	clients := &clientauth.Authenticator{Store: store, Audience: []string{issuer}}
//	sender, err := clients.Authenticate(r)
//	if err != nil {
//		clientauth.WriteError(w, r, err)
//		return
//	}
//
// Where a refresh token is exchanged, AuthenticateRefresh holds the client to the method
// that began the grant. Require is a middleware for endpoints that need no more. Both
// note that the client is in use, where the store is a [dcr.ClientToucher].
package clientauth

// RFC 6749 §2.3, RFC 7523 §2.2 and §3, RFC 8705 §2: client authentication.

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dynreg/dcr"
)

// Authenticator authenticates clients by the methods that they registered:
// client_secret_basic, client_secret_post, none, private_key_jwt,
// client_secret_jwt, tls_client_auth and self_signed_tls_client_auth. A client
// without a method has client_secret_basic, and one that publishes its metadata any
// of its Document.AuthMethods: whatever it presents is verified. Do not copy or change
// it after the first use.
//
// A client id that is not there costs the work of one that is, of a client whose
// secret this library issued or whose keys are in its jwks.
type Authenticator struct {
	Store              dcr.ClientConfigurationStore                   // where clients are, and by TouchClient their last use; required; where metadata documents are taken, what is Known, but for pushed requests
	Audience           []string                                       // aud of assertions, one is enough: the issuer, and the endpoints where clients still name them; required for assertions
	Algorithms         []string                                       // of private_key_jwt, where the client registered none; if nil, RS256, PS256, ES256, EdDSA and Ed25519
	Keys               *dcr.ClientKeys                                // if nil, one with the defaults
	Sealer             dcr.Sealer                                     // opens secrets for client_secret_jwt; if nil, that method is refused
	Replay             dcr.ReplayStore                                // remembers assertions, under keys that begin with "assertion:"; if nil, Store, which must then be one
	Certificate        func(*http.Request) (*x509.Certificate, error) // the verified certificate of the client, nil if there is none; if nil, that of the TLS connection
	Strict             bool                                           // basic and post are two methods, and an empty Basic secret is a wrong one
	RequireType        bool                                           // assertions need the typ client-authentication+jwt or oauth-client-auth+jwt; else one without typ or of typ JWT will do
	IssuerAudienceOnly bool                                           // aud is the first of Audience, as a string (FAPI 2.0 Security Profile §5.3.2.1)
	MaxAge             time.Duration                                  // from now to the exp of an assertion, give or take Skew; if zero, 10 minutes
	Skew               time.Duration                                  // by which the clocks of clients may differ, on all hosts of one Replay the same; if zero, 1 minute; if negative, none
	DontTouch          bool                                           // do not note the use of the client
	Logger             *slog.Logger                                   // why a client was refused, at debug, and outages, as errors; if nil, slog.Default
	Now                func() time.Time                               // if nil, time.Now

	once        sync.Once
	defaultKeys dcr.ClientKeys
	touches     touches
}

// Authentication is who sent a request and how that was shown.
type Authentication struct {
	Client      *dcr.Client       // a copy, also where the store shares its own
	Method      string            // a token_endpoint_auth_method, as the request used it
	Certificate *x509.Certificate // the one that was presented, to bind tokens to; nil if there was none

	strict bool // as in the Authenticator
}

// GrantMethod is a word for Method by which to find again, at a refresh, how a grant
// began, where the token is looked up after the client is authenticated: another word
// is another method. Before it, call [Authenticator.AuthenticateRefresh].
func (a *Authentication) GrantMethod() string {
	return grantMethod(a.Method, a.strict)
}

func grantMethod(method string, strict bool) string {
	if !strict && slices.Contains(secretMethods, method) {
		return "client_secret"
	}
	return method
}

// Authenticate returns which client sends r, whose form it parses, up to 1 MiB of
// it. An [*dcr.Error] refuses: InvalidClient (401 with a challenge),
// InvalidRequest (400), AccessDenied for a pending client that proved who it is,
// or is public (400). Any other error is an outage. [WriteError] answers each.
func (a *Authenticator) Authenticate(r *http.Request) (*Authentication, error) {
	authentication, err := a.authenticate(r)
	return a.finish(r.Context(), authentication, err)
}

// AuthenticateRefresh is Authenticate, and refuses another method than the one
// of the grant's first token request, as Authentication.Method had it: a client
// that has changed to a weaker one begins a new grant. Basic and post are one
// method unless Strict is set. An empty method is another.
func (a *Authenticator) AuthenticateRefresh(r *http.Request, method string) (*Authentication, error) {
	authentication, err := a.authenticate(r)
	if err == nil && !a.same(authentication.Method, method) {
		err = refuse("method", errors.New("the grant began with another method"))
	}
	return a.finish(r.Context(), authentication, err)
}

// finish logs why nobody was let in, or notes the use of the client.
func (a *Authenticator) finish(ctx context.Context, authentication *Authentication, err error) (*Authentication, error) {
	if err != nil {
		a.log(ctx, err)
		return nil, err
	}
	if !a.DontTouch {
		a.touch(ctx, authentication.Client)
	}
	return authentication, nil
}

func (a *Authenticator) authenticate(r *http.Request) (*Authentication, error) {
	if a.Store == nil {
		return nil, errors.New("clientauth: Authenticator.Store is nil; set it to the store of the clients")
	}
	sent, err := readCredentials(r, a.Strict)
	if err != nil {
		return nil, err
	}
	authentication, err := a.identify(r, sent)
	if refused, ok := errors.AsType[*dcr.Error](err); ok {
		named := *refused // the log names the client, the answer does not
		named.Err = errors.Join(fmt.Errorf("client %.255q", sent.clientID), refused.Err)
		return nil, &named
	}
	return authentication, err
}

// identify returns the client that sent these credentials, if it did.
func (a *Authenticator) identify(r *http.Request, sent credentials) (*Authentication, error) {
	viewer, shared := dcr.StoreAs[dcr.ClientViewer](a.Store)
	find := a.Store.FindByClientID
	if shared {
		find = viewer.ViewClient
	}
	client, err := found(r.Context(), find, sent.clientID)
	if err != nil {
		return nil, err
	}
	cert, chained, err := a.certificate(r)
	if err != nil {
		return nil, err
	}
	method, err := a.prove(r.Context(), client, sent, cert, chained)
	if err != nil {
		return nil, err
	}
	switch usable := client.CheckUsable(a.now()); {
	case errors.Is(usable, dcr.ErrClientPending):
		pending := dcr.Errorf(dcr.AccessDenied, "the registration of this client waits for approval; it need not register again")
		pending.Status, pending.Rule = http.StatusBadRequest, "client.pending"
		return nil, pending
	case usable != nil:
		return nil, refuse("status", usable)
	}
	if shared {
		client = client.Clone()
	}
	return &Authentication{Client: client, Method: method, Certificate: cert, strict: a.Strict}, nil
}

// prove returns the method by which the client showed that it is the one it
// says, whatever its status. A client that is not there is as good as its
// stand-in, which proves nothing.
func (a *Authenticator) prove(ctx context.Context, client *dcr.Client, sent credentials, cert *x509.Certificate, chained bool) (string, error) {
	switch sent.kind {
	case bySecret:
		return a.proveSecret(client, sent)
	case byAssertion:
		return assertionMethod(client), a.proveAssertion(ctx, client, sent.assertion.Reveal())
	}
	named := sent.method == "none"
	switch {
	case mayUse(client, "none") && (named || cert == nil):
		return "none", nil
	case !named && mayUse(client, "tls_client_auth"):
		return "tls_client_auth", proveName(client, cert, chained)
	case !named && mayUse(client, "self_signed_tls_client_auth"):
		return "self_signed_tls_client_auth", a.proveKey(ctx, client, cert)
	case mayUse(client, "none"): // the certificate is for something else
		return "none", nil
	}
	return "", refuse("method", errors.New("the client registered a method by which it sends more"))
}

// found returns the client, or its stand-in.
func found(ctx context.Context, find func(context.Context, string) (*dcr.Client, error), clientID string) (*dcr.Client, error) {
	if len(clientID) > maxClientID || !utf8.ValidString(clientID) || strings.IndexByte(clientID, 0) >= 0 {
		return standIn(clientID), nil // no store has it, and some cannot say so
	}
	client, err := find(ctx, clientID)
	switch {
	case errors.Is(err, dcr.ErrClientNotFound):
		return standIn(clientID), nil
	case err != nil:
		return nil, fmt.Errorf("clientauth: find the client: %w", err)
	}
	return client, nil
}

const maxClientID = 255 // bytes

// now is the clock.
func (a *Authenticator) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// same reports whether two methods count as one.
func (a *Authenticator) same(method, other string) bool {
	return grantMethod(method, a.Strict) == grantMethod(other, a.Strict)
}

// methodOf is the method that a client registered (RFC 7591 §2).
func methodOf(client *dcr.Client) string {
	if client.TokenEndpointAuthMethod == "" {
		return "client_secret_basic"
	}
	return client.TokenEndpointAuthMethod
}

// mayUse reports whether a client may authenticate by a method: the one that it
// registered or, where it publishes its metadata, any of those that it lists and the
// server supports, since no answer told it which of them was settled.
func mayUse(client *dcr.Client, method string) bool {
	return method == methodOf(client) ||
		client.Source == dcr.SourceDocument && client.Document != nil && slices.Contains(client.Document.AuthMethods, method)
}

// assertionMethod is the method by which a client may send an assertion: "" for none.
func assertionMethod(client *dcr.Client) string {
	for _, method := range []string{"private_key_jwt", "client_secret_jwt"} {
		if mayUse(client, method) {
			return method
		}
	}
	return ""
}

// log says why nobody was let in, which the answer does not.
func (a *Authenticator) log(ctx context.Context, err error) {
	logger := a.Logger
	if logger == nil {
		logger = slog.Default()
	}
	refused, ok := errors.AsType[*dcr.Error](err)
	switch {
	case ok:
		logger.DebugContext(ctx, "client refused", "code", refused.Code, "rule", refused.Rule, "description", refused.Description, "error", refused.Err)
	case ctx.Err() != nil:
		logger.DebugContext(ctx, "client authentication abandoned", "error", err)
	default:
		logger.ErrorContext(ctx, "client authentication unavailable", "error", err)
	}
}

// refuse is the refusal of a client, in the same words whatever the reason. The
// rule and err are for logs.
func refuse(rule string, err error) *dcr.Error {
	refused := dcr.Errorf(dcr.InvalidClient, "client authentication failed")
	refused.Status, refused.Rule, refused.Err = http.StatusUnauthorized, "client."+rule, err
	return refused
}

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
// For a refresh token, call AuthenticateRefresh, which requires the method with which
// the grant began. Require is a middleware for endpoints that need no more. All of them
// note that the client is in use, if the store is a [dcr.ClientToucher].
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

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/tally"
)

// Authenticator authenticates clients by the methods that they registered:
// client_secret_basic, client_secret_post, none, private_key_jwt, client_secret_jwt,
// tls_client_auth and self_signed_tls_client_auth. A client without a method uses
// client_secret_basic, and one that publishes its metadata may use any of its
// Document.AuthMethods. Do not copy or change it after the first use.
//
// So that strangers cannot find out which clients exist, an unknown client id
// costs the same work as that of a client whose secret this library issued or
// whose keys are in its jwks.
type Authenticator struct {
	Store              dcr.ClientConfigurationStore                   // finds clients and, if it is a ClientToucher, records their use; required; with package cimd, cimd.Store.Known, except for pushed requests
	Audience           []string                                       // what the aud of an assertion may be, of which one is enough: the issuer first, then endpoints that clients may still use; required for assertions
	Algorithms         []string                                       // the algorithms to accept for private_key_jwt, if the client registered none; if nil, RS256, PS256, ES256, EdDSA and Ed25519
	Keys               *dcr.ClientKeys                                // finds the keys of clients; if nil, one with the defaults
	Sealer             dcr.Sealer                                     // opens secrets for client_secret_jwt; if nil, that method is refused
	Replay             dcr.ReplayStore                                // remembers assertions, under keys that begin with "assertion:"; if nil, Store, which must then be a ReplayStore
	Certificate        func(*http.Request) (*x509.Certificate, error) // returns the verified certificate of the client, or nil if it has none; if nil, that of the TLS connection
	Strict             bool                                           // treat client_secret_basic and client_secret_post as different methods, and an empty Basic secret as wrong
	RequireType        bool                                           // require that assertions have the typ client-authentication+jwt or oauth-client-auth+jwt; if false, no typ and JWT are accepted too
	IssuerAudienceOnly bool                                           // require that aud is the first of Audience, as a string (FAPI 2.0 Security Profile §5.3.2.1)
	MaxAge             time.Duration                                  // how far in the future the exp of an assertion may be, plus Skew; if zero, 10 minutes
	Skew               time.Duration                                  // how much the clocks of clients may differ, the same on all hosts that share Replay; if zero, 1 minute; if negative, not at all
	DontTouch          bool                                           // do not record the use of the client: for pushed requests, and for a host that calls TouchClient once the code or the refresh token is valid
	Logger             *slog.Logger                                   // gets the reason of each refusal at level debug, and outages at level error, of each kind once a minute; if nil, slog.Default
	Now                func() time.Time                               // the clock; if nil, time.Now

	once        sync.Once
	defaultKeys dcr.ClientKeys
	touches     touches
	tally       tally.Tally
}

// Authentication says which client sent a request, and how it authenticated.
type Authentication struct {
	Client      *dcr.Client       // a copy, which the caller may change
	Method      string            // the token_endpoint_auth_method that the request used
	Certificate *x509.Certificate // the certificate that was presented, to bind tokens to; nil if there was none

	strict bool // Authenticator.Strict
}

// GrantMethod returns a word for Method to store with a grant, for hosts that look up
// the refresh token only after they have authenticated the client: if the word is
// another one at a refresh, so is the method, and the host must refuse. A host that
// looks the token up first calls [Authenticator.AuthenticateRefresh].
func (a *Authentication) GrantMethod() string {
	return grantMethod(a.Method, a.strict)
}

func grantMethod(method string, strict bool) string {
	if !strict && slices.Contains(secretMethods, method) {
		return "client_secret"
	}
	return method
}

// Authenticate finds out which client sends r. It parses the form of r, up to 1
// MiB. An [*dcr.Error] refuses: InvalidClient (401 with a challenge),
// InvalidRequest (400), or AccessDenied (400) for a pending client that is public
// or has proved who it is. Any other error is an outage. [WriteError] answers all
// of them.
func (a *Authenticator) Authenticate(r *http.Request) (*Authentication, error) {
	authentication, err := a.authenticate(r)
	return a.finish(r.Context(), authentication, err)
}

// AuthenticateRefresh is Authenticate, and also refuses any other method than
// that of the grant's first token request, which is Authentication.Method of
// that time: a client that has changed to a weaker method must begin a new
// grant. client_secret_basic and client_secret_post count as one method unless
// Strict is set. An empty method matches none.
func (a *Authenticator) AuthenticateRefresh(r *http.Request, method string) (*Authentication, error) {
	authentication, err := a.authenticate(r)
	if err == nil && !a.same(authentication.Method, method) {
		err = refuse("method", errors.New("the grant began with another method"))
	}
	return a.finish(r.Context(), authentication, err)
}

// finish logs a refusal, or notes the use of the client.
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
	if refused := asRefusal(err); refused != nil {
		named := *refused // the log names the client, the answer does not
		named.Err = errors.Join(fmt.Errorf("client %.255q", sent.clientID), refused.Err)
		return nil, &named
	}
	return authentication, err
}

// identify returns the client whose credentials were sent, if they are valid.
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

// prove returns the method by which the client proved who it is, whatever its
// status. For an unknown client, client is a stand-in, which never proves
// anything.
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
	case mayUse(client, "none"): // the certificate is not for authentication
		return "none", nil
	}
	return "", refuse("method", errors.New("the client registered a method by which it sends more"))
}

// found returns the client, or its stand-in.
func found(ctx context.Context, find func(context.Context, string) (*dcr.Client, error), clientID string) (*dcr.Client, error) {
	if dcr.CheckClientID(clientID) != nil {
		return standIn(clientID), nil // no store has it, but some return another error
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

// methodOf returns the method that a client registered (RFC 7591 §2).
func methodOf(client *dcr.Client) string {
	if client.TokenEndpointAuthMethod == "" {
		return "client_secret_basic"
	}
	return client.TokenEndpointAuthMethod
}

// mayUse reports whether a client may authenticate by a method: the one that it
// registered or, if it publishes its metadata, any of those that it lists and the
// server supports, since no answer told it which of them is in force.
func mayUse(client *dcr.Client, method string) bool {
	return method == methodOf(client) ||
		client.Source == dcr.SourceDocument && client.Document != nil && slices.Contains(client.Document.AuthMethods, method)
}

// assertionMethod returns the method with which a client may send an assertion, ""
// for none.
func assertionMethod(client *dcr.Client) string {
	for _, method := range []string{"private_key_jwt", "client_secret_jwt"} {
		if mayUse(client, method) {
			return method
		}
	}
	return ""
}

// log logs why a client was refused, which the answer does not say.
func (a *Authenticator) log(ctx context.Context, err error) {
	logger := a.Logger
	if logger == nil {
		logger = slog.Default()
	}
	refused := asRefusal(err)
	switch {
	case refused != nil:
		logger.DebugContext(ctx, "client refused", "code", refused.Code, "rule", refused.Rule, "description", refused.Description, "error", refused.Err)
	case ctx.Err() != nil:
		logger.DebugContext(ctx, "client authentication abandoned", "error", err)
	default:
		a.tally.Log(ctx, logger, slog.LevelError, kindOf(err), "client authentication unavailable", "error", err)
	}
}

// kindOf returns the first words of an outage, which say what failed. Strangers can
// cause some kinds, such as that of a client that publishes its keys: those must not
// hide the others.
func kindOf(outage error) string {
	parts := strings.SplitN(outage.Error(), ": ", 4)
	kind := strings.Join(parts[:min(len(parts), 3)], ": ")
	return kind[:min(len(kind), maxKind)]
}

const maxKind = 100 // bytes of the kind of an outage

// asRefusal returns the error that refuses, nil if err is an outage. A nil *dcr.Error
// that a hook returns by mistake refuses nothing.
func asRefusal(err error) *dcr.Error {
	refused, _ := errors.AsType[*dcr.Error](err)
	return refused
}

// refuse makes the refusal of a client, in the same words whatever the reason.
// rule and err are for logs.
func refuse(rule string, err error) *dcr.Error {
	refused := dcr.Errorf(dcr.InvalidClient, "client authentication failed")
	refused.Status, refused.Rule, refused.Err = http.StatusUnauthorized, "client."+rule, err
	return refused
}

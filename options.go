package dcr

// The settings of a Handler.

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options configures a [Handler]. Every field but Endpoint has a default. The fields are
// in five groups: the endpoint, who may register and manage, credentials, hooks, bounds.
type Options struct {
	// The endpoint: where it is, and what it accepts.

	// Endpoint is the absolute public URL of the registration endpoint, e.g.
	// https://id.example.com/connect/dcr. It is what clients see, whatever path
	// the handler is mounted at. Required. It must be https, unless its host is
	// loopback, and have no fragment and no client_id in its query.
	Endpoint string

	// ClientURI is the template of registration_client_uri (RFC 7592 §3), e.g.
	// https://id.example.com/connect/dcr/{client_id}. If empty, Endpoint with
	// the query client_id=….
	ClientURI string

	// Validator judges registrations and updates. If nil, DefaultValidator{}.
	Validator Validator

	// Policies are named alternatives to Validator, chosen by ChoosePolicy. A
	// client remembers the name and is updated under it; if its name is missing
	// here, the request is refused.
	Policies map[string]Validator

	// ChoosePolicy names the policy, out of Policies, that a registration runs
	// under, or "" for Validator. caller is nil for a stranger. ChoosePolicy is
	// called before the body is read; an update runs under the policy that the
	// client registered with. If nil, CallerPolicy.
	ChoosePolicy func(r *http.Request, caller *Caller) (string, error)

	// Decoders turn bodies into JSON, by media type. A body of any other type
	// gets 415, and so does application/json unless it is listed here, with
	// PlainJSON. If nil, only application/json is accepted. A policy that has
	// its own Decoders uses only those.
	Decoders map[string]Decoder

	// CORS says which web pages may call the endpoints. The zero value allows
	// none. [Require] follows it too, if it is directly in front of the handler.
	CORS CORS

	// Documents reports whether the server currently accepts clients that publish
	// their metadata (OAuth Client ID Metadata Document); cimd.Store.Advertised is
	// such a function. While it returns true, Discovery has
	// client_id_metadata_document_supported. If nil, Capabilities decide.
	Documents func(ctx context.Context) bool

	// DisableManagement turns RFC 7592 off: no registration access tokens, and
	// 405 for everything except POST. No secret or token can be rotated then.
	DisableManagement bool

	// OptionalClientID accepts an update without client_id. RFC 7592 §2.2 demands
	// client_id; UK Open Banking does not.
	OptionalClientID bool

	// TolerantUpdate lets a PUT send back the four members that RFC 7592 §2.2
	// forbids in it (registration_access_token, registration_client_uri,
	// client_secret_expires_at and client_id_issued_at), if each has the value
	// that the client was given. If false, they are refused.
	TolerantUpdate bool

	// Who may register, and manage.

	// AllowAnonymous lets clients register without a Caller. If false, they
	// get 401.
	AllowAnonymous bool

	// Caller finds out who sent a registration. It is an [Authenticator]: it
	// returns nil for a stranger, and an [*Error] to refuse the request; any other
	// error is an outage and gets 503. A bearer token that it does not recognise is
	// refused too. Hooks and the store find the Caller in their context. If nil,
	// CallerFromContext.
	Caller func(*http.Request) (*Caller, error)

	// Open reports whether clients may register now. It is called for every
	// POST, before anything else, and by Discovery. While it returns false,
	// every registration gets ClosedStatus, and registration_endpoint is missing
	// from discovery; management and registered clients are not affected. If
	// nil, clients may register.
	Open func(ctx context.Context) bool

	// ClosedStatus is the HTTP status while Open returns false: 403 or 404. If
	// zero, 403.
	ClosedStatus int

	// Admit is called for every POST, once its Caller is known and before its body
	// is read; caller is nil for a stranger. An [*Error], such as one of status 429
	// with a RetryAfter, refuses the request; any other error is logged and gets
	// 500. callerauth.RateLimit makes one. If nil, all are admitted.
	Admit func(r *http.Request, caller *Caller) error

	// Origin says where a registration comes from, such as the address of the
	// connection. It is kept as Client.RegisteredFrom, without control characters
	// and cut to 255 bytes. Trust a forwarding header only if your proxy sets it:
	// otherwise the client can write anything there. If nil, nothing is kept.
	Origin func(r *http.Request) string

	// ManageAs lets a Caller read, update and delete a client without its
	// registration access token, if it returns true. If nil, no Caller may.
	ManageAs func(caller *Caller, client *Client) bool

	// ManageClient is called for every GET, PUT and DELETE that a registration
	// access token or ManageAs authorizes, before anything is answered or written.
	// It may check, say, that the certificate of the connection is the client's. An
	// [*Error] refuses the request; any other error is logged and gets 500. For a
	// PUT it is called before the body is read, and again afterwards, with the
	// client that is stored then. It must not read the body. If nil, all are
	// allowed.
	ManageClient func(r *http.Request, client *Client) error

	// ManageByCallerOnly issues no registration access tokens and accepts none,
	// not even from clients that got one earlier: only the Callers that ManageAs
	// allows manage clients. Answers have no registration_client_uri either.
	// DefaultValidator has the same switch for the clients of one policy.
	ManageByCallerOnly bool

	// Credentials.

	// NewClientID makes a client's identifier, of printable ASCII (RFC 6749 A.1).
	// It must not have a slash if ClientURI has the identifier in its path, and
	// must not begin with https://, as the identifiers of clients that publish
	// their metadata do. An [*Error] refuses the registration and is shown. If the
	// store already has a client with that id, NewClientID is called again, at most
	// three times in all. reg.Client.ID then has the taken id; at first it is
	// empty. If the third id is taken too, the answer is 500. If nil,
	// RandomClientID.
	NewClientID func(ctx context.Context, reg *Registration) (string, error)

	// NewClientSecret makes a client's secret, and the form in which the store
	// keeps it. If nil, RandomClientSecret.
	NewClientSecret func(ctx context.Context, reg *Registration) (Plaintext, Secret, error)

	// SecretLifetime is how long a client secret is valid. If zero, forever,
	// and client_secret_expires_at is 0. An update renews an expired secret.
	SecretLifetime time.Duration

	// RotateSecret gives a client a new secret with every update, unless the update
	// uses a registration access token that has been replaced. The old secret is
	// valid for RotationGrace.
	RotateSecret bool

	// RotateRegistrationToken gives a client a new registration access token
	// with every update. The old one is valid until the new one is used, or
	// for RotationGrace; an update that uses the old one rotates nothing.
	RotateRegistrationToken bool

	// RotationGrace is how long an old secret or token stays valid after a
	// rotation, so that a client that never got the answer is not locked out. If
	// zero, 1 hour.
	RotationGrace time.Duration

	// Sealer encrypts client secrets, for clients whose method or algorithms need
	// the secret itself (client_secret_jwt, HS256 …). While it fails, a client keeps
	// its secret, and a registration or update that needs the Sealer is answered with
	// 503. If nil, such registrations are refused.
	Sealer Sealer

	// SealAllSecrets keeps every client secret sealed, next to its hash, for hosts
	// that must have the secret itself: Client.OpenSecrets returns it. It needs
	// Sealer, and does not affect secrets that were issued before. If false, only
	// the secrets that symmetric algorithms need are kept.
	SealAllSecrets bool

	// Hooks.

	// ModifyResponse may edit an answer of status 200 or 201. It runs before the
	// client is stored: if it refuses, nothing is stored. It may edit reg.Client
	// too, within the fixed rules; members that the server issues are set
	// afterwards. reg.Request is nil on a read. If nil, KeepResponse.
	ModifyResponse func(ctx context.Context, reg *Registration, res *Response) error

	// AfterRegister and AfterUpdate are called once reg.Client is stored, before
	// the answer goes out. An error, or a panic, is logged and changes nothing.
	// They have StoreTimeout to finish, even if the client has gone away. If nil,
	// nothing happens.
	AfterRegister func(ctx context.Context, reg *Registration) error
	AfterUpdate   func(ctx context.Context, reg *Registration) error

	// AfterDelete is called with a client that was deleted, by itself or to make
	// room at MaxClients, so that the host can revoke its grants and tokens (RFC
	// 7592 §2.3). An error, or a panic, is logged. Package admin has its own
	// AfterDelete for what it deletes. If nil, nothing happens.
	AfterDelete func(ctx context.Context, client *Client) error

	// Events is called with everything that happens to clients, after it happened:
	// it cannot change what is stored or answered. It runs in the request, with the
	// context of the request, so a function that may block should put the event
	// into a queue. A panic is recovered and logged. Every answer that is not a
	// success is a RequestRefused. See [Event]. If nil, LogEvents(Logger).
	Events func(ctx context.Context, event Event)

	// WriteError writes every answer that is not a success. An *Error that it gets is a
	// copy, which it may change; errors.Is takes it for the error that a hook returned.
	// If nil, the function WriteError.
	WriteError func(w http.ResponseWriter, r *http.Request, err error)

	// Logger gets the errors of the server and, at debug level, requests whose
	// client closed the connection; never a body or a secret. Everything else goes
	// to Events, which logs here too if it is nil. If nil, slog.Default.
	Logger *slog.Logger

	// Now is the clock. If nil, time.Now.
	Now func() time.Time

	// Bounds.

	// MaxClients bounds how many clients the store holds. Beyond it, a registration
	// deletes the oldest client that was never used, as EvictAfter says, or gets
	// 503. Only registrations are limited by it. The store must be a ClientCounter.
	// It is counted at the first registration, which waits, and after that in the
	// background, at most every ten seconds: hosts that share a store may exceed
	// the bound a little, and the room of clients that were deleted for another
	// reason is seen only at the next count. If zero, only the store itself may
	// have a bound.
	MaxClients int64

	// EvictAfter is how old an active client that was never used must be before it may
	// be deleted to make room at MaxClients. Only clients that registered themselves
	// or came from a document are deleted; AfterDelete and Events are called. If none
	// is that old, the 503 says in Retry-After when one will be. The store knows only
	// from [ClientToucher] which clients are in use, so make EvictAfter negative if
	// your endpoints do not touch clients. If zero, 24 hours; if negative, no client
	// is evicted. A store that is not a ClientEvictor evicts none, and NewHandler
	// refuses a positive EvictAfter with one.
	EvictAfter time.Duration

	// MaxBodyBytes bounds the body of a request, in bytes. If zero, 64 KiB.
	MaxBodyBytes int64

	// Limits bound what a body may hold. Zero fields mean the defaults.
	Limits Limits

	// StoreTimeout bounds each read of the store and each write to it, from when the
	// store first looks at its context; a write continues when the request is
	// cancelled. If zero, 10 seconds.
	StoreTimeout time.Duration
}

const (
	defaultMaxBody       = 64 << 10
	defaultStoreTimeout  = 10 * time.Second
	defaultRotationGrace = time.Hour
)

// withDefaults returns a copy of o in which every hook is set.
func (o *Options) withDefaults() Options {
	opts := *o
	if opts.Validator == nil {
		opts.Validator = DefaultValidator{}
	}
	if opts.Caller == nil {
		opts.Caller = func(r *http.Request) (*Caller, error) { return CallerFromContext(r.Context()), nil }
	} else {
		opts.Caller = AnyOf(opts.Caller)
	}
	if opts.NewClientID == nil {
		opts.NewClientID = RandomClientID
	}
	if opts.NewClientSecret == nil {
		opts.NewClientSecret = RandomClientSecret
	}
	if opts.ModifyResponse == nil {
		opts.ModifyResponse = KeepResponse
	}
	if opts.WriteError == nil {
		opts.WriteError = WriteError
	}
	if opts.Decoders == nil {
		opts.Decoders = map[string]Decoder{jsonType: PlainJSON}
	}
	if opts.MaxBodyBytes <= 0 {
		opts.MaxBodyBytes = defaultMaxBody
	}
	if opts.StoreTimeout <= 0 {
		opts.StoreTimeout = defaultStoreTimeout
	}
	if opts.RotationGrace <= 0 {
		opts.RotationGrace = defaultRotationGrace
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Events == nil {
		opts.Events = LogEvents(opts.Logger)
	}
	if opts.ClosedStatus == 0 {
		opts.ClosedStatus = http.StatusForbidden
	}
	if opts.EvictAfter == 0 {
		opts.EvictAfter = defaultEvictAfter
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.Limits = opts.Limits.effective()
	return opts
}

const clientIDPlace = "{client_id}"

// clientURI returns the registration_client_uri of a client.
func (o *Options) clientURI(clientID string) string {
	if o.ClientURI != "" {
		return strings.Replace(o.ClientURI, clientIDPlace, url.PathEscape(clientID), 1)
	}
	separator := "?"
	if strings.Contains(o.Endpoint, "?") {
		separator = "&"
	}
	return o.Endpoint + separator + "client_id=" + url.QueryEscape(clientID)
}

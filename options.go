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

// Options configures a [Handler]. Everything but Endpoint has a default. The fields stand
// in five groups: the endpoint, who may register and manage, credentials, hooks, bounds.
type Options struct {
	// The endpoint: where it is, and what it speaks.

	// Endpoint is the absolute public URL of the registration endpoint, e.g.
	// https://id.example.com/connect/dcr: what clients see, whatever path the
	// handler is mounted at. Required; https unless its host is loopback,
	// without a fragment, and without client_id in its query.
	Endpoint string

	// ClientURI is the template of registration_client_uri (RFC 7592 §3), e.g.
	// https://id.example.com/connect/dcr/{client_id}. If empty, Endpoint with
	// the query client_id=….
	ClientURI string

	// Validator judges registrations and updates. If nil, DefaultValidator{}.
	Validator Validator

	// Policies are named alternatives to Validator, chosen by ChoosePolicy. A
	// client remembers the name and is updated under it; a name that is not
	// here fails closed.
	Policies map[string]Validator

	// ChoosePolicy names the policy, out of Policies, that a registration runs
	// under, or "" for Validator. caller is nil for a stranger. It is asked
	// before the body is read; an update runs under the policy that the client
	// registered with. If nil, CallerPolicy.
	ChoosePolicy func(r *http.Request, caller *Caller) (string, error)

	// Decoders turn bodies into JSON, by media type; a body of any other type
	// gets 415, application/json among them unless PlainJSON is here for it. If
	// nil, only application/json is taken. A policy that has Decoders of its own
	// takes bodies by those alone.
	Decoders map[string]Decoder

	// CORS says which web pages may call the endpoints. The zero value lets
	// none. Require answers by it too, where it is right in front.
	CORS CORS

	// Documents says whether clients that publish their metadata (OAuth Client ID
	// Metadata Document) are taken now, as cimd.Store.Advertised does: while it
	// does, Discovery has client_id_metadata_document_supported. If nil, as
	// Capabilities say.
	Documents func(ctx context.Context) bool

	// DisableManagement takes RFC 7592 away: no registration access tokens,
	// 405 for everything but POST. Nothing can be rotated then.
	DisableManagement bool

	// OptionalClientID accepts an update without client_id, which RFC 7592
	// §2.2 demands and UK Open Banking does not.
	OptionalClientID bool

	// TolerantUpdate lets a PUT send back the four members that RFC 7592 §2.2
	// keeps out of it (registration_access_token, registration_client_uri,
	// client_secret_expires_at and client_id_issued_at), where each has the value
	// that the client was answered. If false, they are refused.
	TolerantUpdate bool

	// Who may register, and manage.

	// AllowAnonymous lets clients register without a Caller. If false, they
	// get 401.
	AllowAnonymous bool

	// Caller says who asks for a registration, as an [Authenticator] does: nil
	// for nobody, an [*Error] to refuse; any other error is an outage and gets 503.
	// A bearer token that it does not recognise is refused too. The Caller is in the
	// context of the hooks and the store. If nil, CallerFromContext.
	Caller func(*http.Request) (*Caller, error)

	// Open is asked at every POST, before anything else is looked at, and by
	// Discovery, whether clients may register now. While they may not, everybody
	// gets ClosedStatus, and registration_endpoint is missing from discovery;
	// management and registered clients are not affected. If nil, they may.
	Open func(ctx context.Context) bool

	// ClosedStatus is the answer while Open says no: 403 or 404. If zero, 403.
	ClosedStatus int

	// Admit is asked about every POST once its Caller is settled, nil for a
	// stranger, and before its body is read. An [*Error], such as one of status 429
	// with a RetryAfter, refuses; any other error is the server's.
	// callerauth.RateLimit is one. If nil, all are admitted.
	Admit func(r *http.Request, caller *Caller) error

	// Origin says where a registration comes from, such as the address of the
	// connection; it is kept as Client.RegisteredFrom, without control characters
	// and at most 255 bytes of it. A forwarding header is the client's own word
	// unless the host's proxy sets it. If nil, nothing is kept.
	Origin func(r *http.Request) string

	// ManageAs lets a Caller read, update and delete a client without its
	// registration access token, where it returns true. If nil, no Caller may.
	ManageAs func(caller *Caller, client *Client) bool

	// ManageClient is asked about every GET, PUT and DELETE that a registration
	// access token or ManageAs let through, before anything is answered or
	// written: whether, say, the certificate of the connection is the client's. An
	// [*Error] refuses; any other error is the server's. It is asked about a PUT
	// before the body is read, which it does not do, and again about the client
	// as it is stored then. If nil, it lets all through.
	ManageClient func(r *http.Request, client *Client) error

	// ManageByCallerOnly issues no registration access tokens and takes none,
	// not even those of clients that have one from before: clients are managed by
	// the Callers that ManageAs lets, and by nobody else. Answers have no
	// registration_client_uri either. DefaultValidator has the same switch for
	// the clients of one policy.
	ManageByCallerOnly bool

	// Credentials.

	// NewClientID makes a client's identifier, of printable ASCII (RFC 6749 A.1),
	// without a slash where ClientURI has it in the path. It is none that begins
	// with https://: such a one belongs to a client that publishes its metadata. An
	// [*Error] refuses the registration and is shown. Where the store has a
	// client of that id, it is asked again, up to three times in all, with the
	// taken id in reg.Client.ID, which is empty at first; then that is an error
	// of the server's. If nil, RandomClientID.
	NewClientID func(ctx context.Context, reg *Registration) (string, error)

	// NewClientSecret makes a client's secret and the form in which it is
	// kept. If nil, RandomClientSecret.
	NewClientSecret func(ctx context.Context, reg *Registration) (Plaintext, Secret, error)

	// SecretLifetime is how long a client secret is valid. If zero, forever,
	// and client_secret_expires_at is 0. An update renews an expired secret.
	SecretLifetime time.Duration

	// RotateSecret gives a client a new secret with every update, but not with
	// one by a registration access token that was rotated away. The old one is
	// valid for RotationGrace.
	RotateSecret bool

	// RotateRegistrationToken gives a client a new registration access token
	// with every update. The old one is valid until the new one is used, or
	// for RotationGrace; an update by it rotates nothing again.
	RotateRegistrationToken bool

	// RotationGrace is how long what was rotated away stays valid, so that a
	// lost answer locks nobody out. If zero, 1 hour.
	RotationGrace time.Duration

	// Sealer keeps client secrets themselves, encrypted, for clients whose
	// method or algorithms need them (client_secret_jwt, HS256 …). If nil,
	// such registrations are refused.
	Sealer Sealer

	// SealAllSecrets keeps every client secret sealed next to its hash, for hosts
	// that compare or answer secrets themselves: Client.OpenSecrets returns them. It
	// needs Sealer, and changes nothing about secrets that were issued before. If
	// false, only the secrets that symmetric algorithms need are kept.
	SealAllSecrets bool

	// Hooks.

	// ModifyResponse may edit an answer of status 200 or 201. It runs before
	// the client is stored, so that refusing here leaves nothing. It may edit
	// reg.Client too, within the fixed rules; members that the server issues
	// are written after it. reg.Request is nil on a read. If nil,
	// KeepResponse.
	ModifyResponse func(ctx context.Context, reg *Registration, res *Response) error

	// AfterRegister and AfterUpdate are told of what was stored, as reg.Client is,
	// before the answer goes out. An error, or a panic, is logged and changes
	// nothing. They have StoreTimeout, whether or not the client waits. If nil,
	// nothing.
	AfterRegister func(ctx context.Context, reg *Registration) error
	AfterUpdate   func(ctx context.Context, reg *Registration) error

	// AfterDelete is told of a client that was deleted, by itself or to make room
	// at MaxClients, so that its grants and tokens die with it (RFC 7592 §2.3). An
	// error, or a panic, is logged. Deletions by package admin have an AfterDelete
	// of their own. If nil, nothing.
	AfterDelete func(ctx context.Context, client *Client) error

	// Events is told of everything that happens to clients, after it happened:
	// what is stored stays stored, and the answer goes out, whatever becomes of the
	// sink. It runs in the request, whose context it gets; a panic is recovered and
	// logged; what may block is the sink's to queue. Every answer that is not a
	// success is a RequestRefused. See [Event]. If nil, LogEvents(Logger).
	Events func(ctx context.Context, event Event)

	// WriteError writes every answer that is not a success. If nil, the
	// function WriteError.
	WriteError func(w http.ResponseWriter, r *http.Request, err error)

	// Logger gets what went wrong on our side and, at debug level, requests whose
	// client went away; never a body or a secret. What else happens, Events is told,
	// which logs here too if it is nil. If nil, slog.Default.
	Logger *slog.Logger

	// Now is the clock. If nil, time.Now.
	Now func() time.Time

	// Bounds.

	// MaxClients bounds how many clients the store holds: beyond it, the oldest
	// client that was never used makes room, as EvictAfter says, or a registration
	// gets 503. Nothing but registration asks it. The store must be a ClientCounter.
	// It is asked at the first registration, which waits, and then in the background, every ten
	// seconds at most: hosts that share it may exceed the bound a little, and room
	// that others made is seen by the registrations after the count.
	// If zero, only the store itself may have a bound.
	MaxClients int64

	// EvictAfter is how old an active client that was never used must be to make
	// room at MaxClients, if it registered itself or came from a document. It is
	// deleted; AfterDelete and Events are told. Where none is that old, the 503 says
	// in Retry-After when the next one will be. Which clients are in use the store
	// knows from [ClientToucher] alone: make it negative where the host's endpoints
	// touch no client. If zero, 24 hours; if negative, nobody is evicted. A store that
	// is no ClientEvictor evicts nobody, and a positive EvictAfter is refused there.
	EvictAfter time.Duration

	// MaxBodyBytes bounds a request's body. If zero, 64 KiB.
	MaxBodyBytes int64

	// Limits bound what a body may hold. Zero fields mean the defaults.
	Limits Limits

	// StoreTimeout bounds a read of the store, and a write to it, which outlives
	// a cancelled request. If zero, 10 seconds.
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

// clientURI is the registration_client_uri of a client.
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

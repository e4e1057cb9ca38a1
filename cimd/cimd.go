// Package cimd finds clients by the URL of their metadata (OAuth Client ID Metadata
// Document): the client_id is an https URL, and the document at that URL has the
// members that the client would otherwise have registered.
//
// [New] wraps the server's store. FindByClientID of the wrapped store finds clients
// that publish their metadata as well as those that registered. Both are judged by
// the same validators:
//
//	store, err := cimd.New(clients, &cimd.Options{
//		Issuer: "https://id.example.com",
//		Admit:  cimd.Hosts("claude.ai", "*.vscode.dev"),
//	})
//
// It may fetch a document, so use it at the endpoints where a person waits: the
// authorization endpoint, and that for pushed requests. At the token, revocation and
// introspection endpoints use [Store.Known], which never fetches. A [dcr.Handler] may
// have either, or the store inside: it manages only what is stored. Set
// [dcr.Options].Documents to [Store.Advertised], so that discovery follows.
//
// # What is kept
//
// A client that has not been used yet is kept only in memory, so that looking up a
// stranger's URL costs no row. TouchClient makes the row. Call it for the first token
// or, if there are several instances, when the code is issued, since the token request
// may reach another instance. Package clientauth calls it for each client that it
// authenticates, which a public client is by its id alone, without a code. If strangers
// are admitted, set DontTouch there, and call TouchClient once the code or the refresh
// token is known to be valid. From then on the store decides: a disabled row is never
// fetched again, a row of any other source takes precedence over the URL, and a store
// that fails is an outage.
//
// # Refused and unavailable
//
// The error for a document that is not valid, or does not exist, is an [*dcr.Error]
// of [dcr.InvalidClient]. If a document cannot be fetched now, the error is
// [ErrUnavailable], which is not a refusal: a known client goes on with its last
// document, for Options.MaxStale. [dcr.WriteInvalidClient] and package clientauth
// answer both. The authorization endpoint must show a page of its own, and never
// redirect.
package cimd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// ErrUnavailable says that a document cannot be fetched now: an outage, answered
// with 503.
var ErrUnavailable = errors.New("cimd: the client's metadata document is unavailable")

// Options are the settings of a [Store].
type Options struct {
	// Admit is called before any fetch, and again at each refresh. It returns the
	// policy that the client of this URL runs under, "" for Validator. An
	// [*dcr.Error] refuses, and keeps its code; any other error is an outage. If
	// nil, no client is admitted. See [Hosts] and [Any].
	Admit func(ctx context.Context, id *url.URL) (policy string, err error)

	Issuer    string                   // this server's issuer: documents on its host are refused; required, except by Judge
	Validator dcr.Validator            // judges documents; if nil, dcr.DefaultValidator{}
	Policies  map[string]dcr.Validator // validators, by the names that Admit returns, as in dcr.Options
	Limits    dcr.Limits               // bound what a document may hold, as in dcr.Options
	Fetch     *dcr.GuardedClient       // fetches documents; if nil, one with the defaults; if its MaxBytes is zero, that is 5 KiB
	Pinned    map[string][]byte        // documents, by URL, to use if the one at the URL is unavailable

	MinFresh  time.Duration // the shortest time that a document is fresh; if zero, 5 minutes
	MaxFresh  time.Duration // the longest time that a document is fresh; if zero, 24 hours
	Fresh     time.Duration // how long a document is fresh if its server does not say; if zero, 1 hour
	MaxStale  time.Duration // how long a known client continues to work while its document is unavailable; if zero, 7 days; if negative, not at all
	Backoff   time.Duration // how long until a URL that failed is tried again; if zero, 30 seconds
	Entries   int           // the most documents in memory, and the most failures; if zero, 1,000 each
	MaxStored int64         // the most rows of dcr.SourceDocument; if zero, 10,000; if the store is not a ClientCounter and a ClientLister, no rows are stored

	FetchesPerMinute     int // the most fetches a minute of URLs without a row; if zero, 120
	FetchesPerHostMinute int // the most such fetches a minute from one host; if zero, 30
	Concurrent           int // the most such fetches at the same time; if zero, 16
	RefreshesPerMinute   int // the most fetches a minute for clients with a row, counted separately; if zero, 120

	AllowQuery    bool // allow a query in the URL; a host that echoes its query would vouch for strangers
	AllowBareHost bool // allow a URL whose path is /, which may also be an issuer

	// AllowCallbacks allows members that make this server send requests, if the
	// validator supports them: backchannel_logout_uri,
	// backchannel_client_notification_endpoint and request_uris. If false, they are
	// refused, unless the client runs under one of Policies, whose Capabilities then
	// decide.
	AllowCallbacks bool

	// Changed is called if the document of a known client has changed, before the
	// change takes effect; members are those that changed. If it returns an error,
	// the client stays as it is until the next refresh, which calls Changed again.
	// If nil, changes take effect.
	Changed func(ctx context.Context, before, after *dcr.Client, members []string) error

	// AfterDelete is called with the client of a row that was deleted to make
	// room, as in dcr.Options. An error, or a panic, is logged. If nil, nothing
	// happens.
	AfterDelete func(ctx context.Context, client *dcr.Client) error

	Open   func(ctx context.Context) bool             // reports whether documents are accepted now; if nil, they are
	Events func(ctx context.Context, event dcr.Event) // called with fetches, changes, refusals and evictions; if nil, dcr.LogEvents(Logger)
	Logger *slog.Logger                               // gets the reason why a client was refused or unavailable, once a minute, and each time at level debug; if nil, slog.Default
	Now    func() time.Time                           // the clock; if nil, time.Now
}

// settings are options with every default filled in.
type settings struct {
	Options
	issuerHost string
}

func standard[T int | int64 | time.Duration](value *T, otherwise T) {
	if *value == 0 {
		*value = otherwise
	}
}

// withDefaults returns the settings of opts, which may be nil.
func (opts *Options) withDefaults() *settings {
	s := &settings{}
	if opts != nil {
		s.Options = *opts
	}
	if s.Validator == nil {
		s.Validator = dcr.DefaultValidator{}
	}
	if issuer, err := dcr.ParseURI(s.Issuer); err == nil {
		s.issuerHost = issuer.Host
	}
	standard(&s.MinFresh, 5*time.Minute)
	standard(&s.MaxFresh, 24*time.Hour)
	standard(&s.Fresh, time.Hour)
	standard(&s.MaxStale, 7*24*time.Hour)
	s.MaxStale = max(s.MaxStale, 0)
	standard(&s.Backoff, 30*time.Second)
	standard(&s.Entries, 1000)
	standard(&s.MaxStored, 10_000)
	standard(&s.FetchesPerMinute, 120)
	standard(&s.FetchesPerHostMinute, 30)
	standard(&s.Concurrent, 16)
	standard(&s.RefreshesPerMinute, 120)
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Events == nil {
		s.Events = logEvents(s.Logger)
	}
	return s
}

// logEvents is dcr.LogEvents without refusals, which a Store logs itself.
func logEvents(logger *slog.Logger) func(ctx context.Context, event dcr.Event) {
	log := dcr.LogEvents(logger)
	return func(ctx context.Context, event dcr.Event) {
		if event.Kind != dcr.DocumentRefused {
			log(ctx, event)
		}
	}
}

// maxDocument is how many bytes a document may have, unless Options.Fetch sets
// MaxBytes.
const maxDocument = 5 << 10

// guard returns a client that fetches documents. The documents of strangers and
// refreshes have one each, so that neither uses up what the other may fetch at once.
func (s *settings) guard() *dcr.GuardedClient {
	from := s.Fetch
	if from == nil {
		from = &dcr.GuardedClient{}
	}
	guard := &dcr.GuardedClient{
		AllowNetworks: from.AllowNetworks, PrivateHosts: from.PrivateHosts, AllowPorts: from.AllowPorts, RootCAs: from.RootCAs,
		Timeout: from.Timeout, MaxBytes: from.MaxBytes, Concurrent: from.Concurrent, PerHost: from.PerHost, Logger: from.Logger,
	}
	standard(&guard.MaxBytes, maxDocument)
	standard(&guard.Concurrent, s.Concurrent)
	if guard.Logger == nil {
		guard.Logger = s.Logger
	}
	return guard
}

// check refuses settings that contradict each other.
func (s *settings) check() error {
	issuer, err := dcr.ParseURI(s.Issuer)
	switch {
	case s.Issuer == "":
		return errors.New("Options.Issuer is empty; set it to the issuer of this server, so that no document on its own host is accepted")
	case err != nil:
		return fmt.Errorf("Options.Issuer %w", err)
	case issuer.Host == "":
		return errors.New("Options.Issuer has no host; set it to the issuer of this server")
	case s.MinFresh < 0 || s.MinFresh > s.MaxFresh:
		return errors.New("Options.MinFresh must be between zero and MaxFresh; change one of them")
	case s.Fresh < s.MinFresh || s.Fresh > s.MaxFresh:
		return errors.New("Options.Fresh must be between MinFresh and MaxFresh; change one of them")
	case s.Backoff < 0 || s.Entries < 0 || s.MaxStored < 0 || s.FetchesPerMinute < 0 || s.FetchesPerHostMinute < 0 || s.Concurrent < 0 || s.RefreshesPerMinute < 0:
		return errors.New("Options has a negative Backoff, Entries, MaxStored or budget; leave it at zero for its default")
	}
	if err := s.checkValidators(); err != nil {
		return err
	}
	return s.checkPinned()
}

// checkValidators refuses settings under which no validator can accept a document.
func (s *settings) checkValidators() error {
	takes := s.takesDocuments(s.Validator)
	for name, validator := range s.Policies {
		if name == "" || validator == nil {
			return fmt.Errorf("Options.Policies[%q] must have a name and a validator; take it out", name)
		}
		takes = takes || s.takesDocuments(validator)
	}
	if s.Admit != nil && !takes {
		return errors.New("Options.Validator supports no method that a client with a metadata document can have: all need a shared secret; add none or private_key_jwt to its TokenEndpointAuthMethods")
	}
	return nil
}

func (s *settings) takesDocuments(v dcr.Validator) bool {
	for _, method := range v.Capabilities().WithDefaults().TokenEndpointAuthMethods {
		if !sharesSecret(method) {
			return true
		}
	}
	return false
}

// checkPinned checks what does not depend on a policy in the pinned documents.
func (s *settings) checkPinned() error {
	for id, document := range s.Pinned {
		_, err := s.parseID(id)
		if err == nil {
			_, err = s.read(id, document)
		}
		if err != nil {
			return fmt.Errorf("Options.Pinned[%q]: %w", id, err)
		}
	}
	return nil
}

// published reports whether a client id is the URL of a document.
func published(clientID string) bool { return strings.HasPrefix(clientID, "https://") }

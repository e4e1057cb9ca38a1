package cimd

// The store that finds clients that publish their metadata as well as those
// that registered.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/lru"
	"github.com/dynreg/dcr/internal/tally"
)

// Store finds the clients of the store inside, and those whose id is the URL of their
// metadata. It reads the store inside at every look-up, so that it sees at once what
// an operator or another host wrote; put a cache in front of it for speed. Make one
// with [New].
//
// It has the optional capabilities of the store inside, found by [dcr.StoreAs], and
// TouchClient, which makes rows, but no others.
type Store struct {
	inside    dcr.ClientConfigurationStore
	opts      *settings
	strangers *dcr.GuardedClient
	refreshes *dcr.GuardedClient // of clients that have a row
	budget    *budget
	tenant    string
	tally     tally.Tally
	rows      rows

	mu        sync.Mutex
	documents *lru.Cache[string, *dcr.Client] // clients without a row; shared: do not write to them
	failures  *lru.Cache[string, failure]     // URLs that failed
	flights   map[string]*flight
}

// New returns a Store around store. If options contradict each other, its error
// says what to change.
func New(store dcr.ClientConfigurationStore, opts *Options) (*Store, error) {
	if store == nil {
		return nil, errors.New("cimd: New: the store is nil; pass the store of the clients that register")
	}
	s := opts.withDefaults()
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("cimd: New: %w", err)
	}
	made := &Store{
		inside: store, opts: s, strangers: s.guard(), refreshes: s.guard(), budget: newBudget(s),
		documents: lru.New[string, *dcr.Client](s.Entries), failures: lru.New[string, failure](s.Entries),
		flights: make(map[string]*flight),
	}
	if of, ok := dcr.StoreAs[interface{ Tenant() string }](store); ok {
		made.tenant = of.Tenant()
	}
	var counts, lists bool
	made.rows.counter, counts = dcr.StoreAs[dcr.ClientCounter](store)
	made.rows.lister, lists = dcr.StoreAs[dcr.ClientLister](store)
	if !counts || !lists {
		const lacks = "the store is not a ClientCounter and ClientLister, so that rows of metadata documents could not be bounded"
		if opts != nil && opts.MaxStored > 0 {
			return nil, errors.New("cimd: New: Options.MaxStored: " + lacks + "; use a store that is both, or leave MaxStored at zero, and no rows are made")
		}
		s.Logger.Warn("client metadata documents: " + lacks + "; they stay in memory alone")
	}
	return made, nil
}

// Add stores a new client; see [dcr.ClientConfigurationStore].
func (s *Store) Add(ctx context.Context, client *dcr.Client) error {
	err := s.inside.Add(ctx, client)
	if err == nil {
		s.forget(client.ID)
	}
	return err
}

// Update replaces a client; see [dcr.ClientConfigurationStore].
func (s *Store) Update(ctx context.Context, client *dcr.Client) error {
	return s.inside.Update(ctx, client)
}

// Delete removes a client; see [dcr.ClientConfigurationStore]. If it publishes its
// metadata, the next look-up fetches that again: disable the client to keep it
// out.
func (s *Store) Delete(ctx context.Context, clientID string) error {
	s.forget(clientID)
	return s.inside.Delete(ctx, clientID)
}

// FindByClientID finds a client, if need be by fetching its document. It is for the
// authorize and pushed authorization request endpoints. If the document is refused,
// it returns an [*dcr.Error] of InvalidClient, or of a code that Options.Admit
// chose; if it cannot be fetched, [ErrUnavailable]. Concurrent calls for the same
// document share one fetch, which goes on even if the callers go away.
//
// The client is as the document was at Document.FetchedAt. Its ExpiresAt is when
// it will have been unavailable for too long.
func (s *Store) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	if !published(clientID) {
		return s.inside.FindByClientID(ctx, clientID)
	}
	client, _, err := s.known(ctx, clientID)
	switch {
	case err != nil:
		return nil, err
	case client != nil && isFinal(client):
		return client, nil
	}
	u, err := s.opts.parseID(clientID)
	if err == nil {
		err = s.opts.open(ctx)
	}
	if err != nil {
		return nil, s.told(ctx, clientID, err)
	}
	if client != nil && s.isFresh(client, s.opts.Now()) {
		if endsSoon(client, s.opts.Now()) && !s.failedLately(clientID, s.opts.Now()) {
			s.begin(ctx, clientID, u, early)
		}
		return s.shown(client), nil
	}
	client, err = s.lookNow(ctx, clientID, u)
	return client, s.told(ctx, clientID, err)
}

// FindStored finds a client in the store inside, without its document.
func (s *Store) FindStored(ctx context.Context, clientID string) (*dcr.Client, error) {
	return dcr.FindStored(ctx, s.inside, clientID)
}

// Known returns a view of the store that never fetches, for the token, revocation
// and introspection endpoints. It finds clients that have a row, and those that this
// process fetched, until they have been unavailable for too long. For any other URL
// that is admitted it returns [ErrUnavailable], since another process may know that
// client.
func (s *Store) Known() dcr.ClientConfigurationStore { return knownOnly{s, s} }

type knownOnly struct {
	dcr.ClientConfigurationStore // the store, to write to
	all                          *Store
}

func (k knownOnly) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	return k.all.findKnown(ctx, clientID)
}

// FindStored finds a client in the store inside, without its document.
func (k knownOnly) FindStored(ctx context.Context, clientID string) (*dcr.Client, error) {
	return k.all.FindStored(ctx, clientID)
}

// Known returns the same store.
func (k knownOnly) Known() dcr.ClientConfigurationStore { return k }

// As is how [dcr.StoreAs] finds the optional capabilities.
func (k knownOnly) As(target any) bool { return dcr.StoreInto(k.all, target) }

func (s *Store) findKnown(ctx context.Context, clientID string) (*dcr.Client, error) {
	if !published(clientID) {
		return s.inside.FindByClientID(ctx, clientID)
	}
	client, _, err := s.known(ctx, clientID)
	switch {
	case err != nil:
		return nil, err
	case client != nil && isFinal(client):
		return client, nil
	case client != nil && isWithdrawn(client):
		return nil, s.told(ctx, clientID, errWithdrawn())
	case client != nil && s.serves(client, s.opts.Now()):
		return s.shown(client), nil
	}
	u, err := s.opts.parseID(clientID)
	if err == nil {
		_, err = s.opts.admit(ctx, u)
	}
	if err == nil {
		err = &outage{reason: "unknown"}
	}
	return nil, s.told(ctx, clientID, err)
}

// Advertised reports whether discovery should have
// client_id_metadata_document_supported: whether Admit is set and Open returns
// true.
func (s *Store) Advertised(ctx context.Context) bool { return s.opts.open(ctx) == nil }

// known returns what is known of a client without the network: its row, or what is in
// memory; nil if there is neither.
func (s *Store) known(ctx context.Context, clientID string) (client *dcr.Client, stored bool, err error) {
	client, err = s.inside.FindByClientID(ctx, clientID)
	if !errors.Is(err, dcr.ErrClientNotFound) {
		return client, err == nil, err
	}
	s.mu.Lock()
	client, found := s.documents.Get(clientID)
	s.mu.Unlock()
	if !found {
		return nil, false, nil
	}
	return client.Clone(), false, nil
}

// isFinal reports whether the row of a client counts, whatever its document says: the
// client came from elsewhere, or is disabled.
func isFinal(c *dcr.Client) bool {
	return c.Source != dcr.SourceDocument || c.Status != dcr.StatusActive && c.Status != dcr.StatusPending
}

func isWithdrawn(c *dcr.Client) bool { return c.Document != nil && !c.Document.Withdrawn.IsZero() }

// isFresh reports whether a document need not be looked at. If it is noted to be fresh
// for longer than MaxFresh, a wrong clock noted that.
func (s *Store) isFresh(c *dcr.Client, now time.Time) bool {
	return c.Document != nil && !isWithdrawn(c) && now.Before(c.Document.FreshUntil) && !c.Document.FreshUntil.After(now.Add(s.opts.MaxFresh))
}

// endsSoon reports whether it is time to fetch a fresh document in the background: in
// the last tenth of the time that it is fresh, but at most five minutes before the end.
func endsSoon(c *dcr.Client, now time.Time) bool {
	window := min(c.Document.FreshUntil.Sub(c.Document.FetchedAt)/10, 5*time.Minute)
	return !now.Before(c.Document.FreshUntil.Add(-window))
}

// serves reports whether a client continues to work while its document is unavailable.
func (s *Store) serves(c *dcr.Client, now time.Time) bool {
	return c.Document != nil && !isWithdrawn(c) && !c.Document.FetchedAt.IsZero() && now.Before(s.end(c))
}

// end returns when a client ends if its document stays unavailable.
func (s *Store) end(c *dcr.Client) time.Time { return c.Document.FreshUntil.Add(s.opts.MaxStale) }

// shown returns the client as callers get it. The ExpiresAt of its row may be earlier,
// since freshness is noted without rewriting the row.
func (s *Store) shown(c *dcr.Client) *dcr.Client {
	c.ExpiresAt = s.end(c)
	return c
}

func errWithdrawn() error {
	return refuse("document.withdrawn", "the metadata document of this client is gone, or no longer valid")
}

// forget drops a client from memory.
func (s *Store) forget(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.documents.Delete(clientID)
}

// event tells the host what happened. A panic of Options.Events is logged and has no
// other effect.
func (s *Store) event(ctx context.Context, event dcr.Event) {
	defer func() {
		if panicked := recover(); panicked != nil {
			s.opts.Logger.ErrorContext(ctx, "cimd: Options.Events panicked", "event", string(event.Kind), "client_id", event.ClientID, "panic", panicked, "stack", string(debug.Stack()))
		}
	}()
	event.At, event.Tenant = s.opts.Now(), s.tenant
	s.opts.Events(ctx, event)
}

// told returns err, and logs why a client was not found, since its user does not learn
// that: each time at level debug, and for each kind of reason once a minute, with an
// example, at a higher level.
func (s *Store) told(ctx context.Context, clientID string, err error) error {
	refused, failed := asRefusal(err), (*outage)(nil)
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.As(err, &failed):
		about := withCause(failed.cause, "client_id", shortened(clientID), "reason", failed.reason)
		s.opts.Logger.DebugContext(ctx, "client metadata document unavailable", about...)
		s.tally.Log(ctx, s.opts.Logger, slog.LevelWarn, failed.reason, "client metadata documents are unavailable", about...)
	case refused != nil:
		about := withCause(refused.Err, "client_id", shortened(clientID), "rule", refused.Rule, "description", refused.Description)
		s.opts.Logger.DebugContext(ctx, "client metadata document refused", about...)
		s.tally.Log(ctx, s.opts.Logger, slog.LevelInfo, refused.Rule, "client metadata documents are refused", about...)
		s.event(ctx, dcr.Event{Kind: dcr.DocumentRefused, ClientID: shortened(clientID), Source: dcr.SourceDocument, Err: refused, Reason: refused.Rule})
	default:
		s.opts.Logger.ErrorContext(ctx, "client metadata document failed", "client_id", shortened(clientID), "error", err)
	}
	return err
}

// shortened cuts a client id, which may come from a stranger, for the log.
func shortened(clientID string) string { return clientID[:min(len(clientID), maxID)] }

// withCause appends the cause of an outage or a refusal, if there is one.
func withCause(cause error, about ...any) []any {
	if cause != nil {
		about = append(about, "error", cause)
	}
	return about
}

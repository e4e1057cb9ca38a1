package dcr

// Where clients are kept: the store, and what else a store may be able to do.

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// The errors with which a store says what it found. Any other error of a store
// is an outage: it is logged and answered with 503, so that no client believes
// that its registration is gone.
var (
	ErrClientNotFound = errors.New("dcr: client not found")
	ErrClientExists   = errors.New("dcr: client id is taken")
	ErrConflict       = errors.New("dcr: client was changed meanwhile")
	ErrStoreFull      = errors.New("dcr: store has reached its limit")
)

// ErrCursor says that a cursor is not one that this store made. Cursors are often
// in the address of a page, which a person may change, so this is no outage.
var ErrCursor = errors.New("dcr: not a cursor of this store")

// ClientConfigurationStore keeps registered clients. It must be safe for
// concurrent use, keep every field of a [Client], and keep copies, so that the
// caller may change what it passed in or got back. When a method returns nil,
// its change must be durable. [dcrtest.TestStore] tests an implementation.
//
// [dcrtest.TestStore]: https://pkg.go.dev/github.com/dynreg/dcr/dcrtest#TestStore
type ClientConfigurationStore interface {
	// Add stores a new client and sets its Revision, in client too, to a random
	// number such as that of [NewRevision], whatever it was before. A client
	// that is added with the id of a deleted one is another client, and must
	// not get a Revision that the deleted one had. Add returns ErrClientExists
	// if the id is taken, ErrStoreFull if the store's limit is reached, and
	// ErrClientID if [CheckClientID] refuses the id; nothing is stored then.
	Add(ctx context.Context, client *Client) error

	// FindByClientID returns the client with that id, compared byte for byte. It
	// returns ErrClientNotFound if there is no such client, and for no other
	// reason. For an id that [CheckClientID] refuses, it returns
	// ErrClientNotFound too, as do Update and Delete.
	FindByClientID(ctx context.Context, clientID string) (*Client, error)

	// Update replaces the stored client if its Revision is still that of client,
	// and increments the Revision, in client too. It returns ErrConflict if the
	// client was changed meanwhile, and ErrClientNotFound if it is gone; nothing
	// is changed then.
	Update(ctx context.Context, client *Client) error

	// Delete removes the client. It returns ErrClientNotFound if there is none.
	Delete(ctx context.Context, clientID string) error
}

// NewRevision returns a random Revision for a new client, from 1 to 2^52. It is
// random so that a client added with the id of a deleted one does not repeat
// its Revisions. It leaves room to count up below 2^53, the limit of integers
// that readers in every language hold exactly.
func NewRevision() int64 { return 1 + rand.Int64N(1<<52) }

// RevisionDeleter is a store that can delete a client only if it is still as it
// was read. The [Handler] uses it if the store has it. With any other store, a
// client is deleted even if it was changed, or added again under its id, right
// after it was read.
type RevisionDeleter interface {
	// DeleteRevision removes the client if its Revision is still the given one.
	// It returns ErrConflict if the Revision is another one, and
	// ErrClientNotFound if there is no such client; nothing is changed then.
	DeleteRevision(ctx context.Context, clientID string, revision int64) error
}

// Filter selects clients. A zero field selects all.
type Filter struct {
	SoftwareID     string    // clients with this software_id
	RegisteredBy   string    // clients registered by this caller's subject
	Policy         string    // clients registered under this policy
	Status         *Status   // clients of this status, such as new(StatusPending)
	Source         *Source   // clients of this source
	CreatedAfter   time.Time // clients created at this time or later
	CreatedBefore  time.Time // clients created before this time
	NeverActivated bool      // clients that were never used
	UsedBefore     time.Time // clients created before this time, and not used since then
	ActivatedBy    string    // clients first consented to by this person
	RedirectHost   string    // clients with a redirect URI on this host, whatever its port
	NamePrefix     string    // clients whose client_name begins with this, in any case of letters
}

// ClientLister is a store that can list its clients.
type ClientLister interface {
	// ListClients yields the clients that filter selects, in the order of
	// their ids, starting after the id after ("" starts at the beginning). It
	// reads in pages: a client that is added or deleted meanwhile may or may not
	// appear; every other client appears exactly once. An error ends the
	// sequence.
	ListClients(ctx context.Context, filter Filter, after string) iter.Seq2[*Client, error]
}

// ClientViewer is a store that can show a client without copying it, for endpoints
// that need the same clients at every request.
//
// Only a method that the store itself declares counts. [StoreAs] looks neither into
// a wrapper nor at a method of an embedded store, since the inner store may show a
// client that the outer one would not find, or would change. A store that declares the
// method must not also embed a store that has one: embed it as a
// [ClientConfigurationStore], or keep it in a field that has a name.
type ClientViewer interface {
	// ViewClient returns the client that FindByClientID returns, and the same
	// errors. The client is shared: never change it or anything in it.
	ViewClient(ctx context.Context, clientID string) (*Client, error)
}

// StoredFinder is a store whose FindByClientID may find what is not stored, or not as
// it is stored now: a cache, a store that fetches metadata documents, or one that wraps
// such a store. Those who change clients use [FindStored].
//
// As of a [ClientViewer], only a method that the store itself declares counts.
type StoredFinder interface {
	// FindStored returns the client as it is stored now, or ErrClientNotFound.
	FindStored(ctx context.Context, clientID string) (*Client, error)
}

// FindStored returns a client as it is stored now, to manage or change it: by the
// FindStored of a [StoredFinder], by FindByClientID of any other store.
func FindStored(ctx context.Context, store ClientConfigurationStore, clientID string) (*Client, error) {
	if finder, ok := StoreAs[StoredFinder](store); ok {
		return finder.FindStored(ctx, clientID)
	}
	return store.FindByClientID(ctx, clientID)
}

// RecentClientLister is a store that can list its clients newest first.
type RecentClientLister interface {
	// ListRecentClients returns up to limit clients that filter selects, the
	// last created first, and the cursor of the next page, "" at the end. To
	// return soon, it may return fewer clients, or none, with a cursor after
	// those that it looked at: only an empty cursor means that there are no
	// more. A client that is added or deleted meanwhile may or may not appear;
	// every other client appears exactly once. A cursor that the store did not
	// make is an error, ErrCursor in the stores of this library.
	ListRecentClients(ctx context.Context, filter Filter, cursor string, limit int) (clients []*Client, next string, err error)
}

// ClientCounter is a store that can count its clients.
type ClientCounter interface {
	// CountClients returns how many clients filter selects.
	CountClients(ctx context.Context, filter Filter) (int64, error)
}

// ClientLimiter is a store that itself bounds how many clients it holds.
type ClientLimiter interface {
	// ClientLimit returns the most clients that the store holds; zero if it
	// has no limit.
	ClientLimit() int64
}

// ClientToucher is a store that can note the use of a client. Only the host knows
// when a client is used: its token endpoint must call TouchClient each time a
// client has authenticated, or gets a token without authentication. Without these
// calls every client counts as never used, and SweepRule.NeverActivatedBefore
// deletes clients that are used every day.
type ClientToucher interface {
	// TouchClient notes that the client was used at the given time. It moves
	// LastUsedAt forward, never back, and sets ActivatedAt on the first use. The
	// Revision stays the same, so that no Update conflicts with it. A store may skip
	// a move that is shorter than its throttle, and treats a time in the future as
	// now. It returns ErrClientNotFound if there is no such client.
	TouchClient(ctx context.Context, clientID string, at time.Time) error
}

// DocumentNoter is a store that can note what is known about a client's
// metadata document.
type DocumentNoter interface {
	// NoteDocument replaces the client's Document. The Revision stays the same, as
	// with TouchClient, so that no Update conflicts with it; an Update with a
	// client that was read earlier must not overwrite a record that is newer by
	// its FetchedAt or Withdrawn. NoteDocument returns ErrClientNotFound if there
	// is no such client.
	NoteDocument(ctx context.Context, clientID string, record DocumentRecord) error
}

// ConsentNoter is a store that can note a person's consent.
type ConsentNoter interface {
	// NoteConsent touches the client, as TouchClient does, and sets ActivatedBy
	// if it is empty. The Revision stays the same. It returns ErrClientNotFound
	// if there is no such client.
	NoteConsent(ctx context.Context, clientID string, person string, at time.Time) error
}

// NoteConsent notes that a person consented to a client at the given time: it
// counts as a use, and the first person becomes ActivatedBy. person is any name
// that the host uses for people. NoteConsent returns an error if the store is
// not a [ConsentNoter].
func NoteConsent(ctx context.Context, store ClientConfigurationStore, clientID, person string, at time.Time) error {
	noter, ok := StoreAs[ConsentNoter](store)
	if !ok {
		return errors.New("dcr: NoteConsent: the store is no ConsentNoter; use one that is, or call TouchClient to note only the use")
	}
	return noter.NoteConsent(ctx, clientID, person, at)
}

// SweepRule says which clients a sweep deletes: those that meet any of its conditions.
// A zero condition is met by no client. NeverActivatedBefore and IdleBefore depend on
// when a client was used, which a store knows only from [ClientToucher] and
// [ConsentNoter]. If the host's endpoints do not call these, every client looks unused,
// and the two conditions delete clients that are in use.
type SweepRule struct {
	NeverActivatedBefore time.Time // active, created before this time and never touched
	IdleBefore           time.Time // last touched before this time
	ExpiredBefore        time.Time // ExpiresAt before this time
	WithdrawnBefore      time.Time // whose document was withdrawn before this time
	Sources              []Source  // only clients of these sources; if nil, of SourceDynamic
	DryRun               bool      // select and report, delete nothing
	BatchSize            int       // deleted at a time; if zero, 500

	// BeforeDelete, if not nil, is called with each client before it is deleted.
	// If it returns ErrKeepClient, wrapped or not, the client is kept and not
	// counted. If it returns any other error, the client is kept and the sweep
	// ends with that error. A dry run does not call it.
	BeforeDelete func(ctx context.Context, client *Client) error

	// AfterDelete, if not nil, is called with each client that this sweep deleted,
	// as it was selected. If several hosts sweep at once, it is called once for each
	// client in all. A dry run does not call it.
	AfterDelete func(ctx context.Context, client *Client)
}

// ErrKeepClient, returned by SweepRule.BeforeDelete, keeps that client and goes
// on with the next.
var ErrKeepClient = errors.New("dcr: keep the client")

// ClientSweeper is a store that can delete unused clients.
type ClientSweeper interface {
	// SweepClients deletes the clients that rule selects, in batches, and returns
	// how many it deleted or, on a dry run, would delete. It keeps a client that
	// was used meanwhile and, until the next sweep, one that was changed after
	// BeforeDelete was called with it.
	SweepClients(ctx context.Context, rule SweepRule) (int64, error)
}

// ClientEvictor is a store that can delete its oldest unused client, to make
// room.
type ClientEvictor interface {
	// EvictClient deletes the oldest active client of SourceDynamic or
	// SourceDocument that was created before the given time and never used, and
	// returns it; nil if there is none. next is the CreatedAt of the oldest
	// client that may be evicted later, zero if there is none. Concurrent calls
	// evict different clients.
	EvictClient(ctx context.Context, createdBefore time.Time) (evicted *Client, next time.Time, err error)
}

// StatementFinder is a store that can find the clients of a software
// statement.
type StatementFinder interface {
	// FindByStatement returns the ids of the clients that registered with the
	// statement of this issuer and id, nil if there are none.
	FindByStatement(ctx context.Context, issuer, id string) ([]string, error)
}

// InitialAccessTokenStore is a store that keeps initial access tokens (RFC 7591
// §3) and counts their uses. It knows tokens only by their hash.
type InitialAccessTokenStore interface {
	// AddInitialAccessToken stores a new token.
	AddInitialAccessToken(ctx context.Context, token *InitialAccessToken) error

	// FindInitialAccessToken returns the token with that hash. It returns
	// ErrTokenNotFound if there is none, and for no other reason.
	FindInitialAccessToken(ctx context.Context, hash string) (*InitialAccessToken, error)

	// UseInitialAccessToken counts one use, atomically among all the hosts that
	// share the store: Uses never exceeds MaxUses. It returns ErrTokenUsedUp if
	// no use is left or the token has expired at now, and ErrTokenNotFound if
	// there is no such token.
	UseInitialAccessToken(ctx context.Context, hash string, now time.Time) error

	// ReleaseInitialAccessToken takes one use back, for a registration that
	// failed after it was counted. It returns nil if there is no such token.
	ReleaseInitialAccessToken(ctx context.Context, hash string) error

	// DeleteInitialAccessToken revokes the token. It returns ErrTokenNotFound if
	// there is none.
	DeleteInitialAccessToken(ctx context.Context, hash string) error
}

// InitialAccessTokenLister is a store that can list its initial access tokens.
type InitialAccessTokenLister interface {
	// ListInitialAccessTokens returns up to limit tokens, the last issued, by
	// their CreatedAt, first, and the cursor of the next page, "" at the end. A
	// cursor that the store did not make is an error, as for ListRecentClients.
	ListInitialAccessTokens(ctx context.Context, cursor string, limit int) (tokens []InitialAccessToken, next string, err error)
}

// The errors with which an [InitialAccessTokenStore] says what it found.
var (
	ErrTokenNotFound = errors.New("dcr: initial access token not found")
	ErrTokenUsedUp   = errors.New("dcr: initial access token is used up or expired")
)

// InitialAccessToken is an initial access token as it is stored: what its
// bearer may register, and how often.
type InitialAccessToken struct {
	Hash      string    `json:"hash"`                // SHA-256 of the token, base64url; names the token
	Policy    string    `json:"policy,omitempty"`    // a name in Options.Policies, "" for Options.Validator
	Subject   string    `json:"subject,omitempty"`   // becomes the client's RegisteredBy
	Notes     string    `json:"notes,omitempty"`     // becomes the client's Notes
	MaxUses   int       `json:"max_uses,omitempty"`  // zero: any number
	Uses      int       `json:"uses,omitempty"`      // counted by the store
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	CreatedAt time.Time `json:"created_at,omitzero"`
}

// ReplayStore is a store that remembers values that may be used only once.
type ReplayStore interface {
	// Remember notes key until the given time and reports whether it was new. It
	// is atomic among all the hosts that share the store. The store must not
	// forget a key until now is an hour past its time, since the clocks of other
	// hosts may be slow.
	Remember(ctx context.Context, key string, until, now time.Time) (fresh bool, err error)
}

// ReplayForgetter is a [ReplayStore] that can forget a value again. Without it, a
// value that was used stays used even if no client was stored.
type ReplayForgetter interface {
	// Forget makes a value new again, since no client was stored when it was
	// used. It returns nil for a value that is not remembered.
	Forget(ctx context.Context, key string) error
}

// StoreAs returns the optional capability T of a store, such as
// [ClientToucher]: the store itself, if it has T's methods, or what the store
// says it is by its own method
//
//	As(target any) bool
//
// which sets target, a pointer to an interface, and reports whether it could. A
// store that wraps another implements As so that it has the capabilities of the
// inner store and no others: it sets target to a wrapper for the capabilities
// that it must wrap, and calls [StoreInto] with the inner store for the rest.
// [ClientViewer] and [StoredFinder] are exceptions: only a method of the store itself
// counts, since another might find what FindByClientID of the outer store would not.
func StoreAs[T any](store ClientConfigurationStore) (capability T, ok bool) {
	own, has := store.(T) // without reflection, since endpoints ask at every request
	switch reading := readingFor((*T)(nil)); {
	case has && (reading == nil || reading.isOwn(reflect.TypeOf(store))):
		return own, true
	case reading != nil:
		return capability, false
	}
	var inner T
	ok = StoreInto(store, &inner)
	return inner, ok
}

// StoreInto is [StoreAs] for a target that is known only at run time: a non-nil
// pointer to an interface.
func StoreInto(store ClientConfigurationStore, target any) bool {
	into, own, reading := reflect.ValueOf(target).Elem(), reflect.TypeOf(store), readingFor(target)
	switch {
	case own.Implements(into.Type()) && (reading == nil || reading.isOwn(own)):
		into.Set(reflect.ValueOf(store))
		return true
	case reading != nil:
		return false
	}
	wrapper, ok := store.(interface{ As(target any) bool })
	return ok && wrapper.As(target)
}

// A reading is a capability to find a client in another way.
type reading struct {
	capability reflect.Type
	embedded   sync.Map // by the type of a store, what isEmbedded says
}

var (
	viewingClients = reading{capability: reflect.TypeFor[ClientViewer]()}
	findingStored  = reading{capability: reflect.TypeFor[StoredFinder]()}
)

// readingFor returns the reading that target, a pointer to an interface, is for; nil if
// it is for another capability.
func readingFor(target any) *reading {
	switch target.(type) {
	case *ClientViewer:
		return &viewingClients
	case *StoredFinder:
		return &findingStored
	}
	return nil
}

// isOwn reports whether a store that has the method cannot have it from one that it
// embeds. It is asked at every request.
func (r *reading) isOwn(store reflect.Type) bool {
	embedded, known := r.embedded.Load(store)
	if !known {
		embedded, _ = r.embedded.LoadOrStore(store, r.isEmbedded(store))
	}
	return !embedded.(bool)
}

// isEmbedded reports whether a store embeds one that has the method.
func (r *reading) isEmbedded(store reflect.Type) bool {
	if store.Kind() == reflect.Pointer {
		store = store.Elem()
	}
	if store.Kind() != reflect.Struct {
		return false
	}
	for i := range store.NumField() {
		if f := store.Field(i); f.Anonymous && (f.Type.Implements(r.capability) || reflect.PointerTo(f.Type).Implements(r.capability)) {
			return true
		}
	}
	return false
}

// Selects reports whether filter selects client. It defines what a [Filter]
// means, and stores may call it.
func (filter *Filter) Selects(client *Client) bool {
	return (filter.SoftwareID == "" || client.SoftwareID == filter.SoftwareID) &&
		(filter.RegisteredBy == "" || client.RegisteredBy == filter.RegisteredBy) &&
		(filter.Policy == "" || client.Policy == filter.Policy) &&
		(filter.Status == nil || client.Status == *filter.Status) &&
		(filter.Source == nil || client.Source == *filter.Source) &&
		(filter.CreatedAfter.IsZero() || !client.CreatedAt.Before(filter.CreatedAfter)) &&
		(filter.CreatedBefore.IsZero() || client.CreatedAt.Before(filter.CreatedBefore)) &&
		(!filter.NeverActivated || client.neverUsed()) &&
		(filter.UsedBefore.IsZero() || client.CreatedAt.Before(filter.UsedBefore) && client.LastUsedAt.Before(filter.UsedBefore)) &&
		(filter.ActivatedBy == "" || client.ActivatedBy == filter.ActivatedBy) &&
		(filter.RedirectHost == "" || client.hasRedirectHost(filter.RedirectHost)) &&
		(filter.NamePrefix == "" || strings.HasPrefix(strings.ToLower(client.ClientName), strings.ToLower(filter.NamePrefix)))
}

// Selects reports whether the rule selects client. It defines what a
// [SweepRule] means, and stores may call it.
func (rule *SweepRule) Selects(client *Client) bool {
	before := func(at, limit time.Time) bool { return !limit.IsZero() && !at.IsZero() && at.Before(limit) }
	return slices.Contains(rule.sources(), client.Source) &&
		(client.neverUsed() && client.Status == StatusActive && before(client.CreatedAt, rule.NeverActivatedBefore) ||
			before(client.LastUsedAt, rule.IdleBefore) ||
			before(client.ExpiresAt, rule.ExpiredBefore) ||
			client.Document != nil && before(client.Document.Withdrawn, rule.WithdrawnBefore))
}

var sweptByDefault = []Source{SourceDynamic}

func (rule *SweepRule) sources() []Source {
	if rule.Sources == nil {
		return sweptByDefault
	}
	return rule.Sources
}

package dcr

// Where clients are kept: the store, and what a store may do besides.

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
	"unicode/utf8"
)

// The errors by which a store says what it found. Every other error of a store
// is an outage: it is logged, answered with 503, and never makes a client
// believe that its registration is gone.
var (
	ErrClientNotFound = errors.New("dcr: client not found")
	ErrClientExists   = errors.New("dcr: client id is taken")
	ErrConflict       = errors.New("dcr: client was changed meanwhile")
	ErrStoreFull      = errors.New("dcr: store has reached its limit")
)

// ErrCursor says that a cursor is none that this store made. It is what an address
// says that a person may have changed, and no outage.
var ErrCursor = errors.New("dcr: not a cursor of this store")

// ErrClientID says that no store takes this id; see [CheckClientID].
var ErrClientID = errors.New("dcr: not a client id: it must be 1 to 255 bytes of UTF-8 without NUL")

// maxClientID is the length of the longest client id in bytes, which every
// database can index.
const maxClientID = 255

// CheckClientID returns ErrClientID unless stores take the id: 1 to 255 bytes of
// UTF-8 without NUL. A store has no client of any other id, so that it need not
// look for one, and a cache need not remember that there is none.
func CheckClientID(clientID string) error {
	if clientID == "" || len(clientID) > maxClientID || !utf8.ValidString(clientID) || strings.Contains(clientID, "\x00") {
		return ErrClientID
	}
	return nil
}

// ClientConfigurationStore keeps registered clients. It is safe for concurrent
// use, keeps copies (what it was given and what it returned may be changed by
// the caller without effect), keeps every field of a [Client], and has stored
// durably what it returned nil for. [dcrtest.TestStore] checks an
// implementation.
//
// [dcrtest.TestStore]: https://pkg.go.dev/github.com/dynreg/dcr/dcrtest#TestStore
type ClientConfigurationStore interface {
	// Add stores a new client and sets its Revision, in client too, to a random
	// number such as that of [NewRevision], whatever client had before: an id
	// that was deleted and is added again is another client, and no Revision
	// that an earlier one had is good for it. ErrClientExists says that the id
	// is taken, ErrStoreFull that the store's limit is reached, ErrClientID that
	// it is none that [CheckClientID] lets through; nothing is stored then.
	Add(ctx context.Context, client *Client) error

	// FindByClientID returns the client with that id, byte for byte.
	// ErrClientNotFound says that there is none, and only that, also of what is
	// no client id; Update and Delete say the same of it.
	FindByClientID(ctx context.Context, clientID string) (*Client, error)

	// Update replaces the stored client if its Revision is still that of
	// client, and increments the Revision, in client too. ErrConflict says that
	// the client was changed meanwhile, ErrClientNotFound that it is gone;
	// nothing is changed then.
	Update(ctx context.Context, client *Client) error

	// Delete removes the client. ErrClientNotFound says that there is none.
	Delete(ctx context.Context, clientID string) error
}

// NewRevision draws the Revision of a new client, from 1 to 2^52. A client that
// comes back under an id does not continue an earlier one's Revisions, and there
// is room to count up below 2^53, where integers end that readers in other
// languages hold exactly.
func NewRevision() int64 { return 1 + rand.Int64N(1<<52) }

// RevisionDeleter is a store that deletes a client only as it was read. The
// [Handler] deletes by it where the store has it; elsewhere a client that was
// changed, or added again under its id, right after it was read is deleted all
// the same.
type RevisionDeleter interface {
	// DeleteRevision removes the client if its Revision is still the given one.
	// ErrConflict says that it is another, ErrClientNotFound that there is no
	// such client; nothing is changed then.
	DeleteRevision(ctx context.Context, clientID string, revision int64) error
}

// Filter selects clients. A zero field selects all.
type Filter struct {
	SoftwareID     string    // clients with this software_id
	RegisteredBy   string    // clients registered by this caller's subject
	Policy         string    // clients registered under this policy
	Status         *Status   // clients of this status
	Source         *Source   // clients of this source
	CreatedAfter   time.Time // clients created at this time or later
	CreatedBefore  time.Time // clients created before this time
	NeverActivated bool      // clients that were never used
	UsedBefore     time.Time // clients created, and last used if they were, before this time
	ActivatedBy    string    // clients first consented to by this person
	RedirectHost   string    // clients with a redirect URI on this host, whatever its port
	NamePrefix     string    // clients whose client_name begins so, whatever the case
}

// ClientLister is a store that can list its clients.
type ClientLister interface {
	// ListClients yields the clients that filter selects, in the order of
	// their ids, starting behind the id after ("" starts at the beginning). It
	// reads in pages, so that a client added or deleted meanwhile may or may
	// not appear, and no other appears twice or is left out. An error ends the
	// sequence.
	ListClients(ctx context.Context, filter Filter, after string) iter.Seq2[*Client, error]
}

// ClientViewer is a store that can show a client without copying it, for endpoints
// that ask for the same clients at every request.
//
// A store has it by a method of its own alone: [StoreAs] does not ask a wrapper
// for it, since what is inside may show a client that the wrapper would not find,
// or find changed. For the same reason it does not count where the store embeds one
// that has it.
type ClientViewer interface {
	// ViewClient returns what FindByClientID finds, and fails as it does. The
	// client is shared: read it, and never write to it or to what it holds.
	ViewClient(ctx context.Context, clientID string) (*Client, error)
}

// RecentClientLister is a store that can list its clients newest first.
type RecentClientLister interface {
	// ListRecentClients returns up to limit clients that filter selects, the
	// last created first, and the cursor of the next page, "" at the end. So
	// that every call answers soon, it may return fewer clients, or none, with
	// a cursor behind those that it looked at: only an empty cursor says that
	// there are no others. A client added or deleted meanwhile may or may not
	// appear, and no other appears twice or is left out. A cursor that the
	// store did not make is an error, ErrCursor in the stores of this library.
	ListRecentClients(ctx context.Context, filter Filter, cursor string, limit int) (clients []*Client, next string, err error)
}

// ClientCounter is a store that can count its clients.
type ClientCounter interface {
	// CountClients returns how many clients filter selects.
	CountClients(ctx context.Context, filter Filter) (int64, error)
}

// ClientToucher is a store that can note the use of a client. Nothing but the host
// knows of a use: its token endpoint calls TouchClient each time a client
// authenticated, or got a token without. Where it does not, every client counts
// as never used, and SweepRule.NeverActivatedBefore deletes those that are in use
// every day.
type ClientToucher interface {
	// TouchClient notes that the client was used at the given time. It moves
	// LastUsedAt forward, never back, and sets ActivatedAt on the first use. The
	// client gets no new Revision, so that no Update fails for it. A store may skip a
	// move that is shorter than its throttle; it takes a time in the future for now.
	// ErrClientNotFound says that there is no such client.
	TouchClient(ctx context.Context, clientID string, at time.Time) error
}

// DocumentNoter is a store that can note what is known of a client's metadata
// document.
type DocumentNoter interface {
	// NoteDocument replaces the client's Document without a new Revision, as
	// TouchClient notes a use: an Update from a client that was read before
	// conflicts with none, and leaves a record that is newer, by its FetchedAt
	// or Withdrawn, as it is. ErrClientNotFound says that there is no such client.
	NoteDocument(ctx context.Context, clientID string, record DocumentRecord) error
}

// ConsentNoter is a store that can note a person's consent.
type ConsentNoter interface {
	// NoteConsent touches the client, as TouchClient does, and sets ActivatedBy
	// if it is empty, without a new Revision. ErrClientNotFound says that there
	// is no such client.
	NoteConsent(ctx context.Context, clientID string, person string, at time.Time) error
}

// NoteConsent notes that a person, as the host names people, consented to a
// client at the given time: its use, and the first such person as ActivatedBy.
// A store that is no [ConsentNoter] is an error.
func NoteConsent(ctx context.Context, store ClientConfigurationStore, clientID, person string, at time.Time) error {
	noter, ok := StoreAs[ConsentNoter](store)
	if !ok {
		return errors.New("dcr: NoteConsent: the store is no ConsentNoter: use one that is, or note the use alone by TouchClient")
	}
	return noter.NoteConsent(ctx, clientID, person, at)
}

// SweepRule says which clients a sweep deletes: those to which any of its
// conditions applies; a zero one applies to none. NeverActivatedBefore and IdleBefore
// ask when a client was used. A store knows that from [ClientToucher] and [ConsentNoter]
// alone: without their calls from the host's endpoints, every client looks unused, and
// these two delete clients that are in use.
type SweepRule struct {
	NeverActivatedBefore time.Time // active, created before this time and never touched
	IdleBefore           time.Time // last touched before this time
	ExpiredBefore        time.Time // ExpiresAt before this time
	WithdrawnBefore      time.Time // whose document was withdrawn before this time
	Sources              []Source  // of which clients; if nil, SourceDynamic
	DryRun               bool      // select and report, delete nothing
	BatchSize            int       // deleted at a time; if zero, 500

	// BeforeDelete, if not nil, is called with each client before it is
	// deleted. ErrKeepClient, wrapped or not, keeps the client, which does not
	// count as deleted; any other error keeps it too, and ends the sweep with
	// that error. A dry run does not call it.
	BeforeDelete func(ctx context.Context, client *Client) error

	// AfterDelete, if not nil, is called with each client that this call deleted,
	// as it was selected: of hosts that sweep at once, one is told of each client. A
	// dry run does not call it.
	AfterDelete func(ctx context.Context, client *Client)
}

// ErrKeepClient, returned by SweepRule.BeforeDelete, keeps that client and goes
// on with the next.
var ErrKeepClient = errors.New("dcr: keep the client")

// ClientSweeper is a store that can delete clients that nobody uses.
type ClientSweeper interface {
	// SweepClients deletes the clients that rule selects, in batches, and
	// returns how many it deleted or, on a dry run, would delete. A client that
	// was used meanwhile is kept, and so is one that was changed since BeforeDelete
	// saw it, until the next sweep.
	SweepClients(ctx context.Context, rule SweepRule) (int64, error)
}

// ClientEvictor is a store that can give up the client which is the least loss.
type ClientEvictor interface {
	// EvictClient deletes the oldest active client of SourceDynamic or
	// SourceDocument that was created before the given time and never used, and
	// returns it; nil where there is none. next is the CreatedAt of the oldest
	// that could go later, zero if none could. Calls at once evict different
	// clients.
	EvictClient(ctx context.Context, createdBefore time.Time) (evicted *Client, next time.Time, err error)
}

// StatementFinder is a store that can find the clients of a software
// statement.
type StatementFinder interface {
	// FindByStatement returns the ids of the clients that registered with the
	// statement of this issuer and id, nil if there are none.
	FindByStatement(ctx context.Context, issuer, id string) ([]string, error)
}

// InitialAccessTokenStore is a store that keeps initial access tokens (RFC
// 7591 §3) and counts their uses. Tokens are named by their hash alone.
type InitialAccessTokenStore interface {
	// AddInitialAccessToken stores a new token.
	AddInitialAccessToken(ctx context.Context, token *InitialAccessToken) error

	// FindInitialAccessToken returns the token of that hash.
	// ErrTokenNotFound says that there is none, and only that.
	FindInitialAccessToken(ctx context.Context, hash string) (*InitialAccessToken, error)

	// UseInitialAccessToken counts one use, atomically among all the hosts that
	// share the store: it never exceeds MaxUses. ErrTokenUsedUp says that no
	// use is left or that the token has expired at now, ErrTokenNotFound that
	// there is none.
	UseInitialAccessToken(ctx context.Context, hash string, now time.Time) error

	// ReleaseInitialAccessToken takes one use back, for a registration that
	// failed after it was counted. A token that is gone is not an error.
	ReleaseInitialAccessToken(ctx context.Context, hash string) error

	// DeleteInitialAccessToken revokes the token. ErrTokenNotFound says that
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

// ReplayStore is a store that remembers values which may be used only once.
type ReplayStore interface {
	// Remember notes key until the given time and reports whether it was new.
	// It is atomic among all the hosts that share the store, which forgets no
	// key until an hour after its time by now: other hosts' clocks may be slow.
	Remember(ctx context.Context, key string, until, now time.Time) (fresh bool, err error)
}

// ReplayForgetter is a [ReplayStore] that can take back what it remembers. Without
// it, what was used stays used where nothing was stored for it.
type ReplayForgetter interface {
	// Forget makes a value new again that was used in vain: nothing was stored
	// for it. One that is not remembered is not an error.
	Forget(ctx context.Context, key string) error
}

// StoreAs returns the optional capability T of a store, such as
// [ClientToucher]: the store itself, if it has T's methods, or what the store
// says it is by its own method
//
//	As(target any) bool
//
// which sets target, a pointer to an interface, and reports whether it could. A
// store that wraps another implements As by the stores that it can wrap and
// leaves the rest to [StoreInto], so that it has the capabilities of the store
// inside, and no others. [ClientViewer] is the exception: it is the store's own.
func StoreAs[T any](store ClientConfigurationStore) (capability T, ok bool) {
	ok = StoreInto(store, &capability)
	return capability, ok
}

// StoreInto is [StoreAs] for a target that is known at run time only: a
// non-nil pointer to an interface.
func StoreInto(store ClientConfigurationStore, target any) bool {
	into := reflect.ValueOf(target).Elem()
	_, view := target.(*ClientViewer)
	if reflect.TypeOf(store).Implements(into.Type()) && !(view && embedsViewer(reflect.TypeOf(store))) {
		into.Set(reflect.ValueOf(store))
		return true
	}
	if view {
		return false
	}
	wrapper, ok := store.(interface{ As(target any) bool })
	return ok && wrapper.As(target)
}

var viewerEmbedded sync.Map // by the type of a store, what findsViewer says

// embedsViewer reports whether a store embeds one that is a [ClientViewer], whose
// method it may have. It is asked at every request.
func embedsViewer(store reflect.Type) bool {
	embeds, known := viewerEmbedded.Load(store)
	if !known {
		embeds, _ = viewerEmbedded.LoadOrStore(store, findsViewer(store))
	}
	return embeds.(bool)
}

func findsViewer(store reflect.Type) bool {
	viewer := reflect.TypeFor[ClientViewer]()
	if store.Kind() == reflect.Pointer {
		store = store.Elem()
	}
	if store.Kind() != reflect.Struct {
		return false
	}
	for i := range store.NumField() {
		if f := store.Field(i); f.Anonymous && (f.Type.Implements(viewer) || reflect.PointerTo(f.Type).Implements(viewer)) {
			return true
		}
	}
	return false
}

// Selects reports whether filter selects client: the meaning of a [Filter],
// for stores that filter in Go.
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
		(filter.RedirectHost == "" || client.hasRedirectHost(strings.ToLower(filter.RedirectHost))) &&
		(filter.NamePrefix == "" || strings.HasPrefix(strings.ToLower(client.ClientName), strings.ToLower(filter.NamePrefix)))
}

// Selects reports whether the rule applies to client: the meaning of a
// [SweepRule], for stores that sweep in Go.
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

// ClientLimiter is a store that bounds by itself how many clients it holds.
type ClientLimiter interface {
	// ClientLimit returns the most clients that the store holds; zero if it
	// has no limit.
	ClientLimit() int64
}

// The errors by which an [InitialAccessTokenStore] says what it found.
var (
	ErrTokenNotFound = errors.New("dcr: initial access token not found")
	ErrTokenUsedUp   = errors.New("dcr: initial access token is used up or expired")
)

// InitialAccessToken is an initial access token at rest: what its bearer
// may register, and how often.
type InitialAccessToken struct {
	Hash      string    `json:"hash"`                // SHA-256 of the token, base64url; names the token
	Policy    string    `json:"policy,omitempty"`    // a name in Options.Policies, "" for Options.Validator
	Subject   string    `json:"subject,omitempty"`   // ends up as the client's RegisteredBy
	Notes     string    `json:"notes,omitempty"`     // ends up as the client's Notes
	MaxUses   int       `json:"max_uses,omitempty"`  // zero: any number
	Uses      int       `json:"uses,omitempty"`      // counted by the store
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	CreatedAt time.Time `json:"created_at,omitzero"`
}

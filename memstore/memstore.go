// Package memstore keeps clients in memory, in the same stored form as other
// stores. They are lost when the process ends. It is for tests, trials and
// servers whose clients can register again.
package memstore

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
)

// Store keeps clients in memory, in the same stored form as other stores. They
// are lost when the process ends. Make one with [New].
type Store struct {
	// Limit is the most clients that the store holds; beyond it, Add fails
	// with ErrStoreFull. If zero, 250,000. Set it before the first use.
	Limit int

	// MaxBytes bounds the stored documents, in bytes; beyond it, Add and Update
	// fail with ErrStoreFull. If zero, 1 GiB. Set it before the first use.
	MaxBytes int64

	mu      sync.RWMutex
	clients map[string]*storedClient
	bytes   int64 // of the documents
	byStatement
	candidates
	views
	tokens   map[string]dcr.InitialAccessToken
	seen     map[string]time.Time // until when
	forgetAt int                  // the size of seen at which it is cleaned next
}

// storedClient is the stored form of a client and what a store keeps next to
// it, so that a use is noted without writing the document again.
type storedClient struct {
	document            string
	revision            int64
	created             int64 // as nanos says, like the next two
	activated, lastUsed int64
	notes               *notes // nil for none
	mayGo               bool   // to make room, as long as it is not used
}

// notes are what few clients have.
type notes struct {
	activatedBy string
	about       *dcr.DocumentRecord // what was noted of its document; nil for nothing
}

const (
	defaultMemoryLimit = 250_000
	defaultMaxBytes    = 1 << 30
	leastForgetAt      = 1024
	forgetAfter        = time.Hour // after a value has ended, for callers whose clocks are slow
)

// OptionsWarnings warns if strangers may register, since the store does not
// last; see [dcr.OptionsWarner].
func (s *Store) OptionsWarnings(opts *dcr.Options) []string {
	if !opts.AllowAnonymous {
		return nil
	}
	return []string{"Options.AllowAnonymous lets anyone register, but memstore loses all clients when the process ends, and most of them never register again; use a store that lasts, such as sqlstore"}
}

// New returns an empty store.
func New() *Store {
	return &Store{
		clients:  make(map[string]*storedClient),
		tokens:   make(map[string]dcr.InitialAccessToken),
		seen:     make(map[string]time.Time),
		forgetAt: leastForgetAt,
	}
}

func (s *storedClient) client() (*dcr.Client, error) {
	client := &dcr.Client{}
	if err := client.UnmarshalJSON([]byte(s.document)); err != nil {
		return nil, err
	}
	client.Revision = s.revision
	if client.ActivatedAt.IsZero() {
		client.ActivatedAt = fromNanos(s.activated)
	}
	if used := fromNanos(s.lastUsed); client.LastUsedAt.Before(used) {
		client.LastUsedAt = used
	}
	if s.notes != nil && client.ActivatedBy == "" {
		client.ActivatedBy = s.notes.activatedBy
	}
	if s.notes != nil && s.notes.about != nil {
		client.Document = s.notes.about.Clone()
	}
	return client, nil
}

// key is the id of the client as a part of its document, so that it takes no room
// of its own and keeps nothing alive that the caller's is a part of.
func (s *storedClient) key(clientID string) string {
	if at := strings.Index(s.document, clientID); at >= 0 {
		return s.document[at : at+len(clientID)]
	}
	return strings.Clone(clientID) // it has characters that are escaped there
}

// holds takes over what is kept next to the document of a client. What was noted
// of its own document stays only where that is newer.
func (s *storedClient) holds(client *dcr.Client) {
	s.created = nanos(client.CreatedAt)
	s.touch(client.ActivatedAt, client.LastUsedAt)
	s.mayGo = client.Status == dcr.StatusActive && (client.Source == dcr.SourceDynamic || client.Source == dcr.SourceDocument)
	if s.notes == nil && client.ActivatedBy == "" {
		return
	}
	s.note(func(n *notes) {
		if client.ActivatedBy != "" {
			n.activatedBy = strings.Clone(client.ActivatedBy)
		}
		if client.Document != nil && n.about != nil && !latest(n.about).After(latest(client.Document)) {
			n.about = nil
		}
	})
}

// note changes the notes, in the place of those that a reader may have.
func (s *storedClient) note(change func(*notes)) {
	own := notes{}
	if s.notes != nil {
		own = *s.notes
	}
	change(&own)
	s.notes = &own
}

// latest is when a document was looked at last.
func latest(of *dcr.DocumentRecord) time.Time {
	if of.Withdrawn.After(of.FetchedAt) {
		return of.Withdrawn
	}
	return of.FetchedAt
}

// touch notes a use.
func (s *storedClient) touch(activated, lastUsed time.Time) {
	if s.activated == 0 {
		s.activated = nanos(activated)
	}
	if !lastUsed.IsZero() {
		s.lastUsed = max(s.lastUsed, nanos(lastUsed))
	}
}

// nanos are the nanoseconds from 1970 to t, 0 for the zero time and what an int64
// holds for one that is too far away.
func nanos(t time.Time) int64 {
	switch year := t.Year(); {
	case t.IsZero():
		return 0
	case year < 1678:
		return math.MinInt64
	case year > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// use notes a use, which is never in the future.
func (s *storedClient) use(at time.Time) {
	if now := time.Now(); at.After(now) {
		at = now
	}
	s.touch(at, at)
}

// scratch is room to write a document in, whose size is known only then.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// documentOf is the stored form of a client, and takes no more room than it needs.
func documentOf(client *dcr.Client) (string, error) {
	room := scratch.Get().(*[]byte)
	defer scratch.Put(room)
	text, err := client.AppendJSON((*room)[:0])
	*room = text
	return string(text), err
}

// Add stores a new client; see [dcr.ClientConfigurationStore].
func (s *Store) Add(ctx context.Context, client *dcr.Client) error {
	if err := dcr.CheckClientID(client.ID); err != nil {
		return err
	}
	document, err := documentOf(client)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.clients[client.ID]; taken {
		return dcr.ErrClientExists
	}
	if int64(len(s.clients)) >= s.ClientLimit() || !s.fits(len(document)) {
		return dcr.ErrStoreFull
	}
	client.Revision = dcr.NewRevision()
	added := &storedClient{document: document, revision: client.Revision}
	added.holds(client)
	s.put(client, added)
	return nil
}

// fits reports whether so many bytes more may be stored. Fewer always may.
func (s *Store) fits(more int) bool {
	limit := s.MaxBytes
	if limit <= 0 {
		limit = defaultMaxBytes
	}
	return more <= 0 || s.bytes+int64(more) <= limit
}

// put stores a client that is not there.
func (s *Store) put(client *dcr.Client, stored *storedClient) {
	key := stored.key(client.ID)
	s.bytes += int64(len(stored.document))
	s.clients[key] = stored
	s.byStatement.set(key, client.Statement)
	s.candidates.add(key, stored, s.clients)
}

// drop forgets a client that is there.
func (s *Store) drop(clientID string) {
	stored := s.clients[clientID]
	s.bytes -= int64(len(stored.document))
	s.views.forget(clientID, stored)
	delete(s.clients, clientID)
	s.byStatement.forget(clientID)
}

// ClientLimit returns the most clients that the store holds; see
// [dcr.ClientLimiter].
func (s *Store) ClientLimit() int64 {
	if s.Limit <= 0 {
		return defaultMemoryLimit
	}
	return int64(s.Limit)
}

// FindByClientID returns a client; see [dcr.ClientConfigurationStore].
func (s *Store) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	s.mu.RLock()
	stored, found := s.clients[clientID]
	if !found {
		s.mu.RUnlock()
		return nil, dcr.ErrClientNotFound
	}
	now := *stored
	s.mu.RUnlock()
	return now.client()
}

// Update replaces a client; see [dcr.ClientConfigurationStore].
func (s *Store) Update(ctx context.Context, client *dcr.Client) error {
	document, err := documentOf(client)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, found := s.clients[client.ID]
	if !found {
		return dcr.ErrClientNotFound
	}
	if stored.revision != client.Revision {
		return dcr.ErrConflict
	}
	if !s.fits(len(document) - len(stored.document)) {
		return dcr.ErrStoreFull
	}
	client.Revision++
	s.drop(client.ID) // with its key, which is a part of the document
	stored.document, stored.revision = document, client.Revision
	stored.holds(client)
	s.put(client, stored)
	return nil
}

// Delete removes a client; see [dcr.ClientConfigurationStore].
func (s *Store) Delete(ctx context.Context, clientID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.clients[clientID]; !found {
		return dcr.ErrClientNotFound
	}
	s.drop(clientID)
	return nil
}

// DeleteRevision removes a client as it was read; see [dcr.RevisionDeleter].
func (s *Store) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, found := s.clients[clientID]
	if !found {
		return dcr.ErrClientNotFound
	}
	if stored.revision != revision {
		return dcr.ErrConflict
	}
	s.drop(clientID)
	return nil
}

// TouchClient notes the use of a client; see [dcr.ClientToucher]. A use in the
// future counts as one of now.
func (s *Store) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	return s.note(clientID, func(stored *storedClient) { stored.use(at) })
}

// NoteConsent notes a person's consent; see [dcr.ConsentNoter].
func (s *Store) NoteConsent(ctx context.Context, clientID, person string, at time.Time) error {
	return s.note(clientID, func(stored *storedClient) {
		stored.use(at)
		if stored.notes == nil || stored.notes.activatedBy == "" {
			stored.note(func(n *notes) { n.activatedBy = strings.Clone(person) })
		}
	})
}

// NoteDocument notes what is known of a client's metadata document; see
// [dcr.DocumentNoter].
func (s *Store) NoteDocument(ctx context.Context, clientID string, record dcr.DocumentRecord) error {
	return s.note(clientID, func(stored *storedClient) {
		stored.note(func(n *notes) { n.about = record.Clone() })
	})
}

// note changes what is kept next to the document of a client.
func (s *Store) note(clientID string, change func(*storedClient)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, found := s.clients[clientID]
	if !found {
		return dcr.ErrClientNotFound
	}
	change(stored)
	s.views.forget(clientID, stored)
	return nil
}

// FindByStatement finds the clients of a software statement; see
// [dcr.StatementFinder].
func (s *Store) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(slices.Values(s.byStatement.clients[statement{issuer, id}])), nil
}

// Remember notes a value that may be used once; see [dcr.ReplayStore]. Values
// whose time has come are forgotten as new ones come.
func (s *Store) Remember(ctx context.Context, key string, until, now time.Time) (fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen, found := s.seen[key]; found && now.Before(seen) {
		return false, nil
	}
	if len(s.seen) >= s.forgetAt {
		maps.DeleteFunc(s.seen, func(_ string, until time.Time) bool { return !now.Before(until.Add(forgetAfter)) })
		s.forgetAt = max(leastForgetAt, 2*len(s.seen))
	}
	s.seen[key] = until
	return true, nil
}

// Forget makes a value new again; see [dcr.ReplayForgetter].
func (s *Store) Forget(ctx context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, key)
	return nil
}

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
	// fail with ErrStoreFull. If zero, 1 GiB. The store itself takes up to half as
	// much again, and some hundred bytes for each client. Set it before the first
	// use.
	MaxBytes int64

	mu      sync.RWMutex
	clients table
	notes   map[uint32]*notes // by the number of the entry
	byStatement
	candidates
	views
	tokens   map[string]dcr.InitialAccessToken
	seen     map[string]time.Time // until when
	forgetAt int                  // the size of seen at which it is cleaned next
}

// notes has what only few clients have.
type notes struct {
	activatedBy string
	about       *dcr.DocumentRecord // what was noted about its metadata document; nil for nothing
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
		clients:  newTable(),
		notes:    make(map[uint32]*notes),
		tokens:   make(map[string]dcr.InitialAccessToken),
		seen:     make(map[string]time.Time),
		forgetAt: leastForgetAt,
	}
}

// stored is a client as it is stored, to decode without the lock.
type stored struct {
	entry
	document []byte
	notes    *notes // nil for none
}

func (s *Store) stored(number uint32, e *entry) stored {
	return stored{*e, s.clients.document(e), s.notes[number]}
}

func (s stored) client() (*dcr.Client, error) {
	client := &dcr.Client{}
	if err := client.UnmarshalJSON(s.document); err != nil {
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

// holds takes from client what is kept outside the stored document. What was
// noted about its metadata document stays only if it is newer.
func (s *Store) holds(number uint32, e *entry, client *dcr.Client) {
	e.revision, e.created = client.Revision, nanos(client.CreatedAt)
	e.touch(client.ActivatedAt, client.LastUsedAt)
	e.mayGo = client.Status == dcr.StatusActive && (client.Source == dcr.SourceDynamic || client.Source == dcr.SourceDocument)
	if s.notes[number] == nil && client.ActivatedBy == "" {
		return
	}
	s.note(number, func(n *notes) {
		if client.ActivatedBy != "" {
			n.activatedBy = strings.Clone(client.ActivatedBy)
		}
		if client.Document != nil && n.about != nil && !latest(n.about).After(latest(client.Document)) {
			n.about = nil
		}
	})
}

// note replaces the notes of a client by a changed copy, since a reader may have
// the old ones.
func (s *Store) note(number uint32, change func(*notes)) {
	own := notes{}
	if was := s.notes[number]; was != nil {
		own = *was
	}
	change(&own)
	s.notes[number] = &own
}

// latest returns when a metadata document was last looked at.
func latest(of *dcr.DocumentRecord) time.Time {
	if of.Withdrawn.After(of.FetchedAt) {
		return of.Withdrawn
	}
	return of.FetchedAt
}

// touch notes a use.
func (e *entry) touch(activated, lastUsed time.Time) {
	if e.activated == 0 {
		e.activated = nanos(activated)
	}
	if !lastUsed.IsZero() {
		e.lastUsed = max(e.lastUsed, nanos(lastUsed))
	}
}

// nanos returns the nanoseconds from 1970 to t. It returns 0 for the zero time,
// and the least or greatest int64 for a time that is too far away.
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
func (e *entry) use(at time.Time) {
	if now := time.Now(); at.After(now) {
		at = now
	}
	e.touch(at, at)
}

// scratch has buffers to write a document in before the lock is taken.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// Add stores a new client; see [dcr.ClientConfigurationStore].
func (s *Store) Add(ctx context.Context, client *dcr.Client) error {
	if err := dcr.CheckClientID(client.ID); err != nil {
		return err
	}
	return s.write(client, func(document []byte) error {
		if _, taken := s.clients.find(client.ID); taken != nil {
			return dcr.ErrClientExists
		}
		if int64(s.clients.count) >= s.ClientLimit() || !s.fits(len(document)) {
			return dcr.ErrStoreFull
		}
		client.Revision = dcr.NewRevision()
		number, added := s.clients.add(client.ID, document)
		s.put(number, added, client)
		return nil
	})
}

// write calls change with the document of a client, under the lock.
func (s *Store) write(client *dcr.Client, change func(document []byte) error) error {
	room := scratch.Get().(*[]byte)
	defer scratch.Put(room)
	document, err := client.AppendJSON((*room)[:0])
	*room = document
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return change(document)
}

// fits reports whether so many bytes more may be stored. Fewer always may.
func (s *Store) fits(more int) bool {
	limit := s.MaxBytes
	if limit <= 0 {
		limit = defaultMaxBytes
	}
	return more <= 0 || s.clients.bytes+int64(more) <= limit
}

// put notes what the store finds a client by, in addition to its id.
func (s *Store) put(number uint32, e *entry, client *dcr.Client) {
	s.holds(number, e, client)
	s.byStatement.set(client.ID, client.Statement)
	s.candidates.add(client.ID, e, &s.clients)
}

// drop forgets a client that is there.
func (s *Store) drop(number uint32, e *entry, clientID string) {
	s.lift(e, clientID)
	delete(s.notes, number)
	s.clients.remove(number, e)
	if s.clients.sparse() {
		s.shrink()
	}
}

// shrink gives back memory after most clients were deleted. The candidates are
// gathered again when room is next needed.
func (s *Store) shrink() {
	kept := make(map[uint32]*notes)
	s.clients.shrink(func(from, to uint32) {
		if of := s.notes[from]; of != nil {
			kept[to] = of
		}
	})
	s.notes, s.candidates = kept, candidates{}
	s.byStatement.shrink()
}

// lift undoes put.
func (s *Store) lift(e *entry, clientID string) {
	s.views.forget(clientID, len(s.clients.document(e)))
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
	number, e := s.clients.find(clientID)
	if e == nil {
		s.mu.RUnlock()
		return nil, dcr.ErrClientNotFound
	}
	now := s.stored(number, e)
	s.mu.RUnlock()
	return now.client()
}

// Update replaces a client; see [dcr.ClientConfigurationStore].
func (s *Store) Update(ctx context.Context, client *dcr.Client) error {
	return s.write(client, func(document []byte) error {
		number, e := s.clients.find(client.ID)
		switch {
		case e == nil:
			return dcr.ErrClientNotFound
		case e.revision != client.Revision:
			return dcr.ErrConflict
		case !s.fits(len(document) - len(s.clients.document(e))):
			return dcr.ErrStoreFull
		}
		client.Revision++
		s.lift(e, client.ID)
		s.clients.replace(number, e, client.ID, document)
		s.put(number, e, client)
		return nil
	})
}

// Delete removes a client; see [dcr.ClientConfigurationStore].
func (s *Store) Delete(ctx context.Context, clientID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, e := s.clients.find(clientID)
	if e == nil {
		return dcr.ErrClientNotFound
	}
	s.drop(number, e, clientID)
	return nil
}

// DeleteRevision removes a client as it was read; see [dcr.RevisionDeleter].
func (s *Store) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, e := s.clients.find(clientID)
	switch {
	case e == nil:
		return dcr.ErrClientNotFound
	case e.revision != revision:
		return dcr.ErrConflict
	}
	s.drop(number, e, clientID)
	return nil
}

// TouchClient notes the use of a client; see [dcr.ClientToucher]. A use in the
// future counts as one of now.
func (s *Store) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	return s.change(clientID, func(number uint32, e *entry) { e.use(at) })
}

// NoteConsent notes a person's consent; see [dcr.ConsentNoter].
func (s *Store) NoteConsent(ctx context.Context, clientID, person string, at time.Time) error {
	return s.change(clientID, func(number uint32, e *entry) {
		e.use(at)
		if was := s.notes[number]; was == nil || was.activatedBy == "" {
			s.note(number, func(n *notes) { n.activatedBy = strings.Clone(person) })
		}
	})
}

// NoteDocument notes what is known about a client's metadata document; see
// [dcr.DocumentNoter].
func (s *Store) NoteDocument(ctx context.Context, clientID string, record dcr.DocumentRecord) error {
	return s.change(clientID, func(number uint32, e *entry) {
		s.note(number, func(n *notes) { n.about = record.Clone() })
	})
}

// change changes what is kept outside the document of a client.
func (s *Store) change(clientID string, change func(number uint32, e *entry)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, e := s.clients.find(clientID)
	if e == nil {
		return dcr.ErrClientNotFound
	}
	change(number, e)
	s.views.forget(clientID, len(s.clients.document(e)))
	return nil
}

// FindByStatement finds the clients of a software statement; see
// [dcr.StatementFinder].
func (s *Store) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(slices.Values(s.byStatement.clients[statement{issuer, id}])), nil
}

// Remember notes a value that may be used once; see [dcr.ReplayStore]. Expired
// values are forgotten as new ones come.
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

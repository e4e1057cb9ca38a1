// Package memstore keeps clients in memory, in the stored form that every other
// store keeps, and forgets them with the process. It is for tests, trials and
// servers whose clients may register again.
package memstore

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dynreg/dcr"
)

// Store keeps clients in memory, in the stored form that every other
// store keeps, and forgets them with the process. Make one with
// [New].
type Store struct {
	// Limit is the most clients that the store holds; beyond it, Add fails
	// with ErrStoreFull. If zero, 250,000. Set it before the first use.
	Limit int

	// MaxBytes bounds the stored documents, in bytes; beyond it, Add and Update
	// fail with ErrStoreFull. If zero, 1 GiB. Set it before the first use.
	MaxBytes int64

	mu      sync.RWMutex
	clients map[string]storedClient
	bytes   int64 // of the documents
	byStatement
	tokens   map[string]dcr.InitialAccessToken
	seen     map[string]time.Time // until when
	forgetAt int                  // the size of seen at which it is cleaned next
}

// storedClient is the stored form of a client and what a store keeps beside
// it, so that a use is noted without writing the document anew.
type storedClient struct {
	document            []byte
	revision            int64
	activated, lastUsed int64 // nanoseconds since 1970, 0 for never
}

const (
	defaultMemoryLimit = 250_000
	defaultMaxBytes    = 1 << 30
	leastForgetAt      = 1024
	forgetAfter        = time.Hour // after a value has ended, for callers whose clocks are slow
)

// OptionsWarnings warns of strangers who register with a store that does not
// last: see [dcr.OptionsWarner].
func (s *Store) OptionsWarnings(opts *dcr.Options) []string {
	if !opts.AllowAnonymous {
		return nil
	}
	return []string{"Options.AllowAnonymous lets anyone register, and memstore forgets every client with the process, while most of them never register again; use a store that lasts, such as sqlstore"}
}

// New returns an empty store.
func New() *Store {
	return &Store{
		clients:  make(map[string]storedClient),
		tokens:   make(map[string]dcr.InitialAccessToken),
		seen:     make(map[string]time.Time),
		forgetAt: leastForgetAt,
	}
}

func (s storedClient) client() (*dcr.Client, error) {
	client := &dcr.Client{}
	if err := client.UnmarshalJSON(s.document); err != nil {
		return nil, err
	}
	client.Revision = s.revision
	if client.ActivatedAt.IsZero() && s.activated != 0 {
		client.ActivatedAt = time.Unix(0, s.activated).UTC()
	}
	if used := time.Unix(0, s.lastUsed).UTC(); s.lastUsed != 0 && client.LastUsedAt.Before(used) {
		client.LastUsedAt = used
	}
	return client, nil
}

// touch notes a use.
func (s *storedClient) touch(activated, lastUsed time.Time) {
	if s.activated == 0 && !activated.IsZero() {
		s.activated = activated.UnixNano()
	}
	if !lastUsed.IsZero() {
		s.lastUsed = max(s.lastUsed, lastUsed.UnixNano())
	}
}

// Add stores a new client; see [dcr.ClientConfigurationStore].
func (s *Store) Add(ctx context.Context, client *dcr.Client) error {
	document, err := client.MarshalJSON()
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
	added := storedClient{document: document, revision: client.Revision}
	added.touch(client.ActivatedAt, client.LastUsedAt)
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

// put stores a client, in the place of the one of its id if there is one.
func (s *Store) put(client *dcr.Client, stored storedClient) {
	s.bytes += int64(len(stored.document) - len(s.clients[client.ID].document))
	s.clients[client.ID] = stored
	s.byStatement.set(client)
}

// drop forgets a client.
func (s *Store) drop(clientID string) {
	s.bytes -= int64(len(s.clients[clientID].document))
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
	s.mu.RUnlock()
	if !found {
		return nil, dcr.ErrClientNotFound
	}
	return stored.client()
}

// Update replaces a client; see [dcr.ClientConfigurationStore].
func (s *Store) Update(ctx context.Context, client *dcr.Client) error {
	document, err := client.MarshalJSON()
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
	stored.document, stored.revision = document, client.Revision
	stored.touch(client.ActivatedAt, client.LastUsedAt)
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

// ListClients yields clients in the order of their ids; see [dcr.ClientLister].
func (s *Store) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	return func(yield func(*dcr.Client, error) bool) {
		s.mu.RLock()
		ids := slices.Sorted(maps.Keys(s.clients))
		s.mu.RUnlock()
		from, found := slices.BinarySearch(ids, after)
		if found {
			from++
		}
		for _, id := range ids[from:] {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			client, err := s.FindByClientID(ctx, id)
			if err == dcr.ErrClientNotFound || err == nil && !filter.Selects(client) {
				continue
			}
			if !yield(client, err) || err != nil {
				return
			}
		}
	}
}

// CountClients counts clients; see [dcr.ClientCounter].
func (s *Store) CountClients(ctx context.Context, filter dcr.Filter) (int64, error) {
	if filter == (dcr.Filter{}) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return int64(len(s.clients)), nil
	}
	var count int64
	for _, err := range s.ListClients(ctx, filter, "") {
		if err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}

// TouchClient notes the use of a client; see [dcr.ClientToucher]. A use in the
// future counts as one of now.
func (s *Store) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, found := s.clients[clientID]
	if !found {
		return dcr.ErrClientNotFound
	}
	if now := time.Now(); at.After(now) {
		at = now
	}
	stored.touch(at, at)
	s.clients[clientID] = stored
	return nil
}

// SweepClients deletes clients that nobody uses; see [dcr.ClientSweeper].
func (s *Store) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	var swept int64
	for client, err := range s.ListClients(ctx, dcr.Filter{}, "") {
		if err != nil {
			return swept, err
		}
		if !rule.Selects(client) {
			continue
		}
		if rule.DryRun {
			swept++
			continue
		}
		if rule.BeforeDelete != nil {
			err := rule.BeforeDelete(ctx, client)
			if errors.Is(err, dcr.ErrKeepClient) {
				continue
			}
			if err != nil {
				return swept, err
			}
		}
		if s.deleteIf(client.ID, rule.Selects) {
			swept++
		}
	}
	return swept, nil
}

// deleteIf deletes a client if it is still as selects wants it.
func (s *Store) deleteIf(clientID string, selects func(*dcr.Client) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, found := s.clients[clientID]
	if !found {
		return false
	}
	client, err := stored.client()
	if err != nil || !selects(client) {
		return false
	}
	s.drop(clientID)
	return true
}

// FindByStatement finds the clients of a software statement; see
// [dcr.StatementFinder].
func (s *Store) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.byStatement.clients[statement{issuer, id}]), nil
}

// AddInitialAccessToken stores a new token; see [dcr.InitialAccessTokenStore].
func (s *Store) AddInitialAccessToken(ctx context.Context, token *dcr.InitialAccessToken) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.tokens[token.Hash]; taken {
		return errors.New("dcr: there is an initial access token of this hash")
	}
	s.tokens[token.Hash] = *token
	return nil
}

// FindInitialAccessToken returns the token of that hash; see
// [dcr.InitialAccessTokenStore].
func (s *Store) FindInitialAccessToken(ctx context.Context, hash string) (*dcr.InitialAccessToken, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	token, found := s.tokens[hash]
	if !found {
		return nil, dcr.ErrTokenNotFound
	}
	return &token, nil
}

// UseInitialAccessToken counts one use; see [dcr.InitialAccessTokenStore].
func (s *Store) UseInitialAccessToken(ctx context.Context, hash string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, found := s.tokens[hash]
	if !found {
		return dcr.ErrTokenNotFound
	}
	if token.MaxUses > 0 && token.Uses >= token.MaxUses || !token.ExpiresAt.IsZero() && !now.Before(token.ExpiresAt) {
		return dcr.ErrTokenUsedUp
	}
	token.Uses++
	s.tokens[hash] = token
	return nil
}

// ReleaseInitialAccessToken takes one use back; see [dcr.InitialAccessTokenStore].
func (s *Store) ReleaseInitialAccessToken(ctx context.Context, hash string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token, found := s.tokens[hash]; found && token.Uses > 0 {
		token.Uses--
		s.tokens[hash] = token
	}
	return nil
}

// DeleteInitialAccessToken revokes a token; see [dcr.InitialAccessTokenStore].
func (s *Store) DeleteInitialAccessToken(ctx context.Context, hash string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.tokens[hash]; !found {
		return dcr.ErrTokenNotFound
	}
	delete(s.tokens, hash)
	return nil
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

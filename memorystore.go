package dcr

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// MemoryStore keeps clients in memory, in the stored form that every other
// store keeps, and forgets them with the process. Make one with
// [NewMemoryStore].
type MemoryStore struct {
	// Limit is the most clients that the store holds; beyond it, Add fails
	// with ErrStoreFull. If zero, 250,000. Set it before the first use.
	Limit int

	mu      sync.RWMutex
	clients map[string]storedClient
}

// storedClient is the stored form of a client and what a store keeps beside
// it.
type storedClient struct {
	document []byte
	revision int64
}

const defaultMemoryLimit = 250_000

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{clients: make(map[string]storedClient)}
}

func (s storedClient) client() (*Client, error) {
	client := &Client{}
	if err := json.Unmarshal(s.document, client); err != nil {
		return nil, err
	}
	client.Revision = s.revision
	return client, nil
}

// Add stores a new client; see [ClientConfigurationStore].
func (s *MemoryStore) Add(ctx context.Context, client *Client) error {
	document, err := storedForm(client)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.clients[client.ID]; taken {
		return ErrClientExists
	}
	limit := s.Limit
	if limit <= 0 {
		limit = defaultMemoryLimit
	}
	if len(s.clients) >= limit {
		return ErrStoreFull
	}
	s.clients[client.ID] = storedClient{document: document, revision: 1}
	client.Revision = 1
	return nil
}

// storedForm is the client's JSON in a slice of its own size.
func storedForm(client *Client) ([]byte, error) {
	document, err := client.MarshalJSON()
	return slices.Clone(document), err
}

// FindByClientID returns a client; see [ClientConfigurationStore].
func (s *MemoryStore) FindByClientID(ctx context.Context, clientID string) (*Client, error) {
	s.mu.RLock()
	stored, found := s.clients[clientID]
	s.mu.RUnlock()
	if !found {
		return nil, ErrClientNotFound
	}
	return stored.client()
}

// Update replaces a client; see [ClientConfigurationStore].
func (s *MemoryStore) Update(ctx context.Context, client *Client) error {
	document, err := storedForm(client)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, found := s.clients[client.ID]
	if !found {
		return ErrClientNotFound
	}
	if stored.revision != client.Revision {
		return ErrConflict
	}
	client.Revision++
	s.clients[client.ID] = storedClient{document: document, revision: client.Revision}
	return nil
}

// Delete removes a client; see [ClientConfigurationStore].
func (s *MemoryStore) Delete(ctx context.Context, clientID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.clients[clientID]; !found {
		return ErrClientNotFound
	}
	delete(s.clients, clientID)
	return nil
}

// ListClients yields clients in the order of their ids; see [ClientLister].
func (s *MemoryStore) ListClients(ctx context.Context, filter Filter, after string) iter.Seq2[*Client, error] {
	return func(yield func(*Client, error) bool) {
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
			if err == ErrClientNotFound || err == nil && !filter.Selects(client) {
				continue
			}
			if !yield(client, err) || err != nil {
				return
			}
		}
	}
}

// Selects reports whether filter selects client: the meaning of a [Filter],
// for stores that filter in Go.
func (filter *Filter) Selects(client *Client) bool {
	return (filter.SoftwareID == "" || client.SoftwareID == filter.SoftwareID) &&
		(filter.RegisteredBy == "" || client.RegisteredBy == filter.RegisteredBy) &&
		(filter.Policy == "" || client.Policy == filter.Policy) &&
		(filter.Status == nil || client.Status == *filter.Status) &&
		(filter.CreatedAfter.IsZero() || !client.CreatedAt.Before(filter.CreatedAfter)) &&
		(filter.CreatedBefore.IsZero() || client.CreatedAt.Before(filter.CreatedBefore))
}

// CountClients counts clients; see [ClientCounter].
func (s *MemoryStore) CountClients(ctx context.Context, filter Filter) (int64, error) {
	if filter == (Filter{}) {
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

// TouchClient notes the use of a client; see [ClientToucher].
func (s *MemoryStore) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, found := s.clients[clientID]
	if !found {
		return ErrClientNotFound
	}
	client, err := stored.client()
	if err != nil || !client.LastUsedAt.Before(at) {
		return err
	}
	client.Touch(at)
	document, err := storedForm(client)
	if err == nil {
		s.clients[clientID] = storedClient{document: document, revision: stored.revision}
	}
	return err
}

// Touch notes in the client that it was used at the given time.
func (c *Client) Touch(at time.Time) {
	if c.ActivatedAt.IsZero() {
		c.ActivatedAt = at
	}
	if c.LastUsedAt.Before(at) {
		c.LastUsedAt = at
	}
}

// Selects reports whether the rule applies to client: the meaning of a
// [SweepRule], for stores that sweep in Go.
func (rule *SweepRule) Selects(client *Client) bool {
	before := func(at, limit time.Time) bool { return !limit.IsZero() && !at.IsZero() && at.Before(limit) }
	return client.Source == SourceDynamic &&
		(client.LastUsedAt.IsZero() && before(client.CreatedAt, rule.NeverActivatedBefore) ||
			before(client.LastUsedAt, rule.IdleBefore) ||
			before(client.ExpiresAt, rule.ExpiredBefore))
}

// SweepClients deletes clients that nobody uses; see [ClientSweeper].
func (s *MemoryStore) SweepClients(ctx context.Context, rule SweepRule) (int64, error) {
	var swept int64
	for client, err := range s.ListClients(ctx, Filter{}, "") {
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
			if err := rule.BeforeDelete(ctx, client); err != nil {
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
func (s *MemoryStore) deleteIf(clientID string, selects func(*Client) bool) bool {
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
	delete(s.clients, clientID)
	return true
}

// FindByStatement finds the clients of a software statement; see
// [StatementFinder].
func (s *MemoryStore) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	var ids []string
	for client, err := range s.ListClients(ctx, Filter{}, "") {
		if err != nil {
			return nil, err
		}
		if of := client.Statement; of != nil && of.Issuer == issuer && of.ID == id {
			ids = append(ids, client.ID)
		}
	}
	slices.SortFunc(ids, strings.Compare)
	return ids, nil
}

package memstore

// Listing clients by id, and counting them.

import (
	"context"
	"iter"
	"slices"

	"github.com/dynreg/dcr"
)

// ListClients yields clients in the order of their ids; see [dcr.ClientLister].
func (s *Store) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	return func(yield func(*dcr.Client, error) bool) {
		s.mu.RLock()
		ids := make([]string, 0, s.clients.count)
		for id := range s.clients.all() {
			ids = append(ids, id)
		}
		s.mu.RUnlock()
		slices.Sort(ids)
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
		return int64(s.clients.count), nil
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

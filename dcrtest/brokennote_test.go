package dcrtest

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// asAdded keeps each client as Add got it, and returns the function that finds it.
func asAdded(b *brokenStore, m *memstore.Store) func(id string) *dcr.Client {
	var mu sync.Mutex
	first := map[string]*dcr.Client{}
	b.add = func(ctx context.Context, client *dcr.Client) error {
		err := m.Add(ctx, client)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			first[client.ID] = client.Clone()
		}
		return err
	}
	return func(id string) *dcr.Client {
		mu.Lock()
		defer mu.Unlock()
		return first[id].Clone()
	}
}

// listing lists the clients that selects selects, as shown returns them.
func listing(m *memstore.Store, selects func(dcr.Filter, *dcr.Client) bool, shown func(*dcr.Client) *dcr.Client) func(context.Context, dcr.Filter, string) iter.Seq2[*dcr.Client, error] {
	return func(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
		return func(yield func(*dcr.Client, error) bool) {
			for client, err := range m.ListClients(ctx, dcr.Filter{}, after) {
				if err != nil || selects(filter, client) {
					if err == nil {
						client = shown(client)
					}
					if !yield(client, err) {
						return
					}
				}
			}
		}
	}
}

// sweepBy sweeps the clients that rule selects as seen returns them, unless they are
// used or changed after that.
func sweepBy(m *memstore.Store, seen func(*dcr.Client) *dcr.Client) func(context.Context, dcr.SweepRule) (int64, error) {
	return func(ctx context.Context, rule dcr.SweepRule) (swept int64, err error) {
		for client, err := range m.ListClients(ctx, dcr.Filter{}, "") {
			if err != nil || !rule.Selects(seen(client)) {
				continue
			}
			now, err := m.FindByClientID(ctx, client.ID)
			if err == nil && now.LastUsedAt.Equal(client.LastUsedAt) && m.DeleteRevision(ctx, client.ID, client.Revision) == nil {
				swept++
			}
		}
		return swept, nil
	}
}

var brokenNotes = []damage{
	{"A filtered listing ends at a page of other clients.", "ListFewOfMany", func(b *brokenStore, m *memstore.Store) {
		b.list = func(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
			return func(yield func(*dcr.Client, error) bool) {
				n, found := 0, false
				for client, err := range m.ListClients(ctx, dcr.Filter{}, after) {
					if filter.Selects(client) {
						if found = true; !yield(client, err) {
							return
						}
					}
					if n++; n%100 == 0 && !found {
						return
					} else if n%100 == 0 {
						found = false
					}
				}
			}
		}
	}},
	{"A filtered list of recent clients has an empty cursor after a page of other clients.", "ListFewOfMany", func(b *brokenStore, m *memstore.Store) {
		b.recent = func(ctx context.Context, filter dcr.Filter, cursor string, limit int) (clients []*dcr.Client, next string, err error) {
			page, next, err := m.ListRecentClients(ctx, dcr.Filter{}, cursor, 100)
			for _, client := range page {
				if filter.Selects(client) {
					clients = append(clients, client)
				}
			}
			if len(clients) == 0 {
				next = ""
			}
			return clients, next, err
		}
	}},
	{"A listing shows clients without their uses.", "TouchAndList", func(b *brokenStore, m *memstore.Store) {
		first := asAdded(b, m)
		b.list = listing(m, func(filter dcr.Filter, client *dcr.Client) bool { return filter.Selects(client) }, func(client *dcr.Client) *dcr.Client {
			client.ActivatedAt, client.LastUsedAt = first(client.ID).ActivatedAt, first(client.ID).LastUsedAt
			return client
		})
	}},
	{"A listing selects clients by their uses when they were added.", "TouchAndList", func(b *brokenStore, m *memstore.Store) {
		first := asAdded(b, m)
		b.list = listing(m, func(filter dcr.Filter, client *dcr.Client) bool {
			old := client.Clone()
			old.ActivatedAt, old.LastUsedAt = first(client.ID).ActivatedAt, first(client.ID).LastUsedAt
			return filter.Selects(old)
		}, (*dcr.Client).Clone)
	}},
	{"A count selects clients by their uses when they were added.", "TouchAndList", func(b *brokenStore, m *memstore.Store) {
		first := asAdded(b, m)
		b.count = func(ctx context.Context, filter dcr.Filter) (count int64, err error) {
			for client := range m.ListClients(ctx, dcr.Filter{}, "") {
				client.ActivatedAt, client.LastUsedAt = first(client.ID).ActivatedAt, first(client.ID).LastUsedAt
				if filter.Selects(client) {
					count++
				}
			}
			return count, nil
		}
	}},
	{"A list of recent clients shows the documents that they were added with.", "TouchAndList", func(b *brokenStore, m *memstore.Store) {
		first := asAdded(b, m)
		b.recent = func(ctx context.Context, filter dcr.Filter, cursor string, limit int) ([]*dcr.Client, string, error) {
			clients, next, err := m.ListRecentClients(ctx, filter, cursor, limit)
			for _, client := range clients {
				client.Document = first(client.ID).Document
			}
			return clients, next, err
		}
	}},
	{"A sweep selects clients by their uses when they were added.", "SweepFollows", func(b *brokenStore, m *memstore.Store) {
		first := asAdded(b, m)
		b.sweep = sweepBy(m, func(client *dcr.Client) *dcr.Client {
			client = client.Clone()
			client.ActivatedAt, client.LastUsedAt = first(client.ID).ActivatedAt, first(client.ID).LastUsedAt
			return client
		})
	}},
	{"A sweep selects clients by the end that they were added with.", "SweepFollows", func(b *brokenStore, m *memstore.Store) {
		first := asAdded(b, m)
		b.sweep = sweepBy(m, func(client *dcr.Client) *dcr.Client {
			client = client.Clone()
			client.ExpiresAt = first(client.ID).ExpiresAt
			return client
		})
	}},
	{"A touch stores the client without members that it does not know.", "TouchKeepsTheRest", func(b *brokenStore, m *memstore.Store) {
		var touched sync.Map
		b.touch = func(ctx context.Context, id string, at time.Time) error {
			touched.Store(id, true)
			return m.TouchClient(ctx, id, at)
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if _, lost := touched.Load(id); err != nil || !lost {
				return client, err
			}
			client.Extra = nil
			return client, nil
		}
	}},
	{"A touch stores again what it read before.", "TouchDuringUpdates", func(b *brokenStore, m *memstore.Store) {
		var undone sync.Map // the name that a Revision has lost
		b.touch = func(ctx context.Context, id string, at time.Time) error {
			read, err := m.FindByClientID(ctx, id)
			if err != nil {
				return err
			}
			for range 3 { // an update comes after 2, and a read of what it stored ends after 4
				gap()
			}
			if now, err := m.FindByClientID(ctx, id); err == nil && now.Revision != read.Revision {
				undone.Store(now.Revision, read.ClientName)
			}
			return m.TouchClient(ctx, id, at)
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if err != nil {
				return nil, err
			}
			gap()
			gap()
			if name, lost := undone.Load(client.Revision); lost {
				client.ClientName = name.(string)
			}
			return client, nil
		}
	}},
	{"A touch fails while the client is updated.", "TouchDuringUpdates", func(b *brokenStore, m *memstore.Store) {
		b.touch = func(ctx context.Context, id string, at time.Time) error {
			read, err := m.FindByClientID(ctx, id)
			gap()
			gap()
			if now, _ := m.FindByClientID(ctx, id); now != nil && read != nil && now.Revision != read.Revision {
				return errors.Join(err, dcr.ErrConflict)
			}
			return errors.Join(err, m.TouchClient(ctx, id, at))
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			gap()
			return m.FindByClientID(ctx, id)
		}
	}},
	{"The uses of a client outlive it.", "TouchAndDelete", func(b *brokenStore, m *memstore.Store) {
		used := map[string]time.Time{}
		b.touch = func(ctx context.Context, id string, at time.Time) error {
			err := m.TouchClient(ctx, id, at)
			if err == nil {
				used[id] = at
			}
			return err
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if at, known := used[id]; err == nil && known {
				client.ActivatedAt, client.LastUsedAt = at, at
			}
			return client, err
		}
	}},
	{"A touch of a deleted client succeeds.", "TouchAndDelete", func(b *brokenStore, m *memstore.Store) {
		known := map[string]bool{}
		b.touch = func(ctx context.Context, id string, at time.Time) error {
			err := m.TouchClient(ctx, id, at)
			if known[id] {
				return nil
			}
			known[id] = err == nil
			return err
		}
	}},
	{"A list of recent clients selects by the status that they were added with.", "ListFollows", func(b *brokenStore, m *memstore.Store) {
		first := asAdded(b, m)
		b.recent = func(ctx context.Context, filter dcr.Filter, cursor string, limit int) (selected []*dcr.Client, next string, err error) {
			clients, next, err := m.ListRecentClients(ctx, dcr.Filter{}, cursor, limit)
			for _, client := range clients {
				old := client.Clone()
				old.Status = first(client.ID).Status
				if filter.Selects(old) {
					selected = append(selected, client)
				}
			}
			return selected, next, err
		}
	}},
	{"A count selects clients by the policy that they were added with.", "ListFollows", func(b *brokenStore, m *memstore.Store) {
		first := asAdded(b, m)
		b.count = func(ctx context.Context, filter dcr.Filter) (count int64, err error) {
			for client := range m.ListClients(ctx, dcr.Filter{}, "") {
				client.Policy = first(client.ID).Policy
				if filter.Selects(client) {
					count++
				}
			}
			return count, nil
		}
	}},
	{"A release takes back all uses of a token.", "TokenRelease", func(b *brokenStore, m *memstore.Store) {
		b.release = func(ctx context.Context, hash string) error {
			for token, err := m.FindInitialAccessToken(ctx, hash); err == nil && token.Uses > 0; token, err = m.FindInitialAccessToken(ctx, hash) {
				m.ReleaseInitialAccessToken(ctx, hash)
			}
			return nil
		}
	}},
	{"A deleted token is listed.", "TokenDelete", func(b *brokenStore, m *memstore.Store) {
		var deleted []dcr.InitialAccessToken
		b.revoke = func(ctx context.Context, hash string) error {
			if token, err := m.FindInitialAccessToken(ctx, hash); err == nil {
				deleted = append(deleted, *token)
			}
			return m.DeleteInitialAccessToken(ctx, hash)
		}
		b.tokens = func(ctx context.Context, cursor string, limit int) ([]dcr.InitialAccessToken, string, error) {
			list, next, err := m.ListInitialAccessTokens(ctx, cursor, limit)
			return append(list, deleted...), next, err
		}
	}},
	{"Deleting a token deletes those with the same beginning.", "TokenDelete", func(b *brokenStore, m *memstore.Store) {
		b.revoke = func(ctx context.Context, hash string) error {
			list, _, _ := m.ListInitialAccessTokens(ctx, "", 100)
			for _, token := range list {
				if token.Hash != hash && strings.HasPrefix(token.Hash, hash) {
					m.DeleteInitialAccessToken(ctx, token.Hash)
				}
			}
			return m.DeleteInitialAccessToken(ctx, hash)
		}
	}},
	{"A swept client is still listed.", "ListWithoutDeleted", func(b *brokenStore, m *memstore.Store) {
		var swept []*dcr.Client
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (int64, error) {
			rule.AfterDelete = func(_ context.Context, client *dcr.Client) { swept = append(swept, client) }
			return m.SweepClients(ctx, rule)
		}
		b.list = func(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
			return func(yield func(*dcr.Client, error) bool) {
				for _, client := range swept {
					if !yield(client, nil) {
						return
					}
				}
				m.ListClients(ctx, filter, after)(yield)
			}
		}
	}},
	{"An evicted client is still counted.", "ListWithoutDeleted", func(b *brokenStore, m *memstore.Store) {
		evicted := int64(0)
		b.evict = func(ctx context.Context, before time.Time) (*dcr.Client, time.Time, error) {
			evicted++
			return m.EvictClient(ctx, before)
		}
		b.count = func(ctx context.Context, filter dcr.Filter) (int64, error) {
			count, err := m.CountClients(ctx, filter)
			return count + evicted, err
		}
	}},
	{"A client that was used cannot be deleted as it was read.", "DeleteRevision", func(b *brokenStore, m *memstore.Store) {
		used := map[string]bool{}
		b.touch = func(ctx context.Context, id string, at time.Time) error {
			used[id] = true
			return m.TouchClient(ctx, id, at)
		}
		b.removeAs = func(ctx context.Context, id string, revision int64) error {
			if used[id] {
				return dcr.ErrConflict
			}
			return m.DeleteRevision(ctx, id, revision)
		}
	}},
}

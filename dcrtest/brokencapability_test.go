package dcrtest

import (
	"context"
	"errors"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

var brokenCapabilities = []damage{
	{"A listing leaves out a client at the end of each page.", "ListInOrder", func(b *brokenStore, m *memstore.Store) {
		b.list = func(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
			return func(yield func(*dcr.Client, error) bool) {
				n := 0
				for client, err := range m.ListClients(ctx, filter, after) {
					if n++; n%100 != 0 && !yield(client, err) {
						return
					}
				}
			}
		}
	}},
	{"A listing starts with the client that it should start after.", "ListAfter", func(b *brokenStore, m *memstore.Store) {
		b.list = func(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
			return func(yield func(*dcr.Client, error) bool) {
				if client, err := m.FindByClientID(ctx, after); err == nil && !yield(client, nil) {
					return
				}
				m.ListClients(ctx, filter, after)(yield)
			}
		}
	}},
	{"A listing ignores the status.", "ListFiltered", func(b *brokenStore, m *memstore.Store) {
		b.list = func(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
			filter.Status = nil
			return m.ListClients(ctx, filter, after)
		}
	}},
	{"A count ignores the filter.", "ListFiltered", func(b *brokenStore, m *memstore.Store) {
		b.count = func(ctx context.Context, _ dcr.Filter) (int64, error) { return m.CountClients(ctx, dcr.Filter{}) }
	}},
	{"An update does not change the values by which a client is found.", "ListFollows", func(b *brokenStore, m *memstore.Store) {
		first := map[string]*dcr.Client{}
		b.add = func(ctx context.Context, client *dcr.Client) error {
			first[client.ID] = client.Clone()
			return m.Add(ctx, client)
		}
		b.list = func(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
			return func(yield func(*dcr.Client, error) bool) {
				for client, err := range m.ListClients(ctx, dcr.Filter{}, after) {
					if as := first[client.ID]; filter.Selects(as) && !yield(client, err) {
						return
					}
				}
			}
		}
	}},
	{"An update keeps the old values by which a client is found.", "ListFollows", func(b *brokenStore, m *memstore.Store) {
		seen := map[string]bool{}
		b.update = func(ctx context.Context, client *dcr.Client) error {
			if before, err := m.FindByClientID(ctx, client.ID); err == nil {
				seen[before.SoftwareID] = true
			}
			return m.Update(ctx, client)
		}
		b.list = func(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
			if seen[filter.SoftwareID] {
				filter.SoftwareID = ""
			}
			return m.ListClients(ctx, filter, after)
		}
	}},
	{"A listing that is cancelled ends without an error.", "ListStops", func(b *brokenStore, m *memstore.Store) {
		b.list = func(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
			if ctx.Err() != nil {
				return func(func(*dcr.Client, error) bool) {}
			}
			return m.ListClients(ctx, filter, after)
		}
	}},
	{"A touch makes a new Revision.", "TouchAndUpdate", func(b *brokenStore, m *memstore.Store) {
		b.touch = func(ctx context.Context, id string, at time.Time) error {
			client, err := m.FindByClientID(ctx, id)
			if err != nil {
				return err
			}
			client.Touch(at)
			return m.Update(ctx, client)
		}
	}},
	{"An update forgets the touches since the client was read.", "TouchAndUpdate", func(b *brokenStore, m *memstore.Store) {
		b.update = func(ctx context.Context, client *dcr.Client) error {
			if err := m.Update(ctx, client); err != nil {
				return err
			}
			m.Delete(ctx, client.ID)
			return m.Add(ctx, client)
		}
	}},
	{"A touch sets a time in the future.", "TouchFromTheFuture", func(b *brokenStore, m *memstore.Store) {
		var last time.Time
		b.touch = func(ctx context.Context, id string, at time.Time) error {
			last = at
			return m.TouchClient(ctx, id, at)
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if err == nil {
				client.Touch(last)
			}
			return client, err
		}
	}},
	{"A touch moves backwards.", "Touch", func(b *brokenStore, m *memstore.Store) {
		b.touch = func(ctx context.Context, id string, at time.Time) error {
			client, err := m.FindByClientID(ctx, id)
			if err != nil {
				return err
			}
			client.LastUsedAt = at
			m.Delete(ctx, id)
			return m.Add(ctx, client)
		}
	}},
	{"A sweep deletes the host's own clients.", "SweepKeepsTheHosts", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (int64, error) {
			for client := range m.ListClients(ctx, dcr.Filter{}, "") {
				client.Source = dcr.SourceDynamic
				m.Update(ctx, client)
			}
			return m.SweepClients(ctx, rule)
		}
	}},
	{"A dry run deletes.", "SweepDryRun", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (int64, error) {
			rule.DryRun = false
			return m.SweepClients(ctx, rule)
		}
	}},
	{"A sweep does not call BeforeDelete.", "SweepCallback", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (int64, error) {
			rule.BeforeDelete = nil
			return m.SweepClients(ctx, rule)
		}
	}},
	{"A sweep ends at a client that is kept.", "SweepKeepsOne", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (int64, error) {
			if before := rule.BeforeDelete; before != nil {
				rule.BeforeDelete = func(ctx context.Context, client *dcr.Client) error {
					err := before(ctx, client)
					if errors.Is(err, dcr.ErrKeepClient) {
						return errors.New("the client is kept")
					}
					return err
				}
			}
			return m.SweepClients(ctx, rule)
		}
	}},
	{"A sweep does not call AfterDelete.", "SweepTells", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (int64, error) {
			rule.AfterDelete = nil
			return m.SweepClients(ctx, rule)
		}
	}},
	{"Sweeps that run at once call AfterDelete with each client that they selected.", "SweepTellsOnce", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (swept int64, err error) {
			var selected []*dcr.Client
			for client := range m.ListClients(ctx, dcr.Filter{}, "") {
				if rule.Selects(client) {
					selected = append(selected, client)
				}
			}
			gap()
			for _, client := range selected {
				m.Delete(ctx, client.ID)
				if rule.AfterDelete != nil {
					rule.AfterDelete(ctx, client)
				}
			}
			return int64(len(selected)), nil
		}
	}},
	{"A sweep deletes a client that was used after it was selected.", "SweepKeepsUsed", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (swept int64, err error) {
			var ids []string
			for client := range m.ListClients(ctx, dcr.Filter{}, "") {
				if rule.Selects(client) {
					ids = append(ids, client.ID)
					rule.BeforeDelete(ctx, client)
				}
			}
			for _, id := range ids {
				m.Delete(ctx, id)
			}
			return int64(len(ids)), nil
		}
	}},
	{"A sweep deletes a client that was changed but is still selected.", "SweepKeepsChanged", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (swept int64, err error) {
			for client := range m.ListClients(ctx, dcr.Filter{}, "") {
				if !rule.Selects(client) {
					continue
				}
				if err := rule.BeforeDelete(ctx, client); err != nil {
					return swept, err
				}
				if found, err := m.FindByClientID(ctx, client.ID); err == nil && rule.Selects(found) {
					m.Delete(ctx, client.ID)
					swept++
				}
			}
			return swept, nil
		}
	}},
	{"A sweep ends after its first batch.", "SweepInBatches", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (swept int64, err error) {
			for client := range m.ListClients(ctx, dcr.Filter{}, "") {
				if rule.Selects(client) && int(swept) < rule.BatchSize {
					m.Delete(ctx, client.ID)
					swept++
				}
			}
			return swept, nil
		}
	}},
	{"A token's uses are counted and written in two steps.", "TokenUsesAtOnce", func(b *brokenStore, m *memstore.Store) {
		b.use = func(ctx context.Context, hash string, now time.Time) error {
			token, err := m.FindInitialAccessToken(ctx, hash)
			if err != nil {
				return err
			}
			if token.Uses >= token.MaxUses {
				return dcr.ErrTokenUsedUp
			}
			gap()
			m.UseInitialAccessToken(ctx, hash, now)
			return nil
		}
	}},
	{"A token outlives its expiry.", "TokenExpires", func(b *brokenStore, m *memstore.Store) {
		b.use = func(ctx context.Context, hash string, now time.Time) error {
			return m.UseInitialAccessToken(ctx, hash, day(0))
		}
	}},
	{"A replay prolongs what is remembered.", "Remember", func(b *brokenStore, m *memstore.Store) {
		last := map[string]time.Time{}
		b.remember = func(ctx context.Context, key string, until, now time.Time) (bool, error) {
			fresh := !now.Before(last[key])
			last[key] = until
			return fresh, nil
		}
	}},
	{"A forgotten value is still remembered.", "Forget", func(b *brokenStore, m *memstore.Store) {
		b.forget = func(context.Context, string) error { return nil }
	}},
	{"A host with a fast clock cleans up for all hosts.", "RememberWithAFastClock", func(b *brokenStore, m *memstore.Store) {
		var mu sync.Mutex
		last := map[string]time.Time{}
		b.remember = func(ctx context.Context, key string, until, now time.Time) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			maps.DeleteFunc(last, func(_ string, until time.Time) bool { return !now.Before(until) })
			_, found := last[key]
			if !found {
				last[key] = until
			}
			return !found, nil
		}
	}},
	{"Two first uses at once are both fresh.", "RememberAtOnce", func(b *brokenStore, m *memstore.Store) {
		b.remember = func(ctx context.Context, key string, until, now time.Time) (bool, error) {
			gap()
			fresh, err := m.Remember(ctx, key, until, now)
			return fresh || now.Equal(day(0)), err
		}
	}},
	{"DeleteRevision ignores the Revision.", "DeleteRevisionStale", func(b *brokenStore, m *memstore.Store) {
		b.removeAs = func(ctx context.Context, id string, _ int64) error { return m.Delete(ctx, id) }
	}},
	{"DeleteRevision looks first and deletes later.", "DeleteRevisionAtOnce", func(b *brokenStore, m *memstore.Store) {
		b.removeAs = func(ctx context.Context, id string, revision int64) error {
			client, err := m.FindByClientID(ctx, id)
			if err != nil {
				return err
			}
			if client.Revision != revision {
				return dcr.ErrConflict
			}
			gap()
			gap()
			return m.Delete(ctx, id)
		}
		b.update = func(ctx context.Context, client *dcr.Client) error {
			gap()
			return m.Update(ctx, client)
		}
	}},
	{"DeleteRevision of a client that does not exist returns ErrConflict.", "DeleteRevision", func(b *brokenStore, m *memstore.Store) {
		b.removeAs = func(ctx context.Context, id string, revision int64) error {
			if m.DeleteRevision(ctx, id, revision) != nil {
				return dcr.ErrConflict
			}
			return nil
		}
	}},
	{"A view is outdated.", "View", func(b *brokenStore, m *memstore.Store) {
		first := map[string]*dcr.Client{}
		b.view = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if first[id] == nil {
				first[id] = client
			}
			return first[id], err
		}
	}},
	{"FindStored reads from a cache that nobody updates.", "Stored", func(b *brokenStore, m *memstore.Store) {
		cache := map[string]*dcr.Client{}
		b.stored = func(ctx context.Context, id string) (*dcr.Client, error) {
			if cache[id] == nil {
				client, err := m.FindByClientID(ctx, id)
				if err != nil {
					return nil, err
				}
				cache[id] = client
			}
			return cache[id].Clone(), nil
		}
	}},
	{"FindStored returns the client that it keeps.", "Stored", func(b *brokenStore, m *memstore.Store) { b.stored = m.ViewClient }},
	{"FindStored makes clients.", "Stored", func(b *brokenStore, m *memstore.Store) {
		b.stored = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if err != nil {
				return newClient(id), nil
			}
			return client, nil
		}
	}},
	{"A view shares the client with the caller of FindByClientID.", "ViewIsNotShared", func(b *brokenStore, m *memstore.Store) { b.find = m.ViewClient }},
	{"Forget of a value that is not remembered is an error.", "Forget", func(b *brokenStore, m *memstore.Store) {
		b.forget = func(ctx context.Context, key string) error {
			fresh, err := m.Remember(ctx, key, day(10), day(1))
			if fresh {
				m.Forget(ctx, key)
				return dcr.ErrClientNotFound
			}
			m.Forget(ctx, key)
			return err
		}
	}},
}

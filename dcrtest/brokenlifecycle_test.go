package dcrtest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// oldestIn returns the client that was created first, or nil if there is none.
func oldestIn(ctx context.Context, m *memstore.Store) (*dcr.Client, error) {
	clients, _, err := m.ListRecentClients(ctx, dcr.Filter{}, "", 1000)
	if err != nil || len(clients) == 0 {
		return nil, err
	}
	return clients[len(clients)-1], nil
}

var brokenLifecycles = []damage{
	{"Add of an id that no store accepts returns an error of its own.", "EveryStoresIDs", func(b *brokenStore, m *memstore.Store) {
		b.add = func(ctx context.Context, client *dcr.Client) error {
			if err := m.Add(ctx, client); !errors.Is(err, dcr.ErrClientID) {
				return err
			}
			return errors.New("value too long for column")
		}
	}},
	{"Long ids are cut.", "EveryStoresIDs", func(b *brokenStore, m *memstore.Store) {
		b.add = func(ctx context.Context, client *dcr.Client) error {
			own := client.Clone()
			own.ID = own.ID[:min(len(own.ID), 254)]
			err := m.Add(ctx, own)
			client.Revision = own.Revision
			return err
		}
	}},
	{"A list of recent clients has the oldest first.", "RecentInOrder", func(b *brokenStore, m *memstore.Store) {
		b.recent = func(ctx context.Context, filter dcr.Filter, _ string, _ int) (clients []*dcr.Client, _ string, err error) {
			for client, err := range m.ListClients(ctx, filter, "") {
				if err != nil {
					return nil, "", err
				}
				clients = append(clients, client)
			}
			return clients, "", nil
		}
	}},
	{"A list of recent clients ends at an empty page.", "RecentFiltered", func(b *brokenStore, m *memstore.Store) {
		b.recent = func(ctx context.Context, filter dcr.Filter, cursor string, limit int) (clients []*dcr.Client, next string, err error) {
			page, next, err := m.ListRecentClients(ctx, dcr.Filter{}, cursor, limit)
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
	{"A list of recent clients repeats the cursor if it finds none.", "RecentFiltered", func(b *brokenStore, m *memstore.Store) {
		b.recent = func(ctx context.Context, filter dcr.Filter, cursor string, limit int) (clients []*dcr.Client, next string, err error) {
			page, next, err := m.ListRecentClients(ctx, dcr.Filter{}, cursor, limit)
			for _, client := range page {
				if filter.Selects(client) {
					clients = append(clients, client)
				}
			}
			if len(clients) == 0 && cursor != "" && next != "" {
				next = cursor
			}
			return clients, next, err
		}
	}},
	{"A cursor counts clients.", "RecentWhileWriting", func(b *brokenStore, m *memstore.Store) {
		b.recent = func(ctx context.Context, filter dcr.Filter, cursor string, limit int) ([]*dcr.Client, string, error) {
			all, _, err := m.ListRecentClients(ctx, filter, "", 1000)
			skip := strings.Count(cursor, "+")
			if err != nil || len(all)-skip <= limit {
				return all[min(skip, len(all)):], "", err
			}
			return all[skip : skip+limit], strings.Repeat("+", skip+limit), nil
		}
	}},
	{"An unknown cursor returns the first page.", "RecentCursor", func(b *brokenStore, m *memstore.Store) {
		b.recent = func(ctx context.Context, filter dcr.Filter, cursor string, limit int) ([]*dcr.Client, string, error) {
			clients, next, err := m.ListRecentClients(ctx, filter, cursor, limit)
			if err != nil {
				return m.ListRecentClients(ctx, filter, "", limit)
			}
			return clients, next, nil
		}
	}},
	{"A list of tokens leaves out their uses.", "TokenList", func(b *brokenStore, m *memstore.Store) {
		b.tokens = func(ctx context.Context, cursor string, limit int) ([]dcr.InitialAccessToken, string, error) {
			tokens, next, err := m.ListInitialAccessTokens(ctx, cursor, limit)
			for i := range tokens {
				tokens[i].Uses = 0
			}
			return tokens, next, err
		}
	}},
	{"A note of a document makes a new Revision.", "NoteDocument", func(b *brokenStore, m *memstore.Store) {
		b.document = func(ctx context.Context, id string, record dcr.DocumentRecord) error {
			client, err := m.FindByClientID(ctx, id)
			if err != nil {
				return err
			}
			client.Document = &record
			return m.Update(ctx, client)
		}
	}},
	{"A note of a document replaces a newer record from an update.", "NoteDocumentAndUpdate", func(b *brokenStore, m *memstore.Store) {
		noted := map[string]dcr.DocumentRecord{}
		b.document = func(ctx context.Context, id string, record dcr.DocumentRecord) error {
			noted[id] = record
			return m.NoteDocument(ctx, id, record)
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if record, has := noted[id]; has && err == nil {
				client.Document = &record
			}
			return client, err
		}
	}},
	{"The last consent is kept, not the first.", "NoteConsent", func(b *brokenStore, m *memstore.Store) {
		last := map[string]string{}
		b.consent = func(ctx context.Context, id, person string, at time.Time) error {
			last[id] = person
			return m.NoteConsent(ctx, id, person, at)
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if err == nil && last[id] != "" {
				client.ActivatedBy = last[id]
			}
			return client, err
		}
	}},
	{"A note for a client that does not exist is not an error.", "NoteNothing", func(b *brokenStore, m *memstore.Store) {
		b.document = func(ctx context.Context, id string, record dcr.DocumentRecord) error {
			if err := m.NoteDocument(ctx, id, record); !errors.Is(err, dcr.ErrClientNotFound) {
				return err
			}
			return nil
		}
	}},
	{"An eviction deletes the oldest client of any kind.", "Evict", func(b *brokenStore, m *memstore.Store) {
		b.evict = func(ctx context.Context, before time.Time) (*dcr.Client, time.Time, error) {
			oldest, err := oldestIn(ctx, m)
			if err != nil || oldest == nil || !oldest.CreatedAt.Before(before) {
				return nil, day(0), err
			}
			return oldest, day(2), m.Delete(ctx, oldest.ID)
		}
	}},
	{"An eviction deletes clients in use.", "EvictFollows", func(b *brokenStore, m *memstore.Store) {
		b.touch = func(context.Context, string, time.Time) error { return nil }
	}},
	{"An eviction looks first and deletes later.", "EvictAtOnce", func(b *brokenStore, m *memstore.Store) {
		b.evict = func(ctx context.Context, _ time.Time) (*dcr.Client, time.Time, error) {
			oldest, err := oldestIn(ctx, m)
			gap()
			if err == nil && oldest != nil {
				m.Delete(ctx, oldest.ID)
			}
			return oldest, time.Time{}, err
		}
	}},
	{"A sweep deletes clients of every source.", "SweepSources", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (int64, error) {
			rule.Sources = append(rule.Sources, dcr.SourceDynamic)
			return m.SweepClients(ctx, rule)
		}
	}},
	{"A sweep ignores notes of documents.", "SweepWithdrawn", func(b *brokenStore, m *memstore.Store) {
		b.document = func(ctx context.Context, id string, _ dcr.DocumentRecord) error {
			_, err := m.FindByClientID(ctx, id)
			return err
		}
	}},
	{"A sweep deletes clients that wait for approval.", "SweepKeepsInactive", func(b *brokenStore, m *memstore.Store) {
		b.sweep = func(ctx context.Context, rule dcr.SweepRule) (swept int64, err error) {
			for client := range m.ListClients(ctx, dcr.Filter{}, "") {
				client.Status = dcr.StatusActive
				if rule.Selects(client) && m.Delete(ctx, client.ID) == nil {
					swept++
				}
			}
			return swept, nil
		}
	}},
}

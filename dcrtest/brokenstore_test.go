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

// brokenStore is a store in which some operations can be replaced.
type brokenStore struct {
	unread
	add      func(context.Context, *dcr.Client) error
	find     func(context.Context, string) (*dcr.Client, error)
	update   func(context.Context, *dcr.Client) error
	remove   func(context.Context, string) error
	view     func(context.Context, string) (*dcr.Client, error)
	stored   func(context.Context, string) (*dcr.Client, error)
	touch    func(context.Context, string, time.Time) error
	list     func(context.Context, dcr.Filter, string) iter.Seq2[*dcr.Client, error]
	count    func(context.Context, dcr.Filter) (int64, error)
	sweep    func(context.Context, dcr.SweepRule) (int64, error)
	use      func(context.Context, string, time.Time) error
	remember func(context.Context, string, time.Time, time.Time) (bool, error)
	removeAs func(context.Context, string, int64) error
	forget   func(context.Context, string) error
	recent   func(context.Context, dcr.Filter, string, int) ([]*dcr.Client, string, error)
	evict    func(context.Context, time.Time) (*dcr.Client, time.Time, error)
	document func(context.Context, string, dcr.DocumentRecord) error
	consent  func(context.Context, string, string, time.Time) error
	tokens   func(context.Context, string, int) ([]dcr.InitialAccessToken, string, error)
	release  func(context.Context, string) error
	revoke   func(context.Context, string) error
}

// unread is not a ClientViewer, so that the store around it can be one.
type unread struct{ *memstore.Store }

func (unread) ViewClient() {}

func (s *brokenStore) Add(ctx context.Context, c *dcr.Client) error { return s.add(ctx, c) }
func (s *brokenStore) FindByClientID(ctx context.Context, id string) (*dcr.Client, error) {
	return s.find(ctx, id)
}
func (s *brokenStore) ViewClient(ctx context.Context, id string) (*dcr.Client, error) {
	return s.view(ctx, id)
}
func (s *brokenStore) FindStored(ctx context.Context, id string) (*dcr.Client, error) {
	return s.stored(ctx, id)
}
func (s *brokenStore) Update(ctx context.Context, c *dcr.Client) error { return s.update(ctx, c) }
func (s *brokenStore) Delete(ctx context.Context, id string) error     { return s.remove(ctx, id) }
func (s *brokenStore) TouchClient(ctx context.Context, id string, at time.Time) error {
	return s.touch(ctx, id, at)
}
func (s *brokenStore) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	return s.list(ctx, filter, after)
}
func (s *brokenStore) CountClients(ctx context.Context, filter dcr.Filter) (int64, error) {
	return s.count(ctx, filter)
}
func (s *brokenStore) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	return s.sweep(ctx, rule)
}
func (s *brokenStore) UseInitialAccessToken(ctx context.Context, hash string, now time.Time) error {
	return s.use(ctx, hash, now)
}
func (s *brokenStore) Remember(ctx context.Context, key string, until, now time.Time) (bool, error) {
	return s.remember(ctx, key, until, now)
}
func (s *brokenStore) DeleteRevision(ctx context.Context, id string, revision int64) error {
	return s.removeAs(ctx, id, revision)
}
func (s *brokenStore) Forget(ctx context.Context, key string) error { return s.forget(ctx, key) }

func (s *brokenStore) ListRecentClients(ctx context.Context, filter dcr.Filter, cursor string, limit int) ([]*dcr.Client, string, error) {
	return s.recent(ctx, filter, cursor, limit)
}
func (s *brokenStore) EvictClient(ctx context.Context, before time.Time) (*dcr.Client, time.Time, error) {
	return s.evict(ctx, before)
}
func (s *brokenStore) NoteDocument(ctx context.Context, id string, record dcr.DocumentRecord) error {
	return s.document(ctx, id, record)
}
func (s *brokenStore) NoteConsent(ctx context.Context, id, person string, at time.Time) error {
	return s.consent(ctx, id, person, at)
}
func (s *brokenStore) ListInitialAccessTokens(ctx context.Context, cursor string, limit int) ([]dcr.InitialAccessToken, string, error) {
	return s.tokens(ctx, cursor, limit)
}

func (s *brokenStore) ReleaseInitialAccessToken(ctx context.Context, hash string) error {
	return s.release(ctx, hash)
}
func (s *brokenStore) DeleteInitialAccessToken(ctx context.Context, hash string) error {
	return s.revoke(ctx, hash)
}

// brokenBy returns a store that damage has changed.
func brokenBy(damage func(broken *brokenStore, whole *memstore.Store)) *brokenStore {
	whole := memstore.New()
	broken := &brokenStore{
		unread: unread{whole}, add: whole.Add, find: whole.FindByClientID, update: whole.Update, remove: whole.Delete,
		view: whole.ViewClient, stored: whole.FindByClientID, touch: whole.TouchClient, list: whole.ListClients, count: whole.CountClients, sweep: whole.SweepClients,
		use: whole.UseInitialAccessToken, remember: whole.Remember,
		removeAs: whole.DeleteRevision, forget: whole.Forget,
		recent: whole.ListRecentClients, evict: whole.EvictClient, document: whole.NoteDocument, consent: whole.NoteConsent,
		tokens: whole.ListInitialAccessTokens, release: whole.ReleaseInitialAccessToken, revoke: whole.DeleteInitialAccessToken,
	}
	damage(broken, whole)
	return broken
}

// gap lets all other goroutines run between a check and what relies on it: in a
// synctest bubble, time advances when all goroutines are blocked.
func gap() { time.Sleep(time.Nanosecond) }

// overwriteStored updates from the Revision that the store has.
func overwriteStored(ctx context.Context, whole *memstore.Store, client *dcr.Client) error {
	for {
		current, err := whole.FindByClientID(ctx, client.ID)
		if err != nil {
			return err
		}
		client.Revision = current.Revision
		if err := whole.Update(ctx, client); !errors.Is(err, dcr.ErrConflict) {
			return err
		}
	}
}

// changed replaces Add and Update, so that they call change before they store.
func changed(b *brokenStore, m *memstore.Store, change func(*dcr.Client)) {
	with := func(store func(context.Context, *dcr.Client) error) func(context.Context, *dcr.Client) error {
		return func(ctx context.Context, client *dcr.Client) error {
			own := client.Clone()
			change(own)
			err := store(ctx, own)
			client.Revision = own.Revision
			return err
		}
	}
	b.add, b.update = with(m.Add), with(m.Update)
}

// beginning makes each client of the store begin with the Revision that begin
// returns, and count up from there.
func beginning(b *brokenStore, m *memstore.Store, begin func(id string) int64) {
	shift := map[string]int64{} // from the memstore's Revisions to these
	b.add = func(ctx context.Context, client *dcr.Client) error {
		err := m.Add(ctx, client)
		if err == nil {
			first := begin(client.ID)
			shift[client.ID], client.Revision = first-client.Revision, first
		}
		return err
	}
	b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
		client, err := m.FindByClientID(ctx, id)
		if err == nil {
			client.Revision += shift[id]
		}
		return client, err
	}
	b.update = func(ctx context.Context, client *dcr.Client) error {
		client.Revision -= shift[client.ID]
		defer func() { client.Revision += shift[client.ID] }()
		return m.Update(ctx, client)
	}
	b.removeAs = func(ctx context.Context, id string, revision int64) error {
		return m.DeleteRevision(ctx, id, revision-shift[id])
	}
}

// damage is one way to break a store.
type damage struct {
	sentence string
	caught   string // the case that must fail
	damage   func(b *brokenStore, m *memstore.Store)
}

var brokenStores = []damage{
	{"Update ignores the Revision.", "UpdateStale", func(b *brokenStore, m *memstore.Store) {
		b.update = func(ctx context.Context, client *dcr.Client) error { return overwriteStored(ctx, m, client) }
	}},
	{"Update compares the Revision first and writes later.", "NoLostUpdate", func(b *brokenStore, m *memstore.Store) {
		b.update = func(ctx context.Context, client *dcr.Client) error {
			current, err := m.FindByClientID(ctx, client.ID)
			if err != nil {
				return err
			}
			if current.Revision != client.Revision {
				return dcr.ErrConflict
			}
			gap()
			return overwriteStored(ctx, m, client)
		}
	}},
	{"Reads come from a cache that Update does not change.", "NoLostUpdate", func(b *brokenStore, m *memstore.Store) {
		var cache sync.Map
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			if client, ok := cache.Load(id); ok {
				return client.(*dcr.Client).Clone(), nil
			}
			client, err := m.FindByClientID(ctx, id)
			if err == nil {
				cache.Store(id, client.Clone())
			}
			return client, err
		}
	}},
	{"Update does not change the Revision in the caller's struct.", "Update", func(b *brokenStore, m *memstore.Store) {
		b.update = func(ctx context.Context, client *dcr.Client) error { return m.Update(ctx, client.Clone()) }
	}},
	{"Update creates a client that does not exist.", "UpdateNothing", func(b *brokenStore, m *memstore.Store) {
		b.update = func(ctx context.Context, client *dcr.Client) error {
			err := m.Update(ctx, client)
			if errors.Is(err, dcr.ErrClientNotFound) {
				return m.Add(ctx, client)
			}
			return err
		}
	}},
	{"A failed Update increments the Revision in the caller's struct.", "UpdateStale", func(b *brokenStore, m *memstore.Store) {
		b.update = func(ctx context.Context, client *dcr.Client) error {
			err := m.Update(ctx, client)
			if err != nil {
				client.Revision++
			}
			return err
		}
	}},
	{"The store keeps the caller's pointer.", "KeepsCopies", func(b *brokenStore, m *memstore.Store) {
		kept := map[string]*dcr.Client{}
		b.add = func(ctx context.Context, client *dcr.Client) error {
			kept[client.ID] = client
			return m.Add(ctx, client)
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			if client := kept[id]; client != nil {
				return client.Clone(), nil
			}
			return nil, dcr.ErrClientNotFound
		}
	}},
	{"The store returns its own slices.", "KeepsCopies", func(b *brokenStore, m *memstore.Store) {
		kept := map[string]*dcr.Client{}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if old := kept[id]; old != nil && err == nil && old.Revision == client.Revision {
				shallow := *old
				return &shallow, nil
			}
			kept[id] = client
			if err != nil {
				return nil, err
			}
			shallow := *client
			return &shallow, nil
		}
	}},
	{"FindByClientID returns nil for a client that does not exist.", "FindNothing", func(b *brokenStore, m *memstore.Store) {
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if errors.Is(err, dcr.ErrClientNotFound) {
				err = nil
			}
			return client, err
		}
	}},
	{"FindByClientID returns its own error for a client that does not exist.", "FindNothing", func(b *brokenStore, m *memstore.Store) {
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if err != nil {
				err = errors.New("no rows in result set")
			}
			return client, err
		}
	}},
	{"Add of a taken id returns ErrConflict.", "AddTwice", func(b *brokenStore, m *memstore.Store) {
		b.add = func(ctx context.Context, client *dcr.Client) error {
			err := m.Add(ctx, client)
			if errors.Is(err, dcr.ErrClientExists) {
				err = dcr.ErrConflict
			}
			return err
		}
	}},
	{"Add replaces a client whose id is taken.", "AddTwice", func(b *brokenStore, m *memstore.Store) {
		b.add = func(ctx context.Context, client *dcr.Client) error {
			err := m.Add(ctx, client)
			if errors.Is(err, dcr.ErrClientExists) {
				overwriteStored(ctx, m, client)
			}
			return err
		}
	}},
	{"A failed Update matches two errors.", "ErrorsDiffer", func(b *brokenStore, m *memstore.Store) {
		b.update = func(ctx context.Context, client *dcr.Client) error {
			err := m.Update(ctx, client)
			if err != nil {
				err = errors.Join(dcr.ErrConflict, dcr.ErrClientNotFound)
			}
			return err
		}
	}},
	{"Add keeps the Revision that the caller had.", "AddThenFind", func(b *brokenStore, m *memstore.Store) {
		b.add = func(ctx context.Context, client *dcr.Client) error { return m.Add(ctx, client.Clone()) }
	}},
	{"The Revision is not stored.", "AddThenFind", func(b *brokenStore, m *memstore.Store) {
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if err == nil {
				client.Revision = 0
			}
			return client, err
		}
	}},
	{"Every client begins with Revision 1.", "AddAgain", func(b *brokenStore, m *memstore.Store) { beginning(b, m, func(string) int64 { return 1 }) }},
	{"A client begins where the last one of its id ended.", "AddAgain", func(b *brokenStore, m *memstore.Store) {
		last := int64(0)
		beginning(b, m, func(string) int64 { last += 10; return last })
	}},
	{"A Revision is too large for other languages.", "AddThenFind", func(b *brokenStore, m *memstore.Store) {
		beginning(b, m, func(string) int64 { return 1<<53 + 1 })
	}},
	{"One field is lost.", "EveryField", func(b *brokenStore, m *memstore.Store) {
		changed(b, m, func(c *dcr.Client) { c.IdentityProviderRestrictions = nil })
	}},
	{"One metadata member is lost.", "EveryField", func(b *brokenStore, m *memstore.Store) {
		changed(b, m, func(c *dcr.Client) { c.BackchannelUserCodeParameter = false })
	}},
	{"Times are kept to the second.", "EveryField", func(b *brokenStore, m *memstore.Store) {
		changed(b, m, func(c *dcr.Client) { c.CreatedAt = c.CreatedAt.Truncate(time.Second) })
	}},
	{"A key set is sorted again.", "EveryField", func(b *brokenStore, m *memstore.Store) {
		changed(b, m, func(c *dcr.Client) { c.JWKS = []byte(`{"keys":[{"crv":"Ed25519","kty":"OKP"}]}`) })
	}},
	{"Members that a newer version stored are dropped.", "NewerFields", func(b *brokenStore, m *memstore.Store) {
		b.add = func(ctx context.Context, client *dcr.Client) error {
			known := dcr.NewClient()
			known.ID, known.Metadata, known.Source = client.ID, client.Metadata, client.Source
			return m.Add(ctx, known)
		}
	}},
	{"Text beyond ASCII is lost.", "NonASCII", func(b *brokenStore, m *memstore.Store) {
		changed(b, m, func(c *dcr.Client) {
			c.ClientName = strings.ToValidUTF8(c.ClientName[:min(len(c.ClientName), 20)], "?")
		})
	}},
	{"Long lists are cut.", "LargeClient", func(b *brokenStore, m *memstore.Store) {
		changed(b, m, func(c *dcr.Client) { c.RedirectURIs = c.RedirectURIs[:min(len(c.RedirectURIs), 255)] })
	}},
	{"Ids are compared without case.", "CaseSensitiveIDs", func(b *brokenStore, m *memstore.Store) {
		b.add = func(ctx context.Context, client *dcr.Client) error {
			for other := range m.ListClients(ctx, dcr.Filter{}, "") {
				if strings.EqualFold(other.ID, client.ID) {
					return dcr.ErrClientExists
				}
			}
			return m.Add(ctx, client)
		}
	}},
	{"Ids are compared without trailing spaces.", "CaseSensitiveIDs", func(b *brokenStore, m *memstore.Store) {
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			return m.FindByClientID(ctx, strings.TrimRight(id, " "))
		}
	}},
	{"Delete hides a client from reads only.", "Delete", func(b *brokenStore, m *memstore.Store) {
		deleted := map[string]bool{}
		b.remove = func(ctx context.Context, id string) error {
			if deleted[id] {
				return dcr.ErrClientNotFound
			}
			_, err := m.FindByClientID(ctx, id)
			deleted[id] = err == nil
			return err
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			if deleted[id] {
				return nil, dcr.ErrClientNotFound
			}
			return m.FindByClientID(ctx, id)
		}
	}},
	{"Delete looks first and deletes later.", "ConcurrentDeletes", func(b *brokenStore, m *memstore.Store) {
		b.remove = func(ctx context.Context, id string) error {
			if _, err := m.FindByClientID(ctx, id); err != nil {
				return err
			}
			gap()
			m.Delete(ctx, id)
			return nil
		}
	}},
	{"An Update during a Delete brings the client back.", "UpdateAndDelete", func(b *brokenStore, m *memstore.Store) {
		b.update = func(ctx context.Context, client *dcr.Client) error {
			if _, err := m.FindByClientID(ctx, client.ID); err != nil {
				return err
			}
			gap()
			err := m.Update(ctx, client)
			if errors.Is(err, dcr.ErrClientNotFound) {
				return m.Add(ctx, client)
			}
			return err
		}
	}},
	{"Delete of a client that does not exist succeeds.", "Delete", func(b *brokenStore, m *memstore.Store) {
		b.remove = func(ctx context.Context, id string) error { m.Delete(ctx, id); return nil }
	}},
	{"Delete also deletes ids with the same beginning.", "DeleteOne", func(b *brokenStore, m *memstore.Store) {
		b.remove = func(ctx context.Context, id string) error {
			for other := range m.ListClients(ctx, dcr.Filter{}, "") {
				if strings.HasPrefix(other.ID, id) && other.ID != id {
					m.Delete(ctx, other.ID)
				}
			}
			return m.Delete(ctx, id)
		}
	}},
	{"Add looks first and adds later.", "ConcurrentAdds", func(b *brokenStore, m *memstore.Store) {
		b.add = func(ctx context.Context, client *dcr.Client) error {
			if _, err := m.FindByClientID(ctx, client.ID); err == nil {
				return dcr.ErrClientExists
			}
			gap()
			if err := m.Add(ctx, client); err != nil {
				return overwriteStored(ctx, m, client)
			}
			return nil
		}
	}},
	{"A cancelled context makes a client look missing.", "CancelledContext", func(b *brokenStore, m *memstore.Store) {
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			if ctx.Err() != nil {
				return nil, dcr.ErrClientNotFound
			}
			return m.FindByClientID(ctx, id)
		}
	}},
	{"Add fails after it has stored the client.", "CancelledContext", func(b *brokenStore, m *memstore.Store) {
		b.add = func(ctx context.Context, client *dcr.Client) error { return errors.Join(m.Add(ctx, client), ctx.Err()) }
	}},
	{"A read mixes two versions.", "WholeReads", func(b *brokenStore, m *memstore.Store) {
		b.update = func(ctx context.Context, client *dcr.Client) error {
			gap()
			return m.Update(ctx, client)
		}
		b.find = func(ctx context.Context, id string) (*dcr.Client, error) {
			client, err := m.FindByClientID(ctx, id)
			if err != nil {
				return nil, err
			}
			gap()
			later, err := m.FindByClientID(ctx, id)
			if err == nil {
				client.Notes = later.Notes
			}
			return client, err
		}
	}},
}

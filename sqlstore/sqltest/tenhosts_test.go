package sqltest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/sqlstore"
)

const (
	hosts   = 10
	each    = 12  // registrations at one host
	unused  = 150 // clients that should be deleted
	inUse   = 30
	ceiling = 185
)

// fleet is ten hosts with one database, and what they report about its clients.
type fleet struct {
	stores []*sqlstore.Store

	mu         sync.Mutex
	told       map[dcr.EventKind]map[string]int // how often, by id
	deleted    map[string]int                   // as AfterDelete is called
	registered int                              // answers of 201
}

func newFleet(t *testing.T, d database) *fleet {
	t.Helper()
	f := &fleet{told: map[dcr.EventKind]map[string]int{}, deleted: map[string]int{}}
	dsn := d.create(t)
	for range hosts {
		f.stores = append(f.stores, d.storeIn(t, d.open(t, dsn), nil))
	}
	now := time.Now()
	for i := range unused + inUse {
		client := dcr.NewClient()
		client.ID, client.Source, client.CreatedAt = fmt.Sprintf("unused-%03d", i), dcr.SourceDynamic, now.Add(-48*time.Hour)
		if i >= unused {
			client.ID = inUseID(i - unused)
			client.Touch(now.Add(-time.Hour))
		}
		if err := f.stores[0].Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func inUseID(i int) string { return fmt.Sprintf("in-use-%03d", i) }

func (f *fleet) tell(_ context.Context, event dcr.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told[event.Kind] == nil {
		f.told[event.Kind] = map[string]int{}
	}
	f.told[event.Kind][event.ClientID]++
}

func (f *fleet) afterDelete(_ context.Context, client *dcr.Client) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleted[client.ID]++
	return nil
}

// register registers clients at one host.
func (f *fleet) register(t *testing.T, store *sqlstore.Store) {
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", AllowAnonymous: true, MaxClients: ceiling, EvictAfter: time.Hour,
		Events: f.tell, AfterDelete: f.afterDelete, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Error(err)
		return
	}
	for range each {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["https://app.example.com/callback"]}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		f.mu.Lock()
		switch w.Code {
		case 201:
			f.registered++
		case 503: // the room that a sweep made is seen after the next count
		default:
			t.Errorf("a registration got %d %s", w.Code, w.Body)
		}
		f.mu.Unlock()
	}
}

func (f *fleet) sweep(t *testing.T, store *sqlstore.Store) {
	for range 3 {
		j := admin.Janitor{Store: store, NeverActivated: 24 * time.Hour, Events: f.tell, AfterDelete: f.afterDelete}
		if _, err := j.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func (f *fleet) touch(t *testing.T, store *sqlstore.Store) {
	for i := range inUse {
		if err := store.TouchClient(t.Context(), inUseID(i), time.Now()); err != nil {
			t.Error(err)
		}
	}
}

// TestTenHosts checks that ten hosts that sweep, register, evict and touch at once
// lose no client in use, delete each of the others once, and report each once.
func TestTenHosts(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		f := newFleet(t, d)
		var all sync.WaitGroup
		for _, store := range f.stores {
			for _, work := range []func(*testing.T, *sqlstore.Store){f.register, f.sweep, f.touch} {
				all.Go(func() { work(t, store) })
			}
		}
		all.Wait()

		gone := map[string]int{}
		maps.Copy(gone, f.told[dcr.ClientSwept])
		for id, times := range f.told[dcr.ClientEvicted] {
			gone[id] += times
		}
		if len(gone) != unused || !maps.Equal(gone, f.deleted) || len(f.told[dcr.ClientRegistered]) != f.registered || f.registered == 0 {
			t.Errorf("%d of %d are reported as deleted, AfterDelete was called for %d; %d of %d that registered are reported",
				len(gone), unused, len(f.deleted), len(f.told[dcr.ClientRegistered]), f.registered)
		}
		for id, times := range gone {
			if times != 1 || !strings.HasPrefix(id, "unused-") {
				t.Errorf("%s is reported as deleted %d times", id, times)
			}
		}
		left := map[string]bool{}
		for client, err := range f.stores[0].ListClients(t.Context(), dcr.Filter{}, "") {
			if err != nil {
				t.Fatal(err)
			}
			left[client.ID] = true
		}
		for id := range f.told[dcr.ClientRegistered] {
			if !left[id] {
				t.Errorf("%s registered and is lost", id)
			}
		}
		if len(left) != inUse+f.registered {
			t.Errorf("%d clients are left, want %d", len(left), inUse+f.registered)
		}
	})
}

package sqltest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/sqlstore"
)

// TestTenHosts holds that ten hosts, which sweep, register, evict and touch at once,
// lose no client in use, delete each of the others once, and tell of each once.
func TestTenHosts(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		const hosts, each, unused, inUse, ceiling = 10, 12, 150, 30, 185
		dsn := d.create(t)
		stores := make([]*sqlstore.Store, hosts)
		for i := range stores {
			stores[i] = d.storeIn(t, d.open(t, dsn), nil)
		}
		first, now := stores[0], time.Now()
		for i := range unused + inUse {
			client := dcr.NewClient()
			client.ID, client.Source, client.CreatedAt = fmt.Sprintf("unused-%03d", i), dcr.SourceDynamic, now.Add(-48*time.Hour)
			if i >= unused {
				client.ID = fmt.Sprintf("in-use-%03d", i)
				client.Touch(now.Add(-time.Hour))
			}
			if err := first.Add(t.Context(), client); err != nil {
				t.Fatal(err)
			}
		}

		var mu sync.Mutex
		told, deleted, registered := map[dcr.EventKind]map[string]int{}, map[string]int{}, 0
		tell := func(_ context.Context, event dcr.Event) {
			mu.Lock()
			defer mu.Unlock()
			if told[event.Kind] == nil {
				told[event.Kind] = map[string]int{}
			}
			told[event.Kind][event.ClientID]++
		}
		afterDelete := func(_ context.Context, client *dcr.Client) error {
			mu.Lock()
			defer mu.Unlock()
			deleted[client.ID]++
			return nil
		}
		var all sync.WaitGroup
		for _, store := range stores {
			handler, err := dcr.NewHandler(store, &dcr.Options{
				Endpoint: "https://id.example.com/connect/dcr", AllowAnonymous: true, MaxClients: ceiling, EvictAfter: time.Hour,
				Events: tell, AfterDelete: afterDelete, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				for range each {
					r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["https://app.example.com/callback"]}`))
					r.Header.Set("Content-Type", "application/json")
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					mu.Lock()
					switch w.Code {
					case 201:
						registered++
					case 503: // the room that a sweep made is seen after the next count
					default:
						t.Errorf("a registration got %d %s", w.Code, w.Body)
					}
					mu.Unlock()
				}
			})
			all.Go(func() {
				for range 3 {
					j := admin.Janitor{Store: store, NeverActivated: 24 * time.Hour, Events: tell, AfterDelete: afterDelete}
					if _, err := j.Sweep(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				for i := range inUse {
					if err := store.TouchClient(t.Context(), fmt.Sprintf("in-use-%03d", unused+i), time.Now()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()

		gone := map[string]int{}
		maps.Copy(gone, told[dcr.ClientSwept])
		for id, times := range told[dcr.ClientEvicted] {
			gone[id] += times
		}
		if len(gone) != unused || !maps.Equal(gone, deleted) || len(told[dcr.ClientRegistered]) != registered || registered == 0 {
			t.Errorf("%d of %d are told to be gone, AfterDelete was told of %d; %d of %d that registered are told", len(gone), unused, len(deleted), len(told[dcr.ClientRegistered]), registered)
		}
		for id, times := range gone {
			if times != 1 || !strings.HasPrefix(id, "unused-") {
				t.Errorf("%s is told to be gone %d times", id, times)
			}
		}
		var left []string
		for client, err := range first.ListClients(t.Context(), dcr.Filter{}, "") {
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, client.ID)
		}
		for id := range told[dcr.ClientRegistered] {
			if !slices.Contains(left, id) {
				t.Errorf("%s registered and is lost", id)
			}
		}
		if len(left) != inUse+registered {
			t.Errorf("%d clients are left, want %d", len(left), inUse+registered)
		}
	})
}

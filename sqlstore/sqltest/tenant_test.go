package sqltest

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// TestTenants checks that a tenant sees nothing of another, whatever its name
// looks like.
func TestTenants(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		names := []string{"", "a", "A", "a ", " a", "á", "a\x00b", "\xff", strings.Repeat("a", 500), strings.Repeat("a", 499) + "b"}
		now := time.Now()
		for _, name := range names {
			tenant := store.ForTenant(name)
			client := &dcr.Client{ID: "same", Notes: name, Source: dcr.SourceDynamic, CreatedAt: now.Add(-time.Hour)}
			client.Statement = &dcr.StatementRecord{Issuer: "https://issuer", ID: "1"}
			client.Notes = strings.ToValidUTF8(name, "?")
			if err := tenant.Add(t.Context(), client); err != nil {
				t.Fatalf("tenant %.20q: %v", name, err)
			}
			fresh, err := tenant.Remember(t.Context(), "value", now.Add(time.Hour), now)
			if err != nil || !fresh {
				t.Errorf("tenant %.20q: Remember returned %v and %v", name, fresh, err)
			}
			if err := tenant.AddInitialAccessToken(t.Context(), &dcr.InitialAccessToken{Hash: "hash", MaxUses: 1}); err != nil {
				t.Error(err)
			}
		}
		for _, name := range names {
			tenant := store.ForTenant(name)
			client, err := tenant.FindByClientID(t.Context(), "same")
			if err != nil || client.Notes != strings.ToValidUTF8(name, "?") {
				t.Errorf("tenant %.20q found the client of %q, and error %v", name, client.Notes, err)
			}
			count, err := tenant.CountClients(t.Context(), dcr.Filter{})
			if err != nil || count != 1 {
				t.Errorf("tenant %.20q counts %d clients, and error %v", name, count, err)
			}
			ids, err := tenant.FindByStatement(t.Context(), "https://issuer", "1")
			if err != nil || len(ids) != 1 {
				t.Errorf("tenant %.20q found %v by the statement, and error %v", name, ids, err)
			}
			if err := tenant.UseInitialAccessToken(t.Context(), "hash", now); err != nil {
				t.Errorf("tenant %.20q: %v", name, err)
			}
		}
		swept, err := store.ForTenant("a").SweepClients(t.Context(), dcr.SweepRule{NeverActivatedBefore: now})
		if err != nil || swept != 1 {
			t.Errorf("a sweep of one tenant deleted %d clients, and error %v", swept, err)
		}
		for _, name := range names {
			_, err := store.ForTenant(name).FindByClientID(t.Context(), "same")
			if errors.Is(err, dcr.ErrClientNotFound) != (name == "a") {
				t.Errorf("after the sweep of tenant a, tenant %.20q has %v", name, err)
			}
		}
	})
}

// TestListTenants checks that the tenants that have clients are listed, and that
// each view names its tenant.
func TestListTenants(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		names := []string{"", " ", "A", "B", "a", "a ", "ab", "á", "客"}
		for i, name := range append([]string{strings.Repeat("long", 100)}, names...) {
			for n := range 1 + i%2 {
				if err := store.ForTenant(name).Add(t.Context(), &dcr.Client{ID: fmt.Sprint(n)}); err != nil {
					t.Fatal(err)
				}
			}
			if got := store.ForTenant(name).Tenant(); got != name {
				t.Errorf("the view of %q names the tenant %q", name, got)
			}
		}
		for _, id := range []string{"0", "1"} {
			if err := store.ForTenant("ab").Delete(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == "ab" })
		slices.Sort(names)
		var got []string
		for tenant, err := range store.Tenants(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, tenant)
		}
		if !slices.Equal(got, names) {
			t.Errorf("the tenants are %q, not %q", got, names)
		}
		for range store.Tenants(t.Context()) {
			break
		}
	})
}

// TestThousandsOfTenants checks that a tenant's view and its Handler are small.
func TestThousandsOfTenants(t *testing.T) {
	store, _ := sqlite.store(t, nil)
	const tenants = 10_000
	handlers := make([]*dcr.Handler, tenants)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range handlers {
		handler, err := dcr.NewHandler(store.ForTenant(fmt.Sprint("tenant-", i)), &dcr.Options{
			Endpoint: fmt.Sprintf("https://id.example.com/%d/register", i),
		})
		if err != nil {
			t.Fatal(err)
		}
		handlers[i] = handler
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int64(after.HeapAlloc-before.HeapAlloc) / tenants
	t.Logf("%d bytes of heap for each tenant's view and Handler", each)
	if each > 16<<10 {
		t.Errorf("a tenant's view and Handler take %d bytes", each)
	}
	runtime.KeepAlive(handlers)
}

// TestThrottle checks that a use within Options.TouchThrottle writes nothing.
func TestThrottle(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, &sqlstore.Options{TouchThrottle: time.Hour})
		if err := store.Add(t.Context(), &dcr.Client{ID: "one"}); err != nil {
			t.Fatal(err)
		}
		first := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		for _, step := range []struct {
			after, noted time.Duration
		}{{0, 0}, {time.Minute, 0}, {time.Hour - 1, 0}, {time.Hour, time.Hour}, {90 * time.Minute, time.Hour}} {
			if err := store.TouchClient(t.Context(), "one", first.Add(step.after)); err != nil {
				t.Fatal(err)
			}
			client, err := store.FindByClientID(t.Context(), "one")
			if err != nil {
				t.Fatal(err)
			}
			if got := client.LastUsedAt.Sub(first); got != step.noted {
				t.Errorf("after a use at +%v, LastUsedAt is at +%v, not +%v", step.after, got, step.noted)
			}
		}
	})
}

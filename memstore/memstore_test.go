package memstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

func TestStore(t *testing.T) {
	dcrtest.TestStore(t, func(*testing.T) dcr.ClientConfigurationStore { return memstore.New() })
}

// TestTheStoreIsBoundedInBytes checks that neither new clients nor clients that
// grow exceed the bound, and that deleting makes room.
func TestTheStoreIsBoundedInBytes(t *testing.T) {
	ctx, store := t.Context(), memstore.New()
	store.MaxBytes = 8 << 10
	client := func(id string, size int) *dcr.Client {
		c := dcr.NewClient()
		c.ID, c.Notes = id, strings.Repeat("a", size)
		return c
	}
	first := client("first", 3<<10)
	if err := errors.Join(store.Add(ctx, first), store.Add(ctx, client("second", 3<<10))); err != nil {
		t.Fatal(err)
	}
	if err := store.Add(ctx, client("third", 3<<10)); err != dcr.ErrStoreFull {
		t.Errorf("one client too many: %v", err)
	}
	grown := first.Clone()
	grown.Notes += strings.Repeat("a", 2<<10)
	if err := store.Update(ctx, grown); err != dcr.ErrStoreFull {
		t.Errorf("a client that grew too much: %v", err)
	}
	first.Notes = "short"
	if err := store.Update(ctx, first); err != nil {
		t.Errorf("a client that shrank: %v", err)
	}
	if err := store.Add(ctx, client("third", 3<<10)); err != nil {
		t.Errorf("shrinking made no room: %v", err)
	}
	if err := errors.Join(store.Delete(ctx, "third"), store.Add(ctx, client("fourth", 3<<10))); err != nil {
		t.Errorf("deleting made no room: %v", err)
	}
}

// TestSearchInParts checks that a search stops in time, and continues where it
// stopped.
func TestSearchInParts(t *testing.T) {
	store := memstore.New()
	begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range 2001 {
		client := dcr.NewClient()
		client.ID, client.CreatedAt = fmt.Sprint(n), begin.Add(time.Duration(n)*time.Second)
		if n == 0 {
			client.ClientName = "Needle"
		}
		if err := store.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	filter := dcr.Filter{NamePrefix: "needle"}
	clients, next, err := store.ListRecentClients(t.Context(), filter, "", 5)
	if len(clients) != 0 || next == "" || err != nil {
		t.Errorf("the first call found %d clients, the next page is %q, error %v", len(clients), next, err)
	}
	clients, next, err = store.ListRecentClients(t.Context(), filter, next, 5)
	if len(clients) != 1 || next != "" || err != nil {
		t.Errorf("the second call found %d clients, the next page is %q, error %v", len(clients), next, err)
	}
}

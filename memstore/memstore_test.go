package memstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

func TestStore(t *testing.T) {
	dcrtest.TestStore(t, func(*testing.T) dcr.ClientConfigurationStore { return memstore.New() })
}

// TestTheStoreIsBoundedInBytes holds that neither new clients nor those that
// grow exceed the bound, and that what is deleted makes room.
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
		t.Errorf("a client too many: %v", err)
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
		t.Errorf("what shrank made no room: %v", err)
	}
	if err := errors.Join(store.Delete(ctx, "third"), store.Add(ctx, client("fourth", 3<<10))); err != nil {
		t.Errorf("what was deleted made no room: %v", err)
	}
}

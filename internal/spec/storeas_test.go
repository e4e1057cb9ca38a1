package spec_test

// Which ways to find a client a store has that embeds another store.

import (
	"context"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/memstore"
)

// ownFinder finds what is stored past a cache of its own. The store that it embeds has
// ViewClient alone.
type ownFinder struct{ *memstore.Store }

func (f ownFinder) FindStored(ctx context.Context, clientID string) (*dcr.Client, error) {
	return f.FindByClientID(ctx, clientID)
}

// ownViewer shows clients of a store that has FindStored alone.
type ownViewer struct{ *cimd.Store }

func (v ownViewer) ViewClient(ctx context.Context, clientID string) (*dcr.Client, error) {
	return v.FindByClientID(ctx, clientID)
}

// A method counts that a store cannot have from the one that it embeds.
func TestWaysToFindAClient(t *testing.T) {
	type embedding struct{ *cachestore.Store }
	type deep struct{ embedding }
	cache := embedding{cachestore.New(memstore.New(), nil)}
	for _, test := range []struct {
		name         string
		store        dcr.ClientConfigurationStore
		views, finds bool
	}{
		{"a method of its own, over a store with the other one", ownFinder{memstore.New()}, false, true},
		{"the same, by a pointer", &ownFinder{memstore.New()}, false, true},
		{"the other method of its own", ownViewer{}, true, false},
		{"the same, by a pointer", &ownViewer{}, true, false},
		{"both methods of the embedded store", cache, false, false},
		{"both methods of a store that is embedded twice", &deep{cache}, false, false},
	} {
		var viewer dcr.ClientViewer
		var finder dcr.StoredFinder
		_, views := dcr.StoreAs[dcr.ClientViewer](test.store)
		_, finds := dcr.StoreAs[dcr.StoredFinder](test.store)
		if views != test.views || finds != test.finds {
			t.Errorf("%s: StoreAs finds a ClientViewer: %t, a StoredFinder: %t", test.name, views, finds)
		}
		if views, finds := dcr.StoreInto(test.store, &viewer), dcr.StoreInto(test.store, &finder); views != test.views || finds != test.finds {
			t.Errorf("%s: StoreInto finds a ClientViewer: %t, a StoredFinder: %t", test.name, views, finds)
		}
	}
}

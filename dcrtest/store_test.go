package dcrtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// plainStore has no optional capability.
type plainStore struct{ dcr.ClientConfigurationStore }

func TestStoreWithoutCapabilities(t *testing.T) {
	TestStore(t, func(*testing.T) dcr.ClientConfigurationStore { return plainStore{memstore.New()} })
}

// TestBrokenStores shows that TestStore finds each of these faults in the case
// that is meant for it, with a sentence.
func TestBrokenStores(t *testing.T) {
	for _, broken := range slices.Concat(brokenStores, brokenCapabilities, brokenLifecycles, brokenNotes) {
		t.Run(broken.sentence, func(t *testing.T) {
			i := slices.IndexFunc(storeCases, func(c storeCase) bool { return c.name == broken.caught })
			if i < 0 {
				t.Fatalf("there is no case %q", broken.caught)
			}
			synctest.Test(t, func(t *testing.T) {
				err := catch(t.Context(), storeCases[i], brokenBy(broken.damage))
				if err == nil || errors.Is(err, errLacks) || len(err.Error()) < 20 {
					t.Fatalf("the case %s said %v", broken.caught, err)
				}
				t.Logf("%s\n%s\n%v", broken.caught, storeCases[i].sentence, err)
			})
		})
	}
}

// catch runs one case against a store that may make it panic.
func catch(ctx context.Context, c storeCase, store dcr.ClientConfigurationStore) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("the case panicked: %v", panicked)
		}
	}()
	return c.check(ctx, store)
}

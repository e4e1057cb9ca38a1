package sqltest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// TestUpdatesDoNotDeadlock sets, changes and removes the indexed values of
// clients in many goroutines: no transaction may be rolled back because of
// another.
func TestUpdatesDoNotDeadlock(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		var failures atomic.Int64
		store, _ := d.store(t, &sqlstore.Options{Classify: func(err error) sqlstore.Class {
			if failures.Add(1) == 1 {
				t.Errorf("a statement failed: %v", err)
			}
			return d.dialect.Classify(err)
		}})
		for n := range 500 { // a database reads all rows of a small table
			client := dcr.NewClient()
			client.ID, client.SoftwareID = fmt.Sprintf("earlier-%d", n), "one"
			if err := store.Add(t.Context(), client); err != nil {
				t.Fatal(err)
			}
		}
		var workers sync.WaitGroup
		for worker := range 32 {
			workers.Go(func() {
				for n := range 20 {
					client := dcr.NewClient()
					client.ID = fmt.Sprintf("client-%d-%d", n, worker)
					err := store.Add(t.Context(), client)
					for _, software := range []string{"one", "another", ""} {
						client.SoftwareID = software
						if software == "another" {
							client.RegisteredBy = "somebody"
						}
						if err == nil {
							err = store.Update(t.Context(), client)
						}
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		workers.Wait()
		if all := failures.Load(); all > 0 {
			t.Errorf("%d statements failed", all)
		}
	})
}

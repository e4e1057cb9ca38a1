package sqltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// TestSweepOfAnyIDs checks that a batch of clients is deleted whatever their ids
// look like, and that no other client is.
func TestSweepOfAnyIDs(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		ids := []string{`"`, `\`, `\"`, `{`, `}`, `{}`, `,`, `'`, `a,b`, `a","b`, `NULL`, `null`, ` `, ` a`, "a ", "a\nb", "ä", "\U0010FFFF", `$1`, `?`, `%`, `\\`}
		now := time.Now()
		for _, batch := range []int{1, 2, 3, 7, 500} {
			tenant := store.ForTenant(fmt.Sprint(batch))
			for _, id := range append(ids, "a", "b", "") {
				client := &dcr.Client{ID: "kept" + id}
				if err := tenant.Add(t.Context(), client); err != nil {
					t.Fatal(err)
				}
				if id == "" {
					continue
				}
				client = &dcr.Client{ID: id, Source: dcr.SourceDynamic, CreatedAt: now.Add(-time.Hour)}
				if err := tenant.Add(t.Context(), client); err != nil {
					t.Fatal(err)
				}
			}
			swept, err := tenant.SweepClients(t.Context(), dcr.SweepRule{NeverActivatedBefore: now, BatchSize: batch})
			if err != nil || swept != int64(len(ids)+2) {
				t.Errorf("batches of %d: %d of %d clients were swept; error %v", batch, swept, len(ids)+2, err)
			}
			if count, err := tenant.CountClients(t.Context(), dcr.Filter{}); err != nil || count != int64(len(ids)+3) {
				t.Errorf("batches of %d: %d clients are left; error %v", batch, count, err)
			}
		}
	})
}

package ceiling_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr/internal/ceiling"
)

// One is deleted for another while the store is counted: whatever the count sees, there is
// room for no third.
func TestACountDuringAReplacement(t *testing.T) {
	for sentence, c := range map[string]struct {
		seen          int64 // by the count
		deleted, free bool
	}{
		"it sees the deletion":                              {0, true, false},
		"it sees the old one":                               {1, true, false},
		"none was deleted, and the count sees a free place": {0, false, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen, counting := int64(1), make(chan struct{})
				bound := ceiling.Ceiling{Limit: 1, Count: func(context.Context) (int64, error) {
					<-counting
					return seen, nil
				}}
				take := func() bool {
					_, ok, err := bound.Take(t.Context(), time.Now())
					if err != nil {
						t.Fatal(err)
					}
					return ok
				}
				close(counting)
				if take() {
					t.Fatal("there was room at first")
				}
				time.Sleep(time.Minute)
				counting = make(chan struct{})
				take() // starts the count
				_, kept, _ := bound.Replace()
				if !c.deleted {
					kept()
				}
				seen = c.seen
				close(counting)
				synctest.Wait()
				if free := take(); free != c.free {
					t.Errorf("there is room: %t", free)
				}
			})
		})
	}
}

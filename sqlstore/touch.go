package sqlstore

import (
	"context"
	"math"
	"time"

	"github.com/dynreg/dcr"
)

// TouchClient notes that the client was used, in one statement that leaves the
// document and the Revision alone; see [dcr.ClientToucher]. Within
// Options.TouchThrottle of the last noted use it writes nothing.
func (s *Store) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	if !storable(clientID) {
		return dcr.ErrClientNotFound
	}
	used := micros(at)
	latest := int64(math.MaxInt64) // the latest noted use that is worth moving
	if s.opts.TouchThrottle > 0 {
		latest = used - s.opts.TouchThrottle.Microseconds()
	}
	return s.write(ctx,
		func() (int64, error) {
			return s.exec(ctx, step{&s.sql.touch, []any{used, used, s.tenant, clientID, used, latest}})
		},
		func(unsure bool) (verdict, error) {
			if unsure {
				return verdict{}, nil // twice is as good as once
			}
			_, err := s.lookup(ctx, clientID) // throttled, or gone?
			return settled(err)
		})
}

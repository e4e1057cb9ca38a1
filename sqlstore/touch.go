package sqlstore

import (
	"context"
	"time"

	"github.com/dynreg/dcr"
)

// TouchClient notes that the client was used, in one statement that leaves the
// document and the Revision alone; see [dcr.ClientToucher]. Within
// Options.TouchThrottle of the last noted use it writes nothing. A use in the
// future counts as one of now, by the clock of the server.
func (s *Store) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	if !storable(clientID) {
		return dcr.ErrClientNotFound
	}
	used := micros(at)
	if s.dialect.traits().now == "" {
		used = min(used, micros(time.Now()))
	}
	least := max(1, s.opts.TouchThrottle.Microseconds()) // that a use is moved by
	var answered error
	return s.write(ctx,
		func() (touched int64, err error) {
			touched, answered = s.exec(ctx, step{&s.sql.touch, []any{used, used, s.tenant, clientID, used, least}})
			return touched, answered
		},
		func(ctx context.Context, _ bool, read rowReader) (verdict, error) {
			if answered != nil {
				return verdict{}, nil // twice is as good as once
			}
			_, err := s.lookup(ctx, clientID, read) // throttled, noted by an earlier try, or gone?
			return settled(err)
		})
}

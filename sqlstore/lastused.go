package sqlstore

// When a client was last used.

import (
	"context"
	"time"
)

// TouchClient notes that the client was used, in one statement that changes
// neither the document nor the Revision; see [dcr.ClientToucher]. Within
// Options.TouchThrottle of the last noted use it writes nothing. A use in the
// future counts as one now, by the clock of the server.
func (s *Store) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	used := s.useAt(at)
	least := max(1, s.opts.TouchThrottle.Microseconds()) // the shortest move that is written
	return s.note(ctx, clientID, step{&s.sql.touch, []any{used, used, s.tenant, clientID, used, least}})
}

// useAt returns the time of a use as it is sent. If the statement cannot compare it
// with the clock of the server, it is not in the future.
func (s *Store) useAt(at time.Time) int64 {
	if s.dialect.traits().now == "" {
		return min(micros(at), micros(time.Now()))
	}
	return micros(at)
}

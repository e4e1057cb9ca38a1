package sqlstore

// Deleting the oldest unused client to make room.

import (
	"context"
	"errors"
	"time"

	"github.com/dynreg/dcr"
)

// EvictClient deletes the oldest client that was never used, unless it was
// changed or used meanwhile; see [dcr.ClientEvictor]. Times are compared to the
// microsecond. It reads, and skips, older clients that were never used but must
// not be evicted.
func (s *Store) EvictClient(ctx context.Context, createdBefore time.Time) (evicted *dcr.Client, next time.Time, err error) {
	for {
		oldest, err := all(s, ctx, &s.sql.oldest, []any{s.tenant}, (*ordered).columns)
		if err != nil || len(oldest) == 0 {
			return nil, time.Time{}, err
		}
		if oldest[0].created >= micros(createdBefore) {
			return nil, fromMicros(oldest[0].created), nil
		}
		evicted, err := oldest[0].client()
		if err != nil {
			return nil, time.Time{}, err
		}
		switch err := s.evict(ctx, &oldest[0].stored); {
		case errors.Is(err, dcr.ErrConflict):
			continue // another host was first, or the client is in use now
		case err != nil:
			return nil, time.Time{}, err
		}
		if len(oldest) > 1 {
			next = fromMicros(oldest[1].created)
		}
		return evicted, next, nil
	}
}

// evict deletes a client if it is still as it was read, and was never used. Otherwise
// it returns ErrConflict.
func (s *Store) evict(ctx context.Context, client *stored) error {
	return s.write(ctx,
		func() (int64, error) {
			return s.exec(ctx, step{&s.sql.evict, []any{s.tenant, client.id, client.revision}})
		},
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			if !unsure {
				return settled(dcr.ErrConflict)
			}
			found, err := s.lookup(ctx, client.id, read)
			switch {
			case errors.Is(err, dcr.ErrClientNotFound):
				return settled(nil) // deleted by this call or by another one
			case err != nil:
				return verdict{}, err
			case found.revision != client.revision || found.lastUsed != 0:
				return settled(dcr.ErrConflict)
			}
			return verdict{}, nil
		})
}

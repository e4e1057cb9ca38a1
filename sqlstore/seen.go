package sqlstore

// Values that may be used once.

import (
	"context"
	"errors"
	"time"
)

// forgetEvery is how many fresh values are stored between two cleanups, so that the
// table does not grow without bound. A value is kept for forgetAfter after its time has
// passed, since a host whose clock is slow may still ask for it.
const (
	forgetEvery = 64
	forgetAfter = time.Hour
)

// Remember notes a value that may be used once; see [dcr.ReplayStore]. A value
// whose time has passed counts as new, and is deleted some time later.
func (s *Store) Remember(ctx context.Context, value string, until, now time.Time) (fresh bool, err error) {
	value = key(value)
	note := func(write step) (bool, error) {
		err := s.write(ctx,
			func() (int64, error) { return s.exec(ctx, write) },
			func(_ context.Context, unsure bool, _ rowReader) (verdict, error) {
				if unsure { // the value may be there because of this call
					return verdict{}, untold("a first use cannot be told from a second")
				}
				return settled(errSeen)
			})
		if errors.Is(err, errSeen) {
			return false, nil
		}
		return err == nil, err
	}
	fresh, err = note(step{&s.sql.remember, []any{s.tenant, value, micros(until)}})
	if err == nil && !fresh {
		fresh, err = note(step{&s.sql.rememberAgain, []any{micros(until), s.tenant, value, micros(now)}})
	}
	if fresh && s.remembered.Add(1)%forgetEvery == 0 {
		// If this fails, a later cleanup does it.
		s.exec(ctx, step{&s.sql.forget, []any{s.tenant, micros(now.Add(-forgetAfter))}})
	}
	return fresh, err
}

// Forget makes a value new again; see [dcr.ReplayForgetter].
func (s *Store) Forget(ctx context.Context, value string) error {
	return s.write(ctx,
		func() (int64, error) { return s.exec(ctx, step{&s.sql.forgetOne, []any{s.tenant, key(value)}}) },
		func(_ context.Context, unsure bool, _ rowReader) (verdict, error) {
			if unsure { // another host may have noted the value since the first try
				return verdict{}, untold("it cannot be told whether a value was forgotten")
			}
			return settled(nil)
		})
}

var errSeen = errors.New("sqlstore: seen before")

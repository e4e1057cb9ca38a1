package dcr

// What may be used but once, such as a software statement or a signed request, by
// its jti (RFC 7519 §4.1.7).

import (
	"context"
	"errors"
	"time"
)

// oneUse is the [Allowance] of what may be used once: a value that a
// [ReplayStore] remembers.
type oneUse struct {
	store     ReplayStore     // nil: that of the handler
	forgetter ReplayForgetter // the same store, nil if it cannot forget
	key       string
	until     time.Time // when it would have expired anyway
	now       time.Time
	used      error // says that it was used before
}

// keepIn has the handler's store remember what has no store of its own.
func (u *oneUse) keepIn(store ClientConfigurationStore) {
	if u.store == nil {
		u.store, _ = StoreAs[ReplayStore](store)
		u.forgetter, _ = StoreAs[ReplayForgetter](store)
	}
}

// Take uses the value up.
func (u *oneUse) Take(ctx context.Context) error {
	if u.store == nil {
		return errors.New("dcr: StatementVerifier.Once needs a Handler whose store is a ReplayStore, SignedRequestVerifier.Once that or Replay")
	}
	fresh, err := u.store.Remember(ctx, u.key, u.until, u.now)
	switch {
	case err != nil:
		return outage(err)
	case !fresh:
		return u.used
	}
	return nil
}

// GiveBack makes the value new again, where its store can forget.
func (u *oneUse) GiveBack(ctx context.Context) error {
	if u.forgetter == nil {
		return nil
	}
	return u.forgetter.Forget(ctx, u.key)
}

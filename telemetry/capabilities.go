package telemetry

// How long each optional capability of the store takes.

import (
	"context"
	"iter"
	"time"

	"github.com/dynreg/dcr"
)

// As lets [dcr.StoreAs] find the optional capabilities of the inner store. It measures
// them.
func (s *measured) As(target any) bool {
	switch target := target.(type) {
	case *dcr.RevisionDeleter:
		return wrap(s, target, func(inside dcr.RevisionDeleter) dcr.RevisionDeleter { return deleter{inside, s.stopwatch} })
	case *dcr.ClientLister:
		return wrap(s, target, func(inside dcr.ClientLister) dcr.ClientLister { return lister{inside, s.stopwatch} })
	case *dcr.RecentClientLister:
		return wrap(s, target, func(inside dcr.RecentClientLister) dcr.RecentClientLister { return recent{inside, s.stopwatch} })
	case *dcr.ClientCounter:
		return wrap(s, target, func(inside dcr.ClientCounter) dcr.ClientCounter { return counter{inside, s.stopwatch} })
	case *dcr.ClientToucher:
		return wrap(s, target, func(inside dcr.ClientToucher) dcr.ClientToucher { return toucher{inside, s.stopwatch} })
	case *dcr.DocumentNoter:
		return wrap(s, target, func(inside dcr.DocumentNoter) dcr.DocumentNoter { return documents{inside, s.stopwatch} })
	case *dcr.ConsentNoter:
		return wrap(s, target, func(inside dcr.ConsentNoter) dcr.ConsentNoter { return consents{inside, s.stopwatch} })
	case *dcr.ClientSweeper:
		return wrap(s, target, func(inside dcr.ClientSweeper) dcr.ClientSweeper { return sweeper{inside, s.stopwatch} })
	case *dcr.ClientEvictor:
		return wrap(s, target, func(inside dcr.ClientEvictor) dcr.ClientEvictor { return evictor{inside, s.stopwatch} })
	case *dcr.StatementFinder:
		return wrap(s, target, func(inside dcr.StatementFinder) dcr.StatementFinder { return statements{inside, s.stopwatch} })
	case *dcr.InitialAccessTokenStore:
		return wrap(s, target, func(inside dcr.InitialAccessTokenStore) dcr.InitialAccessTokenStore {
			return tokens{inside, s.stopwatch}
		})
	case *dcr.InitialAccessTokenLister:
		return wrap(s, target, func(inside dcr.InitialAccessTokenLister) dcr.InitialAccessTokenLister {
			return tokenLister{inside, s.stopwatch}
		})
	case *dcr.ReplayStore:
		return wrap(s, target, func(inside dcr.ReplayStore) dcr.ReplayStore { return replay{inside, s.stopwatch} })
	case *dcr.ReplayForgetter:
		return wrap(s, target, func(inside dcr.ReplayForgetter) dcr.ReplayForgetter { return forgetter{inside, s.stopwatch} })
	}
	return dcr.StoreInto(s.inside, target)
}

// wrap sets target to the measured capability of the inner store, if the store has it.
func wrap[T any](s *measured, target *T, measured func(inside T) T) bool {
	inside, ok := dcr.StoreAs[T](s.inside)
	if ok {
		*target = measured(inside)
	}
	return ok
}

// result measures a call that returns a result and an error.
func result[T any](ctx context.Context, w stopwatch, operation string, do func() (T, error)) (T, error) {
	begun, failed := time.Now(), errPanicked
	defer func() { w.note(ctx, operation, time.Since(begun), failed) }()
	got, err := do()
	failed = err
	return got, err
}

type deleter struct {
	inside dcr.RevisionDeleter
	stopwatch
}

func (d deleter) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	return d.measure(ctx, "delete", func() error { return d.inside.DeleteRevision(ctx, clientID, revision) })
}

type lister struct {
	inside dcr.ClientLister
	stopwatch
}

// ListClients measures the listing without the time that the caller's loop takes.
func (l lister) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	return func(yield func(*dcr.Client, error) bool) {
		var last error
		failed := errPanicked
		begun, elsewhere := time.Now(), time.Duration(0)
		defer func() { l.note(ctx, "list", time.Since(begun)-elsewhere, failed) }()
		for client, err := range l.inside.ListClients(ctx, filter, after) {
			last, failed = err, err // the caller's loop may panic
			left := time.Now()
			goesOn := yield(client, err)
			elsewhere += time.Since(left)
			if !goesOn {
				return
			}
			failed = errPanicked
		}
		failed = last
	}
}

type recent struct {
	inside dcr.RecentClientLister
	stopwatch
}

func (r recent) ListRecentClients(ctx context.Context, filter dcr.Filter, cursor string, limit int) (clients []*dcr.Client, next string, err error) {
	err = r.measure(ctx, "list_recent", func() error {
		clients, next, err = r.inside.ListRecentClients(ctx, filter, cursor, limit)
		return err
	})
	return clients, next, err
}

type counter struct {
	inside dcr.ClientCounter
	stopwatch
}

func (c counter) CountClients(ctx context.Context, filter dcr.Filter) (int64, error) {
	return result(ctx, c.stopwatch, "count", func() (int64, error) { return c.inside.CountClients(ctx, filter) })
}

type toucher struct {
	inside dcr.ClientToucher
	stopwatch
}

func (t toucher) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	return t.measure(ctx, "touch", func() error { return t.inside.TouchClient(ctx, clientID, at) })
}

type documents struct {
	inside dcr.DocumentNoter
	stopwatch
}

func (d documents) NoteDocument(ctx context.Context, clientID string, record dcr.DocumentRecord) error {
	return d.measure(ctx, "note_document", func() error { return d.inside.NoteDocument(ctx, clientID, record) })
}

type consents struct {
	inside dcr.ConsentNoter
	stopwatch
}

func (c consents) NoteConsent(ctx context.Context, clientID, person string, at time.Time) error {
	return c.measure(ctx, "note_consent", func() error { return c.inside.NoteConsent(ctx, clientID, person, at) })
}

type sweeper struct {
	inside dcr.ClientSweeper
	stopwatch
}

func (w sweeper) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	return result(ctx, w.stopwatch, "sweep", func() (int64, error) { return w.inside.SweepClients(ctx, rule) })
}

type evictor struct {
	inside dcr.ClientEvictor
	stopwatch
}

func (e evictor) EvictClient(ctx context.Context, createdBefore time.Time) (evicted *dcr.Client, next time.Time, err error) {
	err = e.measure(ctx, "evict", func() error {
		evicted, next, err = e.inside.EvictClient(ctx, createdBefore)
		return err
	})
	return evicted, next, err
}

type statements struct {
	inside dcr.StatementFinder
	stopwatch
}

func (s statements) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	return result(ctx, s.stopwatch, "find_by_statement", func() ([]string, error) { return s.inside.FindByStatement(ctx, issuer, id) })
}

type tokens struct {
	inside dcr.InitialAccessTokenStore
	stopwatch
}

func (t tokens) AddInitialAccessToken(ctx context.Context, token *dcr.InitialAccessToken) error {
	return t.measure(ctx, "add_token", func() error { return t.inside.AddInitialAccessToken(ctx, token) })
}

func (t tokens) FindInitialAccessToken(ctx context.Context, hash string) (*dcr.InitialAccessToken, error) {
	return result(ctx, t.stopwatch, "find_token", func() (*dcr.InitialAccessToken, error) { return t.inside.FindInitialAccessToken(ctx, hash) })
}

func (t tokens) UseInitialAccessToken(ctx context.Context, hash string, now time.Time) error {
	return t.measure(ctx, "use_token", func() error { return t.inside.UseInitialAccessToken(ctx, hash, now) })
}

func (t tokens) ReleaseInitialAccessToken(ctx context.Context, hash string) error {
	return t.measure(ctx, "release_token", func() error { return t.inside.ReleaseInitialAccessToken(ctx, hash) })
}

func (t tokens) DeleteInitialAccessToken(ctx context.Context, hash string) error {
	return t.measure(ctx, "delete_token", func() error { return t.inside.DeleteInitialAccessToken(ctx, hash) })
}

type tokenLister struct {
	inside dcr.InitialAccessTokenLister
	stopwatch
}

func (l tokenLister) ListInitialAccessTokens(ctx context.Context, cursor string, limit int) (tokens []dcr.InitialAccessToken, next string, err error) {
	err = l.measure(ctx, "list_tokens", func() error {
		tokens, next, err = l.inside.ListInitialAccessTokens(ctx, cursor, limit)
		return err
	})
	return tokens, next, err
}

type replay struct {
	inside dcr.ReplayStore
	stopwatch
}

func (r replay) Remember(ctx context.Context, key string, until, now time.Time) (bool, error) {
	return result(ctx, r.stopwatch, "remember", func() (bool, error) { return r.inside.Remember(ctx, key, until, now) })
}

type forgetter struct {
	inside dcr.ReplayForgetter
	stopwatch
}

func (f forgetter) Forget(ctx context.Context, key string) error {
	return f.measure(ctx, "forget", func() error { return f.inside.Forget(ctx, key) })
}

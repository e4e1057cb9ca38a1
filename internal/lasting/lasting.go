// Package lasting makes contexts for work that must not be given up half done:
// they outlive the request that began it by a bounded time.
package lasting

import (
	"context"
	"sync"
	"time"
)

// Span is how long such work may take. Contexts that begin at about the same
// time share one deadline: a timer for each would cost more than the rest of the
// context, since the runtime wakes a thread for one that is to fire first.
type Span struct {
	length time.Duration

	mu     sync.Mutex
	shared context.Context // ended by its deadline alone
	renew  time.Time       // when new contexts get another
}

// NewSpan returns a span of the given length.
func NewSpan(length time.Duration) *Span { return &Span{length: length} }

// Context returns a context with the values of ctx that is not cancelled with
// it, and ends when the span is over, or up to an eighth of it later.
func (s *Span) Context(ctx context.Context) context.Context {
	return lasting{s.current(), ctx}
}

func (s *Span) current() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.shared == nil || now.After(s.renew) {
		s.renew = now.Add(s.length / 8)
		shared, cancel := context.WithDeadline(context.Background(), s.renew.Add(s.length))
		context.AfterFunc(shared, cancel)
		s.shared = shared
	}
	return s.shared
}

type lasting struct {
	context.Context
	values context.Context
}

// Value asks the shared context first, so that package context finds what is to
// be cancelled, and needs no goroutine for a context that is made from this one.
func (c lasting) Value(key any) any {
	if value := c.Context.Value(key); value != nil {
		return value
	}
	return c.values.Value(key)
}

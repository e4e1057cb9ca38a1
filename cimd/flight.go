package cimd

// Looking at a document: one flight for all callers that wait for the same one.

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// mode says why a document is looked at.
type mode int

const (
	due    mode = iota // a caller waits for it; it may be fresh by now
	early              // it is fresh, but not for long; nobody waits
	forced             // an operator asks for it
)

// flightTime bounds a flight: the fetch, what the validator fetches, and the store.
const flightTime = 20 * time.Second

// flight is one look at a document.
type flight struct {
	mode   mode
	done   chan struct{} // closed when client and err are set
	client *dcr.Client   // shared: to return it, clone it
	err    error
}

// wait returns the result of the flight, which goes on if ctx ends.
func (f *flight) wait(ctx context.Context) (*dcr.Client, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.done:
	}
	if f.err != nil {
		return nil, f.err
	}
	return f.client.Clone(), nil
}

// begin returns the flight of a document that is under way, or a new one.
func (s *Store) begin(ctx context.Context, id string, u *url.URL, why mode) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if current := s.flights[id]; current != nil {
		return current
	}
	f := &flight{mode: why, done: make(chan struct{})}
	id = strings.Clone(id) // it may be a few bytes of a large request
	s.flights[id] = f
	go s.fly(context.WithoutCancel(ctx), id, u, f)
	return f
}

// lookNow looks at a document that is due and returns the result. If it joined a forced
// flight that ended in an outage, it looks again, since a forced flight does not fall
// back to the known client.
func (s *Store) lookNow(ctx context.Context, id string, u *url.URL) (*dcr.Client, error) {
	for {
		f := s.begin(ctx, id, u, due)
		client, err := f.wait(ctx)
		if f.mode != forced || !isOutage(err) {
			return client, err
		}
	}
}

// errEnded fails the callers that wait if a hook calls runtime.Goexit.
var errEnded = errors.New("cimd: a hook ended the goroutine")

func (s *Store) fly(ctx context.Context, id string, u *url.URL, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, flightTime)
	defer cancel()
	f.err = errEnded
	defer func() {
		if panicked := recover(); panicked != nil {
			f.client, f.err = nil, s.panicked(ctx, id, panicked)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.flights, id)
		close(f.done)
	}()
	f.client, f.err = s.look(ctx, id, u, f.mode)
	if f.mode == early && f.err != nil {
		s.told(ctx, id, f.err) // nobody waits
	}
}

// look returns the client as its document says, or the known client if the document is
// unavailable.
func (s *Store) look(ctx context.Context, id string, u *url.URL, why mode) (*dcr.Client, error) {
	before, stored, err := s.known(ctx, id)
	now := s.opts.Now()
	switch {
	case err != nil:
		return nil, err
	case before != nil && isFinal(before):
		return final(before, why)
	case before == nil || why == forced || !s.isFresh(before, now):
	case why == due || !endsSoon(before, now):
		return s.shown(before), nil
	}
	policy, err := s.opts.admit(ctx, u)
	if err == nil {
		err = s.checkReach(id)
	}
	if err != nil {
		return nil, err
	}
	if why != forced && s.failedLately(id, now) {
		return s.unavailable(ctx, id, policy, before, stored, &outage{reason: "backoff", busy: true})
	}
	got, err := s.fetch(ctx, id, u, before != nil, stored, why)
	if err == nil {
		var client *dcr.Client
		if client, err = s.take(ctx, id, policy, got, before, stored); err == nil {
			s.succeeded(id)
			return client, nil
		}
	}
	if !isOutage(err) && asRefusal(err) != nil {
		if s.withdraw(ctx, id, stored, now) {
			s.failed(id, true)
		}
		return nil, err
	}
	failed := asOutage(err)
	if why == forced {
		return nil, failed
	}
	return s.unavailable(ctx, id, policy, before, stored, failed)
}

// panicked turns the panic of a hook into an error, which fails the callers that wait
// but not the program.
func (s *Store) panicked(ctx context.Context, id string, panicked any) error {
	s.opts.Logger.ErrorContext(ctx, "cimd: a hook panicked", "client_id", id, "panic", panicked, "stack", string(debug.Stack()))
	return fmt.Errorf("cimd: a hook panicked: %v", panicked)
}

// final returns the result for a client whose row counts, not its document; see
// isFinal.
func final(client *dcr.Client, why mode) (*dcr.Client, error) {
	switch {
	case why != forced:
		return client, nil
	case client.Source != dcr.SourceDocument:
		return nil, errors.New("cimd: the client does not come from a metadata document")
	}
	return nil, dcr.ErrClientDisabled
}

// unavailable returns what replaces a document that cannot be fetched: the known
// client, for Options.MaxStale, or the client of the operator's pinned document.
// Nothing replaces a document that was withdrawn.
func (s *Store) unavailable(ctx context.Context, id, policy string, before *dcr.Client, stored bool, why *outage) (*dcr.Client, error) {
	if !why.busy {
		s.failed(id, s.refusedLast(id))
	}
	switch pinned := s.opts.Pinned[id]; {
	case before != nil && isWithdrawn(before):
		return nil, errWithdrawn()
	case before != nil && s.serves(before, s.opts.Now()):
		s.told(ctx, id, why)
		return s.shown(before), nil
	case pinned != nil && (before != nil || !s.refusedLast(id)):
		s.told(ctx, id, why)
		client, err := s.take(ctx, id, policy, &fetched{pinned, s.opts.Backoff, s.opts.Now()}, before, stored)
		if err == nil {
			return client, nil
		}
		s.opts.Logger.ErrorContext(ctx, "client metadata document: the pinned one is of no use", "client_id", id, "error", err)
	}
	return nil, why
}

// failedLately reports whether it is too early to try a URL again.
func (s *Store) failedLately(id string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, failed := s.failures.Get(id)
	return failed && now.Before(last.until) && !last.until.After(now.Add(s.opts.Backoff)) // otherwise the clock was set back
}

// failure is what is known of a URL that failed.
type failure struct {
	until   time.Time // when to try it again
	refused bool      // its document, when it last answered, was gone or not valid
}

func (s *Store) failed(id string, refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures.Put(id, failure{s.opts.Now().Add(s.opts.Backoff), refused})
}

// refusedLast reports whether the document at a URL was refused when this process last
// got an answer. That is how a client without a row is known to be withdrawn.
func (s *Store) refusedLast(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, _ := s.failures.Get(id)
	return last.refused
}

func (s *Store) succeeded(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures.Delete(id)
}

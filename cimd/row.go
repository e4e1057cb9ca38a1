package cimd

// Where the client of a document is kept: in memory until its first use, then in a
// row, which each refresh notes or writes.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dynreg/dcr"
)

// maxTries is how often a document is judged at most if others change the row
// meanwhile.
const maxTries = 3

// take makes or updates the client of a document, and keeps it. A panic of a hook is an
// error like any other, so that a known client continues to work.
func (s *Store) take(ctx context.Context, id, policy string, got *fetched, before *dcr.Client, stored bool) (taken *dcr.Client, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			taken, err = nil, s.panicked(ctx, id, panicked)
		}
	}()
	for try := 1; ; try++ {
		client, err := s.opts.judge(ctx, id, policy, got.document, before)
		if err != nil {
			return nil, err
		}
		client.Document.FetchedAt, client.Document.FreshUntil = got.at, got.at.Add(got.lifetime)
		client.ExpiresAt = s.end(client)
		if before == nil {
			client, err = s.keep(ctx, client)
		} else {
			client, err = s.change(ctx, before, client, stored)
		}
		if err == nil {
			return s.shown(client), nil
		}
		if !errors.Is(err, dcr.ErrConflict) && !errors.Is(err, dcr.ErrClientExists) || try == maxTries {
			return nil, storeFailed(err)
		}
		if before, stored, err = s.known(ctx, id); err != nil {
			return nil, storeFailed(err)
		}
		switch {
		case before == nil:
		case isFinal(before):
			return before, nil
		case s.overtaken(before, got.at) && isWithdrawn(before):
			return nil, errWithdrawn()
		case s.overtaken(before, got.at):
			return s.shown(before), nil
		}
	}
}

// storeFailed returns an error of the store as an outage, even if it is a *dcr.Error:
// that would otherwise refuse the document and withdraw the client.
func storeFailed(err error) error {
	return asOutage(fmt.Errorf("cimd: store the client: %w", err))
}

// overtaken reports whether another host looked at a document after the time at, so
// that its result is newer. A look in the future was noted by a wrong clock and does
// not count.
func (s *Store) overtaken(c *dcr.Client, at time.Time) bool {
	if c.Document == nil {
		return false
	}
	looked := c.Document.FetchedAt
	if c.Document.Withdrawn.After(looked) {
		looked = c.Document.Withdrawn
	}
	return looked.After(at) && !looked.After(s.opts.Now())
}

// keep keeps a client that was not known: in memory, or in a row if a person must
// approve it and there is room. It was never used, so no other client is deleted to
// make room for it.
func (s *Store) keep(ctx context.Context, client *dcr.Client) (*dcr.Client, error) {
	if client.Status == dcr.StatusPending {
		err := s.store(ctx, client, false)
		if err == nil || !errors.Is(err, dcr.ErrStoreFull) {
			return client, err
		}
	}
	s.remember(client)
	return client, nil
}

func (s *Store) remember(client *dcr.Client) {
	own := client.Clone()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.documents.Put(own.ID, own)
}

// change updates a client to what its document says now, after calling Options.Changed.
func (s *Store) change(ctx context.Context, before, after *dcr.Client, stored bool) (*dcr.Client, error) {
	members, err := changedMembers(before, after)
	if err == nil && stored {
		stored, err = s.isCurrent(ctx, before, after.Document.FetchedAt)
	}
	if err != nil {
		return nil, err
	}
	if len(members) > 0 && before.Document != nil && s.opts.Changed != nil {
		if err := s.opts.Changed(ctx, before.Clone(), after.Clone(), slices.Clone(members)); err != nil {
			s.opts.Logger.WarnContext(ctx, "client metadata document: a change was kept out", "client_id", before.ID, "members", members, "error", err)
			after, members = unchanged(before, after), nil
		}
	}
	same := sameRow(before, after)
	if !same {
		after.UpdatedAt = s.opts.Now()
	}
	switch {
	case !stored:
		s.remember(after)
	case same && !s.endsInStore(before, after):
		err = s.note(ctx, after)
	default:
		err = s.inside.Update(ctx, after)
	}
	if errors.Is(err, dcr.ErrClientNotFound) {
		s.remember(after)
		err = nil
	}
	if err == nil && len(members) > 0 {
		s.event(ctx, dcr.Event{Kind: dcr.DocumentChanged, ClientID: after.ID, Policy: after.Policy, Source: after.Source, Members: members})
	}
	return after, err
}

// unchanged returns before, as fresh as after.
func unchanged(before, after *dcr.Client) *dcr.Client {
	kept := before.Clone()
	kept.Document.FetchedAt, kept.Document.FreshUntil, kept.Document.Withdrawn = after.Document.FetchedAt, after.Document.FreshUntil, time.Time{}
	kept.ExpiresAt = after.ExpiresAt
	return kept
}

// endsInStore reports whether the ExpiresAt of the row is so old that the row must be
// written again: once a day with the defaults, not at every refresh.
func (s *Store) endsInStore(before, after *dcr.Client) bool {
	return before.ExpiresAt.Before(after.ExpiresAt.Add(-s.opts.MaxStale / 7))
}

// isCurrent reports whether a row still exists. If it was deleted meanwhile, the client
// is kept in memory until it is used again. isCurrent returns dcr.ErrConflict if others
// changed the row while its document was fetched, or looked at the document later; it
// must check that because a note does not.
func (s *Store) isCurrent(ctx context.Context, before *dcr.Client, at time.Time) (bool, error) {
	current, err := s.inside.FindByClientID(ctx, before.ID)
	switch {
	case errors.Is(err, dcr.ErrClientNotFound):
		return false, nil
	case err != nil:
		return false, err
	case current.Revision != before.Revision || s.overtaken(current, at):
		return false, dcr.ErrConflict
	}
	return true, nil
}

// note notes in the row what is known about the document.
func (s *Store) note(ctx context.Context, client *dcr.Client) error {
	if noter, ok := dcr.StoreAs[dcr.DocumentNoter](s.inside); ok {
		return noter.NoteDocument(ctx, client.ID, *client.Document.Clone())
	}
	return s.inside.Update(ctx, client)
}

// withdraw notes that the document of a client was gone or no longer valid when it was
// requested at that time. The client cannot be used until its document is valid again.
// withdraw reports whether that is now known.
func (s *Store) withdraw(ctx context.Context, id string, stored bool, at time.Time) bool {
	s.forget(id)
	if !stored {
		return true
	}
	client, err := s.inside.FindByClientID(ctx, id)
	if err == nil && !isFinal(client) && !isWithdrawn(client) && !s.overtaken(client, at) {
		if client.Document == nil {
			client.Document = &dcr.DocumentRecord{}
		}
		client.Document.Withdrawn = s.opts.Now()
		err = s.note(ctx, client)
	}
	if err != nil && !errors.Is(err, dcr.ErrClientNotFound) {
		s.opts.Logger.ErrorContext(ctx, "client metadata document: its end was not noted", "client_id", id, "error", err)
		return false
	}
	return true
}

// TouchClient notes the use of a client; see [dcr.ClientToucher]. A client that is
// only in memory gets its row. If there are MaxStored rows already, the active one
// that was used longest ago is deleted; if there is no active one, TouchClient
// returns [dcr.ErrStoreFull], and the client stays in memory.
func (s *Store) TouchClient(ctx context.Context, clientID string, at time.Time) error {
	toucher, ok := dcr.StoreAs[dcr.ClientToucher](s.inside)
	if !ok && !published(clientID) {
		return errors.New("cimd: TouchClient: the store inside is not a ClientToucher; use one that is")
	}
	if !ok {
		return s.makeRow(ctx, clientID, at)
	}
	return s.withRow(ctx, clientID, at, func() error { return toucher.TouchClient(ctx, clientID, at) })
}

// withRow calls do, which needs a row. A client that is only in memory gets one.
func (s *Store) withRow(ctx context.Context, clientID string, at time.Time, do func() error) error {
	err := do()
	if !published(clientID) || !errors.Is(err, dcr.ErrClientNotFound) {
		return err
	}
	if err := s.makeRow(ctx, clientID, at); err != nil {
		return err
	}
	return do()
}

// makeRow stores a client that is only in memory. It is not an error if another call
// did so first.
func (s *Store) makeRow(ctx context.Context, clientID string, at time.Time) error {
	client, stored, err := s.known(ctx, clientID)
	switch {
	case err != nil:
		return err
	case stored:
		return nil
	case client == nil:
		return dcr.ErrClientNotFound
	}
	if now := s.opts.Now(); at.After(now) {
		at = now
	}
	client.Touch(at)
	if err := s.store(ctx, client, true); err != nil && !errors.Is(err, dcr.ErrClientExists) {
		return err
	}
	s.forget(clientID)
	return nil
}

// As is how [dcr.StoreAs] finds the optional capabilities of the store inside.
func (s *Store) As(target any) bool {
	if target, is := target.(*dcr.ConsentNoter); is {
		inside, ok := dcr.StoreAs[dcr.ConsentNoter](s.inside)
		*target = consents{s, inside}
		return ok
	}
	return dcr.StoreInto(s.inside, target)
}

type consents struct {
	store  *Store
	inside dcr.ConsentNoter
}

// NoteConsent is a use: a client that is only in memory gets its row.
func (c consents) NoteConsent(ctx context.Context, clientID, person string, at time.Time) error {
	return c.store.withRow(ctx, clientID, at, func() error { return c.inside.NoteConsent(ctx, clientID, person, at) })
}

// rows bounds the rows of documents.
type rows struct {
	counter dcr.ClientCounter // if nil, no rows are made
	lister  dcr.ClientLister

	mu     sync.Mutex // one row is made at a time
	oldest []use      // the clients used longest ago, in that order
}

// use is when a client was last used.
type use struct {
	clientID string
	at       time.Time
}

// store makes the row of a client and, if makeRoom is set, room for it.
func (s *Store) store(ctx context.Context, client *dcr.Client, makeRoom bool) error {
	if s.rows.counter == nil || s.rows.lister == nil {
		return dcr.ErrStoreFull
	}
	evicted, err := s.add(ctx, client, makeRoom)
	for _, client := range evicted {
		s.evicted(ctx, client)
	}
	return err
}

// add stores a client, and deletes those that make room for it.
func (s *Store) add(ctx context.Context, client *dcr.Client, makeRoom bool) (evicted []*dcr.Client, err error) {
	s.rows.mu.Lock()
	defer s.rows.mu.Unlock()
	source := dcr.SourceDocument
	count, err := s.rows.counter.CountClients(ctx, dcr.Filter{Source: &source})
	if err == nil && count >= s.opts.MaxStored && !makeRoom {
		return nil, dcr.ErrStoreFull
	}
	for ; err == nil && count >= s.opts.MaxStored; count-- {
		var gone *dcr.Client
		if gone, err = s.evict(ctx); err == nil {
			evicted = append(evicted, gone)
		}
	}
	if err != nil {
		return evicted, err
	}
	return evicted, s.inside.Add(ctx, client)
}

// evicted tells the host about a client that was deleted to make room.
func (s *Store) evicted(ctx context.Context, client *dcr.Client) {
	event := dcr.Event{Kind: dcr.ClientEvicted, ClientID: client.ID, Policy: client.Policy, Source: client.Source, Reason: "ceiling"}
	if err := s.afterDelete(ctx, client); err != nil { // it may change the client
		s.opts.Logger.ErrorContext(ctx, "client metadata document: AfterDelete failed", "client_id", event.ClientID, "error", err)
	}
	s.event(ctx, event)
}

// afterDelete runs the host's hook for a client that was deleted, even if the request
// that caused it has ended.
func (s *Store) afterDelete(ctx context.Context, client *dcr.Client) (err error) {
	if s.opts.AfterDelete == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTime)
	defer cancel()
	defer func() {
		if panicked := recover(); panicked != nil {
			err = s.panicked(ctx, client.ID, panicked)
		}
	}()
	return s.opts.AfterDelete(ctx, client)
}

// maxOldest is how many clients to evict are found in one listing of the store.
const maxOldest = 64

// evict deletes the active client of a document that was used longest ago.
func (s *Store) evict(ctx context.Context) (*dcr.Client, error) {
	for range 2 {
		for len(s.rows.oldest) > 0 {
			next := s.rows.oldest[0]
			s.rows.oldest = s.rows.oldest[1:]
			evicted, err := s.evictIf(ctx, next)
			if evicted != nil || err != nil {
				return evicted, err
			}
		}
		if err := s.findOldest(ctx); err != nil {
			return nil, err
		}
	}
	return nil, dcr.ErrStoreFull
}

// evictIf deletes a client and returns it, or returns nil if it was used or changed
// since it was found.
func (s *Store) evictIf(ctx context.Context, found use) (evicted *dcr.Client, err error) {
	client, err := s.inside.FindByClientID(ctx, found.clientID)
	switch {
	case errors.Is(err, dcr.ErrClientNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case client.Source != dcr.SourceDocument || client.Status != dcr.StatusActive || !lastUse(client).Equal(found.at):
		return nil, nil
	}
	if deleter, ok := dcr.StoreAs[dcr.RevisionDeleter](s.inside); ok {
		err = deleter.DeleteRevision(ctx, client.ID, client.Revision)
	} else {
		err = s.inside.Delete(ctx, client.ID)
	}
	switch {
	case errors.Is(err, dcr.ErrConflict) || errors.Is(err, dcr.ErrClientNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return client, nil
}

// findOldest lists the store to find the active clients of documents that were used
// longest ago.
func (s *Store) findOldest(ctx context.Context) error {
	source, status := dcr.SourceDocument, dcr.StatusActive
	var uses []use
	for client, err := range s.rows.lister.ListClients(ctx, dcr.Filter{Source: &source, Status: &status}, "") {
		if err != nil {
			return err
		}
		uses = append(uses, use{client.ID, lastUse(client)})
	}
	slices.SortFunc(uses, func(a, b use) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.clientID, b.clientID)) })
	s.rows.oldest = slices.Clone(uses[:min(len(uses), maxOldest)])
	return nil
}

// lastUse returns when a client was last used or, if it never was, created.
func lastUse(c *dcr.Client) time.Time {
	if c.LastUsedAt.After(c.CreatedAt) {
		return c.LastUsedAt
	}
	return c.CreatedAt
}

package cimd

// Looking at documents that no authorization request is waiting for.

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// Refresh fetches the document now, whatever its age, the backoff and the budgets.
// It is for operators. It returns the client, and an error if that is not as its
// document is now: [ErrUnavailable], a refusal, or [dcr.ErrClientDisabled] for a
// disabled client, whose document is never fetched.
func (s *Store) Refresh(ctx context.Context, clientID string) (*dcr.Client, error) {
	u, err := s.opts.parseID(clientID)
	for err == nil {
		f := s.begin(ctx, clientID, u, forced)
		client, failed := f.wait(ctx)
		if f.mode == forced || ctx.Err() != nil {
			return client, s.told(ctx, clientID, failed)
		}
	}
	return nil, s.told(ctx, clientID, err)
}

// RefreshUsed fetches the documents of clients that are used only at the token
// endpoint, which never fetches. Without it, a client that no user authorizes again
// within MaxStale expires, although its document is still there. Call it every few
// hours if MaxStale has its default, on one of the hosts that share a store. It
// refreshes the active rows that were used since their document was fetched and for
// which half of MaxStale has passed, within RefreshesPerMinute. If there are more, it
// takes them at random, and the rest is left for the next calls. It returns how many
// were refreshed, and the first error of the store.
func (s *Store) RefreshUsed(ctx context.Context) (refreshed int, err error) {
	if s.rows.lister == nil {
		return 0, errors.New("cimd: RefreshUsed: the store inside is not a ClientLister; use one that is")
	}
	var neglected []string
	source, status := dcr.SourceDocument, dcr.StatusActive
	for client, err := range s.rows.lister.ListClients(ctx, dcr.Filter{Source: &source, Status: &status}, "") {
		if err != nil {
			return 0, err
		}
		if s.isNeglected(client, s.opts.Now()) {
			neglected = append(neglected, strings.Clone(client.ID)) // it may be a part of the client as it is stored
		}
	}
	// In the order of the store, those that are unavailable could use up the budget each
	// time.
	rand.Shuffle(len(neglected), func(i, j int) { neglected[i], neglected[j] = neglected[j], neglected[i] })
	for _, clientID := range neglected {
		u, err := s.opts.parseID(clientID)
		if err != nil {
			continue // its URL is no longer fetched
		}
		after, err := s.lookNow(ctx, clientID, u)
		if ctx.Err() != nil {
			return refreshed, ctx.Err()
		}
		if s.told(ctx, clientID, err) == nil && s.isFresh(after, s.opts.Now()) {
			refreshed++
		}
	}
	return refreshed, nil
}

// isNeglected reports whether a client that is in use will end soon because its
// document was not looked at.
func (s *Store) isNeglected(c *dcr.Client, now time.Time) bool {
	return c.Document != nil && !isWithdrawn(c) && c.LastUsedAt.After(c.Document.FetchedAt) &&
		!now.Before(c.Document.FreshUntil.Add(s.opts.MaxStale/2))
}

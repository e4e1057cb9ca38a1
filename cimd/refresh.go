package cimd

// Looking at documents that no authorization request is waiting for.

import (
	"context"
	"errors"
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
// which half of MaxStale has passed, within RefreshesPerMinute. It returns how many
// were refreshed, and the first error of the store.
func (s *Store) RefreshUsed(ctx context.Context) (refreshed int, err error) {
	if s.rows.lister == nil {
		return 0, errors.New("cimd: RefreshUsed: the store inside is not a ClientLister; use one that is")
	}
	source, status := dcr.SourceDocument, dcr.StatusActive
	for client, err := range s.rows.lister.ListClients(ctx, dcr.Filter{Source: &source, Status: &status}, "") {
		if err != nil {
			return refreshed, err
		}
		if !s.isNeglected(client, s.opts.Now()) {
			continue
		}
		u, err := s.opts.parseID(client.ID)
		if err != nil {
			continue // its URL is no longer fetched
		}
		after, err := s.lookNow(ctx, client.ID, u)
		if ctx.Err() != nil {
			return refreshed, ctx.Err()
		}
		if s.told(ctx, client.ID, err) == nil && s.isFresh(after, s.opts.Now()) {
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

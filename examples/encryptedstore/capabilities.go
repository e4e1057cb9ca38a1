package main

// The optional capabilities of the inner store.

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/dynreg/dcr"
)

// As returns the optional capabilities that the inner store has, and no others.
// Those that return clients, or search by a value that is hashed, are wrapped. The
// capabilities for deleting, touching, notes of documents, tokens and used values do
// not read clients, so they are returned as they are. dcr.ConsentNoter is left out,
// since the inner store would keep the person in the clear. So is a capability that
// is not known here, since it may return ciphertext.
func (s *encryptedStore) As(target any) (ok bool) {
	inside := s.ClientConfigurationStore
	switch target := target.(type) {
	case *dcr.ClientLister:
		var lister dcr.ClientLister
		lister, ok = dcr.StoreAs[dcr.ClientLister](inside)
		*target = encryptedLister{s, lister}
	case *dcr.ClientCounter:
		var counter dcr.ClientCounter
		counter, ok = dcr.StoreAs[dcr.ClientCounter](inside)
		*target = encryptedCounter{s, counter}
	case *dcr.RecentClientLister:
		var lister dcr.RecentClientLister
		lister, ok = dcr.StoreAs[dcr.RecentClientLister](inside)
		*target = encryptedRecent{s, lister}
	case *dcr.ClientEvictor:
		var evictor dcr.ClientEvictor
		evictor, ok = dcr.StoreAs[dcr.ClientEvictor](inside)
		*target = encryptedEvictor{s, evictor}
	case *dcr.ClientSweeper:
		var sweeper dcr.ClientSweeper
		sweeper, ok = dcr.StoreAs[dcr.ClientSweeper](inside)
		*target = encryptedSweeper{s, sweeper}
	case *dcr.StatementFinder:
		var finder dcr.StatementFinder
		finder, ok = dcr.StoreAs[dcr.StatementFinder](inside)
		*target = encryptedFinder{s, finder}
	case *dcr.RevisionDeleter, *dcr.ClientToucher, *dcr.DocumentNoter, *dcr.ClientLimiter,
		*dcr.InitialAccessTokenStore, *dcr.InitialAccessTokenLister, *dcr.ReplayStore, *dcr.ReplayForgetter:
		ok = dcr.StoreInto(inside, target)
	}
	return ok
}

// filter splits a filter in two: one for the inner store, and one for the decrypted
// clients, since the beginning of a name and a host have no hash.
func (s *encryptedStore) filter(filter dcr.Filter) (inside, opened dcr.Filter) {
	opened = dcr.Filter{NamePrefix: filter.NamePrefix, RedirectHost: filter.RedirectHost}
	filter.NamePrefix, filter.RedirectHost = "", ""
	filter.SoftwareID = s.hash("software", filter.SoftwareID)
	filter.RegisteredBy = s.hash("caller", filter.RegisteredBy)
	filter.ActivatedBy = s.hash("person", filter.ActivatedBy)
	return filter, opened
}

type encryptedLister struct {
	store  *encryptedStore
	inside dcr.ClientLister
}

func (l encryptedLister) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	return func(yield func(*dcr.Client, error) bool) {
		inside, opened := l.store.filter(filter)
		for outer, err := range l.inside.ListClients(ctx, inside, after) {
			var client *dcr.Client
			if err == nil {
				client, err = l.store.open(outer)
			}
			if err == nil && !opened.Selects(client) {
				continue
			}
			if !yield(client, err) || err != nil {
				return
			}
		}
	}
}

type encryptedCounter struct {
	store  *encryptedStore
	inside dcr.ClientCounter
}

func (c encryptedCounter) CountClients(ctx context.Context, filter dcr.Filter) (int64, error) {
	inside, opened := c.store.filter(filter)
	if opened == (dcr.Filter{}) {
		return c.inside.CountClients(ctx, inside)
	}
	lister, ok := dcr.StoreAs[dcr.ClientLister](c.store)
	if !ok {
		return 0, errors.New("the inner store cannot list its clients, which is needed to count by a name or a host")
	}
	var count int64
	for _, err := range lister.ListClients(ctx, filter, "") {
		if err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}

type encryptedRecent struct {
	store  *encryptedStore
	inside dcr.RecentClientLister
}

// maxLooked is how many clients a call decrypts, more or less.
const maxLooked = 2000

func (r encryptedRecent) ListRecentClients(ctx context.Context, filter dcr.Filter, cursor string, limit int) (clients []*dcr.Client, next string, err error) {
	inside, opened := r.store.filter(filter)
	looked := 0
	for next = cursor; len(clients) < limit && looked < maxLooked; {
		var page []*dcr.Client
		if page, next, err = r.inside.ListRecentClients(ctx, inside, next, limit-len(clients)); err != nil {
			return nil, "", err
		}
		for _, outer := range page {
			client, err := r.store.open(outer)
			if err != nil {
				return nil, "", err
			}
			if opened.Selects(client) {
				clients = append(clients, client)
			}
		}
		if looked += len(page); next == "" {
			break
		}
	}
	return clients, next, nil
}

type encryptedEvictor struct {
	store  *encryptedStore
	inside dcr.ClientEvictor
}

func (e encryptedEvictor) EvictClient(ctx context.Context, createdBefore time.Time) (*dcr.Client, time.Time, error) {
	outer, next, err := e.inside.EvictClient(ctx, createdBefore)
	if err != nil || outer == nil {
		return nil, next, err
	}
	evicted, err := e.store.open(outer)
	return evicted, next, err
}

type encryptedSweeper struct {
	store  *encryptedStore
	inside dcr.ClientSweeper
}

func (w encryptedSweeper) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	if before := rule.BeforeDelete; before != nil {
		rule.BeforeDelete = func(ctx context.Context, outer *dcr.Client) error {
			client, err := w.store.open(outer)
			if err != nil {
				return err
			}
			return before(ctx, client)
		}
	}
	if after := rule.AfterDelete; after != nil {
		rule.AfterDelete = func(ctx context.Context, outer *dcr.Client) {
			client, err := w.store.open(outer)
			if err != nil {
				client = outer // the client has been deleted anyway
			}
			after(ctx, client)
		}
	}
	return w.inside.SweepClients(ctx, rule)
}

type encryptedFinder struct {
	store  *encryptedStore
	inside dcr.StatementFinder
}

func (f encryptedFinder) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	return f.inside.FindByStatement(ctx, f.store.hash("issuer", issuer), f.store.hash("statement", id))
}

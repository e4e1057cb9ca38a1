package main

import (
	"context"
	"iter"

	"github.com/dynreg/dcr"
)

// As gives the optional capabilities that the store inside has, and no others.
// Those that show a client, or look for one by what is hashed, go through here;
// deleting, touching, tokens and used values need nothing of a client and pass
// as they are. A capability that is not known here may show ciphertext, so it does not
// pass.
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
	case *dcr.ClientSweeper:
		var sweeper dcr.ClientSweeper
		sweeper, ok = dcr.StoreAs[dcr.ClientSweeper](inside)
		*target = encryptedSweeper{s, sweeper}
	case *dcr.StatementFinder:
		var finder dcr.StatementFinder
		finder, ok = dcr.StoreAs[dcr.StatementFinder](inside)
		*target = encryptedFinder{s, finder}
	case *dcr.RevisionDeleter, *dcr.ClientToucher, *dcr.ClientLimiter, *dcr.InitialAccessTokenStore, *dcr.ReplayStore, *dcr.ReplayForgetter:
		ok = dcr.StoreInto(inside, target)
	}
	return ok
}

func (s *encryptedStore) filter(filter dcr.Filter) dcr.Filter {
	filter.SoftwareID = s.hash("software", filter.SoftwareID)
	filter.RegisteredBy = s.hash("caller", filter.RegisteredBy)
	return filter
}

type encryptedLister struct {
	store  *encryptedStore
	inside dcr.ClientLister
}

func (l encryptedLister) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	return func(yield func(*dcr.Client, error) bool) {
		for outer, err := range l.inside.ListClients(ctx, l.store.filter(filter), after) {
			var client *dcr.Client
			if err == nil {
				client, err = l.store.open(outer)
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
	return c.inside.CountClients(ctx, c.store.filter(filter))
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
	return w.inside.SweepClients(ctx, rule)
}

type encryptedFinder struct {
	store  *encryptedStore
	inside dcr.StatementFinder
}

func (f encryptedFinder) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	return f.inside.FindByStatement(ctx, f.store.hash("issuer", issuer), f.store.hash("statement", id))
}

package dcrtest

// Writes at the same time.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dynreg/dcr"
)

var concurrencyCases = []storeCase{
	{"ConcurrentAdds", "When many Adds of one id run at once, one succeeds and the others return ErrClientExists.", concurrentAdds},
	{"ConcurrentUpdates", "When many Updates from one Revision run at once, one succeeds and the others return ErrConflict.", concurrentUpdates},
	{"NoLostUpdate", "When many goroutines read, change and update one client, and retry on ErrConflict, no change is lost.", noLostUpdate},
	{"ConcurrentDeletes", "When many Deletes of one client run at once, one succeeds and the others return ErrClientNotFound.", concurrentDeletes},
	{"UpdateAndDelete", "An Update that races with a Delete never brings the client back.", updateAndDelete},
	{"ManyAtOnce", "When many clients are added, updated, read and deleted at once, none affects another.", manyAtOnce},
	{"WholeReads", "A read during updates returns one version of the client, not a mix of two.", wholeReads},
}

// crowd is how many goroutines run at once.
const crowd = 16

// together runs work n times at once and returns the first error.
func together(n int, work func(i int) error) error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = work(i)
		})
	}
	close(start)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// oneWinner runs work many times at once. One call must succeed, and the others
// must return the error otherwise.
func oneWinner(call string, otherwise error, work func(i int) error) (winner int, err error) {
	var won, last atomic.Int64
	err = together(crowd, func(i int) error {
		switch err := work(i); {
		case err == nil:
			won.Add(1)
			last.Store(int64(i))
			return nil
		case !errors.Is(err, otherwise):
			return fmt.Errorf("%s returned %w, not %w", call, err, otherwise)
		}
		return nil
	})
	if err == nil && won.Load() != 1 {
		err = fmt.Errorf("%d of %d calls succeeded, not one: %s", won.Load(), crowd, call)
	}
	return int(last.Load()), err
}

func concurrentAdds(ctx context.Context, store dcr.ClientConfigurationStore) error {
	clients := make([]*dcr.Client, crowd)
	winner, err := oneWinner("Add", dcr.ErrClientExists, func(i int) error {
		clients[i] = newClient("contested")
		clients[i].ClientName = fmt.Sprintf("Claimant %d", i)
		return store.Add(ctx, clients[i])
	})
	if err != nil {
		return err
	}
	return wantStored(ctx, store, clients[winner])
}

func concurrentUpdates(ctx context.Context, store dcr.ClientConfigurationStore) error {
	original := newClient("one")
	if err := add(ctx, store, original); err != nil {
		return err
	}
	clients := make([]*dcr.Client, crowd)
	winner, err := oneWinner("Update", dcr.ErrConflict, func(i int) error {
		clients[i] = original.Clone()
		clients[i].ClientName = fmt.Sprintf("Writer %d", i)
		return store.Update(ctx, clients[i])
	})
	if err != nil {
		return err
	}
	return wantStored(ctx, store, clients[winner])
}

func noLostUpdate(ctx context.Context, store dcr.ClientConfigurationStore) error {
	original := newClient("one")
	if err := add(ctx, store, original); err != nil {
		return err
	}
	const rounds = 5
	const changes = crowd / 2 * rounds
	err := together(crowd/2, func(i int) error {
		for round := range rounds {
			for try := 1; ; try++ {
				if try > 10*changes { // each ErrConflict means a change by another goroutine, and there are fewer
					return fmt.Errorf("%d Updates in a row, each of a client that FindByClientID had just returned, failed with %w: does FindByClientID return outdated clients, as from a cache?", try-1, dcr.ErrConflict)
				}
				client, err := store.FindByClientID(ctx, "one")
				if err != nil {
					return err
				}
				client.Contacts = append(client.Contacts, fmt.Sprintf("%d-%d@example.com", i, round))
				if err = store.Update(ctx, client); err == nil {
					break
				} else if !errors.Is(err, dcr.ErrConflict) {
					return fmt.Errorf("Update failed: %w", err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	client, err := store.FindByClientID(ctx, "one")
	if err != nil {
		return err
	}
	if len(client.Contacts) != changes || client.Revision != original.Revision+int64(changes) {
		return fmt.Errorf("after %d successful changes, the client has %d of them and its Revision is higher by %d", changes, len(client.Contacts), client.Revision-original.Revision)
	}
	return nil
}

func concurrentDeletes(ctx context.Context, store dcr.ClientConfigurationStore) error {
	if err := add(ctx, store, newClient("one")); err != nil {
		return err
	}
	_, err := oneWinner("Delete", dcr.ErrClientNotFound, func(int) error { return store.Delete(ctx, "one") })
	return err
}

func updateAndDelete(ctx context.Context, store dcr.ClientConfigurationStore) error {
	for round := range 10 {
		client := newClient(fmt.Sprintf("client-%d", round))
		if err := add(ctx, store, client); err != nil {
			return err
		}
		err := together(4, func(i int) error {
			if i == 0 {
				return store.Delete(ctx, client.ID)
			}
			err := store.Update(ctx, client.Clone())
			if err == nil || errors.Is(err, dcr.ErrClientNotFound) || errors.Is(err, dcr.ErrConflict) {
				return nil
			}
			return fmt.Errorf("Update during a Delete failed: %w", err)
		})
		if err != nil {
			return err
		}
		_, err = store.FindByClientID(ctx, client.ID)
		if err := want("FindByClientID after a successful Delete", err, dcr.ErrClientNotFound); err != nil {
			return err
		}
	}
	return nil
}

func manyAtOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	return together(crowd, func(i int) error {
		for round := range 4 {
			client := newClient(fmt.Sprintf("client-%d-%d", i, round))
			if err := add(ctx, store, client); err != nil {
				return err
			}
			client.ClientName = "Updated"
			if err := store.Update(ctx, client); err != nil {
				return fmt.Errorf("Update of %q failed: %w", client.ID, err)
			}
			if err := wantStored(ctx, store, client); err != nil {
				return err
			}
			if round%2 == 1 {
				continue
			}
			if err := store.Delete(ctx, client.ID); err != nil {
				return fmt.Errorf("Delete of %q failed: %w", client.ID, err)
			}
			_, err := store.FindByClientID(ctx, client.ID)
			if err := want("FindByClientID after Delete", err, dcr.ErrClientNotFound); err != nil {
				return err
			}
		}
		return nil
	})
}

func wholeReads(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("one")
	client.Notes = client.ClientName
	if err := add(ctx, store, client); err != nil {
		return err
	}
	return together(4, func(i int) error {
		for round := range 20 {
			if i == 0 {
				client.ClientName = fmt.Sprintf("Version %d", round)
				client.Notes = client.ClientName
				if err := store.Update(ctx, client); err != nil {
					return fmt.Errorf("Update failed: %w", err)
				}
				continue
			}
			found, err := store.FindByClientID(ctx, "one")
			if err != nil {
				return fmt.Errorf("FindByClientID during updates failed: %w", err)
			}
			if found.ClientName != found.Notes {
				return fmt.Errorf("a read found the name of one version (%q) and the notes of another (%q)", found.ClientName, found.Notes)
			}
		}
		return nil
	})
}

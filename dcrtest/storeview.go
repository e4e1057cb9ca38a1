package dcrtest

// Clients that are read without a copy.

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/dynreg/dcr"
)

var viewCases = []storeCase{
	{"View", "ViewClient returns the same client as FindByClientID, after every write and note.", view},
	{"ViewNothing", "ViewClient returns ErrClientNotFound for a client that never existed or was deleted.", viewNothing},
	{"ViewIsNotShared", "A view does not change when callers change the clients that they added or found.", viewIsNotShared},
	{"ViewAtOnce", "A view does not change while the client is updated.", viewAtOnce},
	{"Stored", "FindStored returns a copy of the client as it is after every write, and ErrClientNotFound if there is none.", findStored},
}

// wantViewed compares what ViewClient returns with the client that the store
// should have.
func wantViewed(ctx context.Context, viewer dcr.ClientViewer, client *dcr.Client) error {
	viewed, err := viewer.ViewClient(ctx, client.ID)
	if err != nil {
		return fmt.Errorf("ViewClient(%q) failed: %w", client.ID, err)
	}
	return sameClient(viewed, client)
}

func view(ctx context.Context, store dcr.ClientConfigurationStore) error {
	viewer, err := capability[dcr.ClientViewer](store)
	if err != nil {
		return err
	}
	client := fullClient("one")
	steps := []struct {
		name string
		do   func() error
	}{
		{"Add", func() error { return store.Add(ctx, client) }},
		{"nothing", func() error { return nil }},
		{"Update", func() error { client.ClientName = "Renamed"; return store.Update(ctx, client) }},
		{"TouchClient", func() error {
			toucher, ok := dcr.StoreAs[dcr.ClientToucher](store)
			if !ok {
				return nil
			}
			return toucher.TouchClient(ctx, "one", day(900))
		}},
		{"NoteConsent", func() error {
			noter, ok := dcr.StoreAs[dcr.ConsentNoter](store)
			if !ok {
				return nil
			}
			return noter.NoteConsent(ctx, "one", "somebody", day(901))
		}},
		{"NoteDocument", func() error {
			noter, ok := dcr.StoreAs[dcr.DocumentNoter](store)
			if !ok {
				return nil
			}
			return noter.NoteDocument(ctx, "one", *record(902))
		}},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s failed: %w", step.name, err)
		}
		found, err := store.FindByClientID(ctx, "one")
		if err == nil {
			err = wantViewed(ctx, viewer, found)
		}
		if err != nil {
			return fmt.Errorf("after %s: %w", step.name, err)
		}
	}
	return nil
}

func viewNothing(ctx context.Context, store dcr.ClientConfigurationStore) error {
	viewer, err := capability[dcr.ClientViewer](store)
	if err != nil {
		return err
	}
	client := newClient("one")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	if err := wantViewed(ctx, viewer, client); err != nil {
		return err
	}
	if err := store.Delete(ctx, "one"); err != nil {
		return err
	}
	for _, id := range append(oddIDs, "one") {
		viewed, err := viewer.ViewClient(ctx, id)
		if viewed != nil {
			return fmt.Errorf("ViewClient of %.20q returned a client", id)
		}
		if err := want(fmt.Sprintf("ViewClient of %.20q", id), err, dcr.ErrClientNotFound); err != nil {
			return err
		}
	}
	return nil
}

func viewIsNotShared(ctx context.Context, store dcr.ClientConfigurationStore) error {
	viewer, err := capability[dcr.ClientViewer](store)
	if err != nil {
		return err
	}
	client := fullClient("one")
	original := client.Clone()
	if err := add(ctx, store, client); err != nil {
		return err
	}
	original.Revision = client.Revision
	scribble(client)
	if err := wantViewed(ctx, viewer, original); err != nil {
		return fmt.Errorf("after changing the client that was given to Add: %w", err)
	}
	found, err := store.FindByClientID(ctx, "one")
	if err != nil {
		return err
	}
	scribble(found)
	if err := wantViewed(ctx, viewer, original); err != nil {
		return fmt.Errorf("after changing a client that FindByClientID returned: %w", err)
	}
	return nil
}

func viewAtOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	viewer, err := capability[dcr.ClientViewer](store)
	if err != nil {
		return err
	}
	client := newClient("one")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	viewed, err := viewer.ViewClient(ctx, "one")
	if err != nil {
		return err
	}
	before := viewed.Clone()
	var all sync.WaitGroup
	failed := make([]error, 4)
	for i := range failed {
		all.Go(func() {
			for range 50 {
				if seen, err := viewer.ViewClient(ctx, "one"); err != nil || len(seen.Clone().RedirectURIs) != 1 {
					failed[i] = fmt.Errorf("ViewClient during an update returned %v and %v", seen, err)
				}
			}
		})
	}
	for i := range 50 {
		client.ClientName = fmt.Sprint("Name ", i)
		if err := store.Update(ctx, client); err != nil {
			return err
		}
	}
	all.Wait()
	return errors.Join(append(failed, sameClient(viewed, before))...)
}

func findStored(ctx context.Context, store dcr.ClientConfigurationStore) error {
	finder, err := capability[dcr.StoredFinder](store)
	if err != nil {
		return err
	}
	client := fullClient("one")
	want := func(sentence string) error {
		stored, err := finder.FindStored(ctx, "one")
		if err == nil {
			err = sameClient(stored, client)
		}
		if err != nil {
			return fmt.Errorf("FindStored after %s: %w", sentence, err)
		}
		scribble(stored) // the next one must be another
		return nil
	}
	if err := add(ctx, store, client); err != nil {
		return err
	}
	if err := want("Add"); err != nil {
		return err
	}
	if err := want("a change of the client that it returned"); err != nil {
		return err
	}
	client.ClientName = "Renamed"
	if err := store.Update(ctx, client); err != nil {
		return err
	}
	if err := want("Update"); err != nil {
		return err
	}
	if err := store.Delete(ctx, "one"); err != nil {
		return err
	}
	for _, id := range append(oddIDs, "one") {
		stored, err := finder.FindStored(ctx, id)
		if stored != nil || !errors.Is(err, dcr.ErrClientNotFound) {
			return fmt.Errorf("FindStored of %.20q returned %v and %v, not nil and ErrClientNotFound", id, stored, err)
		}
	}
	return nil
}

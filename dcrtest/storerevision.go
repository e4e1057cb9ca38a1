package dcrtest

// Revisions of clients with the same id.

import (
	"context"
	"errors"
	"fmt"

	"github.com/dynreg/dcr"
)

var revisionCases = []storeCase{
	{"AddAgain", "A client that is added under the id of a deleted one begins with a random Revision. Update from a Revision of the deleted client returns ErrConflict, or ErrClientNotFound while no client has the id, and changes nothing.", addAgain},
	{"DeleteRevision", "DeleteRevision deletes the client if it has that Revision, even if it was used meanwhile, and no other client.", deleteRevision},
	{"DeleteRevisionStale", "If the client was changed or is gone, DeleteRevision returns ErrConflict or ErrClientNotFound and changes nothing.", deleteRevisionStale},
	{"DeleteRevisionAtOnce", "When an Update and several DeleteRevisions of one Revision run at once, one succeeds, and the others return ErrConflict or ErrClientNotFound.", deleteRevisionAtOnce},
}

// leastApart is the least distance between the Revisions with which two clients
// of one id begin. Random Revisions are closer once in a billion times.
const leastApart = 1 << 20

func addAgain(ctx context.Context, store dcr.ClientConfigurationStore) error {
	var old []*dcr.Client // every version of every earlier client
	for round := range 4 {
		client := newClient("one")
		client.ClientName = fmt.Sprintf("Owner %d", round)
		if round > 0 { // as when a caller moves a client
			client.Revision = old[len(old)-1].Revision
		}
		if err := add(ctx, store, client); err != nil {
			return err
		}
		for _, earlier := range old {
			if apart := client.Revision - earlier.Revision; apart < leastApart && -apart < leastApart {
				return fmt.Errorf("a client that was added again has Revision %d, and the one before had %d: a new client must begin with a random Revision", client.Revision, earlier.Revision)
			}
		}
		if err := wantStale(ctx, store, old, dcr.ErrConflict); err != nil {
			return err
		}
		if err := wantStored(ctx, store, client); err != nil {
			return fmt.Errorf("after Updates from Revisions of earlier clients: %w", err)
		}
		for range 2 {
			old = append(old, client.Clone())
			if err := store.Update(ctx, client); err != nil {
				return fmt.Errorf("Update failed: %w", err)
			}
		}
		old = append(old, client)
		if err := store.Delete(ctx, "one"); err != nil {
			return fmt.Errorf("Delete failed: %w", err)
		}
		if err := wantStale(ctx, store, old, dcr.ErrClientNotFound); err != nil {
			return err
		}
	}
	return nil
}

// wantStale checks that the store refuses Update and, if it has it,
// DeleteRevision of every earlier client.
func wantStale(ctx context.Context, store dcr.ClientConfigurationStore, old []*dcr.Client, refusal error) error {
	deleter, deletes := dcr.StoreAs[dcr.RevisionDeleter](store)
	for _, earlier := range old {
		if err := want("Update of an earlier client of the id", store.Update(ctx, earlier.Clone()), refusal); err != nil {
			return err
		}
		if !deletes {
			continue
		}
		if err := want("DeleteRevision of an earlier client of the id", deleter.DeleteRevision(ctx, earlier.ID, earlier.Revision), refusal); err != nil {
			return err
		}
	}
	return nil
}

func deleteRevision(ctx context.Context, store dcr.ClientConfigurationStore) error {
	deleter, err := capability[dcr.RevisionDeleter](store)
	if err != nil {
		return err
	}
	client, other := newClient("one"), newClient("One")
	if err := add(ctx, store, client, other); err != nil {
		return err
	}
	if err := store.Update(ctx, client); err != nil {
		return fmt.Errorf("Update failed: %w", err)
	}
	for _, usage := range usages(store) {
		if err := usage.note(ctx, "one", 10); err != nil {
			return fmt.Errorf("%s failed: %w", usage.name, err)
		}
	}
	if err := deleter.DeleteRevision(ctx, "one", client.Revision); err != nil {
		return fmt.Errorf("DeleteRevision of a client that was used since it was read failed: %w", err)
	}
	_, err = store.FindByClientID(ctx, "one")
	return errors.Join(
		want("FindByClientID after DeleteRevision", err, dcr.ErrClientNotFound),
		want("a second DeleteRevision", deleter.DeleteRevision(ctx, "one", client.Revision), dcr.ErrClientNotFound),
		wantStored(ctx, store, other))
}

func deleteRevisionStale(ctx context.Context, store dcr.ClientConfigurationStore) error {
	deleter, err := capability[dcr.RevisionDeleter](store)
	if err != nil {
		return err
	}
	client := newClient("one")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	read := client.Revision
	if err := store.Update(ctx, client); err != nil {
		return fmt.Errorf("Update failed: %w", err)
	}
	for _, revision := range []int64{read, 0, 1, client.Revision + 1} {
		if err := want(fmt.Sprintf("DeleteRevision of Revision %d of a client with Revision %d", revision, client.Revision), deleter.DeleteRevision(ctx, "one", revision), dcr.ErrConflict); err != nil {
			return err
		}
	}
	for _, id := range oddIDs {
		if err := want(fmt.Sprintf("DeleteRevision of %.20q", id), deleter.DeleteRevision(ctx, id, client.Revision), dcr.ErrClientNotFound); err != nil {
			return err
		}
	}
	return wantStored(ctx, store, client)
}

func deleteRevisionAtOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	deleter, err := capability[dcr.RevisionDeleter](store)
	if err != nil {
		return err
	}
	for round := range 5 {
		client := newClient(fmt.Sprintf("client-%d", round))
		if err := add(ctx, store, client); err != nil {
			return err
		}
		updated := client.Clone()
		winner, err := oneWinner("DeleteRevision during an Update", dcr.ErrConflict, func(i int) error {
			if i == 0 {
				return gone(store.Update(ctx, updated))
			}
			return gone(deleter.DeleteRevision(ctx, client.ID, client.Revision))
		})
		if err != nil {
			return err
		}
		if winner == 0 {
			err = wantStored(ctx, store, updated)
		} else {
			_, err = store.FindByClientID(ctx, client.ID)
			err = want("FindByClientID after DeleteRevision", err, dcr.ErrClientNotFound)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// gone returns ErrConflict for ErrClientNotFound, and any other error unchanged.
func gone(err error) error {
	if errors.Is(err, dcr.ErrClientNotFound) {
		return dcr.ErrConflict
	}
	return err
}

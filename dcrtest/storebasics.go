package dcrtest

// Adding, finding, updating and deleting clients.

import (
	"context"
	"errors"
	"fmt"

	"github.com/dynreg/dcr"
)

var basicCases = []storeCase{
	{"FindNothing", "FindByClientID returns ErrClientNotFound for a client that was never added, whatever its id looks like.", findNothing},
	{"AddThenFind", "A client that was added is found. Add sets its Revision, from 1 to below 2^53, in the caller's struct too.", addThenFind},
	{"AddTwice", "Add of an id that is taken returns ErrClientExists and leaves the first client unchanged.", addTwice},
	{"Update", "Update replaces the client and increments Revision, in the caller's struct too.", update},
	{"UpdateStale", "Update from an old Revision returns ErrConflict and changes nothing, neither in the store nor in the caller's struct.", updateStale},
	{"UpdateNothing", "Update of a client that does not exist returns ErrClientNotFound and does not create it.", updateNothing},
	{"Delete", "After Delete, no operation finds the client, and its id can be added again.", deleteClient},
	{"DeleteOne", "Delete of one client deletes no other.", deleteOne},
	{"ErrorsDiffer", "The error of an outcome matches the one that the contract names for it, and no other.", errorsDiffer},
	{"CaseSensitiveIDs", "Ids that differ in case, accent or trailing space are different ids.", distinctIDs},
	{"EveryStoresIDs", "Add accepts ids of 1 to 255 bytes of UTF-8 without NUL. For any other id, Add returns ErrClientID, Update returns ErrClientNotFound, and nothing is stored.", everyStoresIDs},
	{"KeepsCopies", "The store keeps copies: changing a client that was given to it, or that it returned, does not change the stored client.", keepsCopies},
	{"CancelledContext", "With a cancelled context, an existing client is never reported as missing, and an operation happens completely or not at all.", cancelledContext},
}

// oddIDs are ids that a stranger may ask for.
var oddIDs = []string{"nobody", "", " ", "'; DROP TABLE clients; --", "%", "_", "\x00", "a\x00b", "\xff\xfe", "ключ", "../../etc/passwd", long(300), long(100_000)}

func long(n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = 'a'
	}
	return string(text)
}

func findNothing(ctx context.Context, store dcr.ClientConfigurationStore) error {
	if err := add(ctx, store, newClient("somebody")); err != nil {
		return err
	}
	for _, id := range oddIDs {
		name := fmt.Sprintf("%.20q (%d bytes)", id, len(id))
		found, err := store.FindByClientID(ctx, id)
		if found != nil {
			return fmt.Errorf("FindByClientID of %s returned a client", name)
		}
		if err := errors.Join(
			want("FindByClientID of "+name, err, dcr.ErrClientNotFound),
			want("Delete of "+name, store.Delete(ctx, id), dcr.ErrClientNotFound),
		); err != nil {
			return err
		}
	}
	return nil
}

// maxRevision is above the integers that every language reads exactly.
const maxRevision = 1 << 53

func addThenFind(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("one")
	client.Revision = 7 // left over from earlier
	if err := add(ctx, store, client); err != nil {
		return err
	}
	if client.Revision == 7 {
		return errors.New("Add did not set the Revision in the caller's struct")
	}
	if client.Revision < 1 || client.Revision >= maxRevision {
		return fmt.Errorf("after Add, the caller's client has Revision %d, which is not from 1 to below 2^53", client.Revision)
	}
	return wantStored(ctx, store, client)
}

func addTwice(ctx context.Context, store dcr.ClientConfigurationStore) error {
	first, second := newClient("one"), newClient("one")
	second.ClientName = "Impostor"
	if err := add(ctx, store, first); err != nil {
		return err
	}
	if err := want("a second Add", store.Add(ctx, second), dcr.ErrClientExists); err != nil {
		return err
	}
	return wantStored(ctx, store, first)
}

func update(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("one")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	first := client.Revision
	for n := 1; n < 4; n++ {
		revision := first + int64(n)
		client.ClientName = fmt.Sprintf("Name %d", n)
		client.RedirectURIs = append(client.RedirectURIs, fmt.Sprintf("https://app.example.com/%d", n))
		client.UpdatedAt = day(n)
		if err := store.Update(ctx, client); err != nil {
			return fmt.Errorf("Update failed: %w", err)
		}
		if client.Revision != revision {
			return fmt.Errorf("after Update, the caller's client has Revision %d, not %d", client.Revision, revision)
		}
		if err := wantStored(ctx, store, client); err != nil {
			return err
		}
	}
	return nil
}

func updateStale(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("one")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	stale := client.Clone()
	client.ClientName = "Newer"
	if err := store.Update(ctx, client); err != nil {
		return fmt.Errorf("Update failed: %w", err)
	}
	for _, revision := range []int64{stale.Revision, 0, 1, client.Revision + 1} {
		stale.ClientName, stale.Revision = "Stale", revision
		if err := want(fmt.Sprintf("Update from Revision %d of a client with Revision %d", revision, client.Revision), store.Update(ctx, stale), dcr.ErrConflict); err != nil {
			return err
		}
		if stale.Revision != revision {
			return fmt.Errorf("a failed Update changed the Revision in the caller's struct from %d to %d", revision, stale.Revision)
		}
	}
	return wantStored(ctx, store, client)
}

func updateNothing(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("nobody")
	client.Revision = dcr.NewRevision()
	if err := want("Update", store.Update(ctx, client), dcr.ErrClientNotFound); err != nil {
		return err
	}
	_, err := store.FindByClientID(ctx, "nobody")
	return want("FindByClientID after a failed Update", err, dcr.ErrClientNotFound)
}

func deleteClient(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("one")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	if err := store.Update(ctx, client); err != nil {
		return fmt.Errorf("Update failed: %w", err)
	}
	if err := store.Delete(ctx, "one"); err != nil {
		return fmt.Errorf("Delete failed: %w", err)
	}
	_, err := store.FindByClientID(ctx, "one")
	if err := errors.Join(
		want("FindByClientID after Delete", err, dcr.ErrClientNotFound),
		want("a second Delete", store.Delete(ctx, "one"), dcr.ErrClientNotFound),
		want("Update after Delete", store.Update(ctx, client), dcr.ErrClientNotFound),
	); err != nil {
		return err
	}
	again := newClient("one")
	again.ClientName = "Another"
	if err := add(ctx, store, again); err != nil {
		return err
	}
	return wantStored(ctx, store, again)
}

func deleteOne(ctx context.Context, store dcr.ClientConfigurationStore) error {
	kept := []*dcr.Client{newClient("on"), newClient("one1"), newClient("One"), newClient("two")}
	if err := add(ctx, store, append(kept, newClient("one"))...); err != nil {
		return err
	}
	if err := store.Delete(ctx, "one"); err != nil {
		return fmt.Errorf("Delete failed: %w", err)
	}
	for _, client := range kept {
		if err := wantStored(ctx, store, client); err != nil {
			return err
		}
	}
	return nil
}

func errorsDiffer(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("one")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	stale := client.Clone()
	stale.Revision--
	_, missing := store.FindByClientID(ctx, "nobody")
	outcomes := []struct {
		call string
		got  error
		want error
	}{
		{"Add of a taken id", store.Add(ctx, newClient("one")), dcr.ErrClientExists},
		{"FindByClientID of a missing client", missing, dcr.ErrClientNotFound},
		{"Update from another Revision", store.Update(ctx, stale), dcr.ErrConflict},
		{"Delete of a missing client", store.Delete(ctx, "nobody"), dcr.ErrClientNotFound},
	}
	for _, outcome := range outcomes {
		for _, sentinel := range []error{dcr.ErrClientNotFound, dcr.ErrClientExists, dcr.ErrConflict, dcr.ErrStoreFull} {
			if errors.Is(outcome.got, sentinel) != (sentinel == outcome.want) {
				return fmt.Errorf("%s returned %v: it must match %v and nothing else", outcome.call, outcome.got, outcome.want)
			}
		}
	}
	return nil
}

func distinctIDs(ctx context.Context, store dcr.ClientConfigurationStore) error {
	ids := []string{"client", "Client", "CLIENT", "cliént", "client ", " client", "clıent", "straße", "strasse", "客户", "🔑", "1", "01", "1.0", "1e0", "%", "c_ient", long(100)}
	for _, id := range ids {
		if err := store.Add(ctx, newClient(id)); err != nil {
			return fmt.Errorf("Add(%q) failed when the store had ids that only look like it: %w", id, err)
		}
	}
	for _, id := range ids {
		found, err := store.FindByClientID(ctx, id)
		if err != nil {
			return fmt.Errorf("FindByClientID(%q) failed: %w", id, err)
		}
		if found.ID != id || found.ClientName != "Client "+id {
			return fmt.Errorf("FindByClientID(%q) found %q", id, found.ID)
		}
	}
	return nil
}

func everyStoresIDs(ctx context.Context, store dcr.ClientConfigurationStore) error {
	for _, id := range []string{"a", " ", "\t", "\u0001", "\x7f", "é", "\U0010FFFF", "\uFFFD", "https://app.example.com/client?a=b#c", long(255), long(253) + "é", long(254) + "b"} {
		client := newClient(id)
		if err := add(ctx, store, client); err != nil {
			return err
		}
		if err := wantStored(ctx, store, client); err != nil {
			return err
		}
	}
	for _, id := range []string{"", "\x00", "a\x00", "\xff", "a\xc3", "\xed\xa0\x80", long(256), long(254) + "é", long(100_000)} {
		name := fmt.Sprintf("%.20q (%d bytes)", id, len(id))
		client := newClient(id)
		_, found := store.FindByClientID(ctx, id)
		if err := errors.Join(
			want("Add of "+name, store.Add(ctx, client), dcr.ErrClientID),
			want("FindByClientID of "+name, found, dcr.ErrClientNotFound),
			want("Update of "+name, store.Update(ctx, client), dcr.ErrClientNotFound),
			want("Delete of "+name, store.Delete(ctx, id), dcr.ErrClientNotFound),
		); err != nil {
			return err
		}
	}
	return nil
}

func keepsCopies(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := fullClient("one")
	original := client.Clone()
	if err := add(ctx, store, client); err != nil {
		return err
	}
	original.Revision = client.Revision
	scribble(client)
	if err := wantStored(ctx, store, original); err != nil {
		return fmt.Errorf("after changing the client that was given to Add: %w", err)
	}
	found, err := store.FindByClientID(ctx, "one")
	if err != nil {
		return err
	}
	scribble(found)
	if err := wantStored(ctx, store, original); err != nil {
		return fmt.Errorf("after changing a client that FindByClientID returned: %w", err)
	}
	updated := original.Clone()
	if err := store.Update(ctx, updated); err != nil {
		return err
	}
	original.Revision++
	scribble(updated)
	if err := wantStored(ctx, store, original); err != nil {
		return fmt.Errorf("after changing the client that was given to Update: %w", err)
	}
	return nil
}

func cancelledContext(ctx context.Context, store dcr.ClientConfigurationStore) error {
	there := newClient("there")
	if err := add(ctx, store, there); err != nil {
		return err
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if found, err := store.FindByClientID(cancelled, "there"); errors.Is(err, dcr.ErrClientNotFound) {
		return errors.New("FindByClientID with a cancelled context reported an existing client as missing")
	} else if err == nil && found.ID != "there" {
		return errors.New("FindByClientID with a cancelled context returned neither the client nor an error")
	}
	added := newClient("added")
	failed := store.Add(cancelled, added)
	_, err := store.FindByClientID(ctx, "added")
	if (failed == nil) != (err == nil) {
		return fmt.Errorf("Add with a cancelled context returned %v, and FindByClientID then %v", failed, err)
	}
	failed = store.Delete(cancelled, "there")
	if errors.Is(failed, dcr.ErrClientNotFound) {
		return errors.New("Delete with a cancelled context reported an existing client as missing")
	}
	_, err = store.FindByClientID(ctx, "there")
	if (failed == nil) != errors.Is(err, dcr.ErrClientNotFound) {
		return fmt.Errorf("Delete with a cancelled context returned %v, and FindByClientID then %v", failed, err)
	}
	return nil
}

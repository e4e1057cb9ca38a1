package dcrtest

// When a client was last used.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dynreg/dcr"
)

var touchCases = []storeCase{
	{"Touch", "The first use sets ActivatedAt and LastUsedAt, a later one changes only LastUsedAt, and an earlier one changes nothing.", touch},
	{"TouchNothing", "Touching a client that does not exist returns ErrClientNotFound.", touchNothing},
	{"TouchAndUpdate", "A touch between a read and an update causes no conflict and is not lost.", touchAndUpdate},
	{"TouchFromTheFuture", "A use in the future, from a host whose clock is fast, counts as a use now.", touchFromTheFuture},
	{"TouchKeepsTheRest", "A touch, a consent and a note of a document change nothing else of the client, not even members that only a newer version knows.", touchKeepsTheRest},
	{"TouchAndList", "After a touch, a consent and a note of a document, a listing, a count and a list of recent clients show and select the client as it is now.", touchAndList},
	{"TouchAndDelete", "After a delete, a touch, a consent or a note of a document returns ErrClientNotFound, and a new client with the same id has none of those from before.", touchAndDelete},
	{"TouchDuringUpdates", "A touch, a consent and a note of a document at the same time as an update do not undo it, and are not lost.", touchDuringUpdates},
	{"TouchAtOnce", "Many touches at once all succeed, and the latest use is kept.", touchAtOnce},
}

func touch(ctx context.Context, store dcr.ClientConfigurationStore) error {
	toucher, err := capability[dcr.ClientToucher](store)
	if err != nil {
		return err
	}
	client, other := newClient("one"), newClient("other")
	if err := add(ctx, store, client, other); err != nil {
		return err
	}
	for _, step := range []struct {
		at, activated, used time.Time
	}{
		{day(10), day(10), day(10)},
		{day(20), day(10), day(20)},
		{day(15), day(10), day(20)},
		{day(21), day(10), day(21)},
	} {
		if err := toucher.TouchClient(ctx, "one", step.at); err != nil {
			return fmt.Errorf("TouchClient failed: %w", err)
		}
		client.ActivatedAt, client.LastUsedAt = step.activated, step.used
		if err := wantStored(ctx, store, client); err != nil {
			return fmt.Errorf("after a touch at %v: %w", step.at, err)
		}
	}
	return wantStored(ctx, store, other)
}

func touchNothing(ctx context.Context, store dcr.ClientConfigurationStore) error {
	toucher, err := capability[dcr.ClientToucher](store)
	if err != nil {
		return err
	}
	return want("TouchClient", toucher.TouchClient(ctx, "nobody", day(1)), dcr.ErrClientNotFound)
}

func touchAndUpdate(ctx context.Context, store dcr.ClientConfigurationStore) error {
	toucher, err := capability[dcr.ClientToucher](store)
	if err != nil {
		return err
	}
	client := newClient("one")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	for round := 1; round <= 2; round++ {
		if err := toucher.TouchClient(ctx, "one", day(10*round)); err != nil {
			return fmt.Errorf("TouchClient failed: %w", err)
		}
		client.ClientName = fmt.Sprintf("Renamed %d", round)
		if err := store.Update(ctx, client); err != nil { // read before the touch
			return fmt.Errorf("Update after a touch failed: %w", err)
		}
		expected := client.Clone()
		expected.ActivatedAt, expected.LastUsedAt = day(10), day(10*round)
		if err := wantStored(ctx, store, expected); err != nil {
			return fmt.Errorf("after a touch and an update: %w", err)
		}
	}
	return nil
}

func touchFromTheFuture(ctx context.Context, store dcr.ClientConfigurationStore) error {
	toucher, err := capability[dcr.ClientToucher](store)
	if err != nil {
		return err
	}
	if err := add(ctx, store, newClient("one")); err != nil {
		return err
	}
	if _, err := store.FindByClientID(ctx, "one"); err != nil { // so that a cache keeps it
		return err
	}
	const ahead = 24 * time.Hour
	if err := toucher.TouchClient(ctx, "one", time.Now().Add(ahead)); err != nil {
		return fmt.Errorf("TouchClient failed: %w", err)
	}
	client, err := store.FindByClientID(ctx, "one")
	if err != nil {
		return err
	}
	latest := time.Now().Add(ahead / 2) // the store's own clock may differ, but not by that much
	if client.LastUsedAt.After(latest) || client.ActivatedAt.After(latest) || client.LastUsedAt.IsZero() || client.ActivatedAt.IsZero() {
		return fmt.Errorf("after a use %v ahead of now, the client was activated at %v and last used at %v", ahead, client.ActivatedAt, client.LastUsedAt)
	}
	return nil
}

// usage is what can be noted about a client: a use, a consent and a document.
type usage struct {
	name string
	note func(ctx context.Context, id string, n int) error // the note of day n
	set  func(client *dcr.Client, n int)                   // the same in a client, as the first of its kind
}

// usages returns the notes that the store can make.
func usages(store dcr.ClientConfigurationStore) (able []usage) {
	used := func(client *dcr.Client, n int) { client.ActivatedAt, client.LastUsedAt = day(n), day(n) }
	if toucher, ok := dcr.StoreAs[dcr.ClientToucher](store); ok {
		able = append(able, usage{"TouchClient", func(ctx context.Context, id string, n int) error { return toucher.TouchClient(ctx, id, day(n)) }, used})
	}
	if noter, ok := dcr.StoreAs[dcr.ConsentNoter](store); ok {
		able = append(able, usage{
			"NoteConsent",
			func(ctx context.Context, id string, n int) error { return noter.NoteConsent(ctx, id, "person", day(n)) },
			func(client *dcr.Client, n int) { used(client, n); client.ActivatedBy = "person" },
		})
	}
	if noter, ok := dcr.StoreAs[dcr.DocumentNoter](store); ok {
		able = append(able, usage{
			"NoteDocument",
			func(ctx context.Context, id string, n int) error { return noter.NoteDocument(ctx, id, *record(n)) },
			func(client *dcr.Client, n int) { client.Document = record(n) },
		})
	}
	return able
}

var errNoUsage = fmt.Errorf("%w: dcr.ClientToucher, dcr.ConsentNoter or dcr.DocumentNoter", errLacks)

func touchKeepsTheRest(ctx context.Context, store dcr.ClientConfigurationStore) error {
	able := usages(store)
	if len(able) == 0 {
		return errNoUsage
	}
	for _, usage := range able {
		full, newer := fullClient("full-"+usage.name), &dcr.Client{}
		full.ActivatedAt, full.LastUsedAt, full.ActivatedBy, full.Document = time.Time{}, time.Time{}, "", nil
		if err := json.Unmarshal([]byte(newerDocument), newer); err != nil {
			return err
		}
		newer.ID = "newer-" + usage.name
		for _, client := range []*dcr.Client{full, newer} {
			if err := add(ctx, store, client); err != nil {
				return err
			}
			if err := usage.note(ctx, client.ID, 10); err != nil {
				return fmt.Errorf("%s failed: %w", usage.name, err)
			}
			usage.set(client, 10)
			if err := wantStored(ctx, store, client); err != nil {
				return fmt.Errorf("after %s: %w", usage.name, err)
			}
		}
	}
	return nil
}

func touchAndList(ctx context.Context, store dcr.ClientConfigurationStore) error {
	able := usages(store)
	if len(able) == 0 {
		return errNoUsage
	}
	var now []*dcr.Client
	for n, usage := range able {
		client, other := newClient(fmt.Sprint(n, " after ", usage.name)), newClient(fmt.Sprint(n, " without a note"))
		client.CreatedAt, other.CreatedAt = day(n), day(n)
		if err := add(ctx, store, client, other); err != nil {
			return err
		}
		if err := usage.note(ctx, client.ID, 100+n); err != nil {
			return fmt.Errorf("%s failed: %w", usage.name, err)
		}
		usage.set(client, 100+n)
		now = append(now, client, other)
	}
	for name, filter := range map[string]dcr.Filter{"no condition": {}, "NeverActivated": {NeverActivated: true}, "UsedBefore": {UsedBefore: day(50)}, "ActivatedBy": {ActivatedBy: "person"}} {
		if err := listedAs(ctx, store, filter, now); err != nil {
			return fmt.Errorf("filtered by %s: %w", name, err)
		}
	}
	return nil
}

func touchAndDelete(ctx context.Context, store dcr.ClientConfigurationStore) error {
	able := usages(store)
	if len(able) == 0 {
		return errNoUsage
	}
	for _, usage := range able {
		again := newClient("again")
		if err := add(ctx, store, again); err != nil {
			return err
		}
		if err := usage.note(ctx, "again", 10); err != nil {
			return fmt.Errorf("%s failed: %w", usage.name, err)
		}
		if err := store.Delete(ctx, "again"); err != nil {
			return fmt.Errorf("Delete after %s failed: %w", usage.name, err)
		}
		if err := want(usage.name+" after a delete", usage.note(ctx, "again", 11), dcr.ErrClientNotFound); err != nil {
			return err
		}
		_, err := store.FindByClientID(ctx, "again")
		if err := want("FindByClientID after a delete and "+usage.name, err, dcr.ErrClientNotFound); err != nil {
			return err
		}
		again = newClient("again")
		if err := add(ctx, store, again); err != nil {
			return err
		}
		if err := errors.Join(wantStored(ctx, store, again), listedAs(ctx, store, dcr.Filter{}, []*dcr.Client{again})); err != nil {
			return fmt.Errorf("after %s, a delete and a new Add: %w", usage.name, err)
		}
		if err := store.Delete(ctx, "again"); err != nil {
			return err
		}
	}
	return nil
}

func touchDuringUpdates(ctx context.Context, store dcr.ClientConfigurationStore) error {
	able := usages(store)
	if len(able) == 0 {
		return errNoUsage
	}
	client := newClient("one")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	const rounds = 10
	updated := client
	err := together(len(able)+1, func(i int) error {
		for round := range rounds {
			if i < len(able) {
				if err := able[i].note(ctx, "one", 100+round); err != nil {
					return fmt.Errorf("%s during an update failed: %w", able[i].name, err)
				}
				continue
			}
			current, err := store.FindByClientID(ctx, "one")
			if err != nil {
				return err
			}
			if current.ClientName != updated.ClientName {
				return fmt.Errorf("after an update that named the client %q, during notes, it is %q", updated.ClientName, current.ClientName)
			}
			current.ClientName = fmt.Sprint("Name ", round)
			if err := store.Update(ctx, current); err != nil {
				return fmt.Errorf("Update during a note failed: %w", err)
			}
			updated = current
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, usage := range able {
		usage.set(client, 100+rounds-1)
	}
	found, err := store.FindByClientID(ctx, "one")
	if err != nil {
		return err
	}
	if !client.ActivatedAt.IsZero() && found.ActivatedAt.IsZero() {
		return errors.New("the client has lost ActivatedAt")
	}
	client.ClientName, client.Revision = updated.ClientName, updated.Revision
	client.ActivatedAt = found.ActivatedAt // that of the first use, whichever it was
	return sameClient(found, client)
}

func touchAtOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	toucher, err := capability[dcr.ClientToucher](store)
	if err != nil {
		return err
	}
	if err := add(ctx, store, newClient("one")); err != nil {
		return err
	}
	err = together(crowd, func(i int) error { return toucher.TouchClient(ctx, "one", day(100+i)) })
	if err != nil {
		return fmt.Errorf("TouchClient failed: %w", err)
	}
	client, err := store.FindByClientID(ctx, "one")
	if err != nil {
		return err
	}
	if latest := day(100 + crowd - 1); !client.LastUsedAt.Equal(latest) || client.ActivatedAt.IsZero() {
		return fmt.Errorf("after uses until %v, the client was activated at %v and last used at %v", latest, client.ActivatedAt, client.LastUsedAt)
	}
	return nil
}

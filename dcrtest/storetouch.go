package dcrtest

// When a client was last used.

import (
	"context"
	"fmt"
	"time"

	"github.com/dynreg/dcr"
)

var touchCases = []storeCase{
	{"Touch", "The first use sets ActivatedAt and LastUsedAt, a later one changes only LastUsedAt, and an earlier one changes nothing.", touch},
	{"TouchNothing", "Touching a client that does not exist returns ErrClientNotFound.", touchNothing},
	{"TouchAndUpdate", "A touch between a read and an update causes no conflict and is not lost.", touchAndUpdate},
	{"TouchFromTheFuture", "A use in the future, from a host whose clock is fast, counts as a use now.", touchFromTheFuture},
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

package dcrtest

// Deleting unused clients.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dynreg/dcr"
)

var sweepCases = []storeCase{
	{"Sweep", "A sweep deletes the clients that any of its conditions selects, and no others.", sweep},
	{"SweepDryRun", "A dry run counts each client once and deletes none.", sweepDryRun},
	{"SweepKeepsTheHosts", "A sweep keeps clients that did not register themselves.", sweepKeepsTheHosts},
	{"SweepCallback", "BeforeDelete gets each client, complete, before it is deleted. If it returns an error, the client is kept and the sweep ends.", sweepCallback},
	{"SweepKeepsOne", "If BeforeDelete returns ErrKeepClient, the client is kept and not counted, and the sweep continues with the next.", sweepKeepsOne},
	{"SweepTells", "AfterDelete is called with each client that the sweep deleted, complete, and with no other. A dry run does not call it.", sweepTells},
	{"SweepTellsOnce", "When several sweeps run at once, AfterDelete is called once for each client, and the counts add up to the clients deleted.", sweepTellsOnce},
	{"SweepFollows", "A sweep selects clients as they are now: by their last touch or consent, and by what the last update stored.", sweepFollows},
	{"SweepKeepsUsed", "A client that is used between selection and deletion is kept.", sweepKeepsUsed},
	{"SweepKeepsChanged", "A client that is changed between selection and deletion is kept until the next sweep.", sweepKeepsChanged},
	{"SweepInBatches", "A sweep in many small batches deletes all clients and counts them correctly.", sweepInBatches},
	{"SweepSources", "A sweep deletes clients of the sources that its rule names, and of no others.", sweepSources},
	{"SweepWithdrawn", "A sweep deletes clients whose document was withdrawn before the given time, whether Add, Update or NoteDocument recorded it, but none whose document is available again.", sweepWithdrawn},
	{"SweepKeepsInactive", "A client that is pending or disabled does not count as never activated.", sweepKeepsInactive},
	{"SweepNothing", "A rule without a condition deletes nothing.", sweepNothing},
}

// sweepable returns clients that differ in the fields that a sweep selects by.
func sweepable() []*dcr.Client {
	client := func(id string, created, used, expires int) *dcr.Client {
		client := newClient(id)
		client.CreatedAt = day(created)
		if used > 0 {
			client.ActivatedAt, client.LastUsedAt = day(used), day(used)
		}
		if expires > 0 {
			client.ExpiresAt = day(expires)
		}
		return client
	}
	return []*dcr.Client{
		client("never-old", 0, 0, 0),
		client("never-new", 50, 0, 0),
		client("idle-old", 0, 10, 0),
		client("idle-new", 0, 50, 0),
		client("expired", 40, 55, 45),
		client("lasting", 40, 55, 90),
		client("never-old-expired", 0, 0, 10),
	}
}

// sweepRule selects never-old, idle-old, expired and never-old-expired of
// sweepable.
func sweepRule() dcr.SweepRule {
	return dcr.SweepRule{NeverActivatedBefore: day(30), IdleBefore: day(30), ExpiredBefore: day(60)}
}

// sweeping adds clients, sweeps, and returns the ids that are left.
func sweeping(ctx context.Context, store dcr.ClientConfigurationStore, clients []*dcr.Client, rule dcr.SweepRule) (swept int64, left []string, err error) {
	sweeper, err := capability[dcr.ClientSweeper](store)
	if err != nil {
		return 0, nil, err
	}
	if err := add(ctx, store, clients...); err != nil {
		return 0, nil, err
	}
	swept, failed := sweeper.SweepClients(ctx, rule)
	for _, client := range clients {
		_, err := store.FindByClientID(ctx, client.ID)
		if err == nil {
			left = append(left, client.ID)
		} else if !errors.Is(err, dcr.ErrClientNotFound) {
			return swept, left, err
		}
	}
	return swept, left, failed
}

func wantSwept(swept, want int64, left []string, wantLeft ...string) error {
	slices.Sort(wantLeft)
	slices.Sort(left)
	if swept != want {
		return fmt.Errorf("the sweep returned %d, not %d", swept, want)
	}
	return wantIDs("the list after the sweep", left, wantLeft)
}

func sweep(ctx context.Context, store dcr.ClientConfigurationStore) error {
	swept, left, err := sweeping(ctx, store, sweepable(), sweepRule())
	if err != nil {
		return err
	}
	return wantSwept(swept, 4, left, "never-new", "idle-new", "lasting")
}

func sweepDryRun(ctx context.Context, store dcr.ClientConfigurationStore) error {
	rule := sweepRule()
	rule.DryRun = true
	swept, left, err := sweeping(ctx, store, sweepable(), rule)
	if err != nil {
		return err
	}
	if swept != 4 || len(left) != 7 {
		return fmt.Errorf("a dry run returned %d and left %d of 7 clients; it should count 4 and leave all", swept, len(left))
	}
	return nil
}

func sweepKeepsTheHosts(ctx context.Context, store dcr.ClientConfigurationStore) error {
	clients := sweepable()
	clients[0].Source, clients[2].Source, clients[4].Source = "", "host", "imported"
	swept, left, err := sweeping(ctx, store, clients, sweepRule())
	if err != nil {
		return err
	}
	return wantSwept(swept, 1, left, "never-old", "never-new", "idle-old", "idle-new", "expired", "lasting")
}

func sweepCallback(ctx context.Context, store dcr.ClientConfigurationStore) error {
	if _, err := capability[dcr.ClientSweeper](store); err != nil {
		return err
	}
	clients := sweepable()
	refuse := errors.New("keep this one")
	rule := sweepRule()
	rule.BatchSize = 2
	seen := map[string]bool{}
	rule.BeforeDelete = func(_ context.Context, client *dcr.Client) error {
		seen[client.ID] = true
		if client.ID == "expired" {
			return refuse
		}
		for _, want := range clients {
			if want.ID == client.ID {
				return sameClient(client, want)
			}
		}
		return errors.New("BeforeDelete got a client that was never added")
	}
	swept, left, err := sweeping(ctx, store, clients, rule)
	if err := want("a sweep whose BeforeDelete returned an error", err, refuse); err != nil {
		return err
	}
	if int(swept) != 7-len(left) {
		return fmt.Errorf("the sweep returned %d and deleted %d", swept, 7-len(left))
	}
	for _, client := range clients {
		kept := slices.Contains(left, client.ID)
		if deletable := seen[client.ID] && client.ID != "expired"; kept == deletable {
			return fmt.Errorf("client %q: shown to BeforeDelete: %v, kept: %v", client.ID, seen[client.ID], kept)
		}
	}
	return nil
}

func sweepKeepsOne(ctx context.Context, store dcr.ClientConfigurationStore) error {
	rule := sweepRule()
	rule.BatchSize = 2
	rule.BeforeDelete = func(_ context.Context, client *dcr.Client) error {
		switch client.ID {
		case "expired":
			return dcr.ErrKeepClient
		case "never-old":
			return fmt.Errorf("in use elsewhere: %w", dcr.ErrKeepClient)
		}
		return nil
	}
	swept, left, err := sweeping(ctx, store, sweepable(), rule)
	if err != nil {
		return fmt.Errorf("a sweep whose BeforeDelete kept two clients failed: %w", err)
	}
	return wantSwept(swept, 2, left, "expired", "never-old", "never-new", "idle-new", "lasting")
}

func sweepTells(ctx context.Context, store dcr.ClientConfigurationStore) error {
	clients := sweepable()
	told, broken := []string{}, error(nil)
	rule := sweepRule()
	rule.DryRun, rule.BatchSize = true, 2
	rule.BeforeDelete = func(_ context.Context, client *dcr.Client) error {
		if client.ID == "expired" {
			return dcr.ErrKeepClient
		}
		*client = dcr.Client{} // AfterDelete gets it as it was selected
		return nil
	}
	rule.AfterDelete = func(ctx context.Context, client *dcr.Client) {
		told = append(told, client.ID)
		if _, err := store.FindByClientID(ctx, client.ID); !errors.Is(err, dcr.ErrClientNotFound) {
			broken = errors.Join(broken, fmt.Errorf("when AfterDelete was called with client %q, FindByClientID returned the error %v, not ErrClientNotFound", client.ID, err))
		}
		for _, want := range clients {
			if want.ID == client.ID {
				broken = errors.Join(broken, sameClient(client, want))
			}
		}
	}
	if _, _, err := sweeping(ctx, store, clients, rule); err != nil || len(told) > 0 {
		return cmp.Or(err, fmt.Errorf("a dry run called AfterDelete with %q", told))
	}
	rule.DryRun = false
	swept, _, err := sweeping(ctx, store, nil, rule)
	if err = cmp.Or(err, broken); err != nil {
		return err
	}
	return wantSwept(swept, 3, told, "never-old", "idle-old", "never-old-expired")
}

func sweepTellsOnce(ctx context.Context, store dcr.ClientConfigurationStore) error {
	sweeper, err := capability[dcr.ClientSweeper](store)
	if err != nil {
		return err
	}
	var ids, told []string
	for i := range 40 {
		client := newClient(fmt.Sprintf("client-%02d", i))
		ids = append(ids, client.ID)
		if err := add(ctx, store, client); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	total := int64(0)
	err = together(4, func(int) error {
		swept, err := sweeper.SweepClients(ctx, dcr.SweepRule{NeverActivatedBefore: day(1), BatchSize: 7, AfterDelete: func(_ context.Context, client *dcr.Client) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, client.ID)
		}})
		mu.Lock()
		defer mu.Unlock()
		total += swept
		return err
	})
	if err != nil {
		return err
	}
	return wantSwept(total, 40, told, ids...)
}

// sweepFollows sweeps clients that were added as others than they are now.
func sweepFollows(ctx context.Context, store dcr.ClientConfigurationStore) error {
	if _, err := capability[dcr.ClientSweeper](store); err != nil {
		return err
	}
	var clients []*dcr.Client
	added := func(id string, change func(*dcr.Client)) *dcr.Client {
		client := newClient(id)
		change(client)
		clients = append(clients, client)
		return client
	}
	expires := func(n int) func(*dcr.Client) { return func(c *dcr.Client) { c.ExpiresAt = day(n) } }
	used := func(n int) func(*dcr.Client) {
		return func(c *dcr.Client) { c.ActivatedAt, c.LastUsedAt = day(n), day(n) }
	}
	renewed, ended := added("renewed", expires(10)), added("ended", expires(90))
	approved := added("approved", func(c *dcr.Client) { c.Status = dcr.StatusPending })
	disabled, adopted := added("disabled", func(*dcr.Client) {}), added("adopted", expires(10))
	first, again := added("first-used", func(*dcr.Client) {}), added("used-again", used(10))
	consented := added("consented", func(*dcr.Client) {})
	used(50)(renewed)
	used(50)(ended)
	if err := add(ctx, store, clients...); err != nil {
		return err
	}
	renewed.ExpiresAt, ended.ExpiresAt = day(90), day(10)
	approved.Status, disabled.Status, adopted.Source = dcr.StatusActive, dcr.StatusDisabled, ""
	for _, client := range []*dcr.Client{renewed, ended, approved, disabled, adopted} {
		if err := store.Update(ctx, client); err != nil {
			return fmt.Errorf("Update failed: %w", err)
		}
	}
	wantLeft := []string{"adopted", "disabled", "renewed"}
	if toucher, ok := dcr.StoreAs[dcr.ClientToucher](store); ok {
		if err := errors.Join(toucher.TouchClient(ctx, first.ID, day(50)), toucher.TouchClient(ctx, again.ID, day(50))); err != nil {
			return fmt.Errorf("TouchClient failed: %w", err)
		}
		wantLeft = append(wantLeft, first.ID, again.ID)
	}
	if noter, ok := dcr.StoreAs[dcr.ConsentNoter](store); ok {
		if err := noter.NoteConsent(ctx, consented.ID, "person", day(50)); err != nil {
			return fmt.Errorf("NoteConsent failed: %w", err)
		}
		wantLeft = append(wantLeft, consented.ID)
	}
	var left []string
	swept, _, err := sweeping(ctx, store, nil, sweepRule())
	if err != nil {
		return err
	}
	for _, client := range clients {
		if _, err := store.FindByClientID(ctx, client.ID); err == nil {
			left = append(left, client.ID)
		}
	}
	slices.Sort(wantLeft)
	slices.Sort(left)
	if err := wantIDs("the list after the sweep", left, wantLeft); err != nil {
		return err
	}
	return wantSwept(swept, int64(len(clients)-len(wantLeft)), left, wantLeft...)
}

func sweepKeepsUsed(ctx context.Context, store dcr.ClientConfigurationStore) error {
	toucher, err := capability[dcr.ClientToucher](store)
	if err != nil {
		return err
	}
	rule := sweepRule()
	rule.ExpiredBefore = time.Time{}
	rule.BeforeDelete = func(ctx context.Context, client *dcr.Client) error {
		return toucher.TouchClient(ctx, client.ID, day(59))
	}
	swept, left, err := sweeping(ctx, store, sweepable(), rule)
	if err != nil {
		return err
	}
	if swept != 0 || len(left) != 7 {
		return fmt.Errorf("a sweep deleted %d clients that were used in BeforeDelete, and returned %d", 7-len(left), swept)
	}
	return nil
}

func sweepKeepsChanged(ctx context.Context, store dcr.ClientConfigurationStore) error {
	rule := sweepRule()
	rule.BeforeDelete = func(ctx context.Context, client *dcr.Client) error {
		client.Notes = "in time"
		return store.Update(ctx, client) // which changes the Revision in client too
	}
	clients := sweepable()
	swept, left, err := sweeping(ctx, store, clients, rule)
	if err != nil {
		return err
	}
	if swept != 0 || len(left) != len(clients) {
		return fmt.Errorf("a sweep deleted %d clients that were changed in BeforeDelete, and returned %d", len(clients)-len(left), swept)
	}
	return nil
}

func sweepInBatches(ctx context.Context, store dcr.ClientConfigurationStore) error {
	var clients []*dcr.Client
	for i := range 53 {
		client := newClient(fmt.Sprintf("client-%02d", i))
		client.CreatedAt = day(i / 10) // many at the same time
		clients = append(clients, client)
	}
	swept, left, err := sweeping(ctx, store, clients, dcr.SweepRule{NeverActivatedBefore: day(5), BatchSize: 7})
	if err != nil {
		return err
	}
	return wantSwept(swept, 50, left, "client-50", "client-51", "client-52")
}

func sweepSources(ctx context.Context, store dcr.ClientConfigurationStore) error {
	clients := sweepable()
	clients[0].Source, clients[2].Source, clients[4].Source, clients[6].Source = dcr.SourceDocument, "", "o'dd", dcr.SourceDocument
	rule := sweepRule()
	rule.Sources = []dcr.Source{dcr.SourceDocument, "", "o'dd"}
	extra := newClient("dynamic-old")
	swept, left, err := sweeping(ctx, store, append(clients, extra), rule)
	if err != nil {
		return err
	}
	return wantSwept(swept, 4, left, "never-new", "idle-new", "lasting", "dynamic-old")
}

func sweepWithdrawn(ctx context.Context, store dcr.ClientConfigurationStore) error {
	noter, err := capability[dcr.DocumentNoter](store)
	if err != nil {
		return err
	}
	if _, err := capability[dcr.ClientSweeper](store); err != nil {
		return err
	}
	var clients []*dcr.Client
	for i, withdrawn := range []int{0, 5, 50, 5, 0, 0, 5} {
		client := newClient(fmt.Sprint("client-", i))
		client.Source, client.Document = dcr.SourceDocument, record(1)
		if withdrawn > 0 {
			client.Document.Withdrawn = day(withdrawn)
		}
		clients = append(clients, client)
	}
	if err := add(ctx, store, clients...); err != nil {
		return err
	}
	gone := *record(2)
	gone.Withdrawn = day(6)
	if err := errors.Join(
		noter.NoteDocument(ctx, "client-3", *record(8)), // it is available again
		noter.NoteDocument(ctx, "client-4", gone),
	); err != nil {
		return fmt.Errorf("NoteDocument failed: %w", err)
	}
	clients[5].Document, clients[6].Document = &gone, record(9)
	if err := errors.Join(store.Update(ctx, clients[5]), store.Update(ctx, clients[6])); err != nil {
		return fmt.Errorf("Update failed: %w", err)
	}
	swept, left, err := sweeping(ctx, store, nil, dcr.SweepRule{WithdrawnBefore: day(30), Sources: []dcr.Source{dcr.SourceDocument}})
	if err != nil {
		return err
	}
	for _, client := range clients {
		if _, err := store.FindByClientID(ctx, client.ID); err == nil {
			left = append(left, client.ID)
		}
	}
	return wantSwept(swept, 3, left, "client-0", "client-2", "client-3", "client-6")
}

func sweepKeepsInactive(ctx context.Context, store dcr.ClientConfigurationStore) error {
	clients := sweepable()
	clients[0].Status, clients[6].Status = dcr.StatusPending, dcr.StatusDisabled
	swept, left, err := sweeping(ctx, store, clients, dcr.SweepRule{NeverActivatedBefore: day(90)})
	if err != nil {
		return err
	}
	return wantSwept(swept, 1, left, "never-old", "never-old-expired", "idle-old", "idle-new", "expired", "lasting")
}

func sweepNothing(ctx context.Context, store dcr.ClientConfigurationStore) error {
	swept, left, err := sweeping(ctx, store, sweepable(), dcr.SweepRule{})
	if err != nil {
		return err
	}
	if swept != 0 || len(left) != 7 {
		return fmt.Errorf("a sweep without a condition returned %d and left %d of 7 clients", swept, len(left))
	}
	return nil
}

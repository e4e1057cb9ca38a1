package dcrtest

// What every kind of list selects: few of many clients, and those that are left.

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dynreg/dcr"
)

// listFewOfMany has pages of other clients before, between and after those that the
// filters select.
func listFewOfMany(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, lists := dcr.StoreAs[dcr.ClientLister](store)
	newest, listsNewest := dcr.StoreAs[dcr.RecentClientLister](store)
	if !lists && !listsNewest {
		return fmt.Errorf("%w: dcr.ClientLister or dcr.RecentClientLister", errLacks)
	}
	var want []string
	for n := range 700 {
		client := newClient(fmt.Sprintf("client-%03d", n))
		client.CreatedAt = day(n)
		if n == 250 || n == 251 || n == 450 {
			client.SoftwareID, client.RegisteredBy, client.Policy, client.Status = "software", "caller", "mcp", dcr.StatusDisabled
			client.Source, client.ClientName, client.RedirectURIs = "odd", "Rare", []string{"https://rare.example.com/"}
			client.ActivatedAt, client.LastUsedAt, client.ActivatedBy = day(n+1), day(n+1), "person"
			want = append(want, client.ID)
		}
		if err := add(ctx, store, client); err != nil {
			return err
		}
	}
	reversed := slices.Clone(want)
	slices.Reverse(reversed)
	disabled, odd := dcr.StatusDisabled, dcr.Source("odd")
	for _, c := range []filterCase{
		{"SoftwareID", dcr.Filter{SoftwareID: "software"}, ""}, {"RegisteredBy", dcr.Filter{RegisteredBy: "caller"}, ""},
		{"Policy", dcr.Filter{Policy: "mcp"}, ""}, {"Status", dcr.Filter{Status: &disabled}, ""}, {"Source", dcr.Filter{Source: &odd}, ""},
		{"ActivatedBy", dcr.Filter{ActivatedBy: "person"}, ""}, {"NamePrefix", dcr.Filter{NamePrefix: "rare"}, ""},
		{"RedirectHost", dcr.Filter{RedirectHost: "rare.example.com"}, ""},
		{"NamePrefix and Status", dcr.Filter{NamePrefix: "rare", Status: &disabled}, ""},
	} {
		if lists {
			got, err := listed(ctx, lister, c.filter, "")
			if err := errors.Join(err, wantIDs("a listing of 700 clients, filtered by "+c.name, got, want)); err != nil {
				return err
			}
		}
		if listsNewest {
			got, err := recent(ctx, newest, c.filter, 2, whatever)
			if err := errors.Join(err, wantIDs("a list of recent clients among 700, filtered by "+c.name, got, reversed)); err != nil {
				return err
			}
		}
	}
	return nil
}

// listedAs checks that each list of the store has those of the clients that the filter
// selects, as they are now.
func listedAs(ctx context.Context, store dcr.ClientConfigurationStore, filter dcr.Filter, now []*dcr.Client) error {
	want := map[string]*dcr.Client{}
	for _, client := range now {
		if filter.Selects(client) {
			want[client.ID] = client
		}
	}
	check := func(list string, shown map[string]*dcr.Client) error {
		for id, client := range want {
			if shown[id] == nil {
				return fmt.Errorf("%s leaves out %q", list, id)
			}
			if err := sameClient(shown[id], client); err != nil {
				return fmt.Errorf("%s: %w", list, err)
			}
			delete(shown, id)
		}
		for id := range shown {
			return fmt.Errorf("%s has %q, which it should not have", list, id)
		}
		return nil
	}
	if lister, ok := dcr.StoreAs[dcr.ClientLister](store); ok {
		shown := map[string]*dcr.Client{}
		for client, err := range lister.ListClients(ctx, filter, "") {
			if err != nil {
				return fmt.Errorf("the listing failed: %w", err)
			}
			shown[client.ID] = client
		}
		if err := check("a listing", shown); err != nil {
			return err
		}
	}
	if lister, ok := dcr.StoreAs[dcr.RecentClientLister](store); ok {
		shown := map[string]*dcr.Client{}
		_, err := recent(ctx, lister, filter, 2, func(client *dcr.Client) error { shown[client.ID] = client; return nil })
		if err := errors.Join(err, check("a list of recent clients", shown)); err != nil {
			return err
		}
	}
	if counter, ok := dcr.StoreAs[dcr.ClientCounter](store); ok {
		if count, err := counter.CountClients(ctx, filter); err != nil || count != int64(len(want)) {
			return fmt.Errorf("a count returned %d and %v, not %d", count, err, len(want))
		}
	}
	return nil
}

// deletions returns the store's ways to delete a client that was created on day 0 and
// never used.
func deletions(store dcr.ClientConfigurationStore) map[string]func(context.Context, *dcr.Client) error {
	ways := map[string]func(context.Context, *dcr.Client) error{
		"Delete": func(ctx context.Context, client *dcr.Client) error { return store.Delete(ctx, client.ID) },
	}
	if deleter, ok := dcr.StoreAs[dcr.RevisionDeleter](store); ok {
		ways["DeleteRevision"] = func(ctx context.Context, client *dcr.Client) error {
			return deleter.DeleteRevision(ctx, client.ID, client.Revision)
		}
	}
	if sweeper, ok := dcr.StoreAs[dcr.ClientSweeper](store); ok {
		ways["SweepClients"] = func(ctx context.Context, _ *dcr.Client) error {
			_, err := sweeper.SweepClients(ctx, dcr.SweepRule{NeverActivatedBefore: day(1)})
			return err
		}
	}
	if evictor, ok := dcr.StoreAs[dcr.ClientEvictor](store); ok {
		ways["EvictClient"] = func(ctx context.Context, _ *dcr.Client) error {
			_, _, err := evictor.EvictClient(ctx, day(1))
			return err
		}
	}
	return ways
}

func listWithoutDeleted(ctx context.Context, store dcr.ClientConfigurationStore) error {
	stays := newClient("stays")
	stays.CreatedAt = day(5)
	if err := add(ctx, store, stays); err != nil {
		return err
	}
	finder, finds := dcr.StoreAs[dcr.StatementFinder](store)
	for name, deletes := range deletions(store) {
		client := newClient("goes")
		client.SoftwareID, client.Statement = "software", &dcr.StatementRecord{Issuer: "https://a", ID: "1"}
		if err := add(ctx, store, client); err != nil {
			return fmt.Errorf("before %s: %w", name, err)
		}
		if err := listedAs(ctx, store, dcr.Filter{}, []*dcr.Client{client, stays}); err != nil {
			return fmt.Errorf("before %s: %w", name, err)
		}
		if err := deletes(ctx, client); err != nil {
			return fmt.Errorf("%s failed: %w", name, err)
		}
		for _, filter := range []dcr.Filter{{}, {SoftwareID: "software"}} {
			if err := listedAs(ctx, store, filter, []*dcr.Client{stays}); err != nil {
				return fmt.Errorf("after %s: %w", name, err)
			}
		}
		if finds {
			ids, err := finder.FindByStatement(ctx, "https://a", "1")
			if err := errors.Join(err, wantIDs("FindByStatement after "+name, ids, nil)); err != nil {
				return err
			}
		}
	}
	return nil
}

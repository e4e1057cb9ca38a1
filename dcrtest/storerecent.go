package dcrtest

// Listing clients, the last created first.

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dynreg/dcr"
)

var recentCases = []storeCase{
	{"RecentInOrder", "ListRecentClients returns each client once and complete, newest first, in pages of any size. The cursor is empty at the end.", recentInOrder},
	{"RecentFiltered", "ListRecentClients applies each condition of the filter, over several pages too.", recentFiltered},
	{"RecentWhileWriting", "When clients are added or deleted between two pages, no other client is repeated or left out.", recentWhileWriting},
	{"RecentCursor", "ListRecentClients returns an error for a cursor that the store did not make.", recentCursor},
}

// recent returns the ids on all pages of a list. A page may be shorter than limit.
func recent(ctx context.Context, lister dcr.RecentClientLister, filter dcr.Filter, limit int, each func(*dcr.Client) error) (ids []string, err error) {
	for cursor := ""; ; {
		page, next, err := lister.ListRecentClients(ctx, filter, cursor, limit)
		if err != nil {
			return ids, fmt.Errorf("ListRecentClients failed: %w", err)
		}
		if len(page) > limit {
			return ids, fmt.Errorf("a page with limit %d has %d clients", limit, len(page))
		}
		if next != "" && next == cursor {
			return ids, fmt.Errorf("the page at cursor %q has the same cursor for the next page", cursor)
		}
		for _, client := range page {
			ids = append(ids, client.ID)
			if err := each(client); err != nil {
				return ids, err
			}
		}
		if next == "" || len(ids) > 10_000 {
			return ids, nil
		}
		cursor = next
	}
}

func whatever(*dcr.Client) error { return nil }

func recentInOrder(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.RecentClientLister](store)
	if err != nil {
		return err
	}
	clients := map[string]*dcr.Client{}
	var want []string
	for n := range 60 {
		client := newClient(fmt.Sprintf("client-%03d", n*37%100))
		client.CreatedAt = day(n)
		if n%3 == 0 {
			client.ActivatedAt, client.LastUsedAt = day(200+n), day(200+n)
		}
		clients[client.ID], want = client, append(want, client.ID)
		if err := add(ctx, store, client); err != nil {
			return err
		}
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 7, 20, 60, 1000} {
		got, err := recent(ctx, lister, dcr.Filter{}, limit, func(client *dcr.Client) error { return sameClient(client, clients[client.ID]) })
		if err := errors.Join(err, wantIDs(fmt.Sprintf("a list in pages of %d", limit), got, want)); err != nil {
			return err
		}
	}
	return nil
}

func recentFiltered(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.RecentClientLister](store)
	if err != nil {
		return err
	}
	if err := add(ctx, store, varied()...); err != nil {
		return err
	}
	for _, c := range filters() {
		ids := numbered(c.want)
		slices.Reverse(ids)
		for _, limit := range []int{1, 3, 50} {
			got, err := recent(ctx, lister, c.filter, limit, whatever)
			if err := errors.Join(err, wantIDs(fmt.Sprintf("a list of recent clients in pages of %d, filtered by %s", limit, c.name), got, ids)); err != nil {
				return err
			}
		}
	}
	return nil
}

func recentWhileWriting(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.RecentClientLister](store)
	if err != nil {
		return err
	}
	var want []string
	for n := range 12 {
		client := newClient(fmt.Sprintf("client-%02d", n))
		client.CreatedAt = day(n / 4) // several at the same time
		if err := add(ctx, store, client); err != nil {
			return err
		}
		want = append(want, client.ID)
	}
	seen := 0
	got, err := recent(ctx, lister, dcr.Filter{}, 2, func(client *dcr.Client) error {
		if seen++; seen%2 == 0 { // the last client of a page, to which the cursor points
			newer, newest := newClient(fmt.Sprint("newer-", seen)), newClient(fmt.Sprint("newest-", seen))
			newer.CreatedAt, newest.CreatedAt = day(100+seen), day(100+seen)
			return errors.Join(store.Delete(ctx, client.ID), add(ctx, store, newer, newest))
		}
		return nil
	})
	slices.Sort(got)
	return errors.Join(err, wantIDs("a list while clients were added and deleted", got, want))
}

func recentCursor(ctx context.Context, store dcr.ClientConfigurationStore) error {
	lister, err := capability[dcr.RecentClientLister](store)
	if err != nil {
		return err
	}
	if err := add(ctx, store, newClient("one")); err != nil {
		return err
	}
	for _, cursor := range []string{"nonsense", "1", ".", "x.y", "\x00"} {
		if _, _, err := lister.ListRecentClients(ctx, dcr.Filter{}, cursor, 10); err == nil {
			return fmt.Errorf("the cursor %q was accepted", cursor)
		}
	}
	return nil
}

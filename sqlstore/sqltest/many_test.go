package sqltest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// manyClients is more than a store reads ahead.
const manyClients = 5400

func addMany(t *testing.T, store *sqlstore.Store) []*dcr.Client {
	t.Helper()
	begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	clients := make([]*dcr.Client, manyClients)
	for i := range clients {
		client := dcr.NewClient()
		client.ID, client.Source, client.CreatedAt = fmt.Sprintf("client-%05d", i*7919%manyClients), dcr.SourceDynamic, begin.Add(time.Duration(i/2)*time.Minute)
		client.Policy, client.RegisteredBy, client.ClientName = "mcp", "caller", fmt.Sprintf("Name %d", i)
		if i%3 == 0 {
			client.ActivatedAt, client.LastUsedAt = client.CreatedAt, client.CreatedAt.Add(time.Hour)
		}
		if i%50 == 0 {
			client.Status = dcr.StatusPending
		}
		clients[i] = client
	}
	var wait sync.WaitGroup
	for worker := range 16 {
		wait.Go(func() {
			for i := worker; i < manyClients; i += 16 {
				if err := store.Add(t.Context(), clients[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	return clients
}

// TestManyClients checks that lists and counts of many clients are correct,
// whichever way the store finds them.
func TestManyClients(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		clients := addMany(t, store)
		active, end := dcr.StatusActive, clients[manyClients-1].CreatedAt.Add(time.Minute)
		for name, filter := range map[string]dcr.Filter{
			"all": {}, "a policy": {Policy: "mcp"}, "a caller": {RegisteredBy: "caller"}, "active": {Status: &active},
			"an age": {CreatedAfter: clients[100].CreatedAt, CreatedBefore: end}, "never used": {NeverActivated: true},
			"used before": {UsedBefore: end}, "used before, few": {UsedBefore: clients[500].CreatedAt},
			"a policy and an age": {Policy: "mcp", CreatedAfter: clients[200].CreatedAt, Status: &active}, "a name": {NamePrefix: "name 17"},
		} {
			want := slices.DeleteFunc(slices.Clone(clients), func(c *dcr.Client) bool { return !filter.Selects(c) })
			var listed, newest []string
			for client, err := range store.ListClients(t.Context(), filter, "") {
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				listed = append(listed, client.ID)
			}
			for cursor := ""; ; {
				page, next, err := store.ListRecentClients(t.Context(), filter, cursor, 700)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, client := range page {
					newest = append(newest, client.ID)
				}
				if cursor = next; next == "" {
					break
				}
			}
			slices.SortFunc(want, func(a, b *dcr.Client) int { return strings.Compare(a.ID, b.ID) })
			if !slices.Equal(listed, ids(want)) {
				t.Errorf("%s: the list has %d clients, not the right %d", name, len(listed), len(want))
			}
			slices.SortFunc(want, func(a, b *dcr.Client) int {
				return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(b.ID, a.ID))
			})
			if !slices.Equal(newest, ids(want)) {
				t.Errorf("%s: the list, newest first, has %d clients, not the right %d", name, len(newest), len(want))
			}
			if count, err := store.CountClients(t.Context(), filter); err != nil || int(count) != len(want) {
				t.Errorf("%s: the count is %d, error %v, not %d", name, count, err, len(want))
			}
		}
		rule := dcr.SweepRule{NeverActivatedBefore: end, BatchSize: 300, DryRun: true}
		for range 2 {
			want := 0
			for _, client := range clients {
				if rule.Selects(client) {
					want++
				}
			}
			if swept, err := store.SweepClients(t.Context(), rule); err != nil || int(swept) != want {
				t.Errorf("swept %d of %d clients, error %v", swept, want, err)
			}
			rule.DryRun = false
		}
	})
}

func ids(clients []*dcr.Client) (ids []string) {
	for _, client := range clients {
		ids = append(ids, client.ID)
	}
	return ids
}

// TestSearchInParts checks that a search for something that has no column stops in
// time, and continues where it stopped.
func TestSearchInParts(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, db := d.store(t, nil)
		begin := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		const others = 3000
		for from := 0; from < others; from += 1000 {
			var rows []string
			for n := from; n < from+1000; n++ {
				client := dcr.NewClient()
				client.ID, client.ClientName, client.Source, client.CreatedAt = fmt.Sprintf("other-%05d", n), "Other", dcr.SourceDynamic, begin.Add(time.Duration(n)*time.Second)
				if n == others/2 {
					client.ClientName = "Escaped"
				}
				document, err := client.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				if n == others/2 { // as programs in other languages may
					escape := `\u0045scaped`
					if d.dialect == sqlstore.MySQL {
						escape = `\` + escape
					}
					document = []byte(strings.Replace(string(document), "Escaped", escape, 1))
				}
				rows = append(rows, fmt.Sprintf("('', '%s', '%s', %d, '%s')", client.ID, client.Source, client.CreatedAt.UnixMicro(), document))
			}
			if _, err := db.Exec("INSERT INTO dcr_clients (tenant, client_id, source, created_at, document) VALUES " + strings.Join(rows, ", ")); err != nil {
				t.Fatal(err)
			}
		}
		for i, name := range []string{"Needle one", `\Needle "two"`} {
			client := dcr.NewClient()
			client.ID, client.ClientName, client.Source, client.CreatedAt = fmt.Sprint("needle-", i), name, dcr.SourceDynamic, begin.Add(time.Duration(i)*others*time.Second)
			client.RedirectURIs = []string{"https://Needle.example.com/cb"}
			if err := store.Add(t.Context(), client); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			filter dcr.Filter
			pages  [][]string
		}{
			{dcr.Filter{NamePrefix: "needle"}, [][]string{nil, {"needle-0"}}},
			{dcr.Filter{NamePrefix: `\needle "`}, [][]string{{"needle-1"}, nil}},
			{dcr.Filter{RedirectHost: "needle.example.com"}, [][]string{{"needle-1"}, {"needle-0"}}},
			{dcr.Filter{NamePrefix: "escaped"}, [][]string{{"other-01500"}, nil}},
			{dcr.Filter{NamePrefix: "needle", NeverActivated: true}, [][]string{nil, {"needle-0"}}},
			{dcr.Filter{NamePrefix: "needle", CreatedBefore: begin.Add(time.Minute)}, [][]string{{"needle-0"}}},
		} {
			cursor := ""
			for i, want := range c.pages {
				page, next, err := store.ListRecentClients(t.Context(), c.filter, cursor, 5)
				if err != nil || !slices.Equal(ids(page), want) {
					t.Errorf("%+v: page %d has %q, error %v, not %q", c.filter, i, ids(page), err, want)
				}
				if last := i == len(c.pages)-1; last != (next == "") {
					t.Errorf("%+v: page %d of %d is followed by %q", c.filter, i, len(c.pages), next)
				}
				cursor = next
			}
		}
		if _, _, err := store.ListRecentClients(t.Context(), dcr.Filter{}, "x", 5); !errors.Is(err, dcr.ErrCursor) {
			t.Errorf("an invalid cursor: %v", err)
		}
	})
}

package memstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// add adds a client as if it had registered two days ago.
func add(ctx context.Context, store *memstore.Store, id, name string) error {
	client := dcr.NewClient()
	client.ID, client.ClientName = id, name
	client.Source, client.CreatedAt = dcr.SourceDynamic, time.Now().Add(-48*time.Hour)
	return store.Add(ctx, client)
}

// TouchClient notes a use, and a sweep deletes the clients that were never
// used.
func ExampleStore_SweepClients() {
	ctx, store := context.Background(), memstore.New()
	for _, id := range []string{"used", "unused", "kept"} {
		if err := add(ctx, store, id, ""); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := store.TouchClient(ctx, "used", time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	deleted, err := store.SweepClients(ctx, dcr.SweepRule{
		NeverActivatedBefore: time.Now().Add(-24 * time.Hour),
		BeforeDelete: func(ctx context.Context, client *dcr.Client) error {
			if client.ID == "kept" {
				return dcr.ErrKeepClient
			}
			return nil
		},
		AfterDelete: func(ctx context.Context, client *dcr.Client) { fmt.Println("deleted", client.ID) },
	})
	fmt.Println(deleted, err)
	// Output:
	// deleted unused
	// 1 <nil>
}

// A list is a sequence that reads the store as the loop goes on.
func ExampleStore_ListClients() {
	ctx, store := context.Background(), memstore.New()
	for id, name := range map[string]string{"1": "Budget Planner", "2": "Budget Viewer", "3": "Calendar"} {
		if err := add(ctx, store, id, name); err != nil {
			fmt.Println(err)
			return
		}
	}
	found := 0
	for client, err := range store.ListClients(ctx, dcr.Filter{NamePrefix: "budget"}, "") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(client.ID != "3")
		found++
	}
	fmt.Println(found)
	// Output:
	// true
	// true
	// 2
}

package dcr_test

import (
	"context"
	"fmt"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// auditedStore is a store around another one, which tells of every change. As
// keeps the optional capabilities of the store inside.
type auditedStore struct {
	dcr.ClientConfigurationStore
	tell func(change, clientID string)
}

func (s auditedStore) Add(ctx context.Context, client *dcr.Client) error {
	err := s.ClientConfigurationStore.Add(ctx, client)
	if err == nil {
		s.tell("added", client.ID)
	}
	return err
}

func (s auditedStore) Delete(ctx context.Context, clientID string) error {
	err := s.ClientConfigurationStore.Delete(ctx, clientID)
	if err == nil {
		s.tell("deleted", clientID)
	}
	return err
}

func (s auditedStore) As(target any) bool { return dcr.StoreInto(s.ClientConfigurationStore, target) }

// A store is four methods; dcrtest.TestStore checks them. examples/customstore
// is one from the ground up.
func ExampleClientConfigurationStore() {
	store := auditedStore{memstore.New(), func(change, clientID string) { fmt.Println(clientID, "was", change) }}
	ctx := context.Background()
	client := dcr.NewClient()
	client.ID = "app-1"
	fmt.Println(store.Add(ctx, client))
	fmt.Println(store.Add(ctx, client))

	counter, _ := dcr.StoreAs[dcr.ClientCounter](store)
	fmt.Println(counter.CountClients(ctx, dcr.Filter{}))

	fmt.Println(store.Delete(ctx, "app-1"))
	_, err := store.FindByClientID(ctx, "app-1")
	fmt.Println(err)
	// Output:
	// app-1 was added
	// <nil>
	// dcr: client id is taken
	// 1 <nil>
	// app-1 was deleted
	// <nil>
	// dcr: client not found
}

package sqltest

import (
	"errors"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/dcrtest"
)

// TestDocumentsOnTwoHosts checks that with two hosts on one database, what one
// fetched, noted or disabled immediately applies on the other, and that freshness
// writes no new revision.
func TestDocumentsOnTwoHosts(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		publisher := dcrtest.NewPublisher(t)
		id := publisher.Publish("/client", []byte(`{"client_name":"App","redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"none"}`))
		publisher.CacheControl("/client", "max-age=300")
		inside, _ := d.store(t, nil)
		now := time.Now().Add(-30 * 24 * time.Hour).Truncate(time.Second)
		host := func() *cimd.Store {
			store, err := cimd.New(inside, &cimd.Options{Issuer: "https://id.example.com", Admit: cimd.Any, Fetch: publisher.Fetch(), Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			return store
		}
		one, two := host(), host()
		find := func(store dcr.ClientConfigurationStore) *dcr.Client {
			t.Helper()
			client, err := store.FindByClientID(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return client
		}
		if _, err := two.Known().FindByClientID(t.Context(), id); !errors.Is(err, cimd.ErrUnavailable) {
			t.Errorf("two knows: %v", err)
		}
		find(one)
		if err := one.TouchClient(t.Context(), id, now); err != nil { // when the code is issued
			t.Fatal(err)
		}
		row := find(two.Known())
		for range 20 {
			now = now.Add(5 * time.Minute)
			find(one)
			find(two)
		}
		fetches := publisher.Fetches("/client")
		client := find(two.Known())
		if client.Revision != row.Revision || !client.Document.FetchedAt.Equal(now) || fetches != 21 {
			t.Errorf("revision %d, then %d; fetched at %v, %d times", row.Revision, client.Revision, client.Document.FetchedAt, fetches)
		}
		publisher.Misbehave("/client", dcrtest.Withdraws)
		now = now.Add(5 * time.Minute)
		if _, err := one.FindByClientID(t.Context(), id); !errors.Is(err, dcr.InvalidClient) {
			t.Errorf("host one finds a document that is gone: %v", err)
		}
		if _, err := two.Known().FindByClientID(t.Context(), id); !errors.Is(err, dcr.InvalidClient) {
			t.Errorf("host two knows a document that is gone: %v", err)
		}
		publisher.Misbehave("/client", dcrtest.Behaves)
		client = find(two)
		client.Status = dcr.StatusDisabled
		if err := inside.Update(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
		fetches = publisher.Fetches("/client")
		if client := find(one); !errors.Is(client.CheckUsable(now), dcr.ErrClientDisabled) || publisher.Fetches("/client") != fetches {
			t.Errorf("one: %v, %d fetches more", client.CheckUsable(now), publisher.Fetches("/client")-fetches)
		}
	})
}

package cimd_test

import (
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

// BenchmarkFind compares the lookup of a fresh document with that of a client that
// registered.
func BenchmarkFind(b *testing.B) {
	publisher := dcrtest.NewPublisher(b)
	inside := memstore.New()
	registered := dcr.NewClient()
	registered.ID, registered.Source = "registered", dcr.SourceDynamic
	registered.RedirectURIs = []string{"https://app.example.com/cb"}
	if err := inside.Add(b.Context(), registered); err != nil {
		b.Fatal(err)
	}
	store, err := cimd.New(inside, &cimd.Options{Issuer: issuer, Admit: cimd.Any, Fetch: publisher.Fetch()})
	if err != nil {
		b.Fatal(err)
	}
	id := publisher.Publish("/client", []byte(app))
	client := mustFind(b, store, id)
	cache := cachestore.New(store, nil)
	run := func(name string, from dcr.ClientConfigurationStore, id string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := from.FindByClientID(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("registered, cached", cache, "registered")
	run("fresh document, cached", cache, id)
	run("registered", store, "registered")
	run("fresh document in memory", store, id)
	if err := store.TouchClient(b.Context(), id, client.CreatedAt); err != nil {
		b.Fatal(err)
	}
	run("fresh document with a row", store, id)
}

package sqltest

import (
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/sqlstore"
)

// TestStore runs the test of the store contract on every kind of database. Each
// case gets its own tenant in one database, which behaves like a fresh store.
// This also shows that tenants do not see each other.
func TestStore(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
			return store.ForTenant(t.Name())
		})
	})
}

// TestStoreNamed does the same with the host's own names of tables, schema and
// tenant.
func TestStoreNamed(t *testing.T) {
	everywhere(t, func(t *testing.T, d database) {
		db := d.open(t, d.create(t))
		opts := &sqlstore.Options{TablePrefix: "Registry_", Tenant: "Größe"}
		if d.dialect == sqlstore.PostgreSQL {
			opts.Schema = "Auth"
			if _, err := db.Exec(`CREATE SCHEMA "Auth"`); err != nil {
				t.Fatal(err)
			}
		}
		store := d.storeIn(t, db, opts)
		if err := store.Add(t.Context(), &dcr.Client{ID: "one"}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.FindByClientID(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
	})
}

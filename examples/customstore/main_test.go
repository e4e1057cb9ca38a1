package main

import (
	"path/filepath"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

func TestStore(t *testing.T) {
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
		store, err := open(filepath.Join(t.TempDir(), "clients.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.db.Close() })
		return store
	})
}

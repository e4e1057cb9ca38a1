package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// TestMove copies from one file to another and compares what the stores say.
// Between other dialects the rows are the same.
func TestMove(t *testing.T) {
	dir := t.TempDir()
	fromName, toName := "sqlite:"+filepath.Join(dir, "from.db"), "sqlite:"+filepath.Join(dir, "to.db")
	from, err := open(t.Context(), fromName, "dcr_")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	source := sqlstore.New(from.DB, from.dialect, nil)
	now := time.Now()
	for i := range 2*batch + 1 {
		client := dcr.NewClient()
		client.ID, client.ClientName = fmt.Sprintf("client-%04d", i), "Größe"
		tenant := source.ForTenant(fmt.Sprint("tenant-", i%2))
		if err := errors.Join(tenant.Add(t.Context(), client), tenant.TouchClient(t.Context(), client.ID, now)); err != nil {
			t.Fatal(err)
		}
	}
	token := &dcr.InitialAccessToken{Hash: "hash", MaxUses: 2}
	if err := errors.Join(source.AddInitialAccessToken(t.Context(), token), source.UseInitialAccessToken(t.Context(), "hash", now)); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), fromName, toName, "dcr_", false); err != nil {
		t.Fatal(err)
	}
	to, err := open(t.Context(), toName, "dcr_")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	target := sqlstore.New(to.DB, to.dialect, nil)
	for _, tenant := range []string{"tenant-0", "tenant-1"} {
		for want, err := range source.ForTenant(tenant).ListClients(t.Context(), dcr.Filter{}, "") {
			if err != nil {
				t.Fatal(err)
			}
			got, err := target.ForTenant(tenant).FindByClientID(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			gotForm, _ := got.MarshalJSON()
			wantForm, _ := want.MarshalJSON()
			if string(gotForm) != string(wantForm) || got.Revision != want.Revision {
				t.Fatalf("%s became %s", wantForm, gotForm)
			}
		}
	}
	if moved, err := target.FindInitialAccessToken(t.Context(), "hash"); err != nil || moved.Uses != 1 {
		t.Errorf("the token became %+v, %v", moved, err)
	}
	if err := run(t.Context(), fromName, toName, "dcr_", false); err == nil {
		t.Error("a target with rows was not refused")
	}
	if err := run(t.Context(), fromName, toName, "dcr_", true); err != nil {
		t.Errorf("going on failed: %v", err)
	}
}

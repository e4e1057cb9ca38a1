package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/sqlstore"
)

func open(t *testing.T, inside dcr.ClientConfigurationStore) *encryptedStore {
	store, err := newEncryptedStore(inside, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestEncryptedStore(t *testing.T) {
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore { return open(t, dcr.NewMemoryStore()) })
}

// TestHonest holds that the wrapper has no capability that the store inside
// lacks.
func TestHonest(t *testing.T) {
	store := open(t, struct{ dcr.ClientConfigurationStore }{dcr.NewMemoryStore()})
	_, lists := dcr.StoreAs[dcr.ClientLister](store)
	_, counts := dcr.StoreAs[dcr.ClientCounter](store)
	_, touches := dcr.StoreAs[dcr.ClientToucher](store)
	_, sweeps := dcr.StoreAs[dcr.ClientSweeper](store)
	_, finds := dcr.StoreAs[dcr.StatementFinder](store)
	_, keepsTokens := dcr.StoreAs[dcr.InitialAccessTokenStore](store)
	if lists || counts || touches || sweeps || finds || keepsTokens {
		t.Error("the wrapper claims what the store inside cannot do")
	}
}

// TestNothingReadable holds that the file tells nothing of a client, and that
// a ciphertext is worth nothing under another id.
func TestNothingReadable(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "clients.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	inside := sqlstore.New(db, sqlstore.SQLite, nil)
	if err := inside.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := open(t, inside)
	client := dcr.NewClient()
	client.ID, client.ClientName, client.SoftwareID, client.RegisteredBy = "one", "A Telling Name", "telling-software", "telling-caller"
	client.Secrets = []dcr.Secret{dcr.HashSecret("secret")}
	if err := store.Add(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{client.ClientName, client.SoftwareID, client.RegisteredBy, client.Secrets[0].Value,
			base64.StdEncoding.EncodeToString([]byte(client.ClientName))[:16]} {
			if bytes.Contains(content, []byte(text)) {
				t.Errorf("%s tells %q", file, text)
			}
		}
	}
	outer, err := inside.FindByClientID(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	outer.ID = "two"
	if err := inside.Add(t.Context(), outer); err != nil {
		t.Fatal(err)
	}
	if client, err := store.FindByClientID(t.Context(), "two"); err == nil {
		t.Errorf("a ciphertext was opened under another id: %v", client.ClientName)
	}
}

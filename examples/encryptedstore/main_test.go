package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/sqlstore"
)

// testKeys returns keys made from these numbers. The first encrypts.
func testKeys(numbers ...byte) keys {
	k := keys{Search: bytes.Repeat([]byte{255}, 32)}
	for _, number := range numbers {
		k.Encrypt = append(k.Encrypt, bytes.Repeat([]byte{number}, 32))
	}
	return k
}

func encrypting(t *testing.T, inside dcr.ClientConfigurationStore, k keys) *encryptedStore {
	t.Helper()
	store, err := newEncryptedStore(inside, k)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// newSQLite returns a store in a file.
func newSQLite(t *testing.T, file string) *sqlstore.Store {
	t.Helper()
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(file))
	if err != nil {
		t.Fatal(err)
	}
	store := sqlstore.New(db, sqlstore.SQLite, nil)
	t.Cleanup(func() { store.Close(); db.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

// TestStore runs dcrtest.TestStore with both stores. Together they offer every
// capability.
func TestStore(t *testing.T) {
	t.Run("Memory", func(t *testing.T) {
		dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
			return encrypting(t, memstore.New(), testKeys(1))
		})
	})
	t.Run("SQLite", func(t *testing.T) {
		inside := newSQLite(t, filepath.Join(t.TempDir(), "clients.db"))
		dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
			return encrypting(t, inside.ForTenant(t.Name()), testKeys(1))
		})
	})
}

// A client that another process changed is found as it is stored, also past a cache of
// ciphertext.
func TestFindStored(t *testing.T) {
	inside := memstore.New()
	here, there := encrypting(t, cachestore.New(inside, nil), testKeys(1)), encrypting(t, inside, testKeys(1))
	client := &dcr.Client{ID: "one"}
	if err := here.Add(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if _, err := here.FindByClientID(t.Context(), "one"); err != nil { // it is cached from now on
		t.Fatal(err)
	}
	client.Notes = "changed"
	if err := there.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if found, err := dcr.FindStored(t.Context(), here, "one"); err != nil || found.Notes != "changed" {
		t.Errorf("found %+v, %v", found, err)
	}
}

// revealer is a capability that the wrapper does not know.
type revealer interface{ Reveal() string }

type revealingStore struct{ *memstore.Store }

func (revealingStore) Reveal() string { return "ciphertext" }

// TestCapabilities shows that the wrapper has those capabilities of the inner store that
// it knows, and no others.
func TestCapabilities(t *testing.T) {
	for _, c := range []struct {
		sentence string
		inside   dcr.ClientConfigurationStore
		missing  string
	}{
		{"memory has all", memstore.New(), "revealer"},
		{"SQLite has all but a limit", newSQLite(t, filepath.Join(t.TempDir(), "clients.db")), "ClientLimiter revealer"},
		{"a bare store has none", struct{ dcr.ClientConfigurationStore }{memstore.New()},
			"ClientCounter ClientLimiter ClientLister ClientSweeper ClientToucher InitialAccessTokenStore ReplayForgetter ReplayStore RevisionDeleter StatementFinder revealer"},
		{"an unknown capability could return ciphertext", revealingStore{memstore.New()}, "revealer"},
	} {
		var missing []string
		for _, target := range []any{
			new(dcr.ClientLister), new(dcr.ClientCounter), new(dcr.ClientToucher), new(dcr.ClientSweeper), new(dcr.ClientLimiter),
			new(dcr.StatementFinder), new(dcr.InitialAccessTokenStore), new(dcr.ReplayStore), new(dcr.ReplayForgetter), new(dcr.RevisionDeleter), new(revealer),
		} {
			if !dcr.StoreInto(encrypting(t, c.inside, testKeys(1)), target) {
				missing = append(missing, reflect.TypeOf(target).Elem().Name())
			}
		}
		slices.Sort(missing)
		if got := strings.Join(missing, " "); got != c.missing {
			t.Errorf("%s: %s are missing, not %s", c.sentence, got, c.missing)
		}
	}
}

// TestNothingReadable registers a client with a Handler, and shows that the files of the
// database do not reveal it. Without the wrapper they do.
func TestNothingReadable(t *testing.T) {
	for _, c := range []struct {
		sentence string
		wrap     func(dcr.ClientConfigurationStore) dcr.ClientConfigurationStore
		told     bool
	}{
		{"everything can be read without the wrapper", func(inside dcr.ClientConfigurationStore) dcr.ClientConfigurationStore { return inside }, true},
		{"nothing can be read with it", func(inside dcr.ClientConfigurationStore) dcr.ClientConfigurationStore {
			return encrypting(t, inside, testKeys(1))
		}, false},
	} {
		dir := t.TempDir()
		store := c.wrap(newSQLite(t, filepath.Join(dir, "clients.db")))
		client := register(t, store)
		content := contents(t, dir)
		if !bytes.Contains(content, []byte(client.ID)) {
			t.Errorf("%s: the client is in no file", c.sentence)
		}
		for _, text := range []string{
			client.ClientName, "telling-host", client.Contacts[0], client.SoftwareID, client.RegisteredBy,
			client.Secrets[0].Value, client.RegistrationTokens[0].Value,
		} {
			if text == "" || bytes.Contains(content, []byte(text)) != c.told {
				t.Errorf("%s: %q can be read: %v", c.sentence, text, !c.told)
			}
		}
		lister, _ := dcr.StoreAs[dcr.ClientLister](store)
		for found, err := range lister.ListClients(t.Context(), dcr.Filter{SoftwareID: client.SoftwareID, RegisteredBy: client.RegisteredBy}, "") {
			if err != nil || found.ID != client.ID {
				t.Errorf("%s: a search found %v, %v", c.sentence, found, err)
			}
			client = nil
		}
		if client != nil {
			t.Errorf("%s: a search found nothing", c.sentence)
		}
	}
}

// register registers a client and returns the stored client.
func register(t *testing.T, store dcr.ClientConfigurationStore) *dcr.Client {
	t.Helper()
	handler, err := dcr.NewHandler(store, &dcr.Options{Endpoint: "https://id.example.com/connect/dcr"})
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodPost, "/connect/dcr", strings.NewReader(`{"client_name":"A Telling Name",`+
		`"redirect_uris":["https://telling-host.example/callback"],"contacts":["telling@mail.example"],"software_id":"telling-software"}`))
	request.Header.Set("Content-Type", "application/json")
	request = request.WithContext(dcr.ContextWithCaller(t.Context(), &dcr.Caller{Subject: "telling-caller"}))
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	var registered struct {
		ID string `json:"client_id"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &registered); err != nil || answer.Code != http.StatusCreated {
		t.Fatalf("answered %d %s", answer.Code, answer.Body)
	}
	client, err := store.FindByClientID(t.Context(), registered.ID)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// contents returns the bytes of all files of a database, including its log.
func contents(t *testing.T, dir string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}

// TestBound shows that a ciphertext can be decrypted only with its own id and key.
func TestBound(t *testing.T) {
	inside := memstore.New()
	client := dcr.NewClient()
	client.ID = "one"
	if err := encrypting(t, inside, testKeys(1)).Add(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	outer, err := inside.FindByClientID(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	outer.ID = "two"
	if err := inside.Add(t.Context(), outer); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sentence, clientID string
		keys               keys
		opens              bool
	}{
		{"its own id and key", "one", testKeys(1), true},
		{"an older key", "one", testKeys(3, 2, 1), true},
		{"a missing key", "one", testKeys(3, 2), false},
		{"a copy with another id", "two", testKeys(1), false},
	} {
		_, err := encrypting(t, inside, c.keys).FindByClientID(t.Context(), c.clientID)
		if (err == nil) != c.opens || errors.Is(err, dcr.ErrClientNotFound) {
			t.Errorf("%s: returned %v", c.sentence, err)
		}
	}
}

// TestReencrypt shows that all clients get the first key and stay the same, that searches
// still find them, and that the old key can then be removed.
func TestReencrypt(t *testing.T) {
	inside := newSQLite(t, filepath.Join(t.TempDir(), "clients.db"))
	before, between, after := encrypting(t, inside, testKeys(1)), encrypting(t, inside, testKeys(2, 1)), encrypting(t, inside, testKeys(2))
	for i := range 300 {
		client := dcr.NewClient()
		client.ID, client.ClientName, client.SoftwareID = fmt.Sprintf("client-%03d", i), fmt.Sprint("Name ", i), "software"
		store := before
		if i%100 == 0 {
			store = between
		}
		if err := store.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int64{297, 0} {
		if count, err := between.reencrypt(t.Context()); count != want || err != nil {
			t.Fatalf("encrypted %d clients, not %d: %v", count, want, err)
		}
	}
	lister, _ := dcr.StoreAs[dcr.ClientLister](after)
	var found int
	for client, err := range lister.ListClients(t.Context(), dcr.Filter{SoftwareID: "software"}, "") {
		if err != nil || client.ClientName != fmt.Sprint("Name ", found) {
			t.Fatalf("client %d is %v, %v", found, client, err)
		}
		found++
	}
	if found != 300 {
		t.Errorf("%d of 300 clients are left", found)
	}
}

// busyStore is a store in which another host does something right before the first
// Update.
type busyStore struct {
	*memstore.Store
	other func()
}

func (s *busyStore) Update(ctx context.Context, client *dcr.Client) error {
	if other := s.other; other != nil {
		s.other = nil
		other()
	}
	return s.Store.Update(ctx, client)
}

// TestReencryptMeanwhile shows that changes by a host in the meantime are kept.
func TestReencryptMeanwhile(t *testing.T) {
	for _, c := range []struct {
		sentence  string
		other     func(ctx context.Context, host dcr.ClientConfigurationStore, client *dcr.Client) error
		encrypted int64
		want      string
	}{
		{"a host with the old key updates the client", func(ctx context.Context, host dcr.ClientConfigurationStore, client *dcr.Client) error {
			client.ClientName = "Renamed"
			return host.Update(ctx, client)
		}, 1, "Renamed"},
		{"a host deletes the client", func(ctx context.Context, host dcr.ClientConfigurationStore, client *dcr.Client) error {
			return host.Delete(ctx, client.ID)
		}, 0, ""},
	} {
		memory := memstore.New()
		host := encrypting(t, memory, testKeys(1, 2))
		client := dcr.NewClient()
		client.ID, client.ClientName = "one", "Name"
		if err := host.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		busy := &busyStore{memory, func() {
			if err := c.other(t.Context(), host, client); err != nil {
				t.Error(err)
			}
		}}
		if count, err := encrypting(t, busy, testKeys(2, 1)).reencrypt(t.Context()); count != c.encrypted || err != nil {
			t.Errorf("%s: encrypted %d clients, %v", c.sentence, count, err)
		}
		found, err := encrypting(t, memory, testKeys(2)).FindByClientID(t.Context(), "one")
		switch {
		case c.want == "" && errors.Is(err, dcr.ErrClientNotFound):
		case err != nil || found.ClientName != c.want:
			t.Errorf("%s: the client became %v, %v", c.sentence, found, err)
		}
	}
}

// TestKeys shows that keys are created once, read again, and checked.
func TestKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	made, err := readKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	read, err := readKeys(file)
	if err != nil || !reflect.DeepEqual(read, made) {
		t.Errorf("read %v, %v, not %v", read, err, made)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	for sentence, k := range map[string]keys{
		"a key is missing":          {Search: newKey()},
		"a key is short":            {Encrypt: [][]byte{newKey(), newKey()[1:]}, Search: newKey()},
		"the search key is missing": {Encrypt: [][]byte{newKey()}},
	} {
		if _, err := newEncryptedStore(memstore.New(), k); err == nil {
			t.Errorf("%s: was not refused", sentence)
		}
	}
}

// TestRotate shows that a new key becomes the first, and that older clients can then be
// found with only that key.
func TestRotate(t *testing.T) {
	dir := t.TempDir()
	file, keyFile := filepath.Join(dir, "clients.db"), filepath.Join(dir, "keys")
	old, err := readKeys(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	client := register(t, encrypting(t, newSQLite(t, file), old))
	if err := rotate(t.Context(), file, keyFile); err != nil {
		t.Fatal(err)
	}
	rotated, err := readKeys(keyFile)
	if err != nil || len(rotated.Encrypt) != 2 || !bytes.Equal(rotated.Encrypt[1], old.Encrypt[0]) {
		t.Fatalf("the keys became %v, %v", rotated, err)
	}
	rotated.Encrypt = rotated.Encrypt[:1]
	if found, err := encrypting(t, newSQLite(t, file), rotated).FindByClientID(t.Context(), client.ID); err != nil || found.ClientName != client.ClientName {
		t.Errorf("the client became %v, %v", found, err)
	}
}

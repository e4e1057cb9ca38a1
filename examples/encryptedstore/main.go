// Encryptedstore keeps clients encrypted in whatever store is inside: the
// database and its backups hold ciphertext, and the few columns that sweeping
// and listing need.
//
//	go run ./examples/encryptedstore
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"iter"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// encryptedStore wraps a store. It encrypts each client as a whole, bound to
// its id, so that no two can be exchanged. What stays readable is what the
// store inside must know: the id, the status, the policy and the times.
// Software id, caller and statement, by which clients are looked for, become
// keyed hashes, which tell no more than that two are equal.
type encryptedStore struct {
	dcr.ClientConfigurationStore // Delete is as it is inside

	aead   cipher.AEAD
	hashes []byte // the key of the hashes
}

// newEncryptedStore returns a wrapper around inside; key has 32 bytes. The keys
// in use are derived from it.
func newEncryptedStore(inside dcr.ClientConfigurationStore, key []byte) (*encryptedStore, error) {
	if len(key) != 32 {
		return nil, errors.New("the key must have 32 bytes")
	}
	block, err := aes.NewCipher(derive(key, "clients"))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &encryptedStore{inside, aead, derive(key, "searching")}, err
}

func derive(key []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

func (s *encryptedStore) hash(kind, text string) string {
	if text == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(derive(s.hashes, kind+"\x00"+text))
}

// sealed is the extension member that holds the ciphertext.
var sealed = dcr.NewField[[]byte]("sealed")

// seal returns the client as the store inside sees it.
func (s *encryptedStore) seal(client *dcr.Client) (*dcr.Client, error) {
	document, err := client.MarshalJSON()
	if err != nil {
		return nil, err
	}
	outer := dcr.NewClient()
	outer.ID, outer.Revision, outer.Source, outer.Status, outer.Policy = client.ID, client.Revision, client.Source, client.Status, client.Policy
	outer.CreatedAt, outer.ActivatedAt, outer.LastUsedAt, outer.ExpiresAt = client.CreatedAt, client.ActivatedAt, client.LastUsedAt, client.ExpiresAt
	outer.SoftwareID = s.hash("software", client.SoftwareID)
	outer.RegisteredBy = s.hash("caller", client.RegisteredBy)
	if of := client.Statement; of != nil {
		outer.Statement = &dcr.StatementRecord{Issuer: s.hash("issuer", of.Issuer), ID: s.hash("statement", of.ID)}
	}
	return outer, sealed.Set(&outer.Metadata, s.aead.Seal(nil, nil, document, []byte(client.ID)))
}

// open returns the client that seal was given, with what was noted of its use
// since.
func (s *encryptedStore) open(outer *dcr.Client) (*dcr.Client, error) {
	ciphertext, _, err := sealed.Get(&outer.Metadata)
	if err != nil {
		return nil, err
	}
	document, err := s.aead.Open(nil, nil, ciphertext, []byte(outer.ID))
	if err != nil {
		return nil, fmt.Errorf("client %q: %w", outer.ID, err)
	}
	client := &dcr.Client{}
	if err := client.UnmarshalJSON(document); err != nil {
		return nil, err
	}
	client.Revision, client.ActivatedAt, client.LastUsedAt = outer.Revision, outer.ActivatedAt, outer.LastUsedAt
	return client, nil
}

func (s *encryptedStore) Add(ctx context.Context, client *dcr.Client) error {
	return s.write(ctx, client, s.ClientConfigurationStore.Add)
}

func (s *encryptedStore) Update(ctx context.Context, client *dcr.Client) error {
	return s.write(ctx, client, s.ClientConfigurationStore.Update)
}

func (s *encryptedStore) write(ctx context.Context, client *dcr.Client, store func(context.Context, *dcr.Client) error) error {
	outer, err := s.seal(client)
	if err == nil {
		err = store(ctx, outer)
	}
	if err == nil {
		client.Revision = outer.Revision
	}
	return err
}

func (s *encryptedStore) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	outer, err := s.ClientConfigurationStore.FindByClientID(ctx, clientID)
	if err != nil {
		return nil, err
	}
	return s.open(outer)
}

// As gives the optional capabilities that the store inside has, and no others.
// Those that show a client, or look for one by what is hashed, go through here;
// touching, tokens and used values need nothing of a client and pass as they
// are. A capability that is not known here may show ciphertext, so it does not
// pass.
func (s *encryptedStore) As(target any) (ok bool) {
	inside := s.ClientConfigurationStore
	switch target := target.(type) {
	case *dcr.ClientLister:
		var lister dcr.ClientLister
		lister, ok = dcr.StoreAs[dcr.ClientLister](inside)
		*target = encryptedLister{s, lister}
	case *dcr.ClientCounter:
		var counter dcr.ClientCounter
		counter, ok = dcr.StoreAs[dcr.ClientCounter](inside)
		*target = encryptedCounter{s, counter}
	case *dcr.ClientSweeper:
		var sweeper dcr.ClientSweeper
		sweeper, ok = dcr.StoreAs[dcr.ClientSweeper](inside)
		*target = encryptedSweeper{s, sweeper}
	case *dcr.StatementFinder:
		var finder dcr.StatementFinder
		finder, ok = dcr.StoreAs[dcr.StatementFinder](inside)
		*target = encryptedFinder{s, finder}
	case *dcr.ClientToucher, *dcr.ClientLimiter, *dcr.InitialAccessTokenStore, *dcr.ReplayStore:
		ok = dcr.StoreInto(inside, target)
	}
	return ok
}

func (s *encryptedStore) filter(filter dcr.Filter) dcr.Filter {
	filter.SoftwareID = s.hash("software", filter.SoftwareID)
	filter.RegisteredBy = s.hash("caller", filter.RegisteredBy)
	return filter
}

type encryptedLister struct {
	store  *encryptedStore
	inside dcr.ClientLister
}

func (l encryptedLister) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	return func(yield func(*dcr.Client, error) bool) {
		for outer, err := range l.inside.ListClients(ctx, l.store.filter(filter), after) {
			var client *dcr.Client
			if err == nil {
				client, err = l.store.open(outer)
			}
			if !yield(client, err) || err != nil {
				return
			}
		}
	}
}

type encryptedCounter struct {
	store  *encryptedStore
	inside dcr.ClientCounter
}

func (c encryptedCounter) CountClients(ctx context.Context, filter dcr.Filter) (int64, error) {
	return c.inside.CountClients(ctx, c.store.filter(filter))
}

type encryptedSweeper struct {
	store  *encryptedStore
	inside dcr.ClientSweeper
}

func (w encryptedSweeper) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	if before := rule.BeforeDelete; before != nil {
		rule.BeforeDelete = func(ctx context.Context, outer *dcr.Client) error {
			client, err := w.store.open(outer)
			if err != nil {
				return err
			}
			return before(ctx, client)
		}
	}
	return w.inside.SweepClients(ctx, rule)
}

type encryptedFinder struct {
	store  *encryptedStore
	inside dcr.StatementFinder
}

func (f encryptedFinder) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	return f.inside.FindByStatement(ctx, f.store.hash("issuer", issuer), f.store.hash("statement", id))
}

// readKey reads the key, which is made where it is missing. Keep yours apart
// from the database: in a key service or a secret store.
func readKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = make([]byte, 32)
	rand.Read(key)
	return key, os.WriteFile(file, key, 0o600)
}

func run(addr, file, keyFile string) error {
	key, err := readKey(keyFile)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(file))
	if err != nil {
		return err
	}
	inside := sqlstore.New(db, sqlstore.SQLite, nil)
	if err := inside.Migrate(context.Background()); err != nil {
		return err
	}
	store, err := newEncryptedStore(inside, key)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	endpoint := "http://" + listener.Addr().String() + "/connect/dcr"
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint:       endpoint,
		AllowAnonymous: true, // for trying it out; put your own authorization in front instead
	})
	if err != nil {
		return err
	}
	example, _ := json.Marshal(dcr.Metadata{RedirectURIs: []string{"https://app.example.com/callback"}})
	fmt.Println("register a client:")
	fmt.Printf("  curl -s %s -H 'Content-Type: application/json' -d '%s'\n", endpoint, example)
	fmt.Println("ready:", endpoint)
	mux := http.NewServeMux()
	mux.Handle("/connect/dcr", handler)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on this `address` of the loopback interface")
	file := flag.String("file", "encryptedstore.db", "keep clients in this `file`")
	key := flag.String("key", "encryptedstore.key", "keep the key in this `file`")
	flag.Parse()
	log.Fatal("encryptedstore: ", run(*addr, *file, *key))
}

// Encryptedstore encrypts the clients in any store: the database and its backups
// hold ciphertext, and the few values that the store sweeps and searches by.
//
//	go run ./examples/encryptedstore
//	go run ./examples/encryptedstore -rotate
//
// The second command adds a new key and encrypts all clients with it. Restart the
// server afterwards, so that it knows the new key.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/localhost"
	"github.com/dynreg/dcr/sqlstore"
)

// keys holds the keys, of 32 random bytes each.
type keys struct {
	Encrypt [][]byte `json:"encrypt"` // the first encrypts, all decrypt
	Search  []byte   `json:"search"`  // makes the hashes; it never changes, since a search with another key would find nothing
}

func newKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}

// readKeys reads the keys from a file, and creates the file if it is missing. Keep
// your own keys apart from the database, in a key service or a secret store.
func readKeys(file string) (k keys, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		k = keys{Encrypt: [][]byte{newKey()}, Search: newKey()}
		return k, k.write(file)
	}
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	return k, err
}

// write replaces the file in one step, once the new one is on disk: without the
// keys, the clients are lost.
func (k keys) write(file string) error {
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name()) // fails once it is renamed
	_, err = next.Write(append(text, '\n'))
	if err := errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), file)
}

// openStore opens an encrypting store around an SQLite file.
func openStore(ctx context.Context, file string, k keys) (*encryptedStore, error) {
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(file))
	if err != nil {
		return nil, err
	}
	inside := sqlstore.New(db, sqlstore.SQLite, nil)
	if err := inside.Migrate(ctx); err != nil {
		return nil, err
	}
	return newEncryptedStore(inside, k)
}

// rotate puts a new key first and encrypts all clients with it. It is safe to run it
// again. Keep the old keys in the file as long as backups need them.
//
// If several hosts share the database, every host must know a key before any host
// encrypts with it: first add the new key to all hosts after their current first
// key, then move it to the front, and then encrypt.
func rotate(ctx context.Context, file, keyFile string) error {
	k, err := readKeys(keyFile)
	if err != nil {
		return err
	}
	k.Encrypt = slices.Insert(k.Encrypt, 0, newKey())
	store, err := openStore(ctx, file, k)
	if err != nil {
		return err
	}
	if err := k.write(keyFile); err != nil {
		return err
	}
	count, err := store.reencrypt(ctx)
	fmt.Println("encrypted with the new key:", count, "clients")
	return err
}

func serve(ctx context.Context, addr, file, keyFile string) error {
	k, err := readKeys(keyFile)
	if err != nil {
		return err
	}
	store, err := openStore(ctx, file, k)
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
	server := &http.Server{Handler: localhost.Only(listener.Addr(), mux), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on this `address` of the loopback interface")
	file := flag.String("file", "encryptedstore.db", "keep clients in this `file`")
	keyFile := flag.String("keys", "encryptedstore.keys", "keep the keys in this `file`")
	rotating := flag.Bool("rotate", false, "add a new key, encrypt all clients with it, and exit")
	flag.Parse()
	var err error
	if *rotating {
		err = rotate(context.Background(), *file, *keyFile)
	} else {
		err = serve(context.Background(), *addr, *file, *keyFile)
	}
	if err != nil {
		log.Fatal("encryptedstore: ", err)
	}
}

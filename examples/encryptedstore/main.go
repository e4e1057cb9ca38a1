// Encryptedstore keeps clients encrypted in whatever store is inside: the
// database and its backups hold ciphertext, and the little that the store
// inside sweeps and searches by.
//
//	go run ./examples/encryptedstore
//	go run ./examples/encryptedstore -rotate
//
// The second brings in a new key and encrypts all clients with it; start the
// server again afterwards, since it knows the new key only then.
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

// keys are 32 random bytes each.
type keys struct {
	Encrypt [][]byte `json:"encrypt"` // the first encrypts, all decrypt
	Search  []byte   `json:"search"`  // makes the hashes, and stays: under another one, no search would find what is stored
}

func newKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}

// readKeys reads the keys from a file, which is made where it is missing. Keep
// yours apart from the database: in a key service or a secret store.
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

// write replaces the file at once, when all of it is on the disk: one who loses
// the keys loses the clients.
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

// openStore opens the encrypting store over a SQLite file.
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

// rotate puts a new key in front and encrypts all clients with it. Running it
// again is safe. The old keys stay in the file as long as backups need them.
//
// Where several hosts share the database, a host must know a key before another
// encrypts with it: bring the new key to all hosts behind the first one, then
// in front, and then encrypt.
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
	rotating := flag.Bool("rotate", false, "bring in a new key, encrypt all clients with it, and exit")
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

// Customstore keeps clients in a table of its own, for servers that already have
// one.
//
//	go run ./examples/customstore
package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/localhost"
)

// store is a dcr.ClientConfigurationStore on a table of three columns. Each
// method is one statement, so that the database settles every race.
type store struct{ db *sql.DB }

func (s store) Add(ctx context.Context, client *dcr.Client) error {
	if err := dcr.CheckClientID(client.ID); err != nil {
		return err
	}
	return s.write(ctx, dcr.ErrClientExists, client, dcr.NewRevision(),
		`INSERT INTO clients (document, revision, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`)
}

func (s store) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	client, document := &dcr.Client{}, []byte(nil)
	row := s.db.QueryRowContext(ctx, `SELECT document, revision FROM clients WHERE id = ?`, clientID)
	switch err := row.Scan(&document, &client.Revision); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, dcr.ErrClientNotFound
	case err != nil:
		return nil, err
	}
	return client, json.Unmarshal(document, client)
}

func (s store) Update(ctx context.Context, client *dcr.Client) error {
	err := s.write(ctx, dcr.ErrConflict, client, client.Revision+1,
		`UPDATE clients SET document = ?1, revision = ?2 WHERE id = ?3 AND revision = ?2 - 1`)
	if err == dcr.ErrConflict {
		_, gone := s.FindByClientID(ctx, client.ID)
		return cmp.Or(gone, err)
	}
	return err
}

func (s store) Delete(ctx context.Context, clientID string) error {
	return s.exec(ctx, dcr.ErrClientNotFound, `DELETE FROM clients WHERE id = ?`, clientID)
}

// DeleteRevision makes the store a dcr.RevisionDeleter.
func (s store) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	err := s.exec(ctx, dcr.ErrConflict, `DELETE FROM clients WHERE id = ? AND revision = ?`, clientID, revision)
	if err == dcr.ErrConflict {
		_, gone := s.FindByClientID(ctx, clientID)
		return cmp.Or(gone, err)
	}
	return err
}

// write stores a client and then sets its new revision.
func (s store) write(ctx context.Context, otherwise error, client *dcr.Client, revision int64, statement string) error {
	document, err := client.MarshalJSON()
	if err == nil {
		err = s.exec(ctx, otherwise, statement, document, revision, client.ID)
	}
	if err == nil {
		client.Revision = revision
	}
	return err
}

// exec runs a statement that must change one row. It returns otherwise if the
// statement changed none.
func (s store) exec(ctx context.Context, otherwise error, statement string, args ...any) error {
	result, err := s.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	if touched, err := result.RowsAffected(); err != nil || touched == 0 {
		return cmp.Or(err, otherwise)
	}
	return nil
}

// open opens the store in an SQLite file, and creates the file if it is missing.
func open(file string) (store, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err == nil {
		_, err = db.Exec(`CREATE TABLE IF NOT EXISTS clients (id TEXT PRIMARY KEY, revision INTEGER NOT NULL, document BLOB NOT NULL)`)
	}
	return store{db}, err
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on this `address` of the loopback interface")
	file := flag.String("file", "customstore.db", "keep clients in this `file`")
	flag.Parse()
	clients, err := open(*file)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	endpoint := "http://" + listener.Addr().String() + "/connect/dcr"
	handler, err := dcr.NewHandler(clients, &dcr.Options{
		Endpoint:       endpoint,
		AllowAnonymous: true, // for trying it out; put your own authorization in front instead
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("register a client:")
	fmt.Printf("  curl -s %s -H 'Content-Type: application/json' -d '%s'\n", endpoint, `{"redirect_uris":["https://app.example.com/callback"]}`)
	fmt.Println("ready:", endpoint)
	mux := http.NewServeMux()
	mux.Handle("/connect/dcr", handler)
	server := &http.Server{Handler: localhost.Only(listener.Addr(), mux), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

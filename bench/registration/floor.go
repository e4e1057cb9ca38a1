package main

// The floor: a server that stores registrations without validation.

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr/sqlstore"
)

// registration is what the floor stores of a client: the members that are sent, without
// validation.
type registration struct {
	ClientID                string   `json:"client_id"`
	ClientSecret            string   `json:"client_secret,omitempty"`
	ClientSecretExpiresAt   int64    `json:"client_secret_expires_at"`
	ClientIDIssuedAt        int64    `json:"client_id_issued_at"`
	RegistrationAccessToken string   `json:"registration_access_token,omitempty"`
	RegistrationClientURI   string   `json:"registration_client_uri,omitempty"`
	ClientName              string   `json:"client_name"`
	RedirectURIs            []string `json:"redirect_uris"`
	GrantTypes              []string `json:"grant_types"`
	ResponseTypes           []string `json:"response_types"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method"`

	secretHash, tokenHash [sha256.Size]byte
}

// random returns 256 random bits and their hash.
func random() (string, [sha256.Size]byte) {
	var bits [32]byte
	rand.Read(bits[:])
	text := base64.RawURLEncoding.EncodeToString(bits[:])
	return text, sha256.Sum256([]byte(text))
}

// floor registers whatever it gets, and stores it with keep.
func floor(keep func(registration) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var client registration
		if err == nil {
			err = json.Unmarshal(text, &client)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		client.ClientSecret, client.secretHash = random()
		client.RegistrationAccessToken, client.tokenHash = random()
		client.ClientID = rand.Text()
		client.ClientIDIssuedAt = time.Now().Unix()
		client.RegistrationClientURI = "https://id.example.com/connect/dcr?client_id=" + client.ClientID
		answer, err := json.Marshal(&client)
		if err == nil {
			client.ClientSecret, client.RegistrationAccessToken = "", ""
			err = keep(client)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answered(w, http.StatusCreated, answer)
	})
}

// kept has the floor's clients.
type kept struct {
	mu      sync.Mutex
	clients map[string]registration
}

func openFloor(string) (http.Handler, func(), error) {
	k := &kept{clients: make(map[string]registration)}
	mux := http.NewServeMux()
	mux.Handle("POST /connect/dcr", floor(k.keep))
	mux.HandleFunc("GET /connect/dcr", k.manage)
	mux.HandleFunc("PUT /connect/dcr", k.manage)
	return mux, func() {}, nil
}

func (k *kept) keep(client registration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.clients[client.ClientID] = client
	return nil
}

// manage answers a caller that has the client's token with the stored client. A PUT
// replaces the client with the body first.
func (k *kept) manage(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	hash := sha256.Sum256([]byte(token))
	k.mu.Lock()
	client, found := k.clients[r.URL.Query().Get("client_id")]
	k.mu.Unlock()
	if !found || subtle.ConstantTimeCompare(hash[:], client.tokenHash[:]) != 1 {
		http.Error(w, "who is this?", http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodPut {
		text, err := io.ReadAll(r.Body)
		update := client
		if err == nil {
			err = json.Unmarshal(text, &update)
		}
		if err != nil || update.ClientID != client.ClientID {
			http.Error(w, "the body is of another client", http.StatusBadRequest)
			return
		}
		client = update
		k.keep(client)
	}
	client.RegistrationAccessToken = token
	answer, err := json.Marshal(&client)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answered(w, http.StatusOK, answer)
}

// answered sends an answer.
func answered(w http.ResponseWriter, status int, answer []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(answer)
}

func openEmpty(string) (http.Handler, func(), error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
	}), func() {}, nil
}

// row is a client on its way to the disk.
type row struct {
	id, document string
	committed    chan error
}

// openSQLiteFloor writes each client as one row of two columns. The rows that arrive
// during a commit share the next one.
func openSQLiteFloor(dir string) (http.Handler, func(), error) {
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "floor.db")))
	if err != nil {
		return nil, nil, err
	}
	if _, err := db.Exec("CREATE TABLE clients (id TEXT PRIMARY KEY, document TEXT NOT NULL)"); err != nil {
		return nil, nil, err
	}
	insert, err := db.Prepare("INSERT INTO clients (id, document) VALUES (?, ?)")
	if err != nil {
		return nil, nil, err
	}
	rows := make(chan row, 256)
	go commitRows(db, insert, rows)
	handler := floor(func(client registration) error {
		document, err := json.Marshal(&client)
		if err != nil {
			return err
		}
		committed := make(chan error, 1)
		rows <- row{client.ClientID, string(document), committed}
		return <-committed
	})
	return handler, func() { close(rows); db.Close() }, nil
}

// commitRows is the only writer.
func commitRows(db *sql.DB, insert *sql.Stmt, rows <-chan row) {
	for first := range rows {
		batch := []row{first}
		for range len(rows) {
			batch = append(batch, <-rows)
		}
		err := commit(db, insert, batch)
		for _, row := range batch {
			row.committed <- err
		}
	}
}

func commit(db *sql.DB, insert *sql.Stmt, batch []row) error {
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after the commit
	prepared := tx.Stmt(insert)
	for _, row := range batch {
		if _, err := prepared.Exec(row.id, row.document); err != nil {
			return err
		}
	}
	return tx.Commit()
}

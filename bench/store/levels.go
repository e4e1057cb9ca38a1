package main

// Where clients are added: in the store, or over HTTP.

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/dynreg/dcr"
)

// level is where clients are added.
type level struct {
	floor func(insert inserter) *subject
	store func(store dcr.ClientConfigurationStore) *subject
}

var levels = map[string]level{
	"http":  {floorServer, registrationServer},
	"store": {floorStore, plainStore},
}

// Level "store": only the store, and an INSERT of the same document.

func plainStore(store dcr.ClientConfigurationStore) *subject {
	return &subject{close: func() {}, worker: func() (func(context.Context) error, error) {
		return func(ctx context.Context) error { return store.Add(ctx, typicalClient(rand.Text())) }, nil
	}}
}

func floorStore(insert inserter) *subject {
	return &subject{close: func() {}, worker: func() (func(context.Context) error, error) {
		return func(ctx context.Context) error {
			client := typicalClient(rand.Text())
			document, err := client.MarshalJSON()
			if err != nil {
				return err
			}
			return insert(ctx, client.ID, string(document))
		}, nil
	}}
}

// typicalClient returns the client that a web application registers.
func typicalClient(id string) *dcr.Client {
	client := dcr.NewClient()
	client.ID = id
	client.Source = dcr.SourceDynamic
	client.ClientName = "My Dynamic App"
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	client.GrantTypes = []string{"authorization_code", "refresh_token"}
	client.ResponseTypes = []string{"code"}
	client.TokenEndpointAuthMethod = "client_secret_basic"
	client.Scope = "openid profile email offline_access"
	client.ApplicationType = "web"
	client.Secrets = []dcr.Secret{{Type: dcr.SecretSHA256, Value: "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"}}
	client.RegistrationTokens = []dcr.Secret{{Type: dcr.SecretSHA256, Value: "A6xnQhbz4Vx2HuGl4lXwZ5U2I8iziLRFnhP5eNfIRvQ"}}
	client.CreatedAt = time.Now().UTC()
	client.UpdatedAt = client.CreatedAt
	return client
}

// Level "http": registrations over connections that are kept open.

const body = `{"client_name":"My Dynamic App","redirect_uris":["https://app.example.com/callback"],"grant_types":["authorization_code"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_basic"}`

func registrationServer(store dcr.ClientConfigurationStore) *subject {
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		AllowAnonymous: true,
		Logger:         slog.New(slog.DiscardHandler),
		Validator: dcr.DefaultValidator{Supports: dcr.Capabilities{
			GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
			TokenEndpointAuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		}},
	})
	if err != nil {
		panic(err) // the options are fixed
	}
	return served(handler)
}

// floorServer decodes the same JSON, creates as many random bits and hashes, answers with
// what RFC 7591 §3.2.1 and RFC 7592 §3 require, and validates nothing.
func floorServer(insert inserter) *subject {
	return served(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := make(map[string]any)
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(text, &client)
		}
		id := rand.Text()
		client["client_id"], client["client_id_issued_at"] = id, time.Now().Unix()
		answer := maps.Clone(client)
		answer["client_secret_expires_at"] = 0
		answer["registration_client_uri"] = "https://id.example.com/connect/dcr?client_id=" + id
		for _, name := range []string{"client_secret", "registration_access_token"} {
			bits := make([]byte, 32)
			rand.Read(bits)
			secret := base64.RawURLEncoding.EncodeToString(bits)
			sum := sha256.Sum256([]byte(secret))
			client[name], answer[name] = base64.RawURLEncoding.EncodeToString(sum[:]), secret
		}
		document, failed := json.Marshal(client)
		if err == nil && failed == nil {
			err = insert(r.Context(), id, string(document))
		}
		answered, failed := json.Marshal(answer)
		if err != nil || failed != nil {
			http.Error(w, "failed", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusCreated)
		w.Write(answered)
	}))
}

// served serves handler. Each worker has its own connection.
func served(handler http.Handler) *subject {
	server := httptest.NewServer(handler)
	address := server.Listener.Addr().String()
	request := fmt.Appendf(nil, "POST /connect/dcr HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		address, len(body), body)
	return &subject{close: server.CloseClientConnections, worker: func() (func(context.Context) error, error) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, err
		}
		reader := bufio.NewReader(conn)
		return func(context.Context) error {
			if _, err := conn.Write(request); err != nil {
				return err
			}
			answer, err := http.ReadResponse(reader, nil)
			if err != nil {
				return err
			}
			text, err := io.ReadAll(answer.Body)
			if err == nil && answer.StatusCode != http.StatusCreated {
				err = fmt.Errorf("the server answered %s: %s", answer.Status, text)
			}
			return err
		}, nil
	}}
}

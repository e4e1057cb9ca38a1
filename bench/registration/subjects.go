package main

// The servers that are measured.

import (
	"cmp"
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	_ "modernc.org/sqlite"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/sqlstore"
)

// body is the body of every registration.
const body = `{"client_name":"My Dynamic App","redirect_uris":["https://app.example.com/callback"],"grant_types":["authorization_code"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_basic"}`

// subject is one of the servers.
type subject struct {
	name  string
	about string
	floor string // the server to compare with
	open  func(dir string) (http.Handler, func(), error)

	manages bool // whether it answers GET and PUT

	// process is the command of a peer, which is a separate program. It is nil for
	// the servers of this program.
	process func() *exec.Cmd
}

// subjects are the servers in the order of the report.
var subjects = []subject{
	{"floor", "net/http, encoding/json, two random values, two SHA-256, a map", "floor", openFloor, true, nil},
	{"empty", "net/http and nothing else", "floor", openEmpty, false, nil},
	{"memory", "dcr on memstore", "floor", openMemory, true, nil},
	{"quiet", "dcr on memstore without events", "floor", openQuiet, true, nil},
	{"sqlite-floor", "floor, with one row per request and group commits instead of the map", "sqlite-floor", openSQLiteFloor, false, nil},
	{"sqlite", "dcr on sqlstore with SQLite", "sqlite-floor", openSQLite, false, nil},
	{"node-oidc-provider", "a peer on Node.js, which stores clients in a Map", "floor", nil, true, nodeProvider},
}

func find(name string) *subject {
	for i := range subjects {
		if subjects[i].name == name {
			return &subjects[i]
		}
	}
	return nil
}

// nodeProvider needs a directory in which `npm install oidc-provider` was run.
func nodeProvider() *exec.Cmd {
	return exec.Command("node", "--expose-gc", "registration/node-oidc-provider.mjs", cmp.Or(os.Getenv("DCR_BENCH_NODE"), "."))
}

func subjectNames() (names []string) {
	for _, subject := range subjects {
		names = append(names, subject.name)
	}
	return names
}

// ownNames returns the names of the servers that need only this program.
func ownNames() []string {
	return slices.DeleteFunc(subjectNames(), func(name string) bool { return find(name).process != nil })
}

// newHandler returns the library's handler as an OpenID Connect server would set it up.
func newHandler(store dcr.ClientConfigurationStore, events func(context.Context, dcr.Event)) (http.Handler, error) {
	return dcr.NewHandler(store, &dcr.Options{
		Events:         events,
		Endpoint:       "https://id.example.com/connect/dcr",
		AllowAnonymous: true,
		Logger:         slog.New(slog.NewTextHandler(io.Discard, nil)),
		Validator:      validator,
	})
}

// validator is the policy of an OpenID Connect server.
var validator = dcr.DefaultValidator{
	Supports: dcr.Capabilities{
		GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
		TokenEndpointAuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		Scopes:                   []string{"openid", "profile", "email", "offline_access"},
		IDTokenSigningAlgs:       []string{"RS256"},
	},
	DefaultScopes: []string{"openid", "profile"},
}

func openMemory(string) (http.Handler, func(), error) { return inMemory(nil) }

func openQuiet(string) (http.Handler, func(), error) {
	return inMemory(func(context.Context, dcr.Event) {})
}

func inMemory(events func(context.Context, dcr.Event)) (http.Handler, func(), error) {
	store := memstore.New()
	store.Limit = 1 << 30
	handler, err := newHandler(store, events)
	return handler, func() {}, err
}

func openSQLite(dir string) (http.Handler, func(), error) {
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(dir, "clients.db")))
	if err != nil {
		return nil, nil, err
	}
	store := sqlstore.New(db, sqlstore.SQLite, nil)
	if err := store.Migrate(context.Background()); err != nil {
		return nil, nil, err
	}
	handler, err := newHandler(store, nil)
	return handler, func() { store.Close(); db.Close() }, err
}

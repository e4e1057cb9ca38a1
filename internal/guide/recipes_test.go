package guide

// The code of docs/recipes.md and of the chapters about who and what may register.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
	"github.com/dynreg/dcr/sqlstore"
)

func mcpServer(mux *http.ServeMux, issuer string, clients dcr.ClientConfigurationStore) (published *cimd.Store, err error) {
	server := policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{
		Scopes: []string{"mcp:tools", "offline_access"}, GrantTypes: []string{"authorization_code", "refresh_token"},
		AuthorizationResponseIss: true,
	}})
	published, err = cimd.New(clients, &cimd.Options{
		Issuer: issuer, Validator: server.Validator, Admit: cimd.Hosts("claude.ai", "*.vscode.dev"),
	})
	if err != nil {
		return nil, err
	}
	handler, err := dcr.NewHandler(clients, server.Apply(&dcr.Options{
		Endpoint:       issuer + "/connect/dcr",
		AllowAnonymous: true, // these clients have no token to register with
		MaxClients:     100_000,
		Documents:      published.Advertised,
	}))
	if err != nil {
		return nil, err
	}
	mux.Handle("/connect/dcr", handler)
	mux.Handle("/.well-known/", handler.ServeDiscovery(issuer, map[string]any{
		"authorization_endpoint": issuer + "/authorize",
		"token_endpoint":         issuer + "/token",
	}))
	return published, nil
}

func TestMCP(t *testing.T) {
	mux := http.NewServeMux()
	if _, err := mcpServer(mux, "https://id.example.com", memstore.New()); err != nil {
		t.Fatal(err)
	}
	dcrtest.TestClients(t, dcrtest.At("/connect/dcr", mux))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/oauth-authorization-server", nil))
	for _, want := range []string{`"registration_endpoint":"https://id.example.com/connect/dcr"`, `"client_id_metadata_document_supported":true`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is missing: %s", want, w.Body)
		}
	}
}

func bank(store dcr.ClientConfigurationStore, jwks []byte) (*dcr.Handler, error) {
	tokens := &callerauth.AccessTokenVerifier{Issuer: "https://bank.example.com", Audience: "https://bank.example.com/register"}
	server := dcr.DefaultValidator{Statements: &dcr.StatementVerifier{
		Issuers: map[string]dcr.KeySource{"OpenBanking Ltd": dcr.StaticKeys(jwks)},
	}}
	preset := policy.UKOpenBanking(server, policy.UKBank{Version: "3.3", Audience: []string{"0015800001041RHAAY"}})
	return dcr.NewHandler(store, preset.Apply(&dcr.Options{
		Endpoint:       "https://bank.example.com/register",
		AllowAnonymous: true,                // the statement and the signature say who registers
		Caller:         tokens.Authenticate, // a client manages itself with its own access token
	}))
}

func brasil(store dcr.ClientConfigurationStore, jwks []byte) (http.Handler, error) {
	server := dcr.DefaultValidator{Statements: &dcr.StatementVerifier{
		Issuers: map[string]dcr.KeySource{"Open Banking Open Banking Brasil prod SSA issuer": dcr.StaticKeys(jwks)},
	}}
	preset := policy.OpenFinanceBrasil(server, policy.BrasilBank{})
	handler, err := dcr.NewHandler(store, preset.Apply(&dcr.Options{
		Endpoint:       "https://bank.example.com/register",
		AllowAnonymous: true,
	}))
	if err != nil {
		return nil, err
	}
	return policy.MutualTLS(handler), nil
}

func bankServer(handler http.Handler, authorities *x509.CertPool) *http.Server {
	return &http.Server{Handler: handler, TLSConfig: &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs:  authorities,
	}}
}

func TestBanks(t *testing.T) {
	jwks := []byte(`{"keys":[]}`)
	if _, err := bank(memstore.New(), jwks); err != nil {
		t.Error(err)
	}
	handler, err := brasil(memstore.New(), jwks)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool() // that trusts nobody
	server := httptest.NewUnstartedServer(handler)
	server.TLS = bankServer(handler, authorities).TLSConfig
	server.StartTLS()
	defer server.Close()
	transport := server.Client().Transport.(*http.Transport)
	transport.TLSClientConfig.Certificates = server.TLS.Certificates
	if response, err := server.Client().Get(server.URL); err == nil {
		t.Errorf("a certificate that nobody trusts was accepted: %s", response.Status)
	}
}

// partners need nobody's approval.
func approval(server dcr.DefaultValidator) dcr.Validator {
	return policy.Stack(server, policy.Approval(func(reg *dcr.Registration) bool {
		return reg.Caller != nil && reg.Caller.Issuer == "https://partners.example.com"
	}))
}

func approve(ctx context.Context, store dcr.ClientConfigurationStore, handler *dcr.Handler, operator string) error {
	operations := &admin.Admin{Store: store, Handler: handler, Events: dcr.LogEvents(nil)}
	clients, _, err := operations.List(ctx, dcr.Filter{Status: new(dcr.StatusPending)}, "", 50)
	if err != nil {
		return err
	}
	for _, client := range clients {
		fmt.Println(client.ID, client.ClientName, client.RedirectURIs) // a person looks at it
		if err := operations.Approve(admin.WithOperator(ctx, operator), client.ID, client.Revision); err != nil {
			return err
		}
	}
	return nil
}

func TestApproval(t *testing.T) {
	store := memstore.New()
	h := handler(t, store, &dcr.Caller{Subject: "somebody"}, dcr.Options{Validator: approval(dcr.DefaultValidator{})})
	if status, body := post(h, "", `{"redirect_uris":["https://app.example.com/a"]}`); status != http.StatusCreated || !strings.Contains(body, `"registration_status":"pending"`) {
		t.Error(status, body)
	}
	if err := approve(t.Context(), store, nil, "olga"); err != nil {
		t.Error(err)
	}
	for client, err := range store.ListClients(t.Context(), dcr.Filter{}, "") {
		if err != nil || client.CheckUsable(time.Now()) != nil {
			t.Error(client, err)
		}
	}
}

func pipelines(store interface {
	dcr.ClientConfigurationStore
	dcr.InitialAccessTokenStore
}) (*dcr.Handler, *callerauth.InitialAccessTokens, error) {
	tokens := &callerauth.InitialAccessTokens{Store: store}
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr",
		Caller:   tokens.Authenticate,
		Policies: map[string]dcr.Validator{"pipelines": dcr.DefaultValidator{Supports: dcr.Capabilities{
			GrantTypes: []string{"client_credentials"}, TokenEndpointAuthMethods: []string{"private_key_jwt"}, Scopes: []string{"deploy"},
		}}},
		DisableManagement: true,
	})
	return handler, tokens, err
}

func issue(ctx context.Context, store dcr.InitialAccessTokenStore) error {
	tokens := &callerauth.InitialAccessTokens{Store: store}
	token, stored, err := tokens.Issue(ctx, dcr.InitialAccessToken{
		Subject: "partner", MaxUses: 3, ExpiresAt: time.Now().Add(7 * 24 * time.Hour),
	})
	if err != nil {
		return err
	}
	fmt.Println(token.Reveal()) // printed without Reveal, it is [redacted]
	fmt.Println(stored.Hash)    // for Revoke
	return nil
}

func rotation() *dcr.Options {
	return &dcr.Options{
		SecretLifetime:          90 * 24 * time.Hour,
		RotateSecret:            true,
		RotateRegistrationToken: true,
		RotationGrace:           24 * time.Hour,
	}
}

func TestPipelines(t *testing.T) {
	store := memstore.New()
	h, tokens, err := pipelines(store)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := tokens.Issue(t.Context(), dcr.InitialAccessToken{Policy: "pipelines", Subject: "build", MaxUses: 1})
	if err != nil {
		t.Fatal(err)
	}
	if status, body := post(h, token.Reveal(), `{"grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://build.example.com/jwks"}`); status != http.StatusCreated {
		t.Error(status, body)
	}
	if err := issue(t.Context(), store); err != nil {
		t.Error(err)
	}
	if opts := rotation(); handler(t, store, nil, *opts) == nil {
		t.Error("there is no handler")
	}
}

// tenant makes the handler of one tenant: its own view of the store and its own
// Handler.
func tenant(store *sqlstore.Store, name string, v dcr.Validator) (http.Handler, error) {
	return dcr.NewHandler(store.ForTenant(name), &dcr.Options{
		Endpoint:  "https://" + name + ".example.com/connect/dcr",
		Validator: v,
	})
}

// lasting opens a store in a file.
func lasting(ctx context.Context) (*sqlstore.Store, error) {
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN("clients.db")) // with import _ "modernc.org/sqlite"
	if err != nil {
		return nil, err
	}
	store := sqlstore.New(db, sqlstore.SQLite, nil)
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	return store, nil
}

// mixed lets strangers register agents, and callers with a token anything else.
func mixed(store dcr.ClientConfigurationStore, server dcr.DefaultValidator, token dcr.Plaintext) (*dcr.Handler, error) {
	strangers := policy.MCP(dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"mcp:tools"}}})
	return dcr.NewHandler(store, strangers.Apply(&dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		AllowAnonymous: true,
		Policies:       map[string]dcr.Validator{"staff": server},
		Caller:         callerauth.StaticToken(token, dcr.Caller{Subject: "portal", Policy: "staff"}),
	}))
}

func TestMixed(t *testing.T) {
	server := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"files"}, GrantTypes: []string{"client_credentials"}}}
	h, err := mixed(memstore.New(), server, "0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	for _, registration := range []struct {
		token, body string
		want        int
	}{
		{"", `{"redirect_uris":["http://127.0.0.1/a"]}`, http.StatusCreated},
		{"0123456789abcdef", `{"grant_types":["client_credentials"],"scope":"files"}`, http.StatusCreated},
		{"another token 000", `{"redirect_uris":["http://127.0.0.1/a"]}`, http.StatusUnauthorized},
	} {
		status, body := post(h, registration.token, registration.body)
		if staff := strings.Contains(body, `"scope":"files"`); status != registration.want || staff != (status == http.StatusCreated && registration.token != "") {
			t.Error(registration, status, body)
		}
	}
}

func cached(store dcr.ClientConfigurationStore) dcr.ClientConfigurationStore {
	return cachestore.New(store, &cachestore.Options{TTL: 10 * time.Second})
}

// prefixed is mounted at /connect/dcr, while clients see the proxy's /id/connect/dcr.
func prefixed(store dcr.ClientConfigurationStore, mux *http.ServeMux, guard func(http.Handler) http.Handler) error {
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint:  "https://www.example.com/id/connect/dcr",
		ClientURI: "https://www.example.com/id/connect/dcr/{client_id}",
	})
	if err != nil {
		return err
	}
	mux.Handle("POST /connect/dcr", guard(handler))
	mux.Handle("/connect/dcr", handler)
	mux.Handle("/connect/dcr/{client_id}", handler)
	return nil
}

func TestHosting(t *testing.T) {
	store := memstore.New()
	mux := http.NewServeMux()
	if err := prefixed(store, mux, dcr.Require(callerauth.StaticToken("0123456789abcdef", dcr.Caller{Subject: "x"}))); err != nil {
		t.Fatal(err)
	}
	if status, body := post(mux, "0123456789abcdef", `{"redirect_uris":["https://app.example.com/a"]}`); status != http.StatusCreated || !strings.Contains(body, `"registration_client_uri":"https://www.example.com/id/connect/dcr/`) {
		t.Error(status, body)
	}
	if cached(store) == nil {
		t.Error("there is no cache")
	}
	if _, err := lasting(t.Context()); err == nil {
		t.Error("there is a store without a driver")
	}
	if _, err := tenant(sqlstore.New(new(sql.DB), sqlstore.SQLite, nil), "acme", dcr.DefaultValidator{}); err != nil {
		t.Error(err)
	}
}

package main

// The servers that share the database.

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/sqlstore"
)

const issuer = "https://id.example.com"

// host is one of the servers that share the database.
type host struct {
	db        *sql.DB
	store     *sqlstore.Store
	handler   *dcr.Handler
	published *cimd.Store
	clients   clientauth.Authenticator
	janitor   admin.Janitor
}

// start starts a host.
func (y *year) start(ctx context.Context) (*host, error) {
	db, err := sql.Open(y.database.driver, y.database.dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(workers)
	quiet := slog.New(slog.DiscardHandler)
	h := &host{db: db, store: sqlstore.New(db, y.database.dialect, nil)}
	if err := h.store.Migrate(ctx); err != nil {
		return nil, err
	}
	validator := dcr.DefaultValidator{Supports: dcr.Capabilities{TokenEndpointAuthMethods: []string{"none", "client_secret_basic"}}}
	if h.published, err = cimd.New(h.store, &cimd.Options{
		Issuer: issuer, Admit: cimd.Any, Validator: validator, Fetch: y.publisher.Fetch(), Events: y.tell, Now: y.now, Logger: quiet,
	}); err != nil {
		return nil, err
	}
	if h.handler, err = dcr.NewHandler(h.store, &dcr.Options{
		Endpoint: issuer + "/connect/dcr", AllowAnonymous: true, Validator: validator,
		MaxClients: y.ceiling(), Events: y.tell, Now: y.now, Logger: quiet, Documents: h.published.Advertised,
	}); err != nil {
		return nil, err
	}
	h.clients = clientauth.Authenticator{Store: h.published.Known(), Audience: []string{issuer}, Now: y.now, Logger: quiet}
	h.janitor = admin.Janitor{
		Store: h.store, NeverActivated: 24 * time.Hour, Idle: 90 * 24 * time.Hour, RefreshTokens: 30 * 24 * time.Hour,
		Expired: true, Withdrawn: 3 * 24 * time.Hour, Events: y.tell, Now: y.now,
	}
	return h, nil
}

func (h *host) stop() error { return errors.Join(h.store.Close(), h.db.Close()) }

// credentials are what a client got at registration.
type credentials struct{ id, secret string }

// register posts a registration.
func (h *host) register(ctx context.Context, body string) (*credentials, error) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/connect/dcr", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		return nil, fmt.Errorf("a registration was answered with %d %s", w.Code, w.Body)
	}
	return readCredentials(w.Body.Bytes())
}

// token authenticates a client, as a token endpoint does. That records a use.
func (h *host) token(ctx context.Context, c *credentials) error {
	form := url.Values{"grant_type": {"refresh_token"}}
	if c.secret == "" {
		form.Set("client_id", c.id)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/connect/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.secret != "" {
		r.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
	}
	_, err := h.clients.Authenticate(r)
	return err
}

// login logs in with a client that publishes its metadata, at the authorization endpoint
// and at the token endpoint. The first touches the client, because another host may get
// the code.
func (h *host) login(ctx context.Context, clientID string, now time.Time) error {
	if _, err := h.published.FindByClientID(ctx, clientID); err != nil {
		return err
	}
	if err := h.published.TouchClient(ctx, clientID, now); err != nil {
		return err
	}
	return h.token(ctx, &credentials{id: clientID})
}

// publish starts the publisher of some clients' metadata.
func (y *year) publish() {
	y.publisher = dcrtest.NewPublisher(&y.cleanup)
	for i := range y.settings.documents {
		y.publisher.Publish(documentPath(i), fmt.Appendf(nil, `{"client_name":"Published %d","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`, i))
	}
}

func documentPath(i int) string { return fmt.Sprintf("/client-%d.json", i) }

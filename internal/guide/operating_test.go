package guide

// The code of docs/operating.md and of the pages that it leads to.

import (
	"context"
	"errors"
	"iter"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/sqlstore"
)

type trail []dcr.Event

func (t *trail) Add(event dcr.Event) { *t = append(*t, event) }

func auditOf(logger *slog.Logger, audit *trail, opts *dcr.Options) {
	log := dcr.LogEvents(logger)
	opts.Events = func(ctx context.Context, event dcr.Event) {
		log(ctx, event)
		audit.Add(event)
	}
}

func TestTheAudit(t *testing.T) {
	var opts dcr.Options
	var audit trail
	auditOf(slog.New(slog.DiscardHandler), &audit, &opts)
	post(handler(t, memstore.New(), &dcr.Caller{Subject: "x"}, opts), "", `{"redirect_uris":["https://app.example.com/a"]}`)
	if len(audit) != 1 || audit[0].Kind != dcr.ClientRegistered {
		t.Error(audit)
	}
}

func janitorOf(ctx context.Context, store dcr.ClientConfigurationStore, endGrants func(context.Context, *dcr.Client) error, sink func(context.Context, dcr.Event)) {
	janitor := &admin.Janitor{
		Store:          store,
		NeverActivated: 24 * time.Hour,
		Idle:           90 * 24 * time.Hour,
		RefreshTokens:  30 * 24 * time.Hour,
		Expired:        true,
		Withdrawn:      30 * 24 * time.Hour,
		AfterDelete:    endGrants,
		Events:         sink,
	}
	go func() { log.Print("janitor: ", janitor.Run(ctx)) }()
}

func janitorOfTenants(store *sqlstore.Store) *admin.Janitor {
	return &admin.Janitor{
		Expired: true,
		Stores: func(ctx context.Context) iter.Seq2[dcr.ClientConfigurationStore, error] {
			return func(yield func(dcr.ClientConfigurationStore, error) bool) {
				for tenant, err := range store.Tenants(ctx) {
					if !yield(store.ForTenant(tenant), err) {
						return
					}
				}
			}
		},
	}
}

type session struct{ User string }

func (s session) Has(role string) bool { return s.User != "" }

type sessionStore struct{}

func (sessionStore) Of(r *http.Request) session { return session{r.Header.Get("X-User")} }

func pagesOf(mux *http.ServeMux, operations *admin.Admin, sessions sessionStore) error {
	pages, err := admin.NewHandler(operations, &admin.PageOptions{
		Path: "/admin/clients/",
		Operator: func(r *http.Request) (string, error) {
			session := sessions.Of(r)
			if !session.Has("operator") {
				return "", errors.New("not an operator")
			}
			return session.User, nil
		},
	})
	if err != nil {
		return err
	}
	mux.Handle("/admin/clients/", pages)
	return nil
}

func limitOf(opts *dcr.Options) {
	opts.Admit = callerauth.RateLimit(10, 20, 10_000, func(r *http.Request, caller *dcr.Caller) string {
		address, _, _ := net.SplitHostPort(r.RemoteAddr)
		return address
	})
}

var closed atomic.Bool

func switchOf(opts *dcr.Options) {
	opts.Open = func(context.Context) bool { return !closed.Load() } // a flag that all hosts read
}

func TestTheSwitch(t *testing.T) {
	var opts dcr.Options
	switchOf(&opts)
	h := handler(t, memstore.New(), &dcr.Caller{Subject: "x"}, opts)
	for _, shut := range []bool{false, true, false} {
		closed.Store(shut)
		status, _ := post(h, "", `{"redirect_uris":["https://app.example.com/a"]}`)
		if _, told := h.Discovery(t.Context())["registration_endpoint"]; told == shut || (status == http.StatusForbidden) != shut {
			t.Errorf("closed %t: status %d, in discovery %t", shut, status, told)
		}
	}
}

func sealAgain(ctx context.Context, store interface {
	dcr.ClientConfigurationStore
	dcr.ClientLister
}, current, old []byte) error {
	sealer, err := dcr.NewAESSealer(current, old) // the first one seals, all of them open
	if err != nil {
		return err
	}
	for client, err := range store.ListClients(ctx, dcr.Filter{}, "") {
		if err != nil {
			return err
		}
		sealed := 0
		for i, secret := range client.Secrets {
			if secret.Type != dcr.SecretSealed {
				continue
			}
			plain, err := sealer.Open(secret.Value, client.ID)
			if err != nil {
				return err
			}
			if client.Secrets[i].Value, err = sealer.Seal(plain, client.ID); err != nil {
				return err
			}
			sealed++
		}
		if sealed > 0 {
			if err := store.Update(ctx, client); err != nil {
				return err // after dcr.ErrConflict, run it again
			}
		}
	}
	return nil
}

func TestSealingAgain(t *testing.T) {
	store, old, current := memstore.New(), []byte("0123456789abcdef0123456789abcdef"), []byte("fedcba9876543210fedcba9876543210")
	sealer := func(keys ...[]byte) dcr.Sealer {
		sealer, err := dcr.NewAESSealer(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return sealer
	}
	status, _ := post(handler(t, store, &dcr.Caller{Subject: "x"}, dcr.Options{Sealer: sealer(old), SealAllSecrets: true}), "", `{"redirect_uris":["https://app.example.com/a"]}`)
	if err := sealAgain(t.Context(), store, current, old); err != nil || status != http.StatusCreated {
		t.Fatal(status, err)
	}
	for client, err := range store.ListClients(t.Context(), dcr.Filter{}, "") {
		if err != nil {
			t.Fatal(err)
		}
		secrets, err := client.OpenSecrets(sealer(current), time.Now())
		if err != nil || len(secrets) != 1 {
			t.Errorf("with only the new key: %d secrets, %v", len(secrets), err)
		}
	}
}

func checksOf(mux *http.ServeMux, store dcr.ClientConfigurationStore) {
	mux.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if _, err := dcr.FindStored(ctx, store, "readyz"); !errors.Is(err, dcr.ErrClientNotFound) {
			http.Error(w, "the store cannot be reached", http.StatusServiceUnavailable)
		}
	})
}

// unreachable is a store in an outage.
type unreachable struct{ dcr.ClientConfigurationStore }

func (unreachable) FindByClientID(context.Context, string) (*dcr.Client, error) {
	return nil, errors.New("connection refused")
}

func TestHealthChecks(t *testing.T) {
	for _, test := range []struct {
		sentence string
		store    dcr.ClientConfigurationStore
		path     string
		want     int
	}{
		{"a server is ready if its store answers", memstore.New(), "/readyz", http.StatusOK},
		{"a server is not ready in an outage", unreachable{}, "/readyz", http.StatusServiceUnavailable},
		{"a server lives on in an outage", unreachable{}, "/livez", http.StatusOK},
	} {
		mux, w := http.NewServeMux(), httptest.NewRecorder()
		checksOf(mux, test.store)
		if mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, test.path, nil)); w.Code != test.want {
			t.Errorf("%s: %s answers %d", test.sentence, test.path, w.Code)
		}
	}
}

func TestOperating(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	store := memstore.New()
	janitorOf(ctx, store, nil, nil)
	if janitorOfTenants(nil).Stores == nil {
		t.Error("there are no stores")
	}
	if err := pagesOf(http.NewServeMux(), &admin.Admin{Store: store}, sessionStore{}); err != nil {
		t.Error(err)
	}
	var opts dcr.Options
	limitOf(&opts)
	limited := handler(t, store, &dcr.Caller{Subject: "x"}, opts)
	last := 0
	for range 21 {
		last, _ = post(limited, "", `{"redirect_uris":["https://app.example.com/a"]}`)
	}
	if last != http.StatusTooManyRequests {
		t.Error(last)
	}
}

func explain(ctx context.Context, handler *dcr.Handler, body []byte) (*dcr.Decision, error) {
	decision, err := handler.Explain(ctx, "", body) // "" is Options.Validator; err is the server's fault
	return decision, err
}

// known is a client in a server's own table.
type known struct {
	ID, Name, BcryptHash, Scope string
	RedirectURIs                []string
	SendsPKCE                   bool
	CreatedAt                   time.Time
}

func importOne(ctx context.Context, store dcr.ClientConfigurationStore, old known) error {
	client := dcr.NewClient() // with the defaults of every setting
	client.ID = old.ID
	client.ClientName = old.Name
	client.RedirectURIs = old.RedirectURIs
	client.GrantTypes = []string{"authorization_code", "refresh_token"}
	client.ResponseTypes = []string{"code"}
	client.Scope = old.Scope           // the most that it may be granted
	client.AllowOfflineAccess = true   // lets it refresh
	client.RequirePKCE = old.SendsPKCE // true by default
	client.TokenEndpointAuthMethod = "client_secret_basic"
	client.Secrets = []dcr.Secret{{Type: dcr.SecretBcrypt, Value: old.BcryptHash}}
	client.Source = "import-2026"
	client.CreatedAt = old.CreatedAt
	if err := store.Add(ctx, client); err != nil && !errors.Is(err, dcr.ErrClientExists) {
		return err
	}
	return nil
}

func TestImporting(t *testing.T) {
	store := memstore.New()
	for range 2 {
		if err := importOne(t.Context(), store, known{ID: "old", Scope: "read", RedirectURIs: []string{"https://app.example.com/a"}}); err != nil {
			t.Error(err)
		}
	}
	client, err := store.FindByClientID(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	granted, err := client.CheckAuthorization(dcr.AuthorizationRequest{RedirectURI: "https://app.example.com/a", ResponseType: "code", Scopes: []string{"read"}}, time.Now())
	if err != nil || len(granted.Scopes) != 1 || !client.HasGrant("refresh_token") {
		t.Error("an imported client cannot go on as before: ", granted, err)
	}
	h := handler(t, store, nil, dcr.Options{AllowAnonymous: true})
	if decision, err := explain(t.Context(), h, []byte(`{}`)); err != nil || decision.Status != http.StatusBadRequest {
		t.Error(decision, err)
	}
}

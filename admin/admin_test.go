package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/memstore"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// sink keeps the events that it gets.
type sink struct {
	mu     sync.Mutex
	events []dcr.Event
}

func (s *sink) tell(_ context.Context, event dcr.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, event)
}

// take returns the events since the last call.
func (s *sink) take() []dcr.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.events
	s.events = nil
	return told
}

// busy is a store of the tenant acme in which someone else changes a client right
// before some of the updates and deletions.
type busy struct {
	*memstore.Store
	others int
}

func (*busy) Tenant() string { return "acme" }

func (b *busy) interfere(ctx context.Context, id string) {
	if b.others > 0 {
		b.others--
		client, _ := b.Store.FindByClientID(ctx, id)
		client.Notes += "."
		b.Store.Update(ctx, client)
	}
}

func (b *busy) Update(ctx context.Context, client *dcr.Client) error {
	b.interfere(ctx, client.ID)
	return b.Store.Update(ctx, client)
}

func (b *busy) DeleteRevision(ctx context.Context, id string, revision int64) error {
	b.interfere(ctx, id)
	return b.Store.DeleteRevision(ctx, id, revision)
}

// office is an operator's workplace: a store with one client, and the events
// and calls of hooks.
type office struct {
	*admin.Admin
	store   *busy
	client  *dcr.Client
	told    sink
	deleted []string
}

func newOffice(t *testing.T, change func(*dcr.Client)) *office {
	t.Helper()
	o := &office{store: &busy{Store: memstore.New()}}
	o.Admin = &admin.Admin{
		Store: o.store, Events: o.told.tell, Now: func() time.Time { return noon },
		AfterDelete: func(_ context.Context, client *dcr.Client) error {
			o.deleted = append(o.deleted, client.ID)
			return nil
		},
	}
	o.client = dcr.NewClient()
	o.client.ID, o.client.Source, o.client.CreatedAt = "calc", dcr.SourceDynamic, noon
	o.client.TokenEndpointAuthMethod, o.client.Secrets = "client_secret_basic", []dcr.Secret{dcr.HashSecret("the old one")}
	if change != nil {
		change(o.client)
	}
	if err := o.store.Add(t.Context(), o.client); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) status(t *testing.T) dcr.Status {
	t.Helper()
	client, err := o.store.FindByClientID(t.Context(), o.client.ID)
	if errors.Is(err, dcr.ErrClientNotFound) {
		return "gone"
	}
	if err != nil {
		t.Fatal(err)
	}
	return client.Status
}

func has(status dcr.Status) func(*dcr.Client) {
	return func(c *dcr.Client) { c.Status = status }
}

func TestDecisions(t *testing.T) {
	document := func(c *dcr.Client) {
		c.ID, c.Source, c.Status = "https://a.example/client", dcr.SourceDocument, dcr.StatusPending
	}
	approve := func(ctx context.Context, o *office) error { return o.Approve(ctx, o.client.ID, o.client.Revision) }
	deny := func(ctx context.Context, o *office) error { return o.Deny(ctx, o.client.ID, o.client.Revision) }
	disable := func(ctx context.Context, o *office) error { return o.Disable(ctx, o.client.ID) }
	enable := func(ctx context.Context, o *office) error { return o.Enable(ctx, o.client.ID) }
	remove := func(ctx context.Context, o *office) error { return o.Delete(ctx, o.client.ID) }
	for _, c := range []struct {
		sentence string
		client   func(*dcr.Client)
		act      func(context.Context, *office) error
		others   int // number of changes in between
		fails    bool
		is       error // an error that it wraps
		status   dcr.Status
		kind     dcr.EventKind // "" means no event
		reason   string
	}{
		{"a pending client is approved", has(dcr.StatusPending), approve, 0, false, nil, dcr.StatusActive, dcr.ClientApproved, ""},
		{"a client that changed since it was seen is not approved", has(dcr.StatusPending), approve, 1, true, dcr.ErrConflict, dcr.StatusPending, "", ""},
		{"an active client needs no approval", nil, approve, 0, false, nil, dcr.StatusActive, "", ""},
		{"approval does not enable", has(dcr.StatusDisabled), approve, 0, false, nil, dcr.StatusDisabled, "", ""},
		{"a denied client is deleted", has(dcr.StatusPending), deny, 0, false, nil, "gone", dcr.ClientDeleted, "denied"},
		{"a denied document is kept, disabled", document, deny, 0, false, nil, dcr.StatusDisabled, dcr.ClientDisabled, "denied"},
		{"a client that changed since it was seen is not denied", has(dcr.StatusPending), deny, 1, true, dcr.ErrConflict, dcr.StatusPending, "", ""},
		{"an active client is not denied", nil, deny, 0, true, nil, dcr.StatusActive, "", ""},
		{"a client is disabled whatever changes in the meantime", nil, disable, 3, false, nil, dcr.StatusDisabled, dcr.ClientDisabled, ""},
		{"a disabled client is already disabled", has(dcr.StatusDisabled), disable, 0, false, nil, dcr.StatusDisabled, "", ""},
		{"a pending client cannot be disabled", has(dcr.StatusPending), disable, 0, true, nil, dcr.StatusPending, "", ""},
		{"a client is enabled whatever changes in the meantime", has(dcr.StatusDisabled), enable, 3, false, nil, dcr.StatusActive, dcr.ClientEnabled, ""},
		{"a pending client cannot be enabled", has(dcr.StatusPending), enable, 0, true, nil, dcr.StatusPending, "", ""},
		{"a client is deleted whatever changes in the meantime", nil, remove, 3, false, nil, "gone", dcr.ClientDeleted, ""},
		{"with endless changes it gives up", nil, disable, 1000, true, dcr.ErrConflict, dcr.StatusActive, "", ""},
		{"and so does a deletion", nil, remove, 1000, true, dcr.ErrConflict, dcr.StatusActive, "", ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			o := newOffice(t, c.client)
			o.store.others = c.others
			err := c.act(admin.WithOperator(t.Context(), "olga"), o)
			if (err != nil) != c.fails || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("it returned %v", err)
			}
			if status := o.status(t); status != c.status {
				t.Errorf("the status is %q, want %q", status, c.status)
			}
			if gone := c.status == "gone"; gone != slices.Equal(o.deleted, []string{o.client.ID}) {
				t.Errorf("AfterDelete was told of %q", o.deleted)
			}
			events := o.told.take()
			if c.kind == "" {
				if len(events) > 0 {
					t.Errorf("told %+v", events)
				}
				return
			}
			if len(events) != 1 {
				t.Fatalf("told %+v", events)
			}
			event := events[0]
			if event.Kind != c.kind || event.Reason != c.reason || event.Operator != "olga" || event.ClientID != o.client.ID || event.Tenant != "acme" || event.Source != o.client.Source || !event.At.Equal(noon) {
				t.Errorf("told %+v", event)
			}
		})
	}
}

func TestOfNobody(t *testing.T) {
	o := newOffice(t, nil)
	for name, act := range map[string]func() error{
		"Approve": func() error { return o.Approve(t.Context(), "nobody", 1) },
		"Deny":    func() error { return o.Deny(t.Context(), "nobody", 1) },
		"Disable": func() error { return o.Disable(t.Context(), "nobody") },
		"Enable":  func() error { return o.Enable(t.Context(), "nobody") },
		"Delete":  func() error { return o.Delete(t.Context(), "nobody") },
		"RotateSecret": func() error {
			_, err := o.RotateSecret(t.Context(), "nobody", time.Hour)
			return err
		},
	} {
		if err := act(); !errors.Is(err, dcr.ErrClientNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if events := o.told.take(); len(events) > 0 {
		t.Errorf("told %+v", events)
	}
}

func TestRotateSecret(t *testing.T) {
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", Logger: slog.New(slog.DiscardHandler),
		SecretLifetime: 48 * time.Hour, Now: func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sentence string
		handler  *dcr.Handler
		grace    time.Duration
		old      time.Duration // how long the old secret is valid
		fresh    time.Duration // how long the new one is, 0 means forever
	}{
		{"both are valid for a while", nil, time.Hour, time.Hour, 0},
		{"the old one may end immediately", nil, 0, 0, 0},
		{"a secret is made as the Handler's options say", handler, time.Hour, time.Hour, 48 * time.Hour},
	} {
		o := newOffice(t, nil)
		o.Handler, o.store.others = c.handler, 3
		secret, err := o.RotateSecret(t.Context(), "calc", c.grace)
		if err != nil {
			t.Fatalf("%s: %v", c.sentence, err)
		}
		client, err := o.store.FindByClientID(t.Context(), "calc")
		if err != nil {
			t.Fatal(err)
		}
		valid := func(presented string, at time.Duration, want bool) {
			t.Helper()
			if client.VerifySecret(presented, noon.Add(at)) != want {
				t.Errorf("%s: %q is valid after %v: %v", c.sentence, presented, at, !want)
			}
		}
		valid("the old one", c.old-time.Second, c.old > 0)
		valid("the old one", c.old, false)
		valid(secret.Reveal(), 0, true)
		valid(secret.Reveal(), 49*time.Hour, c.fresh == 0)
		if events := o.told.take(); len(events) != 1 || events[0].Kind != dcr.CredentialsRotated || !slices.Equal(events[0].Members, []string{"client_secret"}) {
			t.Errorf("%s: told %+v", c.sentence, events)
		}
	}
	for sentence, change := range map[string]func(*dcr.Client){
		"a public client needs none":                      func(c *dcr.Client) { c.TokenEndpointAuthMethod = "none" },
		"a symmetric algorithm needs a Sealer":            func(c *dcr.Client) { c.TokenEndpointAuthMethod = "client_secret_jwt" },
		"a policy that no longer exists makes no secrets": func(c *dcr.Client) { c.Policy = "gone" },
	} {
		o := newOffice(t, change)
		if secret, err := o.RotateSecret(t.Context(), "calc", time.Hour); err == nil || secret != "" {
			t.Errorf("%s: %v", sentence, err)
		}
		if kept, _ := o.store.FindByClientID(t.Context(), "calc"); kept.Revision != o.client.Revision {
			t.Errorf("%s: the client was changed", sentence)
		}
	}
}

func TestDenyDocument(t *testing.T) {
	const url = "https://a.example/client"
	of := func(source dcr.Source, status dcr.Status) func(*dcr.Client) {
		return func(c *dcr.Client) { c.ID, c.Source, c.Status = url, source, status }
	}
	for _, c := range []struct {
		sentence string
		client   func(*dcr.Client)
		url      string
		told     bool
		fails    bool
	}{
		{"an unknown document", nil, url, true, false},
		{"one in use", of(dcr.SourceDocument, dcr.StatusActive), url, true, false},
		{"a pending one", of(dcr.SourceDocument, dcr.StatusPending), url, true, false},
		{"one that is already denied", of(dcr.SourceDocument, dcr.StatusDisabled), url, false, false},
		{"the id of a client of the host", of("", dcr.StatusActive), url, false, true},
		{"something that is not a URL", nil, "calc", false, true},
		{"an http URL", nil, "http://a.example/client", false, true},
		{"only a host", nil, "https://a.example", false, true},
		{"a URL with a fragment", nil, "https://a.example/client#a", false, true},
		{"a URL with a space", nil, "https://a.example/cli ent", false, true},
		{"a URL with a user name", nil, "https://a@a.example/client", false, true},
		{"a scheme in capitals", nil, "HTTPS://a.example/client", false, true},
		{"a URL that no store accepts", nil, "https://a.example/\x00", false, true},
	} {
		o := newOffice(t, c.client)
		o.store.others = 2
		if c.client == nil {
			o.store.others = 0
		}
		err := o.DenyDocument(t.Context(), c.url)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", c.sentence, err)
		}
		events := o.told.take()
		if (len(events) == 1) != c.told || c.told && (events[0].Kind != dcr.ClientDisabled || events[0].Reason != "denied" || events[0].ClientID != url || events[0].Source != dcr.SourceDocument) {
			t.Errorf("%s: told %+v", c.sentence, events)
		}
		if client, err := o.store.FindByClientID(t.Context(), url); !c.fails && (err != nil || client.Status != dcr.StatusDisabled || client.Source != dcr.SourceDocument || client.CreatedAt.IsZero()) {
			t.Errorf("%s: stored is %+v, %v", c.sentence, client, err)
		}
	}
}

func TestList(t *testing.T) {
	o := newOffice(t, nil)
	later := o.client.Clone()
	later.ID, later.CreatedAt = "later", noon.Add(time.Hour)
	if err := o.store.Add(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	first, cursor, err := o.List(t.Context(), dcr.Filter{}, "", 1)
	if err != nil || len(first) != 1 || first[0].ID != "later" || cursor == "" {
		t.Fatalf("the first page is %v, %q, %v", first, cursor, err)
	}
	second, cursor, err := o.List(t.Context(), dcr.Filter{}, cursor, 1)
	if err != nil || len(second) != 1 || second[0].ID != "calc" || cursor != "" {
		t.Errorf("the second page is %v, %q, %v", second, cursor, err)
	}
	o.Admin.Store = plain{o.store}
	if _, _, err := o.List(t.Context(), dcr.Filter{}, "", 1); err == nil {
		t.Error("a store that cannot list lists")
	}
}

// plain is a store without capabilities.
type plain struct{ dcr.ClientConfigurationStore }

func TestDeleteWhatItCan(t *testing.T) {
	o := newOffice(t, nil)
	o.Admin.Store = plain{o.store}
	behind := errors.New("the grants stay")
	o.Admin.AfterDelete = func(context.Context, *dcr.Client) error { return behind }
	o.Admin.Events = func(context.Context, dcr.Event) { panic("the sink overflows") }
	if err := o.Delete(t.Context(), "calc"); !errors.Is(err, behind) {
		t.Errorf("Delete returned %v", err)
	}
	if o.status(t) != "gone" {
		t.Error("the client still exists")
	}
}

// An error of AfterDelete is returned as it is, even one that a store could return, and
// AfterDelete runs once.
func TestDeleteReturnsTheErrorOfAfterDelete(t *testing.T) {
	for _, behind := range []error{dcr.ErrConflict, dcr.ErrClientNotFound, errors.New("the grants stay")} {
		o := newOffice(t, nil)
		ran := 0
		o.Admin.AfterDelete = func(context.Context, *dcr.Client) error {
			ran++
			return behind
		}
		if err := o.Delete(t.Context(), "calc"); !errors.Is(err, behind) || !strings.Contains(err.Error(), "is deleted") || ran != 1 {
			t.Errorf("Delete returned %v, and AfterDelete ran %d times", err, ran)
		}
	}
}

// An error of Options.NewClientSecret is returned as it is, and the hook runs once. The page
// does not say that the client has changed, or that there is none.
func TestRotateSecretReturnsTheErrorOfTheHook(t *testing.T) {
	for _, behind := range []error{dcr.ErrConflict, dcr.ErrClientNotFound, errors.New("the vault is closed")} {
		o := newOffice(t, nil)
		ran := 0
		handler, err := dcr.NewHandler(o.store, &dcr.Options{
			Endpoint: "https://id.example.com/register", Logger: slog.New(slog.DiscardHandler),
			NewClientSecret: func(context.Context, *dcr.Registration) (dcr.Plaintext, dcr.Secret, error) {
				ran++
				return "", dcr.Secret{}, behind
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		o.Admin.Handler = handler
		if _, err := o.RotateSecret(t.Context(), "calc", time.Hour); !errors.Is(err, behind) || !strings.Contains(err.Error(), "no secret was made") || ran != 1 {
			t.Errorf("RotateSecret returned %v, and the hook ran %d times", err, ran)
		}
	}
}

package cimd_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

const issuer = "https://id.example.com"

const app = `{"client_name":"App","redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"none"}`

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a server, the publishers of its clients, and time.
type world struct {
	*clock
	t         testing.TB
	publisher *dcrtest.Publisher
	inside    *memstore.Store
	store     *cimd.Store

	mu     sync.Mutex
	events []dcr.Event
}

// newWorld makes a server that admits every publisher of the tests.
func newWorld(t *testing.T, change func(*cimd.Options)) *world {
	t.Helper()
	w := &world{clock: newClock(), t: t, publisher: dcrtest.NewPublisher(t), inside: memstore.New()}
	w.store = w.host(change)
	return w
}

// host makes another host on the same store.
func (w *world) host(change func(*cimd.Options)) *cimd.Store {
	w.t.Helper()
	opts := &cimd.Options{
		Issuer: issuer, Admit: cimd.Hosts(w.publisher.Host()), Fetch: w.publisher.Fetch(), Now: w.Now,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Events: func(_ context.Context, event dcr.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, event)
		},
	}
	opts.Fetch.Timeout = 2 * time.Second
	if change != nil {
		change(opts)
	}
	store, err := cimd.New(w.inside, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return store
}

// happened returns the events of a kind, and forgets them all.
func (w *world) happened(kind dcr.EventKind) (found []dcr.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, event := range w.events {
		if event.Kind == kind {
			found = append(found, event)
		}
	}
	w.events = nil
	return found
}

// use notes a use of a client, which stores its row.
func (w *world) use(id string) {
	w.t.Helper()
	if err := w.store.TouchClient(w.t.Context(), id, w.Now()); err != nil {
		w.t.Fatal(err)
	}
}

// find returns the result of a lookup: "ok", the rule that refused, or
// "unavailable".
func find(t testing.TB, store dcr.ClientConfigurationStore, id string) string {
	t.Helper()
	client, err := store.FindByClientID(t.Context(), id)
	if err == nil && client.ID != id {
		t.Fatalf("found %q, not %q", client.ID, id)
	}
	return outcome(t, err)
}

func outcome(t testing.TB, err error) string {
	t.Helper()
	refused := (*dcr.Error)(nil)
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, cimd.ErrUnavailable):
		if errors.Is(err, dcr.InvalidClient) || errors.Is(err, dcr.ErrClientNotFound) {
			t.Errorf("an outage is taken for a refusal: %v", err)
		}
		return "unavailable"
	case errors.Is(err, dcr.ErrClientNotFound):
		return "not found"
	case errors.As(err, &refused):
		if refused.Code == dcr.InvalidClient && refused.Status != 401 {
			t.Errorf("the status is %d", refused.Status)
		}
		return refused.Rule
	}
	t.Fatalf("%v", err)
	return ""
}

// mustFind returns a client.
func mustFind(t testing.TB, store dcr.ClientConfigurationStore, id string) *dcr.Client {
	t.Helper()
	client, err := store.FindByClientID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// rows counts the clients in the store inside.
func (w *world) rows() int64 {
	w.t.Helper()
	count, err := w.inside.CountClients(w.t.Context(), dcr.Filter{})
	if err != nil {
		w.t.Fatal(err)
	}
	return count
}

func wantOutcome(t testing.TB, sentence, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", sentence, got, want)
	}
}

// admits returns an Admit that fails with *err if it is not nil.
func admits(err *error) func(context.Context, *url.URL) (string, error) {
	return func(context.Context, *url.URL) (string, error) { return "", *err }
}

package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/telemetry"
)

// reader reads measurements.
type reader struct {
	*sdk.ManualReader
	meter metric.Meter
}

func newReader() *reader {
	manual := sdk.NewManualReader()
	return &reader{manual, sdk.NewMeterProvider(sdk.WithReader(manual)).Meter("test")}
}

// read collects the value of each series, as "instrument{attributes}", or the count of a
// histogram. It also returns the error of the collection.
func (r *reader) read(t testing.TB) (map[string]int64, error) {
	t.Helper()
	var all metricdata.ResourceMetrics
	err := r.Collect(t.Context(), &all)
	read := make(map[string]int64)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			note := func(attributes attribute.Set, value int64) {
				read[m.Name+"{"+attributes.Encoded(attribute.DefaultEncoder())+"}"] = value
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					note(point.Attributes, point.Value)
				}
			case metricdata.Gauge[int64]:
				for _, point := range data.DataPoints {
					note(point.Attributes, point.Value)
				}
			case metricdata.Histogram[float64]:
				for _, point := range data.DataPoints {
					note(point.Attributes, int64(point.Count))
				}
			}
		}
	}
	return read, err
}

// wants checks the values of some series.
func (r *reader) wants(t testing.TB, want map[string]int64) {
	t.Helper()
	got, err := r.read(t)
	if err != nil {
		t.Error(err)
	}
	for series, value := range want {
		if got[series] != value {
			t.Errorf("%s is %d, want %d; all series: %v", series, got[series], value, got)
		}
	}
}

// A handler, a janitor and documents increase the counters of their events.
func TestWhatHappensIsCounted(t *testing.T) {
	r := newReader()
	store := memstore.New()
	sink, err := telemetry.New(r.meter, store)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", AllowAnonymous: true, MaxClients: 2, Events: sink,
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	register := func(redirect string, want int) {
		t.Helper()
		q := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["`+redirect+`"]}`))
		q.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, q)
		if w.Code != want {
			t.Fatalf("got %d %s, want %d", w.Code, w.Body, want)
		}
	}
	register("http://app.example.com/callback", 400)
	for range 2 {
		register("https://app.example.com/callback", 201)
	}
	register("https://app.example.com/callback", 503)
	now = now.Add(25 * time.Hour)
	register("https://app.example.com/callback", 201) // replaces another client
	for _, target := range []string{"/connect/dcr?client_id=nobody", "/connect/dcr"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", target, nil)) // not a registration
	}
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/connect/dcr?a=%", nil))
	r.wants(t, map[string]int64{
		"dcr.registrations{outcome=registered}":                      3,
		"dcr.registrations{outcome=refused,rule=redirect_uris.kind}": 1,
		"dcr.registrations{outcome=refused,rule=store.full}":         1,
		"dcr.ceiling.refusals{}":                                     1,
		"dcr.removed_clients{kind=evicted,reason=ceiling}":           1,
		"dcr.stored_clients{source=dynamic,state=never_activated}":   2,
		"dcr.registrations{outcome=refused,rule=query.malformed}":    1,
		"dcr.registrations{outcome=refused,rule=token.missing}":      0,
		"dcr.registrations{outcome=refused,rule=method}":             0,
	})
	janitor := admin.Janitor{Store: store, NeverActivated: 24 * time.Hour, EvenIfNoneActivated: true, Events: sink, Now: func() time.Time { return now.Add(48 * time.Hour) }}
	if swept, err := janitor.Sweep(t.Context()); err != nil || swept != 2 {
		t.Fatalf("swept %d, %v", swept, err)
	}
	for _, event := range []dcr.Event{
		{Kind: dcr.DocumentFetched},
		{Kind: dcr.DocumentChanged},
		{Kind: dcr.DocumentFetched, Reason: "status_403"},
		{Kind: dcr.DocumentFetched, Reason: "document.missing"},
		{Kind: dcr.DocumentRefused, Reason: "document.missing", Err: &dcr.Error{Rule: "document.missing"}},
	} {
		sink(t.Context(), event)
	}
	r.wants(t, map[string]int64{
		"dcr.removed_clients{kind=swept,reason=never_activated}":   2,
		"dcr.document.fetches{outcome=fetched}":                    1,
		"dcr.document.fetches{outcome=status_403}":                 1,
		"dcr.document.fetches{outcome=document.missing}":           1,
		"dcr.document.answers{kind=received}":                      1,
		"dcr.document.answers{kind=changed}":                       1,
		"dcr.document.answers{kind=unavailable}":                   1,
		"dcr.document.answers{kind=refused,rule=document.missing}": 1,
	})
}

// The number of series is bounded, however many rules a host's validator has.
func TestRulesAreBounded(t *testing.T) {
	r := newReader()
	sink, err := telemetry.New(r.meter, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		sink(t.Context(), dcr.Event{Kind: dcr.RequestRefused, Source: dcr.SourceDynamic, Err: &dcr.Error{Rule: fmt.Sprint("rule.", i)}})
		sink(t.Context(), dcr.Event{Kind: dcr.ClientSwept, Reason: fmt.Sprint("reason", i), ClientID: fmt.Sprint(i), Tenant: fmt.Sprint(i), Caller: &dcr.Caller{Subject: fmt.Sprint(i)}})
	}
	got, err := r.read(t)
	if err != nil || len(got) > 2*257 {
		t.Errorf("%d series for two thousand events (%v)", len(got), err)
	}
	if others := got["dcr.registrations{outcome=refused,rule=other}"]; others != 1000-256 {
		t.Errorf("%d others", others)
	}
}

// Registrations with many faulty members hide neither an outage nor the limit on clients.
func TestNoRegistrationHidesAnOutage(t *testing.T) {
	r := newReader()
	sink, err := telemetry.New(r.meter, nil)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(refused dcr.Error) {
		sink(t.Context(), dcr.Event{Kind: dcr.RequestRefused, Source: dcr.SourceDynamic, Err: &refused})
	}
	for i := range 1000 {
		refuse(dcr.Error{Rule: fmt.Sprintf("member%d.type", i), Member: fmt.Sprint("member", i)})
	}
	for i := range 100 {
		refuse(dcr.Error{Rule: fmt.Sprint("rule.", i)})
	}
	refuse(dcr.Error{Rule: "store.full"})
	refuse(dcr.Error{Rule: "member0.type", Member: "member0"})
	r.wants(t, map[string]int64{
		"dcr.registrations{outcome=refused,rule=member0.type}":   2,
		"dcr.registrations{outcome=refused,rule=member191.type}": 1,
		"dcr.registrations{outcome=refused,rule=rule.63}":        1,
		"dcr.registrations{outcome=refused,rule=other}":          1000 - 192 + 100 - 64 + 1,
		"dcr.ceiling.refusals{}":                                 1,
	})
}

// countedStore counts the calls of CountClients, which may fail or hang.
type countedStore struct {
	*memstore.Store
	asked int
	err   error
	hang  chan struct{}
}

func (s *countedStore) CountClients(ctx context.Context, filter dcr.Filter) (int64, error) {
	if filter == (dcr.Filter{}) {
		s.asked++
		if s.hang != nil {
			select {
			case <-s.hang:
			case <-ctx.Done():
			}
		}
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.Store.CountClients(ctx, filter)
}

func TestStoredClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		store := &countedStore{Store: memstore.New()}
		if _, err := telemetry.New(r.meter, store); err != nil {
			t.Fatal(err)
		}
		add := func(id string, source dcr.Source, status dcr.Status, used bool) {
			t.Helper()
			client := dcr.NewClient()
			client.ID, client.Source, client.Status, client.CreatedAt = id, source, status, time.Now()
			if used {
				client.Touch(time.Now())
			}
			if err := store.Add(t.Context(), client); err != nil {
				t.Fatal(err)
			}
		}
		add("a", dcr.SourceDynamic, dcr.StatusActive, true)
		add("b", dcr.SourceDynamic, dcr.StatusActive, false)
		add("c", dcr.SourceDynamic, dcr.StatusActive, false)
		add("d", dcr.SourceDynamic, dcr.StatusDisabled, false)
		add("e", dcr.SourceDocument, dcr.StatusPending, false)
		add("f", "imported", dcr.StatusActive, true)
		add("g", "", dcr.StatusDisabled, true)
		want := map[string]int64{
			"dcr.stored_clients{source=dynamic,state=active}":           1,
			"dcr.stored_clients{source=dynamic,state=never_activated}":  2,
			"dcr.stored_clients{source=dynamic,state=disabled}":         1,
			"dcr.stored_clients{source=dynamic,state=pending}":          0,
			"dcr.stored_clients{source=document,state=pending}":         1,
			"dcr.stored_clients{source=document,state=never_activated}": 0,
			"dcr.stored_clients{source=other,state=active}":             1,
			"dcr.stored_clients{source=other,state=disabled}":           1,
		}
		r.wants(t, want)

		add("h", dcr.SourceDynamic, dcr.StatusActive, true)
		time.Sleep(59 * time.Second)
		r.wants(t, want)
		if store.asked != 1 {
			t.Errorf("asked %d times within a minute", store.asked)
		}

		// If the store hangs, a collection does not, and the last numbers stay.
		time.Sleep(time.Second)
		store.hang = make(chan struct{})
		begun := time.Now()
		r.wants(t, want)
		if waited := time.Since(begun); waited > time.Second {
			t.Errorf("a collection waited for %v", waited)
		}
		close(store.hang)
		synctest.Wait()
		want["dcr.stored_clients{source=dynamic,state=active}"] = 2
		r.wants(t, want)

		// If the store fails, there are no numbers and an error until it answers again.
		time.Sleep(2 * time.Minute)
		store.err = errors.New("the disk is full")
		got, err := r.read(t)
		if err == nil || !strings.Contains(err.Error(), "the disk is full") || len(got) != 0 {
			t.Errorf("a store that fails: %v, %v", got, err)
		}
		store.err = nil
		time.Sleep(2 * time.Minute)
		r.wants(t, want)
	})
}

// bareStore has no capabilities.
type bareStore struct{ dcr.ClientConfigurationStore }

func TestAStoreThatCannotCountIsRefused(t *testing.T) {
	if _, err := telemetry.New(newReader().meter, bareStore{memstore.New()}); err == nil || !strings.Contains(err.Error(), "ClientCounter") {
		t.Errorf("got %v", err)
	}
}

func TestStore(t *testing.T) {
	dcrtest.TestStore(t, func(t *testing.T) dcr.ClientConfigurationStore {
		store, err := telemetry.Store(newReader().meter, memstore.New())
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
}

// A store has the capabilities of the inner store, and no others.
func TestCapabilities(t *testing.T) {
	meter := newReader().meter
	whole, err := telemetry.Store(meter, tenantStore{memstore.New()})
	if err != nil {
		t.Fatal(err)
	}
	bare, err := telemetry.Store(meter, bareStore{memstore.New()})
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		name    string
		has     func(dcr.ClientConfigurationStore) bool
		missing bool // whether the store around tenantStore lacks it
	}{
		{"RevisionDeleter", has[dcr.RevisionDeleter], false},
		{"ClientLister", has[dcr.ClientLister], false},
		{"RecentClientLister", has[dcr.RecentClientLister], false},
		{"ClientCounter", has[dcr.ClientCounter], false},
		{"ClientToucher", has[dcr.ClientToucher], false},
		{"DocumentNoter", has[dcr.DocumentNoter], false},
		{"ConsentNoter", has[dcr.ConsentNoter], false},
		{"ClientSweeper", has[dcr.ClientSweeper], false},
		{"ClientEvictor", has[dcr.ClientEvictor], false},
		{"StatementFinder", has[dcr.StatementFinder], false},
		{"InitialAccessTokenStore", has[dcr.InitialAccessTokenStore], false},
		{"InitialAccessTokenLister", has[dcr.InitialAccessTokenLister], false},
		{"ReplayStore", has[dcr.ReplayStore], false},
		{"ReplayForgetter", has[dcr.ReplayForgetter], false},
		{"ClientViewer", has[dcr.ClientViewer], true}, // tenantStore embeds one, so it is not one itself
		{"ClientLimiter", has[dcr.ClientLimiter], false},
		{"Tenant", has[interface{ Tenant() string }], false},
		{"a capability that no store has", has[interface{ Nobody() }], true},
	} {
		if of.has(whole) == of.missing {
			t.Errorf("around a store with %s: %v", of.name, !of.missing)
		}
		if of.has(bare) {
			t.Errorf("a store around one without %s has it", of.name)
		}
	}
}

func has[T any](store dcr.ClientConfigurationStore) bool {
	_, ok := dcr.StoreAs[T](store)
	return ok
}

type tenantStore struct{ *memstore.Store }

func (tenantStore) Tenant() string { return "acme" }

func TestStoreIsMeasured(t *testing.T) {
	r := newReader()
	store, err := telemetry.Store(r.meter, memstore.New())
	if err != nil {
		t.Fatal(err)
	}
	client := dcr.NewClient()
	client.ID = "a"
	ctx := t.Context()
	clients := func() int {
		lister, _ := dcr.StoreAs[dcr.ClientLister](store)
		var ids []string
		for client := range lister.ListClients(ctx, dcr.Filter{}, "") {
			ids = append(ids, client.ID)
			break
		}
		return len(slices.Compact(ids))
	}
	deleter, _ := dcr.StoreAs[dcr.RevisionDeleter](store)
	failed := []error{
		store.Add(ctx, client), store.Add(ctx, client), store.Update(ctx, client),
		deleter.DeleteRevision(ctx, "a", client.Revision-1),
	}
	if _, err := dcr.FindStored(ctx, store, "a"); err != nil {
		t.Error(err)
	}
	if _, err := store.(dcr.ClientViewer).ViewClient(ctx, "a"); err != nil {
		t.Error(err)
	}
	if _, err := store.FindByClientID(ctx, "nobody"); !errors.Is(err, dcr.ErrClientNotFound) || clients() != 1 {
		t.Errorf("the store answers %v", failed)
	}
	store.Delete(ctx, "a")
	r.wants(t, map[string]int64{
		"dcr.store.duration{operation=add,outcome=ok}":          1,
		"dcr.store.duration{operation=add,outcome=exists}":      1,
		"dcr.store.duration{operation=update,outcome=ok}":       1,
		"dcr.store.duration{operation=delete,outcome=conflict}": 1,
		"dcr.store.duration{operation=delete,outcome=ok}":       1,
		"dcr.store.duration{operation=find,outcome=not_found}":  1,
		"dcr.store.duration{operation=find,outcome=ok}":         2,
		"dcr.store.duration{operation=list,outcome=ok}":         1,
	})
}

// The time that the loop over a listing takes is not measured.
func TestAListingIsMeasuredWithoutItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		inside := memstore.New()
		client := dcr.NewClient()
		client.ID = "a"
		if err := inside.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		store, err := telemetry.Store(r.meter, inside)
		if err != nil {
			t.Fatal(err)
		}
		lister, _ := dcr.StoreAs[dcr.ClientLister](store)
		for range lister.ListClients(t.Context(), dcr.Filter{}, "") {
			time.Sleep(time.Hour)
		}
		var all metricdata.ResourceMetrics
		if err := r.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		point := all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64]).DataPoints[0]
		if point.Sum != 0 || point.Count != 1 {
			t.Errorf("%d listings took %v s", point.Count, point.Sum)
		}
	})
}

// broken is a store that panics.
type broken struct{ *memstore.Store }

func (broken) FindByClientID(context.Context, string) (*dcr.Client, error) { panic("broken") }

func (broken) Update(context.Context, *dcr.Client) error { panic("broken") }

func (broken) TouchClient(context.Context, string, time.Time) error { panic("broken") }

func (b broken) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	return func(yield func(*dcr.Client, error) bool) {
		for client, err := range b.Store.ListClients(ctx, filter, after) {
			if !yield(client, err) {
				return
			}
		}
		panic("broken")
	}
}

// A call that panics counts as an outage. A panic in the loop over a listing does not.
func TestPanicsAreMeasured(t *testing.T) {
	for sentence, c := range map[string]struct {
		call   func(ctx context.Context, store dcr.ClientConfigurationStore)
		series string
	}{
		"a find":    {func(ctx context.Context, store dcr.ClientConfigurationStore) { store.FindByClientID(ctx, "a") }, "operation=find,outcome=error"},
		"an update": {func(ctx context.Context, store dcr.ClientConfigurationStore) { store.Update(ctx, dcr.NewClient()) }, "operation=update,outcome=error"},
		"a touch": {func(ctx context.Context, store dcr.ClientConfigurationStore) {
			toucher, _ := dcr.StoreAs[dcr.ClientToucher](store)
			toucher.TouchClient(ctx, "a", time.Now())
		}, "operation=touch,outcome=error"},
		"a listing": {func(ctx context.Context, store dcr.ClientConfigurationStore) {
			lister, _ := dcr.StoreAs[dcr.ClientLister](store)
			for range lister.ListClients(ctx, dcr.Filter{}, "") {
			}
		}, "operation=list,outcome=error"},
		"the loop over a listing": {func(ctx context.Context, store dcr.ClientConfigurationStore) {
			lister, _ := dcr.StoreAs[dcr.ClientLister](store)
			for range lister.ListClients(ctx, dcr.Filter{}, "") {
				panic("the caller")
			}
		}, "operation=list,outcome=ok"},
	} {
		r := newReader()
		inside := memstore.New()
		client := dcr.NewClient()
		client.ID = "a"
		if err := inside.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		store, err := telemetry.Store(r.meter, broken{inside})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not panic", sentence)
				}
			}()
			c.call(t.Context(), store)
		}()
		r.wants(t, map[string]int64{"dcr.store.duration{" + c.series + "}": 1})
	}
}

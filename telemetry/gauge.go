package telemetry

// How many clients are stored.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/dynreg/dcr"
)

const (
	countEvery = time.Minute
	maxCount   = time.Minute // the longest that a count may take
	maxWait    = time.Second // the longest that a collection waits for a count
)

// registerGauge registers the gauge of stored clients.
func registerGauge(meter metric.Meter, store dcr.ClientConfigurationStore) error {
	counter, ok := dcr.StoreAs[dcr.ClientCounter](store)
	if !ok {
		return errors.New("telemetry: New: the store is not a ClientCounter, so it cannot count its clients; use one that is, or nil for no gauge")
	}
	g := &gauge{counter: counter}
	_, err := meter.Int64ObservableGauge("dcr.stored_clients", metric.WithUnit("{client}"),
		metric.WithDescription("Stored clients."), metric.WithInt64Callback(g.observe))
	return err
}

// gauge has the results of the last count.
type gauge struct {
	counter dcr.ClientCounter

	mu       sync.Mutex
	asked    time.Time
	counting chan struct{} // closed at the end of the current count; nil if there is none
	counted  []count
	err      error
}

// count is the number of clients with one source and one state.
type count struct {
	clients int64
	of      metric.MeasurementOption
}

// observe is the gauge's callback. If the last count failed, it observes nothing and
// returns the error, which the SDK reports.
func (g *gauge) observe(ctx context.Context, to metric.Int64Observer) error {
	if counting := g.begin(ctx); counting != nil {
		wait := time.NewTimer(maxWait)
		defer wait.Stop()
		select {
		case <-counting:
		case <-wait.C:
		case <-ctx.Done():
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, some := range g.counted {
		to.Observe(some.clients, some.of)
	}
	return g.err
}

// begin begins a count if one is due, and returns the channel of the current count.
func (g *gauge) begin(ctx context.Context) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.counting == nil && (g.asked.IsZero() || now.Sub(g.asked) >= countEvery) {
		g.asked, g.counting = now, make(chan struct{})
		go g.count(context.WithoutCancel(ctx))
	}
	return g.counting
}

func (g *gauge) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxCount)
	defer cancel()
	var counted []count
	var err error
	defer func() {
		// If the store panics, only the gauge fails, not the program.
		if panicked := recover(); panicked != nil {
			counted, err = nil, fmt.Errorf("telemetry: the store panicked: %v", panicked)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		close(g.counting)
		g.counting, g.counted, g.err = nil, counted, err
	}()
	counted, err = g.ask(ctx)
}

// states has the number of clients in each state. An active client that was never used
// counts as never_activated, not as active.
type states struct{ active, neverActivated, pending, disabled int64 }

func (s states) less(others states) states {
	return states{s.active - others.active, s.neverActivated - others.neverActivated, s.pending - others.pending, s.disabled - others.disabled}
}

// ask counts the clients. All sources of the host's own count as one, because there may
// be any number of them.
func (g *gauge) ask(ctx context.Context) ([]count, error) {
	dynamic, document := dcr.SourceDynamic, dcr.SourceDocument
	all, err := g.states(ctx, dcr.Filter{})
	if err != nil {
		return nil, err
	}
	registered, err := g.states(ctx, dcr.Filter{Source: &dynamic})
	if err != nil {
		return nil, err
	}
	published, err := g.states(ctx, dcr.Filter{Source: &document})
	if err != nil {
		return nil, err
	}
	var counted []count
	for _, of := range []struct {
		source string
		states
	}{{"dynamic", registered}, {"document", published}, {"other", all.less(registered).less(published)}} {
		for _, in := range []struct {
			state   string
			clients int64
		}{{"active", of.active}, {"never_activated", of.neverActivated}, {"pending", of.pending}, {"disabled", of.disabled}} {
			counted = append(counted, count{max(0, in.clients), // clients may be added and deleted during the count
				metric.WithAttributes(attribute.String("source", of.source), attribute.String("state", in.state))})
		}
	}
	return counted, nil
}

// states counts the clients that filter selects by their states.
func (g *gauge) states(ctx context.Context, filter dcr.Filter) (of states, err error) {
	total, err := g.counter.CountClients(ctx, filter)
	if err != nil || total == 0 {
		return states{}, err
	}
	for status, clients := range map[dcr.Status]*int64{dcr.StatusPending: &of.pending, dcr.StatusDisabled: &of.disabled, dcr.StatusActive: &of.neverActivated} {
		filter.Status, filter.NeverActivated = &status, status == dcr.StatusActive
		if *clients, err = g.counter.CountClients(ctx, filter); err != nil {
			return states{}, err
		}
	}
	of.active = total - of.neverActivated - of.pending - of.disabled
	return of, nil
}

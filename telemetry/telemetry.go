// Package telemetry counts what happens to clients, as OpenTelemetry metrics.
//
//	dcr.registrations     counter    outcome: registered, refused; rule of a refusal
//	dcr.stored_clients    gauge      source: dynamic, document, other; state: active, never_activated, pending, disabled
//	dcr.ceiling.refusals  counter    registrations refused because the store was full
//	dcr.removed_clients   counter    kind: swept, evicted; reason
//	dcr.document.fetches  counter    outcome: fetched, or why it failed
//	dcr.document.answers  counter    kind: received, changed, refused, unavailable; rule of a refusal
//	dcr.store.duration    histogram  seconds; operation; outcome: ok, not_found, exists, conflict, full, used_up, invalid_id, canceled, error
//
// No attribute names a client, a caller or a tenant. A host's own validator may add
// rules and reasons, but at most 256 of each are distinguished, of which at most 192
// rules are about members; all others are "other".
// To distinguish tenants, give each its own meter with
// metric.WithInstrumentationAttributes.
package telemetry

import (
	"cmp"
	"context"
	"strings"

	"go.opentelemetry.io/otel/metric"

	"github.com/dynreg/dcr"
)

// New returns a function for Options.Events that counts events, and registers the
// gauge of stored clients. The gauge asks store at most once a minute. A collection
// waits for the answer for at most a second, and until then the gauge has the last
// numbers. If store is nil, there is no gauge; if store is not a [dcr.ClientCounter],
// New returns an error. To use your own function too, call both.
//
// Call New once for each meter and store: the gauges of several stores on one meter
// would overwrite each other.
func New(meter metric.Meter, store dcr.ClientConfigurationStore) (func(ctx context.Context, event dcr.Event), error) {
	var made maker
	c := &counters{
		registrations: made.counter(meter, "dcr.registrations", "{registration}", "Answered registrations."),
		ceiling:       made.counter(meter, "dcr.ceiling.refusals", "{registration}", "Registrations refused because the store was full."),
		removed:       made.counter(meter, "dcr.removed_clients", "{client}", "Swept or evicted clients."),
		fetches:       made.counter(meter, "dcr.document.fetches", "{fetch}", "Fetches of metadata documents."),
		answers:       made.counter(meter, "dcr.document.answers", "{answer}", "Results of reading metadata documents."),
	}
	if made.err != nil {
		return nil, made.err
	}
	if store != nil {
		if err := registerGauge(meter, store); err != nil {
			return nil, err
		}
	}
	return c.tell, nil
}

// maker creates instruments, and keeps the first error.
type maker struct{ err error }

func (m *maker) counter(meter metric.Meter, name, unit, description string) series {
	counter, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.err = cmp.Or(m.err, err)
	return series{counter: counter}
}

// counters are the instruments for events.
type counters struct {
	registrations, ceiling, removed, fetches, answers series

	rules, reasons values
}

// tell counts an event.
func (c *counters) tell(ctx context.Context, event dcr.Event) {
	switch event.Kind {
	case dcr.ClientRegistered:
		c.registrations.add(ctx, label{"outcome", "registered"})
	case dcr.RequestRefused:
		if event.ClientID != "" || event.Source != dcr.SourceDynamic { // not a registration
			return
		}
		c.registrations.add(ctx, label{"outcome", "refused"}, c.rule(event.Err))
		if event.Err != nil && event.Err.Rule == "store.full" {
			c.ceiling.add(ctx)
		}
	case dcr.ClientSwept, dcr.ClientEvicted:
		c.removed.add(ctx, label{"kind", string(event.Kind)}, label{"reason", c.reasons.bounded(event.Reason, maxValues)})
	case dcr.DocumentFetched:
		c.fetches.add(ctx, label{"outcome", c.reasons.bounded(cmp.Or(event.Reason, "fetched"), maxValues)})
		if event.Reason == "" {
			c.answers.add(ctx, label{"kind", "received"})
		} else if !strings.Contains(event.Reason, ".") { // a rule is counted as a refusal
			c.answers.add(ctx, label{"kind", "unavailable"})
		}
	case dcr.DocumentChanged:
		c.answers.add(ctx, label{"kind", "changed"})
	case dcr.DocumentRefused:
		c.answers.add(ctx, label{"kind", "refused"}, c.rule(event.Err))
	}
}

// rule returns the rule of a refusal, or its code if it has no rule.
func (c *counters) rule(refused *dcr.Error) label {
	if refused == nil {
		return label{"rule", "other"}
	}
	most := maxValues
	if refused.Member != "" {
		most = maxMemberRules
	}
	return label{"rule", c.rules.bounded(cmp.Or(refused.Rule, string(refused.Code), "other"), most)}
}

// series is a counter and the attributes that were used with it.
type series struct {
	counter metric.Int64Counter
	labels  labels
}

func (s *series) add(ctx context.Context, labels ...label) {
	s.counter.Add(ctx, 1, s.labels.of(labels...))
}

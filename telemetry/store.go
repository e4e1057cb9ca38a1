package telemetry

// How long the store takes.

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/dynreg/dcr"
)

// Store returns a store that measures the duration of each call of store. It has the
// same optional capabilities as store: those of package dcr are measured, others are
// passed on unchanged. The time of a listing does not include the caller's loop; the
// time of a sweep includes its hooks. A call that panics counts as an error.
//
// Put it directly around the store that keeps the clients, and put caches around it.
func Store(meter metric.Meter, store dcr.ClientConfigurationStore) (dcr.ClientConfigurationStore, error) {
	duration, err := meter.Float64Histogram("dcr.store.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of the calls of the store."),
		metric.WithExplicitBucketBoundaries(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	if err != nil {
		return nil, err
	}
	made := &measured{store, stopwatch{duration, new(labels)}}
	if viewer, ok := dcr.StoreAs[dcr.ClientViewer](store); ok { // StoreAs does not look for it in wrappers
		return &viewing{made, made, viewer}, nil
	}
	return made, nil
}

// stopwatch measures calls.
type stopwatch struct {
	duration metric.Float64Histogram
	labels   *labels
}

// errPanicked is the result of a call that panics.
var errPanicked = errors.New("telemetry: the store panicked")

// measure calls do, and records how long it took.
func (w stopwatch) measure(ctx context.Context, operation string, do func() error) error {
	begun, result := time.Now(), errPanicked
	defer func() { w.note(ctx, operation, time.Since(begun), result) }()
	result = do()
	return result
}

func (w stopwatch) note(ctx context.Context, operation string, took time.Duration, err error) {
	w.duration.Record(ctx, took.Seconds(), w.labels.of(label{"operation", operation}, label{"outcome", outcome(err)}))
}

// outcomes are the errors that are not outages.
var outcomes = []struct {
	err  error
	name string
}{
	{dcr.ErrClientNotFound, "not_found"},
	{dcr.ErrTokenNotFound, "not_found"},
	{dcr.ErrClientID, "invalid_id"},
	{dcr.ErrClientExists, "exists"},
	{dcr.ErrConflict, "conflict"},
	{dcr.ErrStoreFull, "full"},
	{dcr.ErrTokenUsedUp, "used_up"},
	{context.Canceled, "canceled"},
}

// outcome returns the attribute for the result of a call. An error that is not in
// outcomes is an outage, and so is a panic.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	for _, known := range outcomes {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	return "error"
}

// measured is a store whose calls are measured.
type measured struct {
	inside dcr.ClientConfigurationStore
	stopwatch
}

func (s *measured) Add(ctx context.Context, client *dcr.Client) error {
	return s.measure(ctx, "add", func() error { return s.inside.Add(ctx, client) })
}

func (s *measured) FindByClientID(ctx context.Context, clientID string) (client *dcr.Client, err error) {
	err = s.measure(ctx, "find", func() error {
		client, err = s.inside.FindByClientID(ctx, clientID)
		return err
	})
	return client, err
}

func (s *measured) FindStored(ctx context.Context, clientID string) (*dcr.Client, error) {
	return result(ctx, s.stopwatch, "find", func() (*dcr.Client, error) { return dcr.FindStored(ctx, s.inside, clientID) })
}

func (s *measured) Update(ctx context.Context, client *dcr.Client) error {
	return s.measure(ctx, "update", func() error { return s.inside.Update(ctx, client) })
}

func (s *measured) Delete(ctx context.Context, clientID string) error {
	return s.measure(ctx, "delete", func() error { return s.inside.Delete(ctx, clientID) })
}

// viewing is a measured store that shows clients.
type viewing struct {
	dcr.ClientConfigurationStore // all
	all                          *measured
	viewer                       dcr.ClientViewer
}

func (s *viewing) ViewClient(ctx context.Context, clientID string) (*dcr.Client, error) {
	return result(ctx, s.all.stopwatch, "find", func() (*dcr.Client, error) { return s.viewer.ViewClient(ctx, clientID) })
}

func (s *viewing) FindStored(ctx context.Context, clientID string) (*dcr.Client, error) {
	return s.all.FindStored(ctx, clientID)
}

// As is how [dcr.StoreAs] finds the optional capabilities.
func (s *viewing) As(target any) bool { return dcr.StoreInto(s.all, target) }

package telemetry_test

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/telemetry"
)

// measure returns a handler that measures its store, and that counts and logs events.
func measure(clients dcr.ClientConfigurationStore, logger *slog.Logger, opts *dcr.Options) (*dcr.Handler, error) {
	meter := otel.Meter("id.example.com")
	store, err := telemetry.Store(meter, clients)
	if err != nil {
		return nil, err
	}
	count, err := telemetry.New(meter, store)
	if err != nil {
		return nil, err
	}
	log := dcr.LogEvents(logger)
	opts.Events = func(ctx context.Context, event dcr.Event) {
		log(ctx, event)
		count(ctx, event)
	}
	return dcr.NewHandler(store, opts)
}

// This example is a server that measures its store, and that counts and logs events.
func Example() {
	handler, err := measure(memstore.New(), slog.New(slog.DiscardHandler), &dcr.Options{Endpoint: "https://id.example.com/connect/dcr"})
	fmt.Println(handler.Endpoint(), err)
	// Output:
	// https://id.example.com/connect/dcr <nil>
}

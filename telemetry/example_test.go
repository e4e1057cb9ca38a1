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

// A server that measures its store, and counts what happens besides logging it.
func Example() {
	meter := otel.Meter("id.example.com")
	store, err := telemetry.Store(meter, memstore.New())
	if err != nil {
		fmt.Println(err)
		return
	}
	count, err := telemetry.New(meter, store)
	if err != nil {
		fmt.Println(err)
		return
	}
	logger := slog.New(slog.DiscardHandler)
	log := dcr.LogEvents(logger)
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr",
		Logger:   logger,
		Events: func(ctx context.Context, event dcr.Event) {
			log(ctx, event)
			count(ctx, event)
		},
	})
	fmt.Println(handler.Endpoint(), err)
	// Output:
	// https://id.example.com/connect/dcr <nil>
}

package dcr_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/memstore"
)

// A server whose token endpoint touches the clients that it authenticates lets
// those go that nobody uses.
func Example_operating() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	store := memstore.New()
	janitor := &admin.Janitor{
		Store:          store,
		NeverActivated: 24 * time.Hour,
		Idle:           90 * 24 * time.Hour,
		RefreshTokens:  30 * 24 * time.Hour,
		Expired:        true,
	}
	go janitor.Run(ctx)

	fmt.Println(janitor.Sweep(ctx)) // once more, by hand
	// Output:
	// 0 <nil>
}

// A sink of the host's own beside the log: it is called in the request, after what
// happened, and cannot undo it.
func ExampleOptions_events() {
	logger := slog.New(slog.DiscardHandler)
	log := dcr.LogEvents(logger)
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		AllowAnonymous: true,
		Logger:         logger,
		Events: func(ctx context.Context, event dcr.Event) {
			log(ctx, event)
			switch event.Kind {
			case dcr.ClientRegistered:
				fmt.Println(event.Kind, event.Source)
			case dcr.RequestRefused:
				fmt.Println(event.Kind, event.Err.Rule)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, redirect := range []string{"https://app.example.com/callback", "http://app.example.com/callback"} {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["`+redirect+`"]}`))
		r.Header.Set("Content-Type", "application/json")
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// registered dynamic
	// refused redirect_uris.kind
}

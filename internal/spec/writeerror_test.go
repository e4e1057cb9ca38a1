package spec_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// loudest keeps the highest level at which anything was logged.
type loudest struct {
	slog.Handler
	level slog.Level
}

func (l *loudest) Enabled(context.Context, slog.Level) bool { return true }

func (l *loudest) Handle(_ context.Context, record slog.Record) error {
	l.level = max(l.level, record.Level)
	return nil
}

func TestOnlyAClientThatGoesAwayIsNoOutage(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, end := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer end()
	for _, c := range []struct {
		sentence string
		ctx      context.Context
		found    error // what the store says
		want     slog.Level
	}{
		{"if the client went away, it is nobody's fault", gone, fmt.Errorf("find: %w", context.Canceled), slog.LevelDebug},
		{"a broken store is an outage, even if the client went away", gone, errors.New("connection refused"), slog.LevelError},
		{"a store that gave up while the client waits is an outage", t.Context(), context.Canceled, slog.LevelError},
		{"a store that is slower than the host allows is an outage", late, context.DeadlineExceeded, slog.LevelError},
		{"a client that does not exist is a fault of the registrant", gone, dcr.ErrClientNotFound, slog.LevelInfo},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			logged := &loudest{level: slog.LevelDebug}
			handler := newHandler(t, &faulty{find: c.found}, dcr.Options{Logger: slog.New(logged)})
			logged.level = slog.LevelDebug // ignore what was logged at the start
			request := httptest.NewRequest(http.MethodGet, "/connect/dcr?client_id=a", nil).WithContext(c.ctx)
			request.Header.Set("Authorization", "Bearer token")
			handler.ServeHTTP(httptest.NewRecorder(), request)
			if logged.level != c.want {
				t.Errorf("logged at %v, want %v", logged.level, c.want)
			}
		})
	}
}

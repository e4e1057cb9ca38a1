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

// loudest keeps the highest level that anything was logged at.
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
		{"a client that went away is nobody's fault", gone, fmt.Errorf("find: %w", context.Canceled), slog.LevelDebug},
		{"a broken store is an outage, whoever waits for it", gone, errors.New("connection refused"), slog.LevelError},
		{"a store that gave up while the client waits is an outage", t.Context(), context.Canceled, slog.LevelError},
		{"a store that is slower than the host allows is an outage", late, context.DeadlineExceeded, slog.LevelError},
		{"a client that does not exist is the registrant's", gone, dcr.ErrClientNotFound, slog.LevelInfo},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			logged := &loudest{level: slog.LevelDebug}
			handler := newHandler(t, &faulty{find: c.found}, dcr.Options{Logger: slog.New(logged)})
			logged.level = slog.LevelDebug // what the start said is not asked for
			request := httptest.NewRequest(http.MethodGet, "/connect/dcr?client_id=a", nil).WithContext(c.ctx)
			request.Header.Set("Authorization", "Bearer token")
			handler.ServeHTTP(httptest.NewRecorder(), request)
			if logged.level != c.want {
				t.Errorf("logged at %v, want %v", logged.level, c.want)
			}
		})
	}
}

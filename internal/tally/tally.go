// Package tally logs events that strangers can cause as often as they like: the
// first one immediately, then at most one line a minute, with the number of
// events.
package tally

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	every    = time.Minute
	maxLines = 256 // kinds that are distinguished
)

// Tally remembers what was logged lately. The zero value is ready to use.
type Tally struct {
	mu    sync.Mutex
	lines map[string]*line
}

// line is one kind of event.
type line struct {
	logged time.Time
	unsaid int // number of events since then
}

// Log logs an event of the given kind, or only counts it. A line that stands
// for several events has their number as "times".
func (t *Tally) Log(ctx context.Context, logger *slog.Logger, level slog.Level, kind, message string, args ...any) {
	if times := t.count(kind); times > 1 {
		logger.Log(ctx, level, message, append(args, "times", times)...)
	} else if times == 1 {
		logger.Log(ctx, level, message, args...)
	}
}

// count counts an event, and returns for how many events to log a line; 0 means
// no line.
func (t *Tally) count(kind string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines == nil {
		t.lines = make(map[string]*line)
	}
	if t.lines[kind] == nil && len(t.lines) >= maxLines {
		kind = "others"
	}
	l := t.lines[kind]
	if l == nil {
		l = &line{}
		t.lines[kind] = l
	}
	now := time.Now()
	l.unsaid++
	if !l.logged.IsZero() && now.Sub(l.logged) < every {
		return 0
	}
	times := l.unsaid
	l.logged, l.unsaid = now, 0
	return times
}

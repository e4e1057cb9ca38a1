// Package tally logs what strangers can make happen as often as they like: the
// first time at once, then at most once a minute, with how often it happened.
package tally

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	every    = time.Minute
	maxLines = 256 // kinds that are told apart
)

// Tally is what was logged of late. The zero value is ready to use.
type Tally struct {
	mu    sync.Mutex
	lines map[string]*line
}

// line is one kind of event.
type line struct {
	logged time.Time
	unsaid int // how often since then
}

// Log logs an event of the given kind, or only counts it. A line that stands
// for several has their number as "times".
func (t *Tally) Log(ctx context.Context, logger *slog.Logger, level slog.Level, kind, message string, args ...any) {
	if times := t.count(kind); times > 1 {
		logger.Log(ctx, level, message, append(args, "times", times)...)
	} else if times == 1 {
		logger.Log(ctx, level, message, args...)
	}
}

// count counts an event, and returns for how many a line is due; 0 for none.
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

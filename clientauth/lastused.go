package clientauth

// When a client was last used, which sweeps depend on.

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/lru"
)

const (
	touchEvery = time.Minute
	maxTouches = 4096 // clients whose last touch is remembered
)

// touches are the times when this host last touched each client. The store, or a
// cache in front of it, may return an older time.
type touches struct {
	mu   sync.Mutex
	last *lru.Cache[string, time.Time]
}

// due reports whether it is time to touch the client. Of concurrent calls, one
// gets true.
func (t *touches) due(clientID string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		t.last = lru.New[string, time.Time](maxTouches)
	}
	if last, known := t.last.Get(clientID); known && now.Sub(last) <= touchEvery {
		return false
	}
	t.last.Put(strings.Clone(clientID), now) // it may be a part of the client as it is stored
	return true
}

func (t *touches) forget(clientID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last.Delete(clientID)
}

// touch notes the use of a client that was last used a while ago. If the store
// fails, the client is not refused.
func (a *Authenticator) touch(ctx context.Context, client *dcr.Client) {
	now := a.now()
	if !client.LastUsedAt.IsZero() && now.Sub(client.LastUsedAt) <= touchEvery {
		return
	}
	store, ok := dcr.StoreAs[dcr.ClientToucher](a.Store)
	if !ok || !a.touches.due(client.ID, now) {
		return
	}
	if err := store.TouchClient(ctx, client.ID, now); err != nil {
		a.touches.forget(client.ID)
		if !errors.Is(err, dcr.ErrClientNotFound) {
			logger := a.Logger
			if logger == nil {
				logger = slog.Default()
			}
			logger.WarnContext(ctx, "the use of a client was not noted", "client_id", client.ID, "error", err)
		}
	}
}

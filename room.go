package dcr

// The room for one more client under Options.MaxClients, and which client is
// evicted for it.

import (
	"context"
	"errors"
	"time"
)

const defaultEvictAfter = 24 * time.Hour

// bounded reports whether something bounds the number of stored clients.
func (h *Handler) bounded() bool {
	limiter, limits := StoreAs[ClientLimiter](h.store)
	return h.opts.MaxClients > 0 || limits && limiter.ClientLimit() > 0
}

// checkEviction refuses an EvictAfter that would have no effect.
func (o *Options) checkEviction(store ClientConfigurationStore) error {
	if o.EvictAfter <= 0 {
		return nil
	}
	if o.MaxClients <= 0 {
		return errors.New("Options.EvictAfter says which clients make room at MaxClients, which is not set; set MaxClients, or leave EvictAfter at zero")
	}
	if _, evicts := StoreAs[ClientEvictor](store); !evicts {
		return errors.New("Options.EvictAfter needs a store that is a ClientEvictor, which this one is not; use one that is, or leave EvictAfter at zero, so that no client is evicted")
	}
	return nil
}

// room is the [Allowance] of a place under Options.MaxClients.
type room struct {
	handler  *Handler
	now      time.Time
	giveBack func()
}

// Take takes a free place, or that of a client that was never used. If there is
// none, its error says so and when the next one may become free.
func (r *room) Take(ctx context.Context) error {
	ceiling := &r.handler.ceiling
	giveBack, ok, err := ceiling.Take(ctx, r.now)
	if err != nil {
		return outage(err)
	}
	if ok {
		r.giveBack = giveBack
		return nil
	}
	giveBack, kept, over := ceiling.Replace()
	next, evicted, err := r.handler.evict(ctx, r.now)
	if !evicted {
		kept()
	}
	switch {
	case err != nil:
		return outage(err)
	case !evicted:
		return r.takeRecounted(ctx, next.Sub(r.now))
	}
	r.giveBack = giveBack
	if over { // others on this store admitted more: evict two for one
		gone := ceiling.Going()
		if _, evicted, _ := r.handler.evict(ctx, r.now); evicted {
			gone()
		}
	}
	return nil
}

// takeRecounted waits for the count under way, since the last one may be too
// old, and takes a place that it finds free. Otherwise it returns that there is
// none.
func (r *room) takeRecounted(ctx context.Context, next time.Duration) error {
	ceiling := &r.handler.ceiling
	ceiling.Await(ctx)
	giveBack, ok, err := ceiling.Take(ctx, r.now)
	if err != nil {
		return outage(err)
	}
	if !ok {
		return full(next)
	}
	r.giveBack = giveBack
	return nil
}

// full makes the error for no room, which says when a place becomes free if that
// is known.
func full(until time.Duration) error {
	refused := asRefusal(outage(ErrStoreFull))
	if until > 0 {
		refused.RetryAfter = until
	}
	return refused
}

// GiveBack frees the place.
func (r *room) GiveBack(context.Context) error {
	r.giveBack()
	return nil
}

// evict deletes the oldest client that was never used and is older than
// Options.EvictAfter. If there is none, next is when there will be one, zero if
// never.
func (h *Handler) evict(ctx context.Context, now time.Time) (next time.Time, evicted bool, err error) {
	if h.evictor == nil {
		return time.Time{}, false, nil
	}
	client, oldest, err := h.evictor.EvictClient(ctx, now.Add(-h.opts.EvictAfter))
	if err != nil {
		return time.Time{}, false, err
	}
	if client == nil {
		if !oldest.IsZero() {
			next = oldest.Add(h.opts.EvictAfter)
		}
		return next, false, nil
	}
	h.evicts.Do(func() {
		h.opts.Logger.WarnContext(ctx, "the store has Options.MaxClients clients: from now on, the oldest one that was never used is deleted to make room for a new one; a client counts as used if the host calls TouchClient for it")
	})
	event := Event{Tenant: h.tenant, Reason: "ceiling"}
	event.about(client)
	h.tell(ctx, event, ClientEvicted)
	h.afterDelete(ctx, client)
	return time.Time{}, true, nil
}

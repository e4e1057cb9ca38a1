package dcr

// The room for one more client under Options.MaxClients, and which client is
// evicted for it.

import (
	"context"
	"errors"
	"time"

	"github.com/dynreg/dcr/internal/ceiling"
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

// room is what a registration takes under Options.MaxClients.
type room struct {
	handler *Handler
	now     time.Time
	place   ceiling.Place // zero: none
}

// take takes a free place, or that of a client that was never used. If there is
// none, its error says so and when the next one may become free.
func (r *room) take(ctx context.Context) error {
	if free, err := r.takeFree(ctx); err != nil || free {
		return err
	}
	next, evicted, err := r.replace(ctx)
	if err != nil {
		return outage(err)
	}
	if evicted {
		return nil
	}
	r.handler.ceiling.Await(ctx) // the last count may be too old
	free, err := r.takeFree(ctx)
	if err == nil && !free {
		err = full(next.Sub(r.now))
	}
	return err
}

// takeFree takes a free place, if there is one.
func (r *room) takeFree(ctx context.Context) (free bool, err error) {
	r.place, free, err = r.handler.ceiling.Take(ctx, r.now)
	if err != nil {
		err = outage(err)
	}
	return free, err
}

// replace takes the place of a client that it evicts. If there is none to evict, next
// is when there will be one, zero if never.
func (r *room) replace(ctx context.Context) (next time.Time, evicted bool, err error) {
	ceiling := &r.handler.ceiling
	place, kept, over := ceiling.Replace()
	defer func() { // even if the store panics
		if !evicted {
			kept()
		}
	}()
	if next, evicted, err = r.handler.evict(ctx, r.now); !evicted {
		return next, false, err
	}
	r.place = place
	if over { // others on this store admitted more: evict two for one
		gone := ceiling.Going()
		if _, second, _ := r.handler.evict(ctx, r.now); second {
			gone()
		}
	}
	return next, true, nil
}

// settle gives the place back, unless a client has it.
func (r *room) settle(filled bool) {
	switch {
	case r.place == ceiling.Place{}:
	case filled:
		r.place.Fill()
	default:
		r.place.GiveBack()
	}
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

package main

// What is counted during the year.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dynreg/dcr"
)

// figures has the counts.
type figures struct {
	registered, repeated, refused, refusedRepeats int
	never, idle, ended, evicted                   int // deleted
	uses, lost                                    int
	stored, inUse, most                           int64
}

// registered records the result of a registration.
func (y *year) registered(r registrant, got *credentials, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if r.repeat {
		y.sum.repeated++
	}
	if err != nil {
		y.sum.refused++
		if r.repeat {
			y.sum.refusedRepeats++
		}
		y.fault("%v", err)
		return
	}
	y.sum.registered++
	if len(r.uses) > 0 {
		u := &user{*got, r.uses}
		if r.repeat {
			u.secret = ""
		}
		y.inUse[u.id] = true
		y.due[u.uses[0]] = append(y.due[u.uses[0]], u)
	}
}

// used records a use, and schedules the next one.
func (y *year) used(u *user, hour int, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sum.uses++
	if err != nil {
		y.sum.lost++
		y.fault("client %s in use since hour %d: %v", u.id, hour, err)
	}
	if u.uses = u.uses[1:]; len(u.uses) == 0 {
		delete(y.inUse, u.id)
		return
	}
	again := max(u.uses[0], hour+1) // a use that is due in this step is moved to the next step
	y.due[again] = append(y.due[again], u)
}

// login is a use of a client that publishes its metadata.
func (y *year) login(ctx context.Context, h *host, i int) {
	id := y.publisher.URL(documentPath(i))
	err := h.login(ctx, id, y.now())
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sum.uses++
	y.inUse[id] = true
	if err != nil {
		y.sum.lost++
		y.fault("client %s: %v", id, err)
	}
}

// tell receives the events of every host.
func (y *year) tell(_ context.Context, event dcr.Event) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.told[string(event.Kind)+" "+event.Reason]++
	if event.Kind != dcr.ClientSwept && event.Kind != dcr.ClientEvicted {
		return
	}
	switch event.Reason {
	case "never_activated":
		y.sum.never++
	case "idle":
		y.sum.idle++
	case "ceiling":
		y.sum.evicted++
	default:
		y.sum.ended++
	}
	if y.inUse[event.ClientID] {
		y.sum.lost++
		y.fault("client %s was %s while in use: %s", event.ClientID, event.Kind, event.Reason)
	}
}

// fault records what went wrong. Hold y.mu when you call it.
func (y *year) fault(format string, args ...any) {
	if len(y.examples) < 5 {
		y.examples = append(y.examples, y.now().Format(time.DateTime)+": "+fmt.Sprintf(format, args...))
	}
}

// count counts the stored clients after a step, and records the figures of each day.
func (y *year) count(ctx context.Context, h *host, hour int) error {
	stored, err := h.store.CountClients(ctx, dcr.Filter{})
	if err != nil {
		return err
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sum.stored, y.sum.inUse = stored, int64(len(y.inUse))
	y.sum.most = max(y.sum.most, stored)
	if hour%day == day-y.settings.step {
		y.days = append(y.days, y.sum)
	}
	return nil
}

// settle checks at the end of the year that every client in use is stored and usable.
func (y *year) settle(ctx context.Context) error {
	for id := range y.inUse {
		client, err := y.hosts[0].store.FindByClientID(ctx, id)
		if errors.Is(err, dcr.ErrClientNotFound) {
			y.sum.lost++
			y.fault("client %s is missing at the end", id)
			continue
		}
		if err != nil {
			return err
		}
		if !client.Usable(y.now()) {
			y.sum.lost++
			y.fault("client %s is not usable at the end", id)
		}
	}
	return nil
}

package admin

// Deleting unused clients: most clients that register themselves are never used.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/tally"
)

// Janitor deletes unused clients, in batches. The store knows which clients are in
// use only from [dcr.ClientToucher] and [dcr.ConsentNoter].
// clientauth.Authenticator touches clients; a host that authenticates them itself
// must do so too. See [dcr.SweepRule].
//
// Several hosts may run a Janitor over the same store. If the store is a
// dcr.ReplayStore, one of them sweeps each time. Each deleted client is reported
// once.
//
// A denied document, which is a disabled client of dcr.SourceDocument, is kept
// until it expires.
type Janitor struct {
	// Store is a dcr.ClientSweeper. Required, unless Stores is set.
	Store dcr.ClientConfigurationStore

	// Stores replaces Store if there are several tenants, and yields one store for
	// each. They are swept one after the other; if one fails, the next is swept all
	// the same. An error ends the sequence. If nil, only Store is swept.
	Stores func(ctx context.Context) iter.Seq2[dcr.ClientConfigurationStore, error]

	// EvenIfNoneActivated lets NeverActivated and Idle delete clients of a store in
	// which no client was ever used. If false, they do nothing there, for its host
	// may not touch clients, and a warning is logged where they would delete some.
	EvenIfNoneActivated bool

	// NeverActivated is how long after its registration an active client that
	// was never used is deleted. If zero, never.
	NeverActivated time.Duration

	// Idle is how long after its last use a client is deleted. If zero, never. It
	// needs RefreshTokens and must not be shorter: a client that still has a
	// refresh token is in use.
	Idle time.Duration

	// RefreshTokens is how long a refresh token of this server is valid at most:
	// the longest dcr.Client.AbsoluteRefreshTokenLifetime. Required for Idle.
	RefreshTokens time.Duration

	// Expired deletes clients whose ExpiresAt has passed. If false, they stay.
	Expired bool

	// Withdrawn is how long after its metadata document was withdrawn a client
	// is deleted. If zero, never.
	Withdrawn time.Duration

	// Sources are the sources of the clients that may be deleted. If nil,
	// dcr.SourceDynamic and dcr.SourceDocument, so that imported clients and the
	// host's own are safe.
	Sources []dcr.Source

	// Every is how often Run sweeps, each time at a random moment. If zero, 10
	// minutes. To sweep at a time of your choice, call Sweep instead of Run.
	Every time.Duration

	// DryRun counts what would be deleted, and deletes and tells nothing: Sweep returns
	// the number, and Run logs it at info.
	DryRun bool

	// Keep is called with each client before it is deleted, and keeps it by returning
	// true. An error, or a panic, keeps it too, and is logged. If nil, none is kept.
	Keep func(ctx context.Context, client *dcr.Client) (bool, error)

	// AfterDelete is called with each client that was deleted, as in dcr.Options.
	// An error, or a panic, is logged. It has 10 seconds, even if the sweep is
	// ended. If nil, nothing happens.
	AfterDelete func(ctx context.Context, client *dcr.Client) error

	// Events is called for each client that was deleted, with a dcr.ClientSwept
	// whose Reason is never_activated, idle, expired or withdrawn. If nil,
	// dcr.LogEvents(nil).
	Events func(ctx context.Context, event dcr.Event)

	// Now is the clock. If nil, time.Now.
	Now func() time.Time
}

const defaultEvery = 10 * time.Minute

var sweptByDefault = []dcr.Source{dcr.SourceDynamic, dcr.SourceDocument}

// check returns an error if settings contradict each other.
func (j *Janitor) check() error {
	switch {
	case (j.Store == nil) == (j.Stores == nil):
		return errors.New("admin: Janitor has Store for one store, or Stores for one of each tenant; set one of them")
	case min(j.NeverActivated, j.Idle, j.RefreshTokens, j.Withdrawn, j.Every) < 0:
		return errors.New("admin: Janitor has a negative duration; leave at zero what should never be deleted")
	case j.Idle > 0 && j.RefreshTokens == 0:
		return errors.New("admin: Janitor.Idle would delete clients that still have a refresh token; set RefreshTokens to how long one is valid at most, and Idle no shorter")
	case j.Idle > 0 && j.Idle < j.RefreshTokens:
		return fmt.Errorf("admin: Janitor.Idle is %v, and a refresh token may be used for %v; set Idle no shorter", j.Idle, j.RefreshTokens)
	}
	if j.Store != nil {
		_, err := sweeperOf(j.Store)
		return err
	}
	return nil
}

func sweeperOf(store dcr.ClientConfigurationStore) (dcr.ClientSweeper, error) {
	sweeper, ok := dcr.StoreAs[dcr.ClientSweeper](store)
	if !ok {
		return nil, errors.New("admin: Janitor needs a store that is a ClientSweeper, which this one is not; use one that is")
	}
	return sweeper, nil
}

// Run sweeps until ctx ends, and returns the error of ctx. If a sweep fails,
// that is logged, and the next one tries again. If settings contradict each
// other, Run returns an error at once.
func (j *Janitor) Run(ctx context.Context) error {
	if err := j.check(); err != nil {
		return err
	}
	every := j.Every
	if every == 0 {
		every = defaultEvery
	}
	now := clock(j.Now)
	held := new(tally.Tally)
	var latest time.Time // turn so far
	for turn := now().Truncate(every); ; turn = turn.Add(every) {
		moment := turn.Add(rand.N(every))
		if behind := now().Sub(moment); behind > every || behind < -2*every { // the last sweep took long, or the clock was set back
			turn = now().Truncate(every)
		} else if err := wait(ctx, -behind); err != nil {
			return err
		}
		repeated := !turn.After(latest) // since the clock was set back; somebody claimed the turn before
		if !repeated {
			latest = turn
		}
		_, err := j.each(ctx, func(store dcr.ClientConfigurationStore) (int64, error) {
			if mine, err := j.claim(ctx, store, turn, every); err != nil || !mine && !repeated {
				return 0, err
			}
			count, err := j.sweep(ctx, store, held)
			if j.DryRun && err == nil {
				slog.InfoContext(ctx, "clients would be swept", inTenant(store, "clients", count)...)
			}
			return count, err
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			slog.ErrorContext(ctx, "clients could not be swept; the next sweep tries again", "error", err)
		}
	}
}

// wait waits for a while, or until ctx ends.
func wait(ctx context.Context, while time.Duration) error {
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// claim reports whether it is the turn of this host to sweep the store. Only one of the
// hosts that ask gets it.
func (j *Janitor) claim(ctx context.Context, store dcr.ClientConfigurationStore, turn time.Time, every time.Duration) (bool, error) {
	replay, ok := dcr.StoreAs[dcr.ReplayStore](store)
	if !ok {
		return true, nil
	}
	key := fmt.Sprint("janitor:", turn.Unix(), every, j.NeverActivated, j.Idle, j.Expired, j.Withdrawn, j.Sources, j.DryRun)
	return replay.Remember(ctx, key, turn.Add(every), clock(j.Now)())
}

// Sweep sweeps once, whatever other hosts do, and returns how many clients it
// deleted or, with DryRun, would delete. It sweeps each of several stores, and
// returns their errors joined.
func (j *Janitor) Sweep(ctx context.Context) (int64, error) {
	if err := j.check(); err != nil {
		return 0, err
	}
	held := new(tally.Tally)
	return j.each(ctx, func(store dcr.ClientConfigurationStore) (int64, error) { return j.sweep(ctx, store, held) })
}

// each calls work for every store.
func (j *Janitor) each(ctx context.Context, work func(dcr.ClientConfigurationStore) (int64, error)) (total int64, err error) {
	if j.Stores == nil {
		return work(j.Store)
	}
	var failed []error
	for store, err := range j.Stores(ctx) {
		var some int64
		if err == nil {
			if some, err = work(store); err != nil {
				err = fmt.Errorf("tenant %q: %w", tenantOf(store), err)
			}
			total += some
		}
		if err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return total, errors.Join(failed...)
}

// sweep sweeps one store. held limits how often it logs that no client of a store was
// ever used.
func (j *Janitor) sweep(ctx context.Context, store dcr.ClientConfigurationStore, held *tally.Tally) (int64, error) {
	sweeper, err := sweeperOf(store)
	if err != nil {
		return 0, err
	}
	rule, kept, err := j.rule(ctx, sweeper)
	if err != nil {
		return 0, err
	}
	if kept > 0 {
		held.Log(ctx, slog.Default(), slog.LevelWarn, "", "clients that were never used are not swept, since no client of this store ever was; touch clients at the token endpoint, or set Janitor.EvenIfNoneActivated",
			inTenant(store, "clients", kept)...)
	}
	var counted int64 // in a dry run, which calls Keep too
	selects := rule
	rule.BeforeDelete = func(ctx context.Context, client *dcr.Client) error {
		if j.keeps(ctx, client, reason(selects, client)) {
			return dcr.ErrKeepClient
		}
		if j.DryRun {
			counted++
			return dcr.ErrKeepClient
		}
		return nil
	}
	rule.AfterDelete = func(ctx context.Context, client *dcr.Client) {
		j.told(ctx, store, client, reason(selects, client))
	}
	swept, err := sweeper.SweepClients(ctx, rule)
	return swept + counted, err
}

// inTenant appends the tenant that a line of the log is about.
func inTenant(store dcr.ClientConfigurationStore, about ...any) []any {
	if tenant := tenantOf(store); tenant != "" {
		about = append(about, "tenant", tenant)
	}
	return about
}

// rule returns what to delete now, and how many clients that were never used stay
// because no client of the store was ever used.
func (j *Janitor) rule(ctx context.Context, sweeper dcr.ClientSweeper) (rule dcr.SweepRule, kept int64, err error) {
	now := clock(j.Now)()
	rule.Sources = j.Sources
	if rule.Sources == nil {
		rule.Sources = sweptByDefault
	}
	if j.Expired {
		rule.ExpiredBefore = now
	}
	if j.Withdrawn > 0 {
		rule.WithdrawnBefore = now.Add(-j.Withdrawn)
	}
	if j.NeverActivated == 0 && j.Idle == 0 {
		return rule, 0, nil
	}
	if !j.EvenIfNoneActivated {
		used, err := sweeper.SweepClients(ctx, dcr.SweepRule{ // counts the clients that were ever used
			IdleBefore: now.AddDate(100, 0, 0), DryRun: true,
			Sources: slices.Compact(slices.Sorted(slices.Values(slices.Concat(rule.Sources, sweptByDefault)))),
		})
		if err != nil || used == 0 && j.NeverActivated == 0 {
			return rule, 0, err
		}
		if used == 0 {
			kept, err = sweeper.SweepClients(ctx, dcr.SweepRule{NeverActivatedBefore: now.Add(-j.NeverActivated), DryRun: true, Sources: rule.Sources})
			return rule, kept, err
		}
	}
	if j.NeverActivated > 0 {
		rule.NeverActivatedBefore = now.Add(-j.NeverActivated)
	}
	if j.Idle > 0 {
		rule.IdleBefore = now.Add(-j.Idle)
	}
	return rule, 0, nil
}

// keeps reports whether a client is kept although it was selected.
func (j *Janitor) keeps(ctx context.Context, client *dcr.Client, reason string) bool {
	if client.Source == dcr.SourceDocument && client.Status == dcr.StatusDisabled && reason != expired {
		return true
	}
	if j.Keep == nil {
		return false
	}
	var keep bool
	err := safely(ctx, "Janitor.Keep", client, func() (err error) {
		keep, err = j.Keep(ctx, client)
		return err
	})
	if err != nil {
		slog.WarnContext(ctx, "Janitor.Keep failed; the client is kept", "client_id", client.ID, "error", err)
	}
	return keep || err != nil
}

// told reports a client that was deleted.
func (j *Janitor) told(ctx context.Context, store dcr.ClientConfigurationStore, client *dcr.Client, reason string) {
	sink := j.Events
	if sink == nil {
		sink = dcr.LogEvents(nil)
	}
	tell(ctx, sink, store, clock(j.Now)(), client, dcr.Event{Kind: dcr.ClientSwept, Reason: reason})
	if err := afterDelete(ctx, j.AfterDelete, client); err != nil {
		slog.ErrorContext(ctx, "AfterDelete failed", "client_id", client.ID, "error", err)
	}
}

const expired = "expired"

// reason returns why the rule selects a client.
func reason(rule dcr.SweepRule, client *dcr.Client) string {
	for _, condition := range []struct {
		reason string
		alone  dcr.SweepRule
	}{
		{expired, dcr.SweepRule{ExpiredBefore: rule.ExpiredBefore}},
		{"withdrawn", dcr.SweepRule{WithdrawnBefore: rule.WithdrawnBefore}},
		{"idle", dcr.SweepRule{IdleBefore: rule.IdleBefore}},
	} {
		condition.alone.Sources = rule.Sources
		if condition.alone.Selects(client) {
			return condition.reason
		}
	}
	return "never_activated"
}

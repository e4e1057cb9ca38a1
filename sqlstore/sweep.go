package sqlstore

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// condition is one condition of a sweep.
type condition struct {
	text   string // with one parameter
	before int64
}

// conditions are those that rule sets.
func conditions(rule dcr.SweepRule) []condition {
	var set []condition
	add := func(before time.Time, text string) {
		if !before.IsZero() {
			set = append(set, condition{text, micros(before)})
		}
	}
	add(rule.NeverActivatedBefore, "last_used_at = 0 AND created_at > 0 AND created_at < ?")
	add(rule.IdleBefore, "last_used_at > 0 AND last_used_at < ?")
	add(rule.ExpiredBefore, "expires_at > 0 AND expires_at < ?")
	return set
}

// dynamic selects the clients that a sweep may delete.
const dynamic = "tenant = ? AND source = '" + string(dcr.SourceDynamic) + "' AND "

// SweepClients deletes the clients that rule selects, in batches of one
// statement; see [dcr.ClientSweeper]. Each batch deletes what still fulfils the
// condition then, so a client that was used meanwhile is kept. Times are
// compared to the microsecond.
func (s *Store) SweepClients(ctx context.Context, rule dcr.SweepRule) (int64, error) {
	if rule.BatchSize <= 0 {
		rule.BatchSize = 500
	}
	var swept int64
	set := conditions(rule)
	for i := range set {
		sweep := s.sweep
		if rule.DryRun {
			sweep = s.countSwept
		}
		count, err := sweep(ctx, rule, set[:i+1])
		swept += count
		if err != nil {
			return swept, err
		}
	}
	return swept, nil
}

// countSwept counts what the last condition selects and none before it does.
func (s *Store) countSwept(ctx context.Context, _ dcr.SweepRule, set []condition) (int64, error) {
	last := set[len(set)-1]
	where, values := dynamic+last.text, []any{s.tenant, last.before}
	for _, earlier := range set[:len(set)-1] {
		where, values = where+" AND NOT ("+earlier.text+")", append(values, earlier.before)
	}
	return s.count(ctx, where, values)
}

// candidate is a client that a condition selected.
type candidate struct {
	stored
	created int64
}

func (c *candidate) columns() []any { return append(c.stored.columns(), &c.created) }

// sweep deletes what the last condition selects. The batches go forward in the
// time of creation, along the one index that has all times, so that they make
// one pass over it together, whatever the condition. Rows are read only for
// what the index alone selects.
func (s *Store) sweep(ctx context.Context, rule dcr.SweepRule, set []condition) (swept int64, err error) {
	by, from := set[len(set)-1], int64(0)
	page := s.once("SELECT " + row + ", created_at FROM (SELECT client_id AS swept FROM {clients} WHERE " + dynamic + by.text +
		" AND created_at >= ? ORDER BY created_at LIMIT ?) AS batch JOIN {clients} ON client_id = swept WHERE tenant = ? ORDER BY created_at")
	for {
		batch, err := all(s, ctx, page, []any{s.tenant, by.before, from, rule.BatchSize, s.tenant}, (*candidate).columns)
		if err != nil || len(batch) == 0 {
			return swept, err
		}
		ids, refused := accept(ctx, rule, batch)
		deleted, err := s.deleteBatch(ctx, by, ids)
		swept += deleted
		if err = cmp.Or(err, refused); err != nil || len(batch) < rule.BatchSize {
			return swept, err
		}
		from = batch[len(batch)-1].created
	}
}

// accept calls BeforeDelete for each client of a batch and returns the ids of
// those that may go. Where one is refused, those before it may go still.
func accept(ctx context.Context, rule dcr.SweepRule, batch []candidate) (ids []any, err error) {
	for i := range batch {
		if rule.BeforeDelete != nil {
			client, err := batch[i].client()
			if err == nil {
				err = rule.BeforeDelete(ctx, client)
			}
			if err != nil {
				return ids, err
			}
		}
		ids = append(ids, batch[i].id)
	}
	return ids, nil
}

// deleteBatch deletes those of ids that fulfil the condition still.
func (s *Store) deleteBatch(ctx context.Context, by condition, ids []any) (deleted int64, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	text := s.once("DELETE FROM {clients} WHERE " + dynamic + by.text +
		" AND client_id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")")
	err = s.write(ctx,
		func() (int64, error) {
			deleted, err = s.exec(ctx, text, append([]any{s.tenant, by.before}, ids...)...)
			return deleted, err
		},
		func(unsure bool) (verdict, error) {
			return verdict{settled: !unsure}, nil // all were used or gone meanwhile
		})
	return deleted, err
}

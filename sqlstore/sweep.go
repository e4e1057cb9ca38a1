package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// swept selects what rule deletes: a client that any of its conditions selects.
// It returns nil where rule has none.
func (s *Store) swept(rule dcr.SweepRule) *selection {
	var conditions []string
	var args []any
	add := func(before time.Time, condition string) {
		if !before.IsZero() {
			conditions, args = append(conditions, condition), append(args, micros(before))
		}
	}
	add(rule.NeverActivatedBefore, "last_used_at = 0 AND created_at > 0 AND created_at < ?")
	add(rule.IdleBefore, "last_used_at > 0 AND last_used_at < ?")
	add(rule.ExpiredBefore, "expires_at > 0 AND expires_at < ?")
	if len(conditions) == 0 {
		return nil
	}
	sel := s.everything()
	sel.ask("source = '" + string(dcr.SourceDynamic) + "'")
	sel.ask("("+strings.Join(conditions, " OR ")+")", args...)
	return sel
}

// SweepClients deletes the clients that rule selects, in batches of one
// statement and at most 10,000 clients; see [dcr.ClientSweeper]. Each batch
// deletes what rule selects still, so a client that was used meanwhile is kept.
// Times are compared to the microsecond.
func (s *Store) SweepClients(ctx context.Context, rule dcr.SweepRule) (swept int64, err error) {
	sel := s.swept(rule)
	switch {
	case sel == nil:
		return 0, nil
	case rule.DryRun:
		return s.count(ctx, sel)
	case rule.BatchSize <= 0:
		rule.BatchSize = 500
	}
	for batch, err := range s.pages(ctx, sel, "", min(rule.BatchSize, maxIDs)) {
		if err != nil {
			return swept, err
		}
		ids, refused := accept(ctx, rule, batch)
		deleted, err := s.deleteBatch(ctx, sel, ids)
		swept += deleted
		if err = cmp.Or(err, refused); err != nil {
			return swept, err
		}
	}
	return swept, nil
}

// accept calls BeforeDelete for each client of a batch and returns the ids of
// those that may go, without those that it keeps. Where it fails, those before
// may go still.
func accept(ctx context.Context, rule dcr.SweepRule, batch []stored) (ids []any, err error) {
	for i := range batch {
		if rule.BeforeDelete != nil {
			client, err := batch[i].client()
			if err == nil {
				err = rule.BeforeDelete(ctx, client)
			}
			if errors.Is(err, dcr.ErrKeepClient) {
				continue
			}
			if err != nil {
				return ids, err
			}
		}
		ids = append(ids, batch[i].id)
	}
	return ids, nil
}

// deleteBatch deletes those of ids that are selected still.
func (s *Store) deleteBatch(ctx context.Context, sel *selection, ids []any) (deleted int64, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	some := s.among("client_id", ids)
	from := " FROM {clients} WHERE tenant = ?" + sel.asked + " AND " + some.condition
	args := slices.Concat([]any{s.tenant}, sel.askedArg, some.args)
	remove, left := s.once("DELETE"+from), s.once("SELECT COUNT(*)"+from)
	err = s.write(ctx,
		func() (int64, error) {
			deleted, err = s.exec(ctx, step{remove, args})
			return deleted, err
		},
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			if !unsure {
				return settled(nil) // all were used or gone meanwhile
			}
			var count int64
			err := read(ctx, left, args, &count)
			return verdict{settled: count == 0}, err
		})
	return deleted, err
}

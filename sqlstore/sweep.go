package sqlstore

// Deleting unused clients.

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// reason is one condition of a sweep: which clients it selects, and the columns by
// which an index sorts them.
type reason struct {
	clause
	order  []string
	values func(*ordered) []any // of the columns of order
	byKind bool                 // the index has them in that order within each kind
}

// reasons returns the conditions of rule.
func reasons(rule dcr.SweepRule) (reasons []reason) {
	add := func(before time.Time, condition string, r reason) {
		if !before.IsZero() {
			r.and(condition, micros(before))
			reasons = append(reasons, r)
		}
	}
	add(rule.NeverActivatedBefore, unused+" AND created_at > 0 AND created_at < ? AND activated_at = 0 AND "+isActive, reason{
		order:  []string{"created_at", "client_id"},
		values: func(r *ordered) []any { return []any{r.created, r.id} },
	})
	add(rule.IdleBefore, idle+" AND last_used_at < ?", reason{
		order:  []string{"last_used_at", "created_at", "client_id"},
		values: func(r *ordered) []any { return []any{r.lastUsed, r.created, r.id} },
	})
	add(rule.WithdrawnBefore, "withdrawn_at > 0 AND withdrawn_at < ?", reason{
		order:  []string{"withdrawn_at", "expires_at", "created_at", "client_id"},
		values: func(r *ordered) []any { return []any{r.withdrawn, r.expires, r.created, r.id} },
		byKind: true,
	})
	// In the index, expires_at comes after withdrawn_at, so each of these two parts is
	// in order.
	for _, documents := range []string{"withdrawn_at = 0", "withdrawn_at > 0"} {
		add(rule.ExpiredBefore, documents+" AND expires_at > 0 AND expires_at < ?", reason{
			order:  []string{"expires_at", "created_at", "client_id"},
			values: func(r *ordered) []any { return []any{r.expires, r.created, r.id} },
			byKind: true,
		})
	}
	return reasons
}

// sources returns the sources of the clients that rule is about, as the column has
// them.
func sources(rule dcr.SweepRule) (values []any) {
	if rule.Sources == nil {
		return []any{string(dcr.SourceDynamic)}
	}
	for _, source := range rule.Sources {
		values = append(values, key(asRead(string(source))))
	}
	return values
}

// SweepClients deletes the clients that rule selects, in batches of one
// statement and at most 10,000 clients; see [dcr.ClientSweeper]. Each batch
// deletes only clients that rule still selects, so a client that was used
// meanwhile is kept. Times are compared to the microsecond. The time it takes
// is proportional to the number of clients that it finds.
func (s *Store) SweepClients(ctx context.Context, rule dcr.SweepRule) (swept int64, err error) {
	if rule.BatchSize <= 0 {
		rule.BatchSize = 500
	}
	from := sources(rule)
	if len(from) == 0 {
		return 0, nil
	}
	var known clause // excludes what earlier reasons select
	for _, reason := range reasons(rule) {
		parts := []clause{{" AND source IN (?" + strings.Repeat(", ?", len(from)-1) + ")", from}}
		if reason.byKind {
			if parts, err = s.byKind(ctx, from); err != nil {
				return swept, err
			}
		}
		own := reason.clause
		for _, part := range parts {
			reason.clause = clause{own.text, slices.Clone(own.args)}
			reason.join(part)
			reason.join(known)
			some, err := s.sweepFor(ctx, rule, reason)
			swept += some
			if err != nil {
				return swept, err
			}
		}
		known.and("NOT ("+strings.TrimPrefix(own.text, " AND ")+")", own.args...)
	}
	return swept, nil
}

// sweepFor deletes the clients of one reason or, in a dry run, counts them.
func (s *Store) sweepFor(ctx context.Context, rule dcr.SweepRule, reason reason) (int64, error) {
	if rule.DryRun {
		sel := s.everything()
		sel.asked = reason.clause
		return s.count(ctx, sel)
	}
	return s.sweep(ctx, rule, reason)
}

// sweep deletes the clients of one reason.
func (s *Store) sweep(ctx context.Context, rule dcr.SweepRule, reason reason) (swept int64, err error) {
	size := min(rule.BatchSize, maxIDs)
	order := " ORDER BY " + strings.Join(reason.order, ", ") + " LIMIT ?"
	past := clause{}
	for {
		text := s.once("SELECT " + orderedRow + " FROM {clients} AS c WHERE c.tenant = ?" + reason.text + past.text + order)
		args := append(slices.Concat([]any{s.tenant}, reason.args, past.args), size)
		batch, err := all(s, ctx, text, args, (*ordered).columns)
		if err != nil {
			return swept, err
		}
		ids, refused := accept(ctx, rule, batch)
		var deleted int64
		if rule.BeforeDelete == nil && rule.AfterDelete == nil {
			deleted, err = s.deleteBatch(ctx, reason.clause, ids)
		} else {
			deleted, err = s.deleteEach(ctx, rule, reason.clause, ids, batch)
		}
		swept += deleted
		if err = cmp.Or(err, refused); err != nil || len(batch) < size {
			return swept, err
		}
		past = s.past(reason.order, ">", reason.values(&batch[size-1]))
	}
}

// accept calls BeforeDelete for each client of a batch and returns the ids of those
// that may be deleted. If BeforeDelete fails, those before may still be deleted.
func accept(ctx context.Context, rule dcr.SweepRule, batch []ordered) (ids []any, err error) {
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

// deletion returns the statements that delete those of ids that are still selected, and
// that count those left.
func (s *Store) deletion(asked clause, ids []any) (remove, left *statement, args []any) {
	some := s.among("client_id", ids)
	// MariaDB does not allow an alias in a DELETE.
	from := " FROM {clients} WHERE tenant = ?" + strings.ReplaceAll(asked.text, " c.", " {clients}.") + " AND " + some.condition
	return s.once("DELETE" + from), s.once("SELECT COUNT(*)" + from), slices.Concat([]any{s.tenant}, asked.args, some.args)
}

// deleteEach deletes the clients of a batch that are in ids one by one, as they were
// read, and calls AfterDelete for each that it deleted. A statement that deletes all of
// them would only return their number.
func (s *Store) deleteEach(ctx context.Context, rule dcr.SweepRule, asked clause, ids []any, batch []ordered) (count int64, err error) {
	for i := range batch {
		if len(ids) == 0 || ids[0] != any(batch[i].id) {
			continue // BeforeDelete keeps it
		}
		ids = ids[1:]
		client, err := batch[i].client()
		if err != nil {
			return count, err
		}
		deleted, err := s.deleteOne(ctx, asked, &batch[i].stored)
		if err != nil {
			return count, err
		}
		if !deleted {
			continue
		}
		count++
		if rule.AfterDelete != nil {
			rule.AfterDelete(ctx, client)
		}
	}
	return count, nil
}

// deleteOne deletes a client that is still selected and unchanged, and reports whether
// this call deleted it.
func (s *Store) deleteOne(ctx context.Context, asked clause, client *stored) (deleted bool, err error) {
	asked = clause{asked.text, slices.Clone(asked.args)}
	asked.and("revision = ?", client.revision)
	remove, left, args := s.deletion(asked, []any{client.id})
	err = s.write(ctx,
		func() (int64, error) {
			touched, err := s.exec(ctx, step{remove, args})
			deleted = touched > 0
			return touched, err
		},
		func(ctx context.Context, unsure bool, read rowReader) (verdict, error) {
			if !unsure {
				return settled(nil) // it was used or changed, or is gone
			}
			var count int64
			if err := read(ctx, left, args, &count); err != nil || count > 0 {
				return verdict{}, err
			}
			_, err := s.lookup(ctx, client.id, read)
			if deleted = errors.Is(err, dcr.ErrClientNotFound); deleted {
				err = nil // by the statement that was not answered
			}
			return verdict{settled: err == nil}, err
		})
	return deleted, err
}

// deleteBatch deletes those of ids that are still selected.
func (s *Store) deleteBatch(ctx context.Context, asked clause, ids []any) (deleted int64, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	remove, left, args := s.deletion(asked, ids)
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

package main

// Moving and comparing rows.

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"log"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
)

// mover moves from one database to the other.
type mover struct {
	from, to *database
	tenants  map[string]string // see settings
}

// pair is a row of the source and the row of the target with the same key. One of
// them may be nil.
type pair struct{ from, to *row }

// pairs yields all rows of both databases in pairs. The loop may write the rows that
// it gets to the target, since reading has already passed them.
func (m *mover) pairs(ctx context.Context, t table) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		tenant, more, err := "", true, error(nil)
		for more && m.pairsOf(ctx, t, tenant, yield) {
			if tenant, more, err = m.nextTenant(ctx, t, tenant); err != nil {
				yield(pair{}, err)
				return
			}
		}
	}
}

// nextTenant returns the first tenant of either database after that one.
func (m *mover) nextTenant(ctx context.Context, t table, after string) (next string, more bool, err error) {
	for _, d := range []*database{m.from, m.to} {
		var first sql.NullString
		text := d.number("SELECT MIN(tenant) FROM " + d.quote(t.name) + " WHERE tenant > ?")
		if err := d.QueryRowContext(ctx, text, after).Scan(&first); err != nil {
			return "", false, err
		}
		if first.Valid && (!more || first.String < next) {
			next, more = first.String, true
		}
	}
	return next, more, nil
}

// pairsOf yields the pairs of one tenant, and reports whether to go on.
func (m *mover) pairsOf(ctx context.Context, t table, tenant string, yield func(pair, error) bool) bool {
	nextFrom, stopFrom := iter.Pull2(m.from.rows(ctx, t, tenant))
	defer stopFrom()
	nextTo, stopTo := iter.Pull2(m.to.rows(ctx, t, tenant))
	defer stopTo()
	from, errFrom, _ := nextFrom() // nil after the last
	to, errTo, _ := nextTo()
	for {
		if err := cmp.Or(errFrom, errTo); err != nil {
			yield(pair{}, err)
			return false
		}
		p := pair{from, to}
		switch {
		case from == nil && to == nil:
			return true
		case to == nil || from != nil && from.key < to.key:
			p.to = nil
		case from == nil || to.key < from.key:
			p.from = nil
		}
		if !yield(p, nil) {
			return false
		}
		if p.from != nil {
			from, errFrom, _ = nextFrom()
		}
		if p.to != nil {
			to, errTo, _ = nextTo()
		}
	}
}

// copy writes the rows that the target lacks. It keeps the rows that the target has,
// even if they differ from the source's: compare finds those.
func (m *mover) copy(ctx context.Context, t table) (copied int64, err error) {
	var batch []pair
	write := func() error {
		if err := m.write(ctx, t, batch); err != nil {
			return err
		}
		copied, batch = copied+int64(len(batch)), batch[:0]
		if copied%reportEvery == 0 {
			log.Printf("%s: %d copied", t.name, copied)
		}
		return nil
	}
	for p, err := range m.pairs(ctx, t) {
		if err != nil {
			return copied, err
		}
		lacks := p.to == nil
		if t.name == clients && p.from != nil && p.to != nil && *p.from != *p.to {
			if lacks, err = p.isDraft(); err != nil {
				return copied, err
			}
		}
		if lacks {
			batch = append(batch, p)
		}
		if len(batch) == pageSize {
			if err := write(); err != nil {
				return copied, err
			}
		}
	}
	if len(batch) > 0 {
		err = write()
	}
	return copied, err
}

const reportEvery = 50 * pageSize

// write writes the source's rows in one transaction. Before that, it adds the clients
// as drafts through the store, since only the store knows how to keep the values by
// which clients are searched.
func (m *mover) write(ctx context.Context, t table, batch []pair) error {
	text := "INSERT INTO " + m.to.quote(t.name) + " (" + strings.Join(t.columns, ", ") + ", tenant, " + t.key + ")" +
		" VALUES (" + strings.Repeat("?, ", len(t.columns)) + "?, ?)"
	if t.name == clients {
		if err := m.addDrafts(ctx, batch); err != nil {
			return err
		}
		text = "UPDATE " + m.to.quote(t.name) + " SET " + strings.Join(t.columns, " = ?, ") + " = ? WHERE tenant = ? AND " + t.key + " = ?"
	}
	tx, err := m.to.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after the commit
	statement, err := tx.PrepareContext(ctx, m.to.number(text))
	if err != nil {
		return err
	}
	for _, p := range batch {
		if _, err := statement.ExecContext(ctx, append(p.from.values(t), p.from.tenant, p.from.key)...); err != nil {
			return fmt.Errorf("%s: %w", p.describe(t), err)
		}
	}
	return tx.Commit()
}

// draft returns the client of a row as it is added, with the uses that the columns
// have. Only its revision, which the store draws, and the exact bytes of its document
// are missing.
func (r *row) draft() (*dcr.Client, error) {
	client := &dcr.Client{}
	if err := client.UnmarshalJSON([]byte(r.document)); err != nil {
		return nil, err
	}
	at := func(micros int64) time.Time {
		if micros == 0 {
			return time.Time{}
		}
		return time.UnixMicro(micros).UTC()
	}
	client.ID, client.ActivatedAt, client.LastUsedAt = r.key, at(r.numbers[1]), at(r.numbers[2])
	return client, nil
}

// isDraft reports whether the target's client is a draft of the source's, left by an
// interrupted move. Its revision may be any: if all else is equal, the client gets the
// revision of the source.
func (p pair) isDraft() (bool, error) {
	client, err := p.from.draft()
	if err != nil {
		return false, err
	}
	document, err := client.MarshalJSON()
	draft := row{p.from.tenant, p.from.key, [3]int64{p.to.numbers[0], p.from.numbers[1], p.from.numbers[2]}, string(document)}
	return *p.to == draft, err
}

// addDrafts adds many clients at once, so that they share commits. It skips those
// whose draft the target already has.
func (m *mover) addDrafts(ctx context.Context, batch []pair) error {
	errs := make([]error, len(batch))
	var wait sync.WaitGroup
	for i, p := range batch {
		if p.to == nil {
			wait.Go(func() { errs[i] = m.addDraft(ctx, p.from) })
		}
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", batch[i].describe(table{key: "client_id"}), err)
		}
	}
	return nil
}

func (m *mover) addDraft(ctx context.Context, r *row) error {
	tenant := r.tenant
	if strings.HasPrefix(tenant, hashed) {
		var known bool
		if tenant, known = m.tenants[tenant]; !known {
			return errors.New("the database has only the hash of the tenant: give its name with -tenant")
		}
	}
	client, err := r.draft()
	if err != nil {
		return err
	}
	return m.to.store.ForTenant(tenant).Add(ctx, client)
}

// compare compares each row of the target with the source's and logs those that
// differ.
func (m *mover) compare(ctx context.Context, t table) (compared, different int64, err error) {
	for p, err := range m.pairs(ctx, t) {
		if err != nil {
			return compared, different, err
		}
		compared++
		if difference := p.difference(t); difference != "" {
			log.Printf("%s: %s: %s", t.name, p.describe(t), difference)
			different++
		}
	}
	return compared, different, nil
}

// difference returns how the rows differ, or "" if they do not.
func (p pair) difference(t table) string {
	switch {
	case p.from == nil:
		return "only the target has it"
	case p.to == nil:
		return "the target lacks it"
	case *p.from == *p.to:
		return ""
	}
	var names []string
	for i, name := range t.columns {
		if i < len(p.from.numbers) && p.from.numbers[i] != p.to.numbers[i] || name == "document" && p.from.document != p.to.document {
			names = append(names, name)
		}
	}
	return "differs in " + strings.Join(names, ", ")
}

// describe returns the tenant and the key of a pair as a text.
func (p pair) describe(t table) string {
	r := cmp.Or(p.from, p.to)
	return fmt.Sprintf("tenant %q, %s %q", r.tenant, t.key, r.key)
}

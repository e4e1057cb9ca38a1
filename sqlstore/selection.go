package sqlstore

import (
	"context"
	"database/sql"
	"iter"
	"slices"

	"github.com/dynreg/dcr"
)

// selection says in SQL which clients are meant. An index gives them in the
// order of their ids: that of all clients, or that of a key. What no index
// knows, such as their age, is asked of each client that the index gives.
type selection struct {
	index    string // the table that gives the ids
	join     string // how the clients are reached from there
	id       string // the column with the id
	given    string // what the index fulfils
	asked    string // what is asked of each client, each condition after " AND "
	givenArg []any
	askedArg []any
}

// everything selects all clients of the tenant.
func (s *Store) everything() *selection {
	return &selection{index: "{clients} AS c", id: "c.client_id", given: "c.tenant = ?", givenArg: []any{s.tenant}}
}

// having selects the clients with a key.
func (s *Store) having(k searchKey) *selection {
	return &selection{
		index: "{client_keys} AS k", join: " JOIN {clients} AS c ON c.tenant = k.tenant AND c.client_id = k.client_id",
		id: "k.client_id", given: "k.tenant = ? AND k.name = ? AND k.value = ?", givenArg: []any{s.tenant, k.name, k.value},
	}
}

// ask narrows the selection.
func (sel *selection) ask(condition string, args ...any) {
	sel.asked += " AND " + condition
	sel.askedArg = append(sel.askedArg, args...)
}

// selection says filter in SQL. Of several keys, the one that is likely to be
// the rarest comes first.
func (s *Store) selection(filter dcr.Filter) *selection {
	var keys []searchKey
	if filter.Status != nil && *filter.Status != dcr.StatusActive {
		keys = appendKey(keys, keyStatus, string(*filter.Status))
	}
	keys = appendKey(keys, keyRegisteredBy, filter.RegisteredBy)
	keys = appendKey(keys, keySoftwareID, filter.SoftwareID)

	const has = "EXISTS (SELECT 1 FROM {client_keys} AS o WHERE o.tenant = c.tenant AND o.client_id = c.client_id AND o.name = ?"
	sel := s.everything()
	if len(keys) > 0 {
		sel = s.having(keys[0])
		for _, k := range keys[1:] {
			sel.ask(has+" AND o.value = ?)", k.name, k.value)
		}
	}
	if filter.Status != nil && *filter.Status == dcr.StatusActive {
		sel.ask("NOT "+has+")", keyStatus)
	}
	if filter.Policy != "" {
		sel.ask("policy = ?", key(filter.Policy))
	}
	if !filter.CreatedAfter.IsZero() {
		sel.ask("created_at >= ?", micros(filter.CreatedAfter))
	}
	if !filter.CreatedBefore.IsZero() {
		sel.ask("created_at < ?", micros(filter.CreatedBefore))
	}
	return sel
}

func (s *Store) count(ctx context.Context, sel *selection) (count int64, err error) {
	text := s.once("SELECT COUNT(*) FROM " + sel.index + sel.join + " WHERE " + sel.given + sel.asked)
	err = s.read(ctx, func() error { return s.queryRow(ctx, text, slices.Concat(sel.givenArg, sel.askedArg), &count) })
	return count, err
}

// mostScanned bounds the clients that one statement asks in search of a page, so
// that none takes long, however many clients there are and however few fit.
const mostScanned = 10_000

// pages yields the clients of the selection behind the id after, at most size at
// a time, in the order of their ids. No connection is held while a page is
// handed out.
func (s *Store) pages(ctx context.Context, sel *selection, after string, size int) iter.Seq2[[]stored, error] {
	return func(yield func([]stored, error) bool) {
		scan := size
		for {
			page, last, err := s.page(ctx, sel, after, scan, size)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) > 0 && !yield(page, nil) {
				return
			}
			switch {
			case len(page) == size:
				after, scan = page[size-1].id, size
			case last == "":
				return
			default: // little was found: look further at once
				after, scan = last, min(2*scan, max(size, mostScanned))
			}
		}
	}
}

// page reads at most size clients behind after. Where something is asked of
// them, it goes through so many clients as scan says and returns the last of
// them, "" where none is left.
func (s *Store) page(ctx context.Context, sel *selection, after string, scan, size int) (page []stored, last string, err error) {
	behind := " WHERE " + sel.given + " AND " + sel.id + " > ?"
	args := append(slices.Clone(sel.givenArg), after)
	upTo, order := "", " ORDER BY "+sel.id+" LIMIT ?"
	if sel.asked != "" {
		scanned := s.once("SELECT MAX(client_id) FROM (SELECT " + sel.id + " FROM " + sel.index + behind + order + ") AS scanned")
		var end sql.NullString
		err := s.read(ctx, func() error { return s.queryRow(ctx, scanned, append(slices.Clone(args), scan), &end) })
		if err != nil || !end.Valid {
			return nil, "", err
		}
		last, upTo, args = end.String, " AND "+sel.id+" <= ?", append(args, end.String)
	}
	text := s.once("SELECT " + row + " FROM " + sel.index + sel.join + behind + upTo + sel.asked + order)
	page, err = all(s, ctx, text, append(append(args, sel.askedArg...), size), (*stored).columns)
	return page, last, err
}

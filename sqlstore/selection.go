package sqlstore

import (
	"context"
	"iter"
	"slices"

	"github.com/dynreg/dcr"
)

// selection says in SQL which clients are meant. An index gives them in the
// order of their ids: that of all clients, or that of a key. What no index
// knows, such as their age, is asked of each client that the index gives.
type selection struct {
	from     string // the tables
	id       string // the column with the id
	given    string // what the index fulfils
	asked    string // what is asked of each client, each condition after " AND "
	givenArg []any
	askedArg []any
}

// everything selects all clients of the tenant.
func (s *Store) everything() *selection {
	return &selection{from: "{clients} AS c", id: "c.client_id", given: "c.tenant = ?", givenArg: []any{s.tenant}}
}

// having selects the clients with a key.
func (s *Store) having(k searchKey) *selection {
	return &selection{
		from: "{client_keys} AS k JOIN {clients} AS c ON c.tenant = k.tenant AND c.client_id = k.client_id",
		id:   "k.client_id", given: "k.tenant = ? AND k.name = ? AND k.value = ?", givenArg: []any{s.tenant, k.name, k.value},
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
	text := s.once("SELECT COUNT(*) FROM " + sel.from + " WHERE " + sel.given + sel.asked)
	err = s.read(ctx, func() error { return s.queryRow(ctx, text, slices.Concat(sel.givenArg, sel.askedArg), &count) })
	return count, err
}

// maxIDs bounds the ids that are read ahead of their clients.
const maxIDs = 10_000

// pages yields the clients of the selection behind the id after, at most size at
// a time, in the order of their ids. No connection is held while a page is
// handed out.
func (s *Store) pages(ctx context.Context, sel *selection, after string, size int) iter.Seq2[[]stored, error] {
	if sel.asked != "" {
		return s.searchedPages(ctx, sel, after, size)
	}
	return func(yield func([]stored, error) bool) {
		for {
			behind, args := sel.behind(after)
			page, err := s.clients(ctx, sel, behind, args, size)
			if !yield(page, err) || err != nil || len(page) < size {
				return
			}
			after = page[size-1].id
		}
	}
}

// searchedPages is pages where something is asked of the clients: a search goes
// through many of them for few, or for none. So it reads ids alone, more with
// each search, and leaves it to the database which way to go.
func (s *Store) searchedPages(ctx context.Context, sel *selection, after string, size int) iter.Seq2[[]stored, error] {
	return func(yield func([]stored, error) bool) {
		for most := size; ; most = min(10*most, max(size, maxIDs)) {
			behind, args := sel.behind(after)
			search := s.once("SELECT " + sel.id + sel.where(behind))
			ids, err := all(s, ctx, search, sel.args(args, most), func(id *string) []any { return []any{id} })
			if err != nil {
				yield(nil, err)
				return
			}
			for chunk := range slices.Chunk(ids, size) {
				some := s.among(sel.id, anys(chunk))
				page, err := s.clients(ctx, sel, some.condition, some.args, size)
				if !yield(page, err) || err != nil {
					return
				}
			}
			if len(ids) < most {
				return
			}
			after = ids[most-1]
		}
	}
}

// behind is the condition that a client stands behind after. It is said of both
// tables where there are two: what holds of one id, PostgreSQL does not conclude
// of its equal, and would go through all clients before.
func (sel *selection) behind(after string) (condition string, args []any) {
	const ofClient = "c.client_id"
	if sel.id == ofClient {
		return ofClient + " > ?", []any{after}
	}
	return sel.id + " > ? AND " + ofClient + " > ?", []any{after, after}
}

// where is the end of a statement that reads the selected clients of which
// condition is true, in the order of their ids.
func (sel *selection) where(condition string) string {
	return " FROM " + sel.from + " WHERE " + sel.given + " AND " + condition + sel.asked + " ORDER BY " + sel.id + " LIMIT ?"
}

// args are the parameters of where.
func (sel *selection) args(condition []any, most int) []any {
	return append(slices.Concat(sel.givenArg, condition, sel.askedArg), most)
}

func (s *Store) clients(ctx context.Context, sel *selection, condition string, args []any, most int) ([]stored, error) {
	return all(s, ctx, s.once("SELECT "+row+sel.where(condition)), sel.args(args, most), (*stored).columns)
}

func anys(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}

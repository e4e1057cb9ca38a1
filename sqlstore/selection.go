package sqlstore

// Reading the clients that a filter selects.

import (
	"context"
	"iter"
	"slices"
	"strings"
)

// maxIDs is how many ids are read at most before their clients are.
const maxIDs = 10_000

// maxFew is how many clients are few. If a selection is few, its ids are read and
// sorted here, since no index may have them in the wanted order. If it is more, a scan
// of all clients in that order soon finds enough of them.
const maxFew = 5000

// place is the position of a client in the orders in which clients are read.
type place struct {
	id      string
	created int64
}

func (p *place) columns() []any { return []any{&p.id, &p.created} }

// few returns the clients of the selection, and perhaps some more, if they are few by
// one of the narrow conditions.
func (s *Store) few(ctx context.Context, sel *selection) (places []place, are bool, err error) {
	for _, narrow := range sel.narrow {
		places = nil
		for _, part := range narrow {
			text := s.once("SELECT c.client_id, c.created_at FROM " + sel.from + " WHERE " + sel.given + part.text + " LIMIT ?")
			args := append(slices.Concat(sel.givenArg, part.args), maxFew+1-len(places))
			found, err := all(s, ctx, text, args, (*place).columns)
			if err != nil {
				return nil, false, err
			}
			if places = append(places, found...); len(places) > maxFew {
				break
			}
		}
		if len(places) <= maxFew {
			return places, true, nil
		}
	}
	return nil, false, nil
}

// pages yields the clients of the selection behind the id after, at most size at
// a time, in the order of their ids. No connection is held while a page is
// handed out.
func (s *Store) pages(ctx context.Context, sel *selection, after string, size int) iter.Seq2[[]stored, error] {
	if sel.asked.text != "" {
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

// searchedPages is pages for a selection with conditions that its index does not cover.
// A search may go through many clients to find few, or none. So, unless the selection
// is few, it reads only ids, more with each query, and lets the database choose the
// index.
func (s *Store) searchedPages(ctx context.Context, sel *selection, after string, size int) iter.Seq2[[]stored, error] {
	return func(yield func([]stored, error) bool) {
		var ids []string
		places, few, err := s.few(ctx, sel)
		if err != nil {
			yield(nil, err)
			return
		}
		if few {
			for _, place := range places {
				if place.id > after {
					ids = append(ids, place.id)
				}
			}
			slices.Sort(ids)
			s.fetch(ctx, sel, ids, size, yield)
			return
		}
		for most := size; ; most = min(10*most, max(size, maxIDs)) {
			behind, args := sel.behind(after)
			search := s.once("SELECT " + sel.id + sel.where(behind))
			ids, err := all(s, ctx, search, sel.args(args, most), func(id *string) []any { return []any{id} })
			if err != nil {
				yield(nil, err)
				return
			}
			if !s.fetch(ctx, sel, ids, size, yield) || len(ids) < most {
				return
			}
			after = ids[most-1]
		}
	}
}

// fetch yields the clients of these ids that are selected, in pages, and reports
// whether to go on.
func (s *Store) fetch(ctx context.Context, sel *selection, ids []string, size int, yield func([]stored, error) bool) bool {
	for chunk := range slices.Chunk(ids, size) {
		some := s.among(sel.id, anys(chunk))
		page, err := s.clients(ctx, sel, some.condition, some.args, size)
		if !yield(page, err) || err != nil {
			return false
		}
	}
	return true
}

// behind returns the condition that a client comes behind after. If there are two
// tables, it is a condition on both ids: PostgreSQL does not conclude from one that it
// holds for the other, which is equal, and would read all clients before it.
func (sel *selection) behind(after string) (condition string, args []any) {
	const ofClient = "c.client_id"
	if sel.id == ofClient {
		return ofClient + " > ?", []any{after}
	}
	return sel.id + " > ? AND " + ofClient + " > ?", []any{after, after}
}

// where returns the end of a statement that reads the selected clients that meet
// condition, in the order of their ids.
func (sel *selection) where(condition string) string {
	return " FROM " + sel.from + " WHERE " + sel.given + " AND " + condition + sel.asked.text + " ORDER BY " + sel.id + " LIMIT ?"
}

// args returns the parameters of where.
func (sel *selection) args(condition []any, most int) []any {
	return append(slices.Concat(sel.givenArg, condition, sel.asked.args), most)
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

// ordered is a client's row with the columns by which clients are sorted.
type ordered struct {
	stored
	created, expires, withdrawn int64
}

const orderedRow = row + ", c.created_at AS created_at, c.expires_at, c.withdrawn_at"

func (r *ordered) columns() []any {
	return append(r.stored.columns(), &r.created, &r.expires, &r.withdrawn)
}

// past returns the condition that a row comes past values in the order of columns.
// MySQL does not use an index to compare several columns at once, so there the
// condition begins with a comparison of the first column.
func (d *database) past(columns []string, comparison string, values []any) clause {
	if d.dialect != MySQL {
		places := strings.Repeat(", ?", len(columns))[2:]
		return clause{" AND (" + strings.Join(columns, ", ") + ") " + comparison + " (" + places + ")", values}
	}
	first := clause{" AND " + columns[0] + " " + comparison + "= ?", values[:1:1]}
	condition, args := "", []any(nil)
	for i := len(columns) - 1; i >= 0; i-- {
		if condition == "" {
			condition, args = columns[i]+" "+comparison+" ?", []any{values[i]}
			continue
		}
		condition = "(" + columns[i] + " " + comparison + " ? OR " + columns[i] + " = ? AND " + condition + ")"
		args = append([]any{values[i], values[i]}, args...)
	}
	first.join(clause{" AND " + condition, args})
	return first
}

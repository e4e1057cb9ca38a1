package sqlstore

import (
	"context"
	"iter"
	"slices"
	"strings"
)

// maxIDs bounds the ids that are read ahead of their clients.
const maxIDs = 10_000

// maxFew is how many clients are few: their ids are read and put into order
// here, where no index gives them in the order that is wanted. Where they are
// more, enough of them come along in any order of all clients.
const maxFew = 5000

// place is where a client stands in the orders in which clients are read.
type place struct {
	id      string
	created int64
}

func (p *place) columns() []any { return []any{&p.id, &p.created} }

// few returns the clients of the selection, and perhaps some more, where a
// narrow way in says that they are few.
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

// searchedPages is pages where something is asked of the clients: a search goes
// through many of them for few, or for none. So it reads ids alone, more with
// each search, and leaves it to the database which way to go, unless they are
// few.
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
	return " FROM " + sel.from + " WHERE " + sel.given + " AND " + condition + sel.asked.text + " ORDER BY " + sel.id + " LIMIT ?"
}

// args are the parameters of where.
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

// ordered is a client's row with what clients are put in order by.
type ordered struct {
	stored
	created, expires, withdrawn int64
}

const orderedRow = row + ", c.created_at AS created_at, c.expires_at, c.withdrawn_at"

func (r *ordered) columns() []any {
	return append(r.stored.columns(), &r.created, &r.expires, &r.withdrawn)
}

// past is the condition that a row stands past values in the order of columns.
// Every database finds its beginning by the first column, and not every one by
// all of them.
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

package sqlstore

// Listing clients by id.

import (
	"context"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/dynreg/dcr"
)

// pageSize is how many clients a listing reads at a time.
const pageSize = 200

// ListClients yields the clients that filter selects in the order of their
// ids, which are compared byte by byte; see [dcr.ClientLister]. Times are
// compared to the microsecond.
//
// Indexes find clients by all conditions of the filter but three: RedirectHost,
// NamePrefix and the active status. For these it reads all clients that the rest
// of the filter selects, in time proportional to their number.
func (s *Store) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	start := after // the part that every database accepts
	if i := strings.IndexFunc(after, func(r rune) bool { return r == 0 || r == utf8.RuneError }); i >= 0 {
		start = after[:i]
	}
	return func(yield func(*dcr.Client, error) bool) {
		sel, err := s.selection(ctx, filter)
		if err != nil {
			yield(nil, err)
			return
		}
		for page, err := range s.pages(ctx, sel, start, pageSize) {
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page {
				if page[i].id <= after {
					continue
				}
				client, err := sel.open(&page[i])
				if client == nil && err == nil {
					continue
				}
				if !yield(client, err) || err != nil {
					return
				}
			}
		}
	}
}

// FindByStatement returns the ids of the clients of a software statement; see
// [dcr.StatementFinder].
func (s *Store) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	return all(s, ctx, &s.sql.byStatement, []any{s.tenant, key(statementValue(issuer, id))},
		func(id *string) []any { return []any{id} })
}

// all reads all rows of a statement; columns returns where in a T the selected columns
// go.
func all[T any](s *Store, ctx context.Context, text *statement, values []any, columns func(*T) []any) (found []T, err error) {
	err = s.read(ctx, func() error {
		rows, err := s.query(ctx, text, values...)
		if err != nil {
			return err
		}
		defer rows.Close()
		found = nil
		for rows.Next() {
			var one T
			if err := rows.Scan(columns(&one)...); err != nil {
				return err
			}
			found = append(found, one)
		}
		return rows.Err()
	})
	return found, err
}

package sqlstore

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// pageSize is how many clients a listing reads at a time. No connection is
// held while a page is handed out.
const pageSize = 200

// ListClients yields the clients that filter selects in the order of their
// ids, which are compared byte by byte; see [dcr.ClientLister]. Times are
// compared to the microsecond.
func (s *Store) ListClients(ctx context.Context, filter dcr.Filter, after string) iter.Seq2[*dcr.Client, error] {
	where, values := s.where(filter)
	return func(yield func(*dcr.Client, error) bool) {
		along, err := s.along(ctx, filter, where, values)
		if err != nil {
			yield(nil, err)
			return
		}
		page := s.once("SELECT " + row + " FROM {clients}" + along + " WHERE " + where + " AND client_id > ? ORDER BY client_id LIMIT ?")
		for {
			clients, err := all(s, ctx, page, append(slices.Clone(values), after, pageSize), (*stored).columns)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range clients {
				client, err := clients[i].client()
				if !yield(client, err) || err != nil {
					return
				}
			}
			if len(clients) < pageSize {
				return
			}
			after = clients[len(clients)-1].id
		}
	}
}

// fewOfAnAge is up to how many clients of an age are sorted for each page of
// them; where there are more, going through all clients in order is better.
const fewOfAnAge = 5000

// along names the index of a listing by age, where the database cannot know
// that few clients are of that age and would go through all of them.
func (s *Store) along(ctx context.Context, filter dcr.Filter, where string, values []any) (string, error) {
	useIndex := s.dialect.traits().useIndex
	if useIndex == "" || filter.CreatedAfter.IsZero() && filter.CreatedBefore.IsZero() || filter.SoftwareID != "" || filter.RegisteredBy != "" {
		return "", nil
	}
	var few int
	text := s.once("SELECT COUNT(*) FROM (SELECT 1 FROM {clients}" + useIndex + " WHERE " + where + " LIMIT ?) AS few")
	err := s.read(ctx, func() error { return s.queryRow(ctx, text, append(slices.Clone(values), fewOfAnAge+1), &few) })
	if err != nil || few > fewOfAnAge {
		return "", err
	}
	return useIndex, nil
}

// CountClients counts the clients that filter selects; see [dcr.ClientCounter].
func (s *Store) CountClients(ctx context.Context, filter dcr.Filter) (int64, error) {
	where, values := s.where(filter)
	return s.count(ctx, where, values)
}

func (s *Store) count(ctx context.Context, where string, values []any) (count int64, err error) {
	text := s.once("SELECT COUNT(*) FROM {clients} WHERE " + where)
	err = s.read(ctx, func() error { return s.queryRow(ctx, text, values, &count) })
	return count, err
}

// FindByStatement returns the ids of the clients of a software statement; see
// [dcr.StatementFinder].
func (s *Store) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	return all(s, ctx, &s.sql.byStatement, []any{s.tenant, key(issuer), key(id)},
		func(id *string) []any { return []any{id} })
}

// all reads all rows of a statement; columns are the places in a T of what it
// selects.
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

// where says filter in SQL. That a text is not empty is said too, since an
// index that leaves out the empty ones is used only then.
func (s *Store) where(filter dcr.Filter) (text string, values []any) {
	conditions, values := []string{"tenant = ?"}, []any{s.tenant}
	add := func(condition string, value any) {
		conditions, values = append(conditions, condition), append(values, value)
	}
	if filter.SoftwareID != "" {
		add("software_id <> '' AND software_id = ?", key(filter.SoftwareID))
	}
	if filter.RegisteredBy != "" {
		add("registered_by <> '' AND registered_by = ?", key(filter.RegisteredBy))
	}
	if filter.Policy != "" {
		add("policy = ?", key(filter.Policy))
	}
	switch {
	case filter.Status == nil:
	case *filter.Status == dcr.StatusActive:
		conditions = append(conditions, "status = ''")
	default:
		add("status <> '' AND status = ?", key(string(*filter.Status)))
	}
	if !filter.CreatedAfter.IsZero() {
		add("created_at >= ?", micros(filter.CreatedAfter))
	}
	if !filter.CreatedBefore.IsZero() {
		add("created_at < ?", micros(filter.CreatedBefore))
	}
	return strings.Join(conditions, " AND "), values
}

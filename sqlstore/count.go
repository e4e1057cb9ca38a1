package sqlstore

// Counting clients.

import (
	"context"
	"fmt"
	"slices"

	"github.com/dynreg/dcr"
)

// CountClients counts the clients that filter selects; see [dcr.ClientCounter].
// With RedirectHost or NamePrefix it reads every client that the rest of the
// filter selects.
func (s *Store) CountClients(ctx context.Context, filter dcr.Filter) (int64, error) {
	if active := filter.Status; active != nil && *active == dcr.StatusActive {
		// Few clients are not active, and those are cheap to find.
		filter.Status = nil
		all, err := s.selection(ctx, filter)
		if err != nil {
			return 0, err
		}
		if all.inGo == nil && all.id == s.everything().id {
			others := s.having(searchKey{name: keyStatus})
			others.asked = all.asked
			count, err := s.count(ctx, all)
			if err != nil {
				return 0, err
			}
			inactive, err := s.count(ctx, others)
			return max(0, count-inactive), err
		}
		filter.Status = active
	}
	sel, err := s.selection(ctx, filter)
	if err != nil {
		return 0, err
	}
	if sel.inGo == nil {
		return s.count(ctx, sel)
	}
	var count int64
	for _, err := range s.ListClients(ctx, filter, "") {
		if err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}

// count counts the unused and the used clients apart if partial indexes cover the
// conditions.
func (s *Store) count(ctx context.Context, sel *selection) (count int64, err error) {
	parts, from := []clause{sel.asked}, sel.from
	if sel.counted != nil && sel.id == s.everything().id {
		parts = sel.counted
	}
	if hint := s.dialect.traits().indexHint; hint != "" && sel.index != "" && sel.id == s.everything().id {
		// Without a hint, MySQL reads the primary key, which contains the documents.
		from += fmt.Sprintf(hint, sel.index)
		if sel.index == byCreation {
			parts = []clause{sel.asked}
		}
	}
	for _, part := range parts {
		var some int64
		text := s.once("SELECT COUNT(*) FROM " + from + " WHERE " + sel.given + part.text)
		err := s.read(ctx, func() error { return s.queryRow(ctx, text, slices.Concat(sel.givenArg, part.args), &some) })
		if err != nil {
			return 0, err
		}
		count += some
	}
	return count, nil
}

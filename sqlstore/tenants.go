package sqlstore

import (
	"context"
	"iter"
	"strings"
)

// Tenant is the tenant whose clients this view of the store keeps.
func (s *Store) Tenant() string { return s.name }

// Tenants yields the tenants that have clients, in the order of their bytes. An
// error ends the sequence. A tenant with a name that no column holds, since it is
// longer than 191 bytes, has a NUL, is not UTF-8 or begins with "sha256:", is kept
// under its hash alone, and is left out.
func (s *Store) Tenants(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		from := &s.sql.firstTenant
		var args []any
		for {
			found, err := all(s, ctx, from, args, func(tenant *string) []any { return []any{tenant} })
			if err != nil {
				yield("", err)
				return
			}
			if len(found) == 0 {
				return
			}
			if !strings.HasPrefix(found[0], hashedKey) && !yield(found[0], nil) {
				return
			}
			from, args = &s.sql.nextTenant, []any{found[0]}
		}
	}
}

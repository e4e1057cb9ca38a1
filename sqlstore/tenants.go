package sqlstore

// The tenants that have clients.

import (
	"context"
	"iter"
	"strings"
)

// Tenant is the tenant whose clients this view of the store keeps.
func (s *Store) Tenant() string { return s.name }

// Tenants yields the tenants that have clients, in the order of their bytes. An
// error ends the sequence. It leaves out tenants whose names are longer than 191
// bytes, have a NUL, are not UTF-8 or begin with "sha256:", since the database has
// only the hash of such a name.
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

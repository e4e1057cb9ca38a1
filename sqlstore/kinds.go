package sqlstore

// Clients that are not plain. A client is plain if it is dynamic, runs under no named
// policy and does not expire. One index has all others; if the dialect has partial
// indexes, plain clients are not in it. It begins with the kind of a client. There are
// few kinds, since hosts name them.

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// marked is the condition of the index of the clients that are not plain.
const marked = "(policy <> '' OR source <> 'dynamic' OR withdrawn_at > 0 OR expires_at > 0)"

// kind is the policy that a client runs under and its source, as the columns have them.
type kind struct{ policy, source string }

func (k *kind) columns() []any { return []any{&k.policy, &k.source} }

// kinds returns the kinds of the clients that are not plain, and perhaps that of the
// plain ones. Each query skips to the next kind in the index.
func (s *Store) kinds(ctx context.Context) (kinds []kind, err error) {
	from, among := " FROM {clients}", ""
	traits := s.dialect.traits()
	if traits.indexHint != "" {
		from += fmt.Sprintf(traits.indexHint, "{.clients_marked}")
	}
	if traits.byHalves {
		among = " AND " + marked
	}
	past := clause{}
	for {
		text := s.once("SELECT policy, source" + from + " WHERE tenant = ?" + among + past.text + " ORDER BY policy, source LIMIT 1")
		next, err := all(s, ctx, text, append([]any{s.tenant}, past.args...), (*kind).columns)
		if err != nil || len(next) == 0 {
			return kinds, err
		}
		kinds = append(kinds, next[0])
		past = s.past([]string{"policy", "source"}, ">", []any{next[0].policy, next[0].source})
	}
}

// ofSource returns the condition that a client comes from source, which is not
// SourceDynamic, written so that databases use the index.
func (s *Store) ofSource(ctx context.Context, source string) (asked clause, err error) {
	kinds, err := s.kinds(ctx)
	var policies []any
	for _, kind := range kinds {
		if kind.source == source {
			policies = append(policies, kind.policy)
		}
	}
	if len(policies) == 0 {
		asked.and("1 = 0")
		return asked, err
	}
	asked.and("policy IN (?"+strings.Repeat(", ?", len(policies)-1)+")", policies...)
	asked.and("source = ? AND source <> 'dynamic'", source)
	return asked, err
}

// byKind returns, for each kind with one of these sources, the condition that a client
// is of that kind.
func (s *Store) byKind(ctx context.Context, sources []any) (each []clause, err error) {
	kinds, err := s.kinds(ctx)
	for _, kind := range kinds {
		if slices.Contains(sources, any(kind.source)) {
			var one clause
			one.and("policy = ? AND source = ?", kind.policy, kind.source)
			each = append(each, one)
		}
	}
	return each, err
}

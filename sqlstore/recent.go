package sqlstore

// Listing clients and initial access tokens, the last created first.

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dynreg/dcr"
)

// cursor returns the cursor of the page behind p.
func (p place) cursor() string { return strconv.FormatInt(p.created, 10) + "." + p.id }

// readCursor returns the place behind which a page begins, nil for the first page.
func readCursor(cursor string) (*place, error) {
	if cursor == "" {
		return nil, nil
	}
	created, id, found := strings.Cut(cursor, ".")
	at, err := strconv.ParseInt(created, 10, 64)
	if err != nil || !found || !plain(id) {
		return nil, dcr.ErrCursor
	}
	return &place{id, at}, nil
}

// older is negative if p comes first in a list that has the last created first.
func (p place) older(other place) int {
	return cmp.Or(cmp.Compare(other.created, p.created), strings.Compare(other.id, p.id))
}

// maxLooked is how many clients a call checks for conditions that no column covers.
const maxLooked = 2000

// ListRecentClients lists clients, the last created first, to the microsecond;
// see [dcr.RecentClientLister]. Indexes find clients as they do for
// [Store.ListClients]. With RedirectHost or NamePrefix, a call reads at most 2000
// of the clients that the rest of the filter selects.
func (s *Store) ListRecentClients(ctx context.Context, filter dcr.Filter, cursor string, limit int) (clients []*dcr.Client, next string, err error) {
	after, err := readCursor(cursor)
	if err != nil || limit <= 0 {
		return nil, "", err
	}
	sel, err := s.selection(ctx, filter)
	if err != nil {
		return nil, "", err
	}
	places, few, err := s.few(ctx, sel)
	if err != nil {
		return nil, "", err
	}
	read := func(size int) ([]ordered, bool, error) { return s.recentAmongAll(ctx, sel, after, size) }
	if few {
		slices.SortFunc(places, place.older)
		read = func(size int) (rows []ordered, more bool, err error) {
			for after != nil && len(places) > 0 && places[0].older(*after) <= 0 {
				places = places[1:]
			}
			chunk := places[:min(size, len(places))]
			places = places[len(chunk):]
			rows, err = s.recentOf(ctx, sel, chunk)
			return rows, len(places) > 0, err
		}
	}
	looked := 0
	for size := min(limit+1, maxIDs); ; size = min(max(2*size, pageSize), maxIDs) {
		if sel.inGo != nil && looked+size > maxLooked {
			if size = maxLooked - looked; size <= 0 {
				return clients, after.cursor(), nil
			}
		}
		rows, more, err := read(size)
		if err != nil {
			return nil, "", err
		}
		for i := range rows {
			client, err := sel.open(&rows[i].stored)
			switch {
			case err != nil:
				return nil, "", err
			case client == nil:
			case len(clients) == limit:
				return clients, next, nil
			default:
				clients = append(clients, client)
				next = place{rows[i].id, rows[i].created}.cursor()
			}
			after = &place{rows[i].id, rows[i].created}
		}
		if looked += len(rows); !more {
			return clients, "", nil
		}
	}
}

// recentAmongAll reads the selected clients behind a place, the last created first. It
// goes through all clients, so it is for a selection of many. more reports whether
// there may be others.
func (s *Store) recentAmongAll(ctx context.Context, sel *selection, after *place, most int) (rows []ordered, more bool, err error) {
	parts := []clause{sel.asked}
	if s.dialect.traits().byHalves {
		parts = sel.halves
	}
	const order = " ORDER BY created_at DESC, client_id DESC LIMIT ?"
	var texts []string
	var args []any
	for _, part := range parts {
		if after != nil {
			part = clause{part.text, slices.Clone(part.args)}
			part.join(s.past([]string{"c.created_at", "c.client_id"}, "<", []any{after.created, after.id}))
		}
		text := "SELECT " + orderedRow + " FROM " + sel.from + " WHERE " + sel.given + part.text
		args = append(append(args, sel.givenArg...), part.args...)
		if s.dialect == PostgreSQL && len(parts) > 1 { // SQLite itself reads no more than it needs of each half
			text, args = "("+text+order+")", append(args, most)
		}
		texts = append(texts, text)
	}
	text := s.once(strings.Join(texts, " UNION ALL ") + order)
	rows, err = all(s, ctx, text, append(args, most), (*ordered).columns)
	return rows, len(rows) == most, err
}

// recentOf reads the clients at places that are selected, the last created first.
func (s *Store) recentOf(ctx context.Context, sel *selection, places []place) ([]ordered, error) {
	if len(places) == 0 {
		return nil, nil
	}
	ids := make([]any, len(places))
	for i, place := range places {
		ids[i] = place.id
	}
	some := s.among(sel.id, ids)
	text := s.once("SELECT " + orderedRow + " FROM " + sel.from + " WHERE " + sel.given + " AND " + some.condition + sel.asked.text)
	rows, err := all(s, ctx, text, slices.Concat(sel.givenArg, some.args, sel.asked.args), (*ordered).columns)
	slices.SortFunc(rows, func(a, b ordered) int { return place{a.id, a.created}.older(place{b.id, b.created}) })
	return rows, err
}

// ListInitialAccessTokens lists tokens, the last issued first, to the
// microsecond; see [dcr.InitialAccessTokenLister]. Tokens that were added by a
// version without this method come last.
func (s *Store) ListInitialAccessTokens(ctx context.Context, cursor string, limit int) (tokens []dcr.InitialAccessToken, next string, err error) {
	after, err := readCursor(cursor)
	if err != nil || limit <= 0 {
		return nil, "", err
	}
	behind := clause{"", nil}
	if after != nil {
		behind = s.past([]string{"created_at", "hash"}, "<", []any{after.created, after.id})
	}
	type issued struct {
		storedToken
		place
	}
	text := s.once("SELECT uses, document, created_at, hash FROM {initial_access_tokens} WHERE tenant = ?" + behind.text +
		" ORDER BY created_at DESC, hash DESC LIMIT ?")
	args := append(append([]any{s.tenant}, behind.args...), int64(limit)+1)
	rows, err := all(s, ctx, text, args, func(r *issued) []any { return []any{&r.uses, &r.document, &r.created, &r.id} })
	if err != nil {
		return nil, "", err
	}
	for i := range rows {
		if i == limit {
			return tokens, rows[i-1].cursor(), nil
		}
		token := dcr.InitialAccessToken{}
		if err := json.Unmarshal([]byte(rows[i].document), &token); err != nil {
			return nil, "", fmt.Errorf("sqlstore: initial access token: %w", err)
		}
		token.Uses = rows[i].uses
		tokens = append(tokens, token)
	}
	return tokens, "", nil
}

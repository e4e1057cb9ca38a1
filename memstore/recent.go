package memstore

// Listing clients and initial access tokens, the last created first.

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dynreg/dcr"
)

// place is where a client, or an initial access token, stands in a list that
// begins with the last created.
type place struct {
	created int64 // as nanos says
	name    string
}

// compare returns a negative number if p comes before other. Of two that were
// created at the same time, the one with the greater name comes first.
func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(other.created, p.created), strings.Compare(other.name, p.name))
}

// cursor writes a place as the cursor of the page after it.
func (p place) cursor() string { return fmt.Sprintf("%d.%s", p.created, p.name) }

// behind reads a cursor and returns which places come after it: all of them for
// "".
func behind(cursor string) (func(place) bool, error) {
	if cursor == "" {
		return func(place) bool { return true }, nil
	}
	created, name, found := strings.Cut(cursor, ".")
	at, err := strconv.ParseInt(created, 10, 64)
	if err != nil || !found {
		return nil, dcr.ErrCursor
	}
	from := place{at, name}
	return func(p place) bool { return from.compare(p) < 0 }, nil
}

// maxLooked is how many clients a call looks at.
const maxLooked = 2000

// ListRecentClients lists clients, the last created first; see
// [dcr.RecentClientLister]. A call looks at no more than 2000.
func (s *Store) ListRecentClients(ctx context.Context, filter dcr.Filter, cursor string, limit int) (clients []*dcr.Client, next string, err error) {
	isBehind, err := behind(cursor)
	if err != nil || limit <= 0 {
		return nil, "", err
	}
	var places []place
	s.mu.RLock()
	for id, e := range s.clients.all() {
		if at := (place{e.created, id}); isBehind(at) {
			places = append(places, at)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(places, place.compare)
	var last place
	for i, at := range places {
		if i == maxLooked {
			return clients, places[i-1].cursor(), nil
		}
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		client, err := s.FindByClientID(ctx, at.name)
		switch {
		case err == dcr.ErrClientNotFound || err == nil && !filter.Selects(client):
			continue
		case err != nil:
			return nil, "", err
		case len(clients) == limit:
			return clients, last.cursor(), nil
		}
		clients, last = append(clients, client), at
	}
	return clients, "", nil
}

// ListInitialAccessTokens lists tokens, the last issued first; see
// [dcr.InitialAccessTokenLister].
func (s *Store) ListInitialAccessTokens(ctx context.Context, cursor string, limit int) (tokens []dcr.InitialAccessToken, next string, err error) {
	isBehind, err := behind(cursor)
	if err != nil || limit <= 0 {
		return nil, "", err
	}
	placeOf := func(token dcr.InitialAccessToken) place { return place{nanos(token.CreatedAt), token.Hash} }
	s.mu.RLock()
	for _, token := range s.tokens {
		if isBehind(placeOf(token)) {
			tokens = append(tokens, token)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(tokens, func(a, b dcr.InitialAccessToken) int { return placeOf(a).compare(placeOf(b)) })
	if len(tokens) > limit {
		tokens = slices.Clip(tokens[:limit])
		next = placeOf(tokens[limit-1]).cursor()
	}
	return tokens, next, nil
}

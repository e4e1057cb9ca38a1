package memstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// place is where a client, or an initial access token, stands in a list that
// has the last created first.
type place struct {
	created time.Time
	name    string
}

// compare is negative where p stands in front of other. Of two that were created
// at once, the one with the greater name does.
func (p place) compare(other place) int {
	if order := other.created.Compare(p.created); order != 0 {
		return order
	}
	return strings.Compare(other.name, p.name)
}

// cursor writes a place, for the page behind it.
func (p place) cursor() string {
	return fmt.Sprintf("%d.%d.%s", p.created.Unix(), p.created.Nanosecond(), p.name)
}

var errCursor = errors.New("memstore: the cursor is none that this store made")

// behind reads a cursor and returns which places are behind it: all behind "".
func behind(cursor string) (func(place) bool, error) {
	if cursor == "" {
		return func(place) bool { return true }, nil
	}
	parts := strings.SplitN(cursor, ".", 3)
	if len(parts) != 3 {
		return nil, errCursor
	}
	seconds, err := strconv.ParseInt(parts[0], 10, 64)
	nanos, wrong := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || wrong != nil {
		return nil, errCursor
	}
	from := place{time.Unix(seconds, nanos), parts[2]}
	return func(p place) bool { return from.compare(p) < 0 }, nil
}

// ListRecentClients lists clients, the last created first; see
// [dcr.RecentClientLister].
func (s *Store) ListRecentClients(ctx context.Context, filter dcr.Filter, cursor string, limit int) (clients []*dcr.Client, next string, err error) {
	isBehind, err := behind(cursor)
	if err != nil || limit <= 0 {
		return nil, "", err
	}
	var places []place
	s.mu.RLock()
	for id, stored := range s.clients {
		if at := (place{stored.created, id}); isBehind(at) {
			places = append(places, at)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(places, place.compare)
	var last place
	for _, at := range places {
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
	placeOf := func(token dcr.InitialAccessToken) place { return place{token.CreatedAt, token.Hash} }
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

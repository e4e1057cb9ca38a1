package memstore

// Deleting the oldest unused client to make room.

import (
	"container/heap"
	"context"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// candidates is a heap of the clients that may be deleted to make room for
// others, the oldest on top. It is filled when room is first needed. A client
// that was used, changed or deleted since then is discarded when it comes to
// the top.
type candidates struct {
	wanted bool
	places byAge
}

type byAge []place

func (b byAge) Len() int           { return len(b) }
func (b byAge) Less(i, j int) bool { return b[i].compare(b[j]) > 0 }
func (b byAge) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *byAge) Push(x any)        { *b = append(*b, x.(place)) }
func (b *byAge) Pop() any {
	last := len(*b) - 1
	popped := (*b)[last]
	*b = (*b)[:last]
	return popped
}

const leastCandidates = 1024

// add adds a client that clients already contains. If most of the candidates
// are no longer valid, it gathers them again.
func (c *candidates) add(clientID string, e *entry, clients *table) {
	switch {
	case !c.wanted || !e.evictable():
	case len(c.places) < leastCandidates+2*clients.count:
		heap.Push(&c.places, place{e.created, strings.Clone(clientID)})
	default:
		c.gather(clients)
	}
}

// gather finds all candidates.
func (c *candidates) gather(clients *table) {
	c.wanted, c.places = true, c.places[:0]
	for id, e := range clients.all() {
		if e.evictable() {
			c.places = append(c.places, place{e.created, id})
		}
	}
	heap.Init(&c.places)
}

// evictable reports whether a client may be deleted to make room: it is active
// and was never used, and its source can create it again.
func (e *entry) evictable() bool {
	return e.mayGo && e.activated == 0 && e.lastUsed == 0 && e.created != 0
}

// oldest returns the oldest client that may be deleted to make room.
func (s *Store) oldest() (place, bool) {
	if !s.candidates.wanted {
		s.candidates.gather(&s.clients)
	}
	for len(s.candidates.places) > 0 {
		top := s.candidates.places[0]
		if _, e := s.clients.find(top.name); e != nil && e.evictable() && e.created == top.created {
			return top, true
		}
		heap.Pop(&s.candidates.places)
	}
	return place{}, false
}

// EvictClient deletes the oldest client that was never used; see
// [dcr.ClientEvictor].
func (s *Store) EvictClient(ctx context.Context, createdBefore time.Time) (evicted *dcr.Client, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest, found := s.oldest()
	if found && oldest.created < nanos(createdBefore) {
		number, e := s.clients.find(oldest.name)
		if evicted, err = s.stored(number, e).client(); err != nil {
			return nil, time.Time{}, err
		}
		s.drop(number, e, oldest.name)
		oldest, _ = s.oldest()
	}
	return evicted, fromNanos(oldest.created), nil
}

package main

// A map of entries that expire, which is bounded.

import (
	"maps"
	"time"
)

// bounded keeps entries that expire in memory, at most max of them. It needs a bound,
// because each request to an authorization server stores something, and strangers can
// send requests. It does no locking.
type bounded[V any] struct {
	max     int
	entries map[string]entry[V]
}

type entry[V any] struct {
	value V
	ends  time.Time
}

func newBounded[V any](max int) bounded[V] {
	return bounded[V]{max, make(map[string]entry[V])}
}

// put adds an entry. If there is no room, it removes the entry that would expire first.
func (b *bounded[V]) put(key string, value V, ends time.Time) {
	if len(b.entries) >= b.max {
		now := time.Now()
		maps.DeleteFunc(b.entries, func(_ string, e entry[V]) bool { return !now.Before(e.ends) })
	}
	if len(b.entries) >= b.max {
		var first string
		for key, e := range b.entries {
			if first == "" || e.ends.Before(b.entries[first].ends) {
				first = key
			}
		}
		delete(b.entries, first)
	}
	b.entries[key] = entry[V]{value, ends}
}

func (b *bounded[V]) get(key string) (value V, ok bool) {
	e, ok := b.entries[key]
	if !ok || !time.Now().Before(e.ends) {
		return value, false
	}
	return e.value, true
}

// take is get that also removes the entry.
func (b *bounded[V]) take(key string) (V, bool) {
	value, ok := b.get(key)
	delete(b.entries, key)
	return value, ok
}

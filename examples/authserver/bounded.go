package main

import (
	"maps"
	"time"
)

// bounded keeps what ends by itself, in memory, and no more than max of it: whoever
// asks an authorization server for something leaves something there, and strangers may
// ask. It has no lock of its own.
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

// put makes room, where there is none, by forgetting what would end first.
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

// take is get, for once.
func (b *bounded[V]) take(key string) (V, bool) {
	value, ok := b.get(key)
	delete(b.entries, key)
	return value, ok
}

// Package lru holds the values that were used last, up to a bound.
package lru

import "container/list"

// Cache is a map of bounded size. It is not safe for concurrent use: its owner
// has a lock for more than the map.
type Cache[K comparable, V any] struct {
	limit   int
	entries map[K]*list.Element
	used    list.List // of *entry[K, V], the last used in front
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// New returns an empty Cache that holds at most limit values, at least one.
func New[K comparable, V any](limit int) *Cache[K, V] {
	return &Cache[K, V]{limit: max(limit, 1), entries: make(map[K]*list.Element)}
}

// Get returns the value of a key, which counts as used now.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	element, ok := c.entries[key]
	if !ok {
		return value, false
	}
	c.used.MoveToFront(element)
	return element.Value.(*entry[K, V]).value, true
}

// Put sets the value of a key, which counts as used now. Where there is no
// room, the value that was not used for longest goes.
func (c *Cache[K, V]) Put(key K, value V) {
	c.Delete(key)
	if len(c.entries) >= c.limit {
		c.Delete(c.used.Back().Value.(*entry[K, V]).key)
	}
	c.entries[key] = c.used.PushFront(&entry[K, V]{key, value})
}

// Delete removes a key, if it is there.
func (c *Cache[K, V]) Delete(key K) {
	if element, ok := c.entries[key]; ok {
		c.used.Remove(element)
		delete(c.entries, key)
	}
}

// Clear removes every key.
func (c *Cache[K, V]) Clear() {
	clear(c.entries)
	c.used.Init()
}

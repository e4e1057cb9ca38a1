// Package lru holds the values that were used last, up to a bound.
package lru

import "container/list"

// Cache is a map of bounded size. It is not safe for concurrent use: its owner
// has a lock for more than the map.
type Cache[K comparable, V any] struct {
	limit   int
	maxSize int64 // of all values together; 0 for no bound
	size    int64
	entries map[K]*list.Element
	used    list.List // of *entry[K, V], the last used in front
}

type entry[K comparable, V any] struct {
	key   K
	value V
	size  int64
}

// New returns an empty Cache that holds at most limit values, at least one.
func New[K comparable, V any](limit int) *Cache[K, V] {
	return &Cache[K, V]{limit: max(limit, 1), entries: make(map[K]*list.Element)}
}

// NewSized returns an empty Cache that is bounded in the sizes of its values
// too, as PutSized tells them.
func NewSized[K comparable, V any](limit int, maxSize int64) *Cache[K, V] {
	cache := New[K, V](limit)
	cache.maxSize = max(maxSize, 1)
	return cache
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

// Has reports whether a key is there, which does not count as a use.
func (c *Cache[K, V]) Has(key K) bool {
	_, ok := c.entries[key]
	return ok
}

// Oldest returns what was not used for longest.
func (c *Cache[K, V]) Oldest() (key K, value V, ok bool) {
	element := c.used.Back()
	if element == nil {
		return key, value, false
	}
	oldest := element.Value.(*entry[K, V])
	return oldest.key, oldest.value, true
}

// Put sets the value of a key, which counts as used now. Where there is no
// room, the value that was not used for longest goes.
func (c *Cache[K, V]) Put(key K, value V) { c.PutSized(key, value, 0) }

// PutSized is Put for a value of a size: as many make room as it takes. A value
// that is larger than all may be together is not kept.
func (c *Cache[K, V]) PutSized(key K, value V, size int64) {
	c.Delete(key)
	if c.maxSize > 0 && size > c.maxSize {
		return
	}
	for len(c.entries) >= c.limit || c.maxSize > 0 && c.size+size > c.maxSize {
		c.Delete(c.used.Back().Value.(*entry[K, V]).key)
	}
	c.entries[key] = c.used.PushFront(&entry[K, V]{key, value, size})
	c.size += size
}

// Delete removes a key, if it is there.
func (c *Cache[K, V]) Delete(key K) {
	if element, ok := c.entries[key]; ok {
		c.used.Remove(element)
		c.size -= element.Value.(*entry[K, V]).size
		delete(c.entries, key)
	}
}

// Clear removes every key.
func (c *Cache[K, V]) Clear() {
	clear(c.entries)
	c.used.Init()
	c.size = 0
}

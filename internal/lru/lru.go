// Package lru keeps the most recently used values, up to a bound.
package lru

import "container/list"

// Cache is a map of bounded size. It is not safe for concurrent use: its owner
// has a lock that guards more than the map.
type Cache[K comparable, V any] struct {
	limit   int
	maxSize int64 // of all values together; 0 means unlimited
	size    int64
	entries map[K]*list.Element
	used    list.List // of *entry[K, V], the most recently used first
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

// NewSized returns an empty Cache that also bounds the total size of its
// values, as given to PutSized.
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

// Peek is Get, but does not count as a use.
func (c *Cache[K, V]) Peek(key K) (value V, ok bool) {
	element, ok := c.entries[key]
	if !ok {
		return value, false
	}
	return element.Value.(*entry[K, V]).value, true
}

// Oldest returns the least recently used value.
func (c *Cache[K, V]) Oldest() (key K, value V, ok bool) {
	element := c.used.Back()
	if element == nil {
		return key, value, false
	}
	oldest := element.Value.(*entry[K, V])
	return oldest.key, oldest.value, true
}

// Put sets the value of a key, which counts as used now. If there is no room,
// the least recently used value is removed.
func (c *Cache[K, V]) Put(key K, value V) { c.PutSized(key, value, 0) }

// PutSized is Put for a value with a size. It removes as many values as it
// needs to make room. It does not keep a value that is larger than the bound.
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

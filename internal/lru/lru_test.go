package lru_test

import (
	"testing"

	"github.com/dynreg/dcr/internal/lru"
)

func TestCache(t *testing.T) {
	cases := []struct {
		sentence string
		do       func(c *lru.Cache[string, int])
		left     map[string]int
	}{
		{"a new cache is empty", func(c *lru.Cache[string, int]) {}, nil},
		{"what was put is there", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2) }, map[string]int{"a": 1, "b": 2}},
		{"the value put last counts, and takes no room", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Put("a", 3) }, map[string]int{"a": 3, "b": 2}},
		{"the least recently used value makes room", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Put("c", 3) }, map[string]int{"b": 2, "c": 3}},
		{"Get counts as a use", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Get("a"); c.Put("c", 3) }, map[string]int{"a": 1, "c": 3}},
		{"Put counts as a use", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Put("a", 1); c.Put("c", 3) }, map[string]int{"a": 1, "c": 3}},
		{"deleting makes room", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Delete("b"); c.Put("c", 3) }, map[string]int{"a": 1, "c": 3}},
		{"deleting a missing key does nothing", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Delete("b") }, map[string]int{"a": 1}},
		{"a cleared cache can be used", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Clear(); c.Put("b", 2) }, map[string]int{"b": 2}},
	}
	for _, test := range cases {
		t.Run(test.sentence, func(t *testing.T) {
			cache := lru.New[string, int](2)
			test.do(cache)
			for _, key := range []string{"a", "b", "c"} {
				value, ok := cache.Get(key)
				if want, there := test.left[key]; ok != there || value != want {
					t.Errorf("%s: %d, %v", key, value, ok)
				}
			}
		})
	}
}

// TestSizes checks that the total size is bounded, whatever is added and
// removed.
func TestSizes(t *testing.T) {
	cases := []struct {
		sentence string
		do       func(c *lru.Cache[string, int])
		left     string
	}{
		{"what fits stays", func(c *lru.Cache[string, int]) { c.PutSized("a", 1, 4); c.PutSized("b", 2, 6) }, "ab"},
		{"as many values as needed make room", func(c *lru.Cache[string, int]) { c.PutSized("a", 1, 4); c.PutSized("b", 2, 4); c.PutSized("c", 3, 9) }, "c"},
		{"a value that is too large is not kept, and evicts nothing", func(c *lru.Cache[string, int]) { c.PutSized("a", 1, 4); c.PutSized("b", 2, 11) }, "a"},
		{"a value that grows gives its old room back", func(c *lru.Cache[string, int]) { c.PutSized("a", 1, 4); c.PutSized("b", 2, 4); c.PutSized("b", 2, 6) }, "ab"},
		{"a value that grows too large is gone", func(c *lru.Cache[string, int]) { c.PutSized("a", 1, 4); c.PutSized("a", 2, 11) }, ""},
		{"deleting makes room", func(c *lru.Cache[string, int]) { c.PutSized("a", 1, 10); c.Delete("a"); c.PutSized("b", 2, 10) }, "b"},
		{"a cleared cache has room", func(c *lru.Cache[string, int]) { c.PutSized("a", 1, 10); c.Clear(); c.PutSized("b", 2, 10) }, "b"},
		{"the number of values is bounded too", func(c *lru.Cache[string, int]) {
			c.PutSized("a", 1, 1)
			c.PutSized("b", 2, 1)
			c.PutSized("c", 3, 1)
			c.PutSized("d", 4, 1)
		}, "bcd"},
	}
	for _, test := range cases {
		cache := lru.NewSized[string, int](3, 10)
		test.do(cache)
		var left string
		for _, key := range []string{"a", "b", "c", "d"} {
			if _, ok := cache.Get(key); ok {
				left += key
			}
		}
		if left != test.left {
			t.Errorf("%s: %q is left, not %q", test.sentence, left, test.left)
		}
	}
}

func TestOldest(t *testing.T) {
	cache := lru.New[string, int](3)
	if _, _, ok := cache.Oldest(); ok {
		t.Error("an empty cache has an oldest value")
	}
	cache.Put("a", 1)
	cache.Put("b", 2)
	cache.Get("a")
	if key, value, ok := cache.Oldest(); key != "b" || value != 2 || !ok {
		t.Errorf("the oldest is %q, %d, %v", key, value, ok)
	}
}

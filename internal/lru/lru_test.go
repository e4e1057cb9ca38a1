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
		{"nothing is there at first", func(c *lru.Cache[string, int]) {}, nil},
		{"what was put is there", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2) }, map[string]int{"a": 1, "b": 2}},
		{"the value put last counts, and takes no room", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Put("a", 3) }, map[string]int{"a": 3, "b": 2}},
		{"what was not used for longest makes room", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Put("c", 3) }, map[string]int{"b": 2, "c": 3}},
		{"what is asked for is used", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Get("a"); c.Put("c", 3) }, map[string]int{"a": 1, "c": 3}},
		{"what is put again is used", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Put("a", 1); c.Put("c", 3) }, map[string]int{"a": 1, "c": 3}},
		{"what was deleted makes room", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Put("b", 2); c.Delete("b"); c.Put("c", 3) }, map[string]int{"a": 1, "c": 3}},
		{"to delete what is not there is nothing", func(c *lru.Cache[string, int]) { c.Put("a", 1); c.Delete("b") }, map[string]int{"a": 1}},
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

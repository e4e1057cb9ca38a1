package base62_test

import (
	"math"
	"strings"
	"testing"

	"github.com/dynreg/dcr/internal/base62"
)

func TestText(t *testing.T) {
	seen := make(map[rune]int)
	for _, length := range []int{0, 1, 36, 43, 100_000} {
		text := base62.Text(length)
		if len(text) != length || strings.ContainsFunc(text, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) {
			t.Fatalf("%d characters: %.80q", length, text)
		}
		for _, r := range text {
			seen[r]++
		}
	}
	for r, count := range seen {
		if math.Abs(float64(count)-100_000/62.0) > 300 {
			t.Errorf("%q is there %d times", r, count)
		}
	}
	first := base62.Text(43)
	if len(seen) != 62 || base62.Text(43) == first {
		t.Errorf("%d characters are in use", len(seen))
	}
}

func TestLength(t *testing.T) {
	for size := range 1000 {
		if bits := float64(base62.Length(size)) * math.Log2(62); bits < float64(8*size) || bits > float64(8*size)+6.1 {
			t.Errorf("%d bytes: %d characters", size, base62.Length(size))
		}
	}
	if base62.Length(32) != 43 {
		t.Errorf("32 bytes: %d characters", base62.Length(32))
	}
}

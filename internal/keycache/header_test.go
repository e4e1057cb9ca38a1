package keycache_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/dynreg/dcr/internal/keycache"
)

func TestMaxAge(t *testing.T) {
	tests := []struct {
		name   string
		header []string
		want   time.Duration
	}{
		{"without the header nothing is said", nil, 0},
		{"max-age is seconds", []string{"max-age=60"}, time.Minute},
		{"directives have any case and any order", []string{"public, MAX-AGE=60 , immutable"}, time.Minute},
		{"a quoted value is tolerated", []string{`max-age="60"`}, time.Minute},
		{"zero forbids keeping", []string{"max-age=0"}, -1},
		{"no-store forbids keeping", []string{"max-age=60, no-store"}, -1},
		{"no-cache forbids keeping", []string{"no-cache", "max-age=60"}, -1},
		{"the first max-age counts", []string{"max-age=60, max-age=120"}, time.Minute},
		{"two header lines are one list", []string{"public", "max-age=60"}, time.Minute},
		{"a negative number says nothing", []string{"max-age=-1"}, 0},
		{"what is no number says nothing", []string{"max-age=soon"}, 0},
		{"an enormous number does not overflow", []string{"max-age=9223372036854775807"}, 365 * 24 * time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := keycache.MaxAge(http.Header{"Cache-Control": test.header}); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

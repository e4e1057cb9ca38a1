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
		{"without the header there is no max-age", nil, 0},
		{"max-age is seconds", []string{"max-age=60"}, time.Minute},
		{"directives have any case and any order", []string{"public, MAX-AGE=60 , immutable"}, time.Minute},
		{"a quoted value is tolerated", []string{`max-age="60"`}, time.Minute},
		{"zero forbids keeping", []string{"max-age=0"}, -1},
		{"no-store forbids keeping", []string{"max-age=60, no-store"}, -1},
		{"no-cache forbids keeping", []string{"no-cache", "max-age=60"}, -1},
		{"the first max-age counts", []string{"max-age=60, max-age=120"}, time.Minute},
		{"two header lines are one list", []string{"public", "max-age=60"}, time.Minute},
		{"s-maxage takes precedence over max-age", []string{"max-age=60, s-maxage=120"}, 2 * time.Minute},
		{"in any order", []string{"s-maxage=120, max-age=60"}, 2 * time.Minute},
		{"the first s-maxage counts", []string{"s-maxage=120, s-maxage=60"}, 2 * time.Minute},
		{"a negative number says nothing", []string{"max-age=-1"}, 0},
		{"something that is not a number says nothing", []string{"max-age=soon"}, 0},
		{"an enormous number does not overflow", []string{"max-age=9223372036854775807"}, 365 * 24 * time.Hour},
		{"nor does one of more than 64 bits", []string{"max-age=99999999999999999999"}, 365 * 24 * time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := keycache.Fresh(http.Header{"Cache-Control": test.header}).MaxAge(); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAgeAndExpires(t *testing.T) {
	const date, inAMinute = "Mon, 02 Jan 2006 15:04:05 GMT", "Mon, 02 Jan 2006 15:05:05 GMT"
	for _, test := range []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"Age is taken off max-age", http.Header{"Cache-Control": {"max-age=60"}, "Age": {"20"}}, 40 * time.Second},
		{"an answer older than its max-age is not kept", http.Header{"Cache-Control": {"max-age=60"}, "Age": {"61"}}, -1},
		{"an Age of more than 64 bits is a great age", http.Header{"Cache-Control": {"max-age=60"}, "Age": {"99999999999999999999"}}, -1},
		{"the first Age of a list counts", http.Header{"Cache-Control": {"max-age=60"}, "Age": {"20 , 50"}}, 40 * time.Second},
		{"and that of the first line", http.Header{"Cache-Control": {"max-age=60"}, "Age": {"20", "50"}}, 40 * time.Second},
		{"an Age that is not a number says nothing", http.Header{"Cache-Control": {"max-age=60"}, "Age": {"old"}}, time.Minute},
		{"Age is taken off Expires, which a cache passes on with the Date of the origin", http.Header{"Expires": {inAMinute}, "Date": {date}, "Age": {"20"}}, 40 * time.Second},
		{"an answer older than its Expires is not kept", http.Header{"Expires": {inAMinute}, "Date": {date}, "Age": {"61"}}, -1},
		{"Age alone says nothing", http.Header{"Age": {"20"}}, 0},
		{"Expires counts if there is no max-age", http.Header{"Expires": {inAMinute}, "Date": {date}}, time.Minute},
		{"max-age wins over Expires", http.Header{"Cache-Control": {"max-age=5"}, "Expires": {inAMinute}, "Date": {date}}, 5 * time.Second},
		{"an Expires that has passed forbids keeping", http.Header{"Expires": {date}, "Date": {inAMinute}}, -1},
		{"an Expires of 0 has passed", http.Header{"Expires": {"0"}, "Date": {date}}, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := keycache.Fresh(test.header).MaxAge(); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

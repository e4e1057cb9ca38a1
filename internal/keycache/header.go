package keycache

// RFC 9111 sections 4.2 and 5.2.2: how long an answer stays fresh.

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAges is the longest lifetime; longer ones could overflow.
const maxAges = 365 * 24 * time.Hour

// Freshness says how long an answer may be kept.
type Freshness struct {
	Lifetime time.Duration // from now on; valid only if Said
	Said     bool          // the server says how long
	NoStore  bool          // the server sent no-store or no-cache
}

// Fresh reads Cache-Control, Age, Expires and Date. It ignores a directive that
// it cannot read. s-maxage, which is for shared caches such as a server's, takes
// precedence over max-age. If one of them appears twice, the first counts.
func Fresh(header http.Header) (f Freshness) {
	forAll := false // s-maxage was sent
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			f.NoStore = true
		case "s-maxage", "max-age":
			shared := strings.EqualFold(name, "s-maxage")
			if age, ok := seconds(strings.Trim(value, `"`)); ok && (!f.Said || shared && !forAll) {
				f.Lifetime, f.Said, forAll = age, true, shared
			}
		}
	}
	if !f.Said {
		f.Lifetime, f.Said = untilExpiry(header)
	}
	if age, ok := ageOf(header); ok && f.Said {
		f.Lifetime = max(0, f.Lifetime-age)
	}
	return f
}

// ageOf returns how long the answer was in caches on its way. If Age is a list, the
// first counts (RFC 9111 section 5.1).
func ageOf(header http.Header) (time.Duration, bool) {
	first, _, _ := strings.Cut(header.Get("Age"), ",")
	return seconds(strings.TrimSpace(first))
}

// untilExpiry returns the lifetime that Expires gives, by the server's own
// clock if it sends Date.
func untilExpiry(header http.Header) (lifetime time.Duration, said bool) {
	if header.Get("Expires") == "" {
		return 0, false
	}
	expires, err := http.ParseTime(header.Get("Expires"))
	if err != nil {
		return 0, true // RFC 9111 section 5.3: an invalid date, such as 0, is in the past
	}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		date = time.Now()
	}
	return min(max(0, expires.Sub(date)), maxAges), true
}

// seconds reads delta-seconds. A number too large to represent counts as the
// largest (RFC 9111 section 1.2.2).
func seconds(text string) (time.Duration, bool) {
	number, err := strconv.ParseUint(text, 10, 63)
	ok := err == nil || errors.Is(err, strconv.ErrRange)
	return time.Duration(min(number, uint64(maxAges/time.Second))) * time.Second, ok
}

// MaxAge returns f as [Fetch] does: zero if the server does not say how long,
// negative if the answer must not be kept.
func (f Freshness) MaxAge() time.Duration {
	switch {
	case f.NoStore || f.Said && f.Lifetime == 0:
		return -1
	case !f.Said:
		return 0
	}
	return f.Lifetime
}

package keycache

// RFC 9111 sections 4.2 and 5.2.2: how long an answer stays fresh.

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAges is as far into the future as a lifetime goes; a longer one would
// only overflow.
const maxAges = 365 * 24 * time.Hour

// Freshness is what an answer says of how long it may be kept.
type Freshness struct {
	Lifetime time.Duration // from now on; of no meaning unless Said
	Said     bool          // the server says how long
	NoStore  bool          // no-store or no-cache was said
}

// Fresh reads Cache-Control, Age, Expires and Date. A directive that cannot be
// read is one that was not sent. s-maxage, which is for caches of many users as a
// server's is, goes before max-age, and of each the first counts.
func Fresh(header http.Header) (f Freshness) {
	forAll := false // s-maxage was said
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
	if age, ok := seconds(header.Get("Age")); ok && f.Said {
		f.Lifetime = max(0, f.Lifetime-age)
	}
	if !f.Said {
		f.Lifetime, f.Said = untilExpiry(header)
	}
	return f
}

// untilExpiry is what Expires says, by the server's own clock where it tells
// that.
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

func seconds(text string) (time.Duration, bool) {
	number, err := strconv.ParseUint(text, 10, 63)
	return time.Duration(min(number, uint64(maxAges/time.Second))) * time.Second, err == nil
}

// MaxAge is Freshness as [Fetch] returns it: zero if the server does not say,
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

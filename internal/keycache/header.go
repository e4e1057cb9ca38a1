package keycache

// RFC 9111 section 5.2.2: how long an answer stays fresh.

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAges is as far into the future as a lifetime goes; a longer one would
// only overflow.
const maxAges = 365 * 24 * time.Hour

// MaxAge reads Cache-Control. A directive that cannot be read is one that was
// not sent, and what forbids keeping wins over what allows it.
func MaxAge(header http.Header) time.Duration {
	var age time.Duration
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return -1
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 63)
			switch {
			case err != nil || age != 0: // the first one counts
			case seconds == 0:
				age = -1
			default:
				age = time.Duration(min(seconds, uint64(maxAges/time.Second))) * time.Second
			}
		}
	}
	return age
}

package callerauth

// How often one caller, or one address, may ask to register.

import (
	"crypto/sha256"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/lru"
)

// RateLimit returns a function for dcr.Options.Admit: a token bucket for each key,
// which allows burst requests at once and perMinute more each minute. Beyond that,
// a request is refused with 429 and a Retry-After that says when to try again.
//
// key names what is limited, such as the caller's subject, the address of the
// connection or the tenant; caller is nil for a stranger. An empty key is not
// limited. Do not make a key from a forwarding header unless your own proxy sets
// it: a client could send another one each time.
//
// It remembers the last used keys, at most as many as keys says, by their hashes; a
// key that has been forgotten starts with a full bucket. Each process counts on its
// own. RateLimit panics on numbers below 1, and if key is nil.
func RateLimit(perMinute, burst, keys int, key func(r *http.Request, caller *dcr.Caller) string) func(*http.Request, *dcr.Caller) error {
	if perMinute < 1 || burst < 1 || keys < 1 || key == nil {
		panic("callerauth: RateLimit: perMinute, burst and keys must be at least 1, and key must be set")
	}
	limit := &rateLimit{each: time.Minute / time.Duration(perMinute), holds: math.MaxInt64, full: lru.New[[sha256.Size]byte, time.Time](keys)}
	if burst := time.Duration(burst); limit.each == 0 || burst <= math.MaxInt64/limit.each {
		limit.holds = burst * limit.each
	}
	return func(r *http.Request, caller *dcr.Caller) error {
		of := key(r, caller)
		if of == "" {
			return nil
		}
		wait := limit.take(sha256.Sum256([]byte(of)), time.Now())
		if wait <= 0 {
			return nil
		}
		return &dcr.Error{
			Code: dcr.TemporarilyUnavailable, Description: "too many registrations; try again later", Rule: "caller.rate",
			Status: http.StatusTooManyRequests, RetryAfter: wait,
		}
	}
}

// rateLimit keeps for each bucket the time when it will be full again.
type rateLimit struct {
	each  time.Duration // how long it takes to refill one request
	holds time.Duration // how long it takes to fill an empty bucket

	mu   sync.Mutex
	full *lru.Cache[[sha256.Size]byte, time.Time] // by the hash of the key, when each bucket is full again
}

// take takes a request out of a bucket at now, or returns how long to wait for
// one.
func (l *rateLimit) take(key [sha256.Size]byte, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, _ := l.full.Get(key)
	if until.Before(now) {
		until = now
	}
	until = until.Add(l.each)
	if wait = until.Sub(now) - l.holds; wait > 0 {
		return wait
	}
	l.full.Put(key, until)
	return 0
}

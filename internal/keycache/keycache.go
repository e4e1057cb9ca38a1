// Package keycache caches remote JWK Sets (RFC 7517 section 5), so that
// verifying a signature rarely waits for the network. Strangers cannot cause
// more fetches than it allows.
//
// A set is fetched if it is missing or has expired. It is also fetched when a
// token names a key that the set lacks, since the issuer may have rotated its
// keys (OpenID Connect Core 1.0 section 10.1.1), but not too often, since
// anyone can invent a key id. While the source is down, the last set is used
// for a limited time.
package keycache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/lru"
)

// ErrUnavailable says that the source could not be asked, so that it is unknown
// whether the key exists. The error that it wraps is for the log.
var ErrUnavailable = errors.New("the key set is unavailable")

// The bounds of the lifetime that a server gives its set.
const (
	minTTL = time.Minute
	maxTTL = 24 * time.Hour
)

// Fetch asks the source at url. If maxAge is zero, the source does not say how
// long the set is fresh; if it is negative, the source wants to be asked each
// time.
type Fetch func(ctx context.Context, url string) (body []byte, maxAge time.Duration, err error)

// Options are the bounds of a Cache. Zero means the default.
type Options struct {
	TTL      time.Duration    // of a set whose source gives no max-age; 15 minutes
	Floor    time.Duration    // between two fetches for unknown key ids; 1 minute
	StaleFor time.Duration    // how long an expired set is used while its source is down; 1 hour
	ErrorFor time.Duration    // how long after a failure the source is not asked; 5 seconds
	Timeout  time.Duration    // of a fetch; 10 seconds
	Entries  int              // sets kept; 1024
	Now      func() time.Time // time.Now
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.TTL, 15 * time.Minute},
		{&o.Floor, time.Minute},
		{&o.StaleFor, time.Hour},
		{&o.ErrorFor, 5 * time.Second},
		{&o.Timeout, 10 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if o.Entries <= 0 {
		o.Entries = 1024
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Cache is safe for concurrent use.
type Cache struct {
	fetch Fetch
	opts  Options

	mu      sync.Mutex // guards the entries and their fields
	entries *lru.Cache[string, *entry]
}

// New returns an empty Cache in front of fetch.
func New(fetch Fetch, opts Options) *Cache {
	opts.setDefaults()
	return &Cache{fetch: fetch, opts: opts, entries: lru.New[string, *entry](opts.Entries)}
}

// Keys returns the set at url. If kid is not empty and the set lacks it, the
// set is as new as the Floor allows, so that the key can be taken not to exist.
//
// The error is ErrUnavailable if there is no usable set, and that of ctx if ctx
// ended first; the fetch goes on for callers that still wait.
func (c *Cache) Keys(ctx context.Context, url, kid string) (*jose.KeySet, error) {
	doc, err := c.document(ctx, url, kid)
	if err != nil {
		return nil, err
	}
	return doc.set, nil
}

// Raw is like Keys and returns the document itself. Callers must not modify it.
func (c *Cache) Raw(ctx context.Context, url, kid string) ([]byte, error) {
	doc, err := c.document(ctx, url, kid)
	if err != nil {
		return nil, err
	}
	return doc.body, nil
}

func (c *Cache) document(ctx context.Context, url, kid string) (*document, error) {
	c.mu.Lock()
	e, now := c.entry(url), c.opts.Now()
	e.rewind(now)
	if !e.needsFetch(kid, now, &c.opts) {
		defer c.mu.Unlock()
		return e.answer(kid, now, &c.opts)
	}
	f := c.join(ctx, e, kid)
	c.mu.Unlock()

	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f.panicked != nil {
		panic(f.panicked)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return e.answer(kid, c.opts.Now(), &c.opts)
}

// entry returns the entry of url, or a new one if there is none. A caller that
// has an entry which is removed for it can go on using that entry.
func (c *Cache) entry(url string) *entry {
	e, ok := c.entries.Get(url)
	if !ok {
		e = &entry{url: url}
		c.entries.Put(url, e)
	}
	return e
}

// A flight is one fetch and all callers that wait for it.
type flight struct {
	done     chan struct{} // closed at the end
	panicked any           // what fetch panicked with; to be read when done
}

// join returns the current flight for e, or starts one. The flight has the
// values of ctx but does not end with it, since other callers may wait too.
func (c *Cache) join(ctx context.Context, e *entry, kid string) *flight {
	if e.flight != nil {
		return e.flight
	}
	f := &flight{done: make(chan struct{})}
	e.flight = f
	go func() {
		doc, err := (*document)(nil), errors.New("the fetch did not end well")
		defer func() {
			f.panicked = recover()
			c.mu.Lock()
			defer c.mu.Unlock()
			e.settle(kid, doc, err, c.opts.Now())
			close(f.done)
		}()
		doc, err = c.load(context.WithoutCancel(ctx), e.url)
	}()
	return f
}

// load fetches and parses a set. A document that is not a key set is an error
// of the source.
func (c *Cache) load(ctx context.Context, url string) (*document, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	asked := c.opts.Now() // the set may have changed since then (RFC 9111 section 4.2.3)
	body, maxAge, err := c.fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	set, err := jose.ParseKeySet(body)
	if err != nil {
		return nil, fmt.Errorf("not a key set: %w", err)
	}
	ttl := c.opts.TTL
	if maxAge != 0 {
		ttl = min(max(maxAge, minTTL), maxTTL)
	}
	return &document{body: body, set: set, expires: asked.Add(ttl)}, nil
}

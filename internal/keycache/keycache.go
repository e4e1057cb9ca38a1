// Package keycache keeps remote JWK Sets (RFC 7517 section 5) at hand, so that
// verifying a signature seldom waits for the network, and never lets a
// stranger decide how often the network is asked.
//
// A set is fetched when it is not there or past its time. It is also fetched
// when a token names a key that it lacks, since that is how key rotation shows
// (OpenID Connect Core 1.0 section 10.1.1), but only so often: anybody can
// invent a key id. While the source is down the last set serves on for a
// bounded time.
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

// ErrUnavailable says that the source could not be asked, which is not to say
// that there is no such key. What it wraps is for the log.
var ErrUnavailable = errors.New("the key set is unavailable")

// A server's own idea of how long its set stays fresh counts within these.
const (
	minTTL = time.Minute
	maxTTL = 24 * time.Hour
)

// Fetch asks the source at url. A maxAge of zero means that the source does
// not say, a negative one that it wants to be asked each time.
type Fetch func(ctx context.Context, url string) (body []byte, maxAge time.Duration, err error)

// Options are the bounds of a Cache. Zero means the default.
type Options struct {
	TTL      time.Duration    // of a set whose source names no max-age; 15 minutes
	Floor    time.Duration    // between two fetches that did not find the key id they were made for; 1 minute
	StaleFor time.Duration    // past its time, of a set whose source is down; 1 hour
	ErrorFor time.Duration    // before a source that failed is asked again; 5 seconds
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

	mu      sync.Mutex // guards the entries, their fields included
	entries *lru.Cache[string, *entry]
}

// New returns an empty Cache in front of fetch.
func New(fetch Fetch, opts Options) *Cache {
	opts.setDefaults()
	return &Cache{fetch: fetch, opts: opts, entries: lru.New[string, *entry](opts.Entries)}
}

// Keys returns the set at url. If kid is not empty and the set lacks it, the
// set is the newest that the Floor allows: an unknown kid is then unknown.
//
// The error is ErrUnavailable where no set is fit to answer, and that of ctx
// where ctx ended first; the fetch goes on for those who still wait.
func (c *Cache) Keys(ctx context.Context, url, kid string) (*jose.KeySet, error) {
	doc, err := c.document(ctx, url, kid)
	if err != nil {
		return nil, err
	}
	return doc.set, nil
}

// Raw is Keys for those who want the document itself. It must not be modified.
func (c *Cache) Raw(ctx context.Context, url, kid string) ([]byte, error) {
	doc, err := c.document(ctx, url, kid)
	if err != nil {
		return nil, err
	}
	return doc.body, nil
}

func (c *Cache) document(ctx context.Context, url, kid string) (*document, error) {
	c.mu.Lock()
	e := c.entry(url)
	if !e.needsFetch(kid, c.opts.Now(), &c.opts) {
		defer c.mu.Unlock()
		return e.answer(kid, c.opts.Now(), &c.opts)
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

// entry returns the entry of url, a new one if there is none. Who holds an entry
// that makes room for it can go on using it.
func (c *Cache) entry(url string) *entry {
	e, ok := c.entries.Get(url)
	if !ok {
		e = &entry{url: url}
		c.entries.Put(url, e)
	}
	return e
}

// A flight is one fetch and all who wait for it.
type flight struct {
	done     chan struct{} // closed at the end
	panicked any           // what fetch panicked with; to be read when done
}

// join returns the flight that is under way for e, or starts one. The flight
// keeps the values of ctx but not its end: others may come to wait for it too.
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

// load fetches and parses. A document that is not a key set is no better than
// none: the source is broken.
func (c *Cache) load(ctx context.Context, url string) (*document, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
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
	return &document{body: body, set: set, expires: c.opts.Now().Add(ttl)}, nil
}

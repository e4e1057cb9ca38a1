package keycache

// What is known about one URL, and when to fetch it again.

import (
	"fmt"
	"time"

	"github.com/dynreg/dcr/internal/jose"
)

// A document is a key set as it was fetched. It is immutable.
type document struct {
	body    []byte
	set     *jose.KeySet
	expires time.Time
}

// An entry is what is known about one URL.
type entry struct {
	url    string
	doc    *document // the last one that was fetched, nil if there is none
	err    error     // of the last fetch
	asked  time.Time // when the last fetch ended
	missed time.Time // when a fetch last ended without the key that it was made for
	flight *flight   // the current fetch, if any
}

func (e *entry) lacks(kid string) bool { return kid != "" && !e.doc.set.Has(kid) }

// rewind forgets the times of an entry if the clock was set back. Nobody knows how old
// the set is, so it has expired now.
func (e *entry) rewind(now time.Time) {
	if !now.Before(e.asked) {
		return
	}
	e.asked, e.missed = time.Time{}, time.Time{}
	if e.doc != nil && now.Before(e.doc.expires) {
		expired := *e.doc
		expired.expires = now
		e.doc = &expired
	}
}

// needsFetch reports whether the source must be asked before answering for kid.
func (e *entry) needsFetch(kid string, now time.Time, opts *Options) bool {
	switch {
	case e.err != nil && now.Sub(e.asked) < opts.ErrorFor:
		return false
	case e.doc == nil || !now.Before(e.doc.expires):
		return true
	}
	return e.lacks(kid) && now.Sub(e.missed) >= opts.Floor
}

// settle notes how a flight for kid ended. After a failure the old document
// stays.
func (e *entry) settle(kid string, doc *document, err error, now time.Time) {
	e.flight, e.asked, e.err = nil, now, err
	if err == nil {
		e.doc = doc
	}
	if e.doc == nil || e.lacks(kid) {
		e.missed = now
	}
}

// answer returns the document for kid, or an error, without asking the source
// again.
func (e *entry) answer(kid string, now time.Time, opts *Options) (*document, error) {
	switch {
	case e.err == nil:
		return e.doc, nil
	case e.doc == nil || !now.Before(e.doc.expires.Add(opts.StaleFor)):
	case e.lacks(kid): // the source may have it by now
	default:
		return e.doc, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, e.err)
}

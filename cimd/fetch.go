package cimd

// OAuth Client ID Metadata Document §5, RFC 9111: fetching a document, and how long
// it is fresh.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// outage is an ErrUnavailable that says why a document cannot be fetched.
type outage struct {
	reason string // a word for events: unreachable, blocked_address …
	busy   bool   // the URL itself did not fail
	cause  error  // nil if the reason says all
}

func (o *outage) Error() string {
	if o.cause == nil {
		return ErrUnavailable.Error() + ": " + o.reason
	}
	return fmt.Sprintf("%v: %s: %v", ErrUnavailable, o.reason, o.cause)
}

func (o *outage) Is(target error) bool { return target == ErrUnavailable }

// Unwrap hides a cause that could be mistaken for an answer about the client, such as
// an ErrClientNotFound from a store that a hook asked.
func (o *outage) Unwrap() error {
	answer := (*dcr.Error)(nil)
	if errors.As(o.cause, &answer) && !errors.Is(answer, dcr.TemporarilyUnavailable) {
		return nil
	}
	for _, of := range []error{dcr.ErrClientNotFound, dcr.ErrClientPending, dcr.ErrClientDisabled, dcr.ErrClientExpired} {
		if errors.Is(o.cause, of) {
			return nil
		}
	}
	return o.cause
}

func isOutage(err error) bool { return errors.Is(err, ErrUnavailable) }

// asOutage returns err as an outage, for an error that is not the fault of the
// document.
func asOutage(err error) *outage {
	if failed := (*outage)(nil); errors.As(err, &failed) {
		return failed
	}
	return &outage{reason: "failed", cause: err}
}

// checkReach refuses a URL that no fetch would ever reach.
func (s *Store) checkReach(id string) error {
	err := s.strangers.Check(id)
	if err == nil {
		return nil
	}
	refused := refuse("client_id.reach", "client_id must lead to a host and a port that this server fetches from")
	refused.Err = err
	return refused
}

// fetched is a document that was fetched.
type fetched struct {
	document []byte
	lifetime time.Duration
	at       time.Time // when it was requested
}

// fetch gets the document of a client. known says that the client is known already,
// stored that it has a row. The error is an *outage, or a *dcr.Error that refuses the
// document.
func (s *Store) fetch(ctx context.Context, id string, u *url.URL, known, stored bool, why mode) (*fetched, error) {
	begun := s.opts.Now()
	got, err := s.get(ctx, id, u, known, stored, why)
	event := dcr.Event{Kind: dcr.DocumentFetched, ClientID: id, Source: dcr.SourceDocument, Duration: s.opts.Now().Sub(begun)}
	if failed := (*outage)(nil); errors.As(err, &failed) {
		event.Reason = failed.reason
	} else if refused := (*dcr.Error)(nil); errors.As(err, &refused) {
		event.Reason = refused.Rule
	}
	s.event(ctx, event)
	if err == nil {
		got.at = begun
	}
	return got, err
}

func (s *Store) get(ctx context.Context, id string, u *url.URL, known, stored bool, why mode) (*fetched, error) {
	guard := s.strangers
	if stored {
		guard = s.refreshes
	}
	if why != forced {
		done, ok := s.budget.take(strings.ToLower(u.Hostname()), stored, s.opts.Now())
		if !ok {
			return nil, &outage{reason: "budget", busy: true}
		}
		defer done()
	}
	answer, err := guard.Get(ctx, id, "application/json")
	switch {
	case err == nil:
		return s.accept(answer, known)
	case errors.Is(err, dcr.ErrBusy):
		return nil, &outage{reason: "busy", busy: true, cause: err}
	case errors.Is(err, dcr.ErrAddressRefused):
		return nil, &outage{reason: "blocked_address", cause: err}
	case answer == nil || !errors.Is(err, dcr.ErrAnswerRefused):
		return nil, &outage{reason: "unreachable", cause: err}
	}
	return nil, judgeAnswer(answer, known)
}

// judgeAnswer says what an answer without a document means. What comes from firewalls,
// overload and moves is an outage; the rest refuses the client.
func judgeAnswer(answer *dcr.Fetched, known bool) error {
	switch status := answer.Status; {
	case status == http.StatusOK && known && answer.ContentType == "text/html":
		return &outage{reason: "html"}
	case status == http.StatusOK:
		return refuse("document.answer", "the metadata document must be within the size that this server reads, and not be compressed")
	case status >= 300 && status < 400:
		return &outage{reason: "redirect"}
	case status == http.StatusForbidden, status == http.StatusTooManyRequests, status >= 500:
		return &outage{reason: fmt.Sprintf("status_%d", status)}
	case status == http.StatusNotFound, status == http.StatusGone:
		return refuse("document.missing", "there is no metadata document at client_id")
	}
	return refuse("document.status", "the metadata document must be served with status 200")
}

// accept checks the media type, and finds out how long the document is fresh.
func (s *Store) accept(answer *dcr.Fetched, known bool) (*fetched, error) {
	subtype, isApplication := strings.CutPrefix(answer.ContentType, "application/")
	switch {
	case isApplication && (subtype == "json" || len(subtype) > len("+json") && strings.HasSuffix(subtype, "+json")):
	case known && answer.ContentType == "text/html": // a firewall that answers 200
		return nil, &outage{reason: "html"}
	default:
		return nil, refuse("document.type", "the metadata document must be served as application/json")
	}
	lifetime := s.opts.Fresh
	switch {
	case answer.NoStore:
		lifetime = s.opts.MinFresh
	case !answer.FreshUntil.IsZero():
		lifetime = time.Until(answer.FreshUntil).Round(time.Second)
	}
	return &fetched{document: answer.Body, lifetime: min(max(lifetime, s.opts.MinFresh), s.opts.MaxFresh)}, nil
}

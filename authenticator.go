package dcr

// RFC 7591 §3 and RFC 6750: how the host authorises registrations.

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Authenticator finds out who sends a request. It returns
//
//   - the Caller, if the request has a valid credential;
//   - nil and no error, if it has no credential of the Authenticator's kind;
//   - an [*Error] of the code InvalidToken or InsufficientScope, if its
//     credential is not valid, or not enough;
//   - any other error, if the Authenticator cannot tell: that is logged and
//     answered with 503 and a Retry-After, since an outage is not a refusal.
//
// Set it as Options.Caller, or put it in front of a [Handler] with [Require].
// Package callerauth has several. One for a session, a client certificate or a
// gateway takes five lines:
//
//	func gateway(r *http.Request) (*dcr.Caller, error) {
//		if user := r.Header.Get("X-Authenticated-User"); user != "" {
//			return &dcr.Caller{Subject: user}, nil
//		}
//		return nil, nil
//	}
type Authenticator func(r *http.Request) (*Caller, error)

// Allowance is what a registration costs, such as a use of an initial access
// token. The [Handler] takes it right before the client is stored, and gives it
// back if nothing was stored. Both calls may run for up to Options.StoreTimeout,
// even if the request is cancelled. A server with an endpoint of its own does
// the same with Caller.Allowance and DecodedBody.Cost.
type Allowance interface {
	// Take uses it up. An [*Error], such as that of [RefuseToken], says that
	// nothing is left; any other error is logged and answered with 500.
	Take(ctx context.Context) error

	// GiveBack undoes Take. An error is logged.
	GiveBack(ctx context.Context) error
}

// Charge notes what a registration costs, so that it is taken even if the host
// replaces the [Caller]. An [Authenticator] calls it with the context of its
// request once it has admitted the caller, and sets Caller.Allowance to the
// same cost. Charge works for requests that [Require] or Options.Caller passes
// on, and does nothing elsewhere: a host that calls an Authenticator itself
// must keep the Allowance if it makes a Caller of its own.
//
// Equal costs are taken once, so cost must be comparable, such as a pointer or
// a struct of strings; Charge panics otherwise. A nil cost costs nothing.
func Charge(ctx context.Context, cost Allowance) {
	if cost == nil {
		return
	}
	if !reflect.ValueOf(cost).Comparable() {
		panic("dcr: Charge: the Allowance cannot be compared; use a pointer")
	}
	if noted, _ := ctx.Value(chargesKey{}).(*charges); noted != nil && !slices.Contains(noted.costs, cost) {
		noted.costs = append(noted.costs, cost)
	}
}

type chargesKey struct{}

// charges are what Authenticators noted during a request.
type charges struct{ costs []Allowance }

func (c *charges) count() int {
	if c == nil {
		return 0
	}
	return len(c.costs)
}

// forgetFrom drops what an Authenticator noted before it admitted nobody.
func (c *charges) forgetFrom(count int) {
	if c != nil {
		c.costs = c.costs[:count]
	}
}

// chargeable returns the request with a place for Charge to note costs in.
func chargeable(r *http.Request) *http.Request {
	if r.Context().Value(chargesKey{}) != nil {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), chargesKey{}, &charges{}))
}

// charged appends what the caller of the registration is charged, each cost
// once.
func (reg *Registration) charged(ctx context.Context, costs []Allowance) []Allowance {
	if noted, _ := ctx.Value(chargesKey{}).(*charges); noted != nil {
		costs = append(costs, noted.costs...)
	}
	if c := reg.Caller; c != nil && c.Allowance != nil && !(reflect.ValueOf(c.Allowance).Comparable() && slices.Contains(costs, c.Allowance)) {
		costs = append(costs, c.Allowance)
	}
	return costs
}

// AnyOf returns an Authenticator that tries the given ones in order and returns
// the first Caller that one of them finds. It refuses a bearer token that none
// of them recognises as invalid. If one of them has an outage, the others are
// still tried; if none of those admits or refuses the caller, AnyOf reports the
// outage. AnyOf panics on nil.
func AnyOf(authenticators ...Authenticator) Authenticator {
	for _, authenticate := range authenticators {
		if authenticate == nil {
			panic("dcr: AnyOf: an Authenticator is nil")
		}
	}
	return func(r *http.Request) (*Caller, error) {
		var refused error
		for _, authenticate := range authenticators {
			noted, _ := r.Context().Value(chargesKey{}).(*charges)
			before := noted.count()
			caller, err := authenticate(r)
			if err == nil && caller != nil {
				return caller, nil
			}
			noted.forgetFrom(before)
			if weight(err) > weight(refused) {
				refused = err
			}
		}
		if refused == nil && sentToken(r) {
			refused = errBadToken
		}
		return nil, refused
	}
}

// callerOf finds out who sends a request. An error that is not an *Error
// becomes an outage.
func callerOf(r *http.Request, authenticate Authenticator) (*Caller, error) {
	caller, err := authenticate(r)
	if err == nil || asRefusal(err) != nil {
		return caller, err
	}
	unavailable := Unavailable("the server cannot identify the caller at the moment", err)
	unavailable.Rule = "caller.unavailable"
	return nil, unavailable
}

// withCaller returns the request with its caller in the context, for the store
// and the hooks. A nil caller changes nothing.
func withCaller(r *http.Request, caller *Caller) *http.Request {
	if caller == nil || CallerFromContext(r.Context()) == caller {
		return r
	}
	return r.WithContext(ContextWithCaller(r.Context(), caller))
}

// weight orders the errors of several authenticators: a refusal by one that
// knows the credential outweighs an outage, which outweighs an invalid token.
func weight(err error) int {
	shown := asRefusal(err)
	switch {
	case err == nil:
		return 0
	case codeOf(err) == InvalidToken:
		return 1
	case shown == nil || shown.status() >= http.StatusInternalServerError:
		return 2
	}
	return 3
}

// Require returns a middleware that passes on the requests that the Authenticator
// admits, with the [Caller] in the context. All others are answered by [WriteError],
// with 401, 403 or 503 and the challenge of RFC 6750 §3. Put it in front of POST only:
// with the other methods, clients send registration access tokens, which the
// Authenticator does not know. Directly in front of a [Handler], Require follows that
// handler's Options.CORS, reports refusals to its Options.Events and calls its
// Options.Open first. In front of anything else, refusals are logged to slog.Default by
// [LogEvents].
//
//	mux.Handle("POST /connect/dcr", dcr.Require(verifier.Authenticate)(handler))
//	mux.Handle("/connect/dcr", handler)
func Require(authenticate Authenticator) func(http.Handler) http.Handler {
	authenticate = AnyOf(authenticate)
	return func(next http.Handler) http.Handler {
		behind, ok := next.(*Handler)
		if !ok {
			behind = &Handler{teller: teller{sink: LogEvents(nil), now: time.Now}}
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			event := behind.begin()
			event.Source = SourceDynamic
			r = chargeable(r)
			var caller *Caller
			var err error
			if r.Method == http.MethodPost && !behind.isOpen(r.Context()) {
				err = behind.closed
			} else {
				caller, err = callerOf(r, authenticate)
			}
			if err == nil && caller == nil {
				err = errNoToken
			}
			if err != nil {
				behind.opts.CORS.answer(w.Header(), r, "POST, OPTIONS")
				behind.refused(r, event, err)
				WriteError(w, r, err)
				return
			}
			next.ServeHTTP(w, withCaller(r, caller))
		})
	}
}

// bearer returns the token of an Authorization header, "" if its scheme is not Bearer
// (RFC 6750 §2.1).
func bearer(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimLeft(token, " ")
}

// sentToken reports whether the request carries a bearer token.
func sentToken(r *http.Request) bool {
	return bearer(r.Header.Get("Authorization")) != ""
}

// BearerToken returns the bearer token of a request, "" if there is none. A
// request with two Authorization headers, or with a token in the query too, is
// refused (RFC 6750 §2).
func BearerToken(r *http.Request) (Plaintext, error) {
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return "", nil
	}
	if len(headers) > 1 || hasQueryToken(r.URL.RawQuery) {
		return "", refuse(InvalidRequest, "", "token.repeated", "the access token must be sent once, in the Authorization header")
	}
	return Plaintext(bearer(headers[0])), nil
}

// hasQueryToken reports whether a query has an access token (RFC 6750 §2.3), in any
// encoding of the name. Of a malformed query, another server may read more than Go does.
func hasQueryToken(query string) bool {
	if !strings.Contains(query, "access_token") && !strings.Contains(query, "%") {
		return false // as in nearly every request
	}
	parsed, err := url.ParseQuery(query)
	return parsed.Has("access_token") || err != nil && strings.Contains(query, "access_token=")
}

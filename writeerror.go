package dcr

// RFC 7591 §3.2.2, RFC 6750 §3: error responses.

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const challenge = `Bearer realm="client registration"`

// errNoToken refuses a request without a token; errBadToken one whose token is
// not the client's, in the same words whatever the reason.
var (
	errNoToken  = refuse(InvalidToken, "", "token.missing", "an access token is needed here")
	errBadToken = refuse(InvalidToken, "", "token.invalid", "the access token is not valid for this")
)

// WriteError writes an error as JSON: an [*Error] with its code, description
// and status, anything else as a bare server_error of status 500. It is the
// default of Options.WriteError.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	shown := (*Error)(nil)
	if !errors.As(err, &shown) {
		shown = Errorf(ServerError, "the server failed to handle the request")
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	status := shown.status()
	switch {
	case status == http.StatusUnauthorized && sentToken(r):
		header.Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
	case status == http.StatusUnauthorized:
		header.Set("WWW-Authenticate", challenge)
	case shown.Code == InsufficientScope:
		header.Set("WWW-Authenticate", challenge+`, error="insufficient_scope"`)
	}
	if shown.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((shown.RetryAfter+time.Second-1)/time.Second)))
	}
	var object objectWriter
	object.text("error", string(shown.Code))
	object.text("error_description", printable(shown.Description))
	body, _ := object.finish()
	write(w, status, body)
}

// status is the HTTP status of the error.
func (e *Error) status() int {
	if e.Status != 0 {
		return e.Status
	}
	switch e.Code {
	case InvalidToken:
		return http.StatusUnauthorized
	case InsufficientScope, AccessDenied:
		return http.StatusForbidden
	case TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	case ServerError:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// bearer returns the token of the Authorization header, and whether the
// header is of the Bearer scheme at all (RFC 6750 §2.1).
func bearer(authorization string) (token string, isBearer bool) {
	scheme, rest, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimLeft(rest, " "), true
}

// sentToken reports whether the request carries a bearer token.
func sentToken(r *http.Request) bool {
	token, _ := bearer(r.Header.Get("Authorization"))
	return token != ""
}

// presentedToken returns the bearer token of a request, "" if there is none. A
// token sent twice, or in the query besides, is refused (RFC 6750 §2).
func presentedToken(r *http.Request) (Plaintext, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 || len(headers) == 1 && strings.Contains(r.URL.RawQuery, "access_token=") {
		return "", Errorf(InvalidRequest, "the access token must be sent once, in the Authorization header")
	}
	token, _ := bearer(r.Header.Get("Authorization"))
	return Plaintext(token), nil
}

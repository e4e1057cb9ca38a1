package dcr

// RFC 7591 §3.2.2, RFC 6750 §3: error responses.

import (
	"context"
	"errors"
	"log/slog"
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
	switch status := shown.status(); {
	case status == http.StatusUnauthorized && sentToken(r):
		writeError(w, shown, challenge+`, error="invalid_token"`)
	case status == http.StatusUnauthorized:
		writeError(w, shown, challenge)
	case shown.Code == InsufficientScope:
		writeError(w, shown, challenge+`, error="insufficient_scope"`+shown.scopeParameter())
	default:
		writeError(w, shown, "")
	}
}

// writeError writes an error with the challenge that belongs to it, if any.
func writeError(w http.ResponseWriter, shown *Error, challenge string) {
	header := w.Header()
	header["Cache-Control"], header["Pragma"] = []string{"no-store"}, []string{"no-cache"}
	if challenge != "" {
		header.Set("WWW-Authenticate", challenge)
	}
	if shown.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((shown.RetryAfter+time.Second-1)/time.Second)))
	}
	var object objectWriter
	object.text("error", string(shown.Code))
	object.text("error_description", printable(shown.Description))
	body, _ := object.finish()
	write(w, shown.status(), body)
}

// scopeParameter names the scopes that are needed, if the error does.
func (e *Error) scopeParameter() string {
	if e.Scope == "" {
		return ""
	}
	return `, scope="` + printable(e.Scope) + `"`
}

// logRefusal logs an error that is about to be written: what is the
// registrant's fault at debug level, what is ours as an error.
func logRefusal(r *http.Request, logger *slog.Logger, err error) {
	refused := (*Error)(nil)
	switch {
	case abandoned(r, err):
		logger.DebugContext(r.Context(), "client registration abandoned by its client")
	case !errors.As(err, &refused):
		logger.ErrorContext(r.Context(), "client registration failed", "error", err)
	case errors.Is(err, ErrStoreFull):
		logger.WarnContext(r.Context(), "client registration unavailable", "error", refused.cause)
	case refused.status() >= http.StatusInternalServerError && refused.cause != nil:
		logger.ErrorContext(r.Context(), "client registration unavailable", "rule", refused.Rule, "description", refused.Description, "error", refused.cause)
	default:
		logger.DebugContext(r.Context(), "client registration refused",
			"code", refused.Code, "rule", refused.Rule, "member", refused.Member, "description", refused.Description, "error", refused.cause)
	}
}

// abandoned reports whether an error comes of the client going away before its
// answer, which is nobody's fault. A deadline that passed is the host's, and so
// is what went wrong for another reason while the client gave up.
func abandoned(r *http.Request, err error) bool {
	return r.Context().Err() == context.Canceled && errors.Is(err, context.Canceled)
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

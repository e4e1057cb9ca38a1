package dcr

// RFC 6749 §5.2, RFC 6750 §3, RFC 7591 §3.2.2: every answer that is not a success,
// and every code, status and challenge in it.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dynreg/dcr/internal/tally"
)

// Code is an OAuth error code. It is an error itself, so that
// errors.Is(err, dcr.InvalidRedirectURI) asks for the code of an [*Error].
type Code string

// The error codes of client registration (RFC 7591 §3.2.2).
const (
	InvalidRedirectURI          Code = "invalid_redirect_uri"
	InvalidClientMetadata       Code = "invalid_client_metadata"
	InvalidSoftwareStatement    Code = "invalid_software_statement"
	UnapprovedSoftwareStatement Code = "unapproved_software_statement"
)

// The other codes that the endpoints answer with (RFC 6749 §4.1.2.1 and §5.2,
// RFC 6750 §3.1).
const (
	InvalidRequest         Code = "invalid_request"
	InvalidToken           Code = "invalid_token"
	InvalidClient          Code = "invalid_client"
	InsufficientScope      Code = "insufficient_scope"
	AccessDenied           Code = "access_denied"
	ServerError            Code = "server_error"
	TemporarilyUnavailable Code = "temporarily_unavailable"
)

// The codes with which the checks of a [Client] answer authorization and token
// requests (RFC 6749 §4.1.2.1 and §5.2).
const (
	UnauthorizedClient      Code = "unauthorized_client"
	UnsupportedResponseType Code = "unsupported_response_type"
	InvalidScope            Code = "invalid_scope"
	InvalidGrant            Code = "invalid_grant"
	InvalidTarget           Code = "invalid_target"         // RFC 8707 §2
	InvalidRequestObject    Code = "invalid_request_object" // RFC 9101 §6
)

// Error returns the code.
func (c Code) Error() string { return string(c) }

// Error refuses a request in a way that is shown to the registrant. Any other
// error is logged and answered with a bare 500.
type Error struct {
	Code        Code          // shown as error; if empty, InvalidRequest, or ServerError by the status
	Description string        // shown as error_description: printable ASCII, what is wrong and what would be accepted
	Member      string        // the metadata member at fault, for logs
	Rule        string        // a stable id of the rule that refused, for logs; if empty, the log at level info has Code
	Scope       string        // with InsufficientScope, the scopes that are needed, for the challenge (RFC 6750 §3)
	Status      int           // the HTTP status, 400 to 599; if zero or outside that range, the one that belongs to Code
	RetryAfter  time.Duration // sent as Retry-After, if positive
	Err         error         // the cause: logged and returned by Unwrap, never shown

	of *Error // what this is a copy of, nil if it is no copy
}

// Errorf makes an [*Error] with a description, which the registrant sees. An
// error formatted with %w becomes Err; several are joined. They are logged and
// cut out of the description, together with the brackets, quotes, colon or
// comma around them. A nil error is cut out in the same way.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	shown, behind := err.Error(), wrappedBy(err)
	if slices.ContainsFunc(args, isError) {
		shown = withoutWrapped(format, args)
	}
	refused := &Error{Code: code, Description: printable(shown)}
	if len(behind) == 1 {
		refused.Err = behind[0]
	} else {
		refused.Err = errors.Join(behind...)
	}
	return refused
}

// wrappedBy returns what an error of fmt.Errorf wraps.
func wrappedBy(err error) []error {
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return []error{err.Unwrap()}
	case interface{ Unwrap() []error }:
		return err.Unwrap()
	}
	return nil
}

// isError reports whether %w takes arg: it is an error, or nil.
func isError(arg any) bool {
	_, is := arg.(error)
	return is || arg == nil
}

// operand stands in for an argument, to find out which ones %w wraps.
type operand struct{ place int }

func (operand) Error() string { return "" }

// hidden stands in for what %w wraps, whatever the flags, until it is cut out.
type hidden struct{}

const hiddenMark = "\x00error\x00"

func (hidden) Error() string { return hiddenMark }

func (hidden) Format(f fmt.State, verb rune) { io.WriteString(f, hiddenMark) }

// hiddenErrors finds the marks, with the punctuation around them.
var hiddenErrors = func() *regexp.Regexp {
	const before, marks = `\s*[:,;]?\s*`, hiddenMark + `(?:\s*[:,;]?\s*` + hiddenMark + `)*`
	return regexp.MustCompile(before + `(?:\(` + marks + `\)|\[` + marks + `\]|"` + marks + `"|'` + marks + `'|` + marks + `)`)
}()

// withoutWrapped formats a description without the arguments that %w wraps.
func withoutWrapped(format string, args []any) string {
	marked, shown := slices.Clone(args), slices.Clone(args)
	for i, arg := range args {
		if isError(arg) {
			marked[i] = operand{i}
		}
	}
	wrapped := wrappedBy(fmt.Errorf(format, marked...))
	if len(wrapped) == 0 {
		return fmt.Errorf(format, args...).Error()
	}
	for _, err := range wrapped {
		shown[err.(operand).place] = hidden{}
	}
	text := hiddenErrors.ReplaceAllString(fmt.Errorf(format, shown...).Error(), "")
	return strings.Trim(text, " :,;")
}

// Error returns the code and the description. A nil *Error that a hook returns by
// mistake, in place of nil, refuses nothing: it is a server error, and the text
// says so.
func (e *Error) Error() string {
	if e == nil {
		return "a nil *dcr.Error; return nil itself for no error"
	}
	if e.Description == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Description
}

// Is reports whether target is e's code or, in Options.WriteError, the error that e is a
// copy of.
func (e *Error) Is(target error) bool {
	return e != nil && (target == error(e.Code) || e.of != nil && target == error(e.of))
}

// copied returns a copy, which errors.Is still takes for e.
func (e *Error) copied() *Error {
	own := *e
	own.of = e
	return &own
}

// Unwrap returns Err.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// asRefusal returns the *Error in err, nil if there is none.
func asRefusal(err error) *Error {
	if err == nil {
		return nil // without the allocation below
	}
	refused := (*Error)(nil)
	errors.As(err, &refused)
	return refused
}

// asShown returns the *Error that err is answered with.
func asShown(err error) *Error {
	if refused := asRefusal(err); refused != nil {
		return refused
	}
	shown := refuse(ServerError, "", "server.error", "the server failed to handle the request")
	shown.Err = err
	return shown
}

// refuse makes the error of a rule about one member. The rule names it without its
// language tag, since strangers could make any number of rules.
func refuse(code Code, member, rule, format string, args ...any) *Error {
	err := Errorf(code, format, args...)
	if name, _, tagged := strings.Cut(member, "#"); tagged && strings.HasPrefix(rule, member) {
		rule = name + rule[len(member):]
	}
	err.Member, err.Rule = member, rule
	return err
}

// refuseMember says what is wrong with a member; sentence follows its name.
func refuseMember(member, rule, sentence string, args ...any) *Error {
	return refuse(memberCode(member), member, member+"."+rule, member+" "+sentence, args...)
}

// memberCode is the code for a fault in a member: redirect_uris has its own.
func memberCode(member string) Code {
	if member == "redirect_uris" {
		return InvalidRedirectURI
	}
	return InvalidClientMetadata
}

// printable keeps to what error_description may hold (RFC 6749 §5.2):
// printable ASCII without the quote and the backslash.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, text)
}

const challenge = `Bearer realm="client registration"`

// errNoToken refuses a request without a token; errBadToken one whose token is
// not the client's.
var (
	errNoToken  = refuse(InvalidToken, "", "token.missing", "an access token must be sent in the Authorization header")
	errBadToken = RefuseToken("invalid", nil)
)

// RefuseToken makes the error for a bearer token that is not valid:
// InvalidToken, in the same words whatever the reason. "token." and rule, as
// Error.Rule, and err are for logs.
func RefuseToken(rule string, err error) *Error {
	refused := refuse(InvalidToken, "", "token."+rule, "the access token is not valid for this request")
	refused.Err = err
	return refused
}

// Unavailable makes the error for an outage of something that the answer needs,
// such as the store, a key set or another server: TemporarilyUnavailable, 503
// with a Retry-After of 5 seconds. sentence says what is unavailable; "; try
// again later" is appended to it. err is for logs. Clients do not take this
// answer for a refusal.
func Unavailable(sentence string, err error) *Error {
	unavailable := Errorf(TemporarilyUnavailable, "%s; try again later", sentence)
	unavailable.RetryAfter, unavailable.Err = retryAfter, err
	return unavailable
}

// WriteError writes an error as JSON: an [*Error] with its code, description
// and status, anything else as a bare server_error of status 500. It is the
// default of Options.WriteError.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	shown := asShown(err)
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

// writeError writes an error, with a challenge unless it is "".
func writeError(w http.ResponseWriter, shown *Error, challenge string) {
	header := w.Header()
	keepFromCaches(header)
	if challenge != "" {
		header.Set("WWW-Authenticate", challenge)
	}
	if shown.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((shown.RetryAfter+time.Second-1)/time.Second)))
	}
	var object objectWriter
	object.text("error", printable(string(shown.code())))
	object.text("error_description", printable(shown.Description))
	body, _ := object.finish()
	write(w, shown.status(), body)
}

// scopeParameter returns the challenge's scope parameter, "" if the error names
// no scopes.
func (e *Error) scopeParameter() string {
	if e.Scope == "" {
		return ""
	}
	return `, scope="` + printable(e.Scope) + `"`
}

// logFault logs an error that is about to be written, if it is the server's and
// not the registrant's. asked says what for. Outages are tallied, since any stranger can
// cause log lines about them.
func logFault(r *http.Request, logger *slog.Logger, tallied *tally.Tally, asked string, err error) {
	refused := asRefusal(err)
	switch {
	case abandoned(r, err):
		logger.DebugContext(r.Context(), asked+" abandoned by its client")
	case refused == nil:
		logger.ErrorContext(r.Context(), asked+" failed", "error", err)
	case errors.Is(err, ErrStoreFull):
		tallied.Log(r.Context(), logger, slog.LevelWarn, asked+" store.full", asked+" unavailable", "rule", refused.Rule, "error", refused.Err)
	case refused.status() >= http.StatusInternalServerError && refused.Err != nil:
		tallied.Log(r.Context(), logger, slog.LevelError, asked+" "+refused.Rule+" "+refused.Description,
			asked+" unavailable", "rule", refused.Rule, "description", refused.Description, "error", refused.Err)
	}
}

// abandoned reports whether an error is only because the client went away
// before its answer. A deadline that passed is an error of the host, and so is
// one with another cause that happened while the client gave up.
func abandoned(r *http.Request, err error) bool {
	return r.Context().Err() == context.Canceled && errors.Is(err, context.Canceled)
}

// codeOf returns the code that WriteError shows for err.
func codeOf(err error) Code {
	if shown := asRefusal(err); shown != nil {
		return shown.code()
	}
	return ServerError
}

// code returns the code that is shown.
func (e *Error) code() Code {
	switch {
	case e.Code != "":
		return e.Code
	case e.status() >= http.StatusInternalServerError:
		return ServerError
	}
	return InvalidRequest
}

// Refuses reports whether the error is about what was asked. A fault of the server, which
// is answered with a status of 500 or more, and TemporarilyUnavailable are not: the same
// request may succeed later. A nil *Error refuses nothing.
func (e *Error) Refuses() bool {
	return e != nil && e.Code != TemporarilyUnavailable && e.status() < http.StatusInternalServerError
}

// status returns the HTTP status of the error. It ignores a Status that is not
// an error status: that would look like a success, or break the connection.
func (e *Error) status() int {
	if http.StatusBadRequest <= e.Status && e.Status <= 599 {
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

// WriteInvalidClient is for the token endpoint and the others that authenticate
// clients (revocation, introspection, pushed requests). It answers a request
// whose client could not be found or authenticated. err is what FindByClientID
// returned or, once the client has proved who it is, what [Client.CheckUsable]
// returned; it is nil if the client was found but failed to authenticate.
//
// A client that does not exist, fails to authenticate, is disabled or has expired gets 401
// invalid_client with a challenge. Clients in the field then forget their registration and
// register again. A client that waits for approval must not do that, or it would register again
// forever: ErrClientPending gets 400 access_denied, a departure from RFC 6749 §5.2. Call
// CheckUsable only after [Client.MatchSecret], or for a public client, so that strangers do not
// learn the status of a client. An [*Error] of InvalidClient, such as that of a metadata
// document that is refused, gets the same 401, and an [*Error] of another code is written as it
// is. Any other err is an outage: it gets 503 temporarily_unavailable, so that no client forgets
// a registration that is still there.
//
// At the authorization endpoint, show the person a page with this status
// instead: without a client, there is no redirect URI to send the error to.
func WriteInvalidClient(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrClientPending) {
		pending := Errorf(AccessDenied, "the registration of this client waits for approval; it need not register again")
		pending.Status = http.StatusBadRequest
		writeError(w, pending, "")
		return
	}
	if refused := asRefusal(err); refused != nil && codeOf(err) != InvalidClient {
		WriteError(w, r, refused)
		return
	}
	if err != nil && codeOf(err) != InvalidClient && !errors.Is(err, ErrClientNotFound) && !errors.Is(err, ErrClientDisabled) && !errors.Is(err, ErrClientExpired) {
		WriteError(w, r, Unavailable("the server cannot look clients up at the moment", err))
		return
	}
	refused := Errorf(InvalidClient, "client authentication failed")
	refused.Status = http.StatusUnauthorized
	writeError(w, refused, clientChallenge(r))
}

// clientChallenge returns the challenge to a client that failed to
// authenticate, in the scheme of its Authorization header, or Basic. Every 401
// needs one (RFC 9110 §15.5.2).
func clientChallenge(r *http.Request) string {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !isToken(scheme) || strings.EqualFold(scheme, "Basic") {
		scheme = "Basic"
	}
	return scheme + ` realm="token endpoint"`
}

// isToken reports whether text can name an authentication scheme (RFC 9110
// §5.6.2, §11.1).
func isToken(text string) bool {
	return text != "" && strings.Trim(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

const retryAfter = 5 * time.Second

// outage turns an error of the store into a 503.
func outage(err error) error {
	rule, sentence := "store.unavailable", "the client store is unavailable"
	switch {
	case errors.Is(err, ErrStoreFull):
		rule, sentence = "store.full", "this server takes no more clients at the moment"
	case errors.Is(err, ErrConflict):
		rule, sentence = "store.conflict", "others are changing this client at the moment"
	}
	unavailable := Unavailable(sentence, err)
	unavailable.Rule = rule
	return unavailable
}

func tooLarge(limit int64) *Error {
	refused := refuse(InvalidRequest, "", "body.size", "the body must not be larger than %d bytes", limit)
	refused.Status = http.StatusRequestEntityTooLarge
	return refused
}

func notAllowed(methods string) *Error {
	refused := refuse(InvalidRequest, "", "method", "this method is not allowed here; allowed: %s", methods)
	refused.Status = http.StatusMethodNotAllowed
	return refused
}

package main

// The statuses, written by hand. A test checks that every status that a package sends
// is here.

import "net/http"

// A status is one line of the page.
type status struct {
	code       int
	name, when string
}

var statuses = []status{
	{http.StatusOK, "StatusOK", "A client was read or updated, and the body is the client information response; or the body is the discovery document."},
	{http.StatusCreated, "StatusCreated", "A client registered."},
	{http.StatusNoContent, "StatusNoContent", "A client was deleted; or the request was a CORS preflight."},
	{http.StatusBadRequest, "StatusBadRequest", "The request is wrong: `invalid_client_metadata`, `invalid_redirect_uri`, `invalid_software_statement`, `unapproved_software_statement`, `invalid_request`. At a token endpoint, also `access_denied`, for a client that waits for approval: 401 would make it register again."},
	{http.StatusUnauthorized, "StatusUnauthorized", "There is no token, or it is not valid for this request: `invalid_token`, with a Bearer challenge. A wrong token and an unknown, deleted, disabled or expired client get the same answer. At a token endpoint, `invalid_client`, which makes clients register again."},
	{http.StatusForbidden, "StatusForbidden", "The token is valid but lacks a scope (`insufficient_scope`); the caller or client may not do this (`access_denied`); `Options.Open` refused the request."},
	{http.StatusNotFound, "StatusNotFound", "`Options.Open` refused the request and `Options.ClosedStatus` is 404; or the request was for the discovery document of another issuer."},
	{http.StatusMethodNotAllowed, "StatusMethodNotAllowed", "POST with a client id; GET, PUT or DELETE without one; with `Options.DisableManagement`, everything but POST. `Allow` lists the methods that are allowed."},
	{http.StatusRequestEntityTooLarge, "StatusRequestEntityTooLarge", "The body is larger than `Options.MaxBodyBytes`."},
	{http.StatusUnsupportedMediaType, "StatusUnsupportedMediaType", "The body is compressed, or `Options.Decoders` does not have its media type."},
	{http.StatusTooManyRequests, "StatusTooManyRequests", "`callerauth.RateLimit`, used as `Options.Admit`, refused the request; `Retry-After` says when to try again."},
	{http.StatusInternalServerError, "StatusInternalServerError", "Something in the server failed, such as a hook: `server_error`; the log has the error. Nothing was stored."},
	{http.StatusServiceUnavailable, "StatusServiceUnavailable", "The store, a key set or another server cannot be reached, or the limit on clients is reached: `temporarily_unavailable`, with `Retry-After`. Clients keep their registration."},
}

// notAnswered are statuses that the code only looks for in answers of other servers.
var notAnswered = map[string]bool{"StatusGone": true}

// statusDirs are the packages whose answers the page is about.
var statusDirs = []string{".", "callerauth", "clientauth", "cimd", "policy"}

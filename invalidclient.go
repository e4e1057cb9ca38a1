package dcr

// RFC 6749 §5.2: what the endpoints of the authorization server answer to a
// client that they do not know.

import (
	"errors"
	"net/http"
	"strings"
)

// WriteInvalidClient is for the token endpoint and the others that
// authenticate clients (revocation, introspection, pushed requests): it
// answers when a client could not be found or authenticated. err is what
// FindByClientID returned; nil where the client was found and its
// authentication failed.
//
// The client that is not there, and the one that fails to prove who it is, get
// 401 invalid_client, which makes clients in the field forget their
// registration and register anew. Any other err is an outage: it gets 503
// temporarily_unavailable, so that no client forgets a registration that is
// still there. A client whose registration is pending or disabled is to be
// answered with a nil err.
//
// At the authorization endpoint there is nobody to send back to: show the
// person a page with this status instead.
func WriteInvalidClient(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil && !errors.Is(err, ErrClientNotFound) {
		unavailable := Errorf(TemporarilyUnavailable, "the server cannot look clients up at the moment; try again later")
		unavailable.RetryAfter = retryAfter
		WriteError(w, r, unavailable)
		return
	}
	refused := Errorf(InvalidClient, "client authentication failed")
	refused.Status = http.StatusUnauthorized
	writeError(w, refused, clientChallenge(r))
}

// clientChallenge is the challenge to a client that authenticated by the
// Authorization header, in the scheme that it used; "" to another one.
func clientChallenge(r *http.Request) string {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !isToken(scheme) {
		return ""
	}
	if strings.EqualFold(scheme, "Basic") {
		scheme = "Basic"
	}
	return scheme + ` realm="token endpoint"`
}

// isToken reports whether text can name an authentication scheme (RFC 9110
// §5.6.2, §11.1).
func isToken(text string) bool {
	return text != "" && strings.Trim(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

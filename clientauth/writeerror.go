package clientauth

// RFC 6749 §5.2: error responses.

import (
	"context"
	"net/http"

	"github.com/dynreg/dcr"
)

// WriteError answers an error of Authenticate as RFC 6749 §5.2 says, and an outage
// with 503 and Retry-After. A client whose metadata document is unavailable is an
// outage; one whose document is refused is answered like any other client that is
// refused.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	refused := asRefusal(err)
	switch {
	case refused == nil:
		dcr.WriteError(w, r, dcr.Unavailable("the server cannot authenticate clients at the moment", err))
	case refused.Code == dcr.InvalidClient:
		dcr.WriteInvalidClient(w, r, nil)
	default:
		dcr.WriteError(w, r, refused)
	}
}

type contextKey struct{}

// Require is a middleware that passes on requests of authenticated clients,
// with the Authentication in the context, and answers all others with
// [WriteError].
func (a *Authenticator) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authentication, err := a.Authenticate(r)
		if err != nil {
			WriteError(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), authentication)))
	})
}

// NewContext returns a context that carries an Authentication, for a middleware
// that replaces [Authenticator.Require], such as an adapter that calls
// [Authenticator.AuthenticateRefresh].
func NewContext(ctx context.Context, authentication *Authentication) context.Context {
	return context.WithValue(ctx, contextKey{}, authentication)
}

// FromContext returns the Authentication that [Authenticator.Require] or
// [NewContext] put there, nil if there is none.
func FromContext(ctx context.Context) *Authentication {
	authentication, _ := ctx.Value(contextKey{}).(*Authentication)
	return authentication
}

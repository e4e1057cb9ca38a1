// Package callerauth finds out who asks to register: by access tokens of an
// authorization server, verified here or by its introspection endpoint, by initial
// access tokens, or by one token that never changes. Each is a
// [dcr.Authenticator], for dcr.Require or dcr.Options.Caller.
package callerauth

import "github.com/dynreg/dcr"

// misconfigured makes the error for a mistake in the configuration, which
// trying again does not help: a bare 500.
func misconfigured(err error) error {
	return &dcr.Error{Code: dcr.ServerError, Description: "the server failed to handle the request", Rule: "caller.misconfigured", Err: err}
}

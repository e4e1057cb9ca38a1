// Package callerauth finds out who may register: by the access tokens of an
// authorization server, verified here or by its introspection endpoint, by initial
// access tokens, by one token that never changes. Each of them is a
// [dcr.Authenticator], for dcr.Require or dcr.Options.Caller.
package callerauth

import "github.com/dynreg/dcr"

// misconfigured is a fault of the host's that no waiting mends: a bare 500.
func misconfigured(err error) error {
	return &dcr.Error{Code: dcr.ServerError, Description: "the server failed to handle the request", Rule: "caller.misconfigured", Err: err}
}

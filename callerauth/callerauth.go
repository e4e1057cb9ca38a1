// Package callerauth finds out who may register: by the access tokens of an
// authorization server, by initial access tokens, by one token that never
// changes. Each of them is a [dcr.Authenticator], for dcr.Require or
// dcr.Options.Caller.
package callerauth

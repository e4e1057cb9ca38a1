package policy

// Model Context Protocol, Authorization: RFC 7591 by clients that nobody knows
// beforehand, most of them on a person's own machine.

import (
	"context"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// MCP is the policy for the clients of the Model Context Protocol: Claude,
// ChatGPT, Cursor, VS Code and the rest, as they really register. They come
// without a token, so set Options.AllowAnonymous; put the scopes of your
// server into Supports.Scopes.
//
// What it changes, and why:
//
//   - A client that names no token_endpoint_auth_method is public (none), not
//     client_secret_basic: it runs where it can keep no secret, and most of
//     them then look for none. One that asks for client_secret_post or
//     client_secret_basic gets a secret, and so does a pipeline that asks for
//     client_credentials.
//   - Redirect URIs may be loopback http, private-use schemes and https:
//     desktop, terminal and web clients. Remote http stays refused.
//   - application_type is inferred from the redirect URIs, corrected where it
//     does not fit them (Cursor says web, and redirects to cursor://), and
//     always in the answer: a native client may use any loopback port later.
//   - Grant types that the server lacks are dropped (VS Code asks for
//     device_code), and the answer tells what is left.
//   - Every client is held to PKCE.
//   - CORS is on for every origin, for the Inspector and other clients that
//     run in a browser.
//
// Ceilings that the host leaves nil: the grant types authorization_code,
// refresh_token and client_credentials; the methods none, client_secret_post
// and client_secret_basic. A client_credentials client gets tokens without any
// person's consent: give strangers no scopes that matter, or set
// Supports.GrantTypes without it.
func MCP(server dcr.DefaultValidator) Preset {
	fill(&server.Supports.GrantTypes, "authorization_code", "refresh_token", "client_credentials")
	fill(&server.Supports.TokenEndpointAuthMethods, "none", "client_secret_post", "client_secret_basic")
	server.AllowHTTPRedirects = false
	return Preset{
		Validator: Stack(mcp{server}, RequirePKCE()),
		options:   openToPages,
	}
}

type mcp struct{ dcr.Validator }

// OptionsWarnings are about the pages that register.
func (m mcp) OptionsWarnings(opts *dcr.Options) []string { return closedToPages("MCP", opts) }

// ValidateGrantTypes chooses the method of clients that name none.
func (m mcp) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	c := reg.Client
	machine := contains(c.GrantTypes, "client_credentials") && contains(reg.Capabilities.GrantTypes, "client_credentials")
	unsaid := c.TokenEndpointAuthMethod == "" && reg.Request.Choices[authMethod.list] == nil
	switch {
	case !unsaid:
	case !machine && contains(reg.Capabilities.TokenEndpointAuthMethods, "none"):
		c.TokenEndpointAuthMethod = "none"
	case machine:
		c.TokenEndpointAuthMethod = firstConfidential(reg.Capabilities.TokenEndpointAuthMethods)
	}
	return m.Validator.ValidateGrantTypes(ctx, reg)
}

// firstConfidential is the first method that a client with a secret can use,
// "" if there is none.
func firstConfidential(methods []string) string {
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		if contains(methods, method) {
			return method
		}
	}
	return ""
}

// ValidateRedirectURIs judges each redirect URI by its own kind, and makes
// application_type fit them.
func (m mcp) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	c := reg.Client
	asked := c.ApplicationType
	c.ApplicationType = ""
	if err := m.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	c.ApplicationType = fittingType(asked, c.RedirectURIs)
	return nil
}

// fittingType is the application type that was asked for, unless the redirect
// URIs tell of another.
func fittingType(asked string, redirects []string) string {
	fitting := "web"
	if asked == "native" {
		fitting = asked
	}
	for _, redirect := range redirects {
		parsed, err := uri.ParseRedirect(redirect)
		if err != nil {
			continue
		}
		switch parsed.Kind() {
		case uri.LoopbackHTTP, uri.PrivateUse:
			return "native"
		case uri.LoopbackHTTPS:
			fitting = "web"
		}
	}
	return fitting
}

package policy

// Model Context Protocol, Authorization: RFC 7591 for clients that are not
// known beforehand, most of them on a person's own machine.

import (
	"context"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// MCP is the policy for the clients of the Model Context Protocol, such as
// Claude, ChatGPT, Cursor and VS Code. It accepts what they send in practice.
// They register without a token, so set Options.AllowAnonymous; put the scopes
// of your server into Supports.Scopes.
//
// What it changes, and why:
//
//   - A client that names no token_endpoint_auth_method is public (none) if it
//     redirects to loopback or to a private-use scheme: it runs on a person's
//     machine and can keep no secret, and most such clients look for none. If all
//     its redirect URIs are remote https, it gets client_secret_basic, or the
//     first method with a secret that the server supports: Microsoft 365 Copilot
//     requires one. A pipeline that asks for client_credentials gets one too. If
//     an update names no method, a confidential client keeps its own.
//   - A client that sends no scope gets all of Supports.Scopes, or DefaultScopes
//     if they are not nil: SDKs register without any and ask for them later. A
//     client whose scopes are all unknown, or that has client_credentials, gets
//     only scopes that it named.
//   - Redirect URIs may be loopback http, private-use schemes and https, for
//     desktop, terminal and web clients. Remote http is refused.
//   - application_type is inferred from the redirect URIs, corrected if it does
//     not fit them (Cursor says web, and redirects to cursor://), and always in
//     the answer: a native client may use any loopback port later.
//   - Grant types that the server lacks are dropped (VS Code asks for
//     device_code), and the answer has those that are left.
//   - Every client must use PKCE.
//   - CORS is on for every origin, for the Inspector and other clients that
//     run in a browser.
//
// If the host leaves them nil, GrantTypes are authorization_code, refresh_token
// and client_credentials, and TokenEndpointAuthMethods are none,
// client_secret_post and client_secret_basic. A client with client_credentials
// gets tokens without any person's consent: give strangers no scopes that
// matter, or set Supports.GrantTypes to a list without it, which also ends the
// warning about it.
//
// A client that publishes its metadata sees no answer, so it is public if it
// names no method. Its document must have client_name and redirect_uris (Client
// ID Metadata Documents in Authorization of the protocol).
func MCP(server dcr.DefaultValidator) Preset {
	fill(&server.Supports.GrantTypes, "authorization_code", "refresh_token", "client_credentials")
	fill(&server.Supports.TokenEndpointAuthMethods, "none", "client_secret_post", "client_secret_basic")
	server.AllowHTTPRedirects = false
	return Preset{
		Validator: Stack(mcp{server, server.DefaultScopes != nil}, CorrectApplicationType(), RequirePKCE()),
		options:   openToPages,
	}
}

type mcp struct {
	dcr.Validator
	defaultScopes bool // the host has its own
}

// OptionsWarnings are about web pages that register.
func (m mcp) OptionsWarnings(opts *dcr.Options) []string { return closedToPages("MCP", opts) }

// ValidateGrantTypes chooses the method of clients that name none.
func (m mcp) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	unsaid := reg.Client.TokenEndpointAuthMethod == "" && reg.Request.Choices[authMethod.list] == nil
	if unsaid && !reg.ExactDefaults {
		reg.Client.TokenEndpointAuthMethod = unsaidMethod(reg)
	}
	return m.Validator.ValidateGrantTypes(ctx, reg)
}

// unsaidMethod returns the method of a client that names none, "" for the
// server's default.
func unsaidMethod(reg *dcr.Registration) string {
	c, methods := reg.Client, reg.Capabilities.TokenEndpointAuthMethods
	machine := hasClientCredentials(reg)
	if previous := reg.Previous; previous != nil && previous.TokenEndpointAuthMethod != "none" && contains(methods, previous.TokenEndpointAuthMethod) {
		return previous.TokenEndpointAuthMethod
	}
	confidential := firstConfidential(methods)
	switch {
	case machine:
		return confidential
	case onlyRemote(c.RedirectURIs) && c.Source != dcr.SourceDocument && confidential != "":
		return confidential
	case contains(methods, "none"):
		return "none"
	}
	return ""
}

func hasClientCredentials(reg *dcr.Registration) bool {
	return contains(reg.Client.GrantTypes, "client_credentials") && contains(reg.Capabilities.GrantTypes, "client_credentials")
}

// onlyRemote reports whether all redirect URIs are remote https, so that the client
// runs on a server, where it can keep a secret.
func onlyRemote(redirects []string) bool {
	return len(redirects) > 0 && !slices.ContainsFunc(redirects, func(redirect string) bool {
		parsed, err := uri.ParseRedirect(redirect)
		return err != nil || parsed.Kind() != uri.HTTPS
	})
}

// firstConfidential returns the first method with a secret, "" if there is
// none.
func firstConfidential(methods []string) string {
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		if contains(methods, method) {
			return method
		}
	}
	return ""
}

// ValidateClient requires of a metadata document what the protocol requires.
func (m mcp) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := m.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	switch c := reg.Client; {
	case c.Source != dcr.SourceDocument:
	case c.ClientName == "":
		return refuse("client_name", "mcp", "client_name must be in the metadata document")
	case len(c.RedirectURIs) == 0:
		return refuse("redirect_uris", "mcp", "redirect_uris must be in the metadata document, with at least one redirect URI")
	}
	return nil
}

// SetDefaultScopes gives a client that sent no scope those that it will ask
// for.
func (m mcp) SetDefaultScopes(ctx context.Context, reg *dcr.Registration) error {
	named := reg.Request.Scope != "" || reg.Statement != nil && reg.Statement.Scope != ""
	switch {
	case named || hasClientCredentials(reg):
		return nil
	case !m.defaultScopes:
		reg.Client.Scope = strings.Join(without(reg.Capabilities.Scopes, dcr.AnyScope), " ")
		return nil
	}
	return m.Validator.SetDefaultScopes(ctx, reg)
}

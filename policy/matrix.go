package policy

// Matrix MSC2966: usage of OAuth 2.0 dynamic client registration in Matrix.

import (
	"context"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// Matrix is what MSC2966 asks of a homeserver. Matrix clients come without a
// token, so set Options.AllowAnonymous.
//
// What it changes, and why:
//
//   - client_uri must be sent, and is the common base: redirect URIs and pages
//     are https on its host or below it, so that users can tell whose client
//     they let in.
//   - Clients have authorization_code and refresh_token, by default too; other
//     grant types are dropped. One that names no token_endpoint_auth_method is
//     public.
//   - An absent application_type is web. Web clients redirect to https alone.
//     Native ones may use a scheme that begins with the host of client_uri in
//     reverse, without an authority, and loopback http without a port: the
//     port is free at the authorization endpoint.
//   - CORS is on for every origin: Matrix clients run in browsers.
func Matrix(server dcr.DefaultValidator) Preset {
	fill(&server.Supports.TokenEndpointAuthMethods, "none", "client_secret_basic", "client_secret_post")
	server.AllowHTTPRedirects = false
	return Preset{
		Validator: Stack(matrix{server},
			GrantTypes(Values{Ceiling: matrixGrants, Default: matrixGrants}),
			ResponseTypes(Values{Ceiling: []string{"code"}}),
			AuthMethods(Values{Default: []string{"none"}}),
			RequirePKCE(),
			RequireMembers("client_uri", "redirect_uris"),
		),
		options: openToPages,
	}
}

var matrixGrants = []string{"authorization_code", "refresh_token"}

type matrix struct{ dcr.Validator }

// ValidateGrantTypes wants both grants of the flow.
func (m matrix) ValidateGrantTypes(ctx context.Context, reg *dcr.Registration) error {
	if err := m.Validator.ValidateGrantTypes(ctx, reg); err != nil {
		return err
	}
	for _, grant := range matrixGrants {
		if !slices.Contains(reg.Client.GrantTypes, grant) {
			return refuse("grant_types", "matrix", "grant_types must have authorization_code and refresh_token")
		}
	}
	return nil
}

// ValidateRedirectURIs judges redirect URIs against client_uri.
func (m matrix) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if reg.Client.ApplicationType == "" {
		reg.Client.ApplicationType = "web"
	}
	if err := m.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	base, err := uri.Parse(reg.Client.ClientURI)
	if err != nil || base.Kind() != uri.HTTPS {
		return refuse("client_uri", "matrix", "client_uri must be an https URL of a public host")
	}
	native := reg.Client.ApplicationType == "native"
	for i, redirect := range reg.Client.RedirectURIs {
		parsed, err := uri.Parse(redirect)
		if err != nil || !onBase(&parsed, &base) && !(native && nativeRedirect(&parsed, &base)) {
			return refuse("redirect_uris", "matrix", "redirect_uris[%d] must be an https URL on the host of client_uri or below it, or for application_type native "+
				"a scheme that begins with that host in reverse, or http on a loopback host without a port", i)
		}
	}
	return nil
}

// ValidateDisplay judges pages against client_uri.
func (m matrix) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if err := m.Validator.ValidateDisplay(ctx, reg); err != nil {
		return err
	}
	base, err := uri.Parse(reg.Client.ClientURI)
	for name, page := range pages(reg.Client) {
		parsed, errPage := uri.Parse(page)
		if err != nil || errPage != nil || !onBase(&parsed, &base) {
			return refuse(name, "matrix", "%s must be an https URL on the host of client_uri or below it", name)
		}
	}
	return nil
}

// onBase reports whether u is https on the host of base or below it. Nothing
// is below a host without a dot: it would be a whole top-level domain.
func onBase(u, base *uri.URI) bool {
	below := isDomain(base.Host) && strings.HasSuffix(u.Host, "."+base.Host)
	return u.Kind() == uri.HTTPS && (u.Host == base.Host || below)
}

func isDomain(host string) bool { return strings.Contains(host, ".") }

// nativeRedirect reports whether u is what a native client may redirect to
// beside https.
func nativeRedirect(u, base *uri.URI) bool {
	switch u.Kind() {
	case uri.LoopbackHTTP:
		return u.Port == ""
	case uri.PrivateUse:
		labels := strings.Split(base.Host, ".")
		slices.Reverse(labels)
		return isDomain(base.Host) && !u.HasAuthority && strings.HasPrefix(u.Scheme+".", strings.Join(labels, ".")+".")
	}
	return false
}

package policy

// Matrix MSC2966: usage of OAuth 2.0 dynamic client registration in Matrix.

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// Matrix is client registration as MSC2966 requires it of a homeserver. Matrix
// clients register without a token, so set Options.AllowAnonymous.
//
// What it changes, and why:
//
//   - client_uri must be sent. Pages, and URIs that a browser is sent to, must use
//     https on its host or on a host below it, on any port, so that users can
//     tell whose client they accept. Its host must not be a top-level domain, nor
//     in the list of public suffixes, if there is one, such as github.io.
//   - Clients have the grant types authorization_code and refresh_token, also by
//     default; others are dropped. A client that names no
//     token_endpoint_auth_method is public; a method that the server does not
//     support is refused.
//   - An absent application_type is web. Web clients may redirect only to https.
//     Native clients may also use a scheme that begins with the host of
//     client_uri in reverse, without an authority, and loopback http without a
//     port or with port 0: at the authorization endpoint, any port matches.
//   - CORS is on for every origin: Matrix clients run in browsers.
func Matrix(server dcr.DefaultValidator, suffixes ...PublicSuffixes) Preset {
	fill(&server.Supports.TokenEndpointAuthMethods, "none", "client_secret_basic", "client_secret_post")
	server.AllowHTTPRedirects = false
	return Preset{
		Validator: Stack(matrix{server, optional(suffixes)},
			GrantTypes(Values{Ceiling: matrixGrants, Default: matrixGrants}),
			ResponseTypes(Values{Ceiling: []string{"code"}}),
			AuthMethods(Values{Default: []string{"none"}, Excess: Refuse}),
			RequirePKCE(),
			RequireMembers("client_uri", "redirect_uris"),
		),
		options: openToPages,
	}
}

var matrixGrants = []string{"authorization_code", "refresh_token"}

type matrix struct {
	dcr.Validator
	suffixes suffixList
}

// OptionsWarnings are about the pages that register.
func (m matrix) OptionsWarnings(opts *dcr.Options) []string { return closedToPages("Matrix", opts) }

// CheckOptions requires a server that has both grant types of the flow.
func (m matrix) CheckOptions(opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if missing := without(matrixGrants, m.Validator.Capabilities().WithDefaults().GrantTypes...); len(missing) > 0 {
		return errors.New("Matrix needs the grant types authorization_code and refresh_token; add " + strings.Join(missing, " and ") + " to Supports.GrantTypes, or leave it nil")
	}
	return m.Validator.CheckOptions(opts, store)
}

// ValidateGrantTypes requires both grant types of the flow.
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

// ValidateRedirectURIs judges redirect URIs against client_uri, before anything
// is fetched on behalf of the client.
func (m matrix) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if reg.Client.ApplicationType == "" {
		reg.Client.ApplicationType = "web"
	}
	if err := m.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	return m.judge(reg.Client, func(d *destination) bool { return d.member == "redirect_uris" })
}

// ValidateClient judges the finished client.
func (m matrix) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := m.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	base, _ := uri.Parse(reg.Client.ClientURI)
	for name, page := range pages(reg.Client) {
		if parsed, err := uri.Parse(page); err != nil || !m.onBase(&parsed, &base) {
			return refuse(name, "matrix", "%s must be an https URL on the host of client_uri or below it", name)
		}
	}
	return m.judge(reg.Client, func(*destination) bool { return true })
}

// judge checks the URIs that a browser is sent to against client_uri.
func (m matrix) judge(c *dcr.Client, judged func(*destination) bool) error {
	base, err := uri.Parse(c.ClientURI)
	if err != nil || base.Kind() != uri.HTTPS || m.suffixes.nobodys(base.Host) {
		return refuse("client_uri", "matrix", "client_uri must be an https URL on a host of the client's own, not on a top-level domain or a public suffix")
	}
	native := c.ApplicationType == "native"
	for d := range destinations(c) {
		switch {
		case !judged(d):
		case d.err == nil && m.onBase(&d.URI, &base):
		case d.err == nil && d.back && native && nativeRedirect(&d.URI, &base):
		case d.err == nil && !d.back && d.Kind() == uri.PrivateUse: // a wallet
		default:
			return d.refuse("matrix", "must be an https URL on the host of client_uri or below it, or for application_type native "+
				"a scheme that begins with that host in reverse, or http on a loopback host without a port")
		}
	}
	return nil
}

// onBase reports whether u is https on the host of base or below it, without a
// public suffix between the two.
func (m matrix) onBase(u, base *uri.URI) bool {
	if u.Kind() != uri.HTTPS {
		return false
	}
	return u.Host == base.Host || strings.HasSuffix(u.Host, "."+base.Host) &&
		(m.suffixes.PublicSuffixes == nil || m.suffixes.PublicSuffix(u.Host) == m.suffixes.PublicSuffix(base.Host))
}

// nativeRedirect reports whether a native client may redirect to u, which is
// not https.
func nativeRedirect(u, base *uri.URI) bool {
	switch u.Kind() {
	case uri.LoopbackHTTP:
		return u.Port == "" || u.AnyPort()
	case uri.PrivateUse:
		labels := strings.Split(base.Host, ".")
		slices.Reverse(labels)
		return !u.HasAuthority && strings.HasPrefix(u.Scheme+".", strings.Join(labels, ".")+".")
	}
	return false
}

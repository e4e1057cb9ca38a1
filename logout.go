package dcr

// OpenID Connect RP-Initiated Logout 1.0 §3.1, Front-Channel Logout 1.0 §2 and
// Back-Channel Logout 1.0 §2.2.

import (
	"context"

	"github.com/dynreg/dcr/internal/uri"
)

// ValidateLogout judges the logout URIs: https, http only for a confidential
// client where the host allows it, native schemes for RP-initiated logout.
func (d DefaultValidator) ValidateLogout(ctx context.Context, reg *Registration) error {
	c := reg.Client
	remote := httpsOnly
	if d.AllowHTTPRedirects && reg.authMethod() != "none" {
		remote = httpOrHTTPS
	}
	returning := uriRule{schemes: appRedirect.schemes,
		allowed: func(kind uri.Kind) bool { return appRedirect.allowed(kind) || remote.allowed(kind) }}
	if err := returning.checkList("post_logout_redirect_uris", c.PostLogoutRedirectURIs); err != nil {
		return err
	}
	if err := remote.checkOptional("backchannel_logout_uri", c.BackchannelLogoutURI); err != nil {
		return err
	}
	if c.BackchannelLogoutURI == "" {
		c.BackchannelLogoutSessionRequired = false
	}
	if c.FrontchannelLogoutURI == "" {
		c.FrontchannelLogoutSessionRequired = false
		return nil
	}
	return reg.checkFrontchannelLogout(remote)
}

// checkFrontchannelLogout wants the origin of a redirect URI, since the
// browser loads the page in a frame of ours (Front-Channel Logout 1.0 §2).
func (reg *Registration) checkFrontchannelLogout(rule uriRule) error {
	logout, err := rule.check("frontchannel_logout_uri", "frontchannel_logout_uri", reg.Client.FrontchannelLogoutURI)
	if err != nil {
		return err
	}
	for _, redirect := range reg.Client.RedirectURIs {
		if parsed, err := uri.Parse(redirect); err == nil && parsed.SameOrigin(&logout) {
			return nil
		}
	}
	return refuseMember("frontchannel_logout_uri", "origin", "must have the scheme, host and port of one of redirect_uris")
}

package policy

// RFC 8252 §7 and §8.4, RFC 7591 §5: which redirect URIs a client may have.

import (
	"context"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// RedirectHosts allows web redirect URIs on these hosts alone; "*.example.com"
// allows the hosts below example.com, at any depth. Redirects to the user's
// own machine (loopback and private-use schemes) have no host to judge: what
// else may be registered, [HTTPSOnly] and [RedirectSchemes] say.
func RedirectHosts(hosts ...string) Rule {
	return redirectRule("redirect_hosts", "must lead to one of these hosts: "+orNone(hosts), hosts, func(u *uri.URI) bool {
		return !isWeb(u.Kind()) || onHost(u.Host, hosts)
	})
}

// RedirectSchemes allows redirect URIs of these schemes alone: https, http
// (which is for loopback), or an application's own, such as com.example.app.
func RedirectSchemes(schemes ...string) Rule {
	return redirectRule("redirect_schemes", "must have one of these schemes: "+orNone(schemes), schemes, func(u *uri.URI) bool {
		return slices.Contains(schemes, u.Scheme)
	})
}

// LoopbackOnly allows redirect URIs to 127.0.0.1, [::1] and localhost alone:
// for applications on the user's own machine that need no app store's scheme.
func LoopbackOnly() Rule {
	return redirectRule("loopback_only", "must lead to 127.0.0.1, [::1] or localhost", nil, func(u *uri.URI) bool {
		return u.Kind() == uri.LoopbackHTTP || u.Kind() == uri.LoopbackHTTPS
	})
}

// ReverseDomainSchemes wants private-use schemes to be a domain name in
// reverse, as RFC 8252 §7.1 does, so that two applications do not claim the
// same: com.example.app rather than example.
func ReverseDomainSchemes() Rule {
	return redirectRule("reverse_domain_schemes", "must use a scheme that is a domain name in reverse, such as com.example.app", nil, func(u *uri.URI) bool {
		labels := strings.Split(u.Scheme, ".")
		return u.Kind() != uri.PrivateUse || len(labels) > 1 && !slices.Contains(labels, "")
	})
}

func isWeb(kind uri.Kind) bool { return kind == uri.HTTPS || kind == uri.HTTP }

// onHost reports whether host is one of hosts, or below one that begins with
// "*.".
func onHost(host string, hosts []string) bool {
	return slices.ContainsFunc(hosts, func(allowed string) bool {
		above, wildcard := strings.CutPrefix(strings.ToLower(allowed), "*")
		return !wildcard && host == above || wildcard && len(host) > len(above) && strings.HasSuffix(host, above)
	})
}

func redirectRule(name, want string, list []string, allowed func(*uri.URI) bool) Rule {
	takesList := strings.HasPrefix(name, "redirect_")
	return func(inner dcr.Validator) dcr.Validator {
		return redirects{inner, name, want, allowed, takesList && len(list) == 0}
	}
}

// redirects holds every redirect URI to one condition.
type redirects struct {
	dcr.Validator
	rule, want string
	allowed    func(*uri.URI) bool
	empty      bool
}

// ValidateRedirectURIs judges what the inner step accepted.
func (r redirects) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if err := r.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	for i, redirect := range reg.Client.RedirectURIs {
		if parsed, err := uri.Parse(redirect); err != nil || !r.allowed(&parsed) {
			return refuse("redirect_uris", r.rule, "redirect_uris[%d] %s", i, r.want)
		}
	}
	return nil
}

// Warnings says that an empty list refuses every redirect URI.
func (r redirects) Warnings() []string {
	if !r.empty {
		return nil
	}
	return []string{"policy." + r.rule + " has an empty list, which refuses every redirect URI that it judges; list what is allowed, or leave the rule out"}
}

// HTTPSOnly allows https alone, for redirect URIs (no loopback http, no
// private-use schemes), pages that people see, and logout.
func HTTPSOnly() Rule {
	return func(inner dcr.Validator) dcr.Validator { return httpsOnly{inner} }
}

type httpsOnly struct{ dcr.Validator }

// ValidateRedirectURIs judges what the inner step accepted.
func (h httpsOnly) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if err := h.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	return checkHTTPS("redirect_uris", reg.Client.RedirectURIs...)
}

// ValidateDisplay judges what the inner step accepted.
func (h httpsOnly) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if err := h.Validator.ValidateDisplay(ctx, reg); err != nil {
		return err
	}
	for name, page := range pages(reg.Client) {
		if err := checkHTTPS(name, page); err != nil {
			return err
		}
	}
	return nil
}

// ValidateLogout judges what the inner step accepted.
func (h httpsOnly) ValidateLogout(ctx context.Context, reg *dcr.Registration) error {
	if err := h.Validator.ValidateLogout(ctx, reg); err != nil {
		return err
	}
	c := reg.Client
	if err := checkHTTPS("post_logout_redirect_uris", c.PostLogoutRedirectURIs...); err != nil {
		return err
	}
	if err := checkHTTPS("frontchannel_logout_uri", c.FrontchannelLogoutURI); err != nil {
		return err
	}
	return checkHTTPS("backchannel_logout_uri", c.BackchannelLogoutURI)
}

// checkHTTPS wants https of every URI that is set.
func checkHTTPS(member string, texts ...string) error {
	for _, text := range texts {
		if parsed, err := uri.Parse(text); text != "" && (err != nil || parsed.Scheme != "https") {
			return refuse(member, "https_only", "%s must use https", member)
		}
	}
	return nil
}

package policy

// RFC 7591 §2.2 and §5: what people are shown of a client.

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// pages yields the members that lead people to a web page, in every language,
// in a fixed order.
func pages(c *dcr.Client) iter.Seq2[string, string] {
	return func(yield func(name, page string) bool) {
		for _, page := range [...]struct{ name, uri string }{
			{"client_uri", c.ClientURI}, {"logo_uri", c.LogoURI}, {"tos_uri", c.TOSURI}, {"policy_uri", c.PolicyURI},
		} {
			if page.uri != "" && !yield(page.name, page.uri) {
				return
			}
		}
		for _, name := range slices.Sorted(maps.Keys(c.Localized)) {
			if base, _, _ := strings.Cut(name, "#"); strings.HasSuffix(base, "_uri") && !yield(name, c.Localized[name]) {
				return
			}
		}
	}
}

// removePage takes a page away from the client.
func removePage(c *dcr.Client, name string) {
	switch name {
	case "client_uri":
		c.ClientURI = ""
	case "logo_uri":
		c.LogoURI = ""
	case "tos_uri":
		c.TOSURI = ""
	case "policy_uri":
		c.PolicyURI = ""
	default:
		delete(c.Localized, name)
	}
}

// SameHost wants the pages that people are shown (client_uri, logo_uri,
// tos_uri, policy_uri, in every language) on a host of the redirect URIs,
// as RFC 7591 §5 recommends, so that a client cannot borrow the logo of
// another. A client that redirects to the user's own machine alone has no such
// host; its pages must then share the host of client_uri. With [Drop] or
// [Replace], pages elsewhere are left out; with [Refuse], they are refused.
func SameHost(excess Excess) Rule {
	return func(inner dcr.Validator) dcr.Validator { return sameHost{inner, excess} }
}

type sameHost struct {
	dcr.Validator
	excess Excess
}

// ValidateDisplay judges what the inner step accepted.
func (s sameHost) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if err := s.Validator.ValidateDisplay(ctx, reg); err != nil {
		return err
	}
	hosts := homeHosts(reg.Client)
	for name, page := range pages(reg.Client) {
		if parsed, err := uri.Parse(page); err == nil && slices.Contains(hosts, parsed.Host) {
			continue
		}
		if s.excess == Refuse {
			return refuse(name, "same_host", "%s must be on a host of redirect_uris", name)
		}
		removePage(reg.Client, name)
	}
	return nil
}

// homeHosts are the hosts that the client proves to be its own by having its
// users sent there, else the host of its own page.
func homeHosts(c *dcr.Client) []string {
	var hosts []string
	for _, redirect := range c.RedirectURIs {
		if parsed, err := uri.Parse(redirect); err == nil && isWeb(parsed.Kind()) {
			hosts = append(hosts, parsed.Host)
		}
	}
	if hosts == nil {
		if parsed, err := uri.Parse(c.ClientURI); err == nil {
			hosts = []string{parsed.Host}
		}
	}
	return hosts
}

// RequireContacts wants contacts: somebody to write to before a client is
// switched off.
func RequireContacts() Rule { return RequireMembers("contacts") }

package policy

// RFC 7591 §2.2 and §5: what people are shown about a client.

import (
	"context"
	"iter"
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
		for _, name := range sortedNames(c.Localized) {
			if base, _, _ := strings.Cut(name, "#"); strings.HasSuffix(base, "_uri") && !yield(name, c.Localized[name]) {
				return
			}
		}
	}
}

// removePage removes a page from the client.
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

// SameHost requires the pages that people are shown (client_uri, logo_uri,
// tos_uri, policy_uri, in every language) to be on the host that every redirect
// URI leads to, as RFC 7591 §5 recommends, so that a client cannot use the logo
// of another. Ports do not matter. A client may have no such pages if its
// redirect URIs are on several hosts, on the user's own machine or on a host
// that belongs to nobody (see [PublicSuffixes]), or if it has none. With [Drop]
// or [Replace], pages that are not allowed are left out; with [Refuse], they
// are refused.
//
// Whatever the excess, every other web address that a browser is sent to, such
// as post_logout_redirect_uris, must be on a host of redirect_uris.
func SameHost(excess Excess, suffixes ...PublicSuffixes) Rule {
	list := optional(suffixes)
	return func(inner dcr.Validator) dcr.Validator { return sameHost{inner, excess, list} }
}

type sameHost struct {
	dcr.Validator
	excess   Excess
	suffixes suffixList
}

// ValidateDisplay judges the pages that the inner step accepted.
func (s sameHost) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if err := s.Validator.ValidateDisplay(ctx, reg); err != nil {
		return err
	}
	hosts, onlyWeb := uri.WebHosts(reg.Client.RedirectURIs)
	return s.judgePages(reg.Client, hosts, onlyWeb)
}

// ValidateClient judges the finished client.
func (s sameHost) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := s.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	hosts, onlyWeb := uri.WebHosts(reg.Client.RedirectURIs)
	for d := range destinations(reg.Client) {
		if d.err != nil || d.isWeb() && !slices.Contains(hosts, d.Host) {
			return d.refuse("same_host", "must be on a host of redirect_uris")
		}
	}
	return s.judgePages(reg.Client, hosts, onlyWeb)
}

// judgePages judges the pages of a client whose redirect URIs lead to web sites on
// these hosts and, unless onlyWeb is true, to other places.
func (s sameHost) judgePages(c *dcr.Client, hosts []string, onlyWeb bool) error {
	vouched := onlyWeb && len(hosts) == 1 && !s.suffixes.nobodys(hosts[0])
	for name, page := range pages(c) {
		if parsed, err := uri.Parse(page); vouched && err == nil && parsed.Host == hosts[0] {
			continue
		}
		if s.excess == Refuse {
			return refuse(name, "same_host", "%s must be on the one host that all redirect_uris lead to", name)
		}
		removePage(c, name)
	}
	return nil
}

// RequireContacts requires contacts: people to write to before the client is
// disabled.
func RequireContacts() Rule { return RequireMembers("contacts") }

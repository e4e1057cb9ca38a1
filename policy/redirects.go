package policy

// RFC 8252 §7 and §8.4, RFC 7591 §5: which redirect URIs a client may have.

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/decorator"
	"github.com/dynreg/dcr/internal/uri"
)

// RedirectHosts allows browsers to be sent only to these hosts, on any port;
// "*.example.com" allows the hosts below example.com, at any depth. It judges
// redirect_uris, post_logout_redirect_uris, claims_redirect_uris,
// frontchannel_logout_uri, initiate_login_uri and credential_offer_endpoint.
//
// Redirects to the user's own machine have no host to judge. RedirectHosts
// allows loopback redirects, and of an application's own schemes those that are
// a domain name in reverse or that [RedirectSchemes] names in the same stack.
// Use [HTTPSOnly], [LoopbackOnly] or [RedirectSchemes] to restrict these.
//
// It panics on an entry that is not a host, such as one that is not ASCII.
func RedirectHosts(hosts ...string) Rule {
	list := hostList("RedirectHosts", hosts)
	return redirectRule(redirects{
		rule: "redirect_hosts", want: "must lead to one of these hosts: " + orNone(list), empty: len(list) == 0,
		allowed: func(d *destination, named []string) bool {
			switch d.Kind() {
			case uri.HTTPS, uri.HTTP:
				return uri.OnHost(d.Host, list)
			case uri.PrivateUse:
				return !d.back || slices.Contains(named, d.Scheme) || suffixList{}.reversesDomain(d.Scheme)
			}
			return true
		},
	})
}

// RedirectSchemes allows only these schemes in redirect_uris,
// post_logout_redirect_uris and claims_redirect_uris: https, http (for
// loopback), or an application's own, such as com.example.app. It panics on an
// invalid scheme, or one that no client may have.
func RedirectSchemes(schemes ...string) Rule {
	list := make([]string, len(schemes))
	for i, scheme := range schemes {
		parsed, err := uri.Parse(scheme + "://host")
		if list[i] = strings.ToLower(scheme); err != nil || parsed.Scheme != list[i] {
			panic(fmt.Sprintf("policy: RedirectSchemes: %q is no scheme that a client may have; give only a name, such as https or com.example.app", scheme))
		}
	}
	return redirectRule(redirects{
		rule: "redirect_schemes", want: "must have one of these schemes: " + orNone(list), empty: len(list) == 0, schemes: list,
		allowed: func(d *destination, _ []string) bool { return !d.back || slices.Contains(list, d.Scheme) },
	})
}

// LoopbackOnly allows only 127.0.0.1, [::1] and localhost in redirect_uris,
// post_logout_redirect_uris and claims_redirect_uris, for applications on the
// user's own machine that need no scheme of their own.
func LoopbackOnly() Rule {
	return redirectRule(redirects{
		rule: "loopback_only", want: "must lead to 127.0.0.1, [::1] or localhost",
		allowed: func(d *destination, _ []string) bool { return !d.back || d.IsLoopback() && d.Kind() != uri.PrivateUse },
	})
}

// ReverseDomainSchemes requires private-use schemes to be a domain name in
// reverse, as RFC 8252 §7.1 does, so that two applications do not use the same
// one: com.example.app rather than example. With a list of public suffixes, the
// name must be below a top-level domain that exists, and must not itself be a
// public suffix.
func ReverseDomainSchemes(suffixes ...PublicSuffixes) Rule {
	list := optional(suffixes)
	return redirectRule(redirects{
		rule: "reverse_domain_schemes", want: "must use a scheme that is a domain name in reverse, such as com.example.app",
		allowed: func(d *destination, _ []string) bool {
			return !d.back || d.Kind() != uri.PrivateUse || list.reversesDomain(d.Scheme)
		},
	})
}

func redirectRule(rule redirects) Rule {
	return func(inner dcr.Validator) dcr.Validator {
		own := rule
		own.Validator = inner
		return own
	}
}

// redirects checks one condition for everything that a browser is sent to.
type redirects struct {
	dcr.Validator
	rule, want string
	allowed    func(d *destination, named []string) bool
	schemes    []string // those that the rule names
	empty      bool     // it has a list, with nothing on it
}

// namedSchemes is where the rules of a stack note the schemes that they name.
const namedSchemes = "policy.named_schemes"

// ValidateRedirectURIs judges the redirect URIs that the inner step accepted,
// before anything is fetched on behalf of the client.
func (r redirects) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if r.schemes != nil {
		named, _ := reg.Items[namedSchemes].([]string)
		reg.Items[namedSchemes] = append(slices.Clip(named), r.schemes...)
	}
	if err := r.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	return r.check(reg, redirectDestinations(reg.Client))
}

// ValidateClient judges the finished client.
func (r redirects) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := r.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	return r.check(reg, destinations(reg.Client))
}

func (r redirects) check(reg *dcr.Registration, all iter.Seq[*destination]) error {
	named, _ := reg.Items[namedSchemes].([]string)
	for d := range all {
		if d.err != nil || !r.allowed(d, named) {
			return d.refuse(r.rule, r.want)
		}
	}
	return nil
}

// Warnings says that an empty list refuses every redirect URI, and what rules
// about hosts leave open.
func (r redirects) Warnings() []string {
	switch {
	case r.empty:
		return []string{"policy." + r.rule + " has an empty list, which refuses every redirect URI that it judges; list what is allowed, or leave the rule out"}
	case r.rule == "redirect_hosts" && !narrowsSchemes(r.Validator):
		return []string{"policy.redirect_hosts does not restrict an application's own schemes, so any that is a domain name in reverse is allowed and any other is refused; stack policy.RedirectSchemes, HTTPSOnly or LoopbackOnly before it to say which are allowed"}
	}
	return nil
}

// narrowsSchemes reports whether a rule in the stack says which private-use
// schemes may pass.
func narrowsSchemes(v dcr.Validator) bool {
	for v != nil {
		switch rule := v.(type) {
		case httpsOnly:
			return true
		case redirects:
			if rule.rule != "redirect_hosts" {
				return true
			}
		}
		v = decorator.Inner(v)
	}
	return false
}

// HTTPSOnly allows only https, in redirect URIs, in every other URI that a
// browser is sent to, in pages that people see, and in logout URIs: no loopback
// http and no private-use schemes. It does not apply to
// credential_offer_endpoint, which leads to a wallet.
func HTTPSOnly() Rule {
	return func(inner dcr.Validator) dcr.Validator { return httpsOnly{inner} }
}

type httpsOnly struct{ dcr.Validator }

// ValidateRedirectURIs judges the redirect URIs that the inner step accepted,
// before anything is fetched on behalf of the client.
func (h httpsOnly) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if err := h.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	for _, redirect := range reg.Client.RedirectURIs {
		if err := checkHTTPS("redirect_uris", redirect); err != nil {
			return err
		}
	}
	return nil
}

// ValidateClient judges the finished client.
func (h httpsOnly) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := h.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	for d := range destinations(reg.Client) {
		if d.member != credentialOfferEndpoint.Name() && (d.err != nil || d.Scheme != "https") {
			return d.refuse("https_only", "must use https")
		}
	}
	for name, page := range pages(reg.Client) {
		if err := checkHTTPS(name, page); err != nil {
			return err
		}
	}
	if logout := reg.Client.BackchannelLogoutURI; logout != "" {
		return checkHTTPS("backchannel_logout_uri", logout)
	}
	return nil
}

func checkHTTPS(member, text string) error {
	if parsed, err := uri.Parse(text); err != nil || parsed.Scheme != "https" {
		return refuse(member, "https_only", "%s must use https", member)
	}
	return nil
}

package policy

// RFC 7591 §5: clients that pose as others.

import (
	"context"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// DenyList says what the host does not let in.
type DenyList struct {
	Hosts       []string // in redirect URIs and pages; with the hosts below them
	Schemes     []string // of redirect URIs
	ClientNames []string // anywhere in client_name, in any language and any case
	SoftwareIDs []string // software_id
}

// Deny refuses what is on the list. The answer does not say what the list
// holds.
func Deny(list DenyList) Rule {
	return func(inner dcr.Validator) dcr.Validator { return deny{inner, list} }
}

type deny struct {
	dcr.Validator
	list DenyList
}

// ValidateRedirectURIs judges the redirect URIs, before anything is fetched on
// behalf of the client.
func (d deny) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if err := d.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	for i, redirect := range reg.Client.RedirectURIs {
		parsed, err := uri.Parse(redirect)
		if err != nil || d.deniesHost(parsed.Host) || d.deniesScheme(parsed.Scheme) {
			return refuse("redirect_uris", "deny", "redirect_uris[%d] is not accepted here", i)
		}
	}
	return nil
}

// ValidateDisplay judges what people are shown, and the software.
func (d deny) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if err := d.Validator.ValidateDisplay(ctx, reg); err != nil {
		return err
	}
	c := reg.Client
	if slices.Contains(d.list.SoftwareIDs, c.SoftwareID) && c.SoftwareID != "" {
		refused := refuse("software_id", "deny", "this software is not accepted here")
		if reg.Statement != nil {
			refused.Code = dcr.UnapprovedSoftwareStatement
		}
		return refused
	}
	if d.deniesName(c.ClientName) {
		return refuse("client_name", "deny", "client_name is not accepted here")
	}
	for name, text := range c.Localized {
		if strings.HasPrefix(name, "client_name#") && d.deniesName(text) {
			return refuse(name, "deny", "%s is not accepted here", name)
		}
	}
	for name, page := range pages(c) {
		if parsed, err := uri.Parse(page); err != nil || d.deniesHost(parsed.Host) {
			return refuse(name, "deny", "%s is not accepted here", name)
		}
	}
	return nil
}

func (d deny) deniesHost(host string) bool {
	return slices.ContainsFunc(d.list.Hosts, func(denied string) bool {
		denied = strings.TrimPrefix(strings.ToLower(denied), "*.")
		return host == denied || strings.HasSuffix(host, "."+denied)
	})
}

func (d deny) deniesScheme(scheme string) bool {
	return slices.ContainsFunc(d.list.Schemes, func(denied string) bool { return strings.EqualFold(denied, scheme) })
}

func (d deny) deniesName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(d.list.ClientNames, func(denied string) bool {
		return strings.Contains(name, strings.ToLower(denied))
	})
}

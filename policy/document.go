package policy

// OAuth Client ID Metadata Document §6: where what a client publishes may lead.

import (
	"context"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// SameHostAsDocument applies to clients that publish their metadata. Their redirect
// URIs and every other web address that a browser is sent to, their pages and their
// keys must be on the host of the document or below it, on any port. Redirects to
// the person's own machine are allowed. With [Drop] or [Replace], pages elsewhere
// are left out; with [Refuse], they are refused. Anything else elsewhere is always
// refused.
//
// Some clients do not comply: Visual Studio Code redirects to another host than
// that of its document.
func SameHostAsDocument(excess Excess) Rule {
	return func(inner dcr.Validator) dcr.Validator { return sameHostAsDocument{inner, excess} }
}

type sameHostAsDocument struct {
	dcr.Validator
	excess Excess
}

// ValidateClient judges the finished client.
func (s sameHostAsDocument) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := s.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	host, published := documentHost(reg.Client)
	if !published {
		return nil
	}
	own := []string{host, "*." + host}
	for d := range destinations(reg.Client) {
		if d.err != nil || d.isWeb() && !uri.OnHost(d.Host, own) {
			return d.refuse("same_host_as_document", "must be on the host of the metadata document")
		}
	}
	if keys := reg.Client.JWKSURI; keys != "" {
		if parsed, err := uri.Parse(keys); err != nil || !uri.OnHost(parsed.Host, own) {
			return refuse("jwks_uri", "same_host_as_document", "jwks_uri must be on the host of the metadata document")
		}
	}
	for name, page := range pages(reg.Client) {
		switch parsed, err := uri.Parse(page); {
		case err == nil && uri.OnHost(parsed.Host, own):
		case s.excess == Refuse:
			return refuse(name, "same_host_as_document", "%s must be on the host of the metadata document", name)
		default:
			removePage(reg.Client, name)
		}
	}
	return nil
}

// documentHost returns the host of the metadata document that a client publishes,
// if it does.
func documentHost(c *dcr.Client) (host string, published bool) {
	document, err := uri.Parse(c.ID)
	return document.Host, c.Source == dcr.SourceDocument && err == nil
}

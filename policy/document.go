package policy

// OAuth Client ID Metadata Document §6: where what a client publishes may lead.

import (
	"context"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// SameHostAsDocument wants of a client that publishes its metadata that its
// redirect URIs and every other web address that a browser is sent to, its pages
// and its keys are on the host of its document or below it, whatever the port. The
// person's own machine passes. With [Drop] or [Replace], pages elsewhere are left
// out; with [Refuse], they are refused, as the rest is in any case. It says nothing
// of other clients.
//
// Visual Studio Code, for one, redirects to another host than its document's.
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

// documentHost is the host of the metadata document that a client publishes, if it
// does.
func documentHost(c *dcr.Client) (host string, published bool) {
	document, err := uri.Parse(c.ID)
	return document.Host, c.Source == dcr.SourceDocument && err == nil
}

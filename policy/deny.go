package policy

// RFC 7591 §5: clients that pose as others.

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/confusable"
	"github.com/dynreg/dcr/internal/uri"
)

// DenyList says which clients the host does not accept.
type DenyList struct {
	Hosts       []string // hosts, with those below them, of metadata documents, pages and every URI that a browser is sent to; on any port
	Schemes     []string // schemes of every URI that a browser is sent to
	ClientNames []string // names that client_name must not contain in any language, not even as something that looks like them
	SoftwareIDs []string // values of software_id
}

// Deny refuses clients that match the list. The answer does not say what is on
// the list. Names are compared as a reader would: without regard to case,
// width, accents, the amount of white space, invisible characters, and letters
// of the Latin, Greek and Cyrillic scripts that look alike.
//
// It panics on an entry that could never match: an invalid host or one that is
// not ASCII, an invalid scheme, a name without visible characters, an empty
// software_id.
func Deny(list DenyList) Rule {
	hosts := hostList("Deny", list.Hosts)
	for i, host := range hosts {
		hosts[i] = strings.TrimPrefix(host, "*.")
	}
	for _, scheme := range list.Schemes {
		if !isScheme(scheme) {
			panic(fmt.Sprintf("policy: Deny: %q is no scheme; give a name alone, such as http or com.example.app", scheme))
		}
	}
	if slices.Contains(list.SoftwareIDs, "") {
		panic("policy: Deny: a software_id is empty; leave it out")
	}
	names := make([]confusable.Look, len(list.ClientNames))
	for i, name := range list.ClientNames {
		names[i] = nameLook("Deny", name)
	}
	return func(inner dcr.Validator) dcr.Validator {
		return deny{inner, hosts, list.Schemes, list.SoftwareIDs, names}
	}
}

type deny struct {
	dcr.Validator
	hosts, schemes, softwareIDs []string
	names                       []confusable.Look
}

// ValidateRedirectURIs judges the redirect URIs, before anything is fetched on
// behalf of the client.
func (d deny) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	if err := d.Validator.ValidateRedirectURIs(ctx, reg); err != nil {
		return err
	}
	return d.judge(redirectDestinations(reg.Client))
}

// ValidateClient judges the finished client.
func (d deny) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if err := d.Validator.ValidateClient(ctx, reg); err != nil {
		return err
	}
	c := reg.Client
	if host, published := documentHost(c); published && d.deniesHost(host) {
		return refuse("client_id", "deny", "client_id is not accepted here")
	}
	if slices.Contains(d.softwareIDs, c.SoftwareID) && c.SoftwareID != "" {
		refused := refuse("software_id", "deny", "this software is not accepted here")
		if reg.Statement != nil {
			refused.Code = dcr.UnapprovedSoftwareStatement
		}
		return refused
	}
	if len(d.names) > 0 {
		for name, text := range clientNames(c) {
			if look := confusable.Of(text); slices.ContainsFunc(d.names, look.Has) {
				return refuse(name, "deny", "%s is not accepted here", name)
			}
		}
	}
	for name, page := range pages(c) {
		if parsed, err := uri.Parse(page); err != nil || d.deniesHost(parsed.Host) {
			return refuse(name, "deny", "%s is not accepted here", name)
		}
	}
	return d.judge(destinations(c))
}

func (d deny) judge(all iter.Seq[*destination]) error {
	for to := range all {
		if to.err != nil || d.deniesHost(to.Host) || d.deniesScheme(to.Scheme) {
			return to.refuse("deny", "is not accepted here")
		}
	}
	return nil
}

func (d deny) deniesHost(host string) bool {
	return slices.ContainsFunc(d.hosts, func(denied string) bool {
		return host == denied || strings.HasSuffix(host, "."+denied)
	})
}

func (d deny) deniesScheme(scheme string) bool {
	return slices.ContainsFunc(d.schemes, func(denied string) bool { return strings.EqualFold(denied, scheme) })
}

// isScheme reports whether text has the form of a scheme (RFC 3986 §3.1).
func isScheme(text string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.Trim(text, letters+"0123456789+-.") == "" && strings.ContainsAny(text[:min(1, len(text))], letters)
}

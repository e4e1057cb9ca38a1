package policy

// Where a browser is sent on behalf of a client: RFC 6749 §3.1.2, the logout
// specifications of OpenID Connect, and §4 of OpenID Connect Core 1.0.

import (
	"fmt"
	"iter"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// A destination is a URI that a browser is sent to. Rules about hosts judge all
// destinations, rules about schemes only those that lead back to the
// application.
type destination struct {
	uri.URI
	text   string // as written
	err    error  // why it is not a URI
	member string // the member that it is in
	place  int    // its index in a list, -1 if the member is not a list
	back   bool   // it leads back to the application, so that it may have the application's own scheme
}

// refuse refuses the destination.
func (d *destination) refuse(rule, sentence string) *dcr.Error {
	shown := d.member
	if d.place >= 0 {
		shown = fmt.Sprintf("%s[%d]", d.member, d.place)
	}
	return refuse(d.member, rule, "%s %s", shown, sentence)
}

// isWeb reports whether the destination is a web site, whose host has an
// owner.
func (d *destination) isWeb() bool { return d.err == nil && d.Kind().IsWeb() }

var (
	claimsRedirectURIs      = dcr.NewField[[]string]("claims_redirect_uris")
	credentialOfferEndpoint = dcr.NewField[string]("credential_offer_endpoint")
)

// redirectDestinations yields the redirect URIs of the client.
func redirectDestinations(c *dcr.Client) iter.Seq[*destination] {
	return func(yield func(*destination) bool) {
		for i, text := range c.RedirectURIs {
			d := destination{text: text, member: "redirect_uris", place: i, back: true}
			if d.URI, d.err = uri.ParseRedirect(text); !yield(&d) {
				return
			}
		}
	}
}

// destinations yields every URI of the client that a browser is sent to.
func destinations(c *dcr.Client) iter.Seq[*destination] {
	return func(yield func(*destination) bool) {
		for d := range redirectDestinations(c) {
			if !yield(d) {
				return
			}
		}
		claims, _, errClaims := claimsRedirectURIs.Get(&c.Metadata)
		offer, _, errOffer := credentialOfferEndpoint.Get(&c.Metadata)
		if errClaims != nil {
			claims = []string{""} // the host declares it with another type: refused, since it is not a URI
		}
		for _, member := range [...]struct {
			name string
			uris []string
			list bool
			back bool
		}{
			{"post_logout_redirect_uris", c.PostLogoutRedirectURIs, true, true},
			{"claims_redirect_uris", claims, true, true},
			{"frontchannel_logout_uri", oneURI(c.FrontchannelLogoutURI, nil), false, false},
			{"initiate_login_uri", oneURI(c.InitiateLoginURI, nil), false, false},
			{"credential_offer_endpoint", oneURI(offer, errOffer), false, false},
		} {
			for i, text := range member.uris {
				d := destination{text: text, member: member.name, place: i, back: member.back}
				if !member.list {
					d.place = -1
				}
				if d.URI, d.err = uri.Parse(text); !yield(&d) {
					return
				}
			}
		}
	}
}

// oneURI returns the list for a member that has one URI, or something that is
// not a URI.
func oneURI(text string, err error) []string {
	if text == "" && err == nil {
		return nil
	}
	return []string{text}
}

// hostList reads the hosts of a rule, as uri.ParseHost does. It panics on an
// entry that no URI could ever match.
func hostList(rule string, hosts []string) []string {
	list := make([]string, len(hosts))
	for i, host := range hosts {
		parsed, ok := uri.ParseHost(host)
		if !ok {
			panic(fmt.Sprintf("policy: %s: %q is no host; give a name or an address without scheme, port and path, in ASCII such as xn--bcher-kva.example", rule, host))
		}
		list[i] = parsed
	}
	return list
}

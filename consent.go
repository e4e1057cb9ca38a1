package dcr

// RFC 7591 §5, RFC 8252 §8.6 and OAuth Client ID Metadata Document: what a person
// is shown about a client that asks for consent.

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dynreg/dcr/internal/confusable"
	"github.com/dynreg/dcr/internal/uri"
)

// ConsentView is what a consent page shows about a client: plain text, without
// control, bidirectional and invisible characters. The page must escape it,
// isolate Name from the text around it (in HTML, with bdi), and show Identity
// before Name.
//
// The end of a host name says whose it is. A page must cut a long one from the
// left, so that its end is never hidden: in CSS, direction: rtl with
// text-overflow: ellipsis, around a bdi. Only Name is cut here.
type ConsentView struct {
	Name         string    // as the client calls itself, in the first of Languages that it has, at most 100 characters; "" if it gives none
	Identity     string    // what the client cannot choose: the host of its document, or the hosts of its redirects in order, with "this computer" for loopback and private-use; its id if it has neither
	RedirectHost string    // where the answer goes: a host, "this computer" for loopback, the scheme for private-use; "" if that is not known, or not the client's
	Trust        Trust     // who vouches for it
	Vouched      string    // the issuer of its statement, the caller's subject or the document's host; "" for TrustHost and TrustStranger
	Since        time.Time // when it registered or was first seen
	Warnings     []string  // sentences for the person, in English
	PolicyURI    string    // https pages that the client names, "" if there are none
	TOSURI       string
	ClientURI    string
	LogoURI      string   // "" unless Logos is set: its server sees that the person is here
	ImageSources []string // the origin of LogoURI, for img-src in the Content-Security-Policy of the page; nil if there is none
}

// Trust says who vouches for a client.
type Trust string

// The values of Trust. If several apply, the last one here counts.
const (
	TrustStranger  Trust = "stranger"  // nobody: it registered itself
	TrustDocument  Trust = "document"  // the host that its metadata document is on
	TrustCaller    Trust = "caller"    // the caller that registered it
	TrustStatement Trust = "statement" // the issuer of its software statement
	TrustHost      Trust = "host"      // the host itself made it
)

// ConsentOptions say how a ConsentView is made. The zero value is for a client
// with one redirect URI, and shows the name that has no language.
type ConsentOptions struct {
	RedirectURI string              // of this request, as CheckAuthorization returned it; "" for the only one registered
	Languages   []string            // BCP 47, the preferred first; if nil, the forms without a language come first
	Reserved    map[string][]string // names and the hosts that they belong to, as in policy.ReservedNames: the person is warned, but nothing is refused; an entry that is not a host matches none
	Logos       bool                // set LogoURI and ImageSources
}

const (
	maxShownName = 100 // characters
	maxMarks     = 4   // combining marks in a row: more of them cover the lines around
	thisComputer = "this computer"
)

// ConsentView returns what to show about the client. Call
// [Client.CheckAuthorization] first, which says whether the client may be used
// and what it may have, and [Client.NeedsConsent], which says whether to ask
// the person at all.
//
// If opts.RedirectURI is not the client's, by the rules of CheckAuthorization,
// RedirectHost is "" and the first of Warnings says so. RedirectHost is also ""
// if opts.RedirectURI is "", unless the client registered exactly one.
func (c *Client) ConsentView(opts ConsentOptions) ConsentView {
	page := func(name, untagged string) string {
		text := c.localized(name, untagged, opts.Languages)
		if parsed, err := ParseURI(text); err != nil || parsed.Kind != HTTPSURI {
			return ""
		}
		return text
	}
	name := c.localized("client_name", c.ClientName, opts.Languages)
	view := ConsentView{
		Name:      shorten(plain(name), maxShownName),
		Identity:  c.identity(),
		Since:     c.CreatedAt,
		PolicyURI: page("policy_uri", c.PolicyURI),
		TOSURI:    page("tos_uri", c.TOSURI),
		ClientURI: page("client_uri", c.ClientURI),
	}
	view.Trust, view.Vouched = c.voucher()
	if opts.Logos {
		view.LogoURI, view.ImageSources = logo(page("logo_uri", c.LogoURI))
	}
	to := c.answerTo(opts.RedirectURI)
	if view.RedirectHost = place(to); to.Kind == PrivateUseURI {
		view.RedirectHost = to.Scheme
	}
	view.Warnings = slices.Concat(c.warnOfRedirect(opts.RedirectURI, to), c.warnOfName(name, opts.Reserved))
	if view.Trust == TrustStranger || view.Trust == TrustDocument {
		view.Warnings = append(view.Warnings, "Nobody here has reviewed this application.")
	}
	return view
}

// IsAt reports whether the client is on one of these hosts: its metadata
// document is there, or it has redirect URIs and all of them are web addresses
// there, on any port. "*.example.com" stands for the hosts below example.com, at
// any depth; an entry that is not a host matches nothing.
func (c *Client) IsAt(hosts []string) bool {
	var list []string
	for _, host := range hosts {
		if parsed, ok := uri.ParseHost(host); ok {
			list = append(list, parsed)
		}
	}
	if document := c.documentHost(); document != "" && uri.OnHost(document, list) {
		return true
	}
	own, onlyWeb := uri.WebHosts(c.RedirectURIs)
	return onlyWeb && len(own) > 0 && !slices.ContainsFunc(own, func(host string) bool { return !uri.OnHost(host, list) })
}

// documentHost is the host of the client's metadata document, "" if it has none.
func (c *Client) documentHost() string {
	if c.Source != SourceDocument {
		return ""
	}
	parsed, _ := uri.Parse(c.ID)
	return parsed.Host
}

// identity returns ConsentView.Identity.
func (c *Client) identity() string {
	if host := c.documentHost(); host != "" {
		return host
	}
	var places []string
	for _, redirect := range c.RedirectURIs {
		parsed, _ := ParseRedirectURI(redirect)
		if at := place(parsed); at != "" && !slices.Contains(places, at) {
			places = append(places, at)
		}
	}
	if len(places) == 0 {
		return plain(c.ID)
	}
	return strings.Join(places, ", ")
}

// place says where a redirect URI leads to, "" for the zero URI, which stands
// for an unknown one.
func place(to URI) string {
	switch {
	case to.Scheme == "":
		return ""
	case isLocal(to):
		return thisComputer
	}
	return to.Host
}

func isLocal(to URI) bool { return to.Scheme != "" && to.Kind != HTTPSURI && to.Kind != HTTPURI }

// answerTo returns where the answer goes, the zero URI if that is not known or
// not the client's.
func (c *Client) answerTo(requested string) (to URI) {
	switch {
	case requested == "" && len(c.RedirectURIs) == 1:
		requested = c.RedirectURIs[0]
	case requested == "":
	case !c.hasRedirectURI(requested) && !c.mayPush(&AuthorizationRequest{RedirectURI: requested, Pushed: true}):
		return URI{}
	}
	to, _ = ParseRedirectURI(requested)
	return to
}

// voucher returns who vouches for the client.
func (c *Client) voucher() (Trust, string) {
	switch {
	case c.Source != SourceDynamic && c.Source != SourceDocument:
		return TrustHost, ""
	case c.Statement != nil:
		return TrustStatement, plain(c.Statement.Issuer)
	case c.RegisteredBy != "":
		return TrustCaller, plain(c.RegisteredBy)
	case c.Source == SourceDocument:
		return TrustDocument, c.documentHost()
	}
	return TrustStranger, ""
}

// warnOfRedirect returns warnings about where the answer goes.
func (c *Client) warnOfRedirect(requested string, to URI) []string {
	document := c.documentHost()
	switch {
	case to.Scheme == "" && (requested != "" || len(c.RedirectURIs) == 1):
		return []string{"The answer would go to an address that is not known to be this application's. Do not go on."}
	case isLocal(to) || to.Scheme == "" && c.onlyLocal():
		return []string{"Any program on this computer could be asking under this name. Go on only if you have just started it yourself."}
	}
	var warnings []string
	if to.Scheme != "" && document != "" && to.Host != document && !strings.HasSuffix(to.Host, "."+document) {
		warnings = append(warnings, fmt.Sprintf("The answer goes to %s, not to %s.", to.Host, document))
	}
	if to.Kind == HTTPURI {
		warnings = append(warnings, fmt.Sprintf("The answer goes to %s without encryption, and others on the way can read it.", to.Host))
	}
	return warnings
}

// onlyLocal reports whether the client has redirect URIs and all of them lead
// to the person's own machine.
func (c *Client) onlyLocal() bool {
	return len(c.RedirectURIs) > 0 && !slices.ContainsFunc(c.RedirectURIs, func(redirect string) bool {
		parsed, err := ParseRedirectURI(redirect)
		return err != nil || !isLocal(parsed)
	})
}

// warnOfName warns about reserved names of others that are in the name, or that
// parts of it look like. It looks at the whole name, including what Name cuts
// off.
func (c *Client) warnOfName(name string, reserved map[string][]string) (warnings []string) {
	look, written := confusable.Of(name), strings.ToLower(plain(name))
	for _, of := range slices.Sorted(maps.Keys(reserved)) {
		taken := confusable.Of(of)
		if taken.IsEmpty() || !look.Has(taken) || c.IsAt(reserved[of]) {
			continue
		}
		owner := "which is nobody's"
		if hosts := reserved[of]; len(hosts) > 0 {
			owner = "which belongs to " + strings.Join(hosts, ", ")
		}
		if strings.Contains(written, strings.ToLower(of)) {
			warnings = append(warnings, fmt.Sprintf("It uses the name %q, %s.", of, owner))
		} else {
			warnings = append(warnings, fmt.Sprintf("Its name looks like %q, %s, but is spelled differently.", of, owner))
		}
	}
	return warnings
}

// localized returns a member in the first of languages in which the client has
// it. A wider language counts too (RFC 4647 §3.4), then a narrower one.
// Otherwise it returns the form without a language, then any form. Forms that
// show nothing do not count.
func (c *Client) localized(name, untagged string, languages []string) string {
	type version struct{ tag, text string }
	var versions []version
	for _, member := range slices.Sorted(maps.Keys(c.Localized)) {
		base, tag, _ := strings.Cut(member, "#")
		if base == name && plain(c.Localized[member]) != "" {
			versions = append(versions, version{strings.ToLower(tag), c.Localized[member]})
		}
	}
	find := func(fits func(tag string) bool) int {
		return slices.IndexFunc(versions, func(v version) bool { return fits(v.tag) })
	}
	for _, language := range languages {
		wanted := strings.ToLower(language)
		for tag := wanted; tag != ""; tag = tag[:max(0, strings.LastIndexByte(tag, '-'))] {
			if i := find(func(has string) bool { return has == tag }); i >= 0 {
				return versions[i].text
			}
		}
		if i := find(func(has string) bool { return strings.HasPrefix(has, wanted+"-") }); i >= 0 {
			return versions[i].text
		}
	}
	if plain(untagged) == "" && len(versions) > 0 {
		return versions[0].text
	}
	return untagged
}

// logo returns the URL of a logo, and the origin that it is loaded from. It
// returns nothing for an IPv6 address, which a Content-Security-Policy cannot
// name.
func logo(page string) (string, []string) {
	parsed, err := ParseURI(page)
	if err != nil || strings.Contains(parsed.Host, ":") {
		return "", nil
	}
	origin := parsed.Scheme + "://" + parsed.Host
	if parsed.Port != "" {
		origin += ":" + parsed.Port
	}
	return page, []string{origin}
}

// plain returns the visible characters of a text in one line: without control,
// format and other invisible characters, such as those that set the direction,
// without unassigned characters, and without more marks on a character than a
// script needs.
func plain(text string) string {
	var b strings.Builder
	marks, blank := maxMarks, false // a mark at the beginning has no character to go on
	for _, r := range text {
		switch {
		case unicode.IsSpace(r) || r == '\u2800': // a Braille pattern without dots
			blank = b.Len() > 0
			continue
		case !isVisible(r):
			continue
		case !unicode.In(r, unicode.Mn, unicode.Me):
			marks = 0
		case marks == maxMarks:
			continue
		default:
			marks++
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isVisible(r rune) bool {
	return r != utf8.RuneError && unicode.IsGraphic(r) &&
		!unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// shorten cuts a text to at most that many characters, the last of which is
// then an ellipsis.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return strings.TrimRight(string([]rune(text)[:most-1]), " ") + "…"
}

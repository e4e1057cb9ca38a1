package dcr

// RFC 7591 §5, RFC 8252, OpenID Connect Dynamic Client Registration 1.0 §2:
// redirect_uris and application_type, and how the authorization endpoint
// matches them (RFC 9700 §2.1).

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dynreg/dcr/internal/uri"
)

// URIKind is what a URI leads to.
type URIKind int

// The kinds of a URI.
const (
	PrivateUseURI    URIKind = iota // an application, by a scheme of its own (RFC 8252 §7.1)
	HTTPSURI                        // a web site
	HTTPURI                         // a web site, without TLS
	LoopbackHTTPURI                 // the user's own machine: http on 127.0.0.1, [::1] or localhost
	LoopbackHTTPSURI                // the same over https
)

var uriKinds = map[uri.Kind]URIKind{
	uri.PrivateUse: PrivateUseURI, uri.HTTPS: HTTPSURI, uri.HTTP: HTTPURI,
	uri.LoopbackHTTP: LoopbackHTTPURI, uri.LoopbackHTTPS: LoopbackHTTPSURI,
}

// URI is a URI that follows the rules of this package: it is absolute, has no
// user information, control characters or dot segments, and its host is a name
// or an address in its only spelling, so that Go and every browser read it in
// the same way.
type URI struct {
	Kind        URIKind
	Scheme      string // in lower case
	Host        string // in lower case, an IPv6 address without brackets; "" if there is none
	Port        string // as written, "" if there is none
	Path        string // as written
	HasQuery    bool
	HasFragment bool
}

// ParseURI judges any URI that a registrant names, such as that of a page, a
// redirect or a document. Its error is a sentence without a subject, to put
// after the name of a member: "must not contain a space".
func ParseURI(text string) (URI, error) {
	parsed, err := uri.Parse(text)
	if err != nil {
		return URI{}, err
	}
	return publicURI(parsed), nil
}

// ParseRedirectURI is like ParseURI, and also refuses what no redirect URI may
// have: a fragment, and a wildcard. The port of http on a loopback host may be
// 0, which stands for any port. Whether a client may have a redirect URI of
// that Kind is decided by [Validate].
func ParseRedirectURI(text string) (URI, error) {
	parsed, err := uri.ParseRedirect(text)
	switch {
	case err != nil:
		return URI{}, err
	case parsed.HasFragment:
		return URI{}, errFragment
	case parsed.HasWildcard:
		return URI{}, errWildcard
	}
	return publicURI(parsed), nil
}

func publicURI(parsed uri.URI) URI {
	return URI{
		Kind: uriKinds[parsed.Kind()], Scheme: parsed.Scheme, Host: parsed.Host, Port: parsed.Port, Path: parsed.Path,
		HasQuery: parsed.HasQuery, HasFragment: parsed.HasFragment,
	}
}

// What may be wrong with a redirect URI that is well-formed as a URI (RFC 6749
// §3.1.2).
var (
	errFragment = errors.New("must not have a fragment")
	errWildcard = errors.New("must not have a wildcard: redirect URIs are compared exactly")
)

// MatchRedirectURI reports whether requested is the registered redirect URI,
// byte for byte, except for the port of an http redirect to 127.0.0.1, [::1] or
// localhost (RFC 8252 §7.3). A registered port 0 stands for any port; a
// requested port 0 never matches, since no program can listen on it.
func MatchRedirectURI(registered, requested string) bool {
	return uri.MatchRedirect(registered, requested)
}

// MatchRedirectURI reports, for the authorize endpoint, whether requested is
// one of the client's redirect URIs. A native client may use any port of a
// loopback redirect. MatchRedirectURI returns false for a client that may not
// be used now ([Client.CheckUsable]), by the clock of this machine.
func (c *Client) MatchRedirectURI(requested string) bool {
	return c.CheckUsable(time.Now()) == nil && c.hasRedirectURI(requested)
}

// hasRedirectURI is MatchRedirectURI without regard to the status of the
// client.
func (c *Client) hasRedirectURI(requested string) bool {
	if slices.Contains(c.RedirectURIs, requested) {
		return uri.MatchRedirect(requested, requested)
	}
	return c.native() && slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		return uri.MatchRedirect(registered, requested)
	})
}

// native reports whether the client is a native application, by
// application_type or, if that is absent, by its redirect URIs.
func (c *Client) native() bool {
	if c.ApplicationType != "" {
		return c.ApplicationType == "native"
	}
	return slices.ContainsFunc(c.RedirectURIs, func(redirect string) bool {
		parsed, err := uri.ParseRedirect(redirect)
		return err == nil && nativeKind(parsed.Kind())
	})
}

func nativeKind(kind uri.Kind) bool { return kind == uri.LoopbackHTTP || kind == uri.PrivateUse }

// ValidateRedirectURIs judges every redirect URI by its kind and settles
// application_type. It never changes or drops a redirect URI: it accepts all of
// them, or refuses.
func (d DefaultValidator) ValidateRedirectURIs(ctx context.Context, reg *Registration) error {
	return reg.settleRedirects(d.LiteralApplicationType, d.AllowHTTPRedirects)
}

func (reg *Registration) settleRedirects(literalType, allowHTTP bool) error {
	c := reg.Client
	if c.RedirectURIs == nil {
		c.RedirectURIs = []string{}
	}
	if err := reg.checkRedirectURIs(); err != nil {
		return err
	}
	application, err := reg.settleApplicationType(literalType)
	if err != nil {
		return err
	}
	allowHTTP = allowHTTP && c.mayUseHTTP(reg.authMethod())
	for i, r := range reg.redirects {
		if reason := c.checkKind(r.kind, application, allowHTTP); reason != "" {
			return refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.kind", "redirect_uris[%d] %s", i, reason)
		}
	}
	return nil
}

// checkRedirectURIs checks the redirect URIs against the rules that have no
// exceptions, and notes the kind of each.
func (reg *Registration) checkRedirectURIs() error {
	c := reg.Client
	if len(c.RedirectURIs) == 0 && c.redirects() && !reg.mayPushRedirectURI() {
		return refuseMember("redirect_uris", "missing", "must have at least one redirect URI with these grant_types and response_types")
	}
	if slices.EqualFunc(reg.redirects, c.RedirectURIs, redirect.is) {
		return nil
	}
	read := make([]redirect, len(c.RedirectURIs))
	for i, text := range c.RedirectURIs {
		parsed, err := uri.ParseRedirect(text)
		switch {
		case err != nil:
			return refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.form", "redirect_uris[%d] %s", i, err)
		case parsed.HasFragment:
			return refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.fragment", "redirect_uris[%d] %s", i, errFragment)
		case parsed.HasWildcard:
			return refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.wildcard", "redirect_uris[%d] %s", i, errWildcard)
		}
		read[i] = redirect{text, parsed.Kind()}
	}
	reg.redirects = read
	return nil
}

// redirect is a redirect URI that passed checkRedirectURIs.
type redirect struct {
	text string
	kind uri.Kind
}

func (r redirect) is(text string) bool { return r.text == text }

func anyOfKind(redirects []redirect, kind uri.Kind) bool {
	return slices.ContainsFunc(redirects, func(r redirect) bool { return r.kind == kind })
}

// checkRedirects is checkRedirectURIs, and also refuses remote http, unless the
// host allows it and the client may have it.
func (reg *Registration) checkRedirects() error {
	if err := reg.checkRedirectURIs(); err != nil {
		return err
	}
	if reg.foundation.httpRedirects && reg.Client.mayUseHTTP(reg.Client.TokenEndpointAuthMethod) {
		return nil
	}
	for i, redirect := range reg.redirects {
		if redirect.kind == uri.HTTP {
			return refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.kind", "redirect_uris[%d] %s", i, remoteHTTP)
		}
	}
	return nil
}

// mayPushRedirectURI reports whether the client may name its redirect URIs
// only when it pushes a request (RFC 9126 §2.4).
func (reg *Registration) mayPushRedirectURI() bool {
	c := reg.Client
	pushes := c.RequirePushedAuthorizationRequests || reg.Capabilities.RequirePushedAuthorizationRequests
	return reg.foundation.pushedRedirectURIs && pushes && reg.authMethod() != "none"
}

// settleApplicationType judges application_type, or infers it, and returns the
// type that every redirect URI must fit, or "" if each is judged by its own
// kind. The member is set if it was sent, and always with OpenID Connect.
func (reg *Registration) settleApplicationType(literal bool) (string, error) {
	c := reg.Client
	switch c.ApplicationType {
	case "web", "native":
		return c.ApplicationType, nil
	case "":
	default:
		return "", refuseMember("application_type", "value", "must be web or native")
	}
	inferred := "web"
	literal = literal && c.Source != SourceDocument // a document is written for many servers
	if !literal {
		inferred = applicationTypeOf(reg.redirects)
	}
	if reg.Capabilities.openID() {
		c.ApplicationType = inferred
		return inferred, nil
	}
	if literal {
		return inferred, nil
	}
	return "", nil
}

// applicationTypeOf infers application_type from redirect URIs: native if one
// has a private-use scheme, or is http on a loopback host and none of the
// others is for web applications only; web otherwise.
func applicationTypeOf(redirects []redirect) string {
	switch {
	case anyOfKind(redirects, uri.PrivateUse):
		return "native"
	case anyOfKind(redirects, uri.HTTP) || anyOfKind(redirects, uri.LoopbackHTTPS):
		return "web"
	case anyOfKind(redirects, uri.LoopbackHTTP):
		return "native"
	}
	return "web"
}

const remoteHTTP = "must use https unless it leads to 127.0.0.1, [::1] or localhost"

// mayUseHTTP reports whether a host may allow remote http to a client that
// authenticates by method: only to a confidential client of the code flow, which
// gets nothing through the browser that others could use.
func (c *Client) mayUseHTTP(method string) bool { return method != "none" && !c.implicitOrHybrid() }

// checkKind says why the client, as an application of this type, may not have a
// redirect URI of this kind, "" if it may. allowHTTP says that it may use remote http.
func (c *Client) checkKind(kind uri.Kind, application string, allowHTTP bool) string {
	if application == "" {
		application = applicationTypeOf([]redirect{{kind: kind}})
	}
	native := application == "native"
	switch kind {
	case uri.HTTP:
		if !allowHTTP || native {
			return remoteHTTP
		}
	case uri.LoopbackHTTP:
		if !native && c.implicitOrHybrid() {
			return "must use https and a host other than localhost for a web application that uses an implicit or hybrid response type"
		}
	case uri.LoopbackHTTPS:
		if native {
			return "must use http to lead to the native application's own machine, or https with the host of its site"
		}
		if c.implicitOrHybrid() {
			return "must have a host other than localhost for a web application that uses an implicit or hybrid response type"
		}
	case uri.PrivateUse:
		if !native {
			return "must use https for a web application; application_type native allows schemes of the application's own"
		}
	}
	return ""
}

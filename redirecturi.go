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
	HTTPURI                         // a web site, in the clear
	LoopbackHTTPURI                 // the user's own machine: http on 127.0.0.1, [::1] or localhost
	LoopbackHTTPSURI                // the same over https
)

var uriKinds = map[uri.Kind]URIKind{
	uri.PrivateUse: PrivateUseURI, uri.HTTPS: HTTPSURI, uri.HTTP: HTTPURI,
	uri.LoopbackHTTP: LoopbackHTTPURI, uri.LoopbackHTTPS: LoopbackHTTPSURI,
}

// URI is a URI under the rules of this package: absolute, without user
// information, control characters and dot segments, its host a name or an
// address in one spelling, so that Go and every browser read the same in it.
type URI struct {
	Kind        URIKind
	Scheme      string // in lower case
	Host        string // in lower case, an IPv6 address without brackets; "" where there is none
	Port        string // as written, "" where there is none
	Path        string // as written
	HasQuery    bool
	HasFragment bool
}

// ParseURI judges any URI that a registrant names, be it a page, a redirect or a
// document. Its error is a sentence without a subject, which follows the name of
// a member: "must not contain a space". The URI is then the zero one.
func ParseURI(text string) (URI, error) {
	parsed, err := uri.Parse(text)
	if err != nil {
		return URI{}, err
	}
	return publicURI(parsed), nil
}

// ParseRedirectURI is ParseURI, and refuses what no redirect URI may have: a
// fragment, and a wildcard. The port of http on a loopback host may be 0, which
// stands for any. Whether a client may have a redirect URI of its Kind
// is for [Validate] to say.
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

// What is wrong with a redirect URI that is sound as a URI (RFC 6749 §3.1.2).
var (
	errFragment = errors.New("must not have a fragment")
	errWildcard = errors.New("must not have a wildcard: redirect URIs are compared exactly")
)

// MatchRedirectURI reports whether requested is the registered redirect URI:
// byte for byte, but for the port of an http redirect to 127.0.0.1, [::1] or
// localhost (RFC 8252 §7.3). A registered port 0 stands for any; a requested one
// is never a match, since nobody listens there.
func MatchRedirectURI(registered, requested string) bool {
	return uri.MatchRedirect(registered, requested)
}

// MatchRedirectURI is what the authorize endpoint asks: whether requested is
// one of the client's redirect URIs. The port of a loopback redirect is free
// for native clients only. It is false for a client that may not act now, by
// the clock of this machine.
func (c *Client) MatchRedirectURI(requested string) bool {
	return c.CheckUsable(time.Now()) == nil && c.hasRedirectURI(requested)
}

// hasRedirectURI is MatchRedirectURI, whatever the status of the client.
func (c *Client) hasRedirectURI(requested string) bool {
	if slices.Contains(c.RedirectURIs, requested) {
		return uri.MatchRedirect(requested, requested)
	}
	return c.native() && slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		return uri.MatchRedirect(registered, requested)
	})
}

// native reports whether the client is a native application: because it says
// so or, where it says nothing, because of its redirect URIs.
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
// application_type. Redirect URIs are taken whole or refused, never changed.
func (d DefaultValidator) ValidateRedirectURIs(ctx context.Context, reg *Registration) error {
	c := reg.Client
	if c.RedirectURIs == nil {
		c.RedirectURIs = []string{}
	}
	kinds, err := reg.checkRedirectURIs()
	if err != nil {
		return err
	}
	application, err := d.settleApplicationType(reg, kinds)
	if err != nil {
		return err
	}
	for i, kind := range kinds {
		if reason := d.checkKind(reg, kind, application); reason != "" {
			return refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.kind", "redirect_uris[%d] %s", i, reason)
		}
	}
	return nil
}

// checkRedirectURIs holds the redirect URIs to the rules that know no
// exception, and returns the kind of each.
func (reg *Registration) checkRedirectURIs() ([]uri.Kind, error) {
	c := reg.Client
	if len(c.RedirectURIs) == 0 && c.redirects() && !reg.mayPushRedirectURI() {
		return nil, refuseMember("redirect_uris", "missing", "must have at least one redirect URI with these grant_types and response_types")
	}
	if slices.Equal(reg.redirects.read, c.RedirectURIs) {
		return reg.redirects.kinds, nil
	}
	kinds := make([]uri.Kind, len(c.RedirectURIs))
	for i, redirect := range c.RedirectURIs {
		parsed, err := uri.ParseRedirect(redirect)
		switch {
		case err != nil:
			return nil, refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.form", "redirect_uris[%d] %s", i, err)
		case parsed.HasFragment:
			return nil, refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.fragment", "redirect_uris[%d] %s", i, errFragment)
		case parsed.HasWildcard:
			return nil, refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.wildcard", "redirect_uris[%d] %s", i, errWildcard)
		}
		kinds[i] = parsed.Kind()
	}
	reg.redirects = redirects{slices.Clone(c.RedirectURIs), kinds}
	return kinds, nil
}

// redirects are redirect URIs that hold to the rules without exception, and what
// each leads to.
type redirects struct {
	read  []string
	kinds []uri.Kind
}

// checkRedirects is checkRedirectURIs, and keeps remote http away where the host
// does not allow it, and from clients that no host may give it to.
func (reg *Registration) checkRedirects() error {
	kinds, err := reg.checkRedirectURIs()
	if err != nil {
		return err
	}
	if reg.foundation.httpRedirects && reg.Client.mayUseHTTP(reg.Client.TokenEndpointAuthMethod) {
		return nil
	}
	if i := slices.Index(kinds, uri.HTTP); i >= 0 {
		return refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris.kind", "redirect_uris[%d] %s", i, remoteHTTP)
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
// one that every redirect URI is held to: "" where each is judged by its own
// kind. The member is set where it was sent, and always with OpenID Connect.
func (d DefaultValidator) settleApplicationType(reg *Registration, kinds []uri.Kind) (string, error) {
	c := reg.Client
	switch c.ApplicationType {
	case "web", "native":
		return c.ApplicationType, nil
	case "":
	default:
		return "", refuseMember("application_type", "value", "must be web or native")
	}
	inferred := "web"
	literal := d.LiteralApplicationType && c.Source != SourceDocument // whose client was written for many servers
	if !literal {
		inferred = applicationTypeOf(kinds)
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

// applicationTypeOf infers application_type: native because of an http
// loopback redirect or a private-use scheme, web where there is neither, or
// where only a web application may have the others.
func applicationTypeOf(kinds []uri.Kind) string {
	switch {
	case slices.Contains(kinds, uri.PrivateUse):
		return "native"
	case slices.Contains(kinds, uri.HTTP) || slices.Contains(kinds, uri.LoopbackHTTPS):
		return "web"
	case slices.Contains(kinds, uri.LoopbackHTTP):
		return "native"
	}
	return "web"
}

const remoteHTTP = "must use https unless it leads to 127.0.0.1, [::1] or localhost"

// mayUseHTTP reports whether a client that authenticates by method is one that a
// host may allow remote http: a confidential client of the code flow, which gets
// nothing through the browser that is of use to others.
func (c *Client) mayUseHTTP(method string) bool { return method != "none" && !c.implicitOrHybrid() }

// checkKind says why a redirect URI of this kind is refused to an application
// of this type, "" if it is not.
func (d DefaultValidator) checkKind(reg *Registration, kind uri.Kind, application string) string {
	c := reg.Client
	front := c.implicitOrHybrid()
	if application == "" {
		application = applicationTypeOf([]uri.Kind{kind})
	}
	native := application == "native"
	switch kind {
	case uri.HTTP:
		if !d.AllowHTTPRedirects || native || !c.mayUseHTTP(reg.authMethod()) {
			return remoteHTTP
		}
	case uri.LoopbackHTTP:
		if !native && front {
			return "must use https and a host other than localhost for a web application that uses an implicit or hybrid response type"
		}
	case uri.LoopbackHTTPS:
		if native {
			return "must use http to lead to the native application's own machine, or https with the host of its site"
		}
		if front {
			return "must have a host other than localhost for a web application that uses an implicit or hybrid response type"
		}
	case uri.PrivateUse:
		if !native {
			return "must use https for a web application; application_type native allows schemes of the application's own"
		}
	}
	return ""
}

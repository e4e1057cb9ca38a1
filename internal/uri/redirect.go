package uri

// Redirect URIs: RFC 6749 section 3.1.2, RFC 8252 sections 7 and 8 (native
// apps), RFC 9700 section 4.1.3 (exact matching, except for the port of a
// loopback address).

import "strings"

// Kind is what a redirect URI leads to.
type Kind int

const (
	HTTPS         Kind = iota // https on a host that is not loopback
	HTTP                      // http on a host that is not loopback
	LoopbackHTTP              // http on the user's own machine
	LoopbackHTTPS             // https on the user's own machine
	PrivateUse                // any other scheme: an app on the user's machine
)

// IsWeb reports whether the URI is a web site, whose host belongs to someone.
func (k Kind) IsWeb() bool { return k == HTTPS || k == HTTP }

// Kind returns the URI's kind.
func (u *URI) Kind() Kind {
	switch {
	case u.Scheme == "https" && u.loopback:
		return LoopbackHTTPS
	case u.Scheme == "https":
		return HTTPS
	case u.Scheme == "http" && u.loopback:
		return LoopbackHTTP
	case u.Scheme == "http":
		return HTTP
	}
	return PrivateUse
}

// IsLoopback reports whether the host is exactly 127.0.0.1, [::1] or localhost.
// Other addresses of 127.0.0.0/8, and names below localhost, may lead
// elsewhere.
func (u *URI) IsLoopback() bool { return u.loopback }

// SameOrigin reports whether u and v have the same scheme, host and port, which
// may be the default port of the scheme.
func (u *URI) SameOrigin(v *URI) bool {
	return u.Scheme == v.Scheme && u.Host == v.Host && u.effectivePort() == v.effectivePort()
}

// Origin returns the origin of the URI in the form in which browsers send it
// (HTML, "serialization of an origin"): in lower case, with an IPv6 address in its
// shortest form, and without the default port of the scheme.
func (u *URI) Origin() string {
	host := u.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.effectivePort(); port != (&URI{Scheme: u.Scheme}).effectivePort() {
		host += ":" + port
	}
	return u.Scheme + "://" + host
}

func (u *URI) effectivePort() string {
	switch {
	case u.Port != "":
		return u.Port
	case u.Scheme == "https":
		return "443"
	case u.Scheme == "http":
		return "80"
	}
	return ""
}

// MatchRedirect reports whether a client that registered the one redirect URI
// may be sent to the requested one: if they are equal, byte for byte. Only the
// port of an http loopback redirect may differ, whatever port was registered,
// since the client listens on any free port (RFC 8252 section 7.3). A requested
// port 0 matches nothing, since nothing listens there. The host must be the
// registered one, since localhost, 127.0.0.1 and [::1] may lead to different
// listeners.
func MatchRedirect(registered, requested string) bool {
	if registered == requested {
		var parsed URI
		err := parsed.parse(requested)
		return registered != "" && (err != nil || !parsed.AnyPort())
	}
	req, err := Parse(requested)
	if err != nil || req.Kind() != LoopbackHTTP {
		return false
	}
	reg, err := ParseRedirect(registered)
	return err == nil && reg.Kind() == LoopbackHTTP &&
		registered[:reg.hostEnd] == requested[:req.hostEnd] &&
		registered[reg.authority:] == requested[req.authority:]
}

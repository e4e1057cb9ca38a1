// Package uri reads and classifies the URIs that strangers register. It accepts
// what RFC 3986, net/url and the WHATWG URL standard read in the same way.
//
// A redirect URI is checked here, by Go, and followed elsewhere, by a browser.
// If the two read a URI differently (a backslash, user information, 0x7f.1, a
// dot segment …), an attacker can register a URI that looks like one place and
// leads to another. Parse therefore refuses such URIs. Registration and the
// authorization endpoint both use this package, so they cannot disagree.
package uri

import "strings"

// URI is a URI in its parts. Path, Query and Fragment are as written.
type URI struct {
	Scheme string // lower case
	Host   string // lower case; an IPv6 address in its canonical form and without brackets
	Port   string // as written; empty if there was none
	Path   string // of a URI like com.example.app:callback, too

	Query    string
	Fragment string

	HasAuthority bool // there was a //, perhaps with an empty host
	HasQuery     bool // there was a ?, perhaps with nothing after it
	HasFragment  bool // there was a #, perhaps with nothing after it
	HasWildcard  bool // there was a * after the host

	loopback  bool
	hostEnd   int // where the port's colon is or would be, in the URI as written
	authority int // where the authority ends, in the URI as written
}

// Error says why a URI is refused, in words that follow a member's name. It is
// printable ASCII and never repeats the URI.
type Error string

func (e Error) Error() string { return string(e) }

// What Parse refuses. The errors about ports, hosts and addresses are in
// authority.go.
const (
	errEmpty     = Error("must not be empty")
	errNonASCII  = Error("must contain ASCII only; percent-encode other characters, and write a host in its xn-- form")
	errControl   = Error("must not contain control characters")
	errSpace     = Error("must not contain a space")
	errBackslash = Error("must not contain a backslash")
	errCharacter = Error("must not contain any of \" < > ^ ` { | }")
	errBrackets  = Error("must not contain [ or ] other than around an IPv6 address")
	errHash      = Error("must not contain a second #")
	errEscape    = Error("must not contain a % without two hexadecimal digits after it")
	errNul       = Error("must not contain encoded control characters in its path")
	errDots      = Error("must not contain . or .. as a path segment")
	errNoScheme  = Error("must be an absolute URI that begins with a scheme")
	errRefused   = Error("must not use a scheme that browsers or operating systems treat specially")
	errBare      = Error("must have something after its scheme")
	errNoHost    = Error("must have // and a host after its scheme")
)

// Parse reads s. The caller must check its length, and whether it may have a
// fragment or a wildcard.
func Parse(s string) (URI, error) {
	return read(s, false)
}

// ParseRedirect is Parse for a registered redirect URI. Its port may be 0 if it
// uses http on a loopback host.
func ParseRedirect(s string) (URI, error) {
	return read(s, true)
}

func read(s string, redirect bool) (URI, error) {
	var u URI
	err := u.parse(s)
	if err == nil && u.AnyPort() && !(redirect && u.Kind() == LoopbackHTTP) {
		err = errPort
	}
	if err != nil {
		return URI{}, err
	}
	return u, nil
}

// parse reads s into u, which is zero, and accepts port 0.
func (u *URI) parse(s string) error {
	found := classes(s)
	switch {
	case s == "":
		return errEmpty
	case found&bad != 0:
		return firstBad(s)
	}
	colon := schemeEnd(s)
	if colon < 0 {
		return errNoScheme
	}
	u.Scheme, u.hostEnd, u.authority = lower(s[:colon], found), colon+1, colon+1
	if refused(u.Scheme) {
		return errRefused
	}
	rest := s[colon+1:]
	if rest == "" {
		return errBare
	}
	if rest, u.HasAuthority = strings.CutPrefix(rest, "//"); u.HasAuthority {
		end, within := authorityEnd(rest)
		host, err := u.readAuthority(rest[:end], within)
		if err != nil {
			return err
		}
		u.hostEnd, u.authority = colon+3+host, colon+3+end
		rest = rest[end:]
	}
	if u.Host == "" && u.isWeb() {
		return errNoHost
	}
	u.Path = rest
	if found&mark != 0 {
		u.Path, u.Fragment, u.HasFragment = strings.Cut(u.Path, "#")
		u.Path, u.Query, u.HasQuery = strings.Cut(u.Path, "?")
	}
	u.HasWildcard = found&star != 0 // no host has one
	return u.judge(rest, found)
}

// authorityEnd returns where the authority that s begins with ends, and the classes
// that its bytes belong to.
func authorityEnd(s string) (end int, found uint8) {
	for end < len(s) && s[end] != '/' && class[s[end]]&mark == 0 {
		found |= class[s[end]]
		end++
	}
	return end, found
}

func (u *URI) isWeb() bool { return u.Scheme == "https" || u.Scheme == "http" }

// judge checks rest, the part after the authority. found has the classes that
// occur in the whole URI.
func (u *URI) judge(rest string, found uint8) error {
	hierarchical := u.HasAuthority || strings.HasPrefix(u.Path, "/")
	switch {
	case found&bracket != 0 && strings.ContainsAny(rest, "[]"):
		return errBrackets
	case found&mark != 0 && strings.Contains(u.Fragment, "#"):
		return errHash
	case hierarchical && hasDotSegment(u.Path):
		return errDots
	case found&percent == 0:
		return nil
	}
	if malformed, _ := escapes(rest); malformed {
		return errEscape
	}
	if _, control := escapes(u.Path); control {
		return errNul
	}
	return nil
}

// schemeEnd returns where the colon after the scheme is, -1 if s begins with
// no scheme (RFC 3986 section 3.1).
func schemeEnd(s string) int {
	for i := range len(s) {
		switch c := s[i] | 0x20; {
		case 'a' <= c && c <= 'z':
		case i == 0:
			return -1
		case s[i] == ':':
			return i
		case '0' <= s[i] && s[i] <= '9', s[i] == '+', s[i] == '-', s[i] == '.':
		default:
			return -1
		}
	}
	return -1
}

// hasDotSegment reports whether a segment of a path that begins with a slash is
// . or .. in any form that browsers know, such as %2e.
func hasDotSegment(path string) bool {
	for {
		slash := strings.IndexByte(path, '/')
		if slash < 0 {
			return false
		}
		if path = path[slash+1:]; startsWithDots(path) {
			return true
		}
	}
}

// startsWithDots reports whether the first segment of a path is a dot segment.
func startsWithDots(path string) bool {
	if path == "" || path[0] != '.' && path[0] != '%' {
		return false
	}
	segment, _, _ := strings.Cut(path, "/")
	if len(segment) > len("%2e%2e") {
		return false
	}
	dots := strings.ReplaceAll(strings.ToLower(segment), "%2e", ".")
	return dots == "." || dots == ".."
}

// escapes reports whether a percent-escape in s is malformed, and whether one
// stands for a control character.
func escapes(s string) (malformed, control bool) {
	for i := strings.IndexByte(s, '%'); i >= 0 && i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if i+2 >= len(s) || class[s[i+1]]&hexadecimal == 0 || class[s[i+2]]&hexadecimal == 0 {
			return true, control
		}
		high, low := s[i+1], s[i+2]
		control = control || high <= '1' || high == '7' && low|0x20 == 'f'
	}
	return false, control
}

// The classes of bytes that matter to Parse.
const (
	bad         = 1 << iota // in no URI: the ASCII characters outside RFC 3986 section 2
	mark                    // ? #: what ends a path
	star                    // *
	bracket                 // [ ]
	percent                 // %
	hexadecimal             // 0-9 a-f A-F
	hostname                // in a host: letters, digits, - . _
	upper                   // A-Z
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch b := byte(c); {
		case '0' <= b && b <= '9', 'a' <= b|0x20 && b|0x20 <= 'f':
			t[c] = hexadecimal | hostname
		case 'g' <= b|0x20 && b|0x20 <= 'z', b == '-', b == '.', b == '_':
			t[c] = hostname
		case b <= ' ', b >= 0x7f, strings.IndexByte("\"<>\\^`{|}", b) >= 0:
			t[c] = bad
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] |= upper
	}
	t['?'], t['#'], t['*'], t['['], t[']'], t['%'] = mark, mark, star, bracket, bracket, percent
	return t
}()

// classes returns the classes that the bytes of s belong to.
func classes(s string) (found uint8) {
	for i := range len(s) {
		found |= class[s[i]]
	}
	return found
}

// lower returns s, whose bytes belong to the classes in found, in lower case.
func lower(s string, found uint8) string {
	if found&upper == 0 {
		return s
	}
	return strings.ToLower(s)
}

// firstBad names the first byte of s that no URI may contain.
func firstBad(s string) error {
	for i := range len(s) {
		switch c := s[i]; {
		case class[c]&bad == 0:
		case c >= 0x80:
			return errNonASCII
		case c < ' ' || c == 0x7f:
			return errControl
		case c == ' ':
			return errSpace
		case c == '\\':
			return errBackslash
		default:
			return errCharacter
		}
	}
	return nil
}

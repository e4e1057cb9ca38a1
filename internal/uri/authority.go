package uri

// The authority: RFC 3986 section 3.2, with hosts that RFC 1123 section 2.1 and
// the host parser of the WHATWG URL standard read in the same way.

import (
	"net/netip"
	"strings"
)

const (
	errUserinfo   = Error("must not contain user information or an @ before its path")
	errHostEscape = Error("must not contain percent-encoding in its host")
	errHostStar   = Error("must not contain a wildcard in its host")
	errHost       = Error("must have a host of letters, digits, hyphens, underscores and dots")
	errHostDot    = Error("must not have a host that begins or ends with a dot or has two in a row")
	errHostLong   = Error("must have a host of at most 253 characters, 63 between dots")
	errPunycode   = Error("must have a host with valid xn-- labels")
	errIPv4       = Error("must write an IPv4 address as four decimal numbers without leading zeros")
	errIPv6       = Error("must write an IPv6 address in brackets and without a zone")
	errIPv4in6    = Error("must not write an IPv4 address as an IPv6 address")
	errPort       = Error("must have a port between 1 and 65535 without leading zeros, or no colon after its host")
)

// The limits of the domain name system (RFC 1035 section 2.3.4).
const (
	maxHost  = 253
	maxLabel = 63
)

// The only addresses that count as loopback. For a client that listens on one
// of these, the other addresses of 127.0.0.0/8 are other hosts.
var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

// readAuthority reads what is between // and the path, and returns where its
// host ends, including brackets. found has the classes of its bytes.
func (u *URI) readAuthority(s string, found uint8) (hostEnd int, err error) {
	switch {
	case strings.IndexByte(s, '@') >= 0:
		return 0, errUserinfo
	case found&percent != 0:
		return 0, errHostEscape
	case found&star != 0:
		return 0, errHostStar
	case found&bracket != 0:
		hostEnd, err = u.readIPv6(s)
	default:
		if hostEnd = strings.IndexByte(s, ':'); hostEnd < 0 {
			hostEnd = len(s)
		}
		err = u.readHost(s[:hostEnd], found)
	}
	if err != nil || hostEnd == len(s) {
		return hostEnd, err
	}
	u.Port = s[hostEnd+1:]
	switch {
	case u.Host == "":
		return 0, errNoHost
	case s[hostEnd] != ':' || !validPort(u.Port):
		return 0, errPort
	}
	return hostEnd, nil
}

// readHost reads a name or an IPv4 address. It accepts an empty one, which
// Parse allows for a private-use scheme.
func (u *URI) readHost(s string, found uint8) error {
	if s == "" {
		return nil
	}
	if len(s) > maxHost {
		return errHostLong
	}
	u.Host = lower(s, found)
	label := 0 // where the current label begins
	for i := range len(s) {
		switch {
		case class[s[i]]&hostname == 0:
			return errHost
		case s[i] == '.':
			if err := judgeLabel(u.Host[label:i]); err != nil {
				return err
			}
			label = i + 1
		}
	}
	if err := judgeLabel(u.Host[label:]); err != nil {
		return err
	}
	if isNumber(u.Host[label:]) {
		addr, err := netip.ParseAddr(u.Host)
		if err != nil {
			return errIPv4
		}
		u.loopback = addr == loopback4
		return nil
	}
	u.loopback = u.Host == "localhost"
	return nil
}

func judgeLabel(label string) error {
	switch {
	case label == "":
		return errHostDot
	case len(label) > maxLabel:
		return errHostLong
	// With nothing after its last hyphen a label encodes plain ASCII. Versions
	// of Unicode's UTS 46 disagree on whether it then equals that ASCII.
	case strings.HasPrefix(label, "xn--") && strings.HasSuffix(label, "-"):
		return errPunycode
	}
	return nil
}

// isNumber reports whether a host's last label makes browsers read the host as
// an IPv4 address (WHATWG URL, "ends in a number").
func isNumber(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	for i := range len(digits) {
		c := digits[i]
		if class[c]&hexadecimal == 0 || !hex && c > '9' {
			return false
		}
	}
	return true
}

// readIPv6 reads an IPv6 address in brackets.
func (u *URI) readIPv6(s string) (end int, err error) {
	end = strings.IndexByte(s, ']')
	if s[0] != '[' || end < 0 {
		return 0, errIPv6
	}
	text := s[1:end]
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil || !addr.Is6():
		return 0, errIPv6
	case addr.Is4In6():
		return 0, errIPv4in6
	}
	var buf [48]byte
	if canonical := addr.AppendTo(buf[:0]); string(canonical) == text {
		u.Host = text
	} else {
		u.Host = string(canonical)
	}
	u.loopback = addr == loopback6
	return end + 1, nil
}

// anyPort is how some applications write that they will listen on any free
// port; no server listens on it.
const anyPort = "0"

// AnyPort reports whether the port is 0, which stands for any.
func (u *URI) AnyPort() bool { return u.Port == anyPort }

func validPort(s string) bool {
	if s == anyPort {
		return true // Parse and ParseRedirect decide
	}
	if s == "" || s[0] == '0' || len(s) > 5 {
		return false
	}
	port := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		port = port*10 + int(s[i]-'0')
	}
	return port <= 65535
}

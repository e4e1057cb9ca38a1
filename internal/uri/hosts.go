package uri

// Lists of hosts in rules about clients.

import (
	"net/netip"
	"slices"
	"strings"
)

// ParseHost reads an entry of a list of hosts: a name, "*." and a name, or an
// address. ok is false for an entry that no URI could ever match.
func ParseHost(text string) (host string, ok bool) {
	name, below := strings.CutPrefix(text, "*.")
	if strings.Contains(name, ":") && !strings.HasPrefix(name, "[") {
		name = "[" + name + "]" // an IPv6 address
	}
	parsed, err := Parse("https://" + name) // before strings.ToLower, which makes ASCII of a few other letters
	inBrackets := strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]")
	_, isAddress := Address(parsed.Host)
	switch {
	case err != nil || below && isAddress || parsed.Host != strings.ToLower(name) && !inBrackets:
		return "", false
	case below:
		return "*." + parsed.Host, true
	}
	return parsed.Host, true
}

// OnHost reports whether host is one of hosts, as ParseHost returns them, or a
// subdomain of one that begins with "*.".
func OnHost(host string, hosts []string) bool {
	return slices.ContainsFunc(hosts, func(allowed string) bool {
		above, wildcard := strings.CutPrefix(allowed, "*")
		return !wildcard && host == above || wildcard && strings.HasSuffix(host, above)
	})
}

// WebHosts returns the hosts of the web sites among redirect URIs, each once,
// and whether all redirect URIs are web sites.
func WebHosts(redirects []string) (hosts []string, onlyWeb bool) {
	onlyWeb = true
	for _, redirect := range redirects {
		parsed, err := ParseRedirect(redirect)
		switch {
		case err != nil || !parsed.Kind().IsWeb():
			onlyWeb = false
		case !slices.Contains(hosts, parsed.Host):
			hosts = append(hosts, parsed.Host)
		}
	}
	return hosts, onlyWeb
}

// Address returns the IP address that host is, if it is one. Names are common, and
// netip makes an error for each.
func Address(host string) (addr netip.Addr, ok bool) {
	if host == "" || !strings.Contains(host, ":") && !isDigit(host[len(host)-1]) {
		return addr, false
	}
	addr, err := netip.ParseAddr(host)
	return addr, err == nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

package guard

// The special-use addresses of the IANA IPv4 and IPv6 Special-Purpose Address
// Registries (RFC 6890). No document on the public Internet has such an
// address.

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/dynreg/dcr/internal/uri"
)

// globalUnicast is the only block of IPv6 that IANA assigns to the public (RFC
// 4291 §2.4). All other addresses are special or unassigned: loopback, unique
// local, link-local and multicast addresses, but also translated IPv4
// addresses, with which one could reach a private address in another form.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// special has the ranges that are refused, without the IPv6 ranges outside
// globalUnicast.
var special = prefixes(
	"0.0.0.0/8",         // this network, RFC 791
	"10.0.0.0/8",        // private, RFC 1918
	"100.64.0.0/10",     // carrier-grade NAT, RFC 6598; some clouds' metadata
	"127.0.0.0/8",       // loopback, RFC 1122
	"168.63.129.16/32",  // the platform of Azure, reachable from each machine there
	"169.254.0.0/16",    // link-local, RFC 3927; most clouds' metadata
	"172.16.0.0/12",     // private, RFC 1918
	"192.0.0.0/24",      // protocol assignments, RFC 6890
	"192.0.2.0/24",      // documentation, RFC 5737
	"192.31.196.0/24",   // AS112, RFC 7535
	"192.52.193.0/24",   // automatic multicast tunnelling, RFC 7450
	"192.88.99.0/24",    // 6to4 relays, RFC 7526
	"192.168.0.0/16",    // private, RFC 1918
	"192.175.48.0/24",   // AS112, RFC 7534
	"198.18.0.0/15",     // benchmarking, RFC 2544
	"198.51.100.0/24",   // documentation, RFC 5737
	"203.0.113.0/24",    // documentation, RFC 5737
	"224.0.0.0/4",       // multicast, RFC 1112
	"240.0.0.0/4",       // reserved, RFC 1112, and the broadcast address
	"2001::/23",         // protocol assignments, RFC 2928: Teredo, ORCHID, benchmarking …
	"2001:db8::/32",     // documentation, RFC 3849
	"2002::/16",         // 6to4, RFC 3056: carries an IPv4 address
	"2620:4f:8000::/48", // AS112, RFC 7534
	"3fff::/20",         // documentation, RFC 9637
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// public reports whether addr is an ordinary address of the public Internet.
// addr must not be an IPv4-mapped address.
func public(addr netip.Addr) bool {
	if addr.Zone() != "" || addr.Is6() && !globalUnicast.Contains(addr) {
		return false
	}
	return !within(special, addr)
}

func within(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Reaches reports whether a Client of config may connect to host, on some port,
// as far as that can be told from host itself: from an address, or from a name
// for the local machine (RFC 6761 §6.3). The addresses of any other name are
// checked when it is dialled.
func (config *Config) Reaches(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return config.opens(host, netip.AddrFrom4([4]byte{127, 0, 0, 1})) || config.opens(host, netip.IPv6Loopback())
	}
	addr, ok := uri.Address(host)
	return !ok || public(addr.Unmap()) || config.opens(host, addr.Unmap())
}

// Connects reports whether a Client of config may connect to a port of a host
// that it reaches; "" means the port of https.
func (config *Config) Connects(host, port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	if port == "" || number == 443 || err == nil && slices.Contains(config.AllowPorts, uint16(number)) {
		return true
	}
	if addr, ok := uri.Address(host); ok {
		return config.opens(host, addr.Unmap())
	}
	return len(config.AllowNetworks) > 0 && config.names(host) // it may resolve to one of them
}

// opens reports whether AllowNetworks and PrivateHosts allow host to be at
// addr.
func (config *Config) opens(host string, addr netip.Addr) bool {
	return config.names(host) && within(config.AllowNetworks, addr)
}

// names reports whether PrivateHosts has host.
func (config *Config) names(host string) bool {
	return config.PrivateHosts == nil || slices.ContainsFunc(config.PrivateHosts, func(own string) bool { return strings.EqualFold(own, host) })
}

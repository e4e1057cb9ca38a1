package policy

// Hosts that belong to nobody, and domain names in reverse: RFC 8252 §7.1.

import (
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/uri"
)

// PublicSuffixes is a list of the domains below which anyone may register one,
// such as co.uk and github.io. [Matrix] and [SameHost] ask it whether a host
// belongs to nobody, and [ReverseDomainSchemes] whether a domain can be
// somebody's. golang.org/x/net/publicsuffix.List is one. If nil, top-level domains
// alone belong to nobody. A single label that is none is somebody's: it is a host
// of the network that the server stands in.
type PublicSuffixes interface {
	// PublicSuffix returns the public suffix of a domain name in lower case.
	PublicSuffix(domain string) string

	// String says where the list is from.
	String() string
}

// suffixList is an optional list.
type suffixList struct{ PublicSuffixes }

// optional is the list that was given, if one was.
func optional(lists []PublicSuffixes) suffixList {
	for _, list := range lists {
		if list != nil {
			return suffixList{list}
		}
	}
	return suffixList{}
}

// nobodys reports whether a host belongs to nobody: pages on it and below it
// are those of many.
func (l suffixList) nobodys(host string) bool {
	if isAddress := strings.Contains(host, ":"); !isAddress && !strings.Contains(host, ".") {
		return host == "" || uri.IsTopLevelDomain(host) // a list has a suffix for every name
	}
	return host == "" || l.PublicSuffixes != nil && l.PublicSuffix(host) == host
}

// reversesDomain reports whether a scheme is a domain name in reverse that can
// be somebody's. A list tells how long a public suffix is, but has one for every
// name; which labels are top-level domains, package uri knows.
func (l suffixList) reversesDomain(scheme string) bool {
	labels := strings.Split(scheme, ".")
	if len(labels) < 2 || slices.Contains(labels, "") || labels[0] == "vnd" { // a vendor's, as in media types
		return false
	}
	if l.PublicSuffixes == nil {
		return true
	}
	top := labels[0]
	slices.Reverse(labels)
	domain := strings.Join(labels, ".")
	suffix := l.PublicSuffix(domain)
	return suffix != "" && suffix != domain && (suffix != top || uri.IsTopLevelDomain(top))
}

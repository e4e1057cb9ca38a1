package policy

// RFC 8252 §7.1: hosts that belong to nobody, and domain names in reverse.

import (
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/uri"
)

// PublicSuffixes is a list of the domains below which anyone may register one,
// such as co.uk and github.io. golang.org/x/net/publicsuffix.List is one. [Matrix]
// and [SameHost] use it to find out whether a host has no owner, and
// [ReverseDomainSchemes] to find out whether a domain can have one. If nil, only
// top-level domains have no owner. A single label that is not a top-level domain
// counts as a host of the server's own network.
type PublicSuffixes interface {
	// PublicSuffix returns the public suffix of a domain name in lower case.
	PublicSuffix(domain string) string

	// String says where the list is from.
	String() string
}

// suffixList is an optional list.
type suffixList struct{ PublicSuffixes }

// optional returns the list that was given, if any.
func optional(lists []PublicSuffixes) suffixList {
	for _, list := range lists {
		if list != nil {
			return suffixList{list}
		}
	}
	return suffixList{}
}

// nobodys reports whether a host belongs to nobody: different people may have
// pages on it and below it.
func (l suffixList) nobodys(host string) bool {
	if isAddress := strings.Contains(host, ":"); !isAddress && !strings.Contains(host, ".") {
		return host == "" || uri.IsTopLevelDomain(host) // a list has a suffix for every name
	}
	return host == "" || l.PublicSuffixes != nil && l.PublicSuffix(host) == host
}

// reversesDomain reports whether a scheme is a domain name in reverse that
// can have an owner. A list returns a public suffix for every name, so package
// uri says which labels are top-level domains.
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

package interop_test

// The public suffix list of golang.org/x/net, as package policy uses it.

import (
	"errors"
	"testing"

	"golang.org/x/net/publicsuffix"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

func TestPublicSuffixList(t *testing.T) {
	list := publicsuffix.List
	native := policy.Stack(dcr.DefaultValidator{}, policy.ReverseDomainSchemes(list))
	matrix := policy.Matrix(dcr.DefaultValidator{}, list)
	vouched := policy.Stack(dcr.DefaultValidator{}, policy.SameHost(policy.Refuse, list))
	for _, c := range []struct {
		name     string
		v        dcr.Validator
		client   dcr.Metadata
		accepted bool
	}{
		{"a domain in reverse", native, dcr.Metadata{RedirectURIs: []string{"com.example.app:/cb"}}, true},
		{"a domain below a suffix of two labels", native, dcr.Metadata{RedirectURIs: []string{"uk.co.example:/cb"}}, true},
		{"a suffix of two labels without a domain", native, dcr.Metadata{RedirectURIs: []string{"uk.co:/cb"}}, false},
		{"a top-level domain that does not exist", native, dcr.Metadata{RedirectURIs: []string{"cursor.app:/cb"}}, false},
		{"a domain that is not reversed", native, dcr.Metadata{RedirectURIs: []string{"example.com:/cb"}}, false},
		{"Matrix on its own site", matrix, dcr.Metadata{ClientURI: "https://me.github.io/", RedirectURIs: []string{"https://me.github.io/cb"}}, true},
		{"Matrix on a site that everybody shares", matrix, dcr.Metadata{ClientURI: "https://github.io", RedirectURIs: []string{"https://me.github.io/cb"}}, false},
		{"Matrix with a redirect below a shared suffix", matrix, dcr.Metadata{ClientURI: "https://amazonaws.com/", RedirectURIs: []string{"https://me.s3.amazonaws.com/cb"}}, false},
		{"pages on its own site", vouched, dcr.Metadata{LogoURI: "https://me.github.io/", RedirectURIs: []string{"https://me.github.io/cb"}}, true},
		{"pages on a site that everybody shares", vouched, dcr.Metadata{LogoURI: "https://github.io/", RedirectURIs: []string{"https://github.io/cb"}}, false},
	} {
		err := dcr.Validate(t.Context(), c.v, &dcr.Registration{Request: &dcr.Request{Metadata: c.client}})
		if refused := (*dcr.Error)(nil); err != nil && !errors.As(err, &refused) || (err == nil) != c.accepted {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

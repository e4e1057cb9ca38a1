package dcr_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// ownDomain is a validator that lets clients redirect to one site alone.
type ownDomain struct{ dcr.DefaultValidator }

func (v ownDomain) ValidateRedirectURIs(ctx context.Context, reg *dcr.Registration) error {
	elsewhere := func(uri string) bool { return !strings.HasPrefix(uri, "https://apps.example.com/") }
	if slices.ContainsFunc(reg.Client.RedirectURIs, elsewhere) {
		return dcr.Errorf(dcr.InvalidRedirectURI, "redirect_uris must lead to https://apps.example.com/")
	}
	return v.DefaultValidator.ValidateRedirectURIs(ctx, reg) // the rules of the RFCs
}

// Override one step and call the default. The compiler holds the step's
// signature, dcrtest.TestValidator its name.
func ExampleDefaultValidator() {
	validator := ownDomain{dcr.DefaultValidator{
		Supports: dcr.Capabilities{GrantTypes: []string{"authorization_code"}}, // most policy is data
	}}
	for _, uri := range []string{
		"https://apps.example.com/one/callback",
		"https://elsewhere.example.com/callback",
		"https://apps.example.com/one#fragment",
	} {
		request := &dcr.Request{Metadata: dcr.Metadata{RedirectURIs: []string{uri}}}
		fmt.Println(dcr.Validate(context.Background(), validator, &dcr.Registration{Request: request}))
	}
	// Output:
	// <nil>
	// invalid_redirect_uri: redirect_uris must lead to https://apps.example.com/
	// invalid_redirect_uri: redirect_uris[0] must not have a fragment
}

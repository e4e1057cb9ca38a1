package dcr_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// ownDomain is a validator that has browsers sent to one site alone.
type ownDomain struct{ dcr.DefaultValidator }

func (v ownDomain) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	c := reg.Client
	uris := slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs, []string{c.FrontchannelLogoutURI, c.InitiateLoginURI})
	elsewhere := func(uri string) bool { return uri != "" && !strings.HasPrefix(uri, "https://apps.example.com/") }
	if slices.ContainsFunc(uris, elsewhere) {
		return dcr.Errorf(dcr.InvalidRedirectURI, "redirect and logout URIs must lead to https://apps.example.com/")
	}
	return v.DefaultValidator.ValidateClient(ctx, reg) // the rules of the RFCs
}

// Override one step and call the default. The compiler holds the step's
// signature, dcrtest.TestValidator its name.
func ExampleDefaultValidator() {
	validator := ownDomain{dcr.DefaultValidator{Supports: dcr.Capabilities{ // most policy is data
		GrantTypes:         []string{"authorization_code"},
		EndSessionEndpoint: "https://id.example.com/logout",
	}}}
	for _, client := range []dcr.Metadata{
		{RedirectURIs: []string{"https://apps.example.com/one/callback"}},
		{RedirectURIs: []string{"https://elsewhere.example.com/callback"}},
		{RedirectURIs: []string{"https://apps.example.com/two"}, PostLogoutRedirectURIs: []string{"https://elsewhere.example.com/"}},
		{RedirectURIs: []string{"https://apps.example.com/one#fragment"}},
	} {
		request := &dcr.Request{Metadata: client}
		fmt.Println(dcr.Validate(context.Background(), validator, &dcr.Registration{Request: request}))
	}
	// Output:
	// <nil>
	// invalid_redirect_uri: redirect and logout URIs must lead to https://apps.example.com/
	// invalid_redirect_uri: redirect and logout URIs must lead to https://apps.example.com/
	// invalid_redirect_uri: redirect_uris[0] must not have a fragment
}

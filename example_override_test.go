package dcr_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

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

// shortLived is a validator with settings of the host's own for every client.
type shortLived struct{ dcr.DefaultValidator }

func (v shortLived) SetClientDefaults(ctx context.Context, reg *dcr.Registration) error {
	reg.Client.RequirePKCE = true
	reg.Client.AllowOfflineAccess = false
	reg.Client.AccessTokenLifetime = 5 * time.Minute
	return v.DefaultValidator.SetClientDefaults(ctx, reg)
}

// The settings that the server owns have their defaults before the first step.
// What a step sets stays, whether it calls its default before or after.
func ExampleDefaultValidator_SetClientDefaults() {
	reg := &dcr.Registration{Request: &dcr.Request{Metadata: dcr.Metadata{
		RedirectURIs: []string{"https://app.example.com/callback"},
		GrantTypes:   []string{"authorization_code", "refresh_token"},
	}}}
	if err := dcr.Validate(context.Background(), shortLived{}, reg); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("PKCE:", reg.Client.RequirePKCE)
	fmt.Println("offline access:", reg.Client.AllowOfflineAccess)
	fmt.Println("access tokens:", reg.Client.AccessTokenLifetime)
	fmt.Println("authorization codes:", reg.Client.AuthorizationCodeLifetime)
	// Output:
	// PKCE: true
	// offline access: false
	// access tokens: 5m0s
	// authorization codes: 5m0s
}

package dcr_test

import (
	"context"
	"fmt"
	"time"

	"github.com/dynreg/dcr"
)

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

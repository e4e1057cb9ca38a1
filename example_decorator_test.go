package dcr_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/dynreg/dcr"
)

// noRefresh is a decorator: it takes the refresh_token grant from whatever
// validator it embeds, so that decorators stack in any order.
type noRefresh struct{ dcr.Validator }

// Capabilities narrows what the inner validator supports. Steps, discovery and
// the checks of NewHandler all read it.
func (v noRefresh) Capabilities() dcr.Capabilities {
	capabilities := v.Validator.Capabilities()
	capabilities.GrantTypes = slices.DeleteFunc(slices.Clone(capabilities.GrantTypes), func(grant string) bool {
		return grant == "refresh_token"
	})
	return capabilities
}

// noRSA15 is a rule about algorithms: it takes RSA1_5 from whatever may be
// encrypted.
type noRSA15 struct{ dcr.Validator }

func (v noRSA15) Capabilities() dcr.Capabilities {
	capabilities := v.Validator.Capabilities()
	for _, member := range dcr.AlgorithmMembers() {
		ceiling := member.Ceiling(&capabilities)
		*ceiling = slices.DeleteFunc(slices.Clone(*ceiling), func(alg string) bool { return alg == "RSA1_5" })
	}
	return capabilities
}

func ExampleAlgorithmMembers() {
	validator := noRSA15{dcr.DefaultValidator{Supports: dcr.Capabilities{
		IDTokenSigningAlgs:    []string{"RS256"},
		IDTokenEncryptionAlgs: []string{"RSA1_5", "RSA-OAEP-256"},
		IDTokenEncryptionEncs: []string{"A256GCM"},
	}}}
	fmt.Println(validator.Capabilities().IDTokenEncryptionAlgs)
	// Output: [RSA-OAEP-256]
}

// nameNeeded is another decorator: it demands a client_name.
type nameNeeded struct{ dcr.Validator }

func (v nameNeeded) ValidateDisplay(ctx context.Context, reg *dcr.Registration) error {
	if reg.Client.ClientName == "" {
		return dcr.Errorf(dcr.InvalidClientMetadata, "client_name is needed here")
	}
	return v.Validator.ValidateDisplay(ctx, reg)
}

// Embed the interface to make a rule that goes around any validator.
func ExampleValidator() {
	validator := nameNeeded{noRefresh{dcr.DefaultValidator{}}}
	fmt.Println(validator.Capabilities().Discovery()["grant_types_supported"])

	metadata := dcr.Metadata{
		RedirectURIs: []string{"https://app.example.com/callback"},
		GrantTypes:   []string{"authorization_code", "refresh_token"},
	}
	for _, name := range []string{"", "My App"} {
		metadata.ClientName = name
		reg := &dcr.Registration{Request: &dcr.Request{Metadata: metadata}}
		if err := dcr.Validate(context.Background(), validator, reg); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(reg.Client.ClientName, reg.Client.GrantTypes)
	}
	// Output:
	// [authorization_code]
	// invalid_client_metadata: client_name is needed here
	// My App [authorization_code]
}

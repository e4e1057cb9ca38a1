package dcr_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// noRefresh is a decorator: it removes the refresh_token grant from any
// validator that it embeds, so that decorators can be stacked in any order.
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

// noRSA15 is a rule about algorithms: it removes RSA1_5 wherever something may
// be encrypted.
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

// costCenter is a member that this host accepts in addition to the registered
// ones.
var costCenter = dcr.NewField[int]("cost_center")

// A field carries its own rule. The member's name at the beginning of the
// sentence becomes the name that was sent, here with a language tag.
func ExampleField_Check() {
	motto := dcr.NewField[string]("motto").Localized().Check(func(text string) error {
		if len(text) > 20 {
			return dcr.Errorf(dcr.InvalidClientMetadata, "motto must not be longer than 20 bytes")
		}
		return nil
	})
	validator := dcr.DefaultValidator{Extensions: []dcr.Extension{motto}}
	for _, body := range []string{
		`{"redirect_uris":["https://app.example.com/callback"],"motto":"Keep it small"}`,
		`{"redirect_uris":["https://app.example.com/callback"],"motto#de":"In der Kürze liegt die Würze"}`,
	} {
		request, err := dcr.ParseRequest([]byte(body), dcr.Limits{})
		if err == nil {
			err = dcr.Validate(context.Background(), validator, &dcr.Registration{Request: request})
		}
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// invalid_client_metadata: motto#de must not be longer than 20 bytes
}

// chargeable is a validator that requires it.
type chargeable struct{ dcr.DefaultValidator }

func (v chargeable) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	if err := v.DefaultValidator.ValidateExtensions(ctx, reg); err != nil {
		return err // not a number
	}
	number, ok, err := costCenter.Get(&reg.Client.Metadata)
	if err != nil {
		return err
	}
	if !ok || number < 1000 {
		return dcr.Errorf(dcr.InvalidClientMetadata, "cost_center must be a number from 1000")
	}
	return nil
}

// A declared extension member is typed, validated, stored and echoed. Members
// that nobody declared are ignored.
func ExampleField() {
	validator := chargeable{dcr.DefaultValidator{Extensions: []dcr.Extension{costCenter}}}
	for _, body := range []string{
		`{"redirect_uris":["https://app.example.com/callback"],"cost_center":4711,"undeclared":true}`,
		`{"redirect_uris":["https://app.example.com/callback"],"cost_center":"4711"}`,
		`{"redirect_uris":["https://app.example.com/callback"]}`,
	} {
		reg := &dcr.Registration{Request: &dcr.Request{}}
		if err := json.Unmarshal([]byte(body), reg.Request); err != nil {
			fmt.Println(err)
			continue
		}
		if err := dcr.Validate(context.Background(), validator, reg); err != nil {
			fmt.Println(err)
			continue
		}
		number, _, _ := costCenter.Get(&reg.Client.Metadata)
		fmt.Println("charged to", number, "of", len(reg.Client.Extra), "extension")
	}
	// Output:
	// charged to 4711 of 1 extension
	// invalid_client_metadata: cost_center must be a JSON integer
	// invalid_client_metadata: cost_center must be a number from 1000
}

// ownDomain is a validator that lets browsers be sent to only one site.
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

// Override one step and call the default. The compiler checks the step's
// signature, and dcrtest.TestValidator its name.
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

// shortLived is a validator with the host's own settings for every client.
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

// organisation is what a directory says about the maker of the software.
var organisation = dcr.NewField[string]("organisation")

// sameOrg lets callers register only software of their own organisation. It
// checks the complete client, after the statement has been verified.
type sameOrg struct{ dcr.DefaultValidator }

func (v sameOrg) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	vouched, ok, err := organisation.Get(&reg.Client.Metadata)
	if err != nil {
		return err
	}
	if !ok || reg.Caller == nil || reg.Caller.Claims["org"] != vouched {
		return dcr.Errorf(dcr.UnapprovedSoftwareStatement, "the software is that of another organisation")
	}
	return v.DefaultValidator.ValidateClient(ctx, reg)
}

// A registration needs a software statement from the directory. Its claims are
// mapped to members, one of them an extension, and compared with what is known
// about the caller.
func ExampleStatementVerifier() {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // the directory's
	encode := base64.RawURLEncoding.EncodeToString
	jwks := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":%q}]}`, encode(key.Public().(ed25519.PublicKey)))
	signed := encode([]byte(`{"alg":"EdDSA","kid":"1"}`)) + "." + encode([]byte(`{
		"iss": "https://directory.example",
		"org_id": "org-7",
		"software_client_name": "Budget Planner",
		"software_redirect_uris": ["https://planner.example/cb", "https://planner.example/app"]
	}`))
	statement := signed + "." + encode(ed25519.Sign(key, []byte(signed)))

	validator := sameOrg{dcr.DefaultValidator{
		Extensions: []dcr.Extension{organisation},
		Statements: &dcr.StatementVerifier{
			Issuers:  map[string]dcr.KeySource{"https://directory.example": dcr.StaticKeys([]byte(jwks))},
			Required: true,
			Claims: map[string]string{
				"org_id": "organisation", "software_client_name": "client_name", "software_redirect_uris": "redirect_uris",
			},
			Members: map[string]dcr.StatementRule{"redirect_uris": dcr.ClaimBounds},
		},
	}}
	try := func(org, statement string, redirects ...string) {
		reg := &dcr.Registration{
			Request: &dcr.Request{SoftwareStatement: statement, Metadata: dcr.Metadata{ClientName: "Your Bank", RedirectURIs: redirects}},
			Caller:  &dcr.Caller{Claims: map[string]any{"org": org}},
		}
		if err := dcr.Validate(context.Background(), validator, reg); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(reg.Client.ClientName, reg.Client.RedirectURIs)
	}
	try("org-7", statement, "https://planner.example/app")
	try("org-7", statement, "https://elsewhere.example/")
	try("org-8", statement)
	try("org-7", signed+"."+encode(make([]byte, ed25519.SignatureSize)))
	try("org-7", "")
	// Output:
	// Budget Planner [https://planner.example/app]
	// invalid_redirect_uri: redirect_uris must not have an entry that the software statement does not have
	// unapproved_software_statement: the software is that of another organisation
	// invalid_software_statement: software_statement must have a valid signature
	// invalid_software_statement: software_statement is required here
}

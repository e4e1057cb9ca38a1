package dcr_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"

	"github.com/dynreg/dcr"
)

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

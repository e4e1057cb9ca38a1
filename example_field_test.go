package dcr_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dynreg/dcr"
)

// costCenter is a member that this host takes besides the registered ones.
var costCenter = dcr.NewField[int]("cost_center")

// chargeable is a validator that demands it.
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

package dcr_test

import (
	"context"
	"fmt"
	"log"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// An operator asks why a client is not what its developer expects. Nothing is
// registered.
func ExampleHandler_Explain() {
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:  "https://id.example.com/connect/dcr",
		Validator: dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"openid"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	decision, err := handler.Explain(context.Background(), "", []byte(`{
		"redirect_uris": ["https://app.example.com/cb"],
		"scope": "openid email",
		"color": "red"
	}`))
	if err != nil {
		log.Fatal(err) // the server's fault
	}
	fmt.Println(decision.Status, decision.Err)
	for _, m := range decision.Members {
		if m.Switch != "" {
			fmt.Printf("%s is %s by %s, which %s would change\n", m.Name, m.Verdict, m.Step, m.Switch)
		}
	}
	// Output:
	// 201 <nil>
	// scope is dropped by ValidateScopes, which DefaultValidator.Supports.Scopes would change
	// color is ignored by Validate, which DefaultValidator.Extensions would change
}

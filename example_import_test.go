package dcr_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// A server that has clients already imports them with the hashes that it has.
func ExampleClient_imported() {
	old := struct {
		ID, Name, BcryptHash string
		RedirectURIs         []string
		CreatedAt            time.Time
	}{
		"legacy-4711", "Payroll", "$2a$04$pv511ZXF3YsvGlYAKwTw.OECJ6p/VliN9dkvAHzA0ZuUqVbBpd.wW",
		[]string{"https://payroll.example.com/callback"}, time.Date(2019, 5, 1, 0, 0, 0, 0, time.UTC),
	}
	ctx, store := context.Background(), memstore.New()

	client := dcr.NewClient() // with the defaults of every setting
	client.ID = old.ID
	client.ClientName = old.Name
	client.RedirectURIs = old.RedirectURIs
	client.GrantTypes = []string{"authorization_code"}
	client.ResponseTypes = []string{"code"}
	client.TokenEndpointAuthMethod = "client_secret_basic"
	client.Secrets = []dcr.Secret{{Type: dcr.SecretBcrypt, Value: old.BcryptHash}}
	client.Source = "import-2026"
	client.CreatedAt = old.CreatedAt
	if err := store.Add(ctx, client); err != nil && !errors.Is(err, dcr.ErrClientExists) {
		fmt.Println(err)
	}

	imported, err := store.FindByClientID(ctx, "legacy-4711")
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(imported.VerifySecret("the old secret", time.Now()), imported.VerifySecret("another", time.Now()))
	// Output: true false
}

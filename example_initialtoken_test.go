package dcr_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// A token for two registrations, under a policy of its own, with a note that
// stays with the clients.
func Example_initialAccessToken() {
	store := memstore.New()
	tokens := &callerauth.InitialAccessTokens{Store: store}
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr",
		Caller:   tokens.Authenticate,
		Policies: map[string]dcr.Validator{
			"pipelines": dcr.DefaultValidator{Supports: dcr.Capabilities{GrantTypes: []string{"client_credentials"}}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, kept, err := tokens.Issue(context.Background(), dcr.InitialAccessToken{
		Policy: "pipelines", Subject: "build team", Notes: "ticket 4711", MaxUses: 2,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("in logs it reads", token)

	register := func() int {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"client_name":"Nightly"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	fmt.Println(register(), register(), register())
	for client := range store.ListClients(context.Background(), dcr.Filter{}, "") {
		fmt.Println(client.Policy, client.RegisteredBy, client.Notes)
	}
	fmt.Println(tokens.Revoke(context.Background(), kept.Hash))
	// Output:
	// in logs it reads [redacted]
	// 201 201 401
	// pipelines build team ticket 4711
	// pipelines build team ticket 4711
	// <nil>
}

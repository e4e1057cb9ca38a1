package dcr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// A hook refuses in one of two ways: a *dcr.Error is shown to the registrant,
// any other error is logged and shown as a bare 500. Both leave nothing
// behind, since ModifyResponse runs before the client is stored.
func ExampleOptions_modifyResponse() {
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		AllowAnonymous: true,
		Logger:         slog.New(slog.NewTextHandler(io.Discard, nil)),
		ModifyResponse: func(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
			switch reg.Client.ClientName {
			case "Taken":
				return dcr.Errorf(dcr.InvalidClientMetadata, "client_name is taken")
			case "Unlucky":
				return errors.New("the tenant's database is on fire")
			}
			return dcr.NewField[string]("welcome").Set(&res.Metadata, "Hello, "+reg.Client.ClientName)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"Taken", "Unlucky", "Mine"} {
		body := `{"client_name":"` + name + `","redirect_uris":["https://app.example.com/callback"]}`
		r := httptest.NewRequest("POST", "https://id.example.com/connect/dcr", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Print(w.Code, " ")
		if w.Code != http.StatusCreated {
			fmt.Println(w.Body)
			continue
		}
		_, welcome, _ := strings.Cut(w.Body.String(), `"welcome":`)
		fmt.Println(welcome)
	}
	// Output:
	// 400 {"error":"invalid_client_metadata","error_description":"client_name is taken"}
	// 500 {"error":"server_error","error_description":"the server failed to handle the request"}
	// 201 "Hello, Mine"}
}

// Each hook's default is exported, so that an override can call it.
func ExampleOptions_newClientID() {
	opts := &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr",
		NewClientID: func(ctx context.Context, reg *dcr.Registration) (string, error) {
			id, err := dcr.RandomClientID(ctx, reg)
			return "dyn-" + id, err
		},
	}
	id, err := opts.NewClientID(context.Background(), &dcr.Registration{})
	fmt.Println(id[:4], len(id), err)
	// Output:
	// dyn- 36 <nil>
}

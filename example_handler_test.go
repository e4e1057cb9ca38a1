package dcr_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/memstore"
)

// A hook refuses in one of two ways: a *dcr.Error is shown to the registrant;
// any other error is logged and answered with a 500 without details. Neither
// leaves anything behind, since ModifyResponse runs before the client is
// stored.
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

// The host's guard is only in front of POST. Reading, updating and deleting a
// client is authorised by the client's registration access token, which the
// guard never sees.
func ExampleHandler() {
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:  "https://id.example.com/connect/dcr",
		ClientURI: "https://id.example.com/connect/dcr/{client_id}",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	requireScope := func(next http.Handler) http.Handler { // your own authorization
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer with-the-scope" {
				http.Error(w, "the scope client.create is needed", http.StatusForbidden)
				return
			}
			caller := &dcr.Caller{Subject: "pipeline", Scopes: []string{"client.create"}}
			next.ServeHTTP(w, r.WithContext(dcr.ContextWithCaller(r.Context(), caller)))
		})
	}
	mux := http.NewServeMux()
	mux.Handle("POST /connect/dcr", requireScope(handler))
	mux.Handle("/connect/dcr", handler)
	mux.Handle("/connect/dcr/{client_id}", handler)

	send := func(method, url, token, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, url, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	const endpoint, metadata = "https://id.example.com/connect/dcr", `{"redirect_uris":["https://app.example.com/callback"]}`
	fmt.Println("a stranger registers:", send("POST", endpoint, "", metadata).Code)

	registered := send("POST", endpoint, "with-the-scope", metadata)
	fmt.Println("a caller that the guard admits:", registered.Code)

	var client struct {
		URI   string `json:"registration_client_uri"`
		Token string `json:"registration_access_token"`
	}
	if err := json.Unmarshal(registered.Body.Bytes(), &client); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the client reads itself:", send("GET", client.URI, client.Token, "").Code)
	fmt.Println("nobody else does:", send("GET", client.URI, "with-the-scope", "").Code)
	fmt.Println("the client deletes itself:", send("DELETE", client.URI, client.Token, "").Code)
	fmt.Println("and is gone:", send("GET", client.URI, client.Token, "").Code)
	// Output:
	// a stranger registers: 403
	// a caller that the guard admits: 201
	// the client reads itself: 200
	// nobody else does: 401
	// the client deletes itself: 204
	// and is gone: 401
}

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

// If the token endpoint notes each use of a client, a janitor can delete the
// clients that nobody uses.
func Example_operating() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	store := memstore.New()
	janitor := &admin.Janitor{
		Store:          store,
		NeverActivated: 24 * time.Hour,
		Idle:           90 * 24 * time.Hour,
		RefreshTokens:  30 * 24 * time.Hour,
		Expired:        true,
	}
	go func() { log.Print("janitor: ", janitor.Run(ctx)) }()

	fmt.Println(janitor.Sweep(ctx)) // once more, by hand
	// Output:
	// 0 <nil>
}

// A host can have its own sink in addition to the log. It is called within the
// request, after the event, and cannot undo it.
func ExampleOptions_events() {
	logger := slog.New(slog.DiscardHandler)
	log := dcr.LogEvents(logger)
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		AllowAnonymous: true,
		Logger:         logger,
		Events: func(ctx context.Context, event dcr.Event) {
			log(ctx, event)
			switch event.Kind {
			case dcr.ClientRegistered:
				fmt.Println(event.Kind, event.Source)
			case dcr.RequestRefused:
				fmt.Println(event.Kind, event.Err.Rule)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, redirect := range []string{"https://app.example.com/callback", "http://app.example.com/callback"} {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["`+redirect+`"]}`))
		r.Header.Set("Content-Type", "application/json")
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// registered dynamic
	// refused redirect_uris.kind
}

// Other options of a host: web pages that may register, a team that manages its own
// clients, secrets that are rotated and sealed if a method needs them, and grants that
// end with their client.
func ExampleOptions() {
	sealer, err := dcr.NewAESSealer([]byte("the new key, which has 32 bytes!"), []byte("the old key, which has 32 bytes!"))
	if err != nil {
		fmt.Println(err)
		return
	}
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr",
		CORS:     dcr.CORS{Origins: []string{"https://portal.example.com"}},
		ManageAs: func(caller *dcr.Caller, client *dcr.Client) bool {
			return caller.Subject != "" && caller.Subject == client.RegisteredBy
		},
		SecretLifetime: 90 * 24 * time.Hour,
		RotateSecret:   true,
		RotationGrace:  24 * time.Hour,
		Sealer:         sealer,
		AfterDelete: func(ctx context.Context, client *dcr.Client) error {
			return nil // end the client's grants and tokens
		},
	})
	fmt.Println(handler.Endpoint(), err)
	// Output: https://id.example.com/connect/dcr <nil>
}

// The keys of a client, from its jwks or its jwks_uri, to verify what it signed or
// to encrypt for it. One ClientKeys caches the keys of all clients.
func ExampleClientKeys() {
	client := dcr.NewClient()
	client.JWKS = []byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`)
	var keys dcr.ClientKeys
	jwks, err := keys.Keys(context.Background(), client, "1")
	fmt.Println(len(jwks) > 0, err)
	// Output: true <nil>
}

package dcr_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

// The token endpoint asks the client itself.
func ExampleClient_VerifySecret() {
	client := dcr.NewClient()
	client.Secrets = []dcr.Secret{dcr.HashSecret("what-the-client-was-given")}

	now := time.Now()
	fmt.Println(client.VerifySecret("what-the-client-was-given", now))
	fmt.Println(client.VerifySecret("a-guess", now))

	client.Status = dcr.StatusDisabled
	fmt.Println(client.VerifySecret("what-the-client-was-given", now))
	// Output:
	// true
	// false
	// false
}

// The authorize endpoint asks the client itself.
func ExampleClient_MatchRedirectURI() {
	client := dcr.NewClient()
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	fmt.Println(client.MatchRedirectURI("https://app.example.com/callback"))
	fmt.Println(client.MatchRedirectURI("https://app.example.com/callback?x=1"))
	// Output:
	// true
	// false
}

// A redirect URI matches exactly, except for the port of an http loopback URI
// (RFC 8252 §7.3).
func ExampleMatchRedirectURI() {
	fmt.Println(dcr.MatchRedirectURI("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback"))
	fmt.Println(dcr.MatchRedirectURI("http://127.0.0.1/callback", "http://localhost:51004/callback"))
	fmt.Println(dcr.MatchRedirectURI("https://app.example.com/callback", "https://app.example.com:8443/callback"))
	// Output:
	// true
	// false
	// false
}

// Discovery returns members for the host's discovery document; the host adds
// its own.
func ExampleCapabilities_Discovery() {
	validator := dcr.DefaultValidator{Supports: dcr.Capabilities{
		Scopes:             []string{"openid", "profile"},
		IDTokenSigningAlgs: []string{"ES256"},
	}}
	document := validator.Capabilities().Discovery()
	document["issuer"] = "https://id.example.com"
	document["registration_endpoint"] = "https://id.example.com/connect/dcr"
	for _, member := range []string{"registration_endpoint", "grant_types_supported", "token_endpoint_auth_methods_supported", "scopes_supported"} {
		fmt.Println(member, document[member])
	}
	// Output:
	// registration_endpoint https://id.example.com/connect/dcr
	// grant_types_supported [authorization_code refresh_token]
	// token_endpoint_auth_methods_supported [client_secret_basic none]
	// scopes_supported [openid profile]
}

// ServeDiscovery serves the whole document, where clients look for it.
func ExampleHandler_ServeDiscovery() {
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: "https://id.example.com/connect/dcr"})
	if err != nil {
		fmt.Println(err)
		return
	}
	const issuer = "https://id.example.com"
	mux := http.NewServeMux()
	mux.Handle("/connect/dcr", handler)
	mux.Handle("/.well-known/", handler.ServeDiscovery(issuer, map[string]any{
		"authorization_endpoint": issuer + "/connect/authorize",
		"token_endpoint":         issuer + "/connect/token",
	}))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
	fmt.Println(w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	fmt.Println(strings.ReplaceAll(w.Body.String(), ",\"", ",\n\""))
	// Output:
	// 200 *
	// {"authorization_endpoint":"https://id.example.com/connect/authorize",
	// "code_challenge_methods_supported":["S256"],
	// "grant_types_supported":["authorization_code",
	// "refresh_token"],
	// "issuer":"https://id.example.com",
	// "registration_endpoint":"https://id.example.com/connect/dcr",
	// "response_types_supported":["code"],
	// "token_endpoint":"https://id.example.com/connect/token",
	// "token_endpoint_auth_methods_supported":["client_secret_basic",
	// "none"]}
}

// Capabilities can be read from the discovery document that a server already
// has.
func ExampleCapabilities() {
	var capabilities dcr.Capabilities
	err := json.Unmarshal([]byte(`{
		"issuer": "https://id.example.com",
		"grant_types_supported": ["authorization_code"],
		"token_endpoint_auth_methods_supported": ["private_key_jwt"]
	}`), &capabilities)
	fmt.Println(capabilities.GrantTypes, capabilities.TokenEndpointAuthMethods, err)
	// Output:
	// [authorization_code] [private_key_jwt] <nil>
}

// A server that already has clients imports them with their hashes.
func ExampleClient_imported() {
	old := struct {
		ID, Name, BcryptHash, Scope string
		RedirectURIs                []string
		SendsPKCE                   bool
		CreatedAt                   time.Time
	}{
		"legacy-4711", "Payroll", "$2a$04$pv511ZXF3YsvGlYAKwTw.OECJ6p/VliN9dkvAHzA0ZuUqVbBpd.wW", "payroll.read",
		[]string{"https://payroll.example.com/callback"}, false, time.Date(2019, 5, 1, 0, 0, 0, 0, time.UTC),
	}
	ctx, store := context.Background(), memstore.New()

	client := dcr.NewClient() // with the defaults of every setting
	client.ID = old.ID
	client.ClientName = old.Name
	client.RedirectURIs = old.RedirectURIs
	client.GrantTypes = []string{"authorization_code", "refresh_token"}
	client.ResponseTypes = []string{"code"}
	client.Scope = old.Scope           // the most that it may be granted
	client.AllowOfflineAccess = true   // lets it refresh
	client.RequirePKCE = old.SendsPKCE // true by default
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

// The token endpoint checks a code_verifier against the challenge of the
// authorization request.
func ExampleClient_VerifyCodeVerifier() {
	client := dcr.NewClient()
	const challenge, verifier = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	fmt.Println(client.VerifyCodeVerifier(challenge, "S256", verifier))
	fmt.Println(client.VerifyCodeVerifier(challenge, "S256", "a guess"))
	// Output:
	// <nil>
	// invalid_grant: code_verifier must be the one that code_challenge was made from
}

// A refresh gives the granted scopes that the client may still have.
func ExampleClient_GrantScopes() {
	client := dcr.NewClient()
	client.Scope = "files.read"
	fmt.Println(client.GrantScopes([]string{"files.read", "files.write"}))
	// Output: [files.read]
}

// A refresh token that is exchanged does not outlive the first one's lifetime.
func ExampleClient_RefreshTokenEnd() {
	client := dcr.NewClient()
	first := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	fmt.Println(client.RefreshTokenEnd(first, first).Format(time.DateOnly))
	fmt.Println(client.RefreshTokenEnd(first, first.AddDate(0, 0, 20)).Format(time.DateOnly))
	// Output:
	// 2026-06-03
	// 2026-06-03
}

// consentPage shows first what the client cannot choose. Names and hosts are in a
// bdi, so that text that is written from right to left does not move anything
// else.
var consentPage = template.Must(template.New("consent").Parse(`<p>May <b><bdi>{{.Identity}}</bdi></b> act for you?
{{with .Name}}<p>It calls itself “<bdi>{{.}}</bdi>”.{{end}}
<p>The answer goes to <bdi>{{.RedirectHost}}</bdi>.
{{range .Warnings}}<p role="note">{{.}}
{{end}}`))

// A consent page shows what the client says and what it cannot choose.
func ExampleClient_ConsentView() {
	client := dcr.NewClient()
	client.ID, client.Source = "app-1", dcr.SourceDynamic
	client.ClientName = "Contoso\u200b <b>Bank</b>"
	client.RedirectURIs = []string{"https://login.evil.example/callback"}
	view := client.ConsentView(dcr.ConsentOptions{
		RedirectURI: "https://login.evil.example/callback",
		Languages:   []string{"de-CH", "en"}, // of the person, from Accept-Language or their account
		Reserved:    map[string][]string{"Contoso": {"contoso.example", "*.contoso.example"}},
	})
	if err := consentPage.Execute(os.Stdout, view); err != nil {
		fmt.Println(err)
	}
	// Output:
	// <p>May <b><bdi>login.evil.example</bdi></b> act for you?
	// <p>It calls itself “<bdi>Contoso &lt;b&gt;Bank&lt;/b&gt;</bdi>”.
	// <p>The answer goes to <bdi>login.evil.example</bdi>.
	// <p role="note">It uses the name &#34;Contoso&#34;, which belongs to contoso.example, *.contoso.example.
	// <p role="note">Nobody here has reviewed this application.
}

// A host can have a rule for the clients of its own sites.
func ExampleClient_IsAt() {
	client := dcr.NewClient()
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	fmt.Println(client.IsAt([]string{"example.com", "*.example.com"}))
	client.RedirectURIs = append(client.RedirectURIs, "http://127.0.0.1/callback")
	fmt.Println(client.IsAt([]string{"example.com", "*.example.com"}))
	// Output:
	// true
	// false
}

// auditedStore wraps another store and reports every client that is added or
// deleted. As keeps the optional capabilities of the store inside; those that add
// or delete clients must be wrapped too.
type auditedStore struct {
	dcr.ClientConfigurationStore
	tell func(change, clientID string)
}

func (s auditedStore) Add(ctx context.Context, client *dcr.Client) error {
	err := s.ClientConfigurationStore.Add(ctx, client)
	if err == nil {
		s.tell("added", client.ID)
	}
	return err
}

func (s auditedStore) Delete(ctx context.Context, clientID string) error {
	err := s.ClientConfigurationStore.Delete(ctx, clientID)
	if err == nil {
		s.tell("deleted", clientID)
	}
	return err
}

func (s auditedStore) As(target any) bool {
	if target, ok := target.(*dcr.RevisionDeleter); ok {
		inside, ok := dcr.StoreAs[dcr.RevisionDeleter](s.ClientConfigurationStore)
		*target = auditedDeleter{s, inside}
		return ok
	}
	return dcr.StoreInto(s.ClientConfigurationStore, target)
}

type auditedDeleter struct {
	store  auditedStore
	inside dcr.RevisionDeleter
}

func (d auditedDeleter) DeleteRevision(ctx context.Context, clientID string, revision int64) error {
	err := d.inside.DeleteRevision(ctx, clientID, revision)
	if err == nil {
		d.store.tell("deleted", clientID)
	}
	return err
}

// A store is four methods; dcrtest.TestStore checks them. examples/customstore
// is one that is written from scratch.
func ExampleClientConfigurationStore() {
	store := auditedStore{memstore.New(), func(change, clientID string) { fmt.Println(clientID, "was", change) }}
	ctx := context.Background()
	client := dcr.NewClient()
	client.ID = "app-1"
	fmt.Println(store.Add(ctx, client))
	fmt.Println(store.Add(ctx, client))

	counter, _ := dcr.StoreAs[dcr.ClientCounter](store)
	fmt.Println(counter.CountClients(ctx, dcr.Filter{}))

	fmt.Println(store.Delete(ctx, "app-1"))
	_, err := store.FindByClientID(ctx, "app-1")
	fmt.Println(err)
	// Output:
	// app-1 was added
	// <nil>
	// dcr: client id is taken
	// 1 <nil>
	// app-1 was deleted
	// <nil>
	// dcr: client not found
}

// Another store finds clients that publish their metadata: each endpoint gets
// its own view of it, and discovery follows.
func Example_documents() {
	const issuer = "https://id.example.com"
	clients := memstore.New() // or any other
	policy := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"mcp:tools"}, AuthorizationResponseIss: true}}
	store, err := cimd.New(clients, &cimd.Options{Issuer: issuer, Validator: policy, Admit: cimd.Hosts("claude.ai", "*.vscode.dev")})
	if err != nil {
		log.Fatal(err)
	}
	handler, err := dcr.NewHandler(clients, &dcr.Options{Endpoint: issuer + "/connect/dcr", Validator: policy, Documents: store.Advertised})
	if err != nil {
		log.Fatal(err)
	}
	authorize := func(w http.ResponseWriter, r *http.Request) {
		client, err := store.FindByClientID(r.Context(), r.FormValue("client_id")) // may fetch
		if err != nil {
			http.Error(w, "this client is not allowed here", http.StatusBadRequest) // show your own page, never redirect
			return
		}
		fmt.Fprint(w, client.ClientName)
	}
	token := &clientauth.Authenticator{Store: store.Known(), Audience: []string{issuer}} // never fetches

	mux := http.NewServeMux()
	mux.Handle("/connect/dcr", handler)
	mux.HandleFunc("/connect/authorize", authorize)
	mux.Handle("/connect/token", token.Require(http.NotFoundHandler()))

	_, err = store.FindByClientID(context.Background(), "https://elsewhere.example/client")
	fmt.Println(err)
	// Output: invalid_client: this server does not accept clients from the host of this client_id
}

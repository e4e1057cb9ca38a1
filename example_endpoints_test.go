package dcr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// tokenEndpoint begins as every endpoint does that authenticates clients.
func tokenEndpoint(store dcr.ClientConfigurationStore) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		clientID, secret, _ := dcr.BasicCredentials(r) // form-decoded, as RFC 6749 §2.3.1 has it
		client, err := store.FindByClientID(r.Context(), clientID)
		if err == nil && client.MatchSecret(secret, time.Now()) {
			err = client.CheckUsable(time.Now()) // it proved who it is, and is told if it waits for approval
		}
		if err != nil || !client.VerifySecret(secret.Reveal(), time.Now()) {
			dcr.WriteInvalidClient(w, r, err) // 401, 400 to a pending client, 503 when the store is out of order
			return
		}
		if uses, ok := dcr.StoreAs[dcr.ClientToucher](store); ok {
			uses.TouchClient(r.Context(), clientID, time.Now()) // else a sweep takes it for unused
		}
		fmt.Fprintln(w, "a token for", client.ClientName)
	}
}

// authorizeEndpoint sends nobody to a redirect URI that is not the client's: it
// shows an error page of its own.
func authorizeEndpoint(store dcr.ClientConfigurationStore) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		client, err := store.FindByClientID(r.Context(), r.FormValue("client_id"))
		if err != nil {
			http.Error(w, "This application is not registered here.", http.StatusBadRequest)
			return
		}
		granted, err := client.CheckAuthorization(dcr.AuthorizationRequest{
			RedirectURI:         r.FormValue("redirect_uri"),
			ResponseType:        r.FormValue("response_type"),
			ResponseMode:        r.FormValue("response_mode"),
			Scopes:              strings.Fields(r.FormValue("scope")),
			Resources:           r.Form["resource"],
			CodeChallenge:       r.FormValue("code_challenge"),
			CodeChallengeMethod: r.FormValue("code_challenge_method"),
		}, time.Now())
		var refused *dcr.AuthorizationError
		if errors.As(err, &refused) {
			refuseAuthorization(w, r, refused)
			return
		}
		fmt.Fprintln(w, "may", client.ClientName, "have", granted.Scopes)
	}
}

// refuseAuthorization tells the client, if it is known to be there, or else the
// person. A server adds state and iss, and answers other response types than
// code in the fragment.
func refuseAuthorization(w http.ResponseWriter, r *http.Request, refused *dcr.AuthorizationError) {
	to, err := url.Parse(refused.RedirectURI)
	if refused.RedirectURI == "" || err != nil {
		http.Error(w, "This application may not send you here: "+refused.Description, http.StatusBadRequest)
		return
	}
	answer := to.Query()
	answer.Set("error", string(refused.Code))
	answer.Set("error_description", refused.Description)
	to.RawQuery = answer.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// A server's own endpoints ask the store for the client, and the client itself
// whether a secret or an authorization request is its own.
func ExampleClient() {
	store := memstore.New()
	client := dcr.NewClient()
	client.ID, client.ClientName = "app-1", "My App"
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	client.ResponseTypes, client.Scope = []string{"code"}, "files.read files.write"
	client.Secrets = []dcr.Secret{dcr.HashSecret("its-secret")}
	if err := store.Add(context.Background(), client); err != nil {
		fmt.Println(err)
		return
	}
	for _, secret := range []string{"its-secret", "a-guess"} {
		r := httptest.NewRequest("POST", "/token", nil)
		r.SetBasicAuth("app-1", secret)
		w := httptest.NewRecorder()
		tokenEndpoint(store)(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	fmt.Println()
	const challenge = "&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	for _, query := range []string{
		"redirect_uri=https://app.example.com/callback&scope=files.read+admin" + challenge,
		"redirect_uri=https://app.example.com/callback&scope=admin" + challenge,
		"redirect_uri=https://app.example.com.evil.example/callback&scope=files.read" + challenge,
	} {
		w := httptest.NewRecorder()
		authorizeEndpoint(store)(w, httptest.NewRequest("POST", "/authorize?response_type=code&client_id=app-1&"+query, nil))
		fmt.Println(w.Code, w.Header().Get("Location")+strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 200 a token for My App
	// 401 {"error":"invalid_client","error_description":"client authentication failed"}
	// 200 may My App have [files.read]
	// 303 https://app.example.com/callback?error=invalid_scope&error_description=scope+must+have+at+least+one+that+the+client+registered
	// 400 This application may not send you here: redirect_uri must be one that the client registered
}

// A server with an endpoint of its own judges a body, issues what the client
// needs, and answers as a Handler does; see examples/ownstore.
func ExampleParseRequest() {
	policy, ctx := dcr.DefaultValidator{}, context.Background()
	request, err := dcr.ParseRequest([]byte(`{"redirect_uris":["https://app.example.com/callback"]}`), dcr.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	reg := &dcr.Registration{Request: request, Client: dcr.StartingClient(policy, nil)}
	reg.Client.ID, reg.Client.CreatedAt = "app-1", time.Unix(1_777_896_000, 0)
	if err := dcr.Validate(ctx, policy, reg); err != nil {
		fmt.Println(err)
		return
	}
	secret := dcr.Plaintext("")
	if reg.Client.NeedsSecret() {
		secret = "drawn-by-RandomClientSecret"
	}
	res, err := dcr.NewResponse(ctx, policy, reg, secret, "")
	w := httptest.NewRecorder()
	if err == nil {
		err = dcr.WriteResponse(w, http.StatusCreated, res)
	}
	fmt.Println(w.Code, err)
	fmt.Println(strings.ReplaceAll(w.Body.String(), ",", ",\n"))
	// Output:
	// 201 <nil>
	// {"client_id":"app-1",
	// "client_secret":"drawn-by-RandomClientSecret",
	// "client_secret_expires_at":0,
	// "client_id_issued_at":1777896000,
	// "redirect_uris":["https://app.example.com/callback"],
	// "token_endpoint_auth_method":"client_secret_basic",
	// "grant_types":["authorization_code"],
	// "response_types":["code"]}
}

// A logout token goes to an address that a client named: by a client that
// reaches no special-use address, follows no redirect and is bounded.
func ExampleGuardedClient_HTTPClient() {
	guarded := &dcr.GuardedClient{Timeout: 2 * time.Second}
	for _, backchannelLogoutURI := range []string{"https://169.254.169.254/latest/meta-data", "http://app.example.com/logout"} {
		response, err := guarded.HTTPClient().PostForm(backchannelLogoutURI, url.Values{"logout_token": {"a JWT"}})
		if err != nil { // for the log, never for the client
			fmt.Println("refused:", errors.Is(err, dcr.ErrAddressRefused))
			continue
		}
		response.Body.Close()
	}
	// Output:
	// refused: true
	// refused: true
}

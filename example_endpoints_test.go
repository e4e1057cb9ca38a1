package dcr_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

// server is the host's part. It keeps grants in this process, for one request at
// a time; use a database instead.
type server struct {
	store     dcr.ClientConfigurationStore
	clients   *clientauth.Authenticator // finds the client that sends a request
	consents  map[string]time.Time      // by client and scopes, for the only person there is
	codes     map[string]grant
	refreshes map[string]grant
	issued    int
}

// name makes a code or a refresh token. In a real server, it must be random.
func (s *server) name(kind string) string {
	s.issued++
	return fmt.Sprint(kind, "-", s.issued)
}

// grant is what a person has granted.
type grant struct {
	clientID, redirectURI, challenge string
	scopes                           []string
	method                           string    // with which the client authenticated when it sent the code
	first                            time.Time // when it did
	ends                             time.Time // zero means never
}

// authorize sends a person only to a redirect URI of the client. If there is
// none, it shows a page of its own.
func (s *server) authorize(w http.ResponseWriter, r *http.Request) {
	client, err := s.store.FindByClientID(r.Context(), r.FormValue("client_id"))
	if err != nil {
		refusePerson(w, err)
		return
	}
	request := authorizationRequest(r)
	granted, err := client.CheckAuthorization(request, time.Now())
	if refused, ok := errors.AsType[*dcr.AuthorizationError](err); ok {
		answer(w, r, refused.RedirectURI, "error", string(refused.Code), "error_description", refused.Description)
		return
	}
	consent := client.ID + " " + strings.Join(granted.Scopes, " ")
	if r.PostFormValue("consent") == "given" { // from the page below, which a server holds against forgery
		s.consents[consent] = time.Now()
	} else if client.NeedsConsent(s.consents[consent], time.Now()) {
		consentPage.Execute(w, client.ConsentView(dcr.ConsentOptions{
			RedirectURI: granted.RedirectURI,
			Languages:   []string{"de-CH", "en"}, // of the person
			Reserved:    map[string][]string{"Contoso": {"contoso.example", "*.contoso.example"}},
		}))
		return
	}
	code := s.name("code")
	s.codes[code] = grant{
		clientID: client.ID, redirectURI: request.RedirectURI, challenge: request.CodeChallenge, scopes: granted.Scopes,
		ends: time.Now().Add(client.AuthorizationCodeLifetime),
	}
	answer(w, r, granted.RedirectURI, "code", code)
}

// authorizationRequest reads an authorization request.
func authorizationRequest(r *http.Request) dcr.AuthorizationRequest {
	return dcr.AuthorizationRequest{
		RedirectURI:         r.FormValue("redirect_uri"),
		ResponseType:        r.FormValue("response_type"),
		ResponseMode:        r.FormValue("response_mode"),
		Scopes:              strings.Fields(r.FormValue("scope")),
		Resources:           r.Form["resource"],
		CodeChallenge:       r.FormValue("code_challenge"),
		CodeChallengeMethod: r.FormValue("code_challenge_method"),
	}
}

// refusePerson tells a person that there is no such client, or that there is an
// outage.
func refusePerson(w http.ResponseWriter, err error) {
	if !errors.Is(err, dcr.ErrClientNotFound) {
		http.Error(w, "This does not work at the moment.", http.StatusServiceUnavailable)
		return
	}
	http.Error(w, "This application is not registered here.", http.StatusBadRequest)
}

// answer tells the client, if its redirect URI is known, or else the person. A
// real server adds state and iss, and answers as Authorization.ResponseMode
// says.
func answer(w http.ResponseWriter, r *http.Request, redirectURI string, parameters ...string) {
	to, err := url.Parse(redirectURI)
	if redirectURI == "" || err != nil {
		http.Error(w, "This application may not send you here: "+strings.Join(parameters, " "), http.StatusBadRequest)
		return
	}
	query := to.Query()
	for pair := range slices.Chunk(parameters, 2) {
		query.Set(pair[0], pair[1])
	}
	to.RawQuery = query.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// token exchanges codes and refresh tokens.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	refresh, refreshes := s.refreshes[r.PostFormValue("refresh_token")]
	authenticate := s.clients.Authenticate // by the method that the client registered
	if refreshes {
		authenticate = func(r *http.Request) (*clientauth.Authentication, error) {
			return s.clients.AuthenticateRefresh(r, refresh.method) // and that began the grant
		}
	}
	sender, err := authenticate(r)
	if err != nil {
		clientauth.WriteError(w, r, err)
		return
	}
	given, err := s.redeem(r, sender)
	if err != nil {
		dcr.WriteError(w, r, err)
		return
	}
	client := sender.Client
	fmt.Fprintln(w, "a token for", client.ClientName, "with", client.GrantScopes(given.scopes))
	if client.HasGrant("refresh_token") {
		given.ends = client.RefreshTokenEnd(given.first, time.Now())
		s.refreshes[s.name("refresh")] = given
	}
}

// redeem returns the grant of the code or the refresh token that the client sent.
func (s *server) redeem(r *http.Request, sender *clientauth.Authentication) (grant, error) {
	grants, name := s.codes, "code"
	grantType := r.PostFormValue("grant_type")
	if grantType == "refresh_token" {
		grants, name = s.refreshes, "refresh_token"
	}
	if !sender.Client.HasGrant(grantType) {
		return grant{}, dcr.Errorf(dcr.UnauthorizedClient, "grant_type must be one that the client registered")
	}
	given, now := grants[r.PostFormValue(name)], time.Now()
	if given.clientID != sender.Client.ID || !given.ends.IsZero() && now.After(given.ends) {
		return grant{}, dcr.Errorf(dcr.InvalidGrant, "%s must be the client's own, and good", name)
	}
	delete(grants, r.PostFormValue(name)) // used up
	if name == "refresh_token" {
		return given, nil
	}
	if given.redirectURI != r.PostFormValue("redirect_uri") {
		return grant{}, dcr.Errorf(dcr.InvalidGrant, "redirect_uri must be that of the authorization request")
	}
	given.method, given.first = sender.Method, now
	return given, sender.Client.VerifyCodeVerifier(given.challenge, "S256", r.PostFormValue("code_verifier"))
}

// A server's own endpoints: a person consents, and the client gets tokens.
func Example_endpoints() {
	store := memstore.New()
	client := dcr.NewClient()
	client.ID, client.ClientName, client.Source = "app-1", "My App", dcr.SourceDynamic
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	client.GrantTypes, client.AllowOfflineAccess = []string{"authorization_code", "refresh_token"}, true
	client.ResponseTypes, client.Scope = []string{"code"}, "files.read files.write"
	client.Secrets = []dcr.Secret{dcr.HashSecret("its-secret")}
	if err := store.Add(context.Background(), client); err != nil {
		fmt.Println(err)
		return
	}
	s := &server{
		store: store, clients: &clientauth.Authenticator{Store: store, Audience: []string{"https://id.example.com"}},
		consents: map[string]time.Time{}, codes: map[string]grant{}, refreshes: map[string]grant{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /authorize", s.authorize)
	mux.Handle("POST /token", http.MaxBytesHandler(http.HandlerFunc(s.token), 64<<10)) // it reads the form before Authenticate bounds it
	mux.Handle("POST /revoke", s.clients.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "revoked for", clientauth.FromContext(r.Context()).Client.ClientName)
	})))
	send := func(path, secret, form string) {
		r := httptest.NewRequest("POST", path, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if secret != "" {
			r.SetBasicAuth("app-1", secret)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("Location")+strings.TrimSpace(w.Body.String()))
	}
	const asks = "client_id=app-1&response_type=code&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&redirect_uri=https://app.example.com"
	const verifier = "&redirect_uri=https://app.example.com/callback&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	send("/authorize", "", asks+".evil.example/callback&scope=files.read")
	send("/authorize", "", asks+"/callback&scope=admin")
	send("/authorize", "", asks+"/callback&scope=files.read+admin")
	send("/authorize", "", asks+"/callback&scope=files.read+admin&consent=given")
	send("/token", "a-guess", "grant_type=authorization_code&code=code-1"+verifier)
	send("/token", "its-secret", "grant_type=authorization_code&code=code-1"+verifier)
	send("/token", "its-secret", "grant_type=refresh_token&refresh_token=refresh-2")
	send("/token", "its-secret", "grant_type=refresh_token&refresh_token=refresh-2")
	send("/revoke", "its-secret", "token=refresh-3")
	// Output:
	// 400 This application may not send you here: error invalid_request error_description redirect_uri must be one that the client registered
	// 303 https://app.example.com/callback?error=invalid_scope&error_description=scope+must+have+at+least+one+that+the+client+registered
	// 200 <p>May <b><bdi>app.example.com</bdi></b> act for you?
	// <p>It calls itself “<bdi>My App</bdi>”.
	// <p>The answer goes to <bdi>app.example.com</bdi>.
	// <p role="note">Nobody here has reviewed this application.
	// 303 https://app.example.com/callback?code=code-1
	// 401 {"error":"invalid_client","error_description":"client authentication failed"}
	// 200 a token for My App with [files.read]
	// 200 a token for My App with [files.read]
	// 400 {"error":"invalid_grant","error_description":"refresh_token must be the client's own, and good"}
	// 200 revoked for My App
}

// A server with its own endpoint judges a body, issues what the client needs,
// and answers as a Handler does; see examples/ownstore.
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

// A logout token goes to an address that a client chose. It is sent with an
// HTTP client that reaches no special-use address, follows no redirect and has
// limits.
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

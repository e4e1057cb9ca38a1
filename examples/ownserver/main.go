// Ownserver is an OAuth authorization server in one file: clients register,
// people consent, and codes are exchanged for tokens, which can be refreshed,
// introspected and revoked. Package dcr decides what a registered client may do;
// this file has the rest of the server. Its only user is always signed in, and its
// tokens are lost when the process ends.
//
//	go run ./examples/ownserver
package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/examples/internal/localhost"
	"github.com/dynreg/dcr/memstore"
)

// grant is what a person allowed a client to do.
type grant struct {
	clientID, method       string // method is how the client authenticated first
	redirectURI, challenge string // from the authorization request
	scopes                 []string
	began                  time.Time
	ended                  bool // all of its tokens are invalid
}

// token is a code, an access token or a refresh token.
type token struct {
	*grant
	kind   string
	scopes []string
	ends   time.Time // zero: never
	used   bool
}

type server struct {
	issuer  string
	store   dcr.ClientConfigurationStore
	clients *clientauth.Authenticator

	mu     sync.Mutex
	tokens map[string]*token // by hash; a real server keeps them in its database
}

// supports says what clients may register for. The discovery document says the same.
var supports = dcr.Capabilities{
	Scopes:                   []string{"files.read", "files.write"},
	GrantTypes:               []string{"authorization_code", "refresh_token"},
	TokenEndpointAuthMethods: []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
}

// newServer returns the endpoints of an issuer. Anybody may register.
func newServer(issuer string, store dcr.ClientConfigurationStore) (http.Handler, error) {
	s := &server{issuer: issuer, store: store, tokens: make(map[string]*token)}
	s.clients = &clientauth.Authenticator{Store: store, Audience: []string{issuer, issuer + "/token"}}
	pages := dcr.CORS{AnyOrigin: true}
	registration, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: issuer + "/register", AllowAnonymous: true, CORS: pages,
		Validator: dcr.DefaultValidator{Supports: supports, DefaultScopes: supports.Scopes},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/register", registration)
	mux.Handle("/.well-known/", registration.ServeDiscovery(issuer, map[string]any{
		"authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
		"introspection_endpoint": issuer + "/introspect", "revocation_endpoint": issuer + "/revoke",
	}))
	consent := http.NewCrossOriginProtection() // no other site can submit the form
	mux.Handle("/authorize", consent.Handler(http.HandlerFunc(s.authorize)))
	mux.Handle("/token", pages.Wrap(http.HandlerFunc(s.token), "POST"))
	mux.Handle("/revoke", pages.Wrap(s.clients.Require(http.HandlerFunc(s.revoke)), "POST"))
	mux.Handle("POST /introspect", s.clients.Require(http.HandlerFunc(s.introspect)))
	return http.MaxBytesHandler(mux, 64<<10), nil
}

// issue creates and stores a token.
func (s *server) issue(g *grant, kind string, scopes []string, ends time.Time) string {
	secret := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[key(secret)] = &token{grant: g, kind: kind, scopes: scopes, ends: ends}
	return secret
}

// find returns a copy of a token that is still valid, and whether there is one.
func (s *server) find(secret, kind string) (token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.tokens[key(secret)]
	if !known || !t.good(kind) {
		return token{}, false
	}
	return *t, true
}

// take is find for a code or a refresh token of the client, and uses it up: if two
// requests use it at once, one succeeds. If it is used a second time, one of the two
// was a thief, so all tokens of the grant become invalid (RFC 9700 §4.14.2).
func (s *server) take(secret, kind string, client *dcr.Client) (token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.tokens[key(secret)]
	if !known || t.clientID != client.ID {
		return token{}, false
	}
	good := t.good(kind)
	t.ended = t.ended || t.used
	t.used = t.used || good
	return *t, good
}

func (t *token) good(kind string) bool {
	return t.kind == kind && !t.used && !t.ended && (t.ends.IsZero() || time.Now().Before(t.ends))
}

func key(secret string) string { return dcr.HashSecret(dcr.Plaintext(secret)).Value }

var consentPage = template.Must(template.New("consent").Parse(`<!DOCTYPE html><html lang="en"><title>Consent</title>
<h1>{{.View.Identity}}{{with .View.Name}}, which calls itself <bdi>{{.}}</bdi>,{{end}} wants to: {{range .Scopes}}{{.}} {{end}}</h1>
<p>You will be sent to {{.View.RedirectHost}}.{{range .View.Warnings}} {{.}}{{end}}</p>
<form method="post"><button name="answer" value="yes">Allow</button> <button name="answer" value="no">Deny</button></form>`))

// authorize is the authorization endpoint. A GET shows the consent page, which posts
// to the same URL.
func (s *server) authorize(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	query := r.URL.Query()
	client, err := s.store.FindByClientID(r.Context(), query.Get("client_id"))
	switch {
	case errors.Is(err, dcr.ErrClientNotFound):
		http.Error(w, "This application is not registered here.", http.StatusBadRequest)
		return
	case err != nil:
		log.Print("authorize: ", err)
		http.Error(w, "Please try again in a minute.", http.StatusServiceUnavailable)
		return
	}
	granted, err := client.CheckAuthorization(dcr.AuthorizationRequest{
		RedirectURI: query.Get("redirect_uri"), ResponseType: query.Get("response_type"), ResponseMode: query.Get("response_mode"),
		Scopes: strings.Fields(query.Get("scope")), Resources: query["resource"],
		CodeChallenge: query.Get("code_challenge"), CodeChallengeMethod: query.Get("code_challenge_method"),
	}, time.Now())
	refused := (*dcr.AuthorizationError)(nil)
	switch {
	case errors.As(err, &refused) && refused.RedirectURI == "":
		http.Error(w, "This application may not send you here: "+refused.Description, http.StatusBadRequest)
	case errors.As(err, &refused):
		s.answer(w, r, refused.RedirectURI, "error", string(refused.Code))
	case granted.ResponseMode != "query":
		s.answer(w, r, granted.RedirectURI, "error", "invalid_request")
	case r.Method != http.MethodPost:
		view := client.ConsentView(dcr.ConsentOptions{RedirectURI: granted.RedirectURI})
		consentPage.Execute(w, map[string]any{"View": view, "Scopes": granted.Scopes})
	case r.PostFormValue("answer") != "yes":
		s.answer(w, r, granted.RedirectURI, "error", "access_denied")
	default:
		g := &grant{clientID: client.ID, redirectURI: query.Get("redirect_uri"), challenge: query.Get("code_challenge"), scopes: granted.Scopes, began: time.Now()}
		s.answer(w, r, granted.RedirectURI, "code", s.issue(g, "code", g.scopes, g.began.Add(client.AuthorizationCodeLifetime)))
	}
}

// answer sends the browser back to the client (RFC 6749 §4.1.2, RFC 9207).
func (s *server) answer(w http.ResponseWriter, r *http.Request, redirectURI, name, value string) {
	to, err := url.Parse(redirectURI)
	if err != nil {
		http.Error(w, "This application may not send you here.", http.StatusBadRequest)
		return
	}
	query := to.Query()
	query.Set(name, value)
	query.Set("iss", s.issuer)
	if state := r.URL.Query().Get("state"); state != "" {
		query.Set("state", state)
	}
	to.RawQuery = query.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// token is the token endpoint.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	response, err := s.exchange(r)
	if err != nil {
		clientauth.WriteError(w, r, err)
		return
	}
	writeJSON(w, response)
}

// exchange returns the answer to a token request. If the store is down, Authenticate
// fails before a code or a token is used up.
func (s *server) exchange(r *http.Request) (map[string]any, error) {
	authenticate := s.clients.Authenticate
	if refreshed, good := s.find(r.PostFormValue("refresh_token"), "refresh"); good {
		authenticate = func(r *http.Request) (*clientauth.Authentication, error) {
			return s.clients.AuthenticateRefresh(r, refreshed.method)
		}
	}
	sender, err := authenticate(r)
	if err != nil {
		return nil, err
	}
	client, grantType := sender.Client, r.PostFormValue("grant_type")
	switch {
	case !slices.Contains(supports.GrantTypes, grantType):
		return nil, refuse("unsupported_grant_type", "grant_type must be one of: "+strings.Join(supports.GrantTypes, ", "))
	case !client.HasGrant(grantType):
		return nil, refuse(dcr.UnauthorizedClient, "the client did not register this grant type")
	case grantType == "refresh_token":
		return s.refresh(r, client)
	}
	return s.redeem(r, sender)
}

// redeem exchanges a code.
func (s *server) redeem(r *http.Request, sender *clientauth.Authentication) (map[string]any, error) {
	client := sender.Client
	t, good := s.take(r.PostFormValue("code"), "code", client)
	if !good || t.redirectURI != r.PostFormValue("redirect_uri") {
		return nil, refuse(dcr.InvalidGrant, "the code is not valid, not for this client, or not for this redirect_uri")
	}
	if err := client.VerifyCodeVerifier(t.challenge, "S256", r.PostFormValue("code_verifier")); err != nil {
		return nil, err
	}
	t.grant.method = sender.Method
	response := s.respond(t.grant, client, client.GrantScopes(t.scopes))
	if client.HasGrant("refresh_token") {
		response["refresh_token"] = s.issue(t.grant, "refresh", t.scopes, client.RefreshTokenEnd(t.began, time.Now()))
	}
	return response, nil
}

// refresh returns an access token for what is left of the grant, or for the part of
// it that is requested, and the next refresh token.
func (s *server) refresh(r *http.Request, client *dcr.Client) (map[string]any, error) {
	t, good := s.take(r.PostFormValue("refresh_token"), "refresh", client)
	if !good {
		return nil, refuse(dcr.InvalidGrant, "the refresh token is not valid, or not for this client")
	}
	scopes := client.GrantScopes(t.scopes)
	if asked := strings.Fields(r.PostFormValue("scope")); len(asked) > 0 {
		scopes = slices.DeleteFunc(scopes, func(scope string) bool { return !slices.Contains(asked, scope) })
	}
	response := s.respond(t.grant, client, scopes)
	response["refresh_token"] = s.issue(t.grant, "refresh", t.scopes, client.RefreshTokenEnd(t.began, time.Now()))
	return response, nil
}

// respond issues an access token. The answer has the scope even if it is the
// requested one.
func (s *server) respond(g *grant, client *dcr.Client, scopes []string) map[string]any {
	return map[string]any{
		"access_token": s.issue(g, "access", scopes, time.Now().Add(client.AccessTokenLifetime)),
		"token_type":   "Bearer", "expires_in": int(client.AccessTokenLifetime.Seconds()), "scope": strings.Join(scopes, " "),
	}
}

// introspect answers confidential clients about any token (RFC 7662).
func (s *server) introspect(w http.ResponseWriter, r *http.Request) {
	if clientauth.FromContext(r.Context()).Client.Public() {
		clientauth.WriteError(w, r, refuse(dcr.UnauthorizedClient, "only confidential clients may introspect tokens"))
		return
	}
	t, good := s.find(r.PostFormValue("token"), "access")
	if !good {
		writeJSON(w, map[string]any{"active": false})
		return
	}
	client, err := s.store.FindByClientID(r.Context(), t.clientID)
	switch {
	case errors.Is(err, dcr.ErrClientNotFound) || err == nil && !client.Usable(time.Now()):
		writeJSON(w, map[string]any{"active": false})
	case err != nil:
		clientauth.WriteError(w, r, err)
	default:
		writeJSON(w, map[string]any{"active": true, "client_id": client.ID, "scope": strings.Join(client.GrantScopes(t.scopes), " "), "exp": t.ends.Unix()})
	}
}

// revoke ends a token of the client and, if it is a refresh token, its grant (RFC
// 7009).
func (s *server) revoke(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.tokens[key(r.PostFormValue("token"))]
	if known && t.clientID == clientauth.FromContext(r.Context()).Client.ID {
		t.used, t.ended = true, t.ended || t.kind == "refresh"
	}
}

func refuse(code dcr.Code, sentence string) error { return dcr.Errorf(code, "%s", sentence) }

func writeJSON(w http.ResponseWriter, members map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(members)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on this `address` of the loopback interface")
	flag.Parse()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String()
	handler, err := newServer(issuer, memstore.New())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("register a client:\n  curl -s %s/register -H 'Content-Type: application/json' -d '%s'\nready: %[1]s/register\n",
		issuer, `{"redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`)
	host := &http.Server{Handler: localhost.Only(listener.Addr(), handler), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Fatal(host.Serve(listener))
}

package main

// The authorization server. Clients register or publish a document, people consent,
// and each token is for the resources that were requested.

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/policy"
)

// grant is what a person allowed a client to do at some resources.
type grant struct {
	clientID, redirectURI, challenge string
	scopes, resources                []string
	began                            time.Time
}

// token is a code, an access token or a refresh token.
type token struct {
	grant
	kind string
	ends time.Time // zero: never
}

type authServer struct {
	issuer, secret string                       // secret is that of the resource server, which introspects tokens
	resources      []string                     // the resources that tokens can be for
	clients        dcr.ClientConfigurationStore // fetches documents, because a person waits
	authenticator  *clientauth.Authenticator    // never fetches documents

	mu     sync.Mutex
	tokens map[string]*token // by hash; a real server keeps them in its database
}

// newAuthServer returns the endpoints of an issuer. fetch fetches documents. If it is
// nil, they are fetched from public addresses only, as they should be.
func newAuthServer(store dcr.ClientConfigurationStore, issuer, secret string, resources, scopes []string, fetch *dcr.GuardedClient) (http.Handler, error) {
	preset := policy.MCP(dcr.DefaultValidator{
		Supports: dcr.Capabilities{
			Scopes: scopes, GrantTypes: []string{"authorization_code", "refresh_token"}, AuthorizationResponseIss: true,
		},
	})
	published, err := cimd.New(store, &cimd.Options{Issuer: issuer, Admit: cimd.Any, Validator: preset, Fetch: fetch})
	if err != nil {
		return nil, err
	}
	registration, err := dcr.NewHandler(store, preset.Apply(&dcr.Options{
		Endpoint: issuer + "/register", AllowAnonymous: true, Documents: published.Advertised, MaxClients: 100_000,
	}))
	if err != nil {
		return nil, err
	}
	s := &authServer{
		issuer: issuer, secret: secret, resources: resources, clients: published, tokens: make(map[string]*token),
		authenticator: &clientauth.Authenticator{Store: published.Known(), Audience: []string{issuer, issuer + "/token"}},
	}
	mux := http.NewServeMux()
	mux.Handle("/register", registration)
	mux.Handle("/.well-known/", registration.ServeDiscovery(issuer, map[string]any{
		"authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
	}))
	ownPages := http.NewCrossOriginProtection() // no other site can submit the form
	mux.Handle("/authorize", ownPages.Handler(http.HandlerFunc(s.authorize)))
	mux.Handle("/token", dcr.CORS{AnyOrigin: true}.Wrap(http.HandlerFunc(s.token), "POST"))
	mux.HandleFunc("POST /introspect", s.introspect)
	return http.MaxBytesHandler(mux, 64<<10), nil
}

var consentPage = template.Must(template.New("consent").Parse(`<!DOCTYPE html><html lang="en"><title>Consent</title>
<h1>{{.View.Identity}}{{with .View.Name}}, which calls itself <bdi>{{.}}</bdi>,{{end}} wants to: {{range .Scopes}}{{.}} {{end}}</h1>
<p>You will be sent to {{.View.RedirectHost}}.{{range .View.Warnings}} {{.}}{{end}}</p>
<form method="post"><button name="answer" value="yes">Allow</button> <button name="answer" value="no">Deny</button></form>`))

// authorize is the authorization endpoint. A GET shows the consent page, which posts
// to the same URL. The only user is always signed in.
func (s *authServer) authorize(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	query := r.URL.Query()
	client, err := s.clients.FindByClientID(r.Context(), query.Get("client_id"))
	if err != nil {
		s.unknown(w, err)
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
	case !s.has(granted.Resources):
		s.answer(w, r, granted.RedirectURI, "error", string(dcr.InvalidTarget))
	case r.Method != http.MethodPost:
		view := client.ConsentView(dcr.ConsentOptions{RedirectURI: granted.RedirectURI})
		consentPage.Execute(w, map[string]any{"View": view, "Scopes": granted.Scopes})
	case r.PostFormValue("answer") != "yes":
		s.answer(w, r, granted.RedirectURI, "error", "access_denied")
	default:
		if err := dcr.NoteConsent(r.Context(), s.clients, client.ID, "ann", time.Now()); err != nil { // the client is in use, so no sweep deletes it
			s.unknown(w, err)
			return
		}
		g := grant{clientID: client.ID, redirectURI: query.Get("redirect_uri"), challenge: query.Get("code_challenge"), scopes: granted.Scopes, resources: granted.Resources, began: time.Now()}
		s.answer(w, r, granted.RedirectURI, "code", s.issue(g, "code", g.began.Add(client.AuthorizationCodeLifetime)))
	}
}

// has reports whether tokens can be for all of these resources.
func (s *authServer) has(resources []string) bool {
	return !slices.ContainsFunc(resources, func(resource string) bool { return !slices.Contains(s.resources, resource) })
}

// unknown shows a page that says why a client is not accepted. It does not redirect.
func (s *authServer) unknown(w http.ResponseWriter, err error) {
	refused := (*dcr.Error)(nil)
	switch {
	case errors.Is(err, dcr.ErrClientNotFound):
		http.Error(w, "This application is not registered here.", http.StatusBadRequest)
	case errors.As(err, &refused):
		http.Error(w, "This application is not accepted: "+refused.Description, http.StatusBadRequest)
	default:
		log.Print("authorize: ", err)
		http.Error(w, "Please try again in a minute.", http.StatusServiceUnavailable)
	}
}

// answer sends the browser back to the client (RFC 6749 §4.1.2, RFC 9207).
func (s *authServer) answer(w http.ResponseWriter, r *http.Request, redirectURI, name, value string) {
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
func (s *authServer) token(w http.ResponseWriter, r *http.Request) {
	response, err := s.exchange(r)
	if err != nil {
		clientauth.WriteError(w, r, err)
		return
	}
	writeJSON(w, response)
}

// exchange returns the answer to a token request.
func (s *authServer) exchange(r *http.Request) (map[string]any, error) {
	sender, err := s.authenticator.Authenticate(r)
	if err != nil {
		return nil, err
	}
	client, grantType := sender.Client, r.PostFormValue("grant_type")
	kind := map[string]string{"authorization_code": "code", "refresh_token": "refresh"}[grantType]
	presented := r.PostFormValue(map[string]string{"code": "code", "refresh": "refresh_token"}[kind])
	if kind == "" || !client.HasGrant(grantType) {
		return nil, dcr.Errorf(dcr.UnauthorizedClient, "grant_type must be one of those that the client registered")
	}
	t, good := s.take(presented, kind, client)
	if !good || kind == "code" && t.redirectURI != r.PostFormValue("redirect_uri") {
		return nil, dcr.Errorf(dcr.InvalidGrant, "the %s is not valid, not for this client, or not for this redirect_uri", kind)
	}
	if kind == "code" {
		if err := client.VerifyCodeVerifier(t.challenge, "S256", r.PostFormValue("code_verifier")); err != nil {
			return nil, err
		}
	}
	g := t.grant
	if asked := r.PostForm["resource"]; len(asked) > 0 { // some of those in the grant (RFC 8707 §2.2)
		if slices.ContainsFunc(asked, func(resource string) bool { return !slices.Contains(g.resources, resource) }) {
			return nil, dcr.Errorf(dcr.InvalidTarget, "resource must be one that the user consented to")
		}
		g.resources = asked
	}
	g.scopes = client.GrantScopes(g.scopes)
	response := map[string]any{
		"access_token": s.issue(g, "access", time.Now().Add(client.AccessTokenLifetime)),
		"token_type":   "Bearer", "expires_in": int(client.AccessTokenLifetime.Seconds()), "scope": strings.Join(g.scopes, " "),
	}
	if client.HasGrant("refresh_token") {
		response["refresh_token"] = s.issue(t.grant, "refresh", client.RefreshTokenEnd(t.began, time.Now()))
	}
	return response, nil
}

// issue creates and stores a token.
func (s *authServer) issue(g grant, kind string, ends time.Time) string {
	secret := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[key(secret)] = &token{grant: g, kind: kind, ends: ends}
	return secret
}

// take uses up a code or a refresh token of the client: if two requests use it at
// once, one succeeds.
func (s *authServer) take(secret, kind string, client *dcr.Client) (token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[key(secret)]
	if t == nil || !t.good(kind) || t.clientID != client.ID {
		return token{}, false
	}
	delete(s.tokens, key(secret))
	return *t, true
}

func (t *token) good(kind string) bool {
	return t.kind == kind && (t.ends.IsZero() || time.Now().Before(t.ends))
}

func key(secret string) string { return dcr.HashSecret(dcr.Plaintext(secret)).Value }

// introspect answers the resource server about a token (RFC 7662). A token is active
// only while its client is usable. An outage is not an inactive token.
func (s *authServer) introspect(w http.ResponseWriter, r *http.Request) {
	_, secret, _ := r.BasicAuth()
	if subtle.ConstantTimeCompare([]byte(secret), []byte(s.secret)) == 0 {
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "only the resource server may introspect tokens", http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	t := s.tokens[key(r.PostFormValue("token"))]
	s.mu.Unlock()
	if t == nil || !t.good("access") {
		writeJSON(w, map[string]any{"active": false})
		return
	}
	client, err := s.authenticator.Store.FindByClientID(r.Context(), t.clientID)
	refused, _ := errors.AsType[*dcr.Error](err) // its document is gone
	switch isGone := errors.Is(err, dcr.ErrClientNotFound) || refused.Refuses(); {
	case isGone || err == nil && !client.Usable(time.Now()):
		writeJSON(w, map[string]any{"active": false})
		return
	case err != nil:
		clientauth.WriteError(w, r, err)
		return
	}
	writeJSON(w, map[string]any{
		"active": true, "client_id": t.clientID, "sub": "ann", "scope": strings.Join(client.GrantScopes(t.scopes), " "), "aud": t.resources, "exp": t.ends.Unix(),
	})
}

func writeJSON(w http.ResponseWriter, members map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(members)
}

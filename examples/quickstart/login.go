package main

// With -documents: a minimal authorization server for clients that publish their
// metadata, and for those that registered. It has no users who sign in, and nothing
// accepts its tokens.

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
)

func (s *settings) documentFlags() {
	s.Func("documents", "also accept clients that publish their metadata on these `hosts`, separated by commas, such as claude.ai,*.vscode.dev; * accepts any", func(hosts string) error {
		s.documents = strings.Split(hosts, ",")
		return nil
	})
}

// login has the authorization endpoint and the token endpoint.
type login struct {
	issuer       string
	clients      dcr.ClientConfigurationStore // fetches documents, because a person waits
	authenticate *clientauth.Authenticator    // never fetches documents

	mu    sync.Mutex
	codes map[string]grant
}

// grant is what a code stands for.
type grant struct {
	clientID, document, redirectURI, challenge, scope string
	ends                                              time.Time
}

// login returns the endpoints, or nil without -documents, and adds documents to
// discovery.
func (s *settings) login(store dcr.ClientConfigurationStore, issuer string) (l *login, err error) {
	if s.documents == nil {
		return nil, nil
	}
	defer func() {
		if wrong := recover(); wrong != nil { // Hosts panics, because hosts are usually in the program
			err = fmt.Errorf("-documents: %v", wrong)
		}
	}()
	admit := cimd.Any
	if len(s.documents) != 1 || s.documents[0] != "*" {
		admit = cimd.Hosts(s.documents...)
	}
	clients, err := cimd.New(store, &cimd.Options{Issuer: issuer, Admit: admit, Validator: s.options.Validator, Fetch: s.validator.Fetch})
	if err != nil {
		return nil, err
	}
	s.options.Documents = clients.Advertised
	return &login{
		issuer: issuer, clients: clients, codes: make(map[string]grant),
		authenticate: &clientauth.Authenticator{Store: clients.Known(), Audience: []string{issuer, issuer + "/connect/token"}, Keys: &dcr.ClientKeys{Fetch: s.validator.Fetch}},
	}, nil
}

func (l *login) mount(mux *http.ServeMux) {
	ownPages := http.NewCrossOriginProtection()
	mux.HandleFunc("GET /connect/authorize", l.ask)
	mux.Handle("POST /connect/authorize", ownPages.Handler(http.HandlerFunc(l.allow)))
	mux.HandleFunc("POST /connect/token", l.token)
}

// judge checks an authorization request. It answers a bad one with a page or, if that
// is safe, with a redirect to the client, and returns nil.
func (l *login) judge(w http.ResponseWriter, r *http.Request) (*dcr.Client, *dcr.Authorization) {
	query := r.URL.Query()
	client, err := l.clients.FindByClientID(r.Context(), query.Get("client_id"))
	if err != nil {
		status, sentence := http.StatusServiceUnavailable, "The client cannot be looked up at the moment. Please try again later."
		if refused := (*dcr.Error)(nil); errors.As(err, &refused) {
			status, sentence = http.StatusBadRequest, "This client is not accepted: "+refused.Description+"."
		} else if errors.Is(err, dcr.ErrClientNotFound) {
			status, sentence = http.StatusBadRequest, "This client is not known here."
		}
		show(w, status, view{Refusal: sentence})
		return nil, nil
	}
	granted, err := client.CheckAuthorization(dcr.AuthorizationRequest{
		RedirectURI: query.Get("redirect_uri"), ResponseType: query.Get("response_type"), ResponseMode: query.Get("response_mode"),
		Scopes: strings.Fields(query.Get("scope")), Resources: query["resource"],
		CodeChallenge: query.Get("code_challenge"), CodeChallengeMethod: query.Get("code_challenge_method"),
	}, time.Now())
	refused := (*dcr.AuthorizationError)(nil)
	switch {
	case err == nil:
		return client, granted
	case errors.As(err, &refused) && refused.RedirectURI != "":
		l.redirect(w, r, refused.RedirectURI, url.Values{"error": {string(refused.Code)}, "error_description": {refused.Description}})
	default:
		show(w, http.StatusBadRequest, view{Refusal: err.Error()})
	}
	return nil, nil
}

// ask shows the consent page.
func (l *login) ask(w http.ResponseWriter, r *http.Request) {
	client, granted := l.judge(w, r)
	if client == nil {
		return
	}
	show(w, http.StatusOK, view{Client: client.ConsentView(dcr.ConsentOptions{RedirectURI: granted.RedirectURI}), Scope: strings.Join(granted.Scopes, " ")})
}

// allow issues a code. From here on the client counts as used, so that it is stored
// and every instance knows it.
func (l *login) allow(w http.ResponseWriter, r *http.Request) {
	client, granted := l.judge(w, r)
	if client == nil {
		return
	}
	if err := l.touch(r.Context(), client.ID); err != nil {
		log.Print("quickstart: ", err)
	}
	code := rand.Text()
	issued := grant{clientID: client.ID, redirectURI: r.URL.Query().Get("redirect_uri"), challenge: r.URL.Query().Get("code_challenge"), scope: strings.Join(granted.Scopes, " "), ends: time.Now().Add(client.AuthorizationCodeLifetime)}
	if client.Document != nil {
		issued.document = client.Document.SHA256
	}
	l.mu.Lock()
	maps.DeleteFunc(l.codes, func(_ string, g grant) bool { return time.Now().After(g.ends) })
	l.codes[code] = issued
	l.mu.Unlock()
	l.redirect(w, r, granted.RedirectURI, url.Values{"code": {code}})
}

func (l *login) touch(ctx context.Context, clientID string) error {
	store, ok := dcr.StoreAs[dcr.ClientToucher](l.clients)
	if !ok {
		return nil
	}
	return store.TouchClient(ctx, clientID, time.Now())
}

// redirect sends the browser back to the client, with state and iss (RFC 9207).
func (l *login) redirect(w http.ResponseWriter, r *http.Request, to string, parameters url.Values) {
	target, err := url.Parse(to)
	if err != nil {
		show(w, http.StatusBadRequest, view{Refusal: "The redirect URI of the client is not valid."})
		return
	}
	query := target.Query()
	maps.Copy(query, parameters)
	query.Set("iss", l.issuer)
	if state := r.URL.Query().Get("state"); state != "" {
		query.Set("state", state)
	}
	target.RawQuery = query.Encode()
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}

// token exchanges a code.
func (l *login) token(w http.ResponseWriter, r *http.Request) {
	authentication, err := l.authenticate.Authenticate(r)
	if err != nil {
		clientauth.WriteError(w, r, err)
		return
	}
	granted, err := l.exchange(authentication.Client, r.PostForm)
	if err != nil {
		dcr.WriteError(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": int(authentication.Client.AccessTokenLifetime.Seconds()), "scope": granted.scope})
}

// exchange uses up a code. It refuses a client whose document no longer has the
// redirect URI of the code.
func (l *login) exchange(client *dcr.Client, form url.Values) (grant, error) {
	if form.Get("grant_type") != "authorization_code" {
		return grant{}, dcr.Errorf("unsupported_grant_type", "grant_type must be authorization_code")
	}
	l.mu.Lock()
	granted, known := l.codes[form.Get("code")]
	delete(l.codes, form.Get("code"))
	l.mu.Unlock()
	switch {
	case !known || granted.clientID != client.ID || granted.redirectURI != form.Get("redirect_uri") || time.Now().After(granted.ends):
		return grant{}, dcr.Errorf(dcr.InvalidGrant, "the code is unknown, used, expired or for another client or redirect_uri")
	case client.Document != nil && client.Document.SHA256 != granted.document && !client.MatchRedirectURI(granted.redirectURI):
		return grant{}, dcr.Errorf(dcr.InvalidGrant, "the client has changed its redirect URIs")
	}
	return granted, client.VerifyCodeVerifier(granted.challenge, "S256", form.Get("code_verifier"))
}

// view is what a page shows. What the client cannot choose comes first.
type view struct {
	Refusal, Scope string
	Client         dcr.ConsentView
}

var pageOf = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Log in</title>
{{if .Refusal}}<p>{{.Refusal}}</p>{{else}}
<h1>{{.Client.Identity}} asks for access</h1>
<p>It calls itself <bdi>{{or .Client.Name "nothing"}}</bdi>. You will be sent to <b>{{.Client.RedirectHost}}</b>.</p>
{{range .Client.Warnings}}<p>{{.}}</p>{{end}}
<p>It requests: {{or .Scope "no scope"}}</p>
<form method="post"><button>Allow</button></form>{{end}}
`))

func show(w http.ResponseWriter, status int, v view) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	pageOf.Execute(w, v)
}

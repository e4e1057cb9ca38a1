package main

// The authorization endpoint, and the pages on which a person signs in and consents.
// Their forms post to the URL of the request, which is checked again each time, so
// requests need not be stored while a person decides.

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"

	"github.com/dynreg/dcr"
	adapter "github.com/dynreg/dcr/adapters/fosite"
)

//go:embed pages.html
var source string

var pages = template.Must(template.New("pages").Parse(source))

// style is the hash of the pages' style, the only one that the policy allows.
var style = func() string {
	_, text, _ := strings.Cut(source, "<style>")
	text, _, _ = strings.Cut(text, "</style>")
	digest := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
}()

// page is what a page shows.
type page struct {
	Name, Fault, URL string // Name is login, consent or refused; URL is where the form goes
	Client           dcr.ConsentView
	As               string // the version of the client that is shown
	Login            string // the name of the last attempt to sign in
	Scopes           []string
	Resources        []string
}

// meanings says what scopes mean, in words for people.
var meanings = map[string]string{
	"openid": "Know who you are", "profile": "See your name", "email": "See your email address", "offline_access": "Keep this access while you are away",
}

// people has the time of each sign-in, by the digest of the cookie.
type people struct {
	mu   *sync.Mutex
	open map[[32]byte]time.Time
}

const cookie = "fositeserver"

func newPeople() people { return people{new(sync.Mutex), make(map[[32]byte]time.Time)} }

// signIn begins a session. There is only one person, so a few sessions are enough.
func (p people) signIn(w http.ResponseWriter) {
	token := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	for old := range p.open {
		if len(p.open) < 1000 {
			break
		}
		delete(p.open, old)
	}
	p.open[sha256.Sum256([]byte(token))] = time.Now()
	// Lax, because the browser comes from the page of a client.
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// since returns when the person signed in, or zero if nobody is signed in.
func (p people) since(r *http.Request) time.Time {
	sent, err := r.Cookie(cookie)
	if err != nil {
		return time.Time{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.open[sha256.Sum256([]byte(sent.Value))]; time.Since(at) < 12*time.Hour {
		return at
	}
	return time.Time{}
}

// authorize is the authorization endpoint.
func (s *server) authorize(w http.ResponseWriter, r *http.Request) {
	asked := r.Clone(r.Context()) // without the form, which is not part of the request
	asked.Method, asked.Body, asked.Form, asked.PostForm = http.MethodGet, http.NoBody, nil, nil
	request, err := s.clients.CheckAuthorizeRequest(s.provider, asked)
	if err != nil {
		s.refuse(w, r, request, err)
		return
	}
	client := request.GetClient().(adapter.Client).Registered
	since, prompts := s.people.since(r), fosite.Arguments(strings.Fields(request.GetRequestForm().Get("prompt")))
	shown := page{URL: r.URL.RequestURI(), As: as(client), Client: client.ConsentView(dcr.ConsentOptions{RedirectURI: request.GetRedirectURI().String()})}
	decision := ""
	if r.Method == http.MethodPost {
		decision = r.PostFormValue("decision")
	}
	switch {
	case s.autoApprove:
		s.grant(w, r, request, time.Now())
	case decision == "sign in":
		s.signIn(w, r, request, shown)
	case since.IsZero() && prompts.Has("none"):
		s.refuse(w, r, request, fosite.ErrLoginRequired)
	case since.IsZero() || prompts.HasOneOf("login", "select_account") || tooOld(since, request):
		s.show(w, http.StatusOK, request, shown, "login")
	case decision == "deny":
		s.refuse(w, r, request, fosite.ErrAccessDenied)
	case decision == "allow" && r.PostFormValue("client") == as(client), !prompts.Has("consent") && !client.NeedsConsent(time.Time{}, time.Now()):
		s.grant(w, r, request, since)
	case prompts.Has("none"):
		s.refuse(w, r, request, fosite.ErrConsentRequired)
	default:
		s.show(w, http.StatusOK, request, shown, "consent")
	}
}

// as identifies the current version of a client: by its revision or, if it publishes
// its metadata, by its document.
func as(client *dcr.Client) string {
	if client.Document != nil {
		return client.Document.SHA256
	}
	return fmt.Sprint(client.Revision)
}

// tooOld reports whether the sign-in is older than the request's max_age.
func tooOld(since time.Time, request fosite.AuthorizeRequester) bool {
	age, err := time.ParseDuration(request.GetRequestForm().Get("max_age") + "s")
	return err == nil && time.Since(since) > age
}

// signIn handles the form of the sign-in page, and continues the request without the
// parameters that asked for a sign-in.
func (s *server) signIn(w http.ResponseWriter, r *http.Request, request fosite.AuthorizeRequester, shown page) {
	named := subtle.ConstantTimeCompare([]byte(r.PostFormValue("name")), []byte("paula"))
	if named&subtle.ConstantTimeCompare([]byte(r.PostFormValue("password")), []byte(s.password)) != 1 {
		shown.Login, shown.Fault = r.PostFormValue("name"), "The name or the password is wrong."
		s.show(w, http.StatusForbidden, request, shown, "login")
		return
	}
	s.people.signIn(w)
	query := r.URL.Query()
	query.Del("prompt")
	query.Del("max_age")
	if strings.Contains(r.URL.Query().Get("prompt"), "consent") {
		query.Set("prompt", "consent")
	}
	http.Redirect(w, r, "/authorize?"+query.Encode(), http.StatusSeeOther)
}

// grant sends the person back to the client with a code.
func (s *server) grant(w http.ResponseWriter, r *http.Request, request fosite.AuthorizeRequester, since time.Time) {
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	for _, resource := range request.GetRequestedAudience() {
		request.GrantAudience(resource)
	}
	session := openid.NewDefaultSession()
	session.Subject = "paula"
	session.Claims = &jwt.IDTokenClaims{Subject: "paula", Issuer: s.issuer, AuthTime: since.UTC(), RequestedAt: time.Now().UTC()}
	session.Headers = &jwt.Headers{Extra: map[string]any{"kid": s.kid}}
	response, err := s.provider.NewAuthorizeResponse(r.Context(), request, session)
	if err != nil {
		s.refuse(w, r, request, err)
		return
	}
	s.provider.WriteAuthorizeResponse(r.Context(), w, request, response)
}

// refuse sends the person back to the client if the redirect URI is valid. Otherwise it
// shows a page.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, request fosite.AuthorizeRequester, err error) {
	if request.IsRedirectURIValid() {
		s.provider.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	refused := fosite.ErrorToRFC6749Error(err)
	shown := page{Fault: "This application is not registered here, or may not send you here."}
	status := http.StatusBadRequest
	if refused.CodeField >= http.StatusInternalServerError {
		slog.ErrorContext(r.Context(), "fositeserver: cannot check an authorization request", "error", err, "cause", refused.Unwrap())
		status, shown.Fault = http.StatusServiceUnavailable, "Please try again in a minute."
	}
	s.show(w, status, request, shown, "refused")
}

// show writes a page.
func (s *server) show(w http.ResponseWriter, status int, request fosite.AuthorizeRequester, shown page, name string) {
	shown.Name = name
	for _, scope := range request.GetRequestedScopes() {
		shown.Scopes = append(shown.Scopes, cmp.Or(meanings[scope], scope))
	}
	shown.Resources = request.GetRequestedAudience()
	var text bytes.Buffer
	if err := pages.ExecuteTemplate(&text, "page", shown); err != nil {
		slog.Error("fositeserver: cannot write a page", "error", err)
		http.Error(w, "the page could not be written", http.StatusInternalServerError)
		return
	}
	policy := "default-src 'none'; style-src " + style + "; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	if to := request.GetRedirectURI(); to != nil && request.IsRedirectURIValid() { // browsers check the redirects after a form too
		policy += " " + to.Scheme + ":"
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(text.Bytes())
}

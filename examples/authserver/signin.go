package main

// The pages on which a person signs in and consents.

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"golang.org/x/text/language"

	"github.com/dynreg/dcr"
)

// meanings says what scopes mean, in words for people.
var meanings = map[string]string{
	"openid":         "Know who you are",
	"profile":        "See your name",
	"email":          "See your email address",
	"offline_access": "Keep this access while you are away",
}

// login continues an authorization request. Without one, it signs a person in for the
// pages of this server.
func (p *provider) login(w http.ResponseWriter, r *http.Request) {
	id, by := r.FormValue("id"), p.sessions.of(r)
	if id == "" {
		if by.person != "" {
			http.Redirect(w, r, p.landing(by), http.StatusSeeOther)
			return
		}
		p.show(w, http.StatusOK, page{Name: "login"})
		return
	}
	asked, client, ok := p.find(w, r, id)
	if !ok {
		return
	}
	silent := slices.Contains(asked.asked.Prompt, oidc.PromptNone)
	switch {
	case p.autoApprove:
		p.goOn(w, r, asked, client, session{person: "paula", signedIn: time.Now()})
	case !asked.takes(by) && silent:
		p.turnDown(w, r, id, oidc.ErrLoginRequired())
	case !asked.takes(by):
		p.showFor(w, r, http.StatusOK, asked, client, page{Name: "login", Login: asked.asked.LoginHint})
	case !p.mustAsk(asked, client, by):
		p.goOn(w, r, asked, client, by)
	case silent:
		p.turnDown(w, r, id, consentRequired())
	default:
		p.showFor(w, r, http.StatusOK, asked, client, page{Name: "consent", Person: p.people.known[by.person]})
	}
}

// find returns a waiting request and its current client, or shows why it cannot.
func (p *provider) find(w http.ResponseWriter, r *http.Request, id string) (*request, *dcr.Client, bool) {
	asked, ok := p.storage.waiting(id)
	if !ok {
		p.refuse(w, http.StatusBadRequest, "This sign-in has expired. Go back to the application and start again.")
		return nil, nil, false
	}
	client, err := p.known.FindByClientID(r.Context(), asked.asked.ClientID)
	refused, _ := errors.AsType[*dcr.Error](err) // its document is gone
	isGone := errors.Is(err, dcr.ErrClientNotFound) || refused.Refuses()
	switch {
	case err != nil && !isGone:
		slog.ErrorContext(r.Context(), "authserver: cannot look up a client", "error", err)
		p.refuse(w, http.StatusServiceUnavailable, "The application cannot be looked up at the moment. Try again later.")
	case err != nil || client.CheckUsable(time.Now()) != nil || !client.MatchRedirectURI(asked.asked.RedirectURI):
		p.refuse(w, http.StatusBadRequest, "This application can no longer be used, or has changed. Go back to it and start again.")
	default:
		return asked, client, true
	}
	return nil, nil, false
}

// takes reports whether the session meets the request: the right person, who signed in
// recently enough.
func (r *request) takes(by session) bool {
	again := slices.Contains(r.asked.Prompt, oidc.PromptLogin) || slices.Contains(r.asked.Prompt, oidc.PromptSelectAccount)
	switch {
	case by.person == "" || r.hinted != "" && r.hinted != by.person:
		return false
	case again && by.signedIn.Before(r.began):
		return false
	case r.asked.MaxAge != nil:
		return !by.signedIn.Before(r.began.Add(-time.Duration(*r.asked.MaxAge) * time.Second))
	}
	return true
}

func (p *provider) mustAsk(asked *request, client *dcr.Client, by session) bool {
	remembered := p.sessions.agreed(by.person, client, asked.asked.Scopes)
	return slices.Contains(asked.asked.Prompt, oidc.PromptConsent) || client.NeedsConsent(remembered, time.Now())
}

// signIn handles the form of the sign-in page.
func (p *provider) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	id, name := r.PostFormValue("id"), r.PostFormValue("name")
	var asked *request
	var client *dcr.Client
	if id != "" {
		var ok bool
		if asked, client, ok = p.find(w, r, id); !ok {
			return
		}
	}
	found, err := p.people.signIn(r.Context(), name, r.PostFormValue("password"))
	if err != nil {
		again := page{Name: "login", Login: name, Fault: err.Error()}
		if asked == nil {
			p.show(w, http.StatusForbidden, again)
		} else {
			p.showFor(w, r, http.StatusForbidden, asked, client, again)
		}
		return
	}
	p.sessions.end(p.sessions.of(r))
	begun := p.sessions.begin(w, found.ID)
	if asked == nil {
		http.Redirect(w, r, p.landing(begun), http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, "/login?id="+url.QueryEscape(id), http.StatusSeeOther)
}

// landing returns the page after a sign-in without an application.
func (p *provider) landing(by session) string {
	if found := p.people.known[by.person]; found != nil && found.Operator {
		return adminPath
	}
	return "/"
}

// decide handles the form of the consent page.
func (p *provider) decide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	id, by := r.PostFormValue("id"), p.sessions.of(r)
	asked, client, ok := p.find(w, r, id)
	switch {
	case !ok:
	case !asked.takes(by) || r.PostFormValue("client") != as(client): // the person has signed out, or the client has changed
		http.Redirect(w, r, "/login?id="+url.QueryEscape(id), http.StatusSeeOther)
	case r.PostFormValue("decision") != "allow":
		p.turnDown(w, r, id, oidc.ErrAccessDenied().WithDescription("the user denied access"))
	default:
		p.sessions.agree(by.person, client, asked.asked.Scopes)
		p.goOn(w, r, asked, client, by)
	}
}

// goOn sends the browser back to the client with a code. From here on the client counts
// as used: the janitor keeps it, and a client with a document is stored, because the
// token endpoint does not fetch documents.
func (p *provider) goOn(w http.ResponseWriter, r *http.Request, asked *request, client *dcr.Client, by session) {
	if notes, ok := dcr.StoreAs[dcr.ConsentNoter](p.clients); ok && client.Document == nil {
		if err := notes.NoteConsent(r.Context(), client.ID, by.person, time.Now()); err != nil {
			slog.WarnContext(r.Context(), "authserver: cannot note a consent", "error", err)
		}
	} else if touches, ok := dcr.StoreAs[dcr.ClientToucher](p.clients); ok {
		if err := touches.TouchClient(r.Context(), client.ID, time.Now()); err != nil {
			slog.WarnContext(r.Context(), "authserver: cannot note the use of a client", "error", err)
		}
	}
	agreed, ok := p.storage.agree(asked.id, by, client.AuthorizationCodeLifetime)
	if !ok {
		p.refuse(w, http.StatusBadRequest, "This sign-in has expired. Go back to the application and start again.")
		return
	}
	http.Redirect(w, r, p.oidc.AuthCallbackURL()(op.ContextWithIssuer(r.Context(), p.issuer), agreed.id), http.StatusSeeOther)
}

// turnDown sends the browser back to the client with an error.
func (p *provider) turnDown(w http.ResponseWriter, r *http.Request, id string, refusal *oidc.Error) {
	asked, ok := p.storage.refuse(id)
	if !ok {
		p.refuse(w, http.StatusBadRequest, "This sign-in has expired. Go back to the application and start again.")
		return
	}
	p.oidc.RefuseAuthRequest(w, r, asked, refusal)
}

// consentRequired returns an error that package oidc lacks.
func consentRequired() *oidc.Error {
	refusal := oidc.ErrInteractionRequired().WithDescription("the user must be asked for consent")
	refusal.ErrorType = "consent_required"
	return refusal
}

// showFor shows a page about a request.
func (p *provider) showFor(w http.ResponseWriter, r *http.Request, status int, asked *request, client *dcr.Client, shown page) {
	shown.ID, shown.As = asked.id, as(client)
	shown.Client = client.ConsentView(dcr.ConsentOptions{RedirectURI: asked.asked.RedirectURI, Languages: languages(r), Logos: p.logos})
	for _, scope := range asked.asked.Scopes {
		shown.Scopes = append(shown.Scopes, cmp.Or(meanings[scope], scope))
	}
	shown.Resources = slices.DeleteFunc(slices.Clone(asked.resources), func(resource string) bool { return resource == p.issuer })
	shown.To, _, _ = strings.Cut(asked.asked.RedirectURI, ":")
	p.show(w, status, shown)
}

// languages returns the languages that the browser prefers.
func languages(r *http.Request) (names []string) {
	tags, _, _ := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	for _, tag := range tags {
		names = append(names, tag.String())
	}
	return names
}

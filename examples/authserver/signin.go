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

// meanings say what scopes mean to a person.
var meanings = map[string]string{
	"openid":         "Know who you are",
	"profile":        "See your name",
	"email":          "See your email address",
	"offline_access": "Keep this access while you are away",
}

// login goes on with an authorization request or, without one, signs in for the pages
// of this server.
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

// find finds a request that waits, and its client as it is now, or shows why not.
func (p *provider) find(w http.ResponseWriter, r *http.Request, id string) (*request, *dcr.Client, bool) {
	asked, ok := p.storage.waiting(id)
	if !ok {
		p.refuse(w, http.StatusBadRequest, "This sign-in has ended. Go back to the application and begin again.")
		return nil, nil, false
	}
	client, err := p.known.FindByClientID(r.Context(), asked.asked.ClientID)
	switch {
	case err != nil && !errors.Is(err, dcr.ErrClientNotFound):
		slog.ErrorContext(r.Context(), "authserver: no client was found", "error", err)
		p.refuse(w, http.StatusServiceUnavailable, "The application cannot be looked up at the moment. Try again later.")
	case err != nil || client.CheckUsable(time.Now()) != nil || !client.MatchRedirectURI(asked.asked.RedirectURI):
		p.refuse(w, http.StatusBadRequest, "This application may not be used any more, or has changed. Go back to it and begin again.")
	default:
		return asked, client, true
	}
	return nil, nil, false
}

// takes reports whether a request is content with who is signed in, and since when.
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

// signIn takes the form of the sign-in page.
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

// landing is the page of a person who signed in for no application.
func (p *provider) landing(by session) string {
	if found := p.people.known[by.person]; found != nil && found.Operator {
		return adminPath
	}
	return "/"
}

// decide takes the form of the consent page, from the browser of the one who is signed
// in.
func (p *provider) decide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	id, by := r.PostFormValue("id"), p.sessions.of(r)
	asked, client, ok := p.find(w, r, id)
	switch {
	case !ok:
	case !asked.takes(by) || r.PostFormValue("client") != as(client): // signed out since, or not the client that was shown
		http.Redirect(w, r, "/login?id="+url.QueryEscape(id), http.StatusSeeOther)
	case r.PostFormValue("decision") != "allow":
		p.turnDown(w, r, id, oidc.ErrAccessDenied().WithDescription("the person said no"))
	default:
		p.sessions.agree(by.person, client, asked.asked.Scopes)
		p.goOn(w, r, asked, client, by)
	}
}

// goOn sends the browser on its way to the client, with a code. From here on the client
// is in use: the janitor keeps it, and a document has its row, for the token endpoint
// fetches none.
func (p *provider) goOn(w http.ResponseWriter, r *http.Request, asked *request, client *dcr.Client, by session) {
	if notes, ok := dcr.StoreAs[dcr.ConsentNoter](p.clients); ok && client.Document == nil {
		if err := notes.NoteConsent(r.Context(), client.ID, by.person, time.Now()); err != nil {
			slog.WarnContext(r.Context(), "authserver: a consent was not noted", "error", err)
		}
	} else if touches, ok := dcr.StoreAs[dcr.ClientToucher](p.clients); ok {
		if err := touches.TouchClient(r.Context(), client.ID, time.Now()); err != nil {
			slog.WarnContext(r.Context(), "authserver: the use of a client was not noted", "error", err)
		}
	}
	agreed, ok := p.storage.agree(asked.id, by, client.AuthorizationCodeLifetime)
	if !ok {
		p.refuse(w, http.StatusBadRequest, "This sign-in has ended. Go back to the application and begin again.")
		return
	}
	http.Redirect(w, r, p.oidc.AuthCallbackURL()(op.ContextWithIssuer(r.Context(), p.issuer), agreed.id), http.StatusSeeOther)
}

// turnDown tells the client why it gets no code.
func (p *provider) turnDown(w http.ResponseWriter, r *http.Request, id string, refusal *oidc.Error) {
	asked, ok := p.storage.refuse(id)
	if !ok {
		p.refuse(w, http.StatusBadRequest, "This sign-in has ended. Go back to the application and begin again.")
		return
	}
	p.oidc.RefuseAuthRequest(w, r, asked, refusal)
}

// consentRequired is a refusal that package oidc does not have.
func consentRequired() *oidc.Error {
	refusal := oidc.ErrInteractionRequired().WithDescription("the person must be asked for consent")
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

// languages are those that a browser asks for.
func languages(r *http.Request) (names []string) {
	tags, _, _ := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	for _, tag := range tags {
		names = append(names, tag.String())
	}
	return names
}

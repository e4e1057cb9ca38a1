package main

// What people see: pages.html, under a policy that lets nothing else in.

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"github.com/dynreg/dcr"
)

//go:embed pages.html
var source string

var pages = template.Must(template.New("pages").Parse(source))

// page is what one of them shows.
type page struct {
	Name   string // login, consent, logout, home or refused
	Fault  string
	Issuer string
	Person *person // who is signed in

	ID, As            string // of the request, and what its client was when it was shown
	Login             string // the name to sign in with
	Client            dcr.ConsentView
	Scopes, Resources []string
	To                string // the scheme of the redirect URI, where a form leads in the end
}

// style names the style of the pages, the only one that works.
var style = func() string {
	_, text, _ := strings.Cut(source, "<style>")
	text, _, _ = strings.Cut(text, "</style>")
	digest := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
}()

// show writes a page.
func (p *provider) show(w http.ResponseWriter, status int, shown page) {
	var text bytes.Buffer
	if err := pages.ExecuteTemplate(&text, "page", shown); err != nil {
		slog.Error("authserver: a page was not made", "error", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	policy := "default-src 'none'; style-src " + style + "; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	if shown.To != "" { // browsers hold the redirects after a form to this as well
		policy += " " + shown.To + ":"
	}
	if images := shown.Client.ImageSources; len(images) > 0 {
		policy += "; img-src " + strings.Join(images, " ")
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "same-origin") // the check of where forms come from needs it; no other site learns the id
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(text.Bytes())
}

func (p *provider) refuse(w http.ResponseWriter, status int, why string) {
	p.show(w, status, page{Name: "refused", Fault: why})
}

// onPage shows to a person what the provider answers as JSON, where it cannot send them
// back to the client.
func (p *provider) onPage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answered := &refusal{ResponseWriter: w}
		next.ServeHTTP(answered, r)
		if answered.status == 0 {
			return
		}
		var said struct {
			Description string `json:"error_description"`
		}
		why := "The application asked for something that it cannot have."
		if json.Unmarshal(answered.body.Bytes(), &said) == nil && said.Description != "" {
			why += " It should be told: " + said.Description + "."
		}
		if answered.status >= 500 {
			why = "This does not work at the moment. Try again later."
		}
		p.refuse(w, answered.status, why)
	})
}

// refusal holds back an answer that refuses.
type refusal struct {
	http.ResponseWriter
	status int // 0 unless it refuses
	body   bytes.Buffer
}

func (a *refusal) WriteHeader(status int) {
	if status >= 400 {
		a.status = status
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *refusal) Write(text []byte) (int, error) {
	if a.status != 0 {
		return a.body.Write(text)
	}
	return a.ResponseWriter.Write(text)
}

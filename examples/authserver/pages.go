package main

// What people see: pages.html, with a policy that blocks everything else.

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

// page is what a page shows.
type page struct {
	Name   string // login, consent, logout, home or refused
	Fault  string
	Issuer string
	Person *person // who is signed in

	ID, As            string // the id of the request, and the version of the client that is shown
	Login             string // the name to sign in with
	Client            dcr.ConsentView
	Scopes, Resources []string
	To                string // the scheme of the redirect URI, to which the forms lead in the end
}

// style is the hash of the pages' style, the only one that the policy allows.
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
		slog.Error("authserver: cannot write a page", "error", err)
		http.Error(w, "the page could not be written", http.StatusInternalServerError)
		return
	}
	policy := "default-src 'none'; style-src " + style + "; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	if shown.To != "" { // browsers check the redirects after a form too
		policy += " " + shown.To + ":"
	}
	if images := shown.Client.ImageSources; len(images) > 0 {
		policy += "; img-src " + strings.Join(images, " ")
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "same-origin") // CrossOriginProtection needs it in forms; other sites do not get the id
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(text.Bytes())
}

func (p *provider) refuse(w http.ResponseWriter, status int, why string) {
	p.show(w, status, page{Name: "refused", Fault: why})
}

// onPage shows an error of the provider as a page. The provider answers with JSON if it
// cannot send the person back to the client.
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
		why := "The application requested something that it cannot have."
		if json.Unmarshal(answered.body.Bytes(), &said) == nil && said.Description != "" {
			why += " The reason is: " + said.Description + "."
		}
		if answered.status >= 500 {
			why = "This does not work at the moment. Try again later."
		}
		p.refuse(w, answered.status, why)
	})
}

// refusal keeps an answer that is an error, and does not send it.
type refusal struct {
	http.ResponseWriter
	status int // 0 if it is not an error
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

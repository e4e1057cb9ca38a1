package admin

// Pages for operators, to mount behind the host's own login: who may see them, what
// browsers may do with them, and their routes.

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/dynreg/dcr"
)

// PageOptions say how the pages are served.
type PageOptions struct {
	// Operator returns who is logged in, by the host's own login. A *dcr.Error is
	// answered with its status; any other error, and an empty name, with 403. The
	// name is on each page, and in the event of each action. Required: without it
	// the pages would be open to everyone.
	Operator func(*http.Request) (name string, err error)

	// Path is where the pages are mounted, such as /admin/clients/: the beginning of
	// the path in the requests that the handler gets, so with http.StripPrefix what
	// is left after it. It ends with a slash. Links are relative, so that a proxy may
	// add a prefix. Required.
	Path string

	// ReadOnly hides everything that makes changes, and refuses it with 403.
	ReadOnly bool
}

// NewHandler returns pages on which operators find clients, see who registered each,
// from where, and whether it is used, and approve, disable or delete it. There are
// pages for initial access tokens and denied documents too. The store must be a
// dcr.RecentClientLister. Tokens are shown if it is a dcr.InitialAccessTokenLister,
// and can be issued and revoked if it is a dcr.InitialAccessTokenStore too.
//
// The pages have no script, load nothing from elsewhere, and set no cookie. Changes
// need a POST, which is refused unless the browser says, by Sec-Fetch-Site or Origin,
// that it comes from a page of the same origin. A client can be approved, denied,
// deleted or given a new secret only if it has not changed since it was shown. Behind
// a proxy that changes the Host header, browsers must use https, with which they send
// Sec-Fetch-Site.
//
// Every page has Cache-Control: no-store. A secret is shown once, in the answer to
// the POST that made it.
func NewHandler(a *Admin, opts *PageOptions) (http.Handler, error) {
	switch {
	case a == nil || a.Store == nil:
		return nil, errors.New("admin: NewHandler needs an Admin with a Store")
	case opts == nil || opts.Operator == nil:
		return nil, errors.New("admin: PageOptions.Operator is nil, so that the pages would be open to everyone; set it to a function that returns who is logged in")
	case !isMountable(opts.Path):
		return nil, fmt.Errorf("admin: PageOptions.Path is %q; set it to the path of the pages, which begins and ends with a slash, such as /admin/clients/", opts.Path)
	}
	if _, ok := dcr.StoreAs[dcr.RecentClientLister](a.Store); !ok {
		return nil, errors.New("admin: the pages list clients, newest first; use a store that is a RecentClientLister")
	}
	p := &pages{admin: a, opts: *opts}
	_, p.hasTokens = dcr.StoreAs[dcr.InitialAccessTokenLister](a.Store)
	return p, nil
}

// isMountable reports whether requests can have paths that begin with this one.
func isMountable(prefix string) bool {
	clean := path.Clean(prefix)
	return strings.HasPrefix(prefix, "/") && (prefix == "/" || prefix == clean+"/") && !strings.ContainsAny(prefix, "?#{}%")
}

type pages struct {
	admin     *Admin
	opts      PageOptions
	hasTokens bool
}

// maxForm bounds the body of a form, in bytes.
const maxForm = 64 << 10

// view is an answer: a template with its data, or a redirect to another page.
type view struct {
	status   int // if zero, 200
	template string
	data     any
	location string // relative to Path
}

// action answers a request for one page.
type action func(p *pages, r *http.Request) (view, error)

// routes are the pages, by the part of the path after Path: what GET shows, and what
// POST does.
var routes = map[string]struct{ get, post action }{
	"":        {get: (*pages).listClients},
	"client":  {get: (*pages).showClient},
	"waiting": {get: (*pages).listWaiting},
	"approve": {post: (*pages).approve},
	"deny":    {post: (*pages).deny},
	"disable": {post: (*pages).disable},
	"enable":  {post: (*pages).enable},
	"delete":  {get: (*pages).confirmDelete, post: (*pages).delete},
	"rotate":  {get: (*pages).confirmRotate, post: (*pages).rotate},
	"denied":  {get: (*pages).listDenied, post: (*pages).denyDocument},
	"tokens":  {get: (*pages).listTokens, post: (*pages).issueToken},
	"revoke":  {post: (*pages).revokeToken},
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operator, err := p.opts.Operator(r)
	if err == nil && operator == "" {
		err = errNobody
	}
	if err != nil {
		p.write(w, r, "", p.turnAway(w, r, err))
		return
	}
	r = r.WithContext(WithOperator(r.Context(), operator))
	shown, err := p.answer(w, r)
	if err != nil {
		shown = p.explain(r, err)
	}
	p.write(w, r, operator, shown)
}

var errNobody = errors.New("admin: PageOptions.Operator returned neither a name nor an error")

// turnAway answers someone who is not an operator, as package dcr answers an *Error: with its
// status, challenge and time.
func (p *pages) turnAway(w http.ResponseWriter, r *http.Request, err error) view {
	refused, ok := errors.AsType[*dcr.Error](err)
	if !ok || refused == nil {
		slog.DebugContext(r.Context(), "an operator's page was refused", "error", err)
		return fault{status: http.StatusForbidden, sentence: "You may not see this page."}.view()
	}
	var written answered
	dcr.WriteError(&written, r, refused)
	for _, name := range []string{"WWW-Authenticate", "Retry-After"} {
		if value := written.Header().Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	sentence := refused.Description
	if sentence == "" {
		sentence = "You may not see this page."
	}
	return fault{status: written.status, sentence: sentence}.view()
}

// answered keeps the header and the status of an answer.
type answered struct {
	header http.Header
	status int
}

func (a *answered) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}

func (a *answered) Write(body []byte) (int, error) { return len(body), nil }

func (a *answered) WriteHeader(status int) { a.status = status }

// answer answers the request of an operator.
func (p *pages) answer(w http.ResponseWriter, r *http.Request) (view, error) {
	name, below := strings.CutPrefix(r.URL.Path, p.opts.Path)
	route, known := routes[name]
	if !below || !known {
		return view{}, fault{status: http.StatusNotFound, sentence: "There is no such page."}
	}
	isGet := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case isGet && route.get != nil:
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return view{}, fault{status: http.StatusBadRequest, sentence: "The address is malformed."}
		}
		r.Form = query
		return route.get(p, r)
	case r.Method == http.MethodPost && route.post != nil:
		if err := p.admit(w, r); err != nil {
			return view{}, err
		}
		return route.post(p, r)
	}
	switch {
	case route.get == nil:
		w.Header().Set("Allow", "POST")
	case route.post == nil:
		w.Header().Set("Allow", "GET, HEAD")
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
	}
	return view{}, fault{status: http.StatusMethodNotAllowed, sentence: "This page does not support that method."}
}

var sameOrigin http.CrossOriginProtection

// admit refuses requests that may not change anything, and reads the form of the
// others. Browsers say where a request comes from, so a request that does not is
// refused.
func (p *pages) admit(w http.ResponseWriter, r *http.Request) error {
	if p.opts.ReadOnly {
		return fault{status: http.StatusForbidden, sentence: "These pages are for reading only."}
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" || sameOrigin.Check(r) != nil {
		return fault{status: http.StatusForbidden, sentence: "The request does not come from a form on these pages. Nothing was done."}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return fault{status: http.StatusRequestEntityTooLarge, sentence: "The form is too large. Nothing was done."}
		}
		return fault{status: http.StatusBadRequest, sentence: "The form is malformed. Nothing was done."}
	}
	r.Form = r.PostForm // without the query of the address
	return nil
}

// fault is the reason why a request fails, in a sentence for the operator.
type fault struct {
	status   int
	sentence string
	back     string // the page to go back to, if any
}

func (f fault) Error() string { return f.sentence }

func (f fault) view() view {
	return view{status: f.status, template: "fault", data: map[string]any{"Title": http.StatusText(f.status), "Sentence": f.sentence, "Back": f.back}}
}

// faults are the errors that are explained to the operator.
var faults = []struct {
	err      error
	status   int
	sentence string
}{
	{dcr.ErrClientNotFound, http.StatusNotFound, "There is no such client, or it was deleted."},
	{dcr.ErrTokenNotFound, http.StatusNotFound, "There is no such token, or it was revoked."},
	{dcr.ErrCursor, http.StatusBadRequest, "The address does not say where the page begins."},
	{dcr.ErrClientID, http.StatusBadRequest, "No client can have this id: it is too long, or not text."},
	{dcr.ErrConflict, http.StatusConflict, "The client has changed since it was shown. Nothing was done."},
	{errPending, http.StatusConflict, "The client waits for approval: approve or deny it."},
	{errNotPending, http.StatusConflict, "The client does not wait for approval any more. Nothing was done."},
	{errNotDocument, http.StatusBadRequest, "This is not the https URL of a document."},
	{errNotFromDocument, http.StatusConflict, "The client of this id did not come from a document: disable it."},
}

// explain shows an error to the operator. It logs a fault of the server.
func (p *pages) explain(r *http.Request, err error) view {
	shown, ok := errors.AsType[fault](err)
	isDeleted := errors.Is(err, errAfterDelete)
	isOfHost := isDeleted || errors.Is(err, errNoSecretMade) // whatever it wraps
	for _, known := range faults {
		if !ok && !isOfHost && errors.Is(err, known.err) {
			shown, ok = fault{status: known.status, sentence: known.sentence}, true
		}
	}
	switch {
	case ok:
		if id := r.Form.Get("id"); id != "" && shown.status == http.StatusConflict {
			shown.back = linkTo(id)
		}
		return shown.view()
	case isDeleted || r.Context().Err() != context.Canceled:
		slog.ErrorContext(r.Context(), "an operator's page failed", "path", r.URL.Path, "operator", operator(r.Context()), "error", err)
	}
	if isDeleted {
		return fault{status: http.StatusInternalServerError, sentence: "The client is deleted, but what had to follow failed. The server's log says why."}.view()
	}
	return fault{status: http.StatusServiceUnavailable, sentence: "The server could not do it. Its log says why."}.view()
}

//go:embed pages.html
var source string

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"shown": shown, "short": short, "moment": moment,
}).Parse(source))

// policy is the Content-Security-Policy: the pages' own style, their forms, and
// nothing else.
var policy = func() string {
	_, style, _ := strings.Cut(source, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	digest := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// frame is the data of the layout around each page.
type frame struct {
	Operator string // "" for someone who may not see the pages
	ReadOnly bool
	Tokens   bool
	At       string // the name of the template
	Data     any
}

func (p *pages) write(w http.ResponseWriter, r *http.Request, operator string, shown view) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", policy)
	header.Set("Referrer-Policy", "same-origin") // without a referrer, browsers would hide the Origin of a form too
	header.Set("X-Content-Type-Options", "nosniff")
	if shown.location != "" {
		header.Set("Location", "./"+shown.location)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	var text bytes.Buffer
	if err := templates.ExecuteTemplate(&text, shown.template, frame{operator, p.opts.ReadOnly, p.hasTokens, shown.template, shown.data}); err != nil {
		slog.ErrorContext(r.Context(), "an operator's page failed", "path", r.URL.Path, "error", err)
		http.Error(w, "The page could not be written. The server's log says why.", http.StatusInternalServerError)
		return
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	if shown.status != 0 {
		w.WriteHeader(shown.status)
	}
	w.Write(text.Bytes())
}

package admin

// The actions of the pages on a client, which must be as the operator saw it.

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// revision returns the Revision of the client that the form of a request was shown
// with.
func revision(r *http.Request) (int64, error) {
	text, _, _ := strings.Cut(r.Form.Get("seen"), ".")
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fault{status: http.StatusBadRequest, sentence: "The form does not say what was seen. Nothing was done."}
	}
	return revision, nil
}

func (p *pages) approve(r *http.Request) (view, error) {
	revision, err := revision(r)
	if err == nil {
		err = p.admin.Approve(r.Context(), r.Form.Get("id"), revision)
	}
	return view{location: linkTo(r.Form.Get("id"))}, err
}

func (p *pages) deny(r *http.Request) (view, error) {
	page, err := p.clientPage(r)
	if err != nil {
		return view{}, err
	}
	revision, err := revision(r)
	if err == nil {
		err = p.admin.Deny(r.Context(), page.Client.ID, revision)
	}
	if page.IsDocument {
		return view{location: page.Link}, err
	}
	return view{template: "gone", data: page}, err
}

// A client is disabled even if it was changed meanwhile.
func (p *pages) disable(r *http.Request) (view, error) {
	return view{location: linkTo(r.Form.Get("id"))}, p.admin.Disable(r.Context(), r.Form.Get("id"))
}

func (p *pages) enable(r *http.Request) (view, error) {
	return view{location: linkTo(r.Form.Get("id"))}, p.admin.Enable(r.Context(), r.Form.Get("id"))
}

func (p *pages) confirmDelete(r *http.Request) (view, error) { return p.confirm(r, "delete") }

func (p *pages) confirmRotate(r *http.Request) (view, error) { return p.confirm(r, "rotate") }

// confirm asks the operator to confirm a change.
func (p *pages) confirm(r *http.Request, template string) (view, error) {
	if p.opts.ReadOnly {
		return view{}, fault{status: http.StatusForbidden, sentence: "These pages are for reading only."}
	}
	page, err := p.clientPage(r)
	if err == nil && template == "rotate" && !page.NeedsSecret {
		err = errNoSecret
	}
	return view{template: template, data: page}, err
}

var errNoSecret = fault{status: http.StatusConflict, sentence: "The client has no use for a secret."}

// confirmed returns the client of the request if it is still as it was shown.
func (p *pages) confirmed(r *http.Request) (*clientPage, error) {
	page, err := p.clientPage(r)
	if err == nil && page.Seen != r.Form.Get("seen") {
		err = dcr.ErrConflict
	}
	return page, err
}

func (p *pages) delete(r *http.Request) (view, error) {
	page, err := p.confirmed(r)
	if err == nil {
		err = p.admin.remove(r.Context(), page.Client, "")
	}
	return view{template: "gone", data: page}, err
}

// graces are how long an old secret may stay valid, by their names in the form.
var graces = map[string]time.Duration{"": 0, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour}

func (p *pages) rotate(r *http.Request) (view, error) {
	page, err := p.confirmed(r)
	if err != nil {
		return view{}, err
	}
	grace, known := graces[r.Form.Get("grace")]
	switch {
	case !known:
		return view{}, fault{status: http.StatusBadRequest, sentence: "The old secret may stay valid for an hour, a day, a week, or not at all."}
	case !page.NeedsSecret:
		return view{}, errNoSecret
	}
	secret, err := p.admin.rotate(r.Context(), page.Client, grace)
	if err != nil {
		return view{}, err
	}
	return view{template: "secret", data: issued{Kind: "client secret", Secret: secret.Reveal(), Back: page.Link, About: page.Client.ID}}, nil
}

// issued is a secret that is shown once.
type issued struct{ Kind, Secret, Back, About string }

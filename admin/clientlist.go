package admin

// The lists of clients: all that a filter selects, those that wait for approval, and
// denied documents.

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// pageSize is how many clients, or tokens, a page has.
const pageSize = 50

// searchFor is how long a search goes on to fill a page. A call of the store checks a
// bounded number of clients, so an answer takes little longer than this.
const searchFor = 40 * time.Millisecond

// search is the form of a list, as the operator filled it in.
type search struct {
	Name, Host, Source, Status, Used, Idle, By, ConsentBy string
}

// statuses are the names of statuses in forms and on the pages.
var statuses = map[string]dcr.Status{"active": dcr.StatusActive, "waiting": dcr.StatusPending, "disabled": dcr.StatusDisabled}

func readSearch(form url.Values) search {
	of := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	return search{of("name"), of("host"), of("source"), of("status"), of("used"), of("idle"), of("by"), of("consent")}
}

// filter returns the form as a filter for the store.
func (s *search) filter() (dcr.Filter, error) {
	filter := dcr.Filter{
		NamePrefix: s.Name, RedirectHost: strings.Trim(s.Host, "[]"), RegisteredBy: s.By, ActivatedBy: s.ConsentBy,
		NeverActivated: s.Used == "never",
	}
	if s.Source != "" {
		source := dcr.Source(s.Source)
		filter.Source = &source
	}
	if s.Status != "" {
		status, known := statuses[s.Status]
		if !known {
			return filter, fault{status: http.StatusBadRequest, sentence: "There is no such status: choose active, waiting or disabled."}
		}
		filter.Status = &status
	}
	if s.Used != "" && s.Used != "never" {
		return filter, fault{status: http.StatusBadRequest, sentence: "Clients can be asked for that were never used, or whether or not they were."}
	}
	if s.Idle != "" {
		since, err := time.Parse(time.DateOnly, s.Idle)
		if err != nil || since.IsZero() {
			return filter, fault{status: http.StatusBadRequest, sentence: "Idle since what day? Write it as 2026-01-31."}
		}
		filter.UsedBefore = since
	}
	return filter, nil
}

// query returns the form as a query, for the address of the next page.
func (s *search) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"name": s.Name, "host": s.Host, "source": s.Source, "status": s.Status, "used": s.Used, "idle": s.Idle, "by": s.By, "consent": s.ConsentBy,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// HasMore reports whether the form has more than a name and a host.
func (s search) HasMore() bool { return s != search{Name: s.Name, Host: s.Host} }

// clientList is a page of clients.
type clientList struct {
	Search   search
	Statuses []string
	Clients  []summary
	Newest   string // the address of the first page
	Older    string // that of the next page, "" at the end
	Full     bool   // otherwise there may be others before the next page
	Later    bool   // this is not the first page
}

// summary is what a list shows of a client.
type summary struct {
	dcr.ConsentView
	Client *dcr.Client
	Status string
	Link   string
}

func (p *pages) summarize(client *dcr.Client) summary {
	status := "active"
	switch client.CheckUsable(clock(p.admin.Now)()) {
	case dcr.ErrClientPending:
		status = "waiting"
	case dcr.ErrClientDisabled:
		status = "disabled"
	case dcr.ErrClientExpired:
		status = "expired"
	}
	return summary{client.ConsentView(dcr.ConsentOptions{}), client, status, linkTo(client.ID)}
}

// Called returns the name of the client: its client_name, or the URL of its document.
func (s summary) Called() string {
	switch {
	case s.Name != "":
		return s.Name
	case s.Client.Source == dcr.SourceDocument:
		return short(s.Client.ID)
	}
	return "(no name)"
}

// Who says who vouches for the client, or created it.
func (s summary) Who() string {
	switch s.Trust {
	case dcr.TrustStranger:
		return "a stranger"
	case dcr.TrustDocument:
		return "its document on " + s.Vouched
	case dcr.TrustStatement:
		return "a statement of " + s.Vouched
	case dcr.TrustCaller:
		return s.Vouched
	}
	return "this server"
}

// IDQuery returns the query that names the client in an address.
func (s summary) IDQuery() template.URL {
	return template.URL(url.Values{"id": {s.Client.ID}}.Encode())
}

// ByCaller and ByPerson are the addresses of the other clients of the same owner.
func (s summary) ByCaller() string { return "./?" + url.Values{"by": {s.Client.RegisteredBy}}.Encode() }
func (s summary) ByPerson() string {
	return "./?" + url.Values{"consent": {s.Client.ActivatedBy}}.Encode()
}

// linkTo returns the address of a client's page. The id is in the query, since it may
// be a URL, or have dots and slashes that paths do not keep.
func linkTo(clientID string) string { return "client?" + url.Values{"id": {clientID}}.Encode() }

// list reads a page of clients.
func (p *pages) list(r *http.Request, place string, filter dcr.Filter, query url.Values) (*clientList, error) {
	page := &clientList{Later: r.Form.Get("after") != "", Newest: cmp.Or(place, "./") + "?" + query.Encode()}
	next := r.Form.Get("after")
	for began := time.Now(); ; {
		clients, following, err := p.admin.List(r.Context(), filter, next, pageSize-len(page.Clients))
		if err != nil {
			return nil, err
		}
		for _, client := range clients {
			page.Clients = append(page.Clients, p.summarize(client))
		}
		next, page.Full = following, len(page.Clients) == pageSize
		if next == "" || page.Full || time.Since(began) > searchFor {
			break
		}
	}
	if next != "" {
		query.Set("after", next)
		page.Older = cmp.Or(place, "./") + "?" + query.Encode()
	}
	return page, nil
}

func (p *pages) listClients(r *http.Request) (view, error) {
	search := readSearch(r.Form)
	filter, err := search.filter()
	if err != nil {
		return view{}, err
	}
	page, err := p.list(r, "", filter, search.query())
	if err != nil {
		return view{}, err
	}
	page.Search, page.Statuses = search, []string{"active", "waiting", "disabled"}
	return view{template: "clients", data: page}, nil
}

func (p *pages) listWaiting(r *http.Request) (view, error) {
	pending := dcr.StatusPending
	page, err := p.list(r, "waiting", dcr.Filter{Status: &pending}, url.Values{})
	return view{template: "waiting", data: page}, err
}

func (p *pages) listDenied(r *http.Request) (view, error) {
	disabled, document := dcr.StatusDisabled, dcr.SourceDocument
	page, err := p.list(r, "denied", dcr.Filter{Status: &disabled, Source: &document}, url.Values{})
	return view{template: "denied", data: page}, err
}

func (p *pages) denyDocument(r *http.Request) (view, error) {
	document := strings.TrimSpace(r.Form.Get("url"))
	if err := p.admin.DenyDocument(r.Context(), document); err != nil {
		return view{}, err
	}
	return view{location: linkTo(document)}, nil
}

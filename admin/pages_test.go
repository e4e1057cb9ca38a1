package admin_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/memstore"
)

const mounted = "/admin/clients/"

// desk is an operator's browser with the pages of an office.
type desk struct {
	*office
	t      *testing.T
	server *httptest.Server
	user   string        // who is logged in
	header http.Header   // of each request
	last   *http.Request // the last one, after redirects
}

func newDesk(t *testing.T, change func(*dcr.Client), options func(*admin.PageOptions)) *desk {
	t.Helper()
	d := &desk{office: newOffice(t, change), t: t, user: "olga", header: http.Header{}}
	opts := &admin.PageOptions{Operator: func(*http.Request) (string, error) { return d.user, nil }, Path: mounted}
	if options != nil {
		options(opts)
	}
	pages, err := admin.NewHandler(d.Admin, opts)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(mounted, pages)
	mux.Handle("/tenants/acme"+mounted, http.StripPrefix("/tenants/acme", pages))
	d.server = httptest.NewServer(mux)
	t.Cleanup(d.server.Close)
	return d
}

func (d *desk) do(method, address string, form url.Values) (status int, page string, header http.Header) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		d.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, values := range d.header {
		if r.Header[name] = values; values == nil {
			delete(r.Header, name)
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	d.last = res.Request
	return res.StatusCode, string(text), res.Header
}

// at returns the address of a page below Path.
func (d *desk) at(page string) string { return d.server.URL + mounted + page }

func (d *desk) get(page string) (status int, text string) {
	d.t.Helper()
	status, text, _ = d.do("GET", d.at(page), nil)
	return status, text
}

func (d *desk) post(page string, form url.Values) (status int, text string) {
	d.t.Helper()
	status, text, _ = d.do("POST", d.at(page), form)
	return status, text
}

// follow opens the link of a page that contains text.
func (d *desk) follow(page, text string) string {
	d.t.Helper()
	for _, link := range regexp.MustCompile(`(?s)<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>`).FindAllStringSubmatch(page, -1) {
		if strings.Contains(html.UnescapeString(link[2]), text) {
			return d.open("GET", html.UnescapeString(link[1]), nil)
		}
	}
	d.t.Fatalf("no link says %q:\n%s", text, page)
	return ""
}

// press sends the form of a page whose button contains text.
func (d *desk) press(page, text string) string {
	d.t.Helper()
	for _, form := range regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`).FindAllStringSubmatch(page, -1) {
		if button := regexp.MustCompile(`<button[^>]*>(.*?)</button>`).FindStringSubmatch(form[0]); button[1] != text {
			continue
		}
		values := url.Values{}
		for _, input := range regexp.MustCompile(`<input [^>]*>`).FindAllString(form[0], -1) {
			if name := regexp.MustCompile(` name="([^"]*)"`).FindStringSubmatch(input); name != nil {
				value := regexp.MustCompile(` value="([^"]*)"`).FindStringSubmatch(input)
				values.Set(name[1], html.UnescapeString(append(value, "", "")[1]))
			}
		}
		return d.open("POST", html.UnescapeString(form[1]), values)
	}
	d.t.Fatalf("no button says %q:\n%s", text, page)
	return ""
}

func (d *desk) open(method, reference string, form url.Values) string {
	d.t.Helper()
	to, err := d.last.URL.Parse(reference)
	if err != nil {
		d.t.Fatal(err)
	}
	status, page, _ := d.do(method, to.String(), form)
	if status != http.StatusOK {
		d.t.Fatalf("%s %s: status %d:\n%s", method, to, status, page)
	}
	return page
}

// seen returns the version that the page of the client shows.
func (d *desk) seen() string {
	d.t.Helper()
	_, page := d.get("client?id=" + url.QueryEscape(d.client.ID))
	found := regexp.MustCompile(`name="seen" value="([^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		d.t.Fatalf("the page does not say what was seen:\n%s", page)
	}
	return found[1]
}

func (d *desk) form(more ...string) url.Values {
	form := url.Values{"id": {d.client.ID}, "seen": {d.seen()}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// The most frequent questions to an operator: who registered this, from where, is
// it used, and how is it switched off?
func TestThreeClicks(t *testing.T) {
	d := newDesk(t, func(c *dcr.Client) {
		c.ClientName, c.RegisteredBy, c.RegisteredFrom = "Calculator", "ci@example.com", "192.0.2.7"
		c.RedirectURIs = []string{"https://calc.example.com/cb"}
		c.ActivatedAt, c.LastUsedAt, c.ActivatedBy = noon.Add(time.Hour), noon.Add(49*time.Hour), "paula"
	}, nil)
	for _, prefix := range []string{"", "/tenants/acme"} {
		_, list, _ := d.do("GET", d.server.URL+prefix+mounted, nil)
		client := d.follow(list, "Calculator") // one
		for _, says := range []string{"ci@example.com", "192.0.2.7", "2026-05-04 13:00 UTC", "2026-05-06 13:00 UTC", "paula", "calc.example.com", "2026-05-04 12:00 UTC"} {
			if !strings.Contains(client, says) {
				t.Errorf("the page of the client does not say %q:\n%s", says, client)
			}
		}
		after := d.press(client, "Disable") // two
		if !strings.Contains(after, `status disabled">disabled`) || d.status(t) != dcr.StatusDisabled {
			t.Errorf("the client is %q:\n%s", d.status(t), after)
		}
		if told := d.told.take(); len(told) != 1 || told[0].Kind != dcr.ClientDisabled || told[0].Operator != "olga" {
			t.Errorf("told: %+v", told)
		}
		if !strings.HasPrefix(d.last.URL.Path, prefix+mounted) {
			t.Errorf("it leads to %s", d.last.URL)
		}
		d.press(after, "Enable")
		d.told.take()
	}
}

func TestWhoMaySeeThePages(t *testing.T) {
	for _, c := range []struct {
		sentence string
		name     string
		err      error
		status   int
		says     string
		header   string
	}{
		{"an operator sees them", "olga", nil, 200, "Signed in as <bdi>olga</bdi>", ""},
		{"a person who is not logged in does not", "", nil, 403, "You may not see", ""},
		{"any other error is 403", "olga", errors.New("the session of olga has ended"), 403, "You may not see", ""},
		{"an *Error is answered with its status", "olga", &dcr.Error{Code: dcr.InvalidToken, Description: "log in again"}, 401, "log in again", "WWW-Authenticate"},
		{"and with Retry-After", "", dcr.Unavailable("the login is out of order", nil), 503, "out of order", "Retry-After"},
		{"also if it is wrapped", "olga", fmt.Errorf("no: %w", &dcr.Error{Status: 418, Description: "only tea"}), 418, "only tea", ""},
		{"a name is text", "<script>o\u202elga", nil, 200, `&lt;script&gt;o\u202elga`, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			d := newDesk(t, func(client *dcr.Client) { client.ClientName = "Calculator" }, func(opts *admin.PageOptions) {
				opts.Operator = func(*http.Request) (string, error) { return c.name, c.err }
			})
			for _, page := range []string{"", "client?id=calc", "nowhere", "denied"} {
				status, text, header := d.do("GET", d.at(page), nil)
				if want := c.status; status != want && !(page == "nowhere" && want == 200) {
					t.Errorf("%q: status %d", page, status)
				}
				if !strings.Contains(text, c.says) || c.header != "" && header.Get(c.header) == "" {
					t.Errorf("%q does not contain %q, or %s: %v\n%s", page, c.says, c.header, header, text)
				}
				if c.status != 200 && (strings.Contains(text, "Calculator") || strings.Contains(text, "<nav") || strings.Contains(text, "session")) {
					t.Errorf("%q shows too much:\n%s", page, text)
				}
			}
			status, _ := d.post("disable", url.Values{"id": {"calc"}})
			if disabled := d.status(t) == dcr.StatusDisabled; disabled != (c.status == 200) {
				t.Errorf("it is disabled: %t, status %d", disabled, status)
			}
		})
	}
}

func TestRequestsOfOtherSites(t *testing.T) {
	for _, c := range []struct {
		sentence string
		site     string
		origin   string
		status   int
	}{
		{"a form of the pages", "same-origin", "", 200},
		{"from a browser that sends only the origin", "", "own", 200},
		{"from another site", "cross-site", "https://evil.example", 403},
		{"from another host of the site", "same-site", "https://other.example", 403},
		{"from another origin, by a browser that sends only the origin", "", "https://evil.example", 403},
		{"from a page that hides its origin", "", "null", 403},
		{"from a program that sends neither", "", "", 403},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			d := newDesk(t, nil, nil)
			d.header = http.Header{"Sec-Fetch-Site": nil, "Origin": nil}
			if c.site != "" {
				d.header.Set("Sec-Fetch-Site", c.site)
			}
			switch c.origin {
			case "":
			case "own":
				d.header.Set("Origin", d.server.URL)
			default:
				d.header.Set("Origin", c.origin)
			}
			for _, page := range []string{"disable", "denied", "tokens", "revoke"} {
				status, _ := d.post(page, url.Values{"id": {"calc"}, "url": {"https://a.example/x"}, "uses": {"1"}, "days": {"1"}, "hash": {"none"}})
				if refused := status == 403; refused != (c.status == 403) {
					t.Errorf("%s: status %d", page, status)
				}
			}
			if got := d.status(t) == dcr.StatusDisabled; got != (c.status == 200) {
				t.Errorf("it is disabled: %t", got)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	d := newDesk(t, nil, nil)
	for _, c := range []struct {
		sentence, method, page string
		form                   url.Values
		status                 int
		allow                  string
	}{
		{"a list", "GET", "", nil, 200, ""},
		{"HEAD is like GET without a body", "HEAD", "", nil, 200, ""},
		{"a page that does not exist", "GET", "nowhere", nil, 404, ""},
		{"a path below a page does not exist", "GET", "client/x", nil, 404, ""},
		{"a page allows only reading", "POST", "client", url.Values{}, 405, "GET, HEAD"},
		{"an action allows only POST", "GET", "disable?id=calc", nil, 405, "POST"},
		{"PUT is not allowed", "PUT", "delete?id=calc", nil, 405, "GET, HEAD, POST"},
		{"DELETE is not allowed", "DELETE", "client?id=calc", nil, 405, "GET, HEAD"},
		{"a client that does not exist", "GET", "client?id=none", nil, 404, ""},
		{"a client without an id", "GET", "client", nil, 404, ""},
		{"an invalid query", "GET", "client?id=%zz", nil, 400, ""},
		{"an invalid status", "GET", "?status=asleep", nil, 400, ""},
		{"an invalid cursor", "GET", "?after=x", nil, 400, ""},
		{"an invalid cursor of tokens", "GET", "tokens?after=x", nil, 400, ""},
		{"an invalid day", "GET", "?idle=yesterday", nil, 400, ""},
		{"a day in the year 1", "GET", "?idle=0001-01-01", nil, 400, ""},
		{"an invalid use", "GET", "?used=often", nil, 400, ""},
		{"a form that is too large", "POST", "disable", url.Values{"id": {strings.Repeat("x", 1<<20)}}, 413, ""},
		{"values in the address do not count as the form's", "POST", "disable?id=calc", url.Values{}, 404, ""},
		{"a document is denied only with an https URL", "POST", "denied", url.Values{"url": {"http://a.example/"}}, 400, ""},
		{"and not with a URL that is too long for a store", "POST", "denied", url.Values{"url": {"https://a.example/" + strings.Repeat("x", 300)}}, 400, ""},
		{"a number of uses in words", "POST", "tokens", url.Values{"uses": {"one"}, "days": {"7"}}, 400, ""},
		{"a token with notes that are too long", "POST", "tokens", url.Values{"uses": {"1"}, "days": {"7"}, "notes": {strings.Repeat("x", 2000)}}, 400, ""},
		{"a token that does not exist", "POST", "revoke", url.Values{"hash": {"none"}}, 404, ""},
	} {
		status, page, header := d.do(c.method, d.at(c.page), c.form)
		if status != c.status || header.Get("Allow") != c.allow {
			t.Errorf("%s: status %d, Allow %q", c.sentence, status, header.Get("Allow"))
		}
		if strings.Contains(page, "Its log says why") {
			t.Errorf("%s: it is shown as a fault of the server", c.sentence)
		}
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
		} {
			if header.Get(name) != value {
				t.Errorf("%s: %s is %q", c.sentence, name, header.Get(name))
			}
		}
		if policy := header.Get("Content-Security-Policy"); !regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[^']{44}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$`).MatchString(policy) {
			t.Errorf("%s: the policy is %q", c.sentence, policy)
		}
		if c.method != "HEAD" && strings.Count(page, "<h1>") != 1 {
			t.Errorf("%s: the page does not have exactly one heading:\n%s", c.sentence, page)
		}
	}
	if d.status(t) != dcr.StatusActive || len(d.told.take()) > 0 {
		t.Error("something was changed")
	}
}

// An outage is not answered with "not found", and the page shows no details.
func TestAnOutageOfTheStore(t *testing.T) {
	d := newDesk(t, nil, nil)
	d.Store = outage{d.store}
	for _, page := range []string{"client?id=calc", "delete?id=calc"} {
		if status, text := d.get(page); status != 503 || strings.Contains(text, "disk") {
			t.Errorf("%s: status %d:\n%s", page, status, text)
		}
	}
	if status, _ := d.post("disable", url.Values{"id": {"calc"}}); status != 503 {
		t.Errorf("status %d", status)
	}
}

type outage struct{ *busy }

func (outage) FindByClientID(context.Context, string) (*dcr.Client, error) {
	return nil, errors.New("the disk is full")
}

func TestBadPageOptions(t *testing.T) {
	operator := func(*http.Request) (string, error) { return "olga", nil }
	good := &admin.Admin{Store: memstore.New()}
	type bare struct{ dcr.ClientConfigurationStore }
	for _, c := range []struct {
		sentence string
		admin    *admin.Admin
		opts     *admin.PageOptions
		says     string // "" if the options are valid
	}{
		{"everything that is required", good, &admin.PageOptions{Operator: operator, Path: "/admin/clients/"}, ""},
		{"at the root", good, &admin.PageOptions{Operator: operator, Path: "/"}, ""},
		{"no Admin", nil, &admin.PageOptions{Operator: operator, Path: "/"}, "Store"},
		{"no Store", &admin.Admin{}, &admin.PageOptions{Operator: operator, Path: "/"}, "Store"},
		{"a store that cannot list", &admin.Admin{Store: bare{memstore.New()}}, &admin.PageOptions{Operator: operator, Path: "/"}, "RecentClientLister"},
		{"no options", good, nil, "Operator"},
		{"no Operator", good, &admin.PageOptions{Path: "/"}, "Operator"},
		{"no path", good, &admin.PageOptions{Operator: operator}, "Path"},
		{"a path without a slash at its end", good, &admin.PageOptions{Operator: operator, Path: "/admin"}, "Path"},
		{"or at its beginning", good, &admin.PageOptions{Operator: operator, Path: "admin/"}, "Path"},
		{"a pattern", good, &admin.PageOptions{Operator: operator, Path: "/{tenant}/admin/"}, "Path"},
		{"a path that no request has", good, &admin.PageOptions{Operator: operator, Path: "/a/../b/"}, "Path"},
		{"a URL", good, &admin.PageOptions{Operator: operator, Path: "https://id.example.com/admin/"}, "Path"},
	} {
		_, err := admin.NewHandler(c.admin, c.opts)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", c.sentence, err)
		}
	}
}

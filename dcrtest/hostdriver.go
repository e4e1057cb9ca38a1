package dcrtest

// RFC 8414 §3, RFC 6749 §4.1 and §6, RFC 7636: how TestHost talks to a server.

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// driver runs the cases against one server.
type driver struct {
	t        *testing.T      // of the case
	ctx      context.Context // of the case, cancelled at its end
	host     Host
	store    *hostStore
	skips    map[string]string // reasons, by the name of the case
	issuer   string
	document serverDocument
	at       string      // where the document was found
	audience string      // of assertions, once one was accepted
	key      *signingKey // of the clients that sign assertions
}

// serverDocument is the discovery document.
type serverDocument struct {
	Issuer           string   `json:"issuer"`
	Authorization    string   `json:"authorization_endpoint"`
	Token            string   `json:"token_endpoint"`
	Registration     string   `json:"registration_endpoint"`
	Revocation       string   `json:"revocation_endpoint"`
	Introspection    string   `json:"introspection_endpoint"`
	Scopes           []string `json:"scopes_supported"`
	GrantTypes       []string `json:"grant_types_supported"`
	Methods          []string `json:"token_endpoint_auth_methods_supported"`
	SigningAlgs      []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	ChallengeMethods []string `json:"code_challenge_methods_supported"`
	IDTokenAlgs      []string `json:"id_token_signing_alg_values_supported"`
}

const oauthDocument = "/.well-known/oauth-authorization-server" // RFC 8414 §3

// discover reads the document at the places where clients look for it.
func (d *driver) discover() error {
	issuer, err := url.Parse(d.issuer)
	if err != nil || issuer.Host == "" {
		return fmt.Errorf("Host.Start returned %q; the issuer must be an absolute URL", d.issuer)
	}
	path := strings.TrimSuffix(issuer.Path, "/")
	root := issuer.Scheme + "://" + issuer.Host
	places := []string{root + oauthDocument + path, root + path + "/.well-known/openid-configuration"}
	for _, d.at = range places {
		answer, err := d.send(http.MethodGet, d.at, nil, nil)
		if err != nil {
			return err
		}
		if answer.status == http.StatusOK && json.Unmarshal(answer.body, &d.document) == nil {
			if d.document.Authorization == "" || d.document.Token == "" {
				return fmt.Errorf("the document at %s must have authorization_endpoint and token_endpoint", d.at)
			}
			return nil
		}
	}
	return fmt.Errorf("the server has no discovery document at %s; serve one, for example with Handler.ServeDiscovery", strings.Join(places, " or "))
}

// answer is the answer of an endpoint.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	members map[string]any // of a JSON object
}

func (a answer) text(member string) string {
	text, _ := a.members[member].(string)
	return text
}

// issued reports whether the answer has a token.
func (a answer) issued() bool { return a.status == http.StatusOK && a.text("access_token") != "" }

// String describes the answer, without tokens.
func (a answer) String() string {
	switch code := a.text("error"); {
	case a.issued():
		return "200 with a token"
	case code != "":
		return fmt.Sprintf("%d %s", a.status, code)
	}
	return fmt.Sprint(a.status)
}

// send sends a request and follows no redirect.
func (d *driver) send(method, to string, form url.Values, header http.Header) (answer, error) {
	request, err := http.NewRequestWithContext(d.ctx, method, to, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %v", errUnclear, err)
	}
	if header != nil {
		request.Header = header
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := *d.host.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("%s did not answer: %w: %v", to, errUnclear, err)
	}
	return read(response)
}

func read(response *http.Response) (answer, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %v", errUnclear, err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: body}
	json.Unmarshal(body, &a.members) // a body that is not an object has no members
	return a, nil
}

// call sends a form to an endpoint with the credentials of a client.
func (d *driver) call(endpoint string, by credentials, form url.Values) (answer, error) {
	header := make(http.Header)
	if form == nil {
		form = make(url.Values)
	}
	by(form, header)
	return d.send(http.MethodPost, endpoint, form, header)
}

// landing is where an authorization request led the browser.
type landing struct {
	to     string // the URL without query and fragment; "" for a page of the server
	whole  string // the whole URL
	code   string
	err    string // the error in the redirect
	status int    // of the last answer
	body   string // of a page
}

func (l landing) String() string {
	switch {
	case l.to == "":
		return fmt.Sprintf("a page with status %d", l.status)
	case l.code != "":
		return "a code, sent to " + l.to
	}
	return fmt.Sprintf("%s, sent to %s", l.err, l.to)
}

// open opens an authorization request in a browser.
func (d *driver) open(query url.Values) (landing, error) {
	at, err := url.Parse(d.document.Authorization)
	if err != nil {
		return landing{}, fmt.Errorf("authorization_endpoint is not a URL: %w", errUnclear)
	}
	merged := at.Query()
	for name, values := range query {
		merged[name] = values
	}
	at.RawQuery = merged.Encode()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return landing{}, err
	}
	browser := &http.Client{Transport: d.host.Client.Transport, Jar: jar, Timeout: caseTimeout}
	browser.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if d.isOurs(next.URL) && len(via) < 20 {
			return nil
		}
		return http.ErrUseLastResponse
	}
	response := d.host.Authorize(d.t, browser, at.String())
	if response == nil {
		return landing{}, fmt.Errorf("Host.Authorize returned nil; return the last answer: %w", errUnclear)
	}
	last, err := read(response)
	if err != nil {
		return landing{}, err
	}
	landed := landing{status: last.status, body: string(last.body)}
	to, err := response.Location()
	if err != nil || d.isOurs(to) {
		return landed, nil
	}
	sent := to.Query()
	if fragment, err := url.ParseQuery(to.Fragment); err == nil && sent.Get("code")+sent.Get("error") == "" {
		sent = fragment
	}
	landed.code, landed.err, landed.whole = sent.Get("code"), sent.Get("error"), to.String()
	to.RawQuery, to.Fragment, to.RawFragment = "", "", ""
	landed.to = to.String()
	return landed, nil
}

// isOurs reports whether a URL leads to the server itself.
func (d *driver) isOurs(to *url.URL) bool {
	for _, text := range []string{d.issuer, d.document.Authorization} {
		if own, err := url.Parse(text); err == nil && own.Scheme == to.Scheme && own.Host == to.Host && to.User == nil {
			return true
		}
	}
	return false
}

// ticket is a code and the values that redeem it.
type ticket struct{ code, verifier, redirect string }

// form is the token request of a ticket.
func (t ticket) form() url.Values {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {t.code}, "redirect_uri": {t.redirect}}
	if t.verifier != "" {
		form.Set("code_verifier", t.verifier)
	}
	return form
}

// request returns a valid authorization request of the client, and the values that will
// redeem its code.
func (d *driver) request(p *party) (url.Values, ticket) {
	verifier := rand.Text() + rand.Text()
	digest := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {p.ID}, "redirect_uri": {p.RedirectURIs[0]}, "scope": {p.Scope}, "state": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(digest[:])}, "code_challenge_method": {"S256"},
	}
	if slices.Contains(strings.Fields(p.Scope), "offline_access") {
		query.Set("prompt", "consent") // OpenID Connect Core 1.0 §11
	}
	return query, ticket{verifier: verifier, redirect: p.RedirectURIs[0]}
}

// ticket gets a code for the client, which must work.
func (d *driver) ticket(p *party) (ticket, error) {
	query, bought := d.request(p)
	landed, err := d.open(query)
	if err != nil {
		return bought, err
	}
	if bought.code = landed.code; bought.code == "" {
		return bought, fmt.Errorf("the server answered %s to a valid authorization request from %s: %w", landed, p.what, errUnclear)
	}
	return bought, nil
}

// tokens runs a whole code flow for the client, which must work.
func (d *driver) tokens(p *party) (answer, error) {
	bought, err := d.ticket(p)
	if err != nil {
		return answer{}, err
	}
	return d.right(p, bought.form())
}

// right sends a token request that must work.
func (d *driver) right(p *party, form url.Values) (answer, error) {
	by, err := p.own(d)
	if err != nil {
		return answer{}, err
	}
	got, err := d.call(d.document.Token, by, form)
	if err == nil && !got.issued() {
		err = fmt.Errorf("the token endpoint answered %s to a valid request (%s) from %s: %w", got, form.Get("grant_type"), p.what, errUnclear)
	}
	return got, err
}

// refreshToken gets the client a refresh token, which must work.
func (d *driver) refreshToken(p *party) (string, error) {
	if !d.offers(d.document.GrantTypes, "refresh_token", "authorization_code", "implicit") {
		return "", fmt.Errorf("%w: grant_types_supported lacks refresh_token", errNotOffered)
	}
	got, err := d.tokens(p)
	if err == nil && got.text("refresh_token") == "" {
		err = fmt.Errorf("the token endpoint issued no refresh token to %s: %w", p.what, errUnclear)
	}
	return got.text("refresh_token"), err
}

// offers reports whether a list of the document has a value. A missing list has the
// default of RFC 8414 §2.
func (d *driver) offers(list []string, value string, absent ...string) bool {
	if list == nil {
		list = absent
	}
	return slices.Contains(list, value)
}

// method reports whether the server supports an authentication method. A server that
// lists no methods is assumed to accept public clients too.
func (d *driver) method(name string) bool {
	return d.offers(d.document.Methods, name, "client_secret_basic", "none")
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
}

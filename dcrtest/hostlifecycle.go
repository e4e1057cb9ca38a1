package dcrtest

// RFC 6749 §3.3, RFC 7592 §2.3: scopes that a client must not get, clients that are not
// usable, and a store that does not answer.

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

var scopeCases = []hostCase{
	{"ScopeAtAuthorize", "a client must not get more than its registered scope, whatever the person consents to", "grant Authorization.Scopes, which Client.CheckAuthorization returns, and return the granted scope in the token response (RFC 6749 §3.3)", scopeAtAuthorize},
	{"ScopeWildcard", "scopes are plain strings, not patterns (RFC 6749 §3.3), and a client that may choose its own scope could register a pattern that matches all", "grant Authorization.Scopes, which Client.CheckAuthorization returns", scopeWildcard},
	{"ScopeAtRefresh", "a refresh must not give more than was granted (RFC 6749 §6)", "limit the requested scope to the scope granted before, and pass it through Client.GrantScopes", scopeAtRefresh},
	{"ScopeNarrowed", "a scope that was removed from the client is still granted through its refresh tokens", "pass the granted scope through Client.GrantScopes at each refresh, and return the result in the token response", scopeNarrowed},
}

// standardScopes are those of OpenID Connect Core 1.0 §5.4 and §11, which some libraries
// grant to every client.
var standardScopes = []string{"openid", "profile", "email", "phone", "address", "offline_access"}

// beyond returns scopes that the server supports and the clients do not have.
func (d *driver) beyond() []string {
	scopes := []string{d.host.Scopes[1]}
	for _, scope := range standardScopes {
		if slices.Contains(d.document.Scopes, scope) && !slices.Contains(strings.Fields(d.scope()), scope) && scope != d.host.Scopes[1] {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// exceeds returns which of the scopes a token has. The response must say so if they
// differ from the requested scopes (RFC 6749 §5.1).
func (got answer) exceeds(scopes []string) (has []string) {
	if !got.issued() {
		return nil
	}
	if _, told := got.members["scope"].(string); !told {
		return scopes
	}
	for _, scope := range strings.Fields(got.text("scope")) {
		if slices.Contains(scopes, scope) {
			has = append(has, scope)
		}
	}
	return has
}

func scopeAtAuthorize(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		if err := d.grants(p, p.Scope, d.beyond()); err != nil {
			return err
		}
	}
	return nil
}

// grants reports the scopes that a client is granted although it does not have them.
func (d *driver) grants(p *party, own string, beyond []string) error {
	if _, err := d.tokens(p); err != nil {
		return err
	}
	query, bought := d.request(p)
	query.Set("scope", own+" "+strings.Join(beyond, " "))
	landed, err := d.open(query)
	if bought.code = landed.code; err != nil || bought.code == "" {
		return err
	}
	got, err := d.right(p, bought.form())
	if err != nil {
		return err
	}
	if has := got.exceeds(beyond); has != nil {
		return fmt.Errorf("the server granted %s to %s, whose scope is %s", strings.Join(has, " "), p.what, p.Scope)
	}
	return nil
}

// scopeWildcard registers scopes that are patterns in some libraries.
func scopeWildcard(d *driver) error {
	p, err := d.web(nil)
	if err != nil {
		return err
	}
	beyond, own := d.host.Scopes[1], p.Scope
	if err := d.grants(p, own, []string{beyond}); errors.Is(err, errUnclear) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: it grants a scope that the client does not have even without a pattern, as ScopeAtAuthorize says", errNotOffered)
	}
	patterns := []string{"*", "**"}
	if i := strings.LastIndexAny(beyond, ".:/"); i >= 0 {
		patterns = append(patterns, beyond[:i+1]+"*")
	}
	p.Scope += " " + strings.Join(patterns, " ")
	if err := d.change(p, func(client *dcr.Client) { client.Scope = p.Scope }); err != nil {
		return err
	}
	return d.grants(p, own, []string{beyond})
}

func scopeAtRefresh(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		token, err := d.refreshToken(p)
		if err != nil {
			return err
		}
		form := refreshForm(token)
		form.Set("scope", p.Scope+" "+strings.Join(d.beyond(), " "))
		by, err := p.own(d)
		if err != nil {
			return err
		}
		got, err := d.call(d.document.Token, by, form)
		if err != nil {
			return err
		}
		if has := got.exceeds(d.beyond()); has != nil {
			return fmt.Errorf("the server granted %s at a refresh to %s, whose scope is %s", strings.Join(has, " "), p.what, p.Scope)
		}
	}
	return nil
}

func scopeNarrowed(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		token, err := d.refreshToken(p)
		if err != nil {
			return err
		}
		lost := d.host.Scopes[0]
		err = d.change(p, func(client *dcr.Client) {
			client.Scope = strings.Join(slices.DeleteFunc(strings.Fields(client.Scope), func(scope string) bool { return scope == lost }), " ")
		})
		if err != nil {
			return err
		}
		by, err := p.own(d)
		if err != nil {
			return err
		}
		got, err := d.call(d.document.Token, by, refreshForm(token))
		if err != nil {
			return err
		}
		if has := got.exceeds([]string{lost}); has != nil {
			return fmt.Errorf("the server granted %s at a refresh to %s, although it was removed from the client", lost, p.what)
		}
	}
	return nil
}

const askUsable = "read the client from the store at each request, and call Client.CheckUsable; clientauth and Client.CheckAuthorization call it for you"

var statusCases = []hostCase{
	{"ClientDeleted", "a deleted client must get nothing more, and must be told invalid_client", "read the client from the store at each request, as clientauth does", clientDeleted},
	{"ClientDisabled", "a client that was disabled for misuse can continue", askUsable, clientDisabled},
	{"ClientPending", "a client works before anybody has approved it", askUsable, clientPending},
	{"ClientExpired", "a client works after it has expired", askUsable, clientExpired},
}

func clientDeleted(d *driver) error {
	return d.ended("deleted", func(p *party) error { return d.store.Delete(d.ctx, p.ID) })
}

func clientDisabled(d *driver) error {
	return d.ended("disabled", func(p *party) error {
		return d.change(p, func(client *dcr.Client) { client.Status = dcr.StatusDisabled })
	})
}

func clientPending(d *driver) error {
	return d.ended("pending", func(p *party) error {
		return d.change(p, func(client *dcr.Client) { client.Status = dcr.StatusPending })
	})
}

func clientExpired(d *driver) error {
	return d.ended("expired", func(p *party) error {
		return d.change(p, func(client *dcr.Client) { client.ExpiresAt = time.Now().Add(-time.Hour) })
	})
}

// ended reports what the server still gives to clients that were ended.
func (d *driver) ended(how string, end func(p *party) error) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		bought, err := d.ticket(p)
		if err != nil {
			return err
		}
		granted, err := d.tokens(p)
		if err != nil {
			return err
		}
		if err := end(p); err != nil {
			return err
		}
		query, _ := d.request(p)
		landed, err := d.open(query)
		switch {
		case err != nil:
			return err
		case landed.code != "" || landed.to != "" && how == "deleted":
			return fmt.Errorf("the authorization endpoint answered %s to %s that is %s", landed, p.what, how)
		}
		forms := []url.Values{bought.form()}
		if token := granted.text("refresh_token"); token != "" {
			forms = append(forms, refreshForm(token))
		}
		for _, form := range forms {
			by, err := p.own(d)
			if err != nil {
				return err
			}
			got, err := d.call(d.document.Token, by, form)
			if err != nil {
				return err
			}
			if got.issued() || got.status >= http.StatusInternalServerError {
				return fmt.Errorf("the token endpoint answered %s (%s) to %s that is %s", got, form.Get("grant_type"), p.what, how)
			}
		}
	}
	return nil
}

const outage = "an outage must not look as if the client were deleted, because clients then discard their registration"

var outageCases = []hostCase{
	{"OutageAtAuthorize", outage, "show an error page with status 503 for every store error except ErrClientNotFound", outageAtAuthorize},
	{"OutageAtCode", outage, "answer with clientauth.WriteError, which sends 503 and Retry-After", outageAtCode},
	{"OutageAtRefresh", outage, "answer with clientauth.WriteError, which sends 503 and Retry-After, before the refresh token is used up", outageAtRefresh},
}

func outageAtAuthorize(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		if _, err := d.ticket(p); err != nil {
			return err
		}
		query, _ := d.request(p)
		var landed landing
		err := d.store.down(func() (err error) { landed, err = d.open(query); return err })
		if err != nil {
			return err
		}
		switch {
		case landed.to != "":
			return fmt.Errorf("the authorization endpoint answered %s while the store was down", landed)
		case strings.Contains(landed.body, "invalid_client"):
			return fmt.Errorf("the authorization endpoint answered %s that says invalid_client while the store was down", landed)
		}
	}
	return nil
}

func outageAtCode(d *driver) error {
	return d.outage("with a code", func(p *party) (url.Values, error) {
		bought, err := d.ticket(p)
		return bought.form(), err
	})
}

func outageAtRefresh(d *driver) error {
	return d.outage("with a refresh token", func(p *party) (url.Values, error) {
		token, err := d.refreshToken(p)
		return refreshForm(token), err
	})
}

// outage requests a token for each client while the store is down, and again when it is
// up.
func (d *driver) outage(what string, get func(p *party) (url.Values, error)) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		form, err := get(p)
		if err != nil {
			return err
		}
		by, err := p.own(d)
		if err != nil {
			return err
		}
		var got answer
		err = d.store.down(func() (err error) { got, err = d.call(d.document.Token, by, form); return err })
		if err != nil {
			return err
		}
		if got.status != http.StatusServiceUnavailable {
			return fmt.Errorf("the token endpoint answered %s to %s %s while the store was down, not 503", got, p.what, what)
		}
		if form.Get("grant_type") != "refresh_token" {
			continue
		}
		if _, err := d.right(p, form); err != nil {
			return fmt.Errorf("the refresh token of %s was used up while the store was down", p.what)
		}
	}
	return nil
}

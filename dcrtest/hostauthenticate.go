package dcrtest

// RFC 6749 §2.3, RFC 7523 §3, RFC 8705 §2: the traps of client authentication.

import (
	"fmt"
	"net/url"
	"time"

	"github.com/dynreg/dcr"
)

const authenticate = "authenticate by clientauth.Authenticator"

var authenticationCases = []hostCase{
	{"StrongerMethod", "a client that registered keys is not to be had by a secret, or by its id (RFC 9700 §2.5)", authenticate, strongerMethod},
	{"NoCredentials", "a client id is no secret, and a stolen code is enough then (RFC 6749 §3.2.1)", authenticate, noCredentials},
	{"WrongSecret", "a secret that is not compared is none, and clients that lost theirs wait for invalid_client (RFC 6749 §5.2)", authenticate, wrongSecret},
	{"ExpiredSecret", "client_secret_expires_at has told the client and everybody who kept the secret that it is over", authenticate + ", or ask Client.VerifySecret", expiredSecret},
	{"FormEncodedBasic", "clients form-encode both halves (RFC 6749 §2.3.1), and http.Request.BasicAuth does not decode them", "read them by dcr.BasicCredentials", formEncodedBasic},
}

func strongerMethod(d *driver) error {
	offered := false
	for _, method := range []string{"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"} {
		if !d.method(method) {
			continue
		}
		offered = true
		p, secret, err := d.stronger(method)
		if err != nil {
			return err
		}
		for _, attempt := range []struct {
			by   credentials
			what string
		}{
			{byBasic(p.ID, secret), "by a secret in the header"}, {byPost(p.ID, secret), "by a secret in the form"}, {byBasic(p.ID, ""), "by its id in the header"}, {byID(p.ID), "by its id"},
		} {
			bought, err := d.ticket(p, nil)
			if err != nil {
				return err
			}
			if err := d.refusedBy(attempt.by, bought.form(), "let in %s %s", p.what, attempt.what); err != nil {
				return err
			}
		}
	}
	if !offered {
		return fmt.Errorf("%w: token_endpoint_auth_methods_supported has no method stronger than a secret", errNotOffered)
	}
	return nil
}

// stronger registers a client of a method that sends no secret, and that has one
// all the same.
func (d *driver) stronger(method string) (*party, string, error) {
	const secret = "a-secret-from-before"
	give := func(client *dcr.Client) { client.Secrets = []dcr.Secret{dcr.HashSecret(secret)} }
	if method == "private_key_jwt" {
		p, err := d.keyed()
		if err == nil {
			err = d.change(p, give)
		}
		return p, secret, err
	}
	asked := metadata{"redirect_uris": []string{webRedirect}, "token_endpoint_auth_method": method}
	if asked["tls_client_auth_san_dns"] = "app.example.com"; method != "tls_client_auth" {
		key, err := newSigningKey(nil)
		if err != nil {
			return nil, "", err
		}
		delete(asked, "tls_client_auth_san_dns")
		asked["jwks"] = key.set()
	}
	p, err := d.register("a "+method+" client", asked, give)
	return p, secret, err
}

func noCredentials(d *driver) error {
	p, err := d.web(nil)
	if err != nil {
		return err
	}
	if _, err := d.tokens(p); err != nil {
		return err
	}
	for what, by := range map[string]credentials{
		"its id alone": byID(p.ID), "an empty secret in the header": byBasic(p.ID, ""), "an empty secret in the form": byPost(p.ID, ""), "nothing at all": byNothing,
	} {
		bought, err := d.ticket(p, nil)
		if err != nil {
			return err
		}
		if err := d.refusedBy(by, bought.form(), "let in %s by %s", p.what, what); err != nil {
			return err
		}
	}
	return nil
}

func wrongSecret(d *driver) error {
	p, err := d.web(nil)
	if err != nil {
		return err
	}
	if _, err := d.tokens(p); err != nil {
		return err
	}
	for what, by := range map[string]credentials{"header": byBasic(p.ID, "wrong"), "form": byPost(p.ID, "wrong")} {
		bought, err := d.ticket(p, nil)
		if err != nil {
			return err
		}
		got, err := d.call(d.document.Token, by, bought.form())
		if err != nil {
			return err
		}
		if got.issued() || got.text("error") != "invalid_client" {
			return fmt.Errorf("the token endpoint answered %s to a wrong secret in the %s", got, what)
		}
	}
	return nil
}

func expiredSecret(d *driver) error {
	p, err := d.web(nil)
	if err != nil {
		return err
	}
	if _, err := d.tokens(p); err != nil {
		return err
	}
	bought, err := d.ticket(p, nil)
	if err != nil {
		return err
	}
	err = d.change(p, func(client *dcr.Client) { client.Secrets[0].ExpiresAt = time.Now().Add(-time.Hour) })
	if err != nil {
		return err
	}
	return d.refused(p, bought.form(), "let in %s by a secret that has expired", p.what)
}

func formEncodedBasic(d *driver) error {
	if !d.method("client_secret_basic") {
		return fmt.Errorf("%w: token_endpoint_auth_methods_supported lacks client_secret_basic", errNotOffered)
	}
	const secret = "a+b/c=d %41:é"
	p, err := d.web(func(client *dcr.Client) {
		client.ID = "https://app.example.com/~" + client.ID
		client.Secrets = []dcr.Secret{dcr.HashSecret(secret)}
	})
	if err != nil {
		return err
	}
	bought, err := d.ticket(p, nil)
	if err != nil {
		return err
	}
	got, err := d.call(d.document.Token, byBasic(p.ID, secret), bought.form())
	if err == nil && !got.issued() {
		return fmt.Errorf("the token endpoint answered %s to a client whose id and secret have signs that are form-encoded", got)
	}
	return err
}

var assertionCases = []hostCase{
	{"AssertionTwice", "whoever reads an assertion in a log uses it again (RFC 7523 §3)", authenticate + ", which remembers assertions in the store", assertionTwice},
	{"AssertionAudience", "an assertion for another server, which may be an attacker's, opens this one (RFC 7523 §3)", authenticate + " with its Audience", assertionAudience},
	{"AssertionExpired", "an assertion that has ended is in logs by then (RFC 7523 §3)", authenticate, assertionExpired},
	{"AssertionSignature", "anybody can write an assertion that nobody verifies", authenticate, assertionSignature},
	{"AssertionIssuer", "iss and sub must both be the client (RFC 7523 §3)", authenticate, assertionIssuer},
}

// asserts reports an assertion that was taken and must not be. Each needs a code.
func (d *driver) asserts(p *party, did string, make func() (string, error)) error {
	bought, err := d.ticket(p, nil)
	if err != nil {
		return err
	}
	assertion, err := make()
	if err != nil {
		return err
	}
	return d.refusedBy(byAssertion(p.ID, assertion), bought.form(), "took an assertion %s", did)
}

func assertionTwice(d *driver) error {
	p, err := d.keyed()
	if err != nil {
		return err
	}
	once, err := p.key.assertion(p.ID, d.audience, time.Minute)
	if err != nil {
		return err
	}
	bought, err := d.ticket(p, nil)
	if err != nil {
		return err
	}
	if got, err := d.call(d.document.Token, byAssertion(p.ID, once), bought.form()); err != nil || !got.issued() {
		return fmt.Errorf("the token endpoint did not take an assertion: %s: %w", got, errUnclear)
	}
	return d.asserts(p, "a second time", func() (string, error) { return once, nil })
}

func assertionAudience(d *driver) error {
	p, err := d.keyed()
	if err != nil {
		return err
	}
	return d.asserts(p, "whose aud is another server", func() (string, error) {
		return p.key.assertion(p.ID, "https://other.example", time.Minute)
	})
}

func assertionExpired(d *driver) error {
	p, err := d.keyed()
	if err != nil {
		return err
	}
	return d.asserts(p, "that ended an hour ago", func() (string, error) { return p.key.assertion(p.ID, d.audience, -time.Hour) })
}

func assertionSignature(d *driver) error {
	p, err := d.keyed()
	if err != nil {
		return err
	}
	return d.asserts(p, "that another key signed", func() (string, error) {
		foreign, err := newSigningKey([]string{p.key.alg})
		if err != nil {
			return "", err
		}
		foreign.id = p.key.id
		return foreign.assertion(p.ID, d.audience, time.Minute)
	})
}

func assertionIssuer(d *driver) error {
	p, err := d.keyed()
	if err != nil {
		return err
	}
	return d.asserts(p, "whose iss is somebody else", func() (string, error) {
		return p.key.assertion(p.ID, d.audience, time.Minute, "iss", "somebody-else")
	})
}

var grantCases = []hostCase{
	{"ClientCredentials", "a client that people sign in to becomes a service that needs nobody (RFC 6749 §4.4)", "ask Client.HasGrant for each grant type", clientCredentials},
	{"JWTBearer", "a stranger who signs a JWT gets a token, with the scope that it asks for (RFC 7523 §3.1)", "ask Client.HasGrant for each grant type, and switch off those that nobody may use", jwtBearerStranger},
	{"RefreshOtherClient", "a refresh token that another client can use is worth stealing (RFC 6749 §6)", "compare the token's client with Authentication.Client of clientauth", refreshOtherClient},
	{"RefreshWrongSecret", "the refresh grant authenticates nobody (RFC 6749 §6)", "begin every grant by clientauth.Authenticator.AuthenticateRefresh", refreshWrongSecret},
	{"RefreshNoSecret", "the refresh grant authenticates nobody (RFC 6749 §6)", "begin every grant by clientauth.Authenticator.AuthenticateRefresh", refreshNoSecret},
	{"RefreshWithdrawn", "who took refresh tokens from a client expects that it has none", "ask Client.HasGrant(\"refresh_token\") at each refresh", refreshWithdrawn},
}

func clientCredentials(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {d.host.Scopes[0]}}
		if err := d.refused(p, form, "issued a token by client_credentials, which %s did not register", p.what); err != nil {
			return err
		}
	}
	return nil
}

// jwtBearerStranger signs by a key that nobody knows, and by that of a client
// which did not register the grant.
func jwtBearerStranger(d *driver) error {
	key, err := newSigningKey(nil)
	if err != nil {
		return err
	}
	p, err := d.web(func(client *dcr.Client) { client.JWKS, err = encodeSet(key) })
	if err != nil {
		return err
	}
	own, err := p.own(d)
	if err != nil {
		return err
	}
	for _, audience := range []string{d.issuer, d.document.Token} {
		for _, subject := range []string{p.ID, "a-stranger"} {
			for what, by := range map[string]credentials{"which did not register it": own, "which did not authenticate": byNothing} {
				assertion, err := key.assertion(subject, audience, time.Minute)
				if err != nil {
					return err
				}
				form := url.Values{"grant_type": {jwtBearer}, "assertion": {assertion}, "scope": {d.host.Scopes[1]}}
				if err := d.refusedBy(by, form, "issued a token by the jwt-bearer grant to a client %s", what); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func refreshOtherClient(d *driver) error {
	return d.eachThief(func(owner *party) (url.Values, error) {
		token, err := d.refreshToken(owner)
		return refreshForm(token), err
	}, "let a refresh token of %s be used by another client, %s")
}

func refreshWrongSecret(d *driver) error {
	return d.refreshBy(func(p *party) map[string]credentials {
		return map[string]credentials{"a wrong secret in the header": byBasic(p.ID, "wrong"), "a wrong secret in the form": byPost(p.ID, "wrong")}
	})
}

func refreshNoSecret(d *driver) error {
	return d.refreshBy(func(p *party) map[string]credentials {
		return map[string]credentials{"its id alone": byID(p.ID), "an empty secret": byBasic(p.ID, ""), "nothing at all": byNothing}
	})
}

// refreshBy reports by which credentials a confidential client can refresh.
func (d *driver) refreshBy(attempts func(p *party) map[string]credentials) error {
	p, err := d.web(nil)
	if err != nil {
		return err
	}
	for what, by := range attempts(p) {
		token, err := d.refreshToken(p)
		if err != nil {
			return err
		}
		if err := d.refusedBy(by, refreshForm(token), "refreshed tokens of %s by %s", p.what, what); err != nil {
			return err
		}
	}
	return nil
}

func refreshWithdrawn(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		token, err := d.refreshToken(p)
		if err != nil {
			return err
		}
		err = d.change(p, func(client *dcr.Client) {
			client.GrantTypes, client.AllowOfflineAccess = []string{"authorization_code"}, false
		})
		if err != nil {
			return err
		}
		if err := d.refused(p, refreshForm(token), "refreshed tokens of %s, which may not have any more", p.what); err != nil {
			return err
		}
	}
	return nil
}

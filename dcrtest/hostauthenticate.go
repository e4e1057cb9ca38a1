package dcrtest

// RFC 6749 §2.3, RFC 7523 §3, RFC 8705 §2: mistakes in client authentication.

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/dynreg/dcr"
)

const authenticate = "authenticate clients with clientauth.Authenticator"

var authenticationCases = []hostCase{
	{"StrongerMethod", "a client that registered keys must not be accepted with a secret, or with its id alone (RFC 9700 §2.5)", authenticate, strongerMethod},
	{"NoCredentials", "a client id is public, so a stolen code would be enough (RFC 6749 §3.2.1)", authenticate, noCredentials},
	{"WrongSecret", "a wrong secret must be rejected, and a client that lost its secret finds out by invalid_client (RFC 6749 §5.2)", authenticate, wrongSecret},
	{"ExpiredSecret", "client_secret_expires_at said that the secret would stop working", authenticate + ", or check the secret with Client.VerifySecret", expiredSecret},
	{"FormEncodedBasic", "clients form-encode both the id and the secret (RFC 6749 §2.3.1), and http.Request.BasicAuth does not decode them", "read them with dcr.BasicCredentials", formEncodedBasic},
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
			{byBasic(p.ID, secret), "with a secret in the header"}, {byPost(p.ID, secret), "with a secret in the form"}, {byBasic(p.ID, ""), "with its id in the header"}, {byID(p.ID), "with only its id"},
		} {
			bought, err := d.ticket(p)
			if err != nil {
				return err
			}
			if err := d.refusedBy(attempt.by, bought.form(), "accepted %s %s", p.what, attempt.what); err != nil {
				return err
			}
		}
	}
	if !offered {
		return fmt.Errorf("%w: token_endpoint_auth_methods_supported has no method stronger than a secret", errNotOffered)
	}
	return nil
}

// stronger registers a client whose method uses no secret, but that has one anyway.
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
	p, err := d.withSecret(nil)
	if err != nil {
		return err
	}
	if _, err := d.tokens(p); err != nil {
		return err
	}
	for what, by := range map[string]credentials{
		"only its id": byID(p.ID), "an empty secret in the header": byBasic(p.ID, ""), "an empty secret in the form": byPost(p.ID, ""), "nothing at all": byNothing,
	} {
		bought, err := d.ticket(p)
		if err != nil {
			return err
		}
		if err := d.refusedBy(by, bought.form(), "accepted %s with %s", p.what, what); err != nil {
			return err
		}
	}
	return nil
}

func wrongSecret(d *driver) error {
	p, err := d.withSecret(nil)
	if err != nil {
		return err
	}
	if _, err := d.tokens(p); err != nil {
		return err
	}
	for what, by := range map[string]credentials{"header": byBasic(p.ID, "wrong"), "form": byPost(p.ID, "wrong")} {
		bought, err := d.ticket(p)
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
	p, err := d.withSecret(nil)
	if err != nil {
		return err
	}
	if _, err := d.tokens(p); err != nil {
		return err
	}
	bought, err := d.ticket(p)
	if err != nil {
		return err
	}
	err = d.change(p, func(client *dcr.Client) { client.Secrets[0].ExpiresAt = time.Now().Add(-time.Hour) })
	if err != nil {
		return err
	}
	return d.refused(p, bought.form(), "accepted %s with a secret that has expired", p.what)
}

func formEncodedBasic(d *driver) error {
	if !d.method("client_secret_basic") {
		return fmt.Errorf("%w: token_endpoint_auth_methods_supported lacks client_secret_basic", errNotOffered)
	}
	const secret = "a+b/c=d %41:é"
	p, err := d.withSecret(func(client *dcr.Client) {
		client.ID = "app 1/2+3%41:~" + client.ID
		client.Secrets = []dcr.Secret{dcr.HashSecret(secret)}
	})
	if err != nil {
		return err
	}
	bought, err := d.ticket(p)
	if err != nil {
		return err
	}
	got, err := d.call(d.document.Token, byBasic(p.ID, secret), bought.form())
	if err == nil && !got.issued() {
		return fmt.Errorf("the token endpoint answered %s to a client whose id and secret have characters that must be form-encoded", got)
	}
	return err
}

var assertionCases = []hostCase{
	{"AssertionAlgorithm", "a client need not register token_endpoint_auth_signing_alg (OpenID Connect Dynamic Client Registration 1.0 §2)", authenticate + ", and set its Algorithms", assertionAlgorithm},
	{"AssertionTwice", "someone who finds an assertion in a log can use it again (RFC 7523 §3)", authenticate + ", which records used assertions in the store", assertionTwice},
	{"AssertionAudience", "an assertion that a client sent to another server, perhaps an attacker's, works here too (RFC 7523 §3)", authenticate + ", and set its Audience", assertionAudience},
	{"AssertionExpired", "expired assertions can be found in logs (RFC 7523 §3)", authenticate, assertionExpired},
	{"AssertionSignature", "anybody can write an assertion whose signature is not verified", authenticate, assertionSignature},
	{"AssertionIssuer", "iss and sub must both be the client id (RFC 7523 §3)", authenticate, assertionIssuer},
	{"GuardedFetch", "anyone who registers a client can make the server send requests inside its own network", "fetch URLs that a client names only with dcr.GuardedClient, as dcr.ClientKeys does", guardedFetch},
}

func assertionAlgorithm(d *driver) error {
	p, err := d.keyed()
	if err != nil {
		return err
	}
	if err := d.change(p, func(client *dcr.Client) { client.TokenEndpointAuthSigningAlg = "" }); err != nil {
		return err
	}
	bought, err := d.ticket(p)
	if err != nil {
		return err
	}
	by, err := p.own(d)
	if err != nil {
		return err
	}
	got, err := d.call(d.document.Token, by, bought.form())
	if err == nil && !got.issued() {
		return fmt.Errorf("the token endpoint answered %s to an %s assertion from a client that registered no algorithm", got, p.key.alg)
	}
	return err
}

// asserts reports an assertion that was wrongly accepted. It gets a code for each attempt.
func (d *driver) asserts(p *party, did string, make func() (string, error)) error {
	bought, err := d.ticket(p)
	if err != nil {
		return err
	}
	assertion, err := make()
	if err != nil {
		return err
	}
	return d.refusedBy(byAssertion(p.ID, assertion), bought.form(), "accepted an assertion %s", did)
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
	bought, err := d.ticket(p)
	if err != nil {
		return err
	}
	if got, err := d.call(d.document.Token, byAssertion(p.ID, once), bought.form()); err != nil || !got.issued() {
		return fmt.Errorf("the token endpoint did not accept an assertion: %s: %w", got, errUnclear)
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
	return d.asserts(p, "that expired an hour ago", func() (string, error) { return p.key.assertion(p.ID, d.audience, -time.Hour) })
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
		foreign.id, foreign.typ = p.key.id, p.key.typ
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

// guardedFetch registers clients with URLs on this machine, and listens there.
func guardedFetch(d *driver) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	var dialled atomic.Bool
	go func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			dialled.Store(true)
			conn.Close()
		}
	}()
	within := "https://" + listener.Addr().String() + "/document"
	web, err := d.web(func(client *dcr.Client) { client.RequestURIs = []string{within} })
	if err != nil {
		return err
	}
	query, _ := d.request(web)
	query.Set("request_uri", within)
	if _, err := d.open(query); err != nil {
		return err
	}
	if dialled.Load() {
		return fmt.Errorf("the server fetched the request_uri of a client from 127.0.0.1")
	}
	if !d.method("private_key_jwt") {
		return nil
	}
	p, err := d.keyed()
	if err != nil {
		return err
	}
	bought, err := d.ticket(p)
	if err != nil {
		return err
	}
	if err := d.change(p, func(client *dcr.Client) { client.JWKS, client.JWKSURI = nil, within }); err != nil {
		return err
	}
	err = d.refused(p, bought.form(), "accepted a client without keys")
	if dialled.Load() {
		return fmt.Errorf("the server fetched the jwks_uri of a client from 127.0.0.1")
	}
	return err
}

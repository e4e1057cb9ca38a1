package dcrtest

// RFC 6749 §4.4 and §6, RFC 7523 §2.1: mistakes with grant types.

import (
	"net/url"
	"time"

	"github.com/dynreg/dcr"
)

var grantCases = []hostCase{
	{"ClientCredentials", "a client that was registered for people to sign in to gets tokens without anybody signed in (RFC 6749 §4.4)", "check Client.HasGrant for each grant type", clientCredentials},
	{"JWTBearer", "anyone who signs a JWT gets a token with any scope they ask for (RFC 7523 §3.1)", "check Client.HasGrant for each grant type, and disable grant types that no client may use", jwtBearerStranger},
	{"RefreshOtherClient", "another client can use a stolen refresh token (RFC 6749 §6)", "compare the client that the token was issued to with Authentication.Client of clientauth", refreshOtherClient},
	{"RefreshWrongSecret", "the refresh grant does not authenticate the client (RFC 6749 §6)", "start every grant with clientauth.Authenticator.AuthenticateRefresh", refreshWrongSecret},
	{"RefreshNoSecret", "the refresh grant does not authenticate the client (RFC 6749 §6)", "start every grant with clientauth.Authenticator.AuthenticateRefresh", refreshNoSecret},
	{"RefreshWithdrawn", "an operator who removes refresh_token from a client expects its refresh tokens to stop working", "check Client.HasGrant(\"refresh_token\") at each refresh", refreshWithdrawn},
}

func clientCredentials(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {d.host.Scopes[0]}}
		if err := d.refused(p, form, "issued a token for client_credentials, which %s did not register", p.what); err != nil {
			return err
		}
	}
	return nil
}

// jwtBearerStranger signs with an unknown key, and with the key of a client that did not
// register the grant.
func jwtBearerStranger(d *driver) error {
	key, err := newSigningKey(nil)
	if err != nil {
		return err
	}
	p, err := d.web(func(client *dcr.Client) {
		if client.JWKS == nil {
			client.JWKS, err = encodeSet(key)
		}
	})
	if err != nil {
		return err
	}
	if p.key != nil {
		key = p.key
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
				if err := d.refusedBy(by, form, "issued a token for the jwt-bearer grant to a client %s", what); err != nil {
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
		return map[string]credentials{"only its id": byID(p.ID), "an empty secret": byBasic(p.ID, ""), "nothing at all": byNothing}
	})
}

// refreshBy reports the wrong credentials with which confidential clients can refresh.
func (d *driver) refreshBy(attempts func(p *party) map[string]credentials) error {
	parties, err := d.confidential()
	if err != nil {
		return err
	}
	for _, p := range parties {
		for what, by := range attempts(p) {
			token, err := d.refreshToken(p)
			if err != nil {
				return err
			}
			if err := d.refusedBy(by, refreshForm(token), "refreshed tokens of %s with %s", p.what, what); err != nil {
				return err
			}
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
		if err := d.refused(p, refreshForm(token), "refreshed tokens of %s, which no longer has this grant type", p.what); err != nil {
			return err
		}
	}
	return nil
}

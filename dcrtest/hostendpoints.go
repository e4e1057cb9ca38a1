package dcrtest

// RFC 7662 §2.1, RFC 7009 §2.1, RFC 8414 §2 and the CORS protocol: mistakes at the other
// endpoints.

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

const requireClient = "wrap the endpoint with clientauth.Authenticator.Require"

var tokenInfoCases = []hostCase{
	{"TokenLifetime", "the server ignores the token lifetime that an operator set for the client", "take the lifetime of each token from Client.AccessTokenLifetime", tokenLifetime},
	{"TokenType", "a JWT that does not state its type can be mistaken for another kind, such as an ID Token (RFC 9068 §2.1)", "set typ in the header to at+jwt", tokenType},
	{"IntrospectionAnonymous", "a stranger can try tokens until one is valid, and read who it belongs to (RFC 7662 §4)", requireClient, introspectionAnonymous},
	{"IntrospectionEnded", "resource servers go on accepting tokens of a client that was deleted or disabled", "look up the client that the token was issued to, and call Client.CheckUsable", introspectionEnded},
	{"RevocationAnonymous", "someone who has seen a token can end the session of a client that has a secret (RFC 7009 §2.1)", requireClient, revocationAnonymous},
	{"RevocationOtherClient", "one client can end the sessions of another (RFC 7009 §2.1)", "compare the client that the token was issued to with Authentication.Client of clientauth", revocationOtherClient},
}

func tokenLifetime(d *driver) error {
	const shortened = time.Minute
	p, err := d.web(func(client *dcr.Client) { client.AccessTokenLifetime = shortened })
	if err != nil {
		return err
	}
	granted, err := d.tokens(p)
	if err != nil {
		return err
	}
	if seconds, _ := granted.members["expires_in"].(float64); seconds > shortened.Seconds() {
		return fmt.Errorf("the server issued a token for %v seconds to a client whose AccessTokenLifetime is %v", seconds, shortened)
	}
	return nil
}

func tokenType(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		granted, err := d.tokens(p)
		if err != nil {
			return err
		}
		encoded, _, _ := strings.Cut(granted.text("access_token"), ".")
		text, err := base64.RawURLEncoding.DecodeString(encoded)
		var header struct{ Alg, Typ string }
		if err != nil || json.Unmarshal(text, &header) != nil || header.Alg == "" {
			continue // not a JWT
		}
		if typ := strings.TrimPrefix(strings.ToLower(header.Typ), "application/"); typ != "at+jwt" {
			return fmt.Errorf("the server issued an access token that is a JWT of typ %q", header.Typ)
		}
	}
	return nil
}

// active reports whether the introspection endpoint says that a token is active.
func (d *driver) active(by credentials, token string) (bool, error) {
	got, err := d.call(d.document.Introspection, by, url.Values{"token": {token}})
	active, _ := got.members["active"].(bool)
	return active && got.status == http.StatusOK, err
}

func (d *driver) needs(endpoint, member string) error {
	if endpoint == "" {
		return fmt.Errorf("%w: the document has no %s", errNotOffered, member)
	}
	return nil
}

func introspectionAnonymous(d *driver) error {
	if err := d.needs(d.document.Introspection, "introspection_endpoint"); err != nil {
		return err
	}
	p, err := d.withSecret(nil)
	if err != nil {
		return err
	}
	granted, err := d.tokens(p)
	if err != nil {
		return err
	}
	for what, by := range map[string]credentials{"a stranger": byNothing, "a caller with only the id of a confidential client": byID(p.ID), "a caller with a wrong secret": byBasic(p.ID, "wrong")} {
		active, err := d.active(by, granted.text("access_token"))
		if err != nil {
			return err
		}
		if active {
			return fmt.Errorf("the introspection endpoint told %s about a token", what)
		}
	}
	return nil
}

func introspectionEnded(d *driver) error {
	if err := d.needs(d.document.Introspection, "introspection_endpoint"); err != nil {
		return err
	}
	resource, err := d.withSecret(nil)
	if err != nil {
		return err
	}
	by, err := resource.own(d)
	if err != nil {
		return err
	}
	for how, end := range map[string]func(p *party) error{
		"deleted": func(p *party) error { return d.store.Delete(d.ctx, p.ID) },
		"disabled": func(p *party) error {
			return d.change(p, func(client *dcr.Client) { client.Status = dcr.StatusDisabled })
		},
	} {
		p, err := d.withSecret(nil)
		if err != nil {
			return err
		}
		granted, err := d.tokens(p)
		if err != nil {
			return err
		}
		active, err := d.active(by, granted.text("access_token"))
		if err != nil {
			return err
		}
		if !active {
			return fmt.Errorf("%w: it does not tell a confidential client about the tokens of another", errNotOffered)
		}
		if err := end(p); err != nil {
			return err
		}
		if active, err = d.active(by, granted.text("access_token")); err != nil {
			return err
		}
		if active {
			return fmt.Errorf("the introspection endpoint says that a token of a %s client is active", how)
		}
	}
	return nil
}

func revocationAnonymous(d *driver) error {
	return d.survives(func(p *party) (map[string]credentials, error) {
		return map[string]credentials{"a stranger": byNothing, "a caller with only the client's id": byID(p.ID), "a caller with a wrong secret": byBasic(p.ID, "wrong")}, nil
	})
}

func revocationOtherClient(d *driver) error {
	return d.survives(func(*party) (map[string]credentials, error) {
		others, err := d.both()
		if err != nil {
			return nil, err
		}
		attempts := make(map[string]credentials)
		for _, other := range others {
			if attempts["another client, "+other.what], err = other.own(d); err != nil {
				return nil, err
			}
		}
		return attempts, nil
	})
}

// survives reports who could revoke a refresh token of another client.
func (d *driver) survives(attempts func(p *party) (map[string]credentials, error)) error {
	if err := d.needs(d.document.Revocation, "revocation_endpoint"); err != nil {
		return err
	}
	p, err := d.withSecret(nil)
	if err != nil {
		return err
	}
	revokers, err := attempts(p)
	if err != nil {
		return err
	}
	for what, by := range revokers {
		token, err := d.refreshToken(p)
		if err != nil {
			return err
		}
		if _, err := d.right(p, refreshForm(token)); err != nil {
			return err
		}
		if token, err = d.refreshToken(p); err != nil {
			return err
		}
		if _, err := d.call(d.document.Revocation, by, url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}); err != nil {
			return err
		}
		if _, err := d.right(p, refreshForm(token)); err != nil {
			return fmt.Errorf("the server let %s revoke a refresh token of %s", what, p.what)
		}
	}
	return nil
}

const serveDocument = "serve the document with Handler.ServeDiscovery"

var discoveryCases = []hostCase{
	{"DiscoveryIssuer", "clients reject a document that names a different issuer (RFC 8414 §3.3)", serveDocument, discoveryIssuer},
	{"DiscoveryPath", "clients that implement only OAuth look for the document at /.well-known/oauth-authorization-server (RFC 8414 §3)", serveDocument, discoveryPath},
	{"DiscoveryPKCE", "clients reject a server without code_challenge_methods_supported, and plain challenges must be refused (RFC 9700 §2.1.1)", serveDocument, discoveryPKCE},
	{"DiscoveryMethods", "clients assume that a server that lists no methods supports only client_secret_basic (RFC 8414 §2)", serveDocument, discoveryMethods},
	{"DiscoveryRegistration", "clients cannot register at a server without a registration_endpoint", serveDocument, discoveryRegistration},
	{"CORS", "clients that run in a web page, such as the MCP Inspector, cannot read the answers", "wrap the endpoints with CORS.Wrap, set Options.CORS, and " + serveDocument, corsMissing},
	{"CORSCredentials", "any web page that a person opens can act with that person's cookies", "wrap the endpoints with CORS.Wrap, which never allows credentials", corsCredentials},
}

func discoveryIssuer(d *driver) error {
	if d.document.Issuer != d.issuer {
		return fmt.Errorf("the document names the issuer %q, but the server is %s", d.document.Issuer, d.issuer)
	}
	return nil
}

func discoveryPath(d *driver) error {
	if !strings.Contains(d.at, oauthDocument) {
		return fmt.Errorf("the document is at %s, but not at %s", d.at, oauthDocument)
	}
	return nil
}

func discoveryPKCE(d *driver) error {
	methods := d.document.ChallengeMethods
	if !slices.Contains(methods, "S256") || slices.Contains(methods, "plain") {
		return fmt.Errorf("code_challenge_methods_supported is %q, not just S256", methods)
	}
	return nil
}

func discoveryMethods(d *driver) error {
	if len(d.document.Methods) == 0 {
		return fmt.Errorf("the document has no token_endpoint_auth_methods_supported")
	}
	return nil
}

func discoveryRegistration(d *driver) error {
	if d.document.Registration == "" {
		return fmt.Errorf("the document has no registration_endpoint")
	}
	return nil
}

// page returns what an endpoint tells a browser about the pages of an origin.
func (d *driver) page(endpoint, method, origin string) (allowed, credentials bool, err error) {
	header := http.Header{"Origin": {origin}}
	if method != http.MethodGet {
		header.Set("Access-Control-Request-Method", method)
		header.Set("Access-Control-Request-Headers", "content-type")
		method = http.MethodOptions
	}
	got, err := d.send(method, endpoint, nil, header)
	allows := got.header.Get("Access-Control-Allow-Origin")
	return allows == "*" || allows == origin, strings.EqualFold(got.header.Get("Access-Control-Allow-Credentials"), "true") && allows == origin, err
}

// forPages are the endpoints that clients in browsers call, with their methods.
func (d *driver) forPages() [][2]string {
	endpoints := [][2]string{{d.at, http.MethodGet}, {d.document.Token, http.MethodPost}}
	if d.document.Registration != "" {
		endpoints = append(endpoints, [2]string{d.document.Registration, http.MethodPost})
	}
	return endpoints
}

func corsMissing(d *driver) error {
	for _, endpoint := range d.forPages() {
		allowed := false
		for _, origin := range []string{"http://localhost:6274", "https://app.example.com"} {
			allows, _, err := d.page(endpoint[0], endpoint[1], origin)
			if err != nil {
				return err
			}
			allowed = allowed || allows
		}
		if !allowed {
			return fmt.Errorf("%s does not let web pages read its answers", endpoint[0])
		}
	}
	return nil
}

func corsCredentials(d *driver) error {
	for _, endpoint := range d.forPages() {
		_, credentials, err := d.page(endpoint[0], endpoint[1], "https://evil.example")
		if err != nil {
			return err
		}
		if credentials {
			return fmt.Errorf("%s lets pages of https://evil.example call it with cookies", endpoint[0])
		}
	}
	return nil
}

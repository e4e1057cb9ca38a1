package dcr

// RFC 7591 §2, RFC 8705 §2, OpenID Connect Core 1.0 §9: how a client
// authenticates, and its keys (RFC 7517).

import (
	"context"
	"net/mail"
	"net/netip"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/dn"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/uri"
)

// authenticatedGrants are the grant types that a client without authentication
// cannot have.
var authenticatedGrants = []string{"client_credentials", grantCIBA}

var (
	authMethod = member("token_endpoint_auth_method")
	authAlg    = member("token_endpoint_auth_signing_alg")
)

// authMethod returns the effective token_endpoint_auth_method, even before it
// is settled.
func (reg *Registration) authMethod() string {
	method, err := reg.pick(authMethod, reg.standardMethod(), reg.Capabilities.TokenEndpointAuthMethods)
	if err != nil {
		return "none" // it will be refused; until then, trust it as little as possible
	}
	return method
}

// standardMethod returns the method of a client that does not name one. With
// ExactDefaults it is "none". Otherwise it is that of RFC 7591 §2 or, if the server
// does not support that, the one that a confidential client already has: it must not
// become public because an update leaves the member out.
func (reg *Registration) standardMethod() string {
	if reg.ExactDefaults {
		return "none"
	}
	const standard = "client_secret_basic"
	supported, previous := reg.Capabilities.TokenEndpointAuthMethods, reg.Previous
	if slices.Contains(supported, standard) || previous == nil || previous.TokenEndpointAuthMethod == "none" ||
		!slices.Contains(supported, previous.TokenEndpointAuthMethod) {
		return standard
	}
	return previous.TokenEndpointAuthMethod
}

// ValidateClientAuthentication settles how the client authenticates and judges
// its keys.
func (d DefaultValidator) ValidateClientAuthentication(ctx context.Context, reg *Registration) error {
	return reg.settleAuthentication()
}

func (reg *Registration) settleAuthentication() error {
	if err := reg.settle(authMethod, reg.standardMethod()); err != nil {
		return err
	}
	if reg.Client.TokenEndpointAuthMethod != "tls_client_auth" {
		reg.Client.clearTLSNames()
	}
	if err := reg.settleAuthAlg(); err != nil {
		return err
	}
	if err := jwksURI.check(reg); err != nil {
		return err
	}
	return reg.checkAuthentication()
}

var jwksURI = uriMemberNamed("jwks_uri")

// settleAuthAlg settles token_endpoint_auth_signing_alg, from the algorithms
// that the method can use.
func (reg *Registration) settleAuthAlg() error {
	c, alg := reg.Client, authAlg
	if !reg.on.has(alg.Place) {
		return nil
	}
	method := c.TokenEndpointAuthMethod
	if c.TokenEndpointAuthSigningAlg != "" && reg.isOfAnotherMethod(c.TokenEndpointAuthSigningAlg) {
		c.TokenEndpointAuthSigningAlg = ""
	}
	if method != "private_key_jwt" && method != "client_secret_jwt" {
		if c.TokenEndpointAuthSigningAlg != "" {
			return refuseMember(alg.Name, "method", "must come with token_endpoint_auth_method private_key_jwt or client_secret_jwt")
		}
		return nil
	}
	fitting := slices.DeleteFunc(slices.Clone(reg.Capabilities.ceiling(alg)), func(alg string) bool { return !fitsAuthMethod(alg, method) })
	value, err := reg.pick(alg, "", fitting)
	c.TokenEndpointAuthSigningAlg = value
	return err
}

// isOfAnotherMethod reports whether an algorithm fits a method that was sent
// but not chosen. The algorithm is then dropped together with that method.
func (reg *Registration) isOfAnotherMethod(alg string) bool {
	if reg.ExactDefaults && reg.Client.TokenEndpointAuthMethod == "none" {
		return true // no answer tells the client, and none does not use it
	}
	sent := append(slices.Clone(reg.Request.Choices[lists[authMethod.Place].name]), reg.Request.TokenEndpointAuthMethod)
	if reg.Statement != nil {
		sent = append(sent, reg.Statement.TokenEndpointAuthMethod)
	}
	return !fitsAuthMethod(alg, reg.Client.TokenEndpointAuthMethod) &&
		slices.ContainsFunc(sent, func(sent string) bool { return fitsAuthMethod(alg, sent) })
}

func fitsAuthMethod(alg, method string) bool {
	return method == "private_key_jwt" && jose.Asymmetric(alg) || method == "client_secret_jwt" && jose.Symmetric(alg)
}

// checkAuthentication checks that the client has what its method needs, and
// that its keys are allowed.
func (reg *Registration) checkAuthentication() error {
	c := reg.Client
	method := c.TokenEndpointAuthMethod
	if method == "none" {
		for _, grant := range authenticatedGrants {
			if slices.Contains(c.GrantTypes, grant) {
				return refuseMember("token_endpoint_auth_method", "none", "must not be none with the grant type %s", grant)
			}
		}
	}
	if alg := c.TokenEndpointAuthSigningAlg; alg != "" && !fitsAuthMethod(alg, method) {
		return refuseMember("token_endpoint_auth_signing_alg", "method", "must fit token_endpoint_auth_method: an asymmetric algorithm for private_key_jwt, HS256 or its like for client_secret_jwt")
	}
	if err := reg.checkKeys(); err != nil {
		return err
	}
	switch method {
	case "private_key_jwt", "self_signed_tls_client_auth":
		known := reg.foundation.keysByCertificate && method == "private_key_jwt"
		if !known && !reg.namesKeys() && !reg.keys.Sig {
			return refuseMember("token_endpoint_auth_method", "keys", "%s needs a signing key in jwks, or jwks_uri", method)
		}
	}
	return c.checkTLSNames()
}

// checkKeys judges jwks and jwks_uri. It keeps the keys of a set and drops its other
// members. The document at jwks_uri is never fetched at registration.
func (reg *Registration) checkKeys() error {
	c := reg.Client
	if c.JWKS != nil && c.JWKSURI != "" {
		return refuseMember("jwks", "both", "must not come together with jwks_uri")
	}
	if reg.keysJudged != "" && reg.keysJudged == string(c.JWKS) {
		return nil
	}
	reg.keys, reg.keysJudged = jose.Keys{}, ""
	if c.JWKS == nil {
		return nil
	}
	keys, err := jose.CheckClientKeys(c.JWKS, reg.Limits.effective().Keys)
	if err != nil {
		return refuseMember("jwks", "keys", "%s", err)
	}
	c.JWKS = keys.Set
	reg.keys, reg.keysJudged = keys, string(c.JWKS)
	return nil
}

// tlsNames are the members by which a client certificate is recognised (RFC
// 8705 §2.1.2), each with what its value must be.
var tlsNames = []struct {
	member *registered
	valid  func(string) bool
	want   string
}{
	{member("tls_client_auth_subject_dn"), isDistinguishedName, dn.ErrForm.Error()},
	{member("tls_client_auth_san_dns"), isDNSName, "must be a DNS name"},
	{member("tls_client_auth_san_uri"), isURI, "must be an absolute URI"},
	{member("tls_client_auth_san_ip"), isIP, "must be an IPv4 address in dotted form or an IPv6 address"},
	{member("tls_client_auth_san_email"), isMailbox, "must be an e-mail address"},
}

// isTLSName reports whether a client certificate is recognised by the member.
func isTLSName(f *registered) bool {
	for _, name := range tlsNames {
		if name.member == f {
			return true
		}
	}
	return false
}

func (c *Client) clearTLSNames() {
	for _, name := range tlsNames {
		name.member.SetText(&c.Metadata, "")
	}
}

// checkTLSNames requires, of a client that uses tls_client_auth, exactly one
// name to recognise its certificate by.
func (c *Client) checkTLSNames() error {
	from := &c.Metadata
	set := 0
	for _, name := range tlsNames {
		text := name.member.Text(from)
		if text == "" {
			continue
		}
		set++
		if !name.valid(text) {
			return refuseMember(name.member.Name, "form", "%s", name.want)
		}
	}
	if c.TokenEndpointAuthMethod == "tls_client_auth" && set != 1 {
		return refuseMember("token_endpoint_auth_method", "tls_client_auth",
			"tls_client_auth needs exactly one of tls_client_auth_subject_dn, tls_client_auth_san_dns, tls_client_auth_san_uri, tls_client_auth_san_ip and tls_client_auth_san_email")
	}
	return nil
}

func isDNSName(text string) bool {
	parsed, err := uri.Parse("https://" + strings.TrimPrefix(text, "*.") + "/")
	return err == nil && parsed.Port == "" && parsed.Path == "/" && parsed.Host == strings.ToLower(strings.TrimPrefix(text, "*."))
}

// isURI judges a URI that is only a name and is never fetched, so that a urn
// will do.
func isURI(text string) bool {
	_, err := uri.Parse(strings.Replace(text, "urn:", "x-urn:", 1))
	return err == nil
}

func isIP(text string) bool {
	address, err := netip.ParseAddr(text)
	return err == nil && address.Zone() == ""
}

func isMailbox(text string) bool {
	parsed, err := mail.ParseAddress(text)
	return err == nil && parsed.Address == text
}

func isDistinguishedName(text string) bool {
	_, err := dn.Parse(text)
	return err == nil
}

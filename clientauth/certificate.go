package clientauth

// RFC 8705 §2: client certificates, of a public key infrastructure or
// self-signed.

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/dn"
	"github.com/dynreg/dcr/internal/jose"
)

// certificate returns the certificate that was presented, nil if there is none,
// and whether its chain was verified.
func (a *Authenticator) certificate(r *http.Request) (cert *x509.Certificate, chained bool, err error) {
	if a.Certificate != nil {
		cert, err = a.Certificate(r)
		return cert, cert != nil, err
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, false, nil
	}
	return r.TLS.PeerCertificates[0], len(r.TLS.VerifiedChains) > 0, nil
}

// certificateNames are the members by which a certificate is recognised, each
// with its comparison.
var certificateNames = []struct {
	text    func(*dcr.Client) string
	matches func(registered string, cert *x509.Certificate) bool
}{
	{func(c *dcr.Client) string { return c.TLSClientAuthSubjectDN }, hasSubject},
	{func(c *dcr.Client) string { return c.TLSClientAuthSANDNS }, hasDNSName},
	{func(c *dcr.Client) string { return c.TLSClientAuthSANURI }, hasURI},
	{func(c *dcr.Client) string { return c.TLSClientAuthSANIP }, hasAddress},
	{func(c *dcr.Client) string { return c.TLSClientAuthSANEmail }, hasMailbox},
}

// proveName looks for the one name that the client registered in a certificate
// whose chain was verified.
func proveName(client *dcr.Client, cert *x509.Certificate, chained bool) error {
	if cert == nil || !chained {
		return refuse("certificate", errors.New("there is no certificate with a verified chain"))
	}
	names, matches := 0, false
	for _, name := range certificateNames {
		if text := name.text(client); text != "" {
			names++
			matches = name.matches(text, cert)
		}
	}
	if names != 1 || !matches {
		return refuse("certificate", errors.New("the certificate does not have the one name that the client registered"))
	}
	return nil
}

func hasSubject(registered string, cert *x509.Certificate) bool {
	want, err := dn.Parse(registered)
	have, errHave := dn.OfCertificate(cert.RawSubject)
	return err == nil && errHave == nil && want.Equal(have)
}

func hasDNSName(registered string, cert *x509.Certificate) bool {
	return slices.ContainsFunc(cert.DNSNames, func(name string) bool { return strings.EqualFold(name, registered) })
}

// hasURI compares URIs as they were sent, except for the case of the scheme (RFC 3986
// §6.2.2.1). Package url has rewritten those in cert.URIs.
func hasURI(registered string, cert *x509.Certificate) bool {
	scheme, rest, _ := strings.Cut(registered, ":")
	return slices.ContainsFunc(jose.CertificateURIs(cert), func(name string) bool {
		own, its, _ := strings.Cut(name, ":")
		return strings.EqualFold(own, scheme) && its == rest
	})
}

// hasAddress compares addresses in binary: an IPv6 address has many forms.
func hasAddress(registered string, cert *x509.Certificate) bool {
	want, err := netip.ParseAddr(registered)
	if err != nil {
		return false
	}
	for _, name := range cert.IPAddresses {
		if have, ok := netip.AddrFromSlice(name); ok && have == want {
			return true
		}
	}
	return false
}

// hasMailbox compares the part before the @ exactly (RFC 5280 §7.5).
func hasMailbox(registered string, cert *x509.Certificate) bool {
	at := strings.LastIndexByte(registered, '@')
	return at > 0 && slices.ContainsFunc(cert.EmailAddresses, func(name string) bool {
		return len(name) == len(registered) && name[:at+1] == registered[:at+1] && strings.EqualFold(name[at:], registered[at:])
	})
}

// proveKey looks for the certificate among the client's keys. A cached set may
// be older than the certificate, so it is fetched once more by asking for a key
// id that it cannot have; ClientKeys bounds how often.
func (a *Authenticator) proveKey(ctx context.Context, client *dcr.Client, cert *x509.Certificate) error {
	if cert == nil {
		return refuse("certificate", errors.New("there is no certificate"))
	}
	digest := sha256.Sum256(cert.Raw)
	for _, kid := range []string{"", "certificate " + base64.RawURLEncoding.EncodeToString(digest[:])} {
		jwks, err := a.keys(ctx, client, kid)
		if err != nil {
			return err
		}
		if jose.HasCertificate(jwks, cert) {
			return nil
		}
		if client.JWKS != nil {
			break
		}
	}
	return refuse("certificate", errors.New("the certificate is not among the client's keys"))
}

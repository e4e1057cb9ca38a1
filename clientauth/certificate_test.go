package clientauth_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

// authority signs the certificates of tls_client_auth.
var authority = newCertificate(nil, dice, func(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
})

// newCertificate returns a certificate that parent signed, or a self-signed
// one.
func newCertificate(parent *x509.Certificate, key *ecdsa.PrivateKey, change func(*x509.Certificate)) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	signer := key
	if parent == nil {
		parent = template
	} else {
		signer = dice
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

// leaf is a certificate with every kind of name.
var leaf = newCertificate(authority, key, func(c *x509.Certificate) {
	uri, _ := url.Parse("urn:example:client")
	c.Subject = pkix.Name{CommonName: "client, one", Organization: []string{"Example"}, Country: []string{"DE"}}
	c.DNSNames, c.URIs = []string{"x.example", "client.example.com"}, []*url.URL{uri}
	c.IPAddresses = []net.IP{net.ParseIP("2001:db8::1"), net.IPv4(192, 0, 2, 1)}
	c.EmailAddresses = []string{"Client@example.com"}
})

func presenting(clientID string, cert *x509.Certificate, chained bool) *http.Request {
	r := post("", url.Values{"client_id": {clientID}})
	if cert != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	}
	if chained {
		r.TLS.VerifiedChains = [][]*x509.Certificate{{cert, authority}}
	}
	return r
}

func TestNamesOfCertificates(t *testing.T) {
	const method, refused = "tls_client_auth", "401 invalid_client"
	for _, c := range []struct {
		sentence string
		register func(*dcr.Metadata)
		want     string
	}{
		{"a subject is compared as a name", func(m *dcr.Metadata) { m.TLSClientAuthSubjectDN = `CN=client\, one,O=Example,C=DE` }, method},
		{"apart from blanks after commas", func(m *dcr.Metadata) { m.TLSClientAuthSubjectDN = `CN=client\, one, O=Example, C=DE` }, method},
		{"whatever the case", func(m *dcr.Metadata) { m.TLSClientAuthSubjectDN = `cn=Client\2c One,o=EXAMPLE,c=de` }, method},
		{"or how types are written", func(m *dcr.Metadata) { m.TLSClientAuthSubjectDN = `2.5.4.3=client\, one,2.5.4.10=Example,C=DE` }, method},
		{"in order", func(m *dcr.Metadata) { m.TLSClientAuthSubjectDN = `C=DE,O=Example,CN=client\, one` }, refused},
		{"all of it", func(m *dcr.Metadata) { m.TLSClientAuthSubjectDN = `CN=client\, one,O=Example` }, refused},
		{"a comma in a value is not a separator", func(m *dcr.Metadata) { m.TLSClientAuthSubjectDN = `CN=client,OU=one,O=Example,C=DE` }, refused},
		{"a DNS name", func(m *dcr.Metadata) { m.TLSClientAuthSANDNS = "Client.Example.com" }, method},
		{"not a name below it", func(m *dcr.Metadata) { m.TLSClientAuthSANDNS = "a.client.example.com" }, refused},
		{"nor a pattern", func(m *dcr.Metadata) { m.TLSClientAuthSANDNS = "*.example.com" }, refused},
		{"a URI", func(m *dcr.Metadata) { m.TLSClientAuthSANURI = "urn:example:client" }, method},
		{"not another", func(m *dcr.Metadata) { m.TLSClientAuthSANURI = "urn:example:clients" }, refused},
		{"an IPv4 address", func(m *dcr.Metadata) { m.TLSClientAuthSANIP = "192.0.2.1" }, method},
		{"an IPv6 address in any form", func(m *dcr.Metadata) { m.TLSClientAuthSANIP = "2001:DB8:0:0:0:0:0:1" }, method},
		{"not another", func(m *dcr.Metadata) { m.TLSClientAuthSANIP = "192.0.2.2" }, refused},
		{"an email address", func(m *dcr.Metadata) { m.TLSClientAuthSANEmail = "Client@EXAMPLE.com" }, method},
		{"whose local part is case-sensitive", func(m *dcr.Metadata) { m.TLSClientAuthSANEmail = "client@example.com" }, refused},
		{"names are not mixed up", func(m *dcr.Metadata) { m.TLSClientAuthSANDNS = "192.0.2.1" }, refused},
		{"nothing registered", func(m *dcr.Metadata) {}, refused},
		{"two names", func(m *dcr.Metadata) { m.TLSClientAuthSANDNS, m.TLSClientAuthSANIP = "client.example.com", "192.0.2.1" }, refused},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			a := newAuthenticator(newStore(t, newClient("tls", method, func(client *dcr.Client) { c.register(&client.Metadata) })))
			if got := outcome(a, presenting("tls", leaf, true)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := outcome(a, presenting("tls", leaf, false)); got != refused {
				t.Errorf("without a verified chain: %s", got)
			}
			if got := outcome(a, presenting("tls", nil, false)); got != refused {
				t.Errorf("without a certificate: %s", got)
			}
		})
	}
}

// TestURIsOfCertificates checks that the URI of a certificate is compared as it was
// sent, not as package url writes it.
func TestURIsOfCertificates(t *testing.T) {
	const method, refused = "tls_client_auth", "401 invalid_client"
	for _, c := range []struct{ sentence, sent, registered, want string }{
		{"the same", "https://rp.example.com/a?b#c", "https://rp.example.com/a?b#c", method},
		{"a scheme in upper case, in both", "URN:example:client", "URN:example:client", method},
		{"in the certificate alone", "HTTPS://rp.example.com/a", "https://rp.example.com/a", method},
		{"or in the client alone", "https://rp.example.com/a", "HTTPS://rp.example.com/a", method},
		{"an empty fragment, in both", "https://rp.example.com/a#", "https://rp.example.com/a#", method},
		{"in the certificate alone", "https://rp.example.com/a#", "https://rp.example.com/a", refused},
		{"characters that no URI may have, in both", "https://rp.example.com/a|b", "https://rp.example.com/a|b", method},
		{"which are not those that stand for them", "https://rp.example.com/a b", "https://rp.example.com/a%20b", refused},
		{"another path", "https://rp.example.com/A", "https://rp.example.com/a", refused},
		{"another scheme", "http://rp.example.com/a", "https://rp.example.com/a", refused},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			names, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(c.sent)}})
			if err != nil {
				t.Fatal(err)
			}
			cert := newCertificate(authority, key, func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}}
			})
			a := newAuthenticator(newStore(t, newClient("tls", method, func(client *dcr.Client) { client.TLSClientAuthSANURI = c.registered })))
			if got := outcome(a, presenting("tls", cert, true)); got != c.want {
				t.Errorf("%q for %q: got %s, want %s", c.sent, c.registered, got, c.want)
			}
		})
	}
}

func TestSelfSignedCertificates(t *testing.T) {
	const method, refused = "self_signed_tls_client_auth", "401 invalid_client"
	mine := newCertificate(nil, key, func(c *x509.Certificate) { c.Subject.CommonName = "mine" })
	again := newCertificate(nil, key, func(c *x509.Certificate) { c.Subject.CommonName = "again" })
	foreign := newCertificate(nil, dice, func(c *x509.Certificate) { c.Subject.CommonName = "mine" })
	x5c := `"x5c":["` + base64.StdEncoding.EncodeToString(mine.Raw) + `"],`
	for _, c := range []struct {
		sentence, keys string
		cert           *x509.Certificate
		want           string
	}{
		{"a certificate of a key", jwk(key, ""), mine, method},
		{"another certificate of the key", jwk(key, ""), again, method},
		{"a certificate in x5c", jwk(key, x5c), mine, method},
		{"but no other certificate of the key", jwk(key, x5c), again, refused},
		{"one key of several", jwk(dice, "") + "," + jwk(key, ""), mine, method},
		{"not of another key", jwk(key, ""), foreign, refused},
		{"not of a key for encryption", jwk(key, `"use":"enc",`), mine, refused},
		{"not without a certificate", jwk(key, ""), nil, refused},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			a := newAuthenticator(newStore(t, newClient("tls", method, func(client *dcr.Client) { client.JWKS = []byte(`{"keys":[` + c.keys + `]}`) })))
			if got := outcome(a, presenting("tls", c.cert, false)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestCertificateHook(t *testing.T) {
	store := newStore(t,
		newClient("tls", "tls_client_auth", func(c *dcr.Client) { c.TLSClientAuthSANDNS = "client.example.com" }),
		newClient("public", "none", nil))
	a := newAuthenticator(store)
	a.Certificate = func(*http.Request) (*x509.Certificate, error) { return leaf, nil }
	if got := outcome(a, presenting("tls", nil, false)); got != "tls_client_auth" {
		t.Errorf("the host's hook must be trusted with the chain: %s", got)
	}
	if bound, err := a.Authenticate(presenting("public", nil, false)); err != nil || bound.Method != "none" || bound.Certificate != leaf {
		t.Errorf("a public client must be able to bind tokens to its certificate: %v", err)
	}
	if got := outcome(a, post("tls:", nil)); got != "401 invalid_client" {
		t.Errorf("a header together with a certificate must be refused: %s", got)
	}
	a.Certificate = func(*http.Request) (*x509.Certificate, error) { return nil, nil }
	if got := outcome(a, presenting("tls", leaf, true)); got != "401 invalid_client" {
		t.Errorf("with the hook the connection must not count: %s", got)
	}
	a.Certificate = func(*http.Request) (*x509.Certificate, error) { return nil, errors.New("no such header") }
	if got := outcome(a, presenting("tls", nil, false)); got != "503 temporarily_unavailable" {
		t.Errorf("a hook that fails must be an outage: %s", got)
	}
}

// Over a connection, as a server sees it.
func TestMutualTLS(t *testing.T) {
	store := newStore(t,
		newClient("ca", "tls_client_auth", func(c *dcr.Client) { c.TLSClientAuthSANDNS = "client.example.com" }),
		newClient("self", "self_signed_tls_client_auth", func(c *dcr.Client) { c.JWKS = []byte(`{"keys":[` + jwk(key, "") + `]}`) }))
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	a := newAuthenticator(store)
	handler := a.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, clientauth.FromContext(r.Context()).Method)
	}))
	for _, c := range []struct {
		sentence, clientID string
		mode               tls.ClientAuthType
		cert               *x509.Certificate
		want               string
	}{
		{"a verified chain", "ca", tls.VerifyClientCertIfGiven, leaf, "tls_client_auth"},
		{"a chain that nobody verified", "ca", tls.RequestClientCert, leaf, `{"error":"invalid_client","error_description":"client authentication failed"}`},
		{"a key", "self", tls.RequestClientCert, leaf, "self_signed_tls_client_auth"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			server := httptest.NewUnstartedServer(handler)
			server.TLS = &tls.Config{ClientAuth: c.mode, ClientCAs: roots}
			server.StartTLS()
			defer server.Close()
			client := server.Client()
			client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{c.cert.Raw}, PrivateKey: key}}
			response, err := client.PostForm(server.URL, url.Values{"client_id": {c.clientID}})
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if got := strings.TrimSpace(string(body)); err != nil || got != c.want {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

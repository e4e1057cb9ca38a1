package policy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// anchor makes the certificate of a trust community. A real community publishes
// its certificate.
func anchor() *x509.Certificate {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example Root"}, NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, _ := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	cert, _ := x509.ParseCertificate(der)
	return cert
}

// A server in one trust community. Its token endpoint uses the same chains for the
// certificates of client assertions.
func ExampleUDAP() {
	chains := &dcr.ChainVerifier{Communities: []dcr.Community{{Name: "https://community.example", Anchors: []*x509.Certificate{anchor()}}}}
	const endpoint = "https://as.example.net/register"
	opts := policy.UDAP(dcr.DefaultValidator{
		Supports: dcr.Capabilities{Scopes: []string{"openid", "udap", "system/Patient.rs"}},
	}, policy.UDAPServer{Endpoint: endpoint, Chains: chains}).Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true})
	handler, err := dcr.NewHandler(memstore.New(), opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("POST", endpoint, strings.NewReader(`{"udap":"1","software_statement":"anybody"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// 400 {"error":"invalid_software_statement","error_description":"software_statement must be a compact JWS"}
}

// identity makes the identity of a server in a trust community: a key, and a
// certificate that has the server's URL among its names.
func identity(community, base string) policy.UDAPIdentity {
	key, _ := rsa.GenerateKey(rand.Reader, 2048)
	name, _ := url.Parse(base)
	of := &x509.Certificate{SerialNumber: big.NewInt(2), URIs: []*url.URL{name}, NotAfter: time.Now().AddDate(1, 0, 0)}
	der, _ := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	cert, _ := x509.ParseCertificate(der)
	return policy.UDAPIdentity{Community: community, Key: key, Chain: []*x509.Certificate{cert}}
}

// The document names the communities, and is signed for each.
func ExampleUDAPDiscovery() {
	const base, community = "https://as.example.net", "https://community.example"
	chains := &dcr.ChainVerifier{Communities: []dcr.Community{{Name: community, Anchors: []*x509.Certificate{anchor()}}}}
	opts := policy.UDAP(dcr.DefaultValidator{
		Supports: dcr.Capabilities{Scopes: []string{"openid", "udap"}},
	}, policy.UDAPServer{Endpoint: base + "/register", Chains: chains}).Apply(&dcr.Options{Endpoint: base + "/register", AllowAnonymous: true})
	handler, err := dcr.NewHandler(memstore.New(), opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	discovery, err := policy.NewUDAPDiscovery(&policy.UDAPDiscovery{
		Base: base, Handler: handler, TokenEndpoint: base + "/token", AuthorizationEndpoint: base + "/authorize",
		Identities: []policy.UDAPIdentity{identity(community, base)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, query := range []string{"", "?community=" + url.QueryEscape(community), "?community=unknown"} {
		w := httptest.NewRecorder()
		discovery.ServeHTTP(w, httptest.NewRequest("GET", base+"/.well-known/udap"+query, nil))
		fmt.Println(w.Code, strings.Contains(w.Body.String(), `"signed_metadata"`))
	}
	// Output:
	// 200 true
	// 200 true
	// 204 false
}

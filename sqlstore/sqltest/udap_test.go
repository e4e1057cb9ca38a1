package sqltest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

// TestUDAPAtOnce checks that of several first POSTs of one registrant at once, at two
// hosts that share a store, one registers and the others update that client; and that
// concurrent updates and cancellations leave no second client.
func TestUDAPAtOnce(t *testing.T) {
	const endpoint, name = "https://as.example.net/register", "https://apps.example.com/cardio-viewer"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certify := func(of, by *x509.Certificate) *x509.Certificate {
		of.SerialNumber, of.BasicConstraintsValid = big.NewInt(time.Now().UnixNano()), true
		of.NotBefore, of.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, of, by, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		cert, _ := x509.ParseCertificate(der)
		return cert
	}
	authority := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	root := certify(authority, authority)
	names, _ := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(name)}})
	leaf := certify(&x509.Certificate{Subject: pkix.Name{CommonName: "app"}, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}}}, root)
	body := func(jti string, grants ...string) string {
		text := base64.RawURLEncoding.EncodeToString
		header, _ := json.Marshal(members{"alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(leaf.Raw)}})
		claims, _ := json.Marshal(members{
			"iss": name, "sub": name, "aud": endpoint, "iat": time.Now().Unix(), "exp": time.Now().Unix() + 300, "jti": jti, "scope": "system/Patient.rs",
			"client_name": "Cardio Viewer", "contacts": []string{"mailto:a@example.com"}, "grant_types": append([]string{}, grants...), "token_endpoint_auth_method": "private_key_jwt",
		})
		input := text(header) + "." + text(claims)
		digest := sha256.Sum256([]byte(input))
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		statement := input + "." + text(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
		return fmt.Sprintf(`{"udap":"1","software_statement":%q}`, statement)
	}
	everywhere(t, func(t *testing.T, d database) {
		store, _ := d.store(t, nil)
		var hosts []*dcr.Handler
		for range 2 {
			host, err := dcr.NewHandler(store, policy.UDAP(dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"system/Patient.rs"}}}, policy.UDAPServer{
				Endpoint: endpoint, Chains: &dcr.ChainVerifier{Communities: []dcr.Community{{Name: "https://community.example", Anchors: []*x509.Certificate{root}}}},
			}).Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Logger: slog.New(slog.DiscardHandler)}))
			if err != nil {
				t.Fatal(err)
			}
			hosts = append(hosts, host)
		}
		atOnce := func(bodies []string) map[int]int {
			var mu sync.Mutex
			var all sync.WaitGroup
			counts := make(map[int]int)
			for i, body := range bodies {
				all.Go(func() {
					r := httptest.NewRequest("POST", endpoint, strings.NewReader(body))
					r.Header.Set("Content-Type", "application/json")
					w := httptest.NewRecorder()
					hosts[i%2].ServeHTTP(w, r)
					mu.Lock()
					defer mu.Unlock()
					counts[w.Code]++
				})
			}
			all.Wait()
			return counts
		}
		var first, mixed []string
		for i := range 20 {
			first = append(first, body(fmt.Sprint("first-", i), "client_credentials"))
			if mixed = append(mixed, body(fmt.Sprint("mixed-", i), "client_credentials")); i%2 == 0 {
				mixed[i] = body(fmt.Sprint("mixed-", i))
			}
		}
		// The requests of one host take turns. The first ones of two hosts may find each
		// other and be judged again, so that one registers in the end.
		if counts := atOnce(first); counts[201] != 1 || counts[200]+counts[503] != 19 {
			t.Errorf("first POSTs: %v", counts)
		}
		counts := atOnce(mixed)
		held, err := store.CountClients(t.Context(), dcr.Filter{})
		if err != nil || held > 1 || counts[200]+counts[201]+counts[400]+counts[503] != len(mixed) {
			t.Errorf("%d clients after %v, %v", held, counts, err)
		}
		t.Logf("%d clients after %v", held, counts)
	})
}

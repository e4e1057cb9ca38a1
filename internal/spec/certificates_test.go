package spec_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// authority issues certificates. It is an anchor, or below one.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

const appURI = "https://apps.example.com/cardio-viewer"

// template returns a certificate of an application that is valid at noon.
func template(uris ...string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: serial.String()},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(365 * 24 * time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: sanOf(uris...)}},
	}
}

func sanOf(uris ...string) []byte {
	var names []asn1.RawValue
	for _, uri := range uris {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(uri)})
	}
	value, _ := asn1.Marshal(names)
	return value
}

func caTemplate() *x509.Certificate {
	ca := template()
	ca.ExtraExtensions, ca.IsCA, ca.KeyUsage = nil, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	return ca
}

func newEC() crypto.Signer {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return key
}

// issue has an authority certify a key; a nil authority certifies its own.
func (a *authority) issue(t testing.TB, of *x509.Certificate, key crypto.Signer) *authority {
	t.Helper()
	parent, signer := of, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, of, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		cert = &x509.Certificate{Raw: der}
	}
	return &authority{cert, key}
}

// community returns an anchor and an intermediate below it, made once.
var community = sync.OnceValue(func() (c struct{ root, inter *authority }) {
	c.root = (*authority)(nil).issue(new(testing.T), caTemplate(), newEC())
	c.inter = c.root.issue(new(testing.T), caTemplate(), newEC())
	return c
})

// certify signs claims, with the certificates in the header.
func (a *authority) certify(claims object, header object, chain ...*authority) string {
	x5c := []string{}
	for _, one := range chain {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(one.cert.Raw))
	}
	alg := "ES256"
	if _, is := a.key.(*rsa.PrivateKey); is {
		alg = "RS256"
	}
	head, _ := json.Marshal(object{"alg": alg, "x5c": x5c}.plus(header))
	payload, _ := json.Marshal(claims)
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, _ := a.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if _, is := a.key.(*ecdsa.PrivateKey); is {
		var rs struct{ R, S *big.Int }
		asn1.Unmarshal(signature, &rs)
		signature = append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (o object) plus(more object) object {
	for name, value := range more {
		o[name] = value
	}
	return o
}

func trustingChains() *dcr.ChainVerifier {
	return &dcr.ChainVerifier{Communities: []dcr.Community{{Name: "https://community.example", Anchors: []*x509.Certificate{community().root.cert}}}}
}

// TestChains checks which chains are trusted, and with which code the others
// are refused.
func TestChains(t *testing.T) {
	c, claims := community(), object{"iss": appURI, "sub": appURI}
	invalid, unapproved := dcr.InvalidSoftwareStatement, dcr.UnapprovedSoftwareStatement
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	other := (*authority)(nil).issue(t, caTemplate(), newEC())
	loopA, loopB := caTemplate(), caTemplate()
	keyA, keyB := newEC(), newEC()
	a := (&authority{loopB, keyB}).issue(t, loopA, keyA)
	b := (&authority{loopA, keyA}).issue(t, loopB, keyB)
	below := func(parent *authority, change func(*x509.Certificate)) *authority {
		of := template(appURI)
		if change != nil {
			change(of)
		}
		return parent.issue(t, of, newEC())
	}
	good := below(c.inter, nil)
	huge := func(bits int, e int) *x509.Certificate {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		n.SetBit(n, 0, 1)
		der, err := x509.CreateCertificate(rand.Reader, template(appURI), c.inter.cert, &rsa.PublicKey{N: n, E: e}, c.inter.key)
		if err != nil {
			t.Fatal(err)
		}
		return &x509.Certificate{Raw: der}
	}
	many := []*authority{good}
	for range 49 {
		many = append(many, c.inter)
	}
	constrained := caTemplate()
	constrained.PermittedURIDomains = []string{"elsewhere.example"}
	narrow := c.root.issue(t, constrained, newEC())
	short := caTemplate()
	short.MaxPathLen, short.MaxPathLenZero = 0, true
	shortest := c.root.issue(t, short, newEC())
	tooDeep := shortest.issue(t, caTemplate(), newEC())
	noCA := template()
	noCA.ExtraExtensions = nil
	noAuthority := c.root.issue(t, noCA, newEC())
	for sentence, test := range map[string]struct {
		chain  []*authority
		header object
		want   error
	}{
		"good":                         {[]*authority{good, c.inter}, nil, nil},
		"valid, with the anchor":       {[]*authority{good, c.inter, c.root}, nil, nil},
		"valid, with a kid":            {[]*authority{good, c.inter}, object{"kid": "any"}, nil},
		"valid, in any order":          {[]*authority{good, c.root, c.inter}, nil, nil},
		"right below the anchor":       {[]*authority{below(c.root, nil)}, nil, nil},
		"with a URI that is not https": {[]*authority{below(c.root, func(of *x509.Certificate) { of.ExtraExtensions[0].Value = sanOf("spiffe://a.example/b") })}, nil, nil},
		"without the intermediate":     {[]*authority{good}, nil, unapproved},
		"expired":                      {[]*authority{below(c.root, func(of *x509.Certificate) { of.NotAfter = noon.Add(-time.Minute) })}, nil, unapproved},
		"not valid yet":                {[]*authority{below(c.root, func(of *x509.Certificate) { of.NotBefore = noon.Add(time.Minute) })}, nil, unapproved},
		"below another anchor":         {[]*authority{below(other, nil), other}, nil, unapproved},
		"self-signed":                  {[]*authority{(*authority)(nil).issue(t, template(appURI), newEC())}, nil, unapproved},
		"an authority as the leaf":     {[]*authority{c.inter, c.root}, nil, unapproved},
		"below a certificate that is not an authority": {[]*authority{below(noAuthority, nil), noAuthority}, nil, unapproved},
		"beyond a path length":                         {[]*authority{below(tooDeep, nil), tooDeep, shortest}, nil, unapproved},
		"a key for other purposes":                     {[]*authority{below(c.root, func(of *x509.Certificate) { of.KeyUsage = x509.KeyUsageKeyAgreement })}, nil, unapproved},
		"outside the name constraints":                 {[]*authority{below(narrow, nil), narrow}, nil, unapproved},
		"an unknown critical extension": {[]*authority{below(c.root, func(of *x509.Certificate) {
			of.ExtraExtensions = append(of.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		})}, nil, unapproved},
		"a loop":                        {[]*authority{below(a, nil), a, b}, nil, unapproved},
		"no certificates":               {[]*authority{}, nil, invalid},
		"x5c is not an array":           {[]*authority{good}, object{"x5c": "MII"}, invalid},
		"x5c is not base64":             {[]*authority{good}, object{"x5c": []string{"?"}}, invalid},
		"x5c is base64url":              {[]*authority{good}, object{"x5c": []string{base64.URLEncoding.EncodeToString(good.cert.Raw)}}, invalid},
		"x5c is not a certificate":      {[]*authority{good}, object{"x5c": []string{"AAAA"}}, invalid},
		"x5c is null":                   {[]*authority{good}, object{"x5c": nil}, invalid},
		"50 certificates":               {many, nil, invalid},
		"a certificate of 1 MB":         {[]*authority{good}, object{"x5c": []string{strings.Repeat("A", 1<<20)}}, invalid},
		"a key of 16,384 bits":          {[]*authority{{huge(16384, 65537), good.key}}, nil, invalid},
		"a key of 1,024 bits":           {[]*authority{{huge(1024, 65537), good.key}}, nil, invalid},
		"an exponent of 1":              {[]*authority{{huge(2048, 1), good.key}}, nil, invalid},
		"a key of 16,384 bits after it": {[]*authority{good, {huge(16384, 65537), nil}}, nil, invalid},
		"P-224":                         {[]*authority{c.root.issue(t, template(appURI), p224)}, nil, invalid},
		"a name above 0x7F":             {[]*authority{below(c.root, func(of *x509.Certificate) { of.ExtraExtensions[0].Value = sanOf("https://apps.example.com/\xe9") })}, nil, invalid},
		"two lists of names":            {[]*authority{below(c.root, func(of *x509.Certificate) { of.ExtraExtensions = append(of.ExtraExtensions, of.ExtraExtensions[0]) })}, nil, invalid},
		"someone else's key":            {[]*authority{{good.cert, newEC()}, c.inter}, nil, invalid},
		"alg none":                      {[]*authority{good, c.inter}, object{"alg": "none"}, invalid},
		"alg HS256":                     {[]*authority{good, c.inter}, object{"alg": "HS256"}, invalid},
		"alg for another kind of key":   {[]*authority{good, c.inter}, object{"alg": "RS256"}, invalid},
		"a critical header":             {[]*authority{good, c.inter}, object{"crit": []string{"exp"}}, invalid},
		"the typ of an access token":    {[]*authority{good, c.inter}, object{"typ": "at+jwt"}, invalid},
	} {
		signer := good
		if len(test.chain) > 0 {
			signer = test.chain[0]
		}
		if _, signs := signer.key.(*ecdsa.PrivateKey); !signs || signer.key == p224 {
			signer = good
		}
		token, err := trustingChains().Verify(t.Context(), signer.certify(claims, test.header, test.chain...), noon)
		if refused := (*dcr.Error)(nil); test.want != nil && (!errors.Is(err, test.want) || !errors.As(err, &refused)) || test.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", sentence, err, test.want)
		}
		if test.want == nil && (token == nil || token.Community != "https://community.example" || len(token.Chain) < 2 || len(token.URIs) != 1 || token.Issuer != appURI) {
			t.Errorf("%s: %+v", sentence, token)
		}
	}
}

// TestNamesOfCertificates checks that names match those of the certificate byte
// for byte, which those of package url do not.
func TestNamesOfCertificates(t *testing.T) {
	names := []string{"HTTPS://apps.example.com/A", "https://apps.example.com/#", "https://apps.example.com/%7Ea", "urn:uuid:1", "https://apps.example.com/", "https://apps.example.com"}
	app := community().root.issue(t, template(names...), newEC())
	token, err := trustingChains().Verify(t.Context(), app.certify(object{"iss": "x"}, nil, app), noon)
	if err != nil || strings.Join(token.URIs, " ") != strings.Join(names, " ") {
		t.Fatalf("%v: %v", token, err)
	}
	if parsed, _ := url.Parse(names[0]); parsed.String() == names[0] {
		t.Error("package url no longer rewrites anything")
	}
	for id, is := range map[string]bool{names[0]: true, names[5]: true, "https://apps.example.com/A": false, "https://apps.example.com/~a": false, "": false} {
		client := dcr.NewClient()
		client.Statement = &dcr.StatementRecord{Issuer: "https://community.example", ID: id}
		if token.IsOf(client) != is {
			t.Errorf("the signer is taken for %q: %v", id, !is)
		}
		client.Statement.Issuer = "https://other.example"
		if token.IsOf(client) {
			t.Errorf("the signer is taken for %q of another community", id)
		}
	}
	if token.IsOf(dcr.NewClient()) {
		t.Error("the signer is taken for a client without a statement")
	}
}

// TestChainHooks checks when the host is asked about a chain, and what its answer
// does.
func TestChainHooks(t *testing.T) {
	c := community()
	app := c.inter.issue(t, template(appURI), newEC())
	whole, part := app.certify(object{"iss": "x"}, nil, app, c.inter), app.certify(object{"iss": "x"}, nil, app)
	shown := dcr.Errorf(dcr.InvalidSoftwareStatement, "no")
	for sentence, test := range map[string]struct {
		token             string
		check, completing error
		want              error
		checks, completes int
	}{
		"asked about a valid chain":       {whole, nil, nil, nil, 1, 0},
		"revoked":                         {whole, errors.New("revoked"), nil, dcr.UnapprovedSoftwareStatement, 1, 0},
		"with an error of the host":       {whole, shown, nil, dcr.InvalidSoftwareStatement, 1, 0},
		"completed":                       {part, nil, nil, nil, 1, 1},
		"not completed":                   {part, nil, errors.New("out of reach"), dcr.UnapprovedSoftwareStatement, 0, 1},
		"not asked about a bad signature": {strings.TrimSuffix(whole, whole[len(whole)-8:]) + "AAAAAAAA", nil, nil, dcr.InvalidSoftwareStatement, 0, 0},
	} {
		checks, completes := 0, 0
		v := trustingChains()
		v.Check = func(_ context.Context, chain []*x509.Certificate) error {
			if checks++; len(chain) != 3 || !chain[2].Equal(c.root.cert) {
				t.Errorf("%s: asked about %d certificates", sentence, len(chain))
			}
			return test.check
		}
		v.Complete = func(context.Context, []*x509.Certificate) ([]*x509.Certificate, error) {
			completes++
			return []*x509.Certificate{c.inter.cert}, test.completing
		}
		_, err := v.Verify(t.Context(), test.token, noon)
		if !errors.Is(err, test.want) || checks != test.checks || completes != test.completes {
			t.Errorf("%s: %v, asked %d and %d times", sentence, err, checks, completes)
		}
	}
	v := trustingChains()
	v.Communities[0].Intermediates = []*x509.Certificate{c.inter.cert}
	if _, err := v.Verify(t.Context(), part, noon); err != nil {
		t.Errorf("if the host knows the intermediate: %v", err)
	}
}

func FuzzChain(f *testing.F) {
	c := community()
	app := c.inter.issue(f, template(appURI), newEC())
	f.Add([]byte(`"alg":"ES256"`), app.cert.Raw, c.inter.cert.Raw)
	f.Add([]byte(`"x5c":[]`), []byte{48, 0}, []byte{})
	v := trustingChains()
	f.Fuzz(func(t *testing.T, header, leaf, above []byte) {
		x5c, _ := json.Marshal([][]byte{leaf, above})
		head := append(append([]byte(`{"alg":"ES256","x5c":`), x5c...), '}')
		for _, head := range [][]byte{head, append(append([]byte{'{'}, header...), '}')} {
			token := base64.RawURLEncoding.EncodeToString(head) + ".e30." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))
			_, err := v.Verify(t.Context(), token, noon)
			if refused := (*dcr.Error)(nil); !errors.As(err, &refused) {
				t.Fatalf("%s: %v", head, err)
			}
		}
	})
}

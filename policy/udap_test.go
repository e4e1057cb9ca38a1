package policy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

const udapURI = "https://apps.example.com/cardio-viewer"

var udapNow = time.Unix(1780315200, 0)

// certified is a certificate and its key.
type certified struct {
	cert  *x509.Certificate
	key   crypto.Signer
	above []*certified
}

// certify has an authority certify a key with names; a nil authority makes a
// self-signed certificate.
func (c *certified) certify(t testing.TB, key crypto.Signer, uris ...string) *certified {
	t.Helper()
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	of := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: serial.String()}, BasicConstraintsValid: true,
		NotBefore: udapNow.Add(-time.Hour), NotAfter: udapNow.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	var names []asn1.RawValue
	for _, uri := range uris {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(uri)})
	}
	if san, _ := asn1.Marshal(names); len(uris) > 0 {
		of.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}}
	} else {
		of.IsCA, of.KeyUsage = true, x509.KeyUsageCertSign
	}
	parent, signer, above := of, key, []*certified(nil)
	if c != nil {
		parent, signer, above = c.cert, c.key, append([]*certified{c}, c.above...)
	}
	der, err := x509.CreateCertificate(rand.Reader, of, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &certified{cert, key, above}
}

func p256() crypto.Signer {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return key
}

// udapServer returns a server that trusts a community and requires no more than
// it must.
func udapServer(anchor *x509.Certificate) policy.UDAPServer {
	return policy.UDAPServer{Endpoint: endpoint, Chains: &dcr.ChainVerifier{
		Communities: []dcr.Community{{Name: "https://one.example", Anchors: []*x509.Certificate{anchor}}},
	}}
}

// udapWorld is a server in two communities and an application of the first.
type udapWorld struct {
	server
	app, other, root *certified
	jti              int
	revoked          error
	now              time.Time
}

func newUDAP(t testing.TB, change func(*policy.UDAPServer, *dcr.Options)) *udapWorld {
	w := &udapWorld{now: udapNow}
	w.root = (*certified)(nil).certify(t, p256())
	second := (*certified)(nil).certify(t, p256())
	w.app, w.other = w.root.certify(t, p256()).certify(t, p256(), udapURI, udapURI+"-2"), second.certify(t, p256(), udapURI)
	bank := policy.UDAPServer{Endpoint: endpoint, Chains: &dcr.ChainVerifier{
		Communities: []dcr.Community{{Name: "https://one.example", Anchors: []*x509.Certificate{w.root.cert}}, {Name: "https://two.example", Anchors: []*x509.Certificate{second.cert}}},
		Check:       func(context.Context, []*x509.Certificate) error { return w.revoked },
	}}
	opts := &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Now: func() time.Time { return w.now }}
	if change != nil {
		change(&bank, opts)
	}
	w.server = serve(t, policy.UDAP(dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"openid", "udap", "user/Patient.rs", "system/Patient.rs"}}}, bank).Apply(opts))
	return w
}

// claims returns the claims of a valid statement, with changes; nil removes
// one.
func (w *udapWorld) claims(grant string, change object) object {
	w.jti++
	claims := object{
		"iss": udapURI, "sub": udapURI, "aud": endpoint, "iat": w.now.Unix(), "exp": w.now.Unix() + 300, "jti": fmt.Sprint("jti-", w.jti),
		"client_name": "Cardio Viewer", "contacts": []string{"mailto:ops@apps.example.com", "https://apps.example.com/contact"},
		"grant_types": []string{grant}, "token_endpoint_auth_method": "private_key_jwt", "scope": "system/Patient.rs other/scope",
	}
	if grant == "authorization_code" {
		claims["grant_types"] = []string{grant, "refresh_token"}
		claims["redirect_uris"], claims["response_types"] = []string{udapURI + "/cb"}, []string{"code"}
		claims["logo_uri"], claims["scope"] = udapURI+"/logo.png", "openid user/Patient.rs"
	}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// statement signs claims with the key of a certificate, and sends the
// certificates above it along.
func (w *udapWorld) statement(t testing.TB, app *certified, claims object) string {
	x5c := []string{base64.StdEncoding.EncodeToString(app.cert.Raw)}
	for _, one := range app.above {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(one.cert.Raw))
	}
	header, alg := object{"x5c": x5c}, "ES256"
	if _, is := app.key.(*rsa.PrivateKey); is {
		alg = "RS256"
	}
	header["alg"] = alg
	input := encode([]byte(jsonText(header))) + "." + encode([]byte(jsonText(claims)))
	hash := crypto.SHA256.New()
	hash.Write([]byte(input))
	signature, err := app.key.Sign(rand.Reader, hash.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if alg == "ES256" {
		var rs struct{ R, S *big.Int }
		asn1.Unmarshal(signature, &rs)
		signature = append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	}
	return input + "." + encode(signature)
}

func (w *udapWorld) body(statement string) string {
	return jsonText(object{"software_statement": statement, "udap": "1", "certifications": []string{}})
}

func (w *udapWorld) post(t testing.TB, app *certified, claims object) dcrtest.Answer {
	t.Helper()
	return w.send(http.MethodPost, "", "", w.body(w.statement(t, app, claims)))
}

// answered checks the status and, for a refusal, the code.
func (w *udapWorld) answered(t testing.TB, sentence string, a dcrtest.Answer, status int, code dcr.Code) object {
	t.Helper()
	if a.Status != status {
		t.Fatalf("%s: %d %s, want %d", sentence, a.Status, a.Body, status)
	}
	members := decode(t, a)
	if said := members["error"]; code != "" && said != string(code) {
		t.Errorf("%s: %s, want %s", sentence, a.Body, code)
	}
	return members
}

func TestUDAPAnswers(t *testing.T) {
	for grant, want := range map[string][]string{
		"client_credentials": {"client_id", "client_id_issued_at", "client_name", "contacts", "grant_types", "scope", "software_statement", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg"},
		"authorization_code": {"application_type", "client_id", "client_id_issued_at", "client_name", "contacts", "grant_types", "logo_uri", "redirect_uris", "response_types", "scope", "software_statement", "token_endpoint_auth_method"},
	} {
		w := newUDAP(t, nil)
		statement := w.statement(t, w.app, w.claims(grant, object{"client_id": "x", "client_secret": "y", "vendor": "z"}))
		a := w.send(http.MethodPost, "", "", w.body(statement))
		members := w.answered(t, grant, a, 201, "")
		if members["software_statement"] != statement {
			t.Errorf("%s: the statement was changed", grant)
		}
		var names []string
		for name, value := range members {
			names = append(names, name)
			if text := jsonText(object{"": value}); text == `{"":null}` || text == `{"":""}` || text == `{"":[]}` {
				t.Errorf("%s: %s is empty", grant, name)
			}
		}
		slices.Sort(names)
		for _, name := range want {
			if !slices.Contains(names, name) && name != "token_endpoint_auth_signing_alg" && name != "application_type" {
				t.Errorf("%s: %s is missing from %s", grant, name, a.Body)
			}
		}
		for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "jti", "client_secret", "registration_access_token", "registration_client_uri", "vendor", "udap", "certifications"} {
			if _, there := members[name]; there {
				t.Errorf("%s: %s is answered", grant, name)
			}
		}
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			if a := w.send(method, endpoint+"?client_id="+members["client_id"].(string), "token", "{}"); a.Status != 405 {
				t.Errorf("%s: %d %s", method, a.Status, a.Body)
			}
		}
	}
}

// TestUDAPLife checks what a registrant may do with its registration, and that
// this affects no other registration.
func TestUDAPLife(t *testing.T) {
	deleted := 0
	w := newUDAP(t, func(_ *policy.UDAPServer, o *dcr.Options) {
		o.AfterDelete = func(context.Context, *dcr.Client) error { deleted++; return nil }
	})
	b2b := func(change object) object { return w.claims("client_credentials", change) }
	cancel := object{"grant_types": []string{}, "client_name": nil, "contacts": nil, "scope": nil, "token_endpoint_auth_method": nil}
	w.answered(t, "cancelling nothing", w.post(t, w.app, b2b(cancel)), 400, dcr.InvalidClientMetadata)
	first := w.answered(t, "first", w.post(t, w.app, b2b(object{"tos_uri": udapURI + "/tos"})), 201, "")["client_id"]
	second := w.answered(t, "another URI", w.post(t, w.app, b2b(object{"iss": udapURI + "-2", "sub": udapURI + "-2"})), 201, "")["client_id"]
	foreign := w.answered(t, "the same iss in another community", w.post(t, w.other, b2b(nil)), 201, "")["client_id"]
	if first == second || first == foreign {
		t.Fatal("the same client for two registrants")
	}
	m := w.answered(t, "other grant", w.post(t, w.app, w.claims("authorization_code", nil)), 200, "")
	if m["client_id"] != first || m["tos_uri"] != nil || jsonText(object{"": m["grant_types"]}) != `{"":["authorization_code","refresh_token"]}` {
		t.Errorf("not replaced: %v", m)
	}
	renewed := w.root.certify(t, p256(), udapURI, "https://apps.example.com/third")
	if m := w.answered(t, "renewed certificate", w.post(t, renewed, b2b(nil)), 200, ""); m["client_id"] != first || m["redirect_uris"] != nil {
		t.Errorf("another client: %v", m)
	}
	before, _ := w.store.FindByClientID(t.Context(), first.(string))
	w.answered(t, "an invalid update", w.post(t, w.app, b2b(object{"contacts": []string{"mailto:a@b.example", "nobody"}})), 400, dcr.InvalidClientMetadata)
	if after, _ := w.store.FindByClientID(t.Context(), first.(string)); after.Revision != before.Revision {
		t.Error("a refused update wrote")
	}
	m = w.answered(t, "cancelled", w.post(t, w.app, b2b(cancel)), 200, "")
	if m["client_id"] != first || jsonText(object{"": m["grant_types"]}) != `{"":[]}` || len(m) != 3 || deleted != 1 {
		t.Errorf("cancelled: %v, %d", m, deleted)
	}
	w.answered(t, "cancelled again", w.post(t, w.app, b2b(cancel)), 400, dcr.InvalidClientMetadata)
	if again := w.answered(t, "after it", w.post(t, w.app, b2b(nil)), 201, "")["client_id"]; again == first {
		t.Error("the id of the cancelled client is used again")
	}
	for _, id := range []any{second, foreign} {
		if _, err := w.store.FindByClientID(t.Context(), id.(string)); err != nil {
			t.Errorf("another client: %v", err)
		}
	}
	client, _ := w.store.FindByClientID(t.Context(), second.(string))
	client.Status = dcr.StatusDisabled
	w.store.Update(t.Context(), client)
	w.answered(t, "disabled", w.post(t, w.app, b2b(object{"iss": udapURI + "-2", "sub": udapURI + "-2"})), 400, dcr.UnapprovedSoftwareStatement)
}

func TestUDAPRefuses(t *testing.T) {
	w := newUDAP(t, nil)
	invalid, unapproved, metadata := dcr.InvalidSoftwareStatement, dcr.UnapprovedSoftwareStatement, dcr.InvalidClientMetadata
	stranger := (*certified)(nil).certify(t, p256()).certify(t, p256(), udapURI)
	noNames := w.root.certify(t, p256(), "x:")
	for sentence, test := range map[string]struct {
		app    *certified
		grant  string
		change object
		code   dcr.Code
	}{
		"unknown anchor":               {stranger, "", nil, unapproved},
		"unknown anchor, bad claims":   {stranger, "", object{"iss": "x"}, unapproved},
		"no name in the certificate":   {noNames, "", nil, invalid},
		"iss invalid":                  {w.app, "", object{"iss": "invalid_iss"}, invalid},
		"iss missing":                  {w.app, "", object{"iss": nil}, invalid},
		"iss in capitals":              {w.app, "", object{"iss": "HTTPS://apps.example.com/cardio-viewer", "sub": "HTTPS://apps.example.com/cardio-viewer"}, invalid},
		"iss with a slash":             {w.app, "", object{"iss": udapURI + "/", "sub": udapURI + "/"}, invalid},
		"iss encoded":                  {w.app, "", object{"iss": "https://apps.example.com/c%61rdio-viewer", "sub": "https://apps.example.com/c%61rdio-viewer"}, invalid},
		"sub missing":                  {w.app, "", object{"sub": nil}, invalid},
		"sub other":                    {w.app, "", object{"sub": udapURI + "-2"}, invalid},
		"aud missing":                  {w.app, "", object{"aud": nil}, invalid},
		"aud other":                    {w.app, "", object{"aud": endpoint + "/"}, invalid},
		"exp missing":                  {w.app, "", object{"exp": nil}, invalid},
		"exp passed":                   {w.app, "", object{"exp": udapNow.Unix(), "iat": udapNow.Unix() - 10}, invalid},
		"exp too far":                  {w.app, "", object{"exp": udapNow.Unix() + 301}, invalid},
		"iat missing":                  {w.app, "", object{"iat": nil}, invalid},
		"iat far ahead":                {w.app, "", object{"iat": udapNow.Unix() + 120}, invalid},
		"jti missing":                  {w.app, "", object{"jti": nil}, metadata},
		"client_name missing":          {w.app, "", object{"client_name": nil}, metadata},
		"contacts missing":             {w.app, "", object{"contacts": nil}, metadata},
		"contacts without mailto":      {w.app, "", object{"contacts": []string{"https://apps.example.com"}}, metadata},
		"method missing":               {w.app, "", object{"token_endpoint_auth_method": nil}, metadata},
		"method other":                 {w.app, "", object{"token_endpoint_auth_method": "none"}, metadata},
		"scope missing":                {w.app, "", object{"scope": nil}, metadata},
		"no scope that is known":       {w.app, "", object{"scope": "other"}, metadata},
		"grant_types missing":          {w.app, "", object{"grant_types": nil}, metadata},
		"grant_types null":             {w.app, "", object{"grant_types": json.RawMessage("null")}, metadata},
		"grant_types unknown":          {w.app, "", object{"grant_types": []string{"client_credentials", "foo"}}, metadata},
		"both grants":                  {w.app, "", object{"grant_types": []string{"client_credentials", "authorization_code"}}, metadata},
		"only refresh_token":           {w.app, "", object{"grant_types": []string{"refresh_token"}}, metadata},
		"refresh with credentials":     {w.app, "", object{"grant_types": []string{"client_credentials", "refresh_token"}}, metadata},
		"redirects with credentials":   {w.app, "", object{"redirect_uris": []string{udapURI}}, metadata},
		"response types, credentials":  {w.app, "", object{"response_types": []string{"code"}}, metadata},
		"no logo with the code":        {w.app, "authorization_code", object{"logo_uri": nil}, metadata},
		"a logo over http":             {w.app, "authorization_code", object{"logo_uri": "http://apps.example.com/logo.png"}, metadata},
		"no redirects with the code":   {w.app, "authorization_code", object{"redirect_uris": nil}, metadata},
		"redirects over http":          {w.app, "authorization_code", object{"redirect_uris": []string{"http://apps.example.com/cb"}}, dcr.InvalidRedirectURI},
		"no response types, the code":  {w.app, "authorization_code", object{"response_types": nil}, metadata},
		"another response type":        {w.app, "authorization_code", object{"response_types": []string{"token"}}, metadata},
		"not valid yet, by nbf":        {w.app, "", object{"nbf": udapNow.Unix() + 120}, invalid},
		"a cancellation with bad time": {w.app, "", object{"grant_types": []string{}, "exp": udapNow.Unix()}, invalid},
	} {
		grant := test.grant
		if grant == "" {
			grant = "client_credentials"
		}
		before := w.post(t, test.app, w.claims(grant, test.change))
		w.answered(t, sentence, before, 400, test.code)
		if test.code == invalid || test.code == unapproved { // the answer must not show whether there is a client
			w.answered(t, sentence, w.post(t, w.app, w.claims("client_credentials", nil)), 201, "")
			after := w.post(t, test.app, w.claims(grant, test.change))
			if string(after.Body) != string(before.Body) {
				t.Errorf("%s: %s shows that there is a client, unlike %s", sentence, after.Body, before.Body)
			}
			w.answered(t, sentence, w.post(t, w.app, w.claims("client_credentials", object{"grant_types": []string{}})), 200, "")
		}
	}
	good := w.statement(t, w.app, w.claims("client_credentials", nil))
	for sentence, body := range map[string]object{
		"no udap": {"software_statement": good}, "udap is a number": {"software_statement": good, "udap": 1}, "udap 2": {"software_statement": good, "udap": "2"},
	} {
		w.answered(t, sentence, w.send("POST", "", "", jsonText(body)), 400, metadata)
	}
	w.answered(t, "no statement", w.send("POST", "", "", `{"udap":"1"}`), 400, invalid)
	for _, revoked := range []error{errors.New("revoked"), errors.New("out of reach")} {
		w.revoked = revoked
		w.answered(t, "revoked", w.post(t, w.app, w.claims("client_credentials", nil)), 400, unapproved)
	}
}

// TestUDAPReplay checks that a jti can be used once until its exp, and again after
// it.
func TestUDAPReplay(t *testing.T) {
	w := newUDAP(t, nil)
	same := object{"jti": "same"}
	claims := w.claims("client_credentials", same)
	w.answered(t, "vain", w.post(t, w.app, w.claims("client_credentials", object{"jti": "same", "scope": "other"})), 400, dcr.InvalidClientMetadata)
	w.answered(t, "first", w.post(t, w.app, claims), 201, "")
	w.answered(t, "replayed", w.post(t, w.app, claims), 400, dcr.InvalidClientMetadata)
	w.answered(t, "as a cancellation", w.post(t, w.app, w.claims("client_credentials", object{"jti": "same", "grant_types": []string{}})), 400, dcr.InvalidClientMetadata)
	w.answered(t, "of another iss", w.post(t, w.app, w.claims("client_credentials", object{"jti": "same", "iss": udapURI + "-2", "sub": udapURI + "-2"})), 201, "")
	w.now = udapNow.Add(300 * time.Second)
	w.answered(t, "replayed at exp", w.post(t, w.app, claims), 400, dcr.InvalidSoftwareStatement)
	w.answered(t, "the jti after exp", w.post(t, w.app, w.claims("client_credentials", same)), 200, "")
}

// TestUDAPAtOnce checks that of several first POSTs at once one registers, and
// the others update that client; and that nothing remains of a client that is
// cancelled during updates.
func TestUDAPAtOnce(t *testing.T) {
	w := newUDAP(t, nil)
	var bodies, cancels []string
	for i := range 24 {
		bodies = append(bodies, w.body(w.statement(t, w.app, w.claims("client_credentials", nil))))
		if i%4 == 0 {
			cancels = append(cancels, w.body(w.statement(t, w.app, w.claims("client_credentials", object{"grant_types": []string{}}))))
		}
	}
	counts, ids := w.atOnce(bodies)
	if counts[201] != 1 || counts[200] != 23 || len(ids) != 1 {
		t.Errorf("%v, %d ids", counts, len(ids))
	}
	mixed := slices.Clone(cancels)
	for range 6 {
		mixed = append(mixed, w.body(w.statement(t, w.app, w.claims("client_credentials", nil))))
	}
	counts, _ = w.atOnce(mixed)
	held, _ := w.store.CountClients(t.Context(), dcr.Filter{})
	if counts[200]+counts[201]+counts[400] != len(mixed) || held > 1 {
		t.Errorf("%v, %d clients", counts, held)
	}
}

func (w *udapWorld) atOnce(bodies []string) (counts map[int]int, ids map[string]bool) {
	var mu sync.Mutex
	var all sync.WaitGroup
	counts, ids = make(map[int]int), make(map[string]bool)
	for _, body := range bodies {
		all.Go(func() {
			a := w.send(http.MethodPost, "", "", body)
			var members struct {
				ID string `json:"client_id"`
			}
			json.Unmarshal(a.Body, &members)
			mu.Lock()
			defer mu.Unlock()
			counts[a.Status]++
			ids[members.ID] = true
		})
	}
	all.Wait()
	return counts, ids
}

// TestUDAPVector checks a statement that others made, at four times and with
// other settings.
func TestUDAPVector(t *testing.T) {
	anchor := func(text string) *x509.Certificate {
		der, _ := base64.StdEncoding.DecodeString(text)
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}(udapVectorAnchor)
	other := (*certified)(nil).certify(t, p256()).cert
	const at = "https://as.example.net/register"
	for _, test := range []struct {
		seconds  int
		anchor   *x509.Certificate
		endpoint string
		changed  bool
		code     dcr.Code
	}{
		{0, anchor, at, false, ""}, {299, anchor, at, false, ""}, {-61, anchor, at, false, dcr.InvalidSoftwareStatement}, {361, anchor, at, false, dcr.InvalidSoftwareStatement},
		{0, other, at, false, dcr.UnapprovedSoftwareStatement}, {0, anchor, at + "2", false, dcr.InvalidSoftwareStatement}, {0, anchor, at, true, dcr.InvalidSoftwareStatement},
	} {
		statement := udapVector
		if test.changed {
			statement = statement[:len(statement)-2] + "7" + statement[len(statement)-1:]
		}
		h, err := dcr.NewHandler(memstore.New(), policy.UDAP(dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"system/Patient.rs"}}}, policy.UDAPServer{
			Endpoint: test.endpoint, Chains: &dcr.ChainVerifier{Communities: []dcr.Community{{Name: "https://community.example", Anchors: []*x509.Certificate{test.anchor}}}},
		}).Apply(&dcr.Options{Endpoint: test.endpoint, AllowAnonymous: true, Logger: quiet, Now: func() time.Time { return udapNow.Add(time.Duration(test.seconds) * time.Second) }}))
		if err != nil {
			t.Fatal(err)
		}
		a := server{h, nil}.send(http.MethodPost, test.endpoint, "", jsonText(object{"software_statement": statement, "udap": "1"}))
		if test.code == "" && a.Status != 201 || test.code != "" && (a.Status != 400 || !strings.Contains(string(a.Body), `"`+string(test.code)+`"`)) {
			t.Errorf("%+v: %d %s", test.seconds, a.Status, a.Body)
		}
	}
}

// TestUDAPTakesLongStatements checks that a chain with 4,096-bit keys is accepted,
// although it exceeds the usual limit.
func TestUDAPTakesLongStatements(t *testing.T) {
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 4096)
	}
	root := (*certified)(nil).certify(t, keys[0])
	w := newUDAP(t, func(s *policy.UDAPServer, _ *dcr.Options) {
		s.Chains.Communities[0].Anchors = []*x509.Certificate{root.cert}
	})
	statement := w.statement(t, root.certify(t, keys[1]).certify(t, keys[2], udapURI), w.claims("client_credentials", nil))
	if len(statement) <= 8192 {
		t.Fatalf("it has only %d bytes", len(statement))
	}
	w.answered(t, "three certificates", w.send(http.MethodPost, "", "", w.body(statement)), 201, "")
}

func TestUDAPCertifications(t *testing.T) {
	for sentence, test := range map[string]struct {
		hook func(context.Context, *dcr.Registration, []string) ([]string, error)
		want string
	}{
		"ignored without a hook": {nil, ""},
		"the accepted ones":      {func(_ context.Context, _ *dcr.Registration, sent []string) ([]string, error) { return sent[:1], nil }, `["a"]`},
		"none accepted":          {func(context.Context, *dcr.Registration, []string) ([]string, error) { return nil, nil }, ""},
		"refused": {func(context.Context, *dcr.Registration, []string) ([]string, error) {
			return nil, dcr.Errorf("unapproved_certification", "no")
		}, "unapproved_certification"},
	} {
		w := newUDAP(t, func(s *policy.UDAPServer, _ *dcr.Options) { s.Certifications = test.hook })
		a := w.send(http.MethodPost, "", "", jsonText(object{"software_statement": w.statement(t, w.app, w.claims("client_credentials", nil)), "udap": "1", "certifications": []string{"a", "b"}}))
		members := decode(t, a)
		switch {
		case sentence == "refused":
			w.answered(t, sentence, a, 400, "unapproved_certification")
		case test.want == "" && members["certifications"] != nil || a.Status != 201:
			t.Errorf("%s: %d %s", sentence, a.Status, a.Body)
		case test.want != "" && jsonText(object{"": members["certifications"]}) != `{"":`+test.want+`}`:
			t.Errorf("%s: %s", sentence, a.Body)
		}
	}
}

// A client assertion signed with a renewed certificate is still accepted.
func TestUDAPAssertions(t *testing.T) {
	w := newUDAP(t, nil)
	id := w.answered(t, "first", w.post(t, w.app, w.claims("client_credentials", nil)), 201, "")["client_id"].(string)
	client, _ := w.store.FindByClientID(t.Context(), id)
	chains := &dcr.ChainVerifier{Communities: []dcr.Community{{Name: "https://one.example", Anchors: []*x509.Certificate{w.root.cert}}}}
	for app, is := range map[*certified]bool{w.app: true, w.root.certify(t, p256(), udapURI): true, w.root.certify(t, p256(), udapURI+"-3"): false} {
		token, err := chains.Verify(t.Context(), w.statement(t, app, object{"iss": id, "sub": id}), udapNow)
		if err != nil || token.IsOf(client) != is {
			t.Errorf("%v, %v", is, err)
		}
	}
}

const udapVectorAnchor = "MIIBXzCCAQWgAwIBAgIBATAKBggqhkjOPQQDAjAXMRUwEwYDVQQDEwxFeGFtcGxlIFJvb3QwHhcNMjYwMTAxMDAwMDAwWhcNMzYwMTAxMDAwMDAwWjAXMRUwEwYDVQQDEwxFeGFtcGxlIFJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASYSOokI+gN0t9HQJswVSj6ZCYhifKNDuAyRW/2I6QK5zgXB9jF2DNwP6WiuDF4Yv9rlNHDSuG95pQhBkkohT1bo0IwQDAOBgNVHQ8BAf8EBAMCAQYwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUForUYGdoOHo6QlHmWscMhCUsyjQwCgYIKoZIzj0EAwIDSAAwRQIhAJqEQ44BCHjD7+zc8Awo8KfQ0yiWmJZ65kc8eYuC2Bu8AiBlTOiwEXB4MgSRvshns3VspcKaUHfRpg4EZoE8nOVDHg=="

const udapVector = "eyJhbGciOiJFUzI1NiIsIng1YyI6WyJNSUlCeGpDQ0FXeWdBd0lCQWdJQkF6QUtCZ2dxaGtqT1BRUURBakFmTVIwd0d3WURWUVFERXhSRmVHRnRjR3hsSUVsdWRHVnliV1ZrYVdGMFpUQWVGdzB5TmpBeE1ERXdNREF3TURCYUZ3MHpOakF4TURFd01EQXdNREJhTUJneEZqQVVCZ05WQkFNVERVTmhjbVJwYnlCV2FXVjNaWEl3V1RBVEJnY3Foa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVRnTWNXV3ViQi9ZbGk3WFNwWEtsV3NpS1E4NkI4dnZwcGNFRGRxNGZ1Q0EyVzZueGluaUxWek5VN0gxT2dHMTdJV2kvNENzTjZtcVlIV3pEYjZOZ3pZbzRHZk1JR2NNQTRHQTFVZER3RUIvd1FFQXdJSGdEQU1CZ05WSFJNQkFmOEVBakFBTUI4R0ExVWRJd1FZTUJhQUZJeC9WT2hENGJwR3VOdjBjQllWbDJXQytoeTRNRnNHQTFVZEVRUlVNRktHSm1oMGRIQnpPaTh2WVhCd2N5NWxlR0Z0Y0d4bExtTnZiUzlqWVhKa2FXOHRkbWxsZDJWeWhpaG9kSFJ3Y3pvdkwyRndjSE11WlhoaGJYQnNaUzVqYjIwdlkyRnlaR2x2TFhacFpYZGxjaTB5TUFvR0NDcUdTTTQ5QkFNQ0EwZ0FNRVVDSUhlandZUkZJN1pyRUtseC93VWp5NnloMVBobzZZZG91NWJPQzNOZkxYSm5BaUVBcDVHUlovTi9hVjI3cU5YQ1RiVVpZdmlrZHd1MmEvOWUyUnFEdUJuMjJKOD0iLCJNSUlCaURDQ0FTNmdBd0lCQWdJQkFqQUtCZ2dxaGtqT1BRUURBakFYTVJVd0V3WURWUVFERXd4RmVHRnRjR3hsSUZKdmIzUXdIaGNOTWpZd01UQXhNREF3TURBd1doY05Nell3TVRBeE1EQXdNREF3V2pBZk1SMHdHd1lEVlFRREV4UkZlR0Z0Y0d4bElFbHVkR1Z5YldWa2FXRjBaVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSEEwSUFCSzBpNEV3UzhNMmFCTWpROWN4Ym8xTnJXSjZtZWdWNElKSDZOay9UVUw1WC96SnJqdEVORFV0aUhxNGRBWVpQdkxUcE8yY2kyS1kxRDdtMkNWSWZ1YmFqWXpCaE1BNEdBMVVkRHdFQi93UUVBd0lCQmpBUEJnTlZIUk1CQWY4RUJUQURBUUgvTUIwR0ExVWREZ1FXQkJTTWYxVG9RK0c2UnJqYjlIQVdGWmRsZ3ZvY3VEQWZCZ05WSFNNRUdEQVdnQlFXaXRSZ1oyZzRlanBDVWVaYXh3eUVKU3pLTkRBS0JnZ3Foa2pPUFFRREFnTklBREJGQWlFQS9RL1Q3TFg3clJuQmlwS1htSW1rSmlSdW5qcHlLbmNHeU1hT0RVeEhIM01DSUNWUS8xa2NyaFM2Mm5zc0h3RzRCTjlQWGFGSlhFWHJXZ3dLWEZacUJNYlUiXX0.eyJpc3MiOiJodHRwczovL2FwcHMuZXhhbXBsZS5jb20vY2FyZGlvLXZpZXdlciIsInN1YiI6Imh0dHBzOi8vYXBwcy5leGFtcGxlLmNvbS9jYXJkaW8tdmlld2VyIiwiYXVkIjoiaHR0cHM6Ly9hcy5leGFtcGxlLm5ldC9yZWdpc3RlciIsImlhdCI6MTc4MDMxNTIwMCwiZXhwIjoxNzgwMzE1NTAwLCJqdGkiOiJrMy0wMDAxIiwiY2xpZW50X25hbWUiOiJDYXJkaW8gVmlld2VyIiwiY29udGFjdHMiOlsibWFpbHRvOm9wc0BhcHBzLmV4YW1wbGUuY29tIl0sImdyYW50X3R5cGVzIjpbImNsaWVudF9jcmVkZW50aWFscyJdLCJ0b2tlbl9lbmRwb2ludF9hdXRoX21ldGhvZCI6InByaXZhdGVfa2V5X2p3dCIsInNjb3BlIjoic3lzdGVtL1BhdGllbnQucnMifQ.ywsY4Anmv3b7HpRZM_VT37T-VarBce7zrkqBrBm-8-h4bgiGY-2qpOwG5AddOV0SOqs9nRCN2r1Fdnxw7mHo6g"

// TestUDAPWantsCertifications checks that a server may require a certification: its
// hook is called even if none is sent.
func TestUDAPWantsCertifications(t *testing.T) {
	w := newUDAP(t, func(server *policy.UDAPServer, _ *dcr.Options) {
		server.Certifications = func(_ context.Context, _ *dcr.Registration, sent []string) ([]string, error) {
			if len(sent) == 0 {
				return nil, dcr.Errorf("unapproved_certification", "certifications must have one of an approved certifier")
			}
			return sent, nil
		}
	})
	send := func(certifications []string) dcrtest.Answer {
		body := object{"software_statement": w.statement(t, w.app, w.claims("client_credentials", nil)), "udap": "1"}
		if certifications != nil {
			body["certifications"] = certifications
		}
		return w.send(http.MethodPost, "", "", jsonText(body))
	}
	w.answered(t, "none", send(nil), 400, "unapproved_certification")
	w.answered(t, "an empty list", send([]string{}), 400, "unapproved_certification")
	w.answered(t, "one", send([]string{"a"}), 201, "")
	w.answered(t, "an update without certifications", send(nil), 400, "unapproved_certification")
}

// TestUDAPExpiredClient checks that a registrant whose client has expired can
// register before a sweep: the old client is replaced by a new one.
func TestUDAPExpiredClient(t *testing.T) {
	var deleted []string
	w := newUDAP(t, func(_ *policy.UDAPServer, opts *dcr.Options) {
		opts.AfterDelete = func(_ context.Context, client *dcr.Client) error {
			deleted = append(deleted, client.ID)
			return nil
		}
	})
	expire := func(id string) {
		client, err := w.store.FindByClientID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		client.ExpiresAt = w.now.Add(-time.Hour)
		if err := w.store.Update(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	first := w.answered(t, "first", w.post(t, w.app, w.claims("client_credentials", nil)), 201, "")["client_id"].(string)
	expire(first)
	second := w.answered(t, "expired", w.post(t, w.app, w.claims("client_credentials", nil)), 201, "")["client_id"].(string)
	if second == first || len(deleted) != 1 || deleted[0] != first {
		t.Errorf("%s became %s, deleted %v", first, second, deleted)
	}
	expire(second)
	w.answered(t, "cancelled", w.post(t, w.app, w.claims("client_credentials", object{"grant_types": []string{}})), 200, "")
	if len(deleted) != 2 {
		t.Errorf("deleted %v", deleted)
	}
}

package policy_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

const (
	brSoftware     = "25556d5a-b9dd-4e27-aa1a-cce732fe74de"
	brOrganisation = "b961c4eb-509d-4edf-afeb-35642b38185d"
	brKeys         = "https://keystore.example.org.br/application.jwks"
)

// brazil is a directory and an institution.
type brazil struct {
	directory signer
	alone     http.Handler // without MutualTLS in front
	http.Handler
}

func newBrazil(t *testing.T) *brazil {
	t.Helper()
	return newBrazilBy(t, policy.BrasilBank{}, ways["applied"])
}

// newBrazilBy makes an institution that sets up the preset in the given way.
func newBrazilBy(t *testing.T, bank policy.BrasilBank, way func(policy.Preset, *dcr.Options)) *brazil {
	t.Helper()
	b := &brazil{directory: newPS256()}
	preset := policy.OpenFinanceBrasil(dcr.DefaultValidator{Statements: &dcr.StatementVerifier{
		Issuers: map[string]dcr.KeySource{"Open Banking Brasil SSA issuer": dcr.StaticKeys(b.directory.jwks())},
	}}, bank)
	opts := &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Logger: quiet}
	opts.Caller = func(*http.Request) (*dcr.Caller, error) { return nil, nil }
	way(preset, opts)
	handler, err := dcr.NewHandler(memstore.New(), opts)
	if err != nil {
		t.Fatal(err)
	}
	b.alone, b.Handler = handler, policy.MutualTLS(handler)
	return b
}

func (b *brazil) statement(t testing.TB, change object) string {
	return b.directory.sign(t, with(object{
		"iss": "Open Banking Brasil SSA issuer", "iat": time.Now().Unix(), "software_id": brSoftware, "org_id": brOrganisation,
		"software_client_name": "Raidiam Accounting", "software_client_uri": "https://www.example.com.br/accounting.html",
		"software_redirect_uris": []string{"https://www.example.com.br/cb", "https://www.example.com.br/cb2"}, "software_jwks_uri": brKeys,
		"software_statement_roles": []object{
			{"role": "DADOS", "authorisation_domain": "Open Banking", "status": "Inactive"},
			{"role": "PAGTO", "authorisation_domain": "Open Banking", "status": "Active"},
		},
	}, change))
}

func (b *brazil) request(t testing.TB, statement, members object) string {
	body, err := json.Marshal(with(object{
		"redirect_uris": []string{"https://www.example.com.br/cb"}, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": brKeys,
		"grant_types": []string{"authorization_code", "implicit", "refresh_token"}, "response_types": []string{"code id_token"},
		"software_statement": b.statement(t, statement),
	}, members))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// certificate returns a certificate for a software and an organisation, issued
// at the given time.
func certificate(software, organisation string, issued time.Time) *x509.Certificate {
	return &x509.Certificate{NotBefore: issued, Subject: pkix.Name{Names: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: software},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 97}, Value: "OFBBR-" + organisation},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "unit of " + organisation},
	}}}
}

// The subject of brCertificate, with the names of the profile and with only
// OIDs.
var (
	brName      = "2.5.4.11=#" + hexDER("unit of "+strings.ToUpper(brOrganisation)) + ",2.5.4.97=#" + hexDER("OFBBR-"+strings.ToUpper(brOrganisation)) + ",UID=" + brSoftware
	brNameByOID = "OU = Unit  of " + brOrganisation + ",2.5.4.97=#" + hexDER("OFBBR-"+brOrganisation) + ", 0.9.2342.19200300.100.1.1=#" + hexDER(brSoftware)
)

func hexDER(value string) string {
	der, err := asn1.Marshal(value)
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(der)
}

var brCertificate = certificate(brSoftware, strings.ToUpper(brOrganisation), time.Now())

func (b *brazil) send(method, url, token, body string, presented *x509.Certificate) dcrtest.Answer {
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.TLS = &tls.ConnectionState{}
	if presented != nil {
		r.TLS.PeerCertificates = []*x509.Certificate{presented}
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	answer, _ := io.ReadAll(w.Body)
	return dcrtest.Answer{Status: w.Code, Header: w.Header(), Body: answer}
}

func TestBrasilRegistersAndManages(t *testing.T) {
	b := newBrazil(t)
	answer := b.send(http.MethodPost, endpoint, "", b.request(t, nil, nil), brCertificate)
	if answer.Status != http.StatusCreated {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	client := decode(t, answer)
	for name, want := range map[string]any{
		"client_name": "Raidiam Accounting", "scope": "openid payments", "jwks_uri": brKeys,
		"tls_client_certificate_bound_access_tokens": true, "id_token_signed_response_alg": "PS256",
	} {
		if client[name] != want {
			t.Errorf("%s is %v, want %v", name, client[name], want)
		}
	}
	uri, token := client["registration_client_uri"].(string), client["registration_access_token"].(string)
	withID := func(members object) object {
		all := object{"client_id": client["client_id"]}
		maps.Copy(all, members)
		return all
	}
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"another registration of the software", "", 400},
		{"new redirect URIs", b.request(t, nil, withID(object{"redirect_uris": []string{"https://www.example.com.br/cb2"}})), 200},
		{"no statement", b.request(t, nil, withID(object{"software_statement": nil})), 400},
		{"a statement that was changed", b.request(t, nil, withID(object{"software_statement": b.statement(t, nil) + "x"})), 400},
		{"a statement that is too old", b.request(t, object{"iat": time.Now().Add(-10 * time.Minute).Unix()}, withID(nil)), 400},
		{"a redirect URI that the statement lacks", b.request(t, nil, withID(object{"redirect_uris": []string{"https://www.example.com.br/x"}})), 400},
		{"keys by value", b.request(t, nil, withID(object{"jwks": object{"keys": []any{}}, "jwks_uri": nil})), 400},
	} {
		answer := b.send(http.MethodPut, uri, token, c.body, brCertificate)
		if c.body == "" {
			answer = b.send(http.MethodPost, endpoint, "", b.request(t, nil, nil), brCertificate)
		}
		if answer.Status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, answer.Status, answer.Body, c.status)
		}
		if c.status == 200 && decode(t, answer)["registration_access_token"] != token {
			t.Errorf("%s: the registration access token was rotated", c.name)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPut, http.MethodPost} {
		if answer := b.send(method, uri, token, "{}", nil); answer.Status != http.StatusUnauthorized || strings.Contains(string(answer.Body), "client_id") {
			t.Errorf("%s without a certificate: %d %s", method, answer.Status, answer.Body)
		}
	}
	if answer := b.send(http.MethodDelete, uri, token, "", brCertificate); answer.Status != http.StatusNoContent {
		t.Errorf("delete: %d", answer.Status)
	}
	if answer := b.send(http.MethodPost, endpoint, "", b.request(t, nil, nil), brCertificate); answer.Status != http.StatusCreated {
		t.Errorf("a registration after the deletion: %d %s", answer.Status, answer.Body)
	}
}

func TestBrasilRules(t *testing.T) {
	old := time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
	unit := certificate(brSoftware, "another", old)
	unit.Subject.Names[2].Value = brOrganisation
	lateUnit := certificate(brSoftware, "another", time.Now())
	lateUnit.Subject.Names[2].Value = brOrganisation
	byCertificate := func(name string) object {
		return object{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": name}
	}
	for _, c := range []struct {
		name               string
		statement, members object
		presented          *x509.Certificate
		code               string // "" if it registers
	}{
		{"as it should be", nil, nil, brCertificate, ""},
		{"no jwks_uri", nil, object{"jwks_uri": nil}, brCertificate, ""},
		{"another jwks_uri", nil, object{"jwks_uri": "https://evil.example/jwks"}, brCertificate, "invalid_client_metadata"},
		{"no redirect URIs", nil, object{"redirect_uris": nil}, brCertificate, "invalid_redirect_uri"},
		{"no method", nil, object{"token_endpoint_auth_method": nil}, brCertificate, "invalid_client_metadata"},
		{"a secret", nil, object{"token_endpoint_auth_method": "client_secret_basic"}, brCertificate, "invalid_client_metadata"},
		{"RS256", nil, object{"id_token_signed_response_alg": "RS256"}, brCertificate, "invalid_client_metadata"},
		{"its own name", nil, object{"client_name": "Banco Central"}, brCertificate, ""},
		{"a revoked organisation", object{"org_status": "Revoked"}, nil, brCertificate, "unapproved_software_statement"},
		{"an active organisation", object{"org_status": "Active"}, nil, brCertificate, ""},
		{"a statement without an organisation", object{"org_id": nil}, nil, brCertificate, "invalid_software_statement"},
		{"a statement that is too old", object{"iat": time.Now().Add(-10 * time.Minute).Unix()}, nil, brCertificate, "invalid_software_statement"},
		{"another software's certificate", nil, nil, certificate("another", brOrganisation, time.Now()), "invalid_software_statement"},
		{"another organisation's certificate", nil, nil, certificate(brSoftware, "another", time.Now()), "invalid_software_statement"},
		{"the organisation in the unit, in an old certificate", nil, nil, unit, ""},
		{"the organisation in the unit, in a new certificate", nil, nil, lateUnit, "invalid_software_statement"},
		{"scopes within the roles", nil, object{"scope": "payments"}, brCertificate, ""},
		{"scopes beyond the roles", nil, object{"scope": "openid payments accounts"}, brCertificate, "invalid_client_metadata"},
		{"no active role", object{"software_statement_roles": []object{}}, nil, brCertificate, "unapproved_software_statement"},
		{"the distinguished name of its certificate", nil, byCertificate(brName), brCertificate, ""},
		{"the same in another form", nil, byCertificate(brNameByOID), brCertificate, ""},
		{"another distinguished name", nil, byCertificate("CN=mallory"), brCertificate, "invalid_client_metadata"},
		{"a part of its distinguished name", nil, byCertificate("UID=" + brSoftware), brCertificate, "invalid_client_metadata"},
		{"a distinguished name with another attribute", nil, byCertificate("UID=67c57882,organizationIdentifier=OFBBR-1,C=BR"), brCertificate, "invalid_client_metadata"},
		{"a distinguished name with an OID and a plain value", nil, byCertificate("UID=67c57882,2.5.4.97=OFBBR-1,C=BR"), brCertificate, "invalid_client_metadata"},
		{"a certificate, by its host name", nil, object{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "bank.example"}, brCertificate, "invalid_client_metadata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBrazil(t)
			answer := b.send(http.MethodPost, endpoint, "", b.request(t, c.statement, c.members), c.presented)
			if c.code == "" {
				if answer.Status != http.StatusCreated || decode(t, answer)["client_name"] != "Raidiam Accounting" {
					t.Errorf("%d %s", answer.Status, answer.Body)
				}
				return
			}
			if code, err := dcrtest.Refusal(answer); err != nil || code != c.code || answer.Status != 400 {
				t.Errorf("%v, %d %s, want %s", err, answer.Status, answer.Body, c.code)
			}
		})
	}
}

// TestBrasilManagesByItsCertificate checks that the registration access token
// works only with a certificate of the client's software and organisation.
func TestBrasilManagesByItsCertificate(t *testing.T) {
	for _, way := range []string{"as Validator", "named by ChoosePolicy", "named by Caller.Policy", "applied", "inside the host's own"} {
		t.Run(way, func(t *testing.T) { brasilManages(t, newBrazilBy(t, policy.BrasilBank{}, ways[way])) })
	}
}

func brasilManages(t *testing.T, b *brazil) {
	b.Handler = b.alone
	const otherSoftware, otherOrganisation = "0d5ad2b1-93a0-4c48-a4f4-9d3b1f5b2f11", "5f69111d-5ac3-452d-a10d-2f1e4bb5a5b1"
	client := decode(t, b.send(http.MethodPost, endpoint, "", b.request(t, nil, nil), brCertificate))
	uri, token := client["registration_client_uri"].(string), client["registration_access_token"].(string)
	update := func(statement object) string {
		return b.request(t, statement, object{"client_id": client["client_id"]})
	}
	for _, c := range []struct {
		sentence         string
		presented        *x509.Certificate
		statement        object
		managed, updated int
	}{
		{"no certificate", nil, nil, 401, 401},
		{"another institution's, with its statement", certificate(otherSoftware, otherOrganisation, time.Now()), object{"software_id": otherSoftware, "org_id": otherOrganisation}, 401, 401},
		{"another institution's, with the client's statement", certificate(otherSoftware, otherOrganisation, time.Now()), nil, 401, 401},
		{"another institution's, for this software", certificate(brSoftware, otherOrganisation, time.Now()), nil, 401, 401},
		{"one of other software of the institution", certificate(otherSoftware, brOrganisation, time.Now()), object{"software_id": otherSoftware}, 401, 401},
		{"the client's, with a statement of other software", brCertificate, object{"software_id": otherSoftware}, 200, 400},
		{"the client's, with another institution's statement", brCertificate, object{"org_id": otherOrganisation}, 200, 400},
		{"the client's, renewed", certificate(brSoftware, brOrganisation, time.Now()), nil, 200, 200},
	} {
		if got := b.send(http.MethodGet, uri, token, "", c.presented); got.Status != c.managed {
			t.Errorf("%s: GET is %d %s, want %d", c.sentence, got.Status, got.Body, c.managed)
		}
		if got := b.send(http.MethodPut, uri, token, update(c.statement), c.presented); got.Status != c.updated {
			t.Errorf("%s: PUT is %d %s, want %d", c.sentence, got.Status, got.Body, c.updated)
		}
		if c.managed == 401 {
			if got := b.send(http.MethodDelete, uri, token, "", c.presented); got.Status != 401 {
				t.Errorf("%s: DELETE is %d %s, want 401", c.sentence, got.Status, got.Body)
			}
		}
	}
	if got := b.send(http.MethodDelete, uri, token, "", brCertificate); got.Status != 204 {
		t.Errorf("DELETE is %d %s", got.Status, got.Body)
	}
}

// TestBrasilTellsTheCertificateItself checks that the subject of a certificate
// from the connection is compared in the form of the profile.
func TestBrasilTellsTheCertificateItself(t *testing.T) {
	key := newES256("tls").key
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{
		Country: []string{"BR"}, Organization: []string{"My Bank"}, CommonName: "bank.example, gov", ExtraNames: brCertificate.Subject.Names[:2],
	}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	right := "2.5.4.97=#" + hexDER("OFBBR-"+brOrganisation) + ",UID=" + brSoftware + `,CN=bank.example\, gov,O=my bank,C=br`
	for name, status := range map[string]int{right: 201, strings.Replace(right, ",C=br", "", 1): 400, "C=BR,O=My Bank," + strings.Replace(right, ",O=my bank,C=br", "", 1): 400} {
		b := newBrazil(t)
		body := b.request(t, nil, object{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": name})
		if got := b.send(http.MethodPost, endpoint, "", body, parsed); got.Status != status {
			t.Errorf("%s: %d %s, want %d", name, got.Status, got.Body, status)
		}
	}
}

func TestBrasilWithoutACertificate(t *testing.T) {
	preset := policy.OpenFinanceBrasil(dcr.DefaultValidator{Statements: &dcr.StatementVerifier{}}, policy.BrasilBank{})
	if _, err := judge(t, preset, `{"redirect_uris":["https://www.example.com.br/cb"]}`, nil); err == nil {
		t.Error("a client without a certificate registers")
	}
}

// TestOpenInsuranceBrasil checks what differs from Open Finance, on registration
// and on update.
func TestOpenInsuranceBrasil(t *testing.T) {
	insurer := policy.BrasilBank{OpenInsurance: true, Roles: map[string][]string{"PAGTO": {"openid", "customers", "consents"}}}
	certificateOf := func(prefix string, issued time.Time) *x509.Certificate {
		c := certificate(brSoftware, brOrganisation, issued)
		c.Subject.Names[1].Value = prefix + brOrganisation
		c.Subject.Names[2].Value = brOrganisation
		return c
	}
	right := certificateOf("OPIBR-", time.Now())
	hook := func(length int) string {
		const start = "https://www.example.com.br/"
		return start + strings.Repeat("x", length-len(start))
	}
	for _, c := range []struct {
		name      string
		members   object
		presented *x509.Certificate
		code      string // "" if it registers
		has       object // members of the answer
	}{
		{"as it should be", nil, right, "", object{"scope": "openid customers consents", "grant_types": []any{"authorization_code", "refresh_token"}, "webhook_uris": nil}},
		{"the prefix of Open Finance", nil, certificateOf("OFBBR-", time.Now()), "invalid_software_statement", nil},
		{"no prefix", nil, certificateOf("", time.Now()), "invalid_software_statement", nil},
		{"the organisation in the unit, in an old certificate", nil, certificateOf("OFBBR-", time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)), "invalid_software_statement", nil},
		{"only the implicit grant", object{"grant_types": []string{"implicit"}}, right, "invalid_client_metadata", nil},
		{"a self-signed certificate", object{"token_endpoint_auth_method": "self_signed_tls_client_auth"}, right, "invalid_client_metadata", nil},
		{"webhooks", object{"webhook_uris": []string{hook(255)}}, right, "", object{"webhook_uris": []any{hook(255)}}},
		{"a webhook that is too long", object{"webhook_uris": []string{hook(100), hook(256)}}, right, "invalid_webhook_uris", nil},
		{"a webhook over http", object{"webhook_uris": []string{"http://www.example.com.br/hook"}}, right, "invalid_webhook_uris", nil},
		{"a webhook on a private address", object{"webhook_uris": []string{"https://10.0.0.1/hook"}}, right, "invalid_webhook_uris", nil},
		{"a webhook on an address behind the network of a provider", object{"webhook_uris": []string{"https://100.64.0.1/hook"}}, right, "invalid_webhook_uris", nil},
		{"a webhook on a private address in another form", object{"webhook_uris": []string{"https://[64:ff9b::a00:1]/hook"}}, right, "invalid_webhook_uris", nil},
		{"a webhook on an address of the documentation", object{"webhook_uris": []string{"https://192.0.2.1/hook"}}, right, "invalid_webhook_uris", nil},
		{"a webhook on a name of a local network", object{"webhook_uris": []string{"https://printer.local/hook"}}, right, "invalid_webhook_uris", nil},
		{"a webhook on a name that only looks like one", object{"webhook_uris": []string{"https://www.notlocal/hook"}}, right, "", object{"webhook_uris": []any{"https://www.notlocal/hook"}}},
		{"a webhook on a public address", object{"webhook_uris": []string{"https://8.8.8.8/hook"}}, right, "", object{"webhook_uris": []any{"https://8.8.8.8/hook"}}},
		{"webhooks that are not a list", object{"webhook_uris": "https://www.example.com.br/hook"}, right, "invalid_client_metadata", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBrazilBy(t, insurer, ways["applied"])
			update := newBrazilBy(t, insurer, ways["applied"])
			client := decode(t, update.send(http.MethodPost, endpoint, "", update.request(t, nil, nil), right))
			body := update.request(t, nil, with(object{"client_id": client["client_id"]}, c.members))
			answers := map[string]dcrtest.Answer{
				"registration": b.send(http.MethodPost, endpoint, "", b.request(t, nil, c.members), c.presented),
				"update":       update.send(http.MethodPut, client["registration_client_uri"].(string), client["registration_access_token"].(string), body, c.presented),
			}
			for method, answer := range answers {
				if c.code != "" {
					code, err := dcrtest.Refusal(answer)
					foreign := method == "update" && c.presented != right && code == "invalid_token"
					if err != nil || code != c.code && !foreign {
						t.Errorf("%s: %v, %d %s, want %s", method, err, answer.Status, answer.Body, c.code)
					}
					continue
				}
				members := decode(t, answer)
				for name, want := range c.has {
					if answer.Status > 201 || !reflect.DeepEqual(members[name], want) {
						t.Errorf("%s: %d, %s is %v, want %v", method, answer.Status, name, members[name], want)
					}
				}
			}
		})
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic without roles")
		}
	}()
	policy.OpenFinanceBrasil(dcr.DefaultValidator{Statements: &dcr.StatementVerifier{}}, policy.BrasilBank{OpenInsurance: true})
}

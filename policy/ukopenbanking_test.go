package policy_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/internal/watch"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// ukWorld is a directory, a third party and a bank.
type ukWorld struct {
	directory, party signer
	preset           policy.Preset
	bank             *dcr.Handler
	store            *memstore.Store
}

const ukAudience = "0015800000jf9GgAAI"

func newUK(t *testing.T, bank policy.UKBank) *ukWorld {
	t.Helper()
	return newUKWith(t, dcr.Capabilities{}, bank)
}

func newUKWith(t *testing.T, supports dcr.Capabilities, bank policy.UKBank) *ukWorld {
	t.Helper()
	w := &ukWorld{directory: newES256("directory"), party: newES256("party"), store: memstore.New()}
	server := dcr.DefaultValidator{Supports: supports, Statements: &dcr.StatementVerifier{
		Issuers: map[string]dcr.KeySource{"OpenBanking Ltd": dcr.StaticKeys(w.directory.jwks())},
	}}
	bank.Audience, bank.Keys = []string{ukAudience}, dcr.StaticKeys(w.party.jwks())
	w.preset = policy.UKOpenBanking(server, bank)
	opts := w.preset.Apply(ukOptions())
	watch.Over(t, w.store, opts)
	var err error
	if w.bank, err = dcr.NewHandler(w.store, opts); err != nil {
		t.Fatal(err)
	}
	return w
}

// ukOptions returns the bank's own options.
func ukOptions() *dcr.Options {
	return &dcr.Options{
		Endpoint: endpoint, AllowAnonymous: true, Logger: quiet,
		Caller: func(r *http.Request) (*dcr.Caller, error) { // the bank's access tokens name their client
			token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer token-of-")
			if !found {
				return nil, nil
			}
			return &dcr.Caller{ClientID: token}, nil
		},
	}
}

func (w *ukWorld) statement(t testing.TB, change object) string {
	return w.directory.sign(t, with(object{
		"iss": "OpenBanking Ltd", "iat": time.Now().Unix(), "jti": "id12345685439487678",
		"software_id": "65d1f27c4aeaa4afd2e1", "software_client_name": "Amazon Prime Movies", "software_version": "2.2",
		"software_client_uri": "https://prime.example.com", "software_logo_uri": "https://prime.example.com/logo.png",
		"software_redirect_uris": []string{"https://prime.example.com/cb", "https://prime.example.co.uk/cb"},
		"software_jwks_endpoint": "https://keystore.example.org.uk/party.jwks", "software_roles": []string{"AISP"},
		"org_id": "0015800000jfAW1AAM",
	}, change))
}

// request returns a signed registration request; statement may change the
// statement in it, claims the request itself.
func (w *ukWorld) request(t testing.TB, statement, claims object) string {
	return w.party.sign(t, with(object{
		"iss": "65d1f27c4aeaa4afd2e1", "aud": ukAudience, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"jti":                        rand.Text(),
		"redirect_uris":              []string{"https://prime.example.com/cb"},
		"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256",
		"grant_types": []string{"authorization_code", "client_credentials"}, "scope": "accounts openid",
		"application_type": "web", "id_token_signed_response_alg": "PS256", "request_object_signing_alg": "PS256",
		"software_statement": w.statement(t, statement),
	}, claims))
}

func (w *ukWorld) send(method, path, contentType, token, body string) dcrtest.Answer {
	return w.sendWith(http.Header{}, method, path, contentType, token, body)
}

func (w *ukWorld) sendWith(header http.Header, method, path, contentType, token, body string) dcrtest.Answer {
	r := httptest.NewRequest(method, endpoint+path, strings.NewReader(body))
	r.Header = header
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	recorder := httptest.NewRecorder()
	w.bank.ServeHTTP(recorder, r)
	answer, _ := io.ReadAll(recorder.Body)
	return dcrtest.Answer{Status: recorder.Code, Header: recorder.Header(), Body: answer}
}

// The limits of the options apply, although the Decoder has already read the
// statement within its own limits.
func TestUKLimits(t *testing.T) {
	w := newUK(t, policy.UKBank{})
	for members, status := range map[int]int{11: http.StatusBadRequest, 12: http.StatusCreated} {
		opts := w.preset.Apply(ukOptions())
		opts.Limits.Members = members
		bank, err := dcr.NewHandler(w.store, opts)
		if err != nil {
			t.Fatal(err)
		}
		w.bank = bank
		if a := w.send(http.MethodPost, "", "application/jose", "", w.request(t, nil, nil)); a.Status != status {
			t.Errorf("statements of up to %d claims: %d %s, want %d", members, a.Status, a.Body, status)
		}
	}
}

func TestUKRegistersAndManages(t *testing.T) {
	w := newUK(t, policy.UKBank{})
	answer := w.send(http.MethodPost, "", "application/jose", "", w.request(t, nil, nil))
	if err := dcrtest.ReadOpenBankingUK(answer); err != nil {
		t.Fatal(err)
	}
	client := decode(t, answer)
	for name, want := range map[string]any{
		"client_name": "Amazon Prime Movies", "software_id": "65d1f27c4aeaa4afd2e1", "jwks_uri": "https://keystore.example.org.uk/party.jwks",
		"scope": "accounts openid", "token_endpoint_auth_signing_alg": "PS256",
	} {
		if client[name] != want {
			t.Errorf("%s is %v, want %v", name, client[name], want)
		}
	}
	if types, _ := json.Marshal(client["response_types"]); string(types) != `["code id_token"]` {
		t.Errorf("omitted response_types are %s", types)
	}
	id := client["client_id"].(string)
	if client["registration_client_uri"] != nil || client["registration_access_token"] != nil {
		t.Errorf("a registration access token is returned: %s", answer.Body)
	}
	if err := dcrtest.ReadOpenBankingUK(w.send(http.MethodGet, "/"+id, "", "token-of-"+id, "")); err != nil {
		t.Errorf("read: %v", err)
	}
	update := w.request(t, nil, object{"redirect_uris": nil, "response_types": []string{"code"}}) // and no client_id
	updated := w.send(http.MethodPut, "/"+id, "application/jwt", "token-of-"+id, update)
	if err := dcrtest.ReadOpenBankingUK(updated); err != nil || len(decode(t, updated)["redirect_uris"].([]any)) != 2 {
		t.Errorf("update: %v %s", err, updated.Body)
	}
	for name, token := range map[string]string{"no token": "", "another client's": "token-of-another", "no client's": "token-of-"} {
		if answer := w.send(http.MethodGet, "/"+id, "", token, ""); answer.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, answer.Status)
		}
	}
	if answer := w.send(http.MethodDelete, "/"+id, "", "token-of-"+id, ""); answer.Status != http.StatusNoContent {
		t.Errorf("delete: %d", answer.Status)
	}
	if answer := w.send(http.MethodGet, "/"+id, "", "token-of-"+id, ""); answer.Status != http.StatusUnauthorized {
		t.Errorf("after delete: %d", answer.Status)
	}
}

func TestUKRules(t *testing.T) {
	rsaRequest := object{"id_token_signed_response_alg": "RS256", "request_object_signing_alg": "RS256", "token_endpoint_auth_signing_alg": "RS256"}
	for _, c := range []struct {
		name, version     string
		statement, claims object
		code              string // "" if it registers
	}{
		{"as it should be", "", nil, nil, ""},
		{"all redirect URIs of the statement", "", nil, object{"redirect_uris": nil}, ""},
		{"a redirect URI that the statement lacks", "", nil, object{"redirect_uris": []string{"https://prime.example.com/other"}}, "invalid_redirect_uri"},
		{"a redirect URI on localhost", "", object{"software_redirect_uris": []string{"https://localhost/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"a redirect URI below localhost", "", object{"software_redirect_uris": []string{"https://app.localhost/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"a redirect URI on the local machine by another address", "", object{"software_redirect_uris": []string{"https://127.0.0.2/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"a redirect URI on the unspecified address", "", object{"software_redirect_uris": []string{"https://0.0.0.0/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"a redirect URI on a private address", "", object{"software_redirect_uris": []string{"https://10.0.0.1/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"a redirect URI on a private IPv6 address", "", object{"software_redirect_uris": []string{"https://[fd00::1]/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"a redirect URI on a link-local address", "", object{"software_redirect_uris": []string{"https://169.254.169.254/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"a redirect URI on a name in a local network", "", object{"software_redirect_uris": []string{"https://intranet/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"a redirect URI over http", "", object{"software_redirect_uris": []string{"http://prime.example.com/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"a redirect URI that is too long", "", object{"software_redirect_uris": []string{"https://prime.example.com/" + strings.Repeat("x", 250)}}, object{"redirect_uris": nil}, "invalid_redirect_uri"},
		{"another issuer than the software", "", nil, object{"iss": "another"}, "invalid_client_metadata"},
		{"an empty issuer", "", nil, object{"iss": ""}, "invalid_client_metadata"},
		{"another audience", "", nil, object{"aud": "another"}, "invalid_client_metadata"},
		{"expired", "", nil, object{"exp": time.Now().Add(-time.Hour).Unix()}, "invalid_client_metadata"},
		{"no expiry", "", nil, object{"exp": nil}, "invalid_client_metadata"},
		{"no jti", "", nil, object{"jti": nil}, "invalid_client_metadata"},
		{"valid for two hours", "", nil, object{"exp": time.Now().Unix() + 7200, "iat": time.Now().Unix()}, ""},
		{"valid for more than two hours", "", nil, object{"exp": time.Now().Unix() + 7201, "iat": time.Now().Unix()}, "invalid_client_metadata"},
		{"valid for ten years", "", nil, object{"exp": time.Now().AddDate(10, 0, 0).Unix()}, "invalid_client_metadata"},
		{"scopes beyond the roles", "", object{"software_roles": []string{"AISP"}}, object{"scope": "openid payments fundsconfirmations"}, "invalid_client_metadata"},
		{"scopes of every role", "", object{"software_roles": []string{"AISP", "PISP", "CBPII"}}, object{"scope": "openid accounts payments fundsconfirmations"}, ""},
		{"openid, which no role needs", "", object{"software_roles": []string{}}, object{"scope": "openid"}, ""},
		{"scopes without a role", "", object{"software_roles": []string{}}, nil, "invalid_client_metadata"},
		{"roles of the wrong form", "", object{"software_roles": "AISP"}, nil, "invalid_client_metadata"},
		{"a role of the wrong form", "", object{"software_roles": []any{"AISP", 1}}, nil, "invalid_client_metadata"},
		{"roles that are empty or null", "", object{"software_roles": []any{"", nil, "AISP"}}, object{"scope": "openid accounts"}, ""},
		{"a statement without roles", "", object{"software_roles": nil}, object{"scope": "openid payments"}, ""},
		{"an active organisation", "", object{"org_status": "Active", "software_status": "active"}, nil, ""},
		{"a revoked organisation", "", object{"org_status": "Revoked"}, nil, "unapproved_software_statement"},
		{"an organisation that withdrew", "", object{"org_status": "Withdrawn"}, nil, "unapproved_software_statement"},
		{"revoked software", "", object{"software_status": "Revoked"}, nil, "unapproved_software_statement"},
		{"a status of the wrong form", "", object{"org_status": []string{"Active"}}, nil, "unapproved_software_statement"},
		{"no statement", "", nil, object{"software_statement": nil}, "invalid_software_statement"},
		{"a statement of another directory", "", object{"iss": "Somebody Ltd"}, nil, "invalid_software_statement"},
		{"no method", "", nil, object{"token_endpoint_auth_method": nil}, "invalid_client_metadata"},
		{"no grant types", "", nil, object{"grant_types": nil}, "invalid_client_metadata"},
		{"no scope", "", nil, object{"scope": nil}, "invalid_client_metadata"},
		{"no known scope", "", nil, object{"scope": "everything"}, "invalid_client_metadata"},
		{"no application type", "", nil, object{"application_type": nil}, "invalid_client_metadata"},
		{"mobile", "", nil, object{"application_type": "mobile"}, ""},
		{"native, before 3.4", "3.3", nil, object{"application_type": "native"}, "invalid_client_metadata"},
		{"native, in 3.4", "3.4", nil, object{"application_type": "native"}, ""},
		{"mobile, in 3.4", "3.4", nil, object{"application_type": "mobile"}, "invalid_client_metadata"},
		{"only implicit", "", nil, object{"grant_types": []string{"implicit"}}, "invalid_client_metadata"},
		{"a forbidden response type", "", nil, object{"response_types": []string{"id_token"}}, "invalid_client_metadata"},
		{"RS256", "", nil, rsaRequest, "invalid_client_metadata"},
		{"a public client", "", nil, object{"token_endpoint_auth_method": "none", "token_endpoint_auth_signing_alg": nil}, "invalid_client_metadata"},
		{"no algorithm for its assertions", "", nil, object{"token_endpoint_auth_signing_alg": nil}, "invalid_client_metadata"},
		{"with a certificate", "", nil, object{"token_endpoint_auth_method": "tls_client_auth", "token_endpoint_auth_signing_alg": nil, "tls_client_auth_subject_dn": "CN=party"}, ""},
		{"with a certificate, with another name", "", nil, object{"token_endpoint_auth_method": "tls_client_auth", "token_endpoint_auth_signing_alg": nil, "tls_client_auth_san_dns": "prime.example.com"}, "invalid_client_metadata"},
		{"with a certificate, with a long name", "", nil, object{"token_endpoint_auth_method": "tls_client_auth", "token_endpoint_auth_signing_alg": nil, "tls_client_auth_subject_dn": "CN=" + strings.Repeat("x", 130)}, "invalid_client_metadata"},
		{"with a certificate, with a long name in 3.4", "3.4", nil, object{"token_endpoint_auth_method": "tls_client_auth", "token_endpoint_auth_signing_alg": nil, "tls_client_auth_subject_dn": "CN=" + strings.Repeat("x", 130)}, ""},
		{"with a certificate, with a name that begins otherwise", "3.3", nil, object{"token_endpoint_auth_method": "tls_client_auth", "token_endpoint_auth_signing_alg": nil, "tls_client_auth_subject_dn": "O=party,CN=party"}, ""},
		{"with a certificate, with a name that begins otherwise in 3.4", "3.4", nil, object{"token_endpoint_auth_method": "tls_client_auth", "token_endpoint_auth_signing_alg": nil, "tls_client_auth_subject_dn": "O=party,CN=party"}, "invalid_client_metadata"},
		{"with a certificate, with a name in lower case in 3.4", "3.4", nil, object{"token_endpoint_auth_method": "tls_client_auth", "token_endpoint_auth_signing_alg": nil, "tls_client_auth_subject_dn": "cn=party,O=party"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newUK(t, policy.UKBank{Version: c.version})
			good := decode(t, w.send(http.MethodPost, "", "application/jose", "", w.request(t, nil, nil)))
			id := good["client_id"].(string)
			body := func() string { return w.request(t, c.statement, c.claims) }
			for method, answer := range map[string]dcrtest.Answer{
				"registration": w.send(http.MethodPost, "", "application/jose", "", body()),
				"update":       w.send(http.MethodPut, "/"+id, "application/jose", "token-of-"+id, body()),
			} {
				if c.code == "" {
					if answer.Status > 201 {
						t.Errorf("%s: %d %s", method, answer.Status, answer.Body)
					}
					continue
				}
				if code, err := dcrtest.Refusal(answer); err != nil || code != c.code || answer.Status != 400 {
					t.Errorf("%s: %v, %d %s, want %s", method, err, answer.Status, answer.Body, c.code)
				}
			}
		})
	}
}

// TestUKMembersByVersion checks what each version adds, at a bank that supports it all.
func TestUKMembersByVersion(t *testing.T) {
	const ciba, jwtBearer, userCode = "urn:openid:params:grant-type:ciba", "urn:ietf:params:oauth:grant-type:jwt-bearer", "backchannel_user_code_parameter_supported"
	supports := dcr.Capabilities{
		GrantTypes:                    []string{"authorization_code", "client_credentials", ciba, jwtBearer},
		BackchannelTokenDeliveryModes: []string{"poll", "ping", "push"},
		BackchannelUserCodeParameter:  true,
	}
	asked := func(userCode any) object {
		return object{"grant_types": []string{"authorization_code", ciba, jwtBearer}, "backchannel_token_delivery_mode": "poll", "backchannel_user_code_parameter_supported": userCode}
	}
	for _, c := range []struct {
		name, version string
		claims        object
		code          string // "" if it registers
		grants        []any
		userCode      any
	}{
		{"3.2 has no CIBA", "3.2", asked(true), "", []any{"authorization_code"}, nil},
		{"3.3 has CIBA", "", asked(nil), "", []any{"authorization_code", ciba}, nil},
		{"3.4 has assertions as grants too", "3.4", asked(nil), "", []any{"authorization_code", ciba, jwtBearer}, nil},
		{"no user code", "3.3", asked(false), "", []any{"authorization_code", ciba}, false},
		{"a user code", "3.3", asked(true), "invalid_client_metadata", nil, nil},
		{"a user code in 3.4", "3.4", asked(true), "invalid_client_metadata", nil, nil},
		{"a user code of the wrong type", "3.3", asked("false"), "invalid_client_metadata", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newUKWith(t, supports, policy.UKBank{Version: c.version})
			good := decode(t, w.send(http.MethodPost, "", "application/jose", "", w.request(t, nil, nil)))
			id := good["client_id"].(string)
			for method, answer := range map[string]dcrtest.Answer{
				"registration": w.send(http.MethodPost, "", "application/jose", "", w.request(t, nil, c.claims)),
				"update":       w.send(http.MethodPut, "/"+id, "application/jose", "token-of-"+id, w.request(t, nil, c.claims)),
			} {
				if c.code != "" {
					if code, err := dcrtest.Refusal(answer); err != nil || code != c.code || !strings.Contains(string(answer.Body), userCode) {
						t.Errorf("%s: %v, %d %s", method, err, answer.Status, answer.Body)
					}
					continue
				}
				client := decode(t, answer)
				if !reflect.DeepEqual(client["grant_types"], c.grants) || client[userCode] != c.userCode {
					t.Errorf("%s: %s", method, answer.Body)
				}
			}
		})
	}
}

func TestUKBodies(t *testing.T) {
	w := newUK(t, policy.UKBank{Version: "3.4"})
	request := w.request(t, nil, nil)
	text, _ := json.Marshal(request)
	forged := newES256("party").sign(t, object{"iss": "65d1f27c4aeaa4afd2e1", "software_statement": w.statement(t, nil)})
	for _, c := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"a JSON string, in 3.4", "application/json", string(text), 201},
		{"plain JSON", "application/json", `{"redirect_uris":["https://prime.example.com/cb"]}`, 400},
		{"another content type", "text/plain", request, 400},
		{"signed by someone else", "application/jose", forged, 400},
		{"nothing", "application/jose", "", 400},
	} {
		answer := w.send(http.MethodPost, "", c.contentType, "", c.body)
		if answer.Status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, answer.Status, answer.Body, c.status)
		}
		if c.status == 400 {
			if code, err := dcrtest.Refusal(answer); err != nil || code != "invalid_client_metadata" {
				t.Errorf("%s: %v %s", c.name, err, answer.Body)
			}
		}
	}
}

func TestUKSecretFits(t *testing.T) {
	server := dcr.DefaultValidator{
		Supports:   dcr.Capabilities{TokenEndpointAuthMethods: []string{"client_secret_basic", "client_secret_jwt"}},
		Statements: &dcr.StatementVerifier{},
	}
	preset := policy.UKOpenBanking(server, policy.UKBank{})
	if slices.Contains(preset.Capabilities().TokenEndpointAuthMethods, "client_secret_jwt") {
		t.Error("client_secret_jwt is supported without an algorithm for it")
	}
	secret, kept, err := preset.Apply(&dcr.Options{Endpoint: endpoint}).NewClientSecret(t.Context(), &dcr.Registration{Client: dcr.NewClient()})
	if err != nil || len(secret) != 36 || strings.ContainsAny(secret.Reveal(), "-_") || kept.Value == "" {
		t.Errorf("a secret of %d characters, %v", len(secret), err)
	}
}

func TestUKVersions(t *testing.T) {
	statements := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"OpenBanking Ltd": dcr.StaticKeys([]byte(`{"keys":[]}`))}}
	for version, want := range map[string]string{"": "", "3.2": "", "3.3": "", "3.4": "", "3.1": "3.2, 3.3 or 3.4", "v3.4": "3.2, 3.3 or 3.4"} {
		preset := policy.UKOpenBanking(dcr.DefaultValidator{Statements: statements}, policy.UKBank{Version: version})
		_, err := dcr.NewHandler(memstore.New(), preset.Apply(&dcr.Options{Endpoint: endpoint, AllowAnonymous: true}))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestProfilesNeedADirectory(t *testing.T) {
	for name, preset := range map[string]func(){
		"UKOpenBanking":     func() { policy.UKOpenBanking(dcr.DefaultValidator{}, policy.UKBank{}) },
		"OpenFinanceBrasil": func() { policy.OpenFinanceBrasil(dcr.DefaultValidator{}, policy.BrasilBank{}) },
	} {
		func() {
			defer func() {
				if said, _ := recover().(string); !strings.Contains(said, name+" needs Statements") {
					t.Errorf("%s: %q", name, said)
				}
			}()
			preset()
		}()
	}
}

package policy_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/internal/watch"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

const (
	cdrHolder   = "https://dh.example.com"
	cdrSoftware = "9a7e6f5b-0000-4000-8000-000000000003"
)

// cdrWorld is a data holder, the Register and a data recipient.
type cdrWorld struct {
	register, recipient signer
	holder              *dcr.Handler
	store               *memstore.Store
}

func newCDR(t testing.TB, holder policy.CDRHolder, change func(*dcr.DefaultValidator, *dcr.Options)) *cdrWorld {
	t.Helper()
	w := &cdrWorld{register: newPS256(), recipient: newES256("recipient"), store: memstore.New()}
	server := dcr.DefaultValidator{
		Supports:   dcr.Capabilities{Scopes: []string{"openid", "profile", "bank:accounts.basic:read", "cdr:registration"}},
		Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"cdr-register": dcr.StaticKeys(w.register.jwks())}},
	}
	opts := &dcr.Options{
		Endpoint: endpoint, AllowAnonymous: true, Logger: quiet,
		Caller: func(r *http.Request) (*dcr.Caller, error) { // "Bearer CLIENT SCOPE"
			token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !found {
				return nil, nil
			}
			if token == "expired" {
				return nil, &dcr.Error{Code: dcr.InvalidToken, Description: "the access token has expired"}
			}
			client, scope, _ := strings.Cut(token, "~")
			return &dcr.Caller{ClientID: client, Scopes: strings.Split(scope, "+")}, nil
		},
	}
	holder.Audience = []string{cdrHolder}
	if holder.Keys == nil && holder.Fetch == nil {
		holder.Keys = dcr.StaticKeys(w.recipient.jwks())
	}
	if change != nil {
		change(&server, opts)
	}
	opts = policy.ConsumerDataRight(server, holder).Apply(opts)
	watch.Over(t, w.store, opts)
	var err error
	if w.holder, err = dcr.NewHandler(w.store, opts); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *cdrWorld) statement(t testing.TB, change object) string {
	return w.register.sign(t, with(object{
		"iss": "cdr-register", "iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix(), "jti": rand.Text(),
		"legal_entity_id": "9a7e6f5b-0000-4000-8000-000000000001", "legal_entity_name": "Example Budgets Pty Ltd",
		"org_id": "9a7e6f5b-0000-4000-8000-000000000002", "org_name": "Example Budgets",
		"client_name": "Ledger Lens", "client_description": "Budget planner", "client_uri": "https://adr.example.com",
		"redirect_uris": []string{"https://adr.example.com/cb1", "https://adr.example.com/cb2"},
		"logo_uri":      "https://adr.example.com/logo.png", "tos_uri": "https://adr.example.com/tos", "policy_uri": "https://adr.example.com/policy",
		"jwks_uri": "https://adr.example.com/jwks", "revocation_uri": "https://adr.example.com/revocation", "recipient_base_uri": "https://adr.example.com",
		"software_id": cdrSoftware, "software_roles": "data-recipient-software-product",
		"scope": "openid profile bank:accounts.basic:read energy:billing:read cdr:registration",
	}, change))
}

// claims returns the claims of a registration request with a statement.
func (w *cdrWorld) claims(t testing.TB, statement, change object) object {
	return with(object{
		"iss": cdrSoftware, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(), "jti": rand.Text(), "aud": cdrHolder,
		"redirect_uris":                   []string{"https://adr.example.com/cb1"},
		"token_endpoint_auth_signing_alg": "PS256", "token_endpoint_auth_method": "private_key_jwt",
		"grant_types":    []string{"client_credentials", "authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "application_type": "web", "id_token_signed_response_alg": "PS256",
		"authorization_signed_response_alg": "PS256", "request_object_signing_alg": "PS256",
		"software_statement": w.statement(t, statement),
	}, change)
}

func (w *cdrWorld) request(t testing.TB, statement, change object) string {
	return w.recipient.sign(t, w.claims(t, statement, change))
}

// send sends a request to the registration endpoint, or to that of a client.
func (w *cdrWorld) send(method, id, token, body string) dcrtest.Answer {
	path := endpoint
	if id != "" {
		path += "/" + id
	}
	return server{Handler: w.holder}.sendAs("application/jwt", method, path, token, body)
}

func (w *cdrWorld) count(t testing.TB) int64 {
	t.Helper()
	clients, err := w.store.CountClients(t.Context(), dcr.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

// mayRegister returns the access token of a client.
func mayRegister(id string) string { return id + "~openid+cdr:registration" }

func code(t testing.TB, answer dcrtest.Answer) string {
	t.Helper()
	if answer.Status < 300 {
		return ""
	}
	code, _ := decode(t, answer)["error"].(string)
	return code
}

var (
	cdrAnswers = []string{
		"client_description", "client_id", "client_name", "client_uri", "grant_types", "id_token_signed_response_alg", "jwks_uri", "logo_uri", "org_id", "org_name",
		"redirect_uris", "request_object_signing_alg", "response_types", "scope", "software_id", "software_statement", "token_endpoint_auth_method",
		"token_endpoint_auth_signing_alg", "legal_entity_id", "legal_entity_name", "revocation_uri", "recipient_base_uri", "software_roles",
	}
)

// TestCDRRegistrations has the regulator's tests POST AC01 to AC07 and JARM AC02 to
// AC26, and tests for the rest of the text.
func TestCDRRegistrations(t *testing.T) {
	other := newES256("another")
	jarm := func(signed any) object { return object{"authorization_signed_response_alg": signed} }
	type row struct {
		sentence          string
		statement, claims object
		code              string // "" if it registers
		members           object // of the answer
	}
	rows := []row{
		{"AC01: all members", nil, nil, "", nil},
		{"AC01: the members that must be sent", nil, object{"application_type": nil, "request_object_signing_alg": nil, "redirect_uris": nil}, "", object{
			"request_object_signing_alg": "PS256", "redirect_uris": []string{"https://adr.example.com/cb1", "https://adr.example.com/cb2"}}},
		{"AC03: a statement that another key signed", nil, object{"software_statement": other.sign(t, object{"iss": "cdr-register"})}, "invalid_software_statement", nil},
		{"AC06: foo is not a redirect URI", nil, object{"redirect_uris": []string{"foo"}}, "invalid_redirect_uri", nil},
		{"nor is one that the statement lacks", nil, object{"redirect_uris": []string{"https://adr.example.com/cb3"}}, "invalid_redirect_uri", nil},
		{"a native application", nil, object{"application_type": "native"}, "invalid_client_metadata", nil},
		{"AC07: HS256 for assertions", nil, object{"token_endpoint_auth_signing_alg": "HS256"}, "invalid_client_metadata", nil},
		{"JARM: PS256", nil, jarm("PS256"), "", object{"authorization_signed_response_alg": "PS256"}},
		{"JARM: ES256", nil, jarm("ES256"), "", object{"authorization_signed_response_alg": "ES256"}},
		{"JARM: empty", nil, jarm(""), "invalid_client_metadata", nil},
		{"JARM: none", nil, jarm("none"), "invalid_client_metadata", nil},
		{"JARM: RS256", nil, jarm("RS256"), "invalid_client_metadata", nil},
		{"JARM: Foo", nil, jarm("Foo"), "invalid_client_metadata", nil},
		{"JARM: absent", nil, jarm(nil), "invalid_client_metadata", nil},
		{"JARM: an encryption alg without enc gets the default enc", nil, object{"authorization_encrypted_response_alg": "RSA-OAEP"}, "", object{"authorization_encrypted_response_enc": "A128CBC-HS256"}},
		{"JARM: enc without alg", nil, object{"authorization_encrypted_response_enc": "A256GCM"}, "invalid_client_metadata", nil},
		{"JARM: an unknown encryption alg", nil, object{"authorization_encrypted_response_alg": "RSA1_5"}, "invalid_client_metadata", nil},
		{"JARM: only authorization_code", nil, object{"grant_types": []string{"authorization_code"}}, "", object{"grant_types": []string{"authorization_code"}}},
		{"no authorization_code", nil, object{"grant_types": []string{"client_credentials"}}, "invalid_client_metadata", nil},
		{"a grant that the CDR does not have", nil, object{"grant_types": []string{"authorization_code", "implicit"}}, "invalid_client_metadata", nil},
		{"response_types as a string", nil, object{"response_types": "code"}, "", object{"response_types": []string{"code"}}},
		{"an empty string is not a response type", nil, object{"response_types": ""}, "invalid_client_metadata", nil},
		{"nor is a number", nil, object{"response_types": 7}, "invalid_client_metadata", nil},
		{"a hybrid flow", nil, object{"response_types": []string{"code id_token"}}, "invalid_client_metadata", nil},
		{"another method", nil, object{"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata", nil},
		{"a client_id that is ignored", nil, object{"client_id": cdrSoftware}, "", nil},
		{"unknown members, and those that the statement decides, are ignored", nil, object{
			"contacts": []string{"a@example.com"}, "client_name": "Mine", "scope": "openid", "org_name": "Mine", "jwks_uri": "https://evil.example.com", "x": 1}, "", object{
			"client_name": "Ledger Lens", "org_name": "Example Budgets", "scope": "openid profile bank:accounts.basic:read cdr:registration",
			"jwks_uri": "https://adr.example.com/jwks", "contacts": nil, "x": nil}},
		{"another iss", nil, object{"iss": "somebody"}, "invalid_client_metadata", nil},
		{"another aud", nil, object{"aud": "https://other.example.com"}, "invalid_client_metadata", nil},
		{"a request from yesterday", nil, object{"exp": time.Now().Add(-24 * time.Hour).Unix()}, "invalid_client_metadata", nil},
		{"a statement from yesterday", object{"iat": time.Now().Add(-24 * time.Hour).Unix(), "exp": time.Now().Add(-23 * time.Hour).Unix()}, nil, "invalid_software_statement", nil},
		{"an issuer that is not the Register", object{"iss": "register"}, nil, "invalid_software_statement", nil},
		{"another role", object{"software_roles": "data-holder"}, nil, "invalid_software_statement", nil},
		{"no scope that the holder has", object{"scope": "energy:billing:read"}, nil, "invalid_client_metadata", nil},
		{"no tos_uri", object{"tos_uri": nil}, nil, "", object{"tos_uri": nil}},
		{"redirect URIs over http", object{"redirect_uris": []string{"http://adr.example.com/cb"}}, object{"redirect_uris": nil}, "invalid_redirect_uri", nil},
	}
	for _, alg := range []string{"RSA-OAEP", "RSA-OAEP-256"} {
		for _, enc := range []string{"A256GCM", "A128CBC-HS256"} {
			for _, signed := range []string{"PS256", "ES256"} {
				sent := object{"authorization_encrypted_response_alg": alg, "authorization_encrypted_response_enc": enc, "authorization_signed_response_alg": signed}
				rows = append(rows, row{"JARM: " + alg + " " + enc + " " + signed, nil, sent, "", sent})
			}
		}
	}
	for _, name := range []string{"iat", "exp", "jti", "org_id", "org_name", "software_id", "software_roles", "client_name", "client_description", "client_uri", "logo_uri",
		"redirect_uris", "jwks_uri", "revocation_uri", "recipient_base_uri", "scope"} {
		rows = append(rows, row{"a statement without " + name, object{name: nil}, nil, "invalid_software_statement", nil})
	}
	for _, name := range []string{"iss", "aud", "iat", "exp", "jti", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "grant_types", "response_types", "id_token_signed_response_alg"} {
		rows = append(rows, row{"a request without " + name, nil, object{name: nil}, "invalid_client_metadata", nil})
	}
	for _, c := range rows {
		t.Run(c.sentence, func(t *testing.T) {
			w := newCDR(t, policy.CDRHolder{}, nil)
			answer := w.send(http.MethodPost, "", "", w.request(t, c.statement, c.claims))
			if code(t, answer) != c.code || c.code != "" && answer.Status != 400 || c.code == "" && answer.Status != 201 {
				t.Fatalf("%d %s", answer.Status, answer.Body)
			}
			if c.code != "" {
				if w.count(t) > 0 {
					t.Error("it stored a client")
				}
				return
			}
			client := decode(t, answer)
			for _, name := range cdrAnswers {
				if _, there := client[name]; !there {
					t.Errorf("%s is missing", name)
				}
			}
			for name, want := range with(object{"tls_client_certificate_bound_access_tokens": true, "registration_access_token": nil, "registration_client_uri": nil, "client_secret": nil, "subject_type": "pairwise"}, c.members) {
				have, _ := json.Marshal(client[name])
				if expected, _ := json.Marshal(want); string(have) != string(expected) {
					t.Errorf("%s is %s, want %s", name, have, expected)
				}
			}
		})
	}
}

// TestCDRManagement has the regulator's tests GET AC08 to AC10, PUT AC11 to AC14 and
// DELETE AC15 and AC17, and tests for what the text says about updates.
func TestCDRManagement(t *testing.T) {
	w := newCDR(t, policy.CDRHolder{}, nil)
	statement := w.statement(t, nil)
	registered := w.send(http.MethodPost, "", "", w.request(t, nil, object{"software_statement": statement}))
	if registered.Status != http.StatusCreated {
		t.Fatalf("%s", registered.Body)
	}
	id := decode(t, registered)["client_id"].(string)
	if id == cdrSoftware {
		t.Error("the client id is the software id")
	}
	for _, c := range []struct {
		sentence, method, id, token string
		body                        func() string
		status                      int
		code                        string
	}{
		{"AC08: it reads itself", "GET", id, mayRegister(id), nil, 200, ""},
		{"AC09: not with an expired token", "GET", id, "expired", nil, 401, "invalid_token"},
		{"AC10: nor an unknown client", "GET", "unknown", mayRegister("unknown"), nil, 401, "invalid_token"},
		{"without a token", "GET", id, "", nil, 401, ""},
		{"with the token of another client", "GET", id, mayRegister("another"), nil, 401, "invalid_token"},
		{"with its token for consumer data", "GET", id, id + "~openid", nil, 403, "insufficient_scope"},
		{"and with that of another client", "GET", id, "another~openid", nil, 401, "invalid_token"},
		{"AC11: an update with the same statement", "PUT", id, mayRegister(id), func() string {
			return w.request(t, nil, object{"software_statement": statement, "authorization_encrypted_response_alg": "RSA-OAEP", "client_id": cdrSoftware})
		}, 200, ""},
		{"one that changes what it may change", "PUT", id, mayRegister(id), func() string {
			return w.request(t, object{"org_name": "Other Budgets", "redirect_uris": []string{"https://adr.example.com/new"}}, object{"redirect_uris": nil})
		}, 200, ""},
		{"AC12: foo is not a redirect URI", "PUT", id, mayRegister(id), func() string { return w.request(t, nil, object{"redirect_uris": []string{"foo"}}) }, 400, "invalid_redirect_uri"},
		{"AC13: an expired token", "PUT", id, "expired", func() string { return w.request(t, nil, nil) }, 401, "invalid_token"},
		{"AC14: an unknown client", "PUT", "unknown", mayRegister("unknown"), func() string { return w.request(t, nil, nil) }, 401, "invalid_token"},
		{"no statement", "PUT", id, mayRegister(id), func() string { return w.request(t, nil, object{"software_statement": nil}) }, 400, "invalid_software_statement"},
		{"a statement of other software", "PUT", id, mayRegister(id), func() string {
			return w.request(t, object{"software_id": "other"}, object{"iss": "other"})
		}, 400, "unapproved_software_statement"},
		{"a statement of another organisation", "PUT", id, mayRegister(id), func() string { return w.request(t, object{"org_id": "other"}, nil) }, 400, "unapproved_software_statement"},
		{"a statement of another legal entity", "PUT", id, mayRegister(id), func() string { return w.request(t, object{"legal_entity_name": "Other"}, nil) }, 400, "unapproved_software_statement"},
		{"no JARM algorithm", "PUT", id, mayRegister(id), func() string {
			return w.request(t, nil, object{"authorization_signed_response_alg": nil})
		}, 400, "invalid_client_metadata"},
		{"a request that another key signed", "PUT", id, mayRegister(id), func() string { return newES256("recipient").sign(t, w.claims(t, nil, nil)) }, 400, "invalid_client_metadata"},
		{"AC02: the same software again", "POST", "", "", func() string { return w.request(t, nil, nil) }, 400, "invalid_client_metadata"},
		{"AC17: an expired token deletes nothing", "DELETE", id, "expired", nil, 401, "invalid_token"},
		{"nor does one without the scope", "DELETE", id, id + "~openid", nil, 403, "insufficient_scope"},
		{"AC15: it deletes itself", "DELETE", id, mayRegister(id), nil, 204, ""},
		{"and is then unknown", "GET", id, mayRegister(id), nil, 401, "invalid_token"},
		{"after that, the software registers again", "POST", "", "", func() string { return w.request(t, nil, nil) }, 201, ""},
	} {
		before, _ := w.store.FindByClientID(t.Context(), id)
		body := ""
		if c.body != nil {
			body = c.body()
		}
		answer := w.send(c.method, c.id, c.token, body)
		if answer.Status != c.status {
			t.Errorf("%s: %d %s", c.sentence, answer.Status, answer.Body)
			continue
		}
		if challenge := answer.Header.Get("WWW-Authenticate"); c.code != "" && c.status != 400 && !strings.Contains(challenge, c.code) {
			t.Errorf("%s: %s", c.sentence, challenge)
		}
		if c.status == 400 && code(t, answer) != c.code {
			t.Errorf("%s: %s", c.sentence, answer.Body)
		}
		if after, err := w.store.FindByClientID(t.Context(), id); c.status >= 400 && before != nil && (err != nil || after.Revision != before.Revision) {
			t.Errorf("%s: the client has changed: %v", c.sentence, err)
		}
		if strings.Contains(string(answer.Body), "registration_access_token") || strings.Contains(string(answer.Body), "registration_client_uri") {
			t.Errorf("%s: %s", c.sentence, answer.Body)
		}
	}
}

// TestCDRRegistersSoftwareOnce sends 50 requests for the same software at once.
func TestCDRRegistersSoftwareOnce(t *testing.T) {
	w := newCDR(t, policy.CDRHolder{}, nil)
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := make(map[string]int)
	for range 50 {
		body := w.request(t, nil, nil)
		all.Go(func() {
			answer := w.send(http.MethodPost, "", "", body)
			mu.Lock()
			defer mu.Unlock()
			statuses[fmt.Sprint(answer.Status)]++
		})
	}
	all.Wait()
	if statuses["201"] != 1 || w.count(t) != 1 {
		t.Errorf("%v, %d clients", statuses, w.count(t))
	}
}

// TestCDRStrangers tests what a stranger with someone's statement can send.
func TestCDRStrangers(t *testing.T) {
	w := newCDR(t, policy.CDRHolder{}, nil)
	good := w.request(t, nil, nil)
	if answer := w.send(http.MethodPost, "", "", good); answer.Status != http.StatusCreated {
		t.Fatalf("%s", answer.Body)
	}
	replay := w.request(t, object{"software_id": "second"}, object{"iss": "second"})
	if answer := w.send(http.MethodPost, "", "", replay); answer.Status != http.StatusCreated {
		t.Fatalf("%s", answer.Body)
	}
	known, unknown := newES256("recipient").sign(t, w.claims(t, nil, nil)), newES256("recipient").sign(t, w.claims(t, object{"software_id": "x"}, object{"iss": "x"}))
	first, second := w.send(http.MethodPost, "", "", known), w.send(http.MethodPost, "", "", unknown)
	if first.Status != 400 || first.Status != second.Status || string(first.Body) != string(second.Body) {
		t.Errorf("the answers to a foreign key show whether the software is known: %s, %s", first.Body, second.Body)
	}
	if answer := w.send(http.MethodPost, "", "", replay); answer.Status != 400 {
		t.Errorf("a request is accepted twice: %d", answer.Status)
	}
	none := encode([]byte(`{"alg":"none"}`)) + "." + strings.Split(good, ".")[1] + "."
	for name, body := range map[string]string{"unsigned": none, "JSON": `{"redirect_uris":["https://adr.example.com/cb1"]}`} {
		if answer := w.send(http.MethodPost, "", "", body); answer.Status != 400 {
			t.Errorf("%s: %d", name, answer.Status)
		}
	}
	plain, _ := json.Marshal(w.claims(t, object{"software_id": "third"}, nil))
	if answer := (server{Handler: w.holder}).sendAs("application/json", "POST", endpoint, "", string(plain)); answer.Status != http.StatusBadRequest {
		t.Errorf("plain JSON: %d %s", answer.Status, answer.Body)
	}
}

// TestCDRKeysOutOfReach checks that a recipient is not refused because its keys
// are out of reach, and that no keys are fetched for a statement that the
// Register did not sign.
func TestCDRKeysOutOfReach(t *testing.T) {
	asked := 0
	keys := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++ }))
	url := keys.URL + "/jwks"
	_, port, _ := strings.Cut(keys.Listener.Addr().String(), ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	fetch := &dcr.GuardedClient{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowPorts: []uint16{uint16(number)}}
	w := newCDR(t, policy.CDRHolder{Fetch: fetch}, nil)
	body := func(register signer) string {
		w.register = register
		return w.request(t, object{"jwks_uri": url}, nil)
	}
	own := w.register
	if answer := w.send(http.MethodPost, "", "", body(newES256("directory"))); answer.Status != 400 || asked > 0 {
		t.Errorf("not signed by the Register: %d, %d fetches", answer.Status, asked)
	}
	keys.Close()
	for range 3 {
		if answer := w.send(http.MethodPost, "", "", body(own)); answer.Status != http.StatusServiceUnavailable || w.count(t) > 0 {
			t.Errorf("out of reach: %d %s", answer.Status, answer.Body)
		}
	}
}

// TestCDRAlgorithms checks that nothing signed with RS256 is accepted.
func TestCDRAlgorithms(t *testing.T) {
	weak := newPS256()
	weak.alg = "RS256"
	for name, change := range map[string]func(w *cdrWorld){
		"invalid_client_metadata":    func(w *cdrWorld) { w.recipient = weak },
		"invalid_software_statement": func(w *cdrWorld) { w.register = weak },
	} {
		w := newCDR(t, policy.CDRHolder{}, nil)
		change(w)
		if answer := w.send(http.MethodPost, "", "", w.request(t, nil, nil)); answer.Status != 400 || code(t, answer) != name {
			t.Errorf("%d %s, want %s", answer.Status, answer.Body, name)
		}
	}
}

// TestCDRFaults checks how an error that refuses nothing is answered.
func TestCDRFaults(t *testing.T) {
	statements := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"cdr-register": dcr.StaticKeys(newPS256().jwks())}}
	preset := policy.ConsumerDataRight(dcr.DefaultValidator{Statements: statements}, policy.CDRHolder{Audience: []string{cdrHolder}})
	opts := preset.Apply(&dcr.Options{Endpoint: endpoint})
	answer := httptest.NewRecorder()
	opts.WriteError(answer, httptest.NewRequest(http.MethodPost, endpoint, nil), (*dcr.Error)(nil))
	if answer.Code != http.StatusInternalServerError {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

func TestCDRNeeds(t *testing.T) {
	statements := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"cdr-register": dcr.StaticKeys(newPS256().jwks())}}
	for name, build := range map[string]func(){
		"the Register": func() {
			policy.ConsumerDataRight(dcr.DefaultValidator{}, policy.CDRHolder{Audience: []string{cdrHolder}})
		},
		"an audience": func() { policy.ConsumerDataRight(dcr.DefaultValidator{Statements: statements}, policy.CDRHolder{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("it does not need %s", name)
				}
			}()
			build()
		}()
	}
	preset := policy.ConsumerDataRight(dcr.DefaultValidator{Statements: statements}, policy.CDRHolder{Audience: []string{cdrHolder}})
	bare := &dcr.Options{Endpoint: endpoint, AllowAnonymous: true, Logger: quiet, Validator: preset}
	if _, err := dcr.NewHandler(memstore.New(), bare); err == nil {
		t.Error("NewHandler accepted options with which nobody could manage a client")
	}
}

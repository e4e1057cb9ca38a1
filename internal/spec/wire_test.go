package spec_test

// The wire tests: every rule is held by a request to a real server, in a
// configuration given as a discovery document.

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// A rig is a registration server on a port of its own.
type rig struct {
	server *httptest.Server
	store  *memstore.Store
}

// change sets what a discovery document has no name for.
type change func(v *dcr.DefaultValidator, o *dcr.Options)

// start starts a server that supports what the discovery document says.
func start(t testing.TB, capabilities string, changes ...change) *rig {
	t.Helper()
	var validator dcr.DefaultValidator
	if err := json.Unmarshal([]byte(capabilities), &validator.Supports); err != nil {
		t.Fatal(err)
	}
	r := &rig{store: memstore.New()}
	var handler http.Handler
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { handler.ServeHTTP(w, q) }))
	t.Cleanup(r.server.Close)
	logger, _ := quiet()
	opts := dcr.Options{Endpoint: r.server.URL + "/connect/dcr", AllowAnonymous: true, Logger: logger}
	for _, change := range changes {
		change(&validator, &opts)
	}
	if opts.Validator == nil {
		opts.Validator = validator
	}
	handler = newHandler(t, r.store, opts)
	return r
}

// answer is what came back.
type answer struct {
	status  int
	header  http.Header
	body    string
	members map[string]any
}

// do sends a request. Every answer is held to what strict clients demand.
func (r *rig) do(t testing.TB, method, url, token, body string) *answer {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := r.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := &answer{status: response.StatusCode, header: response.Header, body: string(text)}
	if len(text) > 0 {
		a.members = decode(t, a.body)
	}
	readStrictly(t, method, a)
	return a
}

func (r *rig) post(t testing.TB, body string) *answer {
	t.Helper()
	return r.do(t, "POST", r.server.URL+"/connect/dcr", "", body)
}

// register posts a request that must be accepted.
func (r *rig) register(t testing.TB, body string) *answer {
	t.Helper()
	a := r.post(t, body)
	if a.status != 201 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	return a
}

// manage sends a request to the client configuration endpoint that registered
// tells of.
func (r *rig) manage(t testing.TB, method string, registered *answer, body string) *answer {
	t.Helper()
	return r.do(t, method, registered.text("registration_client_uri"), registered.text("registration_access_token"), body)
}

// text is a member that is a string, "" if there is none.
func (a *answer) text(name string) string {
	text, _ := a.members[name].(string)
	return text
}

// perIssue are the members that RFC 7592 §2.2 keeps out of an update.
var perIssue = []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}

// update is an answer as the client sends it back, with members changed; nil
// takes one out.
func (a *answer) update(changed map[string]any) string {
	sent := maps.Clone(a.members)
	for _, name := range perIssue {
		delete(sent, name)
	}
	maps.Copy(sent, changed)
	maps.DeleteFunc(sent, func(_ string, value any) bool { return value == nil })
	return encode(sent)
}

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// metadata is an answer without what each answer has of its own.
func (a *answer) metadata() map[string]any {
	kept := maps.Clone(a.members)
	delete(kept, "client_secret")
	return kept
}

// A wireCase is one registration and what becomes of it.
type wireCase struct {
	sentence string
	request  string   // over {"redirect_uris":["https://rp.example.com/cb"]}, whose members it replaces
	code     dcr.Code // of the refusal, "" if it is accepted
	says     string   // part of the refusal's description
	answer   string   // members of the answer; null: absent
}

// judge runs cases. What is accepted is also read, sent back as an update and
// read again: each must say the same (RFC 7592 §2.1 and §2.2).
func (r *rig) judge(t *testing.T, cases []wireCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			a := r.post(t, request(t, c.request))
			if c.code != "" {
				if a.status != 400 || a.text("error") != string(c.code) || !strings.Contains(a.text("error_description"), c.says) {
					t.Errorf("status %d: %s; want %s saying %q", a.status, a.body, c.code, c.says)
				}
				return
			}
			if a.status != 201 {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			if c.answer != "" {
				has(t, a, c.answer)
			}
			r.comesBack(t, a)
		})
	}
}

// request is the smallest request with members put over it.
func request(t testing.TB, over string) string {
	t.Helper()
	members := map[string]json.RawMessage{"redirect_uris": json.RawMessage(`["https://rp.example.com/cb"]`)}
	if over != "" {
		if err := json.Unmarshal([]byte(over), &members); err != nil {
			t.Fatalf("%v: %s", err, over)
		}
	}
	return encode(members)
}

// has compares the members that want names; null wants them absent.
func has(t testing.TB, a *answer, want string) {
	t.Helper()
	for name, wanted := range decode(t, want) {
		got, there := a.members[name]
		if wanted == nil && there || wanted != nil && !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s is %s, want %s in %s", name, encode(got), encode(wanted), a.body)
		}
	}
}

// comesBack reads a client, sends what was read back, and reads it again.
func (r *rig) comesBack(t testing.TB, registered *answer) {
	t.Helper()
	same := func(what string, a *answer) {
		t.Helper()
		if a.status != 200 || !reflect.DeepEqual(a.metadata(), registered.metadata()) {
			t.Errorf("%s: status %d: %s\nwant 200: %s", what, a.status, a.body, registered.body)
		}
	}
	same("read", r.manage(t, "GET", registered, ""))
	same("sent back", r.manage(t, "PUT", registered, registered.update(nil)))
	same("sent back without its secret", r.manage(t, "PUT", registered, registered.update(map[string]any{"client_secret": nil})))
	same("read again", r.manage(t, "GET", registered, ""))
}

// one returns a case for each of the values, told apart by the value.
func one(sentence, member string, values []string, code dcr.Code, says string) []wireCase {
	var cases []wireCase
	for _, value := range values {
		cases = append(cases, wireCase{sentence: sentence + ": " + value, request: `{"` + member + `":` + value + `}`, code: code, says: says})
	}
	return cases
}

// Public keys, without the closing brace, so that a case can add members.
const (
	rsaKey    = `{"kty":"RSA","e":"AQAB","n":"6R8F2J9rakwu-fqUUAq8UukaZIfQ5II8AJAoxBGx1JH7q8_SGTBx4KU7yEJElTwcd2ifdWDtfS28k-k_elbIv4ODZ8fx08ukso1OaqP93CNb7Fw-nf-AGmjJS8kBo_xljwHinIaCpsE1EwHf515ds8WW_0JoaAkc9fRhhMYd289VXrdk8udpLUGuFDNcQGfrS4luPI5lzU3foRL6zzV3q6pB0-ZXNs6XI--OpnWBq6ANbH_rskgTqvhq0iXwwYIAJHYycCOU7q1zyRbAq3QKaH1heXWdudtSqZUIeg8B-lW9ccnfKgosL2mVSy55Rb1shFexmu_bkKMacdZcM46L_Q"`
	ecKey     = `{"kty":"EC","crv":"P-256","x":"sGpwqQ5Js_pkaA_8E94KyDMBzMwmjVaslXamJ1_2Zx0","y":"cVqEVGgYDkFr2WIjY0iSN71WM_DEmZtl22WHSSiB5kA"`
	ecPrivate = `"d":"G9OdOzb0Lc8WnALfavVciSbmER71sYmkbaPY_wyecvc"`
	ecCert    = `MIIBBzCBr6ADAgECAgEBMAoGCCqGSM49BAMCMA0xCzAJBgNVBAMTAnJwMCAXDTI2MDEwMTAwMDAwMFoYDzIxMjYwMTAxMDAwMDAwWjANMQswCQYDVQQDEwJycDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLBqcKkOSbP6ZGgP/BPeCsgzAczMJo1WrJV2pidf9mcdcVqEVGgYDkFr2WIjY0iSN71WM/DEmZtl22WHSSiB5kAwCgYIKoZIzj0EAwIDRwAwRAIgSMn7CdU9M9yoGY8mFkQsF7TL03CW+YSm/jv9AZeEyaYCIF9gKeArq7SRwsQJbgEB80pG6RSv1RsLiLtgtcpof4ra`

	keySet = `"jwks":{"keys":[` + rsaKey + `}]}`
)

// sealed lets the server keep secrets themselves.
func sealed(t testing.TB) change {
	t.Helper()
	sealer, err := dcr.NewAESSealer([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	return func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Sealer = sealer }
}

// members returns the names of an object in their order.
func members(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }

// The codes of most refusals.
const (
	dcrMetadata = dcr.InvalidClientMetadata
	dcrRedirect = dcr.InvalidRedirectURI
)

func ukHybrid(v *dcr.DefaultValidator, _ *dcr.Options) { v.AllowHybridWithoutImplicit = true }

func allowHTTP(v *dcr.DefaultValidator, _ *dcr.Options) { v.AllowHTTPRedirects = true }

// everything is a server with every feature on; it needs a Sealer.
const everything = `{
	"grant_types_supported":["authorization_code","implicit","refresh_token","client_credentials","urn:openid:params:grant-type:ciba"],
	"response_types_supported":["code","token","id_token","id_token token","code id_token","code token","code id_token token","none"],
	"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","client_secret_jwt","private_key_jwt","tls_client_auth","self_signed_tls_client_auth","none"],
	"token_endpoint_auth_signing_alg_values_supported":["RS256","ES256","HS256"],
	"scopes_supported":["openid","profile","email"],"response_modes_supported":["query","fragment","jwt"],
	"subject_types_supported":["public","pairwise"],"acr_values_supported":["1","2"],
	"id_token_signing_alg_values_supported":["RS256","HS256","none"],
	"id_token_encryption_alg_values_supported":["RSA-OAEP","dir"],"id_token_encryption_enc_values_supported":["A128CBC-HS256","A256GCM"],
	"userinfo_signing_alg_values_supported":["RS256","HS256"],
	"userinfo_encryption_alg_values_supported":["RSA-OAEP","dir"],"userinfo_encryption_enc_values_supported":["A128CBC-HS256","A256GCM"],
	"request_parameter_supported":true,"request_uri_parameter_supported":true,
	"request_object_signing_alg_values_supported":["RS256","HS256","none"],
	"request_object_encryption_alg_values_supported":["RSA-OAEP","dir"],"request_object_encryption_enc_values_supported":["A128CBC-HS256","A256GCM"],
	"pushed_authorization_request_endpoint":"https://id.example.com/par","authorization_details_types_supported":["payment","account"],
	"dpop_signing_alg_values_supported":["ES256"],"tls_client_certificate_bound_access_tokens":true,
	"introspection_signing_alg_values_supported":["RS256","HS256"],
	"introspection_encryption_alg_values_supported":["RSA-OAEP","dir"],"introspection_encryption_enc_values_supported":["A128CBC-HS256","A256GCM"],
	"authorization_signing_alg_values_supported":["RS256","HS256"],
	"authorization_encryption_alg_values_supported":["RSA-OAEP","dir"],"authorization_encryption_enc_values_supported":["A128CBC-HS256","A256GCM"],
	"backchannel_token_delivery_modes_supported":["poll","ping","push"],"backchannel_authentication_request_signing_alg_values_supported":["RS256","ES256"],
	"backchannel_user_code_parameter_supported":true,
	"end_session_endpoint":"https://id.example.com/out","frontchannel_logout_supported":true,"backchannel_logout_supported":true}`

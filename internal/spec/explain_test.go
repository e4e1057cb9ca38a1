package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/extension"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// explaining returns a handler with many policies, which the header Policy
// selects.
func explaining(t testing.TB, changes ...change) *dcr.Handler {
	t.Helper()
	supports := capabilities(t, everything)
	supports.SubjectTypes = []string{"public"} // so that nothing is fetched
	mcp := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"openid", "profile"}}}
	policies := map[string]dcr.Validator{
		"strict":   dcr.DefaultValidator{},
		"mcp":      policy.MCP(mcp),
		"oidc":     policy.OIDC(dcr.DefaultValidator{}),
		"duende":   policy.Duende(mcp),
		"matrix":   policy.Matrix(mcp),
		"fapi2":    policy.FAPI2(mcp),
		"approval": policy.Stack(dcr.DefaultValidator{Supports: supports}, policy.DuendeMembers(policy.DuendeLimits{}), policy.Approval(nil)),
	}
	opts := dcr.Options{
		AllowAnonymous: true, Now: clock, Policies: policies,
		Validator:    dcr.DefaultValidator{Supports: supports, Extensions: append(extension.Federation(), dcr.NewField[string]("x_text"))},
		ChoosePolicy: func(r *http.Request, _ *dcr.Caller) (string, error) { return r.Header.Get("Policy"), nil },
	}
	return newHandler(t, endless{memstore.New()}, opts, append([]change{sealed(t)}, changes...)...)
}

// endless is a store that is never full.
type endless struct{ *memstore.Store }

func (endless) Add(context.Context, *dcr.Client) error { return nil }

var explainedPolicies = []string{"", "strict", "mcp", "oidc", "duende", "matrix", "fapi2", "approval"}

// agree explains a request, registers it, and says where the two differ.
func agree(t testing.TB, handler *dcr.Handler, under, body string) {
	t.Helper()
	decision, err := handler.Explain(t.Context(), under, []byte(body))
	q := newRequest("POST", registerURL, "", body)
	q.Header.Set("Policy", under)
	a := exchange(t, handler, q)
	if err != nil {
		if a.status < 500 {
			t.Errorf("policy %q: %s\nanswered %d %s\nexplained as an error of the server: %v", under, body, a.status, a.body, err)
		}
		return
	}
	effective := make(map[string]any)
	for _, m := range decision.Members {
		if m.Effective != nil {
			effective[m.Name] = value(t, m.Effective)
		}
	}
	said := fmt.Sprint(decision.Status)
	if refused := (*dcr.Error)(nil); errors.As(decision.Err, &refused) {
		said, effective = fmt.Sprint(decision.Status, refused.Code, refused.Description), nil
	}
	answered := fmt.Sprint(a.status)
	var registered map[string]any
	if a.status == 201 {
		registered = asRegistered(a)
		delete(registered, "registration_status")
	} else {
		answered = fmt.Sprint(a.status, a.text("error"), a.text("error_description"))
	}
	if said != answered || len(registered)+len(effective) > 0 && !reflect.DeepEqual(registered, effective) {
		t.Errorf("policy %q: %s\nanswered %s %s\nexplained as %s %s", under, body, answered, encode(registered), said, encode(effective))
	}
	if (decision.Client == nil) != (decision.Err != nil) {
		t.Errorf("policy %q: %s\nis refused with %v, and has the client %v", under, body, decision.Err, decision.Client)
	}
}

func value(t testing.TB, text json.RawMessage) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

// bodies returns requests of all kinds: from known clients, from the golden
// conversations, and from the field.
func bodies(t testing.TB) (all []string) {
	t.Helper()
	for _, client := range dcrtest.Clients() {
		all = append(all, string(client.Request))
	}
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden conversations", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if body, found := strings.CutPrefix(line, "> POST "); found {
				all = append(all, strings.TrimSpace(body))
			}
		}
	}
	text, err := os.ReadFile("../../examples/quickstart/testdata/field.json")
	if errors.Is(err, os.ErrNotExist) {
		return all // only the module, as others download it
	}
	type request struct {
		Request struct{ Body json.RawMessage }
	}
	var cases []struct {
		request
		Steps []request
	}
	if err != nil || json.Unmarshal(text, &cases) != nil {
		t.Fatal("field.json", err)
	}
	for _, c := range cases {
		for _, step := range append(c.Steps, c.request) {
			body := string(step.Request.Body)
			if text := ""; json.Unmarshal(step.Request.Body, &text) == nil {
				body = text
			}
			all = append(all, body)
		}
	}
	return all
}

func TestExplainAgreesWithRegistration(t *testing.T) {
	handler := explaining(t)
	for _, body := range bodies(t) {
		for _, under := range explainedPolicies {
			agree(t, handler, under, body)
		}
	}
	g := &generator{rand.New(rand.NewPCG(3, 4)), decode(t, everything)}
	for range 200 {
		body := encode(g.request())
		for _, under := range explainedPolicies {
			agree(t, handler, under, body)
		}
	}
	agree(t, handler, "", strings.Repeat(" ", 65<<10))
	agree(t, handler, "", `{"redirect_uris":["https://rp.example.com/cb"],"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`)
}

// FuzzExplain checks that a registration does what Explain says.
func FuzzExplain(f *testing.F) {
	for _, body := range bodies(f) {
		f.Add([]byte(body), uint8(0))
	}
	handler := explaining(f)
	f.Fuzz(func(t *testing.T, body []byte, under uint8) {
		agree(t, handler, explainedPolicies[int(under)%len(explainedPolicies)], string(body))
	})
}

// row returns what a decision says about a member, without the values.
func row(d *dcr.Decision, name string) string {
	for _, m := range d.Members {
		if m.Name == name {
			return fmt.Sprintf("%s %s %s %s %s", name, m.Verdict, m.Step, m.Rule, m.Effective)
		}
	}
	return name + " is not there"
}

// explained explains a request. An error ends the test.
func explained(t testing.TB, handler *dcr.Handler, under, body string) *dcr.Decision {
	t.Helper()
	d, err := handler.Explain(t.Context(), under, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhatBecomesOfAMember(t *testing.T) {
	handler := explaining(t)
	for _, test := range []struct {
		sentence, under, over string
		want                  string // the name, verdict, step, rule and value
	}{
		{"an accepted member is kept, by the step that checks it", "", `{"client_name":"App"}`, `client_name kept ValidateDisplay  "App"`},
		{"a list in another order is the same", "", `{"scope":"profile  openid"}`, `scope kept ValidateScopes  "profile openid"`},
		{"the words of a response type have no order", "", `{"response_types":["id_token code"],"grant_types":["authorization_code","implicit"]}`, `response_types kept ValidateGrantTypes  ["code id_token"]`},
		{"an absent member is defaulted", "", `{}`, `grant_types defaulted ValidateGrantTypes  ["authorization_code"]`},
		{"null counts as absent", "", `{"token_endpoint_auth_method":null}`, `token_endpoint_auth_method defaulted ValidateClientAuthentication  "client_secret_basic"`},
		{"so does the empty string", "", `{"client_name":""}`, `client_name ignored Validate  `},
		{"so does an empty list", "", `{"grant_types":[]}`, `grant_types defaulted ValidateGrantTypes  ["authorization_code"]`},
		{"a boolean that is returned although nobody set it", "", `{}`, `require_auth_time defaulted ValidateOpenID  false`},
		{"false is kept, whether it is returned or not", "", `{"backchannel_logout_session_required":false}`, `backchannel_logout_session_required kept ValidateLogout  `},
		{"true without the member that it belongs to is dropped", "", `{"backchannel_logout_session_required":true}`, `backchannel_logout_session_required dropped ValidateLogout  `},
		{"a part of a scope is dropped", "", `{"scope":"openid gone"}`, `scope dropped ValidateScopes  "openid"`},
		{"a whole scope is dropped", "strict", `{"scope":"gone"}`, `scope dropped ValidateScopes  `},
		{"default scopes replace it", "duende", `{"grant_types":["client_credentials"],"scope":"openid gone"}`, `scope dropped ValidateScopes  "openid"`},
		{"a grant type is dropped", "", `{"grant_types":["authorization_code","password"]}`, `grant_types dropped ValidateGrantTypes  ["authorization_code"]`},
		{"a policy replaces", "mcp", `{"application_type":"web","redirect_uris":["cursor://a/cb"]}`, `application_type replaced ValidateRedirectURIs  "native"`},
		{"a policy defaults in another step", "mcp", `{"redirect_uris":["cursor://a/cb"]}`, `token_endpoint_auth_method defaulted ValidateGrantTypes  "none"`},
		{"an unknown member is ignored", "", `{"unknown":1}`, `unknown ignored Validate  `},
		{"so is one that only the server issues", "", `{"client_id":"mine"}`, `client_id ignored Validate  `},
		{"so is one that is off", "strict", `{"subject_type":"public"}`, `subject_type ignored Validate  `},
		{"so is a statement if the server reads none", "", `{"software_statement":"e30.e30.e30"}`, `software_statement ignored Validate  `},
		{"an extension is kept", "", `{"x_text":"a"}`, `x_text kept ValidateExtensions  "a"`},
		{"so is a language-tagged form", "", `{"client_name#fr":"Appli"}`, `client_name#fr kept ValidateDisplay  "Appli"`},
		{"a list of alternatives is replaced by one of them", "", `{"subject_types_supported":["public"]}`, `subject_types_supported replaced ValidateOpenID  `},
		{"the answer has a setting", "approval", `{}`, `access_token_lifetime defaulted ShapeResponse  3600`},
		{"a missing member is refused", "", `{"redirect_uris":null}`, `redirect_uris refused ValidateRedirectURIs redirect_uris.missing `},
		{"an invalid member is refused, and the client has none", "", `{"client_uri":"javascript:x"}`, `client_uri refused ValidateDisplay client_uri.form `},
		{"the rest shows what the steps did before", "", `{"client_uri":"javascript:x","scope":"openid gone"}`, `scope dropped ValidateScopes  "openid"`},
		{"a member that no step reached has no step", "", `{"client_uri":"javascript:x","default_max_age":5}`, `default_max_age kept   5`},
		{"a wrong type is refused before the steps", "", `{"contacts":5}`, `contacts refused Validate contacts.type `},
		{"and so are all others with a wrong type", "", `{"contacts":5,"jwks":"x"}`, `jwks refused Validate jwks.type `},
		{"the valid members are kept", "", `{"contacts":5,"client_name":"App"}`, `client_name kept   "App"`},
		{"a member that is sent twice", "", `{"client_name#fr":"a","client_name#FR":"b"}`, `client_name#fr refused Validate body.duplicate `},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			if got := row(explained(t, handler, test.under, request(t, test.over)), strings.Fields(test.want)[0]); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// The members are in the order of Metadata, followed by tagged members, and then
// by all others.
func TestTheOrderOfMembers(t *testing.T) {
	d := explained(t, explaining(t), "strict", `{"zeta":1,"alpha":2,"client_name#fr":"b","client_name#de":"a","scope":"x","client_name":"c","redirect_uris":["https://rp.example.com/cb"]}`)
	var names []string
	for _, m := range d.Members {
		names = append(names, m.Name)
	}
	want := "redirect_uris token_endpoint_auth_method grant_types response_types client_name scope client_name#de client_name#fr alpha zeta"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if b := explained(t, explaining(t), "", `{`); len(b.Members) != 0 || b.Status != 400 {
		t.Errorf("a body that is not JSON: %d %v", b.Status, b.Members)
	}
}

// Every registered member belongs to a step, and the table of steps is right.
func TestEveryMemberHasAStep(t *testing.T) {
	handler := explaining(t)
	steps := make(map[string]bool)
	for _, body := range bodies(t) {
		d, err := handler.Explain(t.Context(), "", []byte(body))
		if err != nil || d.Err != nil {
			continue
		}
		for _, m := range d.Members {
			steps[m.Step] = true
			if m.Step == "" {
				t.Errorf("no step is given for %s, which is %s: %s", m.Name, m.Verdict, body)
			}
		}
	}
	if len(steps) < 10 {
		t.Errorf("few steps settled anything: %v", steps)
	}
}

// untouched is a store that nobody may write to.
type untouched struct {
	*memstore.Store
	t *testing.T
}

func (s untouched) Add(context.Context, *dcr.Client) error {
	s.t.Error("a client was stored")
	return nil
}

func (s untouched) Remember(context.Context, string, time.Time, time.Time) (bool, error) {
	s.t.Error("something was used up")
	return true, nil
}

type forbiddenFee struct{ t *testing.T }

func (f forbiddenFee) Take(context.Context) error     { f.t.Error("the caller was charged"); return nil }
func (f forbiddenFee) GiveBack(context.Context) error { return nil }

func TestExplainTouchesNothing(t *testing.T) {
	var fetched atomic.Int32
	site := aSite(t, func(w http.ResponseWriter, r *http.Request) { fetched.Add(1) })
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fetched.Add(1) }))
	t.Cleanup(keys.Close)
	forbidden := func(what string) { t.Errorf("%s was called", what) }
	opts := dcr.Options{
		Now: clock, MaxClients: 1,
		Validator: dcr.DefaultValidator{
			Supports: capabilities(t, `{"scopes_supported":["*"],`+pairwise+`}`), Fetch: reaching(site),
			Statements: &dcr.StatementVerifier{Once: true, Required: true, Issuers: map[string]dcr.KeySource{
				directory: dcr.JWKSURL(keys.URL, nil), "https://own.example": func(context.Context, string) ([]byte, error) {
					fetched.Add(1)
					return nil, errors.New("this must not be called")
				},
			}},
		},
		NewClientID: func(context.Context, *dcr.Registration) (string, error) { forbidden("NewClientID"); return "x", nil },
		NewClientSecret: func(context.Context, *dcr.Registration) (dcr.Plaintext, dcr.Secret, error) {
			forbidden("NewClientSecret")
			return "", dcr.Secret{}, nil
		},
		ModifyResponse: func(context.Context, *dcr.Registration, *dcr.Response) error { forbidden("ModifyResponse"); return nil },
		WriteError:     func(http.ResponseWriter, *http.Request, error) { forbidden("WriteError") },
		Caller:         func(*http.Request) (*dcr.Caller, error) { forbidden("Caller"); return nil, nil },
	}
	store := untouched{memstore.New(), t}
	handler := newHandler(t, store, opts)
	ctx := dcr.ContextWithCaller(t.Context(), &dcr.Caller{Subject: "someone", Allowance: forbiddenFee{t}})
	for _, iss := range []string{directory, "https://own.example"} {
		for range 3 {
			ssa := signers()["ES256"].sign(stated().with("iss", iss))
			body := object{"software_statement": ssa, "subject_type": "pairwise", "sector_identifier_uri": site.URL + "/sector", "jwks_uri": site.URL + "/jwks"}
			d, err := handler.Explain(ctx, "", []byte(body.String()))
			if err != nil || d.Err != nil || d.Status != 201 {
				t.Fatalf("%+v, %v", d, err)
			}
			if len(d.Assumed) != 2 || !strings.HasPrefix(d.Assumed[0], "software_statement ") || !strings.HasPrefix(d.Assumed[1], "sector_identifier_uri ") {
				t.Errorf("assumed %q", d.Assumed)
			}
			if c := d.Client; c.ID != "" || c.Secrets != nil || c.RegistrationTokens != nil || c.RegisteredBy != "someone" || c.Statement == nil {
				t.Errorf("the client is %+v", c)
			}
		}
	}
	if fetched.Load() != 0 {
		t.Errorf("%d documents were fetched", fetched.Load())
	}
	stored(t, store.Store, 0)
}

func TestExplainJudgesStatements(t *testing.T) {
	es := signers()["ES256"]
	handler, store := trusting(t, &dcr.StatementVerifier{OneClient: true})
	whole := es.sign(stated())
	for _, test := range []struct{ sentence, statement, rule string }{
		{"a valid statement is kept", whole, ""},
		{"one that another key signed is refused, since the keys are cached", newSigner("other").sign(stated()), "software_statement.signature"},
		{"so is an expired one", es.sign(stated().with("exp", noon.Unix()-3600)), "software_statement.claims"},
		{"and one from an unknown issuer", es.sign(stated().with("iss", "https://stranger.example")), "software_statement.issuer"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			body := fmt.Sprintf(statedBody, test.statement)
			d := explained(t, handler.(*dcr.Handler), "", body)
			if refused := (*dcr.Error)(nil); errors.As(d.Err, &refused) != (test.rule != "") || refused != nil && refused.Rule != test.rule {
				t.Errorf("refused with %#v, want %s", d.Err, test.rule)
			}
			agree(t, handler.(*dcr.Handler), "", body)
		})
	}
	stored(t, store, 1)
	if d := explained(t, handler.(*dcr.Handler), "", fmt.Sprintf(statedBody, whole)); !errors.Is(d.Err, dcr.UnapprovedSoftwareStatement) {
		t.Errorf("the statement already has a client, and the error is %v", d.Err)
	}
}

// TestExplainTellsOfNoOtherClient checks that a person who sends a statement with an
// unverified signature does not learn that its software has a client, or is denied.
func TestExplainTellsOfNoOtherClient(t *testing.T) {
	es, denied := signers()["ES256"], 0
	handler, store := trusting(t, &dcr.StatementVerifier{
		OneClient: true,
		Issuers: map[string]dcr.KeySource{directory: func(ctx context.Context, kid string) ([]byte, error) {
			return es.keys()(ctx, kid)
		}},
		Deny: func(context.Context, *dcr.SoftwareStatement) error { denied++; return nil },
	})
	answered(t, ask(t, handler, "POST", registerURL, "", fmt.Sprintf(statedBody, es.sign(stated()))), 201, "")
	stored(t, store, 1)
	denied = 0
	d := explained(t, handler.(*dcr.Handler), "", fmt.Sprintf(statedBody, newSigner("a stranger's").sign(stated())))
	if d.Err != nil || len(d.Assumed) != 1 || !strings.Contains(d.Assumed[0], "to have no client yet") || denied != 0 {
		t.Errorf("refused with %v, assumed %q, and Deny was asked %d times", d.Err, d.Assumed, denied)
	}
}

// outOfOrder fails in one step.
type outOfOrder struct {
	dcr.Validator
	err error
}

func (o outOfOrder) ValidateTokens(context.Context, *dcr.Registration) error { return o.err }

func TestExplainTellsFaultsOfTheServer(t *testing.T) {
	for _, test := range []struct {
		sentence, under string
		err             error
		decided         int // the status, 0 for an error
	}{
		{"an unknown policy", "none", nil, 0},
		{"a step that fails", "", errors.New("no connection"), 0},
		{"a step that finds something out of order", "", dcr.Unavailable("the directory is out of order", nil), 0},
		{"a step that refuses, with any status", "", &dcr.Error{Code: dcr.AccessDenied, Description: "not today"}, 403},
		{"no error", "", nil, 201},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			handler := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true}, func(v *dcr.DefaultValidator, o *dcr.Options) {
				o.Validator = outOfOrder{*v, test.err}
			})
			d, err := handler.Explain(t.Context(), test.under, []byte(plainBody))
			if (err != nil) != (test.decided == 0) || err == nil && d.Status != test.decided {
				t.Errorf("got %+v, %v", d, err)
			}
		})
	}
}

func TestExplainAtOnce(t *testing.T) {
	handler := explaining(t)
	var all sync.WaitGroup
	for _, client := range dcrtest.Clients() {
		for _, under := range explainedPolicies {
			all.Go(func() {
				if _, err := handler.Explain(t.Context(), under, client.Request); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
}

// sparing has a step that checks whether it only explains.
type sparing struct {
	dcr.Validator
	asked *[]bool
}

func (s sparing) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	*s.asked = append(*s.asked, reg.Explaining)
	if reg.HTTP == nil || reg.HTTP.URL.String() != endpoint || reg.Caller == nil {
		return errors.New("a step found no request, or no caller")
	}
	return s.Validator.ValidateClient(ctx, reg)
}

func TestStepsKnowThatTheyExplain(t *testing.T) {
	var asked []bool
	guard := dcr.Require(callerauth.StaticToken("0123456789abcdef", dcr.Caller{Subject: "admin"}))
	handler := newHandler(t, memstore.New(), dcr.Options{}, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = sparing{*v, &asked} })
	if d, err := handler.Explain(dcr.ContextWithCaller(t.Context(), &dcr.Caller{}), "", []byte(plainBody)); err != nil || d.Status != 201 {
		t.Fatalf("%+v, %v", d, err)
	}
	q := newRequest("POST", endpoint, "0123456789abcdef", plainBody)
	answered(t, exchange(t, guard(handler), q), 201, "")
	if fmt.Sprint(asked) != "[true false]" {
		t.Errorf("the step was told %v", asked)
	}
}

package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

const (
	directory  = "https://directory.example"
	statedBody = `{"software_statement":%q,"client_name":"Plain","redirect_uris":["https://plain.example/cb"]}`
)

// stated returns the claims of a valid statement.
func stated() object {
	return object{
		"iss": directory, "iat": noon.Unix() - 10, "exp": noon.Unix() + 300, "jti": "statement-1",
		"software_id": "payments", "client_name": "Vouched For", "redirect_uris": []string{"https://vouched.example/cb"},
		"org_id": "org-7",
	}
}

// trusting returns a handler with the verifier, and its store.
func trusting(t testing.TB, verifier *dcr.StatementVerifier, changes ...change) (http.Handler, *memstore.Store) {
	t.Helper()
	if verifier != nil && verifier.Issuers == nil {
		verifier.Issuers = map[string]dcr.KeySource{directory: signers()["ES256"].keys()}
	}
	validator := dcr.DefaultValidator{
		Supports: dcr.Capabilities{
			TokenEndpointAuthMethods: []string{"client_secret_basic", "none", "private_key_jwt"},
			IDTokenSigningAlgs:       []string{"RS256"}, Scopes: []string{"*"},
		},
		Statements: verifier,
	}
	store := memstore.New()
	opts := dcr.Options{AllowAnonymous: true, MaxClients: 1000, Now: clock, Validator: validator}
	return newHandler(t, store, opts, changes...), store
}

func TestAMissingStatement(t *testing.T) {
	handler, store := trusting(t, &dcr.StatementVerifier{Required: true})
	answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 400, dcr.InvalidSoftwareStatement)
	stored(t, store, 0)
	handler, _ = trusting(t, &dcr.StatementVerifier{})
	answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 201, "")
	handler, _ = trusting(t, nil)
	members := answered(t, ask(t, handler, "POST", registerURL, "", fmt.Sprintf(statedBody, "not looked at")), 201, "")
	if members["client_name"] != "Plain" || members["software_statement"] != nil {
		t.Errorf("a statement that nobody verified was used: %v", members)
	}
}

func TestClaimsAndPlainMembers(t *testing.T) {
	es := signers()["ES256"]
	ssa := stated().with("redirect_uris", nil, "client_name", nil,
		"software_client_name", "Vouched For", "software_redirect_uris", []string{"https://a.example/cb", "https://b.example/cb"},
		"software_jwks_endpoint", "https://keys.example/jwks", "scope", "accounts payments", "client_name#fr", "Garanti")
	mapping := map[string]string{
		"software_client_name": "client_name", "software_redirect_uris": "redirect_uris",
		"software_jwks_endpoint": "jwks_uri", "org_id": "organisation",
	}
	rules := func(rule dcr.StatementRule) map[string]dcr.StatementRule {
		return map[string]dcr.StatementRule{"redirect_uris": rule, "client_name": rule, "scope": rule, "organisation": rule, "logo_uri": rule}
	}
	for _, test := range []struct {
		sentence string
		rules    map[string]dcr.StatementRule
		plain    object
		code     dcr.Code
		want     object
	}{
		{"a claim sets a member that the request leaves out", nil, object{}, "",
			object{"client_name": "Vouched For", "redirect_uris": []any{"https://a.example/cb", "https://b.example/cb"}, "jwks_uri": "https://keys.example/jwks", "organisation": "org-7", "client_name#fr": "Garanti"}},
		{"a claim replaces the value that is sent", nil, object{"client_name": "Bank", "redirect_uris": []string{"https://evil.example/"}, "organisation": "org-1", "scope": "admin"}, "",
			object{"client_name": "Vouched For", "redirect_uris": []any{"https://a.example/cb", "https://b.example/cb"}, "organisation": "org-7", "scope": "accounts payments"}},
		{"a claimed member has no other languages", nil, object{"client_name#de": "Bank", "client_name#fr": "Banque"}, "",
			object{"client_name": "Vouched For", "client_name#de": nil, "client_name#fr": "Garanti"}},
		{"the request decides what is not claimed", nil, object{"logo_uri": "https://a.example/logo"}, "", object{"logo_uri": "https://a.example/logo"}},
		{"a binding claim may be repeated", rules(dcr.ClaimBinds), object{"client_name": "Vouched For", "redirect_uris": []string{"https://b.example/cb", "https://a.example/cb"}, "scope": "payments accounts"}, "",
			object{"redirect_uris": []any{"https://a.example/cb", "https://b.example/cb"}, "scope": "accounts payments"}},
		{"a binding claim cannot be contradicted", rules(dcr.ClaimBinds), object{"client_name": "Bank"}, dcr.InvalidClientMetadata, nil},
		{"a binding claim cannot be narrowed", rules(dcr.ClaimBinds), object{"redirect_uris": []string{"https://a.example/cb"}}, dcr.InvalidRedirectURI, nil},
		{"a binding claim of an extension cannot be contradicted", rules(dcr.ClaimBinds), object{"organisation": "org-1"}, dcr.InvalidClientMetadata, nil},
		{"a binding claim of an extension may be repeated", rules(dcr.ClaimBinds), object{"organisation": "org-7"}, "", object{"organisation": "org-7"}},
		{"a bounding claim may be narrowed", rules(dcr.ClaimBounds), object{"redirect_uris": []string{"https://b.example/cb"}, "scope": "payments"}, "",
			object{"redirect_uris": []any{"https://b.example/cb"}, "scope": "payments"}},
		{"a bounding claim sets a member that the request leaves out", rules(dcr.ClaimBounds), object{}, "",
			object{"redirect_uris": []any{"https://a.example/cb", "https://b.example/cb"}, "scope": "accounts payments"}},
		{"a bounding claim cannot be widened", rules(dcr.ClaimBounds), object{"redirect_uris": []string{"https://a.example/cb", "https://c.example/cb"}}, dcr.InvalidRedirectURI, nil},
		{"bounded scopes cannot be widened", rules(dcr.ClaimBounds), object{"scope": "accounts admin"}, dcr.InvalidClientMetadata, nil},
		{"a bounded text cannot be changed", rules(dcr.ClaimBounds), object{"client_name": "Bank"}, dcr.InvalidClientMetadata, nil},
		{"a member that only a statement may claim cannot be sent without a claim", rules(dcr.ClaimOnly), object{"logo_uri": "https://evil.example/logo"}, dcr.InvalidClientMetadata, nil},
		{"a member that only a statement may claim can be left out", rules(dcr.ClaimOnly), object{}, "", object{"logo_uri": nil, "client_name": "Vouched For"}},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			handler, store := trusting(t, &dcr.StatementVerifier{Claims: mapping, Members: test.rules}, func(v *dcr.DefaultValidator, _ *dcr.Options) {
				v.Extensions = []dcr.Extension{dcr.NewField[string]("organisation")}
			})
			answer := ask(t, handler, "POST", registerURL, "", test.plain.with("software_statement", es.sign(ssa)).String())
			if test.code != "" {
				answered(t, answer, 400, test.code)
				stored(t, store, 0)
				return
			}
			members := answered(t, answer, 201, "")
			for name, value := range test.want {
				if !reflect.DeepEqual(members[name], value) {
					t.Errorf("%s is %v, want %v", name, members[name], value)
				}
			}
		})
	}
	t.Run("an error about a malformed claim has the claim's own name", func(t *testing.T) {
		handler, _ := trusting(t, &dcr.StatementVerifier{Claims: map[string]string{"software_client_name": "client_name"}})
		answer := ask(t, handler, "POST", registerURL, "", object{"software_statement": es.sign(ssa.with("software_client_name", 1))}.String())
		if members := answered(t, answer, 400, dcr.InvalidSoftwareStatement); !strings.Contains(fmt.Sprint(members["error_description"]), "software_client_name must be") {
			t.Errorf("the description is %v", members["error_description"])
		}
	})
	t.Run("a claim under the member's own name comes first", func(t *testing.T) {
		handler, _ := trusting(t, &dcr.StatementVerifier{Claims: map[string]string{"software_client_name": "client_name"}})
		answer := ask(t, handler, "POST", registerURL, "", object{"software_statement": es.sign(stated().with("software_client_name", "Other"))}.String())
		if members := answered(t, answer, 201, ""); members["client_name"] != "Vouched For" {
			t.Errorf("client_name is %v", members["client_name"])
		}
	})
}

func TestAStatementOutlivesItsTime(t *testing.T) {
	es := signers()["ES256"]
	statement := es.sign(stated())
	at, keys := noon, jwks(es)
	verifier := &dcr.StatementVerifier{
		Issuers: map[string]dcr.KeySource{directory: func(context.Context, string) ([]byte, error) { return keys, nil }},
		Once:    true, MaxAge: time.Minute,
	}
	handler, store := trusting(t, verifier, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Now = func() time.Time { return at } })
	client := registerWith(t, handler, object{"software_statement": statement})
	at, keys = noon.Add(24*time.Hour), jwks(newSigner("rotated"))
	for sentence, body := range map[string]object{
		"sent back": {"software_statement": statement, "client_name": "Changed", "logo_uri": "https://a.example/logo"},
		"left out":  {"client_name": "Changed", "redirect_uris": []string{"https://evil.example/"}, "logo_uri": "https://a.example/logo"},
	} {
		members := client.update(t, body, 200, "")
		if members["client_name"] != "Vouched For" || !reflect.DeepEqual(members["redirect_uris"], []any{"https://vouched.example/cb"}) {
			t.Errorf("%s: the claims do not apply to the client: %v", sentence, members)
		}
		if members["software_statement"] != statement || members["logo_uri"] != "https://a.example/logo" {
			t.Errorf("%s: got %v", sentence, members)
		}
	}
	client.update(t, object{"software_statement": es.sign(stated().with("jti", "another"))}, 400, dcr.InvalidSoftwareStatement)
	found, err := store.FindByClientID(t.Context(), client.members["client_id"].(string))
	if err != nil || found.Statement.Text != statement || found.Statement.ID != "statement-1" {
		t.Errorf("the record is %+v, %v", found.Statement, err)
	}
	keys = jwks(es)
	fresh := es.sign(stated().with("jti", "fresh", "client_name", "Renamed", "iat", at.Unix(), "exp", at.Unix()+60))
	if members := client.update(t, object{"software_statement": fresh}, 200, ""); members["client_name"] != "Renamed" || members["software_statement"] != fresh {
		t.Errorf("a fresh statement changed nothing: %v", members)
	}
}

// TestAnUpdateKeepsWhatANewerVersionRecorded checks that an update by an older host keeps
// what a newer one recorded about the statement and the credentials.
func TestAnUpdateKeepsWhatANewerVersionRecorded(t *testing.T) {
	es := signers()["ES256"]
	statement := es.sign(stated())
	fresh := es.sign(stated().with("jti", "fresh"))
	for _, c := range []struct {
		sentence string
		again    bool // whether a statement that is sent back is judged again
		body     object
		kept     []string
	}{
		{"the statement is left out", false, object{}, []string{"statement", "secrets", "registration_tokens"}},
		{"the statement is sent back", false, object{"software_statement": statement}, []string{"statement", "secrets", "registration_tokens"}},
		{"the statement is sent back and judged again", true, object{"software_statement": statement}, []string{"statement", "secrets", "registration_tokens"}},
		{"another statement takes its place", false, object{"software_statement": fresh}, []string{"secrets", "registration_tokens"}},
	} {
		handler, store := trusting(t, &dcr.StatementVerifier{RequiredOnUpdate: c.again}, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.RotateSecret, o.RotateRegistrationToken = true, true })
		registered := registerWith(t, handler, object{"software_statement": statement})
		id := registered.members["client_id"].(string)
		client, err := store.FindByClientID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		newer := strings.NewReplacer(`{"type":`, `{"of_2031":true,"type":`, `{"issuer":`, `{"of_2031":true,"issuer":`).Replace(encode(client))
		if err := json.Unmarshal([]byte(newer), client); err != nil {
			t.Fatal(err)
		}
		if err := store.Update(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		registered.update(t, c.body, 200, "")
		if client, err = store.FindByClientID(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		var kept []string
		for _, name := range []string{"statement", "secrets", "registration_tokens"} {
			if strings.Contains(encode(decode(t, encode(client))[name]), "of_2031") {
				kept = append(kept, name)
			}
		}
		if !reflect.DeepEqual(kept, c.kept) {
			t.Errorf("%s: kept in %v, not in %v: %s", c.sentence, kept, c.kept, encode(client))
		}
	}
}

func TestUpdatesThatNeedAStatement(t *testing.T) {
	es := signers()["ES256"]
	statement := es.sign(stated())
	t.Run("a policy may require a fresh one with every update", func(t *testing.T) {
		handler, _ := trusting(t, &dcr.StatementVerifier{RequiredOnUpdate: true, Once: true})
		client := registerWith(t, handler, object{"software_statement": statement})
		client.update(t, object{}, 400, dcr.InvalidSoftwareStatement)
		client.update(t, object{"software_statement": statement}, 400, dcr.InvalidSoftwareStatement)
		client.update(t, object{"software_statement": es.sign(stated().with("jti", "2"))}, 200, "")
	})
	t.Run("a client without one needs one if registrations do", func(t *testing.T) {
		verifier := &dcr.StatementVerifier{}
		handler, _ := trusting(t, verifier)
		client := registerWith(t, handler, object{"redirect_uris": []string{"https://a.example/"}})
		verifier.Required = true
		client.update(t, object{"redirect_uris": []string{"https://a.example/"}}, 400, dcr.InvalidSoftwareStatement)
	})
	t.Run("the claims of an issuer that is no longer trusted do not apply", func(t *testing.T) {
		verifier := &dcr.StatementVerifier{}
		handler, _ := trusting(t, verifier)
		client := registerWith(t, handler, object{"software_statement": statement})
		verifier.Issuers = nil
		client.update(t, object{}, 400, dcr.InvalidSoftwareStatement)
	})
	t.Run("software that was blocked in the meantime is refused", func(t *testing.T) {
		blocked := false
		handler, _ := trusting(t, &dcr.StatementVerifier{Deny: func(context.Context, *dcr.SoftwareStatement) error {
			if blocked {
				return dcr.UnapprovedSoftwareStatement
			}
			return nil
		}})
		client := registerWith(t, handler, object{"software_statement": statement})
		blocked = true
		client.update(t, object{}, 400, dcr.UnapprovedSoftwareStatement)
	})
	t.Run("a statement still applies after verification was switched off", func(t *testing.T) {
		validator := &switching{DefaultValidator: dcr.DefaultValidator{Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: es.keys()}}}}
		handler, _ := trusting(t, nil, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Validator = validator })
		client := registerWith(t, handler, object{"software_statement": statement})
		validator.Statements = nil
		if members := client.update(t, object{"client_name": "Changed"}, 200, ""); members["client_name"] != "Vouched For" {
			t.Errorf("got %v", members)
		}
	})
}

// switching is a validator that a test changes.
type switching struct{ dcr.DefaultValidator }

func TestAStatementIsUsedOnce(t *testing.T) {
	es := signers()["ES256"]
	t.Run("by its jti", func(t *testing.T) {
		handler, store := trusting(t, &dcr.StatementVerifier{Once: true})
		statement := es.sign(stated())
		bad := object{"software_statement": statement, "grant_types": []string{"password"}}
		answered(t, ask(t, handler, "POST", registerURL, "", bad.String()), 400, dcr.InvalidClientMetadata)
		registerWith(t, handler, object{"software_statement": statement}) // what failed used nothing up
		answered(t, ask(t, handler, "POST", registerURL, "", fmt.Sprintf(statedBody, statement)), 400, dcr.InvalidSoftwareStatement)
		answered(t, ask(t, handler, "POST", registerURL, "", fmt.Sprintf(statedBody, es.sign(stated().with("client_name", "x")))), 400, dcr.InvalidSoftwareStatement)
		stored(t, store, 1)
	})
	t.Run("by one of a hundred at once", func(t *testing.T) {
		handler, store := trusting(t, &dcr.StatementVerifier{Once: true})
		body := fmt.Sprintf(statedBody, es.sign(stated()))
		if created := rush(t, handler, 100, "", body)[201]; created != 1 {
			t.Errorf("%d clients were registered", created)
		}
		stored(t, store, 1)
	})
	t.Run("for one client of the software at a time", func(t *testing.T) {
		handler, store := trusting(t, &dcr.StatementVerifier{OneClient: true, IDClaim: "software_id"})
		statement := func(jti string) object { return object{"software_statement": es.sign(stated().with("jti", jti))} }
		client := registerWith(t, handler, statement("1"))
		answered(t, ask(t, handler, "POST", registerURL, "", statement("2").String()), 400, dcr.UnapprovedSoftwareStatement)
		client.update(t, statement("3"), 200, "")
		other := registerWith(t, handler, object{"software_statement": es.sign(stated().with("software_id", "lending"))})
		other.update(t, statement("4"), 400, dcr.UnapprovedSoftwareStatement)
		stored(t, store, 2)
		path := registerURL + "?client_id=" + client.members["client_id"].(string)
		answered(t, ask(t, handler, "DELETE", path, client.members["registration_access_token"].(string), ""), 204, "")
		registerWith(t, handler, statement("5"))
	})
	t.Run("for one of a hundred registrations at once", func(t *testing.T) {
		handler, store := trusting(t, &dcr.StatementVerifier{OneClient: true})
		created := rush(t, handler, 100, "", fmt.Sprintf(statedBody, es.sign(stated())))[201]
		count, err := store.CountClients(t.Context(), dcr.Filter{})
		if err != nil || created > 1 || count != int64(created) {
			t.Errorf("%d clients were registered, %d are stored (%v)", created, count, err)
		}
	})
}

// ownStatements verifies statements in its own way: here they are JSON in
// base64.
type ownStatements struct{ dcr.DefaultValidator }

func (v ownStatements) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if text, found := strings.CutPrefix(reg.Request.SoftwareStatement, "own:"); found {
		reg.Statement = &dcr.SoftwareStatement{Issuer: "us", ID: text, Metadata: dcr.Metadata{ClientName: text}}
	}
	return v.DefaultValidator.ValidateSoftwareStatement(ctx, reg)
}

func TestAHostVerifiesStatementsItself(t *testing.T) {
	es := signers()["ES256"]
	for sentence, verifier := range map[string]*dcr.StatementVerifier{
		"alone":                            nil,
		"together with those of an issuer": {Issuers: map[string]dcr.KeySource{directory: es.keys()}, Required: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			handler, store := trusting(t, nil, func(_ *dcr.DefaultValidator, o *dcr.Options) {
				o.Validator = ownStatements{dcr.DefaultValidator{Statements: verifier}}
			})
			client := registerWith(t, handler, object{"software_statement": "own:seven", "client_name": "Plain", "redirect_uris": []string{"https://a.example/"}})
			if client.members["client_name"] != "seven" || client.members["software_statement"] != "own:seven" {
				t.Errorf("got %v", client.members)
			}
			found, err := store.FindByClientID(t.Context(), client.members["client_id"].(string))
			if err != nil || found.Statement == nil || found.Statement.Issuer != "us" || found.Statement.ID != "seven" || found.Statement.Text != "own:seven" {
				t.Errorf("the record is %+v, %v", found.Statement, err)
			}
			if updated := client.update(t, object{"redirect_uris": []string{"https://b.example/"}}, 200, ""); updated["software_statement"] != "own:seven" {
				t.Errorf("after an update: %v", updated)
			}
			if verifier != nil {
				registerWith(t, handler, object{"software_statement": es.sign(stated())})
			}
		})
	}
}

func TestLaterStepsSeeTheStatement(t *testing.T) {
	organisation := dcr.NewField[string]("org_id")
	handler, _ := trusting(t, nil, func(v *dcr.DefaultValidator, o *dcr.Options) {
		v.Statements = &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: signers()["ES256"].keys()}, Required: true}
		v.Extensions = []dcr.Extension{organisation}
		o.Validator = sameOrganisation{*v, organisation}
		o.Caller = func(r *http.Request) (*dcr.Caller, error) {
			return &dcr.Caller{Subject: "someone", Claims: map[string]any{"org": r.Header.Get("X-Org")}}, nil
		}
	})
	for org, status := range map[string]int{"org-7": 201, "org-8": 400} {
		asks := func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Org", org)
			handler.ServeHTTP(w, r)
		}
		answer := ask(t, http.HandlerFunc(asks), "POST", registerURL, "", fmt.Sprintf(statedBody, signers()["ES256"].sign(stated())))
		members := answer.members
		if members == nil || answer.status != status {
			t.Errorf("%s: got %d %s", org, answer.status, answer.body)
		}
		if status == 201 && members["org_id"] != "org-7" {
			t.Errorf("the claim is not in the extension: %v", members)
		}
	}
}

// sameOrganisation lets callers register only the software of their own
// organisation.
type sameOrganisation struct {
	dcr.DefaultValidator
	organisation dcr.Field[string]
}

func (v sameOrganisation) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	claimed, ok, err := v.organisation.Get(&reg.Client.Metadata)
	if err != nil {
		return err
	}
	if vouched, _, _ := v.organisation.Get(&reg.Statement.Metadata); !ok || vouched != claimed || reg.Caller.Claims["org"] != claimed {
		return dcr.Errorf(dcr.UnapprovedSoftwareStatement, "the software is another organisation's")
	}
	return v.DefaultValidator.ValidateClient(ctx, reg)
}

// lateFinder finds another client for every statement, but only the second
// time, as if it had registered in between on another host.
type lateFinder struct {
	*memstore.Store
	looks int
	fails error
}

func (f *lateFinder) FindByStatement(ctx context.Context, issuer, id string) ([]string, error) {
	if f.looks++; f.looks == 1 {
		return nil, nil
	}
	return []string{"another"}, f.fails
}

func TestTwoHostsTakeOneStatement(t *testing.T) {
	es := signers()["ES256"]
	newHosts := func(t *testing.T) (*lateFinder, *callerauth.InitialAccessTokens, http.Handler) {
		store := &lateFinder{Store: memstore.New()}
		tokens := &callerauth.InitialAccessTokens{Store: store}
		return store, tokens, newHandler(t, store, dcr.Options{
			Now: clock, Caller: tokens.Authenticate,
			Validator: dcr.DefaultValidator{Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: es.keys()}, OneClient: true}},
		})
	}
	body := fmt.Sprintf(statedBody, es.sign(stated()))
	t.Run("if another client is found, the new one is removed and costs nothing", func(t *testing.T) {
		store, tokens, handler := newHosts(t)
		token, atRest := issue(t, tokens, dcr.InitialAccessToken{MaxUses: 1})
		answered(t, ask(t, handler, "POST", registerURL, token, body), 400, dcr.UnapprovedSoftwareStatement)
		stored(t, store.Store, 0)
		uses(t, store, atRest.Hash, 0)
	})
	t.Run("if the lookup fails, the new client is removed too", func(t *testing.T) {
		store, tokens, handler := newHosts(t)
		store.fails = errors.New("no connection")
		token, _ := issue(t, tokens, dcr.InitialAccessToken{})
		answered(t, ask(t, handler, "POST", registerURL, token, body), 503, dcr.TemporarilyUnavailable)
		stored(t, store.Store, 0)
	})
	t.Run("if an update finds another client, it is undone", func(t *testing.T) {
		store, tokens, handler := newHosts(t)
		token, _ := issue(t, tokens, dcr.InitialAccessToken{})
		plain := ask(t, handler, "POST", registerURL, token, object{"redirect_uris": []string{"https://a.example/"}}.String())
		client := &registered{answered(t, plain, 201, ""), handler}
		client.update(t, object{"software_statement": es.sign(stated())}, 400, dcr.UnapprovedSoftwareStatement)
		found, err := store.FindByClientID(t.Context(), client.members["client_id"].(string))
		if err != nil || found.Statement != nil || found.ClientName != "" || found.RedirectURIs[0] != "https://a.example/" {
			t.Errorf("the client is %+v, %v", found, err)
		}
		client.update(t, object{"redirect_uris": []string{"https://b.example/"}}, 200, "")
	})
}

// ownWord is a validator of a host that verifies its own kind of statement.
type ownWord struct{ dcr.DefaultValidator }

func (v ownWord) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if text := reg.Request.SoftwareStatement; text != "" {
		reg.Statement = &dcr.SoftwareStatement{Issuer: "us", ID: text, Text: text, Metadata: dcr.Metadata{ClientName: "Vouched"}}
	}
	return v.DefaultValidator.ValidateSoftwareStatement(ctx, reg)
}

func TestUpdateCannotShedAStatementOfTheHostsOwnKind(t *testing.T) {
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = ownWord{*v} })
	a := r.register(t, request(t, `{"software_statement":"opaque"}`))
	for range 2 {
		r.manage(t, "PUT", a, a.update(map[string]any{"software_statement": nil, "client_name": "Evil", "client_name#fr": "Mal"}))
		if client := r.client(t, a); client.ClientName != "Vouched" || len(client.Localized) != 0 {
			t.Errorf("the client calls itself %q, %v", client.ClientName, client.Localized)
		}
	}
}

// freshStatements has a step that calls another DefaultValidator, which has no
// verifier.
type freshStatements struct{ dcr.DefaultValidator }

func (v freshStatements) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	return dcr.DefaultValidator{}.ValidateSoftwareStatement(ctx, reg)
}

// noStatements has a step that forgets the default.
type noStatements struct{ dcr.DefaultValidator }

func (v noStatements) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	return nil
}

func TestNoStepLosesARequiredStatement(t *testing.T) {
	es := signers()["ES256"]
	for sentence, forget := range map[string]func(v dcr.DefaultValidator) dcr.Validator{
		"the step of another DefaultValidator": func(v dcr.DefaultValidator) dcr.Validator { return freshStatements{v} },
		"a step that does nothing":             func(v dcr.DefaultValidator) dcr.Validator { return noStatements{v} },
	} {
		t.Run(sentence, func(t *testing.T) {
			verifier := &dcr.StatementVerifier{Required: true, RequiredOnUpdate: true}
			careful, store := trusting(t, verifier)
			client := registerWith(t, careful, object{"software_statement": es.sign(stated())})
			client.handler = newHandler(t, store, dcr.Options{AllowAnonymous: true, Now: clock}, func(v *dcr.DefaultValidator, o *dcr.Options) {
				o.Validator = forget(dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"*"}}, Statements: verifier})
			})
			good := object{"redirect_uris": []string{"https://a.example/"}}
			answered(t, ask(t, client.handler, "POST", registerURL, "", good.String()), 400, dcr.InvalidSoftwareStatement)
			answered(t, ask(t, client.handler, "POST", registerURL, "", good.with("software_statement", "unverified").String()), 500, dcr.ServerError)
			client.update(t, good, 400, dcr.InvalidSoftwareStatement)
			client.update(t, good.with("software_statement", "unverified"), 500, dcr.ServerError)
			client.update(t, good.with("software_statement", es.sign(stated())), 500, dcr.ServerError)
			stored(t, store, 1)
		})
	}
}

package spec_test

// The claims of a software statement hold, whatever the request says and
// whatever a later step changes.

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// claimRules has all rules, by name.
var claimRules = map[string]dcr.StatementRule{
	"ClaimWins": dcr.ClaimWins, "ClaimBinds": dcr.ClaimBinds, "ClaimBounds": dcr.ClaimBounds, "ClaimOnly": dcr.ClaimOnly,
}

// claimedKind is a member of one kind, with values to claim and to send.
type claimedKind struct {
	name               string
	claim, less, other any    // less: nil if there is none
	list               string // of its alternatives, "" if it has none
	standard           any    // the default
}

var claimedKinds = []claimedKind{
	{name: "client_name", claim: "Vouched", other: "Evil"},
	{name: "jwks_uri", claim: "https://rp.example.com/jwks", other: "https://evil.example/jwks"},
	{name: "contacts", claim: []any{"a@rp.example.com", "b@rp.example.com"}, less: []any{"b@rp.example.com"}, other: []any{"evil@evil.example"}},
	{name: "grant_types", claim: []any{"authorization_code", "refresh_token"}, less: []any{"authorization_code"}, other: []any{"authorization_code", "client_credentials"}, standard: []any{"authorization_code"}},
	{name: "scope", claim: "accounts openid", less: "openid", other: "openid payments", standard: "openid payments"},
	{name: "token_endpoint_auth_method", claim: "client_secret_post", other: "none", list: "token_endpoint_auth_methods_supported", standard: "client_secret_basic"},
	{name: "id_token_signed_response_alg", claim: "ES256", other: "RS256", list: "id_token_signing_alg_values_supported", standard: "RS256"},
	{name: "require_auth_time", claim: true, standard: false},
	{name: "default_max_age", claim: 60.0, other: 3600.0},
	{name: "x_text", claim: "vouched", other: "evil"},
	{name: "x_list", claim: []any{"a", "b"}, less: []any{"a"}, other: []any{"a", "c"}},
	{name: "x_object", claim: map[string]any{"a": []any{1.0}}, other: map[string]any{"a": []any{2.0}}},
}

func lockedServer(t testing.TB, members map[string]dcr.StatementRule, changes ...change) (http.Handler, *memstore.Store) {
	t.Helper()
	return trusting(t, &dcr.StatementVerifier{Members: members}, append([]change{func(v *dcr.DefaultValidator, _ *dcr.Options) {
		v.Supports = dcr.Capabilities{
			GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, Scopes: []string{"openid", "accounts", "payments"},
			TokenEndpointAuthMethods: []string{"client_secret_basic", "client_secret_post", "none"}, IDTokenSigningAlgs: []string{"RS256", "ES256"}, SubjectTypes: []string{"public"},
		}
		v.DefaultScopes = []string{"openid", "payments"}
		v.Extensions = []dcr.Extension{dcr.NewField[string]("x_text"), dcr.NewField[[]string]("x_list"), dcr.NewField[map[string]any]("x_object")}
	}}, changes...)...)
}

// said returns the ways in which a request can have the member, each with what
// the client has then, or refused.
func (k claimedKind) said(rule dcr.StatementRule, claimed bool) map[string]struct {
	body object
	want any
} {
	type saying = struct {
		body object
		want any
	}
	refused := refusedHere{}
	strict := func(lax, strict any) any {
		if rule == dcr.ClaimWins {
			return lax
		}
		return strict
	}
	all := map[string]saying{}
	switch {
	case claimed:
		all["nothing"] = saying{object{}, k.claim}
		all["the same"] = saying{object{k.name: k.claim}, k.claim}
		if k.other != nil {
			all["something else"] = saying{object{k.name: k.other}, strict(k.claim, refused)}
		}
		if k.less != nil {
			all["less"] = saying{object{k.name: k.less}, strict(k.claim, refused)}
			if rule == dcr.ClaimBounds {
				all["less"] = saying{object{k.name: k.less}, k.less}
			}
		}
		if k.list != "" {
			all["alternatives with it"] = saying{object{k.list: []any{k.other, k.claim}}, k.claim}
			all["alternatives without it"] = saying{object{k.list: []any{k.other}}, strict(k.claim, refused)}
			all["it and alternatives without it"] = saying{object{k.name: k.claim, k.list: []any{k.other}}, strict(k.claim, refused)}
		}
	case rule == dcr.ClaimOnly:
		all["nothing"] = saying{object{}, k.standard}
		if k.name == "scope" {
			all["nothing"] = saying{object{}, nil}
		}
		all["something"] = saying{object{k.name: k.claim}, refused}
		if k.list != "" {
			all["alternatives"] = saying{object{k.list: []any{k.other}}, refused}
		}
	default:
		all["nothing"] = saying{object{}, k.standard}
		all["something"] = saying{object{k.name: k.claim}, k.claim}
		if k.list != "" {
			all["alternatives"] = saying{object{k.list: []any{k.claim}}, k.claim}
		}
	}
	return all
}

type refusedHere struct{}

// Every kind of member under every rule: sent on registration, on an update with
// the statement, and on an update without it, when the stored statement applies.
func TestClaimsAndWhatIsSent(t *testing.T) {
	es := signers()["ES256"]
	for _, kind := range claimedKinds {
		for ruleName, rule := range claimRules {
			for from, claims := range map[string]object{"claimed": {kind.name: kind.claim}, "not claimed": {}, "no statement": nil} {
				handler, _ := lockedServer(t, map[string]dcr.StatementRule{kind.name: rule})
				plain := object{"redirect_uris": []string{"https://rp.example.com/cb"}}
				stated := plain
				if claims != nil {
					statement := object{"iss": directory, "jti": "1", "software_id": "payments"}
					for name, value := range claims {
						statement[name] = value
					}
					stated = plain.with("software_statement", es.sign(statement))
				}
				for sentence, saying := range kind.said(rule, from == "claimed") {
					name := fmt.Sprintf("%s, %s, %s, sent %s", kind.name, ruleName, from, sentence)
					with := func(base object) object {
						for name, value := range saying.body {
							base = base.with(name, value)
						}
						return base
					}
					judged := func(when string, a *answer, status int) {
						t.Helper()
						if _, refused := saying.want.(refusedHere); refused {
							status = 400
						}
						if a.status != status || status != 400 && !sameSet(a.members[kind.name], saying.want) {
							t.Errorf("%s: %s: got %d %s, want %d %v", name, when, a.status, a.body, status, saying.want)
						}
					}
					judged("registered", ask(t, handler, "POST", registerURL, "", with(stated).String()), 201)
					client := registerWith(t, handler, stated)
					for when, body := range map[string]object{"updated": stated, "updated without the statement": plain} {
						path := registerURL + "?client_id=" + client.members["client_id"].(string)
						token := client.members["registration_access_token"].(string)
						judged(when, ask(t, handler, "PUT", path, token, with(body).with("client_id", client.members["client_id"]).String()), 200)
					}
				}
			}
		}
	}
}

// sameSet compares values; the order of scopes and lists does not matter.
func sameSet(got, want any) bool {
	set := func(value any) any {
		switch value := value.(type) {
		case string:
			words := strings.Fields(value)
			slices.Sort(words)
			return strings.Join(words, " ")
		case []any:
			value = slices.Clone(value)
			slices.SortFunc(value, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			return value
		}
		return value
	}
	return reflect.DeepEqual(set(got), set(want))
}

// A statement may claim alternatives too.
func TestClaimedAlternatives(t *testing.T) {
	const list, method = "token_endpoint_auth_methods_supported", "token_endpoint_auth_method"
	for ruleName, rule := range claimRules {
		handler, _ := lockedServer(t, map[string]dcr.StatementRule{method: rule})
		statement := signers()["ES256"].sign(object{"iss": directory, "software_id": "payments", list: []string{"client_secret_post", "client_secret_basic"}})
		for sentence, test := range map[string]struct {
			body object
			want any // nil: refused
		}{
			"nothing":            {object{}, "client_secret_basic"},
			"one of them":        {object{method: "client_secret_post"}, "client_secret_post"},
			"another":            {object{method: "none"}, nil},
			"fewer alternatives": {object{list: []string{"client_secret_post"}}, map[bool]any{true: "client_secret_basic", false: "client_secret_post"}[rule == dcr.ClaimWins]},
			"other alternatives": {object{list: []string{"none"}}, map[bool]any{true: "client_secret_basic"}[rule == dcr.ClaimWins]},
		} {
			a := ask(t, handler, "POST", registerURL, "", test.body.with("redirect_uris", []string{"https://rp.example.com/cb"}, "software_statement", statement).String())
			if a.members[method] != test.want || (a.status == 201) != (test.want != nil) {
				t.Errorf("%s, sent %s: got %d %s, want %v", ruleName, sentence, a.status, a.body, test.want)
			}
		}
	}
}

// If the server supports none of the claimed scopes, nothing replaces them.
func TestNoScopesBeyondTheClaim(t *testing.T) {
	es := signers()["ES256"]
	for ruleName, rule := range claimRules {
		for _, claim := range []string{"legacy", "accounts legacy", "accounts"} {
			for _, sent := range []any{nil, " ", "   ", "", "legacy", "payments", "openid payments"} {
				handler, _ := lockedServer(t, map[string]dcr.StatementRule{"scope": rule})
				plain := object{"redirect_uris": []string{"https://rp.example.com/cb"}, "scope": sent}.with("scope", sent)
				statement := es.sign(object{"iss": directory, "software_id": "payments", "scope": claim})
				client := registerWith(t, handler, object{"redirect_uris": []string{"https://rp.example.com/cb"}, "software_statement": statement})
				path, token := registerURL+"?client_id="+client.members["client_id"].(string), client.members["registration_access_token"].(string)
				plain = plain.with("client_id", client.members["client_id"])
				for when, a := range map[string]*answer{
					"registered":                    ask(t, handler, "POST", registerURL, "", plain.with("software_statement", statement).String()),
					"updated":                       ask(t, handler, "PUT", path, token, plain.with("software_statement", statement).String()),
					"updated without the statement": ask(t, handler, "PUT", path, token, plain.String()),
				} {
					text, _ := sent.(string)
					blank := text != "" && strings.TrimSpace(text) == ""
					beyond := slices.ContainsFunc(strings.Fields(a.text("scope")), func(scope string) bool { return !slices.Contains(strings.Fields(claim), scope) })
					if beyond || a.status >= 500 || blank && a.status != 400 {
						t.Errorf("%s, claimed %q, sent %v, %s: got %d %s", ruleName, claim, sent, when, a.status, a.body)
					}
				}
			}
		}
	}
}

func TestBlankScope(t *testing.T) {
	start(t, `{"scopes_supported":["openid"]}`, func(v *dcr.DefaultValidator, _ *dcr.Options) { v.DefaultScopes = []string{"openid"} }).judge(t, []wireCase{
		{sentence: "a scope with only white space", request: `{"scope":" "}`, code: dcrMetadata, says: "scope must be scopes, or be left out"},
		{sentence: "a scope with more white space", request: `{"scope":"    "}`, code: dcrMetadata, says: "scope must be"},
		{sentence: "an empty scope is absent", request: `{"scope":""}`, answer: `{"scope":"openid"}`},
		{sentence: "white space around scopes", request: `{"scope":"  openid "}`, answer: `{"scope":"openid"}`},
	})
	reg := &dcr.Registration{Request: &dcr.Request{Metadata: dcr.Metadata{RedirectURIs: []string{"https://rp.example.com/cb"}, Scope: " "}}}
	if err := dcr.Validate(t.Context(), dcr.DefaultValidator{}, reg); err == nil {
		t.Error("a request that a host made is accepted")
	}
}

// What a host verified in its own way applies as well, with the same rules,
// even if an update has nothing of it to read.
func TestClaimsOfAHostsOwnStatement(t *testing.T) {
	for ruleName, rule := range claimRules {
		handler, _ := lockedServer(t, map[string]dcr.StatementRule{"client_name": rule, "scope": rule, "logo_uri": rule}, func(v *dcr.DefaultValidator, o *dcr.Options) {
			o.Validator = vouched{*v}
		})
		plain := object{"redirect_uris": []string{"https://rp.example.com/cb"}}
		client := registerWith(t, handler, plain.with("software_statement", `own:{"client_name":"Vouched","scope":"legacy"}`))
		wins := map[bool]int{true: 200, false: 400}[rule == dcr.ClaimWins]
		for _, test := range []struct {
			body   object
			status int
		}{
			{plain, 200}, {plain.with("client_name", "Vouched"), 200}, {plain.with("client_name", "Evil"), wins}, {plain.with("scope", "payments"), wins},
			{plain.with("logo_uri", "https://rp.example.com/logo"), map[bool]int{true: 400, false: 200}[rule == dcr.ClaimOnly]},
		} {
			code := dcr.InvalidClientMetadata
			if test.status == 200 {
				code = ""
			}
			members := client.update(t, test.body, test.status, code)
			if test.status == 200 && (members["client_name"] != "Vouched" || members["scope"] != nil) {
				t.Errorf("%s: %v leaves %v", ruleName, test.body, members)
			}
		}
	}
}

// Under ClaimOnly, an update may send back what the server gave the client, as RFC 7592
// §2.2 requires, and nothing else.
func TestWhatNobodyClaimedIsSentBack(t *testing.T) {
	members := object{
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code id_token"}, "application_type": "native",
		"token_endpoint_auth_method": "none", "subject_type": "pairwise", "id_token_signed_response_alg": "ES256",
	}
	rules := map[string]dcr.StatementRule{}
	for name := range members {
		rules[name] = dcr.ClaimOnly
	}
	handler, _ := lockedServer(t, rules)
	plain := object{"redirect_uris": []string{"https://rp.example.com/cb"}}
	client := registerWith(t, handler, plain)
	given := client.update(t, plain, 200, "")
	for name, other := range members {
		if given[name] == nil {
			t.Fatalf("the server gives no %s", name)
		}
		if again := client.update(t, plain.with(name, given[name]), 200, ""); !reflect.DeepEqual(again[name], given[name]) {
			t.Errorf("%s is %v, and after it is sent back %v", name, given[name], again[name])
		}
		client.update(t, plain.with(name, other), 400, dcr.InvalidClientMetadata)
		refused := ask(t, handler, "POST", registerURL, "", plain.with(name, given[name]).String())
		answered(t, refused, 400, dcr.InvalidClientMetadata)
	}
}

// What the server left out of a claim, an update that sends the answer back may leave out.
func TestWhatIsLeftOfAClaimIsSentBack(t *testing.T) {
	claims := object{"iss": directory, "software_id": "payments", "scope": "openid accounts legacy", "grant_types": []string{"authorization_code", "password"}}
	for ruleName, rule := range claimRules {
		handler, _ := lockedServer(t, map[string]dcr.StatementRule{"scope": rule, "grant_types": rule})
		plain := object{"redirect_uris": []string{"https://rp.example.com/cb"}, "software_statement": signers()["ES256"].sign(claims)}
		client := registerWith(t, handler, plain)
		given := plain.with("scope", "openid accounts").with("grant_types", []string{"authorization_code"})
		if again := client.update(t, given, 200, ""); again["scope"] != given["scope"] || len(again["grant_types"].([]any)) != 1 {
			t.Errorf("%s: %v is sent back, and answered with %v", ruleName, given, again)
		}
		for name, less := range (object{"scope": "openid", "grant_types": []string{"password"}}) {
			if rule == dcr.ClaimBinds || rule == dcr.ClaimOnly {
				client.update(t, given.with(name, less), 400, dcr.InvalidClientMetadata)
			}
		}
	}
}

// unlisted leaves "legacy" out of x_list.
type unlisted struct{ dcr.Validator }

func (u unlisted) ValidateExtensions(ctx context.Context, reg *dcr.Registration) error {
	list, sent, err := xList.Get(&reg.Client.Metadata)
	if err == nil && sent {
		err = xList.Set(&reg.Client.Metadata, slices.DeleteFunc(list, func(entry string) bool { return entry == "legacy" }))
	}
	if err != nil {
		return err
	}
	return u.Validator.ValidateExtensions(ctx, reg)
}

var xList = dcr.NewField[[]string]("x_list")

// The same holds for what a step leaves out of an extension member.
func TestWhatIsLeftOfAClaimedExtensionIsSentBack(t *testing.T) {
	claims := object{"iss": directory, "software_id": "payments", "x_list": []string{"a", "b", "legacy"}}
	for ruleName, rule := range claimRules {
		handler, _ := lockedServer(t, map[string]dcr.StatementRule{"x_list": rule}, func(v *dcr.DefaultValidator, opts *dcr.Options) {
			opts.Validator = unlisted{*v}
		})
		plain := object{"redirect_uris": []string{"https://rp.example.com/cb"}, "software_statement": signers()["ES256"].sign(claims)}
		client := registerWith(t, handler, plain)
		given := plain.with("x_list", []string{"a", "b"})
		if again := client.update(t, given, 200, ""); !reflect.DeepEqual(again["x_list"], client.members["x_list"]) || len(again["x_list"].([]any)) != 2 {
			t.Errorf("%s: %v is sent back, and answered with %v", ruleName, given, again)
		}
		if rule == dcr.ClaimBinds || rule == dcr.ClaimOnly {
			client.update(t, given.with("x_list", []string{"a"}), 400, dcr.InvalidClientMetadata)
			answered(t, ask(t, handler, "POST", registerURL, "", given.String()), 400, dcr.InvalidClientMetadata)
		}
	}
}

// The same holds for keys, of whose set the server keeps nothing else, in whatever order a
// client writes the members of a key.
func TestWhatIsLeftOfClaimedKeysIsSentBack(t *testing.T) {
	const key, again = `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		`{ "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "a", "crv": "Ed25519", "kty": "OKP" }`
	keys := func(keys string) json.RawMessage { return json.RawMessage(`{"keys":[` + keys + `]}`) }
	claims := object{"iss": directory, "software_id": "payments", "jwks": json.RawMessage(`{"issued":1,"keys":[` + key + `]}`)}
	for ruleName, rule := range claimRules {
		handler, _ := lockedServer(t, map[string]dcr.StatementRule{"jwks": rule})
		plain := object{"redirect_uris": []string{"https://rp.example.com/cb"}, "software_statement": signers()["ES256"].sign(claims)}
		client := registerWith(t, handler, plain)
		for _, sent := range []string{key, again} {
			if members := client.update(t, plain.with("jwks", keys(sent)), 200, ""); !reflect.DeepEqual(members["jwks"], client.members["jwks"]) {
				t.Errorf("%s: %s is sent back, and answered with %v", ruleName, sent, members["jwks"])
			}
		}
		if rule != dcr.ClaimWins {
			for _, sent := range []string{"", strings.Replace(key, `"a"`, `"b"`, 1), key + "," + strings.Replace(key, `"a"`, `"b"`, 1)} {
				client.update(t, plain.with("jwks", keys(sent)), 400, dcr.InvalidClientMetadata)
			}
		}
	}
}

// A response type is the same in whatever order its words come (RFC 6749 §3.1.1).
func TestTheWordsOfAClaimedResponseType(t *testing.T) {
	claims := object{"iss": directory, "software_id": "payments", "response_types": []string{"id_token code", "code"}}
	for ruleName, rule := range claimRules {
		handler, _ := lockedServer(t, map[string]dcr.StatementRule{"response_types": rule}, func(v *dcr.DefaultValidator, _ *dcr.Options) {
			v.Supports.ResponseTypes, v.AllowHybridWithoutImplicit = []string{"code", "code id_token"}, true
		})
		plain := object{"redirect_uris": []string{"https://rp.example.com/cb"}, "software_statement": signers()["ES256"].sign(claims)}
		for _, sent := range []object{plain, plain.with("response_types", []string{"code", "code id_token"})} {
			client := registerWith(t, handler, sent)
			given := client.members["response_types"]
			if again := client.update(t, plain.with("response_types", given), 200, ""); !reflect.DeepEqual(again["response_types"], given) || len(given.([]any)) != 2 {
				t.Errorf("%s: %v is sent back, and answered with %v", ruleName, given, again)
			}
		}
	}
}

// Other tokens that an issuer signs are not statements.
func TestTokensOfOtherKindsAreNoStatements(t *testing.T) {
	es := signers()["ES256"]
	good := object{"iss": directory, "software_id": "payments"}
	for sentence, claims := range map[string]object{
		"an ID Token":                              {"iss": directory, "sub": "person", "aud": "rp", "nonce": "n", "azp": "rp", "at_hash": "h", "exp": noon.Unix() + 60, "iat": noon.Unix()},
		"an ID Token with few claims":              {"iss": directory, "sub": "person", "aud": "rp", "exp": noon.Unix() + 60, "iat": noon.Unix(), "name": "Person"},
		"a Logout Token":                           {"iss": directory, "sub": "person", "aud": "rp", "jti": "1", "iat": noon.Unix(), "events": object{"http://schemas.openid.net/event/backchannel-logout": object{}}},
		"a Logout Token that claims a member":      good.with("sid", "s"),
		"a client assertion":                       {"iss": directory, "sub": directory, "aud": "https://id.example.com", "jti": "1", "exp": noon.Unix() + 60},
		"a client assertion that claims a member":  good.with("sub", directory),
		"with nonce":                               good.with("nonce", "n"),
		"with an empty nonce":                      good.with("nonce", ""),
		"with at_hash":                             good.with("at_hash", "h"),
		"with c_hash":                              good.with("c_hash", "h"),
		"with auth_time":                           good.with("auth_time", 1),
		"with events":                              good.with("events", object{}),
		"with azp":                                 good.with("azp", "rp"),
		"that claims nothing about a client":       {"iss": directory, "jti": "1", "org_id": "org-7"},
		"that claims alternatives to members only": {"iss": directory, "token_endpoint_auth_methods_supported": []string{"none"}},
	} {
		handler, store := trusting(t, &dcr.StatementVerifier{})
		a := ask(t, handler, "POST", registerURL, "", object{"redirect_uris": []string{"https://rp.example.com/cb"}, "software_statement": es.sign(claims)}.String())
		if a.status != 400 || a.text("error") != string(dcr.InvalidSoftwareStatement) {
			t.Errorf("%s: got %d %s", sentence, a.status, a.body)
		}
		stored(t, store, 0)
	}
	for sentence, claims := range map[string]object{
		"with software_id":              good,
		"with a member":                 {"iss": directory, "client_name": "Vouched"},
		"with a tagged member":          {"iss": directory, "client_name#fr": "Garanti"},
		"with a claim that is a member": {"iss": directory, "software_client_name": "Vouched"},
		"with a sub":                    good.with("sub", "somebody"),
		"with claims of its own too":    good.with("org_id", "org-7", "acr", "1", "amr", []string{"mfa"}),
	} {
		handler, _ := trusting(t, &dcr.StatementVerifier{Claims: map[string]string{"software_client_name": "client_name"}})
		a := ask(t, handler, "POST", registerURL, "", object{"redirect_uris": []string{"https://rp.example.com/cb"}, "software_statement": es.sign(claims)}.String())
		if a.status != 201 {
			t.Errorf("%s: got %d %s", sentence, a.status, a.body)
		}
	}
}

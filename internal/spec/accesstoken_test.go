package spec_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// granted returns the claims of a valid access token.
func granted() object {
	return object{
		"iss": issuer, "aud": endpoint, "sub": "alice", "client_id": "portal", "jti": "token-1",
		"iat": noon.Unix() - 10, "exp": noon.Unix() + 300, "scope": "openid dcr",
	}
}

// grant signs an access token.
func (s *signer) grant(claims object) string {
	return s.signText(s.header().with("typ", "at+jwt"), claims.String())
}

// guarded returns a handler whose callers verifier checks.
func guarded(t testing.TB, verifier *callerauth.AccessTokenVerifier, changes ...change) http.Handler {
	t.Helper()
	return newHandler(t, memstore.New(), dcr.Options{Caller: verifier.Authenticate, Now: clock}, changes...)
}

// tokenVerifier accepts the access tokens of one party.
func tokenVerifier(party *signer) *callerauth.AccessTokenVerifier {
	return &callerauth.AccessTokenVerifier{Issuer: issuer, Audience: endpoint, Scopes: []string{"dcr"}, Keys: party.keys(), Now: clock}
}

func TestAnAccessTokenIsRefused(t *testing.T) {
	es, ed, rs := signers()["ES256"], signers()["EdDSA"], signers()["RS256"]
	good := granted()
	header := es.header().with("typ", "at+jwt")
	signed := es.grant(good)
	parts := strings.Split(signed, ".")
	handler := guarded(t, tokenVerifier(es))
	answered(t, ask(t, handler, "POST", registerURL, signed, plainBody), 201, "")
	for sentence, token := range map[string]string{
		"its signature is bad":                  signed[:len(signed)-20] + strings.Repeat("A", 20),
		"its claims were changed":               parts[0] + "." + b64([]byte(good.with("sub", "mallory").String())) + "." + parts[2],
		"another key with the same kid signed":  newSigner(es.kid).grant(good),
		"an unknown key signed":                 newSigner("mine").grant(good),
		"it brings its own key":                 newSigner("x").signText(header.with("kid", nil, "jwk", newSigner("x").jwk()), good.String()),
		"alg is none":                           b64([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + b64([]byte(good.String())) + ".AAAA",
		"HS256 with the public key":             es.withPublicKeyAsSecret(good),
		"its algorithm does not fit the key":    ed.signText(header.with("alg", "EdDSA"), good.String()),
		"its algorithm is not accepted":         rs.signText(header.with("alg", "RS384", "kid", nil), good.String()),
		"it has expired":                        es.grant(good.with("exp", noon.Unix()-61)),
		"it has no exp":                         es.grant(good.with("exp", nil)),
		"it is not valid yet":                   es.grant(good.with("nbf", noon.Unix()+61)),
		"it was issued in the future":           es.grant(good.with("iat", noon.Unix()+61)),
		"it is for another audience":            es.grant(good.with("aud", "https://api.example")),
		"it is for other audiences":             es.grant(good.with("aud", []string{"https://api.example", endpoint + "/"})),
		"it has no audience":                    es.grant(good.with("aud", nil)),
		"it has another issuer":                 es.grant(good.with("iss", "https://evil.example")),
		"its issuer has an extra slash":         es.grant(good.with("iss", issuer+"/")),
		"it has no issuer":                      es.grant(good.with("iss", nil)),
		"it is an ID Token":                     es.sign(good),
		"it has no typ":                         es.signText(header.with("typ", nil), good.String()),
		"its typ is of another kind":            es.signText(header.with("typ", "logout+jwt"), good.String()),
		"it has a crit":                         es.signText(header.with("crit", []string{"x"}, "x", 1), good.String()),
		"it has no sub":                         es.grant(good.with("sub", nil)),
		"it has no client_id":                   es.grant(good.with("client_id", nil)),
		"its client_id is empty":                es.grant(good.with("client_id", "")),
		"it has no iat":                         es.grant(good.with("iat", nil)),
		"it has no jti":                         es.grant(good.with("jti", nil)),
		"its sub is a number":                   es.grant(good.with("sub", 7)),
		"its scope is an object":                es.grant(good.with("scope", object{"dcr": true})),
		"its scope is a list of numbers":        es.grant(good.with("scope", []int{1})),
		"its exp is a string":                   es.grant(good.with("exp", "1999999999")),
		"it has a claim twice":                  es.signText(header, strings.Replace(good.String(), "{", `{"scope":"dcr",`, 1)),
		"it is too large":                       es.grant(good.with("x", strings.Repeat("x", 20_000))),
		"it is not a JWT":                       "opaque",
		"it is not a JWT, but has two dots":     "a.b.c",
		"it is encrypted":                       "a.b.c.d.e",
		"it ends in white space that is signed": signed + "\u00a0",
	} {
		answer := ask(t, handler, "POST", registerURL, token, plainBody)
		if answered(t, answer, 401, dcr.InvalidToken); t.Failed() {
			t.Fatalf("a token was accepted although %s", sentence)
		}
		if got := answer.header.Get("WWW-Authenticate"); got != `Bearer realm="client registration", error="invalid_token"` {
			t.Errorf("%s: the challenge is %q", sentence, got)
		}
		if got := answer.body; got != `{"error":"invalid_token","error_description":"the access token is not valid for this request"}` {
			t.Errorf("%s: the answer is %s", sentence, got)
		}
	}
	answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 401, dcr.InvalidToken)
}

func TestAnAccessTokenNeedsItsScopes(t *testing.T) {
	es := signers()["ES256"]
	verifier := tokenVerifier(es)
	verifier.Scopes = []string{"dcr", "dcr:write"}
	handler := guarded(t, verifier)
	for _, test := range []struct {
		sentence   string
		scope, scp any
		enough     bool
	}{
		{"a string", "openid dcr dcr:write", nil, true},
		{"a string with other white space", " dcr  dcr:write ", nil, true},
		{"an array, as Duende sends it", []string{"dcr", "dcr:write"}, nil, true},
		{"scp as a string, as Entra sends it", nil, "dcr dcr:write", true},
		{"scp as an array, as Okta sends it", nil, []string{"dcr:write", "dcr"}, true},
		{"both together", "dcr", []string{"dcr:write"}, true},
		{"only one of two", "dcr", nil, false},
		{"none at all", nil, nil, false},
		{"an empty one", "", "", false},
		{"one that only begins like it", "dcr dcr:write:all dcr:writer", nil, false},
		{"one in upper case", "DCR DCR:WRITE", nil, false},
		{"one separated by a comma", "dcr,dcr:write", nil, false},
	} {
		answer := ask(t, handler, "POST", registerURL, es.grant(granted().with("scope", test.scope, "scp", test.scp)), plainBody)
		if test.enough {
			answered(t, answer, 201, "")
			continue
		}
		answered(t, answer, 403, dcr.InsufficientScope)
		want := `Bearer realm="client registration", error="insufficient_scope", scope="dcr dcr:write"`
		if got := answer.header.Get("WWW-Authenticate"); got != want {
			t.Errorf("%s: the challenge is %q", test.sentence, got)
		}
	}
}

func TestWhatAnAccessTokenVerifierCanBeTold(t *testing.T) {
	es, rs := signers()["ES256"], signers()["RS256"]
	plainType := func(claims object) string { return es.sign(claims) }
	for _, test := range []struct {
		sentence string
		change   func(*callerauth.AccessTokenVerifier)
		token    string
		status   int
	}{
		{"typ in full", nil, es.signText(es.header().with("typ", "application/AT+JWT"), granted().String()), 201},
		{"several audiences", nil, es.grant(granted().with("aud", []string{"x", endpoint})), 201},
		{"any type, which is insecure", func(v *callerauth.AccessTokenVerifier) { v.InsecureAnyTokenType = true }, plainType(granted()), 201},
		{"no required claims", func(v *callerauth.AccessTokenVerifier) { v.RequiredClaims = []string{} }, es.grant(granted().with("sub", nil, "client_id", nil, "iat", nil, "jti", nil)), 201},
		{"no required claims, but exp is still required", func(v *callerauth.AccessTokenVerifier) { v.RequiredClaims = []string{} }, es.grant(granted().with("exp", nil)), 401},
		{"other required claims", func(v *callerauth.AccessTokenVerifier) { v.RequiredClaims = []string{"org"} }, es.grant(granted()), 401},
		{"no scopes", func(v *callerauth.AccessTokenVerifier) { v.Scopes = nil }, es.grant(granted().with("scope", nil)), 201},
		{"another algorithm", func(v *callerauth.AccessTokenVerifier) { v.Algorithms = []string{"RS256"}; v.Keys = rs.keys() }, rs.grant(granted()), 201},
		{"an algorithm that is not accepted", func(v *callerauth.AccessTokenVerifier) { v.Algorithms = []string{"RS256"} }, es.grant(granted()), 401},
		{"no algorithm at all", func(v *callerauth.AccessTokenVerifier) { v.Algorithms = []string{} }, es.grant(granted()), 401},
		{"the default skew", nil, es.grant(granted().with("exp", noon.Unix()-59)), 201},
		{"no skew", func(v *callerauth.AccessTokenVerifier) { v.Skew = -1 }, es.grant(granted().with("exp", noon.Unix())), 401},
		{"a symmetric algorithm", func(v *callerauth.AccessTokenVerifier) { v.Algorithms = []string{"HS256"} }, es.grant(granted()), 500},
		{"the algorithm none", func(v *callerauth.AccessTokenVerifier) { v.Algorithms = []string{"none", "ES256"} }, es.grant(granted()), 500},
		{"no issuer", func(v *callerauth.AccessTokenVerifier) { v.Issuer = "" }, es.grant(granted()), 500},
		{"no audience", func(v *callerauth.AccessTokenVerifier) { v.Audience = "" }, es.grant(granted()), 500},
		{"an issuer that cannot be discovered", func(v *callerauth.AccessTokenVerifier) { v.Keys = nil; v.Issuer = "accounts" }, es.grant(granted()), 500},
		{"keys over plain http", func(v *callerauth.AccessTokenVerifier) { v.Keys = nil; v.JWKSURI = "http://id.example.com/jwks" }, es.grant(granted()), 500},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			verifier := tokenVerifier(es)
			if test.change != nil {
				test.change(verifier)
			}
			if answer := ask(t, guarded(t, verifier), "POST", registerURL, test.token, plainBody); answer.status != test.status {
				t.Errorf("got %d %s", answer.status, answer.body)
			}
			if err := verifier.Ready(t.Context()); (err != nil) != (test.status == 500) {
				t.Errorf("ready: %v", err)
			}
		})
	}
}

func TestTheCallerOfAnAccessToken(t *testing.T) {
	es := signers()["ES256"]
	verifier := tokenVerifier(es)
	verifier.RequiredClaims = []string{}
	callerOf := func(claims object) *dcr.Caller {
		t.Helper()
		request, _ := http.NewRequest("POST", endpoint, nil)
		request.Header.Set("Authorization", "bearer "+es.grant(claims)) // the scheme may be in any case
		caller, err := verifier.Authenticate(request)
		if err != nil {
			t.Fatal(err)
		}
		return caller
	}
	caller := callerOf(granted().with("org", "org-7", "scp", []string{"write"}))
	if caller.Subject != "alice" || caller.Issuer != issuer || caller.ClientID != "portal" || caller.Claims["org"] != "org-7" ||
		strings.Join(caller.Scopes, " ") != "openid dcr write" {
		t.Errorf("got %+v", caller)
	}
	if caller = callerOf(granted().with("sub", nil)); caller.Subject != "portal" {
		t.Errorf("a client that acts for itself is %+v", caller)
	}
	if caller = callerOf(granted().with("client_id", nil, "azp", "desk")); caller.ClientID != "desk" {
		t.Errorf("the authorized party is %+v", caller)
	}
}

func TestATokenIsSentOnce(t *testing.T) {
	es := signers()["ES256"]
	handler := guarded(t, tokenVerifier(es))
	answered(t, ask(t, handler, "POST", registerURL+"?access_token=x", es.grant(granted()), plainBody), 400, dcr.InvalidRequest)
}

func TestAnAccessTokenOrAnInvitation(t *testing.T) {
	es := signers()["ES256"]
	store := memstore.New()
	tokens := &callerauth.InitialAccessTokens{Store: store}
	invitation, atRest := issue(t, tokens, dcr.InitialAccessToken{MaxUses: 1})
	verifier := tokenVerifier(es)
	handler := guarded(t, verifier, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.Caller = dcr.AnyOf(verifier.Authenticate, tokens.Authenticate)
	})
	answered(t, ask(t, handler, "POST", registerURL, es.grant(granted()), plainBody), 201, "")
	answered(t, ask(t, handler, "POST", registerURL, invitation, plainBody), 201, "")
	uses(t, store, atRest.Hash, 1)
	answered(t, ask(t, handler, "POST", registerURL, invitation, plainBody), 401, dcr.InvalidToken)
	answered(t, ask(t, handler, "POST", registerURL, es.grant(granted().with("scope", nil)), plainBody), 403, dcr.InsufficientScope)
	answered(t, ask(t, handler, "POST", registerURL, "neither", plainBody), 401, dcr.InvalidToken)
}

// TestManagementByAccessToken manages clients as in UK Open Banking: the client
// gets a token for itself from the token endpoint, and uses it to manage
// itself.
func TestManagementByAccessToken(t *testing.T) {
	es := signers()["ES256"]
	verifier := tokenVerifier(es)
	verifier.Scopes = nil
	handler := guarded(t, verifier, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.AllowAnonymous, o.MaxClients, o.OptionalClientID = true, 10, true
		o.ManageAs = func(caller *dcr.Caller, client *dcr.Client) bool { return caller.ClientID == client.ID }
	})
	client := registerWith(t, handler, object{"redirect_uris": []string{"https://a.example/"}})
	id := client.members["client_id"].(string)
	path := registerURL + "?client_id=" + id
	own := es.grant(granted().with("client_id", id, "sub", id, "scope", ""))
	body := `{"redirect_uris":["https://b.example/"]}`
	for _, test := range []struct {
		sentence, method, path, token string
		status                        int
		code                          dcr.Code
	}{
		{"it reads itself", "GET", path, own, 200, ""},
		{"it updates itself", "PUT", path, own, 200, ""},
		{"its registration access token works as well", "GET", path, client.members["registration_access_token"].(string), 200, ""},
		{"no token", "GET", path, "", 401, dcr.InvalidToken},
		{"another client's token", "GET", path, es.grant(granted()), 401, dcr.InvalidToken},
		{"its own, expired", "GET", path, es.grant(granted().with("client_id", id, "exp", noon.Unix()-120)), 401, dcr.InvalidToken},
		{"its own, from another key", "GET", path, newSigner("ec").grant(granted().with("client_id", id)), 401, dcr.InvalidToken},
		{"an unknown client", "GET", registerURL + "?client_id=x", es.grant(granted().with("client_id", "x")), 401, dcr.InvalidToken},
		{"it deletes itself", "DELETE", path, own, 204, ""},
		{"it is gone", "GET", path, own, 401, dcr.InvalidToken},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			sent := ""
			if test.method == "PUT" {
				sent = body
			}
			members := answered(t, ask(t, handler, test.method, test.path, test.token, sent), test.status, test.code)
			if test.status == 200 && test.token == own && members["registration_access_token"] != nil {
				t.Error("a token that was not presented is reported")
			}
		})
	}
}

func TestKeysOutOfReach(t *testing.T) {
	es := signers()["ES256"]
	verifier := tokenVerifier(es)
	verifier.Keys = dcr.KeySource(nil)
	verifier.JWKSURI = "https://id.example.com/jwks"
	verifier.HTTPClient = &http.Client{Transport: failing{}}
	handler := guarded(t, verifier)
	answer := ask(t, handler, "POST", registerURL, es.grant(granted()), plainBody)
	answered(t, answer, 503, dcr.TemporarilyUnavailable)
	if answer.header.Get("Retry-After") == "" || strings.Contains(answer.body, "10.0.0.5") {
		t.Errorf("got %v %s", answer.header, answer.body)
	}
	answered(t, ask(t, handler, "POST", registerURL, es.grant(granted().with("iss", "https://evil.example")), plainBody), 401, dcr.InvalidToken)
	if err := verifier.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "10.0.0.5") {
		t.Errorf("ready: %v", err)
	}
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no connection to 10.0.0.5")
}

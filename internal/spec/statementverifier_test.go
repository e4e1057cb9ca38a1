package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func TestAStatementIsRefused(t *testing.T) {
	es, rs, ps, ed := signers()["ES256"], signers()["RS256"], signers()["PS256"], signers()["EdDSA"]
	other := newSigner(es.kid)
	good := stated()
	header := es.header()
	text := func(header object, payload string) string { return es.signText(header, payload) }
	tampered := func(statement, from, to string) string {
		parts := strings.Split(statement, ".")
		return parts[0] + "." + b64([]byte(strings.Replace(good.String(), from, to, 1))) + "." + parts[2]
	}
	for _, test := range []struct {
		sentence, statement, says string
	}{
		{"it is not a JWS", "a statement", "compact JWS"},
		{"it has two parts", "e30.e30", "compact JWS"},
		{"it has no signature", strings.Join(strings.Split(es.sign(good), ".")[:2], ".") + ".", "compact JWS"},
		{"it is padded", es.sign(good) + "==", "compact JWS"},
		{"its header is not JSON", b64([]byte("header")) + "." + b64([]byte(good.String())) + ".AAAA", "compact JWS"},
		{"its header names alg twice", b64([]byte(`{"alg":"ES256","alg":"none"}`)) + "." + b64([]byte(good.String())) + ".AAAA", "compact JWS"},
		{"its signature is bad", es.sign(good)[:len(es.sign(good))-20] + strings.Repeat("A", 20), "valid signature"},
		{"its claims were changed", tampered(es.sign(good), "Vouched For", "Vouched 4or"), "valid signature"},
		{"another key with the same kid signed it", other.sign(good), "valid signature"},
		{"an unknown key signed it", newSigner("mine").sign(good), "known key"},
		{"a key of another kind signed it with the issuer's kid", ed.signText(ed.header().with("kid", es.kid), good.String()), "algorithm"},
		{"alg is none", b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(good.String())) + ".AAAA", "one of the algorithms"},
		{"alg is none, without a signature", b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(good.String())) + ".", "compact JWS"},
		{"alg is None", text(header.with("alg", "None"), good.String()), "one of the algorithms"},
		{"HS256 with the public key as the secret", es.withPublicKeyAsSecret(good), "one of the algorithms"},
		{"HS256 with the RSA key of another issuer as the secret", rs.withPublicKeyAsSecret(good.with("iss", "https://rsa.example")), "one of the algorithms"},
		{"its algorithm is not accepted", ps.sign(good.with("iss", "https://rsa.example")), "one of the algorithms"},
		{"its issuer is unknown", es.sign(good.with("iss", "https://elsewhere.example")), "trusts"},
		{"its issuer has an extra slash", es.sign(good.with("iss", directory+"/")), "trusts"},
		{"its issuer is in upper case", es.sign(good.with("iss", strings.ToUpper(directory))), "trusts"},
		{"the key of one issuer signed for another", rs.sign(good), "known key"},
		{"it has no iss", es.sign(good.with("iss", nil)), "iss"},
		{"its iss is empty", es.sign(good.with("iss", "")), "iss"},
		{"its iss is a list", es.sign(good.with("iss", []string{directory})), "iss"},
		{"its iss is null", text(header, strings.Replace(good.String(), `"`+directory+`"`, "null", 1)), "iss"},
		{"it has expired", es.sign(good.with("exp", noon.Unix()-120)), "expired"},
		{"its exp is a string", es.sign(good.with("exp", "1999999999")), "exp"},
		{"its exp is in milliseconds", es.sign(good.with("exp", noon.UnixMilli())), "exp"},
		{"its exp is negative", es.sign(good.with("exp", -1)), "exp"},
		{"it is not valid yet", es.sign(good.with("nbf", noon.Unix()+120)), "not valid yet"},
		{"it was issued in the future", es.sign(good.with("iat", noon.Unix()+120)), "not valid yet"},
		{"it has an unknown crit", text(header.with("crit", []string{"x"}, "x", 1), good.String()), "critical"},
		{"its payload is not encoded", text(header.with("crit", []string{"b64"}, "b64", false), good.String()), "critical"},
		{"it brings its own key in jwk", other.signText(header.with("kid", nil, "jwk", other.jwk()), good.String()), "signature"},
		{"it brings its own keys in jku", other.signText(header.with("kid", "mine", "jku", "https://attacker.example/jwks"), good.String()), "known key"},
		{"it brings its own certificate in x5u and x5c", other.signText(header.with("x5u", "https://attacker.example/cert", "x5c", []string{"AAAA"}), good.String()), "signature"},
		{"it is an access token of the issuer", text(header.with("typ", "at+jwt"), good.String()), "typ"},
		{"it is an access token of the issuer, with the full typ", text(header.with("typ", "application/at+JWT"), good.String()), "typ"},
		{"it is too large", es.sign(good.with("x", strings.Repeat("x", 9000))), "8192 bytes"},
		{"its claims are not an object", text(header, `["iss"]`), "JSON object"},
		{"its claims are followed by more", text(header, good.String()+`{}`), "JSON object"},
		{"it has a claim twice", text(header, strings.Replace(good.String(), "{", `{"iss":"`+directory+`",`, 1)), "iss"},
		{"it has a claim twice, the second time escaped", text(header, strings.Replace(good.String(), "{", `{"client\u005fname":"x",`, 1)), "client_name"},
		{"it has a nested claim twice", text(header, strings.Replace(good.String(), "{", `{"org":{"a":1,"a":2},`, 1)), "org.a"},
		{"it is nested too deeply", text(header, strings.Replace(good.String(), "{", `{"org":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`,`, 1)), "not valid"},
		{"it has too many claims", text(header, "{"+manyClaims(200)+strings.TrimPrefix(good.String(), "{")), "not valid"},
		{"it has a list instead of a string", es.sign(good.with("client_name", []string{"Vouched"})), "client_name must be a JSON string"},
		{"it has a string instead of a list", es.sign(good.with("redirect_uris", "https://vouched.example/cb")), "redirect_uris must be a JSON array"},
		{"it has a list with a number in it", es.sign(good.with("redirect_uris", []any{1})), "redirect_uris[0]"},
		{"it has an invalid key set", es.sign(good.with("jwks", "https://vouched.example/jwks")), "jwks must be a JSON object"},
		{"it has a control character in a name", es.sign(good.with("client_name", "a\x00b")), "client_name must not contain control characters"},
		{"it is not UTF-8", text(header, strings.Replace(good.String(), "Vouched", "\xff", 1)), "not valid"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			handler, store := trusting(t, &dcr.StatementVerifier{
				Issuers:    map[string]dcr.KeySource{directory: es.keys(), "https://rsa.example": rs.keys()},
				Algorithms: []string{"ES256", "RS256", "EdDSA"},
			})
			members := answered(t, ask(t, handler, "POST", registerURL, "", fmt.Sprintf(statedBody, test.statement)), 400, dcr.InvalidSoftwareStatement)
			if description := fmt.Sprint(members["error_description"]); !strings.Contains(description, test.says) || strings.Contains(description, "Vouched") {
				t.Errorf("the description is %q, without %q", description, test.says)
			}
			stored(t, store, 0)
		})
	}
}

func manyClaims(count int) string {
	var claims strings.Builder
	for i := range count {
		fmt.Fprintf(&claims, `"c%d":1,`, i)
	}
	return claims.String()
}

func TestAStatementIsAccepted(t *testing.T) {
	all := map[string]dcr.KeySource{}
	for alg, party := range signers() {
		all["https://"+alg+".example"] = party.keys()
	}
	for alg, party := range signers() {
		for sentence, header := range map[string]object{
			"unchanged":                  party.header(),
			"without typ":                party.header().with("typ", nil),
			"with typ in full":           party.header().with("typ", "application/jwt"),
			"without kid":                party.header().with("kid", nil),
			"with keys that are ignored": party.header().with("jku", "https://attacker.example", "jwk", newSigner("x").jwk(), "x5u", "https://attacker.example"),
			"with an unknown parameter":  party.header().with("sigT", "2026"),
		} {
			t.Run(alg+" "+sentence, func(t *testing.T) {
				handler, store := trusting(t, &dcr.StatementVerifier{Issuers: all, Required: true})
				statement := party.signText(header, stated().with("iss", "https://"+alg+".example").String())
				members := answered(t, ask(t, handler, "POST", registerURL, "", fmt.Sprintf(statedBody, statement)), 201, "")
				want := object{
					"software_statement": statement, "client_name": "Vouched For", "software_id": "payments",
					"redirect_uris": []any{"https://vouched.example/cb"}, "org_id": nil, "iss": nil, "jti": nil, "exp": nil,
				}
				for name, value := range want {
					if !reflect.DeepEqual(members[name], value) {
						t.Errorf("%s is %v, want %v", name, members[name], value)
					}
				}
				client, err := store.FindByClientID(t.Context(), members["client_id"].(string))
				if err != nil {
					t.Fatal(err)
				}
				if of := client.Statement; of == nil || of.Issuer != "https://"+alg+".example" || of.ID != "statement-1" || of.Hash == "" || of.Text != statement {
					t.Errorf("the record is %+v", of)
				}
			})
		}
	}
}

func TestWhatAStatementMustHave(t *testing.T) {
	es := signers()["ES256"]
	denied := func(err error) func(context.Context, *dcr.SoftwareStatement) error {
		return func(_ context.Context, statement *dcr.SoftwareStatement) error {
			if statement.SoftwareID == "payments" && string(statement.Claims["org_id"]) == `"org-7"` {
				return err
			}
			return nil
		}
	}
	for _, test := range []struct {
		sentence string
		verifier *dcr.StatementVerifier
		claims   object
		status   int
		code     dcr.Code
	}{
		{"without exp, it is valid forever", &dcr.StatementVerifier{}, stated().with("exp", nil, "iat", nil), 201, ""},
		{"within the skew it has not expired", &dcr.StatementVerifier{}, stated().with("exp", noon.Unix()-59), 201, ""},
		{"the skew can be none", &dcr.StatementVerifier{Skew: -1}, stated().with("exp", noon.Unix()), 400, dcr.InvalidSoftwareStatement},
		{"the skew can be larger", &dcr.StatementVerifier{Skew: time.Hour}, stated().with("exp", noon.Unix()-3599), 201, ""},
		{"it is young enough", &dcr.StatementVerifier{MaxAge: 5 * time.Minute}, stated().with("iat", noon.Unix()-300), 201, ""},
		{"it is too old", &dcr.StatementVerifier{MaxAge: 5 * time.Minute}, stated().with("iat", noon.Unix()-361), 400, dcr.InvalidSoftwareStatement},
		{"it is valid for the longest time allowed", &dcr.StatementVerifier{MaxLifetime: time.Hour}, stated().with("iat", noon.Unix(), "exp", noon.Unix()+3600), 201, ""},
		{"it is valid for too long", &dcr.StatementVerifier{MaxLifetime: time.Hour}, stated().with("iat", noon.Unix(), "exp", noon.Unix()+3601), 400, dcr.InvalidSoftwareStatement},
		{"it is valid for too long from now on", &dcr.StatementVerifier{MaxLifetime: time.Hour}, stated().with("iat", nil, "exp", noon.Unix()+3661), 400, dcr.InvalidSoftwareStatement},
		{"it has no exp, and its lifetime is bounded", &dcr.StatementVerifier{MaxLifetime: time.Hour}, stated().with("exp", nil), 400, dcr.InvalidSoftwareStatement},
		{"its lifetime is not bounded", &dcr.StatementVerifier{}, stated().with("exp", noon.AddDate(10, 0, 0).Unix()), 201, ""},
		{"its age is unknown", &dcr.StatementVerifier{MaxAge: 5 * time.Minute}, stated().with("iat", nil), 400, dcr.InvalidSoftwareStatement},
		{"it is meant for this server", &dcr.StatementVerifier{Audience: []string{"bank", "bank-2"}}, stated().with("aud", "bank-2"), 201, ""},
		{"it is meant for several", &dcr.StatementVerifier{Audience: []string{"bank"}}, stated().with("aud", []string{"x", "bank"}), 201, ""},
		{"it is meant for others", &dcr.StatementVerifier{Audience: []string{"bank"}}, stated().with("aud", "x"), 400, dcr.InvalidSoftwareStatement},
		{"it has no audience", &dcr.StatementVerifier{Audience: []string{"bank"}}, stated(), 400, dcr.InvalidSoftwareStatement},
		{"it has the claims that are required", &dcr.StatementVerifier{RequiredClaims: []string{"exp", "org_id"}}, stated(), 201, ""},
		{"it lacks a claim that is required", &dcr.StatementVerifier{RequiredClaims: []string{"exp"}}, stated().with("exp", nil), 400, dcr.InvalidSoftwareStatement},
		{"a required claim is empty", &dcr.StatementVerifier{RequiredClaims: []string{"org_id"}}, stated().with("org_id", ""), 400, dcr.InvalidSoftwareStatement},
		{"its typ is not the required one", &dcr.StatementVerifier{Types: []string{"ssa+jwt"}}, stated(), 400, dcr.InvalidSoftwareStatement},
		{"it is used once, and has no jti", &dcr.StatementVerifier{Once: true}, stated().with("jti", nil), 400, dcr.InvalidSoftwareStatement},
		{"it may have one client, and has no id", &dcr.StatementVerifier{OneClient: true}, stated().with("jti", nil, "software_id", nil), 400, dcr.InvalidSoftwareStatement},
		{"it lacks the claim with its id", &dcr.StatementVerifier{IDClaim: "ssa_id"}, stated(), 400, dcr.InvalidSoftwareStatement},
		{"it is denied", &dcr.StatementVerifier{Deny: denied(dcr.Errorf(dcr.UnapprovedSoftwareStatement, "blocked"))}, stated(), 400, dcr.UnapprovedSoftwareStatement},
		{"it is denied with only a code", &dcr.StatementVerifier{Deny: denied(dcr.UnapprovedSoftwareStatement)}, stated(), 400, dcr.UnapprovedSoftwareStatement},
		{"other software is denied", &dcr.StatementVerifier{Deny: denied(dcr.UnapprovedSoftwareStatement)}, stated().with("software_id", "lending"), 201, ""},
		{"the block list is out of order", &dcr.StatementVerifier{Deny: denied(errors.New("no connection"))}, stated(), 500, dcr.ServerError},
		{"its claims must follow the rules", &dcr.StatementVerifier{}, stated().with("redirect_uris", []string{"javascript:alert(1)"}), 400, dcr.InvalidRedirectURI},
		{"its claims must be within the bounds", &dcr.StatementVerifier{}, stated().with("client_name", strings.Repeat("x", 1025)), 400, dcr.InvalidClientMetadata},
		{"a claim for a feature that is off may have any form", &dcr.StatementVerifier{}, stated().with("backchannel_logout_uri", 1), 201, ""},
		{"the issuer's keys are out of reach", &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: func(context.Context, string) ([]byte, error) { return nil, errors.New("down") }}}, stated(), 503, dcr.TemporarilyUnavailable},
		{"the issuer's keys are not a key set", &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: dcr.StaticKeys([]byte("<html>"))}}, stated(), 503, dcr.TemporarilyUnavailable},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			handler, store := trusting(t, test.verifier)
			answer := ask(t, handler, "POST", registerURL, "", fmt.Sprintf(statedBody, es.sign(test.claims)))
			answered(t, answer, test.status, test.code)
			if test.status == 201 {
				stored(t, store, 1)
			} else {
				stored(t, store, 0)
			}
			if (answer.header.Get("Retry-After") != "") != (test.status == 503) {
				t.Errorf("Retry-After is %q", answer.header.Get("Retry-After"))
			}
		})
	}
}

func TestNewHandlerRefusesVerifiersOfNoUse(t *testing.T) {
	keys := signers()["ES256"].keys()
	bare := plainStore{memstore.New()}
	for sentence, test := range map[string]struct {
		verifier *dcr.StatementVerifier
		says     string
	}{
		"an issuer without keys":             {&dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: nil}}, "source of its keys"},
		"an issuer without a name":           {&dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{"": keys}}, "name the issuer"},
		"the algorithm none":                 {&dcr.StatementVerifier{Algorithms: []string{"none"}}, "none"},
		"a symmetric algorithm":              {&dcr.StatementVerifier{Algorithms: []string{"ES256", "HS256"}}, "HS256"},
		"a claim for an unknown member":      {&dcr.StatementVerifier{Claims: map[string]string{"software_redirects": "redirect_uri"}}, "redirect_uri"},
		"a rule for an unknown member":       {&dcr.StatementVerifier{Members: map[string]dcr.StatementRule{"redirect_uri": dcr.ClaimBinds}}, "redirect_uri"},
		"once, with a store that forgets":    {&dcr.StatementVerifier{Once: true}, "ReplayStore"},
		"one client, with a store that is 4": {&dcr.StatementVerifier{OneClient: true}, "StatementFinder"},
	} {
		for of, opts := range map[string]dcr.Options{
			"Options.Validator":     {Validator: dcr.DefaultValidator{Statements: test.verifier}},
			`Options.Policies["p"]`: {Policies: map[string]dcr.Validator{"p": struct{ dcr.Validator }{dcr.DefaultValidator{Statements: test.verifier}}}},
		} {
			opts.Endpoint = "https://id.example.com/connect/dcr"
			_, err := dcr.NewHandler(bare, &opts)
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), of) {
				t.Errorf("%s: %v", sentence, err)
			}
		}
	}
}

func TestVerify(t *testing.T) {
	es := signers()["ES256"]
	verifier := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: es.keys()}, IDClaim: "software_id"}
	statement, err := verifier.Verify(t.Context(), es.sign(stated()), noon)
	if err != nil || statement.Issuer != directory || statement.ID != "payments" || statement.ClientName != "Vouched For" || string(statement.Claims["org_id"]) != `"org-7"` {
		t.Errorf("got %+v, %v", statement, err)
	}
	verifier.Deny = func(context.Context, *dcr.SoftwareStatement) error { return dcr.UnapprovedSoftwareStatement }
	for text, code := range map[string]dcr.Code{
		"x":                                      dcr.InvalidSoftwareStatement,
		es.sign(stated()):                        dcr.UnapprovedSoftwareStatement,
		es.sign(stated().with("client_name", 1)): dcr.InvalidSoftwareStatement,
	} {
		if statement, err := verifier.Verify(t.Context(), text, noon); !errors.Is(err, code) || statement != nil {
			t.Errorf("got %v, %v, want %s", statement, err, code)
		}
	}
}

func TestAHostMayAppendToAClaim(t *testing.T) {
	issuer := newSigner("a")
	v := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: issuer.keys()}}
	statement, err := v.Verify(t.Context(), issuer.sign(stated()), noon)
	if err != nil {
		t.Fatal(err)
	}
	before := make(map[string]string)
	for name, value := range statement.Claims {
		before[name] = string(value)
	}
	for name := range statement.Claims {
		_ = append(statement.Claims[name], "garbage"...)
	}
	for name, value := range statement.Claims {
		if string(value) != before[name] {
			t.Errorf("%s was %s and became %s", name, before[name], value)
		}
	}
}

func TestAVersionThatIsANumber(t *testing.T) {
	es := signers()["ES256"]
	for _, test := range []struct {
		sentence string
		claims   object
		plain    object
		status   int
		code     dcr.Code
		want     any
	}{
		{"is read as it is written in the statement", object{"software_version": json.Number("1.10")}, object{}, 201, "", "1.10"},
		{"is read from another claim too", object{"software_release": json.Number("2e1")}, object{}, 201, "", "2e1"},
		{"equals its text", object{"software_version": 3}, object{"software_version": "3"}, 201, "", "3"},
		{"does not equal another text", object{"software_version": json.Number("1.10")}, object{"software_version": "1.1"}, 400, dcr.InvalidClientMetadata, nil},
		{"is refused outside a statement", object{}, object{"software_version": 1}, 400, dcr.InvalidClientMetadata, nil},
		{"is the only type that a version may have instead of text", object{"software_version": true}, object{}, 400, dcr.InvalidSoftwareStatement, nil},
		{"does not make other numbers valid", object{"client_uri": 1}, object{}, 400, dcr.InvalidSoftwareStatement, nil},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			handler, _ := trusting(t, &dcr.StatementVerifier{
				Claims:  map[string]string{"software_release": "software_version"},
				Members: map[string]dcr.StatementRule{"software_version": dcr.ClaimBinds},
			})
			claims := stated()
			for name, value := range test.claims {
				claims[name] = value
			}
			answer := ask(t, handler, "POST", registerURL, "", test.plain.with("software_statement", es.sign(claims)).String())
			if members := answered(t, answer, test.status, test.code); members["software_version"] != test.want {
				t.Errorf("software_version is %v, want %v", members["software_version"], test.want)
			}
		})
	}
}

package spec_test

import (
	"context"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
)

// RFC 7591 §2.2: members that people read may be sent in several languages.
func TestLanguageTags(t *testing.T) {
	r := start(t, `{}`)
	r.judge(t, []wireCase{
		{sentence: "a tagged name with the untagged one", request: `{"client_name":"My App","client_name#ja-Jpan-JP":"クライアント名","client_name#fr":"Mon application"}`, answer: `{"client_name":"My App","client_name#ja-Jpan-JP":"クライアント名","client_name#fr":"Mon application"}`},
		{sentence: "only a tagged name", request: `{"client_name#fr":"Mon application"}`, answer: `{"client_name#fr":"Mon application","client_name":null}`},
		{sentence: "tagged pages", request: `{"client_uri#fr":"https://rp.example.com/fr","logo_uri#x-klingon":"https://rp.example.com/k.png","tos_uri#de-1996":"https://rp.example.com/de","policy_uri#zh-Hant-TW":"http://rp.example.com/zh"}`,
			answer: `{"client_uri#fr":"https://rp.example.com/fr","logo_uri#x-klingon":"https://rp.example.com/k.png","tos_uri#de-1996":"https://rp.example.com/de","policy_uri#zh-Hant-TW":"http://rp.example.com/zh"}`},
		{sentence: "null and the empty string count as absent", request: `{"client_name#fr":null,"tos_uri#fr":""}`, answer: `{"client_name#fr":null,"tos_uri#fr":null}`},
		{sentence: "a tag in two spellings is one member sent twice", request: `{"client_name#ja-jpan-jp":"a","client_name#ja-Jpan-JP":"b"}`, code: dcrMetadata, says: "must not be sent twice"},
		{sentence: "a tagged page gets the same checks: javascript", request: `{"logo_uri#fr":"javascript:alert(1)"}`, code: dcrMetadata, says: "logo_uri#fr"},
		{sentence: "a tagged page gets the same checks: relative", request: `{"policy_uri":"https://rp.example.com/","policy_uri#fr":"/fr"}`, code: dcrMetadata, says: "policy_uri#fr must be an absolute URI"},
		{sentence: "a tagged name gets the same checks: control characters", request: `{"client_name#fr":"a\u0000"}`, code: dcrMetadata, says: "client_name#fr"},
		{sentence: "a tagged name gets the same checks: type", request: `{"client_name#fr":5}`, code: dcrMetadata, says: "client_name#fr must be a JSON string"},
		{sentence: "a member with an invalid tag is unknown", request: `{"client_name#":"a","client_name#1":"b","client_name#en us":"c","client_name#abcdefghi":"d"}`, answer: `{"client_name#":null,"client_name#1":null,"client_name#en us":null,"client_name#abcdefghi":null}`},
		{sentence: "members that are not for people have no languages", request: `{"redirect_uris#fr":["javascript:x"],"scope#fr":"x","jwks_uri#fr":5}`, answer: `{"redirect_uris#fr":null,"scope#fr":null,"jwks_uri#fr":null}`},
		{sentence: "nor do unknown members", request: `{"tagline#fr":"x"}`, answer: `{"tagline#fr":null}`},
	})
}

func TestLanguagesAreReplaced(t *testing.T) {
	r := start(t, `{}`)
	registered := r.register(t, request(t, `{"client_name":"App","client_name#fr":"Appli","client_name#de":"Programm"}`))
	updated := r.manage(t, "PUT", registered, registered.update(map[string]any{"client_name#fr": nil, "client_name#de": "Anwendung"}))
	if updated.status != 200 {
		t.Fatalf("status %d: %s", updated.status, updated.body)
	}
	has(t, updated, `{"client_name":"App","client_name#fr":null,"client_name#de":"Anwendung"}`)
}

func TestLanguageTagsOfExtensions(t *testing.T) {
	r := start(t, `{}`, extended(extension.Federation()...))
	r.judge(t, []wireCase{
		{sentence: "organization_name and similar members have languages too (RFC 7591 §2.2)", request: `{"organization_name":"Example","organization_name#fr":"Exemple","information_uri#fr":"https://rp.example.com/fr"}`, answer: `{"organization_name":"Example","organization_name#fr":"Exemple","information_uri#fr":"https://rp.example.com/fr"}`},
		{sentence: "their pages get the same checks", request: `{"organization_uri#fr":"javascript:x"}`, code: dcrMetadata, says: "organization_uri#fr must"},
		{sentence: "their names get the same checks", request: `{"description#fr":5}`, code: dcrMetadata, says: "description#fr must be a JSON string"},
		{sentence: "a tag in two spellings is one member sent twice", request: `{"description#fr-ca":"a","description#fr-CA":"b"}`, code: dcrMetadata, says: "must not be sent twice"},
		{sentence: "those that are not for people have none", request: `{"keywords#fr":["x"],"signed_jwks_uri#fr":"x"}`, answer: `{"keywords#fr":null,"signed_jwks_uri#fr":null}`},
		{sentence: "a member with an invalid tag is unknown", request: `{"description#":"x"}`, answer: `{"description#":null}`},
	})
}

func extended(extensions ...dcr.Extension) change {
	return func(v *dcr.DefaultValidator, _ *dcr.Options) { v.Extensions = extensions }
}

// Each case is registered, and then updated without the statement, which stays
// in force: both answers must be the same.
func TestLanguageTagsOfWhatAStatementClaims(t *testing.T) {
	only := map[string]dcr.StatementRule{"client_name": dcr.ClaimOnly, "organization_name": dcr.ClaimOnly}
	binds := map[string]dcr.StatementRule{"client_name": dcr.ClaimBinds, "organization_name": dcr.ClaimBinds}
	for _, member := range []string{"client_name", "organization_name"} {
		for _, test := range []struct {
			sentence string
			rules    map[string]dcr.StatementRule
			claims   object // by the tag, "" for the member itself
			plain    object
			want     object
		}{
			{"a claimed member removes its other languages", nil, object{"": "Bank"}, object{"": "Evil", "en": "Evil"}, object{"": "Bank", "en": nil}},
			{"also under a rule that binds", binds, object{"": "Bank"}, object{"": "Bank", "en": "Evil"}, object{"": "Bank", "en": nil}},
			{"a member that only a statement may claim has no languages", only, object{}, object{"en": "Evil"}, object{"": nil, "en": nil}},
			{"a claimed language is kept with the claimed member", nil, object{"": "Bank", "fr": "Banque"}, object{"fr": "Evil", "en": "Evil"}, object{"": "Bank", "fr": "Banque", "en": nil}},
			{"a claimed language replaces another spelling", nil, object{"fr-CA": "Banque"}, object{"fr-ca": "Evil"}, object{"fr-CA": "Banque", "fr-ca": nil}},
			{"a claimed language leaves the request its other languages", nil, object{"fr": "Banque"}, object{"": "Mine", "en": "Mine too"}, object{"": "Mine", "fr": "Banque", "en": "Mine too"}},
			{"the request decides what is not claimed", binds, object{}, object{"": "Mine", "en": "Mine too"}, object{"": "Mine", "en": "Mine too"}},
		} {
			t.Run(member+": "+test.sentence, func(t *testing.T) {
				name := func(tag string) string { return strings.TrimSuffix(member+"#"+tag, "#") }
				named := func(base, tags object) object {
					for tag, value := range tags {
						base = base.with(name(tag), value)
					}
					return base
				}
				claims := named(stated().with("client_name", nil), test.claims)
				plain := named(object{"redirect_uris": []string{"https://vouched.example/cb"}}, test.plain)
				for verified, statement := range map[string]string{"by the verifier": signers()["ES256"].sign(claims), "by the host": "own:" + claims.String()} {
					if verified == "by the host" && test.rules != nil {
						continue // only the verifier has rules
					}
					handler, _ := trusting(t, nil, func(_ *dcr.DefaultValidator, o *dcr.Options) {
						o.Validator = vouched{dcr.DefaultValidator{
							Extensions: extension.Federation(),
							Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: signers()["ES256"].keys()}, Members: test.rules},
						}}
					})
					client := registerWith(t, handler, plain.with("software_statement", statement))
					for when, members := range map[string]object{"registered": client.members, "updated": client.update(t, plain, 200, "")} {
						for tag, want := range test.want {
							if members[name(tag)] != want {
								t.Errorf("%s, verified %s: %s is %v, want %v", when, verified, name(tag), members[name(tag)], want)
							}
						}
					}
				}
			})
		}
	}
}

// vouched accepts the host's own statements, which are plain JSON.
type vouched struct{ dcr.DefaultValidator }

func (v vouched) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if text, own := strings.CutPrefix(reg.Request.SoftwareStatement, "own:"); own {
		reg.Statement = &dcr.SoftwareStatement{Issuer: "us", ID: "1"}
		return reg.Statement.UnmarshalJSON([]byte(text))
	}
	return v.DefaultValidator.ValidateSoftwareStatement(ctx, reg)
}

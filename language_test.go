package dcr_test

import (
	"testing"

	"github.com/dynreg/dcr"
)

// RFC 7591 §2.2: members that people read may come in several languages.
func TestLanguageTags(t *testing.T) {
	r := start(t, `{}`)
	r.judge(t, []wireCase{
		{sentence: "a tagged name beside the untagged one", request: `{"client_name":"My App","client_name#ja-Jpan-JP":"クライアント名","client_name#fr":"Mon application"}`, answer: `{"client_name":"My App","client_name#ja-Jpan-JP":"クライアント名","client_name#fr":"Mon application"}`},
		{sentence: "a tagged name alone", request: `{"client_name#fr":"Mon application"}`, answer: `{"client_name#fr":"Mon application","client_name":null}`},
		{sentence: "tagged pages", request: `{"client_uri#fr":"https://rp.example.com/fr","logo_uri#x-klingon":"https://rp.example.com/k.png","tos_uri#de-1996":"https://rp.example.com/de","policy_uri#zh-Hant-TW":"http://rp.example.com/zh"}`,
			answer: `{"client_uri#fr":"https://rp.example.com/fr","logo_uri#x-klingon":"https://rp.example.com/k.png","tos_uri#de-1996":"https://rp.example.com/de","policy_uri#zh-Hant-TW":"http://rp.example.com/zh"}`},
		{sentence: "null and the empty string count as absent", request: `{"client_name#fr":null,"tos_uri#fr":""}`, answer: `{"client_name#fr":null,"tos_uri#fr":null}`},
		{sentence: "a tag in two spellings is one member twice", request: `{"client_name#ja-jpan-jp":"a","client_name#ja-Jpan-JP":"b"}`, code: dcrMetadata, says: "must not be sent twice"},
		{sentence: "a tagged page gets the same checks: javascript", request: `{"logo_uri#fr":"javascript:alert(1)"}`, code: dcrMetadata, says: "logo_uri#fr"},
		{sentence: "a tagged page gets the same checks: relative", request: `{"policy_uri":"https://rp.example.com/","policy_uri#fr":"/fr"}`, code: dcrMetadata, says: "policy_uri#fr must be an absolute URI"},
		{sentence: "a tagged name gets the same checks: control characters", request: `{"client_name#fr":"a\u0000"}`, code: dcrMetadata, says: "client_name#fr"},
		{sentence: "a tagged name gets the same checks: type", request: `{"client_name#fr":5}`, code: dcrMetadata, says: "client_name#fr must be a JSON string"},
		{sentence: "what is no tag makes an unknown member", request: `{"client_name#":"a","client_name#1":"b","client_name#en us":"c","client_name#abcdefghi":"d"}`, answer: `{"client_name#":null,"client_name#1":null,"client_name#en us":null,"client_name#abcdefghi":null}`},
		{sentence: "members that nobody reads have no languages", request: `{"redirect_uris#fr":["javascript:x"],"scope#fr":"x","jwks_uri#fr":5}`, answer: `{"redirect_uris#fr":null,"scope#fr":null,"jwks_uri#fr":null}`},
		{sentence: "nor have unknown ones", request: `{"tagline#fr":"x"}`, answer: `{"tagline#fr":null}`},
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
	r := start(t, `{}`, extended(dcr.FederationExtensions()...))
	r.judge(t, []wireCase{
		{sentence: "organization_name and its like have languages too (RFC 7591 §2.2)", request: `{"organization_name":"Example","organization_name#fr":"Exemple","information_uri#fr":"https://rp.example.com/fr"}`, answer: `{"organization_name":"Example","organization_name#fr":"Exemple","information_uri#fr":"https://rp.example.com/fr"}`},
		{sentence: "their pages get the same checks", request: `{"organization_uri#fr":"javascript:x"}`, code: dcrMetadata, says: "organization_uri#fr must"},
		{sentence: "their names get the same checks", request: `{"description#fr":5}`, code: dcrMetadata, says: "description#fr must be a JSON string"},
		{sentence: "a tag in two spellings is one member twice", request: `{"description#fr-ca":"a","description#fr-CA":"b"}`, code: dcrMetadata, says: "must not be sent twice"},
		{sentence: "those that nobody reads have none", request: `{"keywords#fr":["x"],"signed_jwks_uri#fr":"x"}`, answer: `{"keywords#fr":null,"signed_jwks_uri#fr":null}`},
		{sentence: "what is no tag makes an unknown member", request: `{"description#":"x"}`, answer: `{"description#":null}`},
	})
}

func extended(extensions ...dcr.Extension) change {
	return func(v *dcr.DefaultValidator, _ *dcr.Options) { v.Extensions = extensions }
}

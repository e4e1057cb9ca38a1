package spec_test

import (
	"fmt"
	"strings"
	"testing"
)

var pages = []string{"client_uri", "logo_uri", "tos_uri", "policy_uri"}

func TestDisplay(t *testing.T) {
	r := start(t, `{}`)
	r.judge(t, []wireCase{
		{sentence: "a name is echoed (RFC 7591 §2)", request: `{"client_name":"My App","software_id":"4NRB1-0XZABZI9E6-5SM3R","software_version":"2.1"}`, answer: `{"client_name":"My App","software_id":"4NRB1-0XZABZI9E6-5SM3R","software_version":"2.1"}`},
		{sentence: "a name in any script", request: `{"client_name":"クライアント 🚀"}`, answer: `{"client_name":"クライアント 🚀"}`},
		{sentence: "a name with markup is a name: the page that shows it escapes it", request: `{"client_name":"<b>&\"'\\</b>"}`, answer: `{"client_name":"<b>&\"'\\</b>"}`},
		{sentence: "the empty string and null count as absent", request: `{"client_name":"","client_uri":"","logo_uri":null}`, answer: `{"client_name":null,"client_uri":null,"logo_uri":null}`},
		{sentence: "a name of 1,025 bytes", request: `{"client_name":"` + strings.Repeat("a", 1025) + `"}`, code: dcrMetadata, says: "client_name must not be longer than 1024 bytes"},
		{sentence: "contacts are free text in plain OAuth (RFC 7591 §2)", request: `{"contacts":["Example support desk","+44 20 7946 0000"]}`, answer: `{"contacts":["Example support desk","+44 20 7946 0000"]}`},
		{sentence: "blank ones, as web forms send them, are left out", request: `{"contacts":[""," ","a@example.com"]}`, answer: `{"contacts":["a@example.com"]}`},
		{sentence: "and nothing may be left", request: `{"contacts":[""]}`, answer: `{"contacts":null}`},
		{sentence: "one line break at the end of a name is removed", request: `{"client_name":"My App\r\n","client_name#de":"Meine App\n"}`, answer: `{"client_name":"My App","client_name#de":"Meine App"}`},
		{sentence: "if nothing else is there, the name is absent", request: `{"client_name":"\n","client_name#de":"\n"}`, answer: `{"client_name":null,"client_name#de":null}`},
		{sentence: "a second one is a control character", request: `{"client_name":"My App\n\n"}`, code: dcrMetadata, says: "client_name must not contain control characters"},
		{sentence: "and so is one in a URI", request: `{"client_uri":"https://rp.example.com/\n"}`, code: dcrMetadata, says: "client_uri must not contain control characters"},
		{sentence: "no contacts", request: `{"contacts":[]}`, answer: `{"contacts":null}`},
	})
	for _, member := range pages {
		for _, page := range []string{"https://rp.example.com/", "http://rp.example.com/page?a=b#c", "https://rp.example.com", "http://localhost:3000/logo.png"} {
			sent := fmt.Sprintf(`{"%s":"%s"}`, member, page)
			r.judge(t, []wireCase{{sentence: member + " may be " + page + " (RFC 7591 §2)", request: sent, answer: sent}})
		}
		r.judge(t, one(member+" must be a web page (RFC 7591 §2)", member, []string{`"javascript:alert(1)"`, `"JAVASCRIPT:alert(1)"`, `"data:image/png;base64,AAAA"`, `"file:///logo.png"`, `"vbscript:x"`, `"ftp://rp.example.com/"`, `"whatever://not but not a uri"`, `"com.example:/page"`, `"/logo.png"`, `"rp.example.com"`, `"https://user:pass@rp.example.com/"`, `"https:\\rp.example.com"`, `"https://"`}, dcrMetadata, member+" must"))
		r.judge(t, one(member+" must be a string (RFC 7591 §2)", member, []string{`[]`, `5`, `true`, `false`, `{}`}, dcrMetadata, member+" must be a JSON string"))
	}
	for _, member := range []string{"client_name", "software_id", "software_version"} {
		r.judge(t, one(member+" must be a string (RFC 7591 §2)", member, []string{`[]`, `5`, `true`, `false`, `{}`}, dcrMetadata, member+" must be a JSON string"))
		r.judge(t, one(member+" must not have control characters", member, []string{`"a\u0000b"`, `"a\nb"`, `"a\u007fb"`, `"a\u0085b"`, `"a\u009fb"`, `"\u001b[31m"`}, dcrMetadata, member))
	}
	r.judge(t, one("contacts must be a list of strings (RFC 7591 §2)", "contacts", []string{`"a@example.com"`, `{}`, `5`, `true`, `[5]`, `[null]`, `["a\u0000"]`}, dcrMetadata, "contacts"))
	start(t, `{`+openID+`}`).judge(t, []wireCase{
		{sentence: "contacts are e-mail addresses in OpenID Connect (OIDCR §2)", request: `{"contacts":["developer@example.com","info+some@example.com"]}`, answer: `{"contacts":["developer@example.com","info+some@example.com"]}`},
		{sentence: "or URIs that lead to someone", request: `{"contacts":["https://example.com/support","mailto:a@example.com","tel:+44-20-7946-0000"]}`, answer: `{"contacts":["https://example.com/support","mailto:a@example.com","tel:+44-20-7946-0000"]}`},
		{sentence: "not URIs that lead nowhere", request: `{"contacts":["mailto:nobody"]}`, code: dcrMetadata, says: "contacts[0]"},
		{sentence: "or have no number", request: `{"contacts":["tel:operator"]}`, code: dcrMetadata, says: "contacts[0]"},
		{sentence: "or another scheme", request: `{"contacts":["http://example.com/"]}`, code: dcrMetadata, says: "contacts[0] must be an e-mail address, or an https, mailto or tel URI"},
		{sentence: "and nothing else (OIDCR §2)", request: `{"contacts":["developer@example.com","john doe"]}`, code: dcrMetadata, says: "contacts[1] must be an e-mail address"},
		{sentence: "and no mailto URLs with names", request: `{"contacts":["John <john@example.com>"]}`, code: dcrMetadata, says: "contacts[0]"},
	})
}

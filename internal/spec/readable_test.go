package spec_test

import (
	"fmt"
	"testing"
	"unicode/utf16"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
)

// read has the members that people read, with a place for a text.
var read = []struct{ member, value, says string }{
	{"client_name", `"%s"`, "client_name"},
	{"client_name#fa", `"%s"`, "client_name#fa"},
	{"organization_name", `"%s"`, "organization_name"},
	{"organization_name#fa", `"%s"`, "organization_name#fa"},
	{"description#en", `"%s"`, "description#en"},
	{"slogan", `{"short":["x","%s"]}`, "slogan"},
	{"contacts", `["a@example.com","%s"]`, "contacts[1]"},
	{"software_id", `"%s"`, "software_id"},
	{"software_version", `"%s"`, "software_version"},
}

// deceptive has characters that make a text look like another one.
var deceptive = []rune{
	0x202A, 0x202B, 0x202C, 0x202D, 0x202E, // bidirectional embeddings and overrides
	0x2066, 0x2067, 0x2068, 0x2069, // bidirectional isolates
	0x2028, 0x2029, // line and paragraph separators
	0xE0000, 0xE0001, 0xE0020, 0xE0061, 0xE007F, // tag characters
}

// A name must not have characters that make it look like another (RFC 7591 §5).
func TestUnreadableCharactersAreRefused(t *testing.T) {
	slogan := dcr.NewField[map[string]any]("slogan").Localized()
	r := start(t, `{}`, extended(append(extension.Federation(), slogan)...))
	plain := r.register(t, request(t, `{"client_name":"App"}`))
	for _, m := range read {
		for _, c := range deceptive {
			escaped := ""
			for _, unit := range utf16.AppendRune(nil, c) {
				escaped += fmt.Sprintf(`\u%04x`, unit)
			}
			for _, text := range []string{"Micro" + string(c) + "soft", "Micro" + escaped + "soft"} {
				body := fmt.Sprintf(`{%q:`+m.value+`}`, m.member, text)
				says := m.says + " must not contain bidirectional"
				r.judge(t, []wireCase{{sentence: fmt.Sprintf("%s has no %U", m.member, c), request: body, code: dcrMetadata, says: says}})
				update := fmt.Sprintf(`{"client_id":%q,"redirect_uris":["https://rp.example.com/cb"],%s`, plain.text("client_id"), body[1:])
				if a := r.manage(t, "PUT", plain, update); a.status != 400 {
					t.Errorf("an update with %s of %+q: status %d: %s", m.member, text, a.status, a.body)
				}
			}
		}
		for _, text := range []string{
			"Ünïcode", "クライアント 🚀", "می\u200Cخواهم", "क्\u200Dष", "👩\u200D💻", "❤\uFE0F", "\u200Fעברית\u200E", "한국어", "a\u0301",
		} {
			body := fmt.Sprintf(`{%q:`+m.value+`}`, m.member, text)
			r.judge(t, []wireCase{{sentence: fmt.Sprintf("%s may be %+q", m.member, text), request: body, answer: body}})
		}
	}
	if a := r.manage(t, "GET", plain, ""); a.text("client_name") != "App" {
		t.Errorf("the refused updates left %s", a.body)
	}
	r.judge(t, []wireCase{{sentence: "an unknown member is not checked", request: `{"tagline":"a\u202Eb"}`, answer: `{"tagline":null}`}})
}

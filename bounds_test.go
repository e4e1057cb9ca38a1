package dcr_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// Nothing that a stranger sends grows without a bound that the host can set.
func TestBounds(t *testing.T) {
	list := func(n int, entry string) string {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = fmt.Sprintf(entry, i)
		}
		return `[` + strings.Join(entries, ",") + `]`
	}
	object := func(n int) string {
		return `{` + strings.Trim(list(n, `"m%d":1`), "[]") + `}`
	}
	text := func(n int) string { return `"` + strings.Repeat("a", n) + `"` }
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	page := func(n int) string { return `"https://rp.example.com/` + strings.Repeat("a", n-23) + `"` }
	within := []struct{ sentence, request string }{
		{"64 redirect URIs", `{"redirect_uris":` + list(64, `"https://rp.example.com/%d"`) + `}`},
		{"64 contacts", `{"contacts":` + list(64, `"c%d"`) + `}`},
		{"127 members beside redirect_uris", object(127)},
		{"128 members in an inner object", `{"x":` + object(128) + `}`},
		{"16 levels", `{"x":` + nested(15) + `}`},
		{"a name of 1,024 bytes", `{"client_name":` + text(1024) + `}`},
		{"a tagged name of 1,024 bytes", `{"client_name#fr":` + text(1024) + `}`},
		{"a page of 2,048 bytes", `{"logo_uri":` + page(2048) + `}`},
		{"4,096 bytes of scope", `{"scope":` + text(4096) + `}`},
		{"32 keys", `{"jwks":{"keys":` + list(32, `{"kty":"x","kid":"%d"}`) + `}}`},
	}
	beyond := []struct{ sentence, request, says string }{
		{"65 redirect URIs", `{"redirect_uris":` + list(65, `"https://rp.example.com/%d"`) + `}`, "redirect_uris must not have more than 64 entries"},
		{"65 contacts", `{"contacts":` + list(65, `"c%d"`) + `}`, "contacts must not have more than 64 entries"},
		{"65 grant types", `{"grant_types":` + list(65, `"g%d"`) + `}`, "grant_types must not have more than 64 entries"},
		{"128 members beside redirect_uris", object(128), "members"},
		{"129 members in an inner object", `{"x":` + object(129) + `}`, "members"},
		{"17 levels", `{"x":` + nested(16) + `}`, "deep"},
		{"a name of 1,025 bytes", `{"client_name":` + text(1025) + `}`, "client_name must not be longer than 1024 bytes"},
		{"a tagged name of 1,025 bytes", `{"client_name#fr":` + text(1025) + `}`, "client_name#fr must not be longer than 1024 bytes"},
		{"a contact of 1,025 bytes", `{"contacts":["a",` + text(1025) + `]}`, "contacts[1] must not be longer than 1024 bytes"},
		{"a page of 2,049 bytes", `{"logo_uri":` + page(2049) + `}`, "logo_uri must not be longer than 2048 bytes"},
		{"a tagged page of 2,049 bytes", `{"logo_uri#fr":` + page(2049) + `}`, "logo_uri#fr must not be longer than 2048 bytes"},
		{"4,097 bytes of scope", `{"scope":` + text(4097) + `}`, "scope must not be longer than 4096 bytes"},
		{"33 keys", `{"jwks":{"keys":` + list(33, `{"kty":"x","kid":"%d"}`) + `}}`, "jwks"},
		{"a software statement of 8,193 bytes", `{"software_statement":` + text(8193) + `}`, "software_statement must not be longer than 8192 bytes"},
	}
	r := start(t, `{"scopes_supported":["*"]}`)
	for _, c := range within {
		r.judge(t, []wireCase{{sentence: c.sentence + " pass", request: c.request}})
	}
	for _, c := range beyond {
		t.Run(c.sentence+" do not", func(t *testing.T) {
			a := r.post(t, request(t, c.request))
			if a.status != 400 || !strings.Contains(a.text("error_description"), c.says) {
				t.Errorf("status %d: %s; want 400 saying %q", a.status, a.body, c.says)
			}
		})
	}
	tight := start(t, `{"scopes_supported":["*"]}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.Limits = dcr.Limits{Members: 16, Depth: 4, ListItems: 2, URIBytes: 40, NameBytes: 32, ScopeBytes: 8, Keys: 1, StatementBytes: 16}
	})
	tight.judge(t, []wireCase{
		{sentence: "each bound is the host's to set", request: `{"client_name":` + text(32) + `,"scope":"12345678","contacts":["a","b"],"jwks":{"keys":[{"kty":"x"}]}}`},
		{sentence: "the host's bound of names", request: `{"client_name":` + text(33) + `}`, code: dcrMetadata, says: "client_name must not be longer than 32 bytes"},
		{sentence: "the host's bound of URIs", request: `{"redirect_uris":["https://rp.example.com/a/longer/redirect"]}`},
		{sentence: "the host's bound of URIs, exceeded", request: `{"redirect_uris":["https://rp.example.com/a/longer/redirects"]}`, code: dcrRedirect, says: "redirect_uris[0] must not be longer than 40 bytes"},
		{sentence: "the host's bound of lists", request: `{"contacts":["a","b","c"]}`, code: dcrMetadata, says: "contacts must not have more than 2 entries"},
		{sentence: "the host's bound of scopes", request: `{"scope":"123456789"}`, code: dcrMetadata, says: "scope must not be longer than 8 bytes"},
		{sentence: "the host's bound of keys", request: `{"jwks":{"keys":[{"kty":"x"},{"kty":"y"}]}}`, code: dcrMetadata, says: "jwks"},
		{sentence: "the host's bound of depth", request: `{"x":[[[[1]]]]}`, code: dcrMetadata},
		{sentence: "the host's bound of members", request: object(16), code: dcrMetadata},
	})
}

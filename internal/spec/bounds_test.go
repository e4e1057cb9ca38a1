package spec_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// entries returns a JSON array of n entries, each with its number.
func entries(n int, entry string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(entry, i)
	}
	return `[` + strings.Join(all, ",") + `]`
}

func objectOf(n int) string { return `{` + strings.Trim(entries(n, `"m%d":1`), "[]") + `}` }

func textOf(n int) string { return `"` + strings.Repeat("a", n) + `"` }

func arraysIn(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func pageOf(n int) string {
	const site = "https://rp.example.com/"
	return `"` + site + strings.Repeat("a", n-len(site)) + `"`
}

// Everything that a stranger sends has a bound that the host can set.
func TestBounds(t *testing.T) {
	within := []struct{ sentence, request string }{
		{"64 redirect URIs", `{"redirect_uris":` + entries(64, `"https://rp.example.com/%d"`) + `}`},
		{"64 contacts", `{"contacts":` + entries(64, `"c%d"`) + `}`},
		{"127 members in addition to redirect_uris", objectOf(127)},
		{"128 members in an inner object", `{"x":` + objectOf(128) + `}`},
		{"16 levels", `{"x":` + arraysIn(15) + `}`},
		{"a name of 1,024 bytes", `{"client_name":` + textOf(1024) + `}`},
		{"a tagged name of 1,024 bytes", `{"client_name#fr":` + textOf(1024) + `}`},
		{"a page of 2,048 bytes", `{"logo_uri":` + pageOf(2048) + `}`},
		{"4,096 bytes of scope", `{"scope":` + textOf(4096) + `}`},
		{"32 keys", `{"jwks":{"keys":` + entries(32, `{"kty":"x","kid":"%d"}`) + `}}`},
	}
	beyond := []struct{ sentence, request, says string }{
		{"65 redirect URIs", `{"redirect_uris":` + entries(65, `"https://rp.example.com/%d"`) + `}`, "redirect_uris must not have more than 64 entries"},
		{"65 contacts", `{"contacts":` + entries(65, `"c%d"`) + `}`, "contacts must not have more than 64 entries"},
		{"65 grant types", `{"grant_types":` + entries(65, `"g%d"`) + `}`, "grant_types must not have more than 64 entries"},
		{"128 members in addition to redirect_uris", objectOf(128), "members"},
		{"129 members in an inner object", `{"x":` + objectOf(129) + `}`, "members"},
		{"17 levels", `{"x":` + arraysIn(16) + `}`, "deep"},
		{"a name of 1,025 bytes", `{"client_name":` + textOf(1025) + `}`, "client_name must not be longer than 1024 bytes"},
		{"a tagged name of 1,025 bytes", `{"client_name#fr":` + textOf(1025) + `}`, "client_name#fr must not be longer than 1024 bytes"},
		{"a contact of 1,025 bytes", `{"contacts":["a",` + textOf(1025) + `]}`, "contacts[1] must not be longer than 1024 bytes"},
		{"a page of 2,049 bytes", `{"logo_uri":` + pageOf(2049) + `}`, "logo_uri must not be longer than 2048 bytes"},
		{"a tagged page of 2,049 bytes", `{"logo_uri#fr":` + pageOf(2049) + `}`, "logo_uri#fr must not be longer than 2048 bytes"},
		{"4,097 bytes of scope", `{"scope":` + textOf(4097) + `}`, "scope must not be longer than 4096 bytes"},
		{"33 keys", `{"jwks":{"keys":` + entries(33, `{"kty":"x","kid":"%d"}`) + `}}`, "jwks"},
		{"a software statement of 8,193 bytes", `{"software_statement":` + textOf(8193) + `}`, "software_statement must not be longer than 8192 bytes"},
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
}

func TestTheBoundsAreTheHosts(t *testing.T) {
	tight := start(t, `{"scopes_supported":["*"]}`, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.Limits = dcr.Limits{Members: 16, Depth: 4, ListItems: 2, URIBytes: 40, NameBytes: 32, ScopeBytes: 8, Keys: 1, StatementBytes: 16}
	})
	tight.judge(t, []wireCase{
		{sentence: "the host can set each bound", request: `{"client_name":` + textOf(32) + `,"scope":"12345678","contacts":["a","b"],"jwks":{"keys":[{"kty":"x"}]}}`},
		{sentence: "the host's bound on names", request: `{"client_name":` + textOf(33) + `}`, code: dcrMetadata, says: "client_name must not be longer than 32 bytes"},
		{sentence: "the host's bound on URIs", request: `{"redirect_uris":["https://rp.example.com/a/longer/redirect"]}`},
		{sentence: "the host's bound on URIs, exceeded", request: `{"redirect_uris":["https://rp.example.com/a/longer/redirects"]}`, code: dcrRedirect, says: "redirect_uris[0] must not be longer than 40 bytes"},
		{sentence: "the host's bound on lists", request: `{"contacts":["a","b","c"]}`, code: dcrMetadata, says: "contacts must not have more than 2 entries"},
		{sentence: "the host's bound on scopes", request: `{"scope":"123456789"}`, code: dcrMetadata, says: "scope must not be longer than 8 bytes"},
		{sentence: "the host's bound on keys", request: `{"jwks":{"keys":[{"kty":"x"},{"kty":"y"}]}}`, code: dcrMetadata, says: "jwks"},
		{sentence: "the host's bound on depth", request: `{"x":[[[[1]]]]}`, code: dcrMetadata},
		{sentence: "the host's bound on members", request: objectOf(16), code: dcrMetadata},
	})
}

package cimd_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cimd"
)

// TestClientIDs checks URLs against the rules that need no network, with a
// sentence for each case.
func TestClientIDs(t *testing.T) {
	strict := &cimd.Options{Issuer: issuer}
	for _, c := range []struct {
		sentence, id string
		opts         *cimd.Options
		rule         string
	}{
		{"a URL with a path", "https://app.example.com/client", strict, "ok"},
		{"also with a port", "https://app.example.com:8443/client", strict, "ok"},
		{"port 443 makes another id, which is valid too", "https://app.example.com:443/client", strict, "ok"},
		{"255 bytes are not too long", "https://app.example.com/" + strings.Repeat("a", 255-24), strict, "ok"},
		{"256 are", "https://app.example.com/" + strings.Repeat("a", 256-24), strict, "client_id.length"},
		{"https must be in lower case", "HTTPS://app.example.com/client", strict, "client_id.scheme"},
		{"http is refused", "http://app.example.com/client", strict, "client_id.scheme"},
		{"a path is needed", "https://app.example.com", &cimd.Options{AllowBareHost: true}, "client_id.path"},
		{"only a slash is not enough", "https://app.example.com/", strict, "client_id.path"},
		{"unless that is allowed", "https://app.example.com/", &cimd.Options{AllowBareHost: true}, "ok"},
		{"no query", "https://app.example.com/client?a=b", strict, "client_id.query"},
		{"not even an empty query", "https://app.example.com/client?", strict, "client_id.query"},
		{"unless that is allowed", "https://app.example.com/client?a=b", &cimd.Options{AllowQuery: true}, "ok"},
		{"no fragment", "https://app.example.com/client#a", strict, "client_id.fragment"},
		{"not even an empty fragment", "https://app.example.com/client#", strict, "client_id.fragment"},
		{"no user", "https://user@app.example.com/client", strict, "client_id.form"},
		{"no dot segment", "https://app.example.com/a/../client", strict, "client_id.form"},
		{"no single dot", "https://app.example.com/./client", strict, "client_id.form"},
		{"no dots at the end", "https://app.example.com/client/..", strict, "client_id.form"},
		{"no encoded dots", "https://app.example.com/%2e%2E/client", strict, "client_id.form"},
		{"no half-encoded dots", "https://app.example.com/.%2e/client", strict, "client_id.form"},
		{"dots in a name are allowed", "https://app.example.com/a..b/...", strict, "ok"},
		{"no backslash", `https://app.example.com\client`, strict, "client_id.form"},
		{"no space", "https://app.example.com/a client", strict, "client_id.form"},
		{"no control character", "https://app.example.com/a\x7fclient", strict, "client_id.form"},
		{"no letters outside ASCII", "https://bücher.example/client", strict, "client_id.form"},
		{"no address", "https://192.0.2.1/client", strict, "client_id.address"},
		{"no address in brackets", "https://[2001:db8::1]/client", strict, "client_id.address"},
		{"no address in another form", "https://0x7f.1/client", strict, "client_id.form"},
		{"no host that ends in a dot", "https://app.example.com./client", strict, "client_id.form"},
		{"not this server's host", "https://id.example.com/client", strict, "client_id.own_host"},
		{"in any case", "https://ID.example.com/client", strict, "client_id.own_host"},
		{"on any port", "https://id.example.com:8443/client", strict, "client_id.own_host"},
		{"a host below it is another", "https://app.id.example.com/client", strict, "ok"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			document := `{"client_id":"` + strings.ReplaceAll(c.id, `\`, `\\`) + `",` + app[1:]
			client, err := cimd.Judge(t.Context(), c.id, []byte(document), c.opts)
			wantOutcome(t, c.id, outcome(t, err), c.rule)
			if err == nil && (client.ID != c.id || client.Source != dcr.SourceDocument) {
				t.Errorf("%+v", client)
			}
		})
	}
}

// TestHosts checks what a list admits.
func TestHosts(t *testing.T) {
	for _, c := range []struct{ entry, id string }{
		{"claude.ai", "https://claude.ai/oauth/client"},
		{"claude.ai", "https://CLAUDE.ai/oauth/client"},
		{"Claude.AI", "https://claude.ai/oauth/client"},
		{"claude.ai", "https://claude.ai:443/client"},
		{"*.vscode.dev", "https://a.b.vscode.dev/client"},
		{"example.com/oauth/", "https://example.com/oauth/client"},
		{"example.com:8443", "https://example.com:8443/client"},
		{"example.com:8443/Oauth/", "https://example.com:8443/Oauth/client"},
		{"example.com:443", "https://example.com/client"},
		{"not claude.ai", "https://claude.ai.example.com/client"},
		{"not claude.ai", "https://www.claude.ai/client"},
		{"not claude.ai", "https://claude.ai:8443/client"},
		{"not *.vscode.dev", "https://vscode.dev/client"},
		{"not *.vscode.dev", "https://evilvscode.dev/client"},
		{"not example.com/oauth/", "https://example.com/oauth"},
		{"not example.com/oauth/", "https://example.com/other/client"},
		{"not example.com/oauth/", "https://example.com/oauth/..%2fother"},
		{"not example.com/oauth/", "https://example.com/oauth/..;/other"},
		{"not example.com/oauth/", "https://example.com/oauth/%2E%2e;x=1/other"},
		{"example.com/oauth/", "https://example.com/oauth/a..;/client"},
		{"example.com:443", "https://example.com:443/client"},
		{"example.com:44380", "https://example.com:44380/client"},
		{"not example.com:8443", "https://example.com/client"},
		{"not example.com:44380", "https://example.com:80/client"},
		{"not example.com:4438", "https://example.com:8/client"},
		{"not example.com:44380", "https://example.com/client"},
	} {
		entry, refused := strings.CutPrefix(c.entry, "not ")
		id, err := url.Parse(c.id)
		if err != nil {
			t.Fatal(err)
		}
		policy, err := cimd.Hosts("other.example", entry)(t.Context(), id)
		if (err != nil) != refused || err != nil && !errors.Is(err, dcr.InvalidClient) || policy != "" {
			t.Errorf("%s: %s: %q, %v", c.entry, c.id, policy, err)
		}
	}
	for _, entry := range []string{"", "*", "*.", "https://claude.ai", "bücher.example", "192.0.2.1", "[::1]", "example.com/oauth", "example.com?", "example.com/#", "a b", "example.com.", "example.com:", "example.com:0", "user@example.com", "\u212Aey.example"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is accepted", entry)
				}
			}()
			cimd.Hosts(entry)
		}()
	}
}

package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// write writes a file and returns its name.
func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFlags(t *testing.T) {
	const redirects = `"redirect_uris":["https://app.example.com/callback"]`
	for _, c := range []struct {
		flag  string
		flags []string
		body  string
		want  map[string]string // members of the answer; "" if a member must be missing
	}{
		{"without flags", nil, `{` + redirects + `,"scope":"openid email phone"}`, map[string]string{
			"scope": "openid email", "client_secret_expires_at": "0", "id_token_signed_response_alg": "RS256", "access_token_type": "",
		}},
		{"capabilities", []string{"-capabilities", write(t, `{"token_endpoint_auth_methods_supported":["client_secret_post"],"scopes_supported":["*"]}`)},
			`{` + redirects + `,"scope":"a b"}`,
			map[string]string{"token_endpoint_auth_method": "client_secret_post", "scope": "a b", "id_token_signed_response_alg": ""}},
		{"default-scope", []string{"-default-scope", "openid profile"}, `{` + redirects + `}`, map[string]string{"scope": "openid profile"}},
		{"duende", []string{"-duende"}, `{` + redirects + `,"access_token_lifetime":60}`, map[string]string{"access_token_lifetime": "60", "access_token_type": "Jwt"}},
		{"allow-http-redirects", []string{"-allow-http-redirects"}, `{"redirect_uris":["http://app.example.com/callback"]}`, map[string]string{"redirect_uris": "[http://app.example.com/callback]"}},
		{"secret-key", []string{"-secret-key", write(t, strings.Repeat("k", 32)), "-capabilities", write(t, `{"token_endpoint_auth_methods_supported":["client_secret_jwt"]}`)},
			`{` + redirects + `,"token_endpoint_auth_signing_alg":"HS256"}`, map[string]string{"token_endpoint_auth_signing_alg": "HS256"}},
	} {
		t.Run(c.flag, func(t *testing.T) {
			p := start(t, append([]string{"-db=memory:"}, c.flags...)...)
			a := p.register(t, c.body)
			for member, want := range c.want {
				have := ""
				if value, answered := a.members[member]; answered {
					have = fmt.Sprint(value)
				}
				if have != want {
					t.Errorf("%s is %q, want %q", member, have, want)
				}
			}
		})
	}
}

func TestFlagsOfNoUse(t *testing.T) {
	bad := write(t, `{"scopes_supported":`)
	for _, c := range []struct{ sentence, flag, want string }{
		{"an unknown flag", "-nope", "-help lists the flags"},
		{"a word that is not a flag", "start", `"start" is not a flag`},
		{"a value of the wrong type", "-max-clients=many", "-max-clients"},
		{"an invalid file is named", "-capabilities=" + bad, bad},
		{"a key of the wrong length is named", "-secret-key=" + bad, bad},
		{"a token that is easy to guess", "-token=admin", "16 characters"},
		{"an unknown kind of database", "-db=oracle:x", "want memory:"},
		{"keys at a remote http URL", "-statement-issuer=directory=http://keys.example.com/jwks", "must use https"},
		{"keys at a URL with a fragment", "-statement-issuer=directory=https://keys.example.com/jwks#1", "must not have a fragment"},
		{"keys in a file that does not exist", "-statement-issuer=directory=none.json", "no such file"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			executable, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			program := exec.Command(executable, "-addr=127.0.0.1:0", "-db=memory:", c.flag)
			program.Env, program.Dir = append(os.Environ(), "RUN_QUICKSTART=1"), t.TempDir()
			output, _ := program.CombinedOutput()
			said := string(output)
			if program.ProcessState.ExitCode() != 1 || strings.Count(said, "\n") != 1 || !strings.Contains(said, c.want) {
				t.Errorf("exit code %d: %s", program.ProcessState.ExitCode(), said)
			}
		})
	}
}

func TestWhatIsSaidAtStart(t *testing.T) {
	const token = "sixteen-characters-at-least"
	p := start(t, "-preset=mcp", "-token="+token, "-max-clients=7", "-v")
	said := p.said.String()
	for _, want := range []string{"listening on: 127.0.0.1:", "quickstart.db (SQLite)", "so they can register only with -open", "bearer token: " + token} {
		if !strings.Contains(said, want) {
			t.Errorf("the output lacks %q: %s", want, said)
		}
	}
	p.register(t, plain)
	p.Process.Kill()
	p.Wait()
	if logged := p.log.String(); strings.Count(logged, "client registered") != 1 {
		t.Errorf("a registration is not logged in one line: %s", logged)
	}
	if said := start(t, "-db=memory:", "-preset=mcp", "-open").said.String(); strings.Contains(said, "note:") {
		t.Errorf("a note with -open, when clients can register: %s", said)
	}
}

func TestSecretLifetime(t *testing.T) {
	a := start(t, "-db=memory:", "-secret-lifetime=1h").register(t, plain)
	issued, _ := a.members["client_id_issued_at"].(float64)
	if a.members["client_secret_expires_at"] != issued+3600 {
		t.Errorf("issued at %v, expires at %v", issued, a.members["client_secret_expires_at"])
	}
}

func TestRotation(t *testing.T) {
	p := start(t, "-db=memory:", "-rotate-secret", "-rotate-registration-token")
	before := p.register(t, plain)
	body := fmt.Sprintf(`{"client_id":%q,"redirect_uris":["https://app.example.com/callback"]}`, before.text("client_id"))
	after, err := send(http.MethodPut, before.text("registration_client_uri"), before.text("registration_access_token"), body)
	if err != nil || after.status != http.StatusOK {
		t.Fatal(after, err)
	}
	for _, member := range []string{"client_secret", "registration_access_token"} {
		if after.text(member) == "" || after.text(member) == before.text(member) {
			t.Errorf("%s was %q and is %q", member, before.text(member), after.text(member))
		}
	}
}

func TestFetching(t *testing.T) {
	sector := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `["https://app.example.com/callback"]`)
	}))
	defer sector.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sector.Certificate().Raw})
	p := start(t, "-db=memory:", "-fetch-allow=127.0.0.0/8", "-fetch-ca="+write(t, string(certificate)),
		"-capabilities="+write(t, `{"subject_types_supported":["public","pairwise"],"id_token_signing_alg_values_supported":["RS256"]}`))
	p.register(t, fmt.Sprintf(`{"redirect_uris":["https://app.example.com/callback"],"subject_type":"pairwise","sector_identifier_uri":%q}`, sector.URL))
}

func TestDiscoveryWithoutIDTokens(t *testing.T) {
	issuer := strings.TrimSuffix(start(t, "-db=memory:", "-preset=mcp").endpoint, "/connect/dcr")
	for document, status := range map[string]int{"oauth-authorization-server": http.StatusOK, "openid-configuration": http.StatusNotFound} {
		response, err := http.Get(issuer + "/.well-known/" + document)
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != status {
			t.Errorf("%s: %d, want %d", document, response.StatusCode, status)
		}
	}
}

func TestDiscovery(t *testing.T) {
	p := start(t, "-db=memory:")
	for _, document := range []string{"oauth-authorization-server", "openid-configuration"} {
		issuer := strings.TrimSuffix(p.endpoint, "/connect/dcr")
		a, err := send(http.MethodGet, issuer+"/.well-known/"+document, "", "")
		if err != nil || a.text("registration_endpoint") != p.endpoint || a.text("issuer") != issuer || a.members["scopes_supported"] == nil {
			t.Errorf("%s: %v %v", document, a, err)
		}
	}
}

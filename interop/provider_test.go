package interop

// SDKs at examples/authserver and examples/fositeserver, from discovery to the deletion
// of the client.

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dynreg/dcr/dcrtest"
)

// provider starts an example, which is a separate module.
func provider(t *testing.T, example string, publisher *dcrtest.Publisher, flags ...string) (issuer string) {
	folder := t.TempDir()
	certificate, server := filepath.Join(folder, "publisher.pem"), filepath.Join(folder, example)
	if err := os.WriteFile(certificate, publisher.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-C", "../examples/"+example, "-o", server, ".")
	build.Env = append(os.Environ(), "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	program := exec.Command(server, append([]string{"-addr=127.0.0.1:0", "-db=memory:", "-auto-approve",
		"-documents=" + publisher.Host(), "-fetch-allow=127.0.0.0/8", "-fetch-allow=::1/128", "-fetch-ca=" + certificate}, flags...)...)
	output, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Process.Kill(); program.Wait() })
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if issuer, ready := strings.CutPrefix(lines.Text(), "ready: "); ready {
			return issuer
		}
	}
	t.Fatal(example + " did not start")
	return ""
}

// jwk returns the private and the public half of a key.
func jwk(t *testing.T) (private, public map[string]string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	public = map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1", "x": text(point[1:33]), "y": text(point[33:])}
	private = map[string]string{"d": text(scalar)}
	for name, value := range public {
		private[name] = value
	}
	return private, public
}

func TestJavaScriptLivesAtAProvider(t *testing.T) {
	directory := os.Getenv("DCR_TEST_NODE")
	if directory == "" {
		t.Skip("DCR_TEST_NODE is not a directory in which npm ci was run")
	}
	publisher := dcrtest.NewPublisher(t)
	private, public := jwk(t)
	key, err := json.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(map[string]any{"keys": []any{public}})
	if err != nil {
		t.Fatal(err)
	}
	document := publisher.Publish("/client.json", []byte(`{"client_name":"An SDK","application_type":"native","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"scope":"openid profile"}`))
	keysURI := publisher.Publish("/keys", keys)
	for example, tokens := range map[string]string{"authserver": "jwt", "fositeserver": "opaque"} {
		t.Run(example, func(t *testing.T) {
			node := exec.CommandContext(t.Context(), "node", "provider.mjs")
			node.Dir = directory
			node.Env = append(os.Environ(), "ISSUER="+provider(t, example, publisher), "KEY="+string(key), "JWKS_URI="+keysURI, "CLIENT_ID="+document, "ACCESS_TOKENS="+tokens)
			output, err := node.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, output)
			}
			t.Logf("%s", output)
		})
	}
}

package interop

// Clients that publish their metadata: the MCP SDK for JavaScript logs in at quickstart
// with the URL of a document, from discovery to the token.

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dynreg/dcr/dcrtest"
)

func TestJavaScriptLogsInWithADocument(t *testing.T) {
	node := os.Getenv("DCR_TEST_NODE")
	if node == "" {
		t.Skip("DCR_TEST_NODE is not the directory with document.mjs and its node_modules")
	}
	publisher := dcrtest.NewPublisher(t)
	id := publisher.Publish("/client.json", []byte(`{"client_name":"An MCP client","redirect_uris":["http://127.0.0.1/callback"],"scope":"openid"}`))
	folder := t.TempDir()
	certificate, quickstart := filepath.Join(folder, "publisher.pem"), filepath.Join(folder, "quickstart")
	if err := os.WriteFile(certificate, publisher.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("go", "build", "-o", quickstart, "github.com/dynreg/dcr/examples/quickstart").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for _, preset := range []string{"-open", "-preset=mcp", "-preset=oidc"} {
		t.Run(preset, func(t *testing.T) {
			program := exec.Command(quickstart, "-addr=127.0.0.1:0", "-db=memory:", preset, "-documents="+publisher.Host(), "-fetch-allow=127.0.0.0/8", "-fetch-allow=::1/128", "-fetch-ca="+certificate)
			output, err := program.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { program.Process.Kill(); program.Wait() })
			issuer := ""
			for lines := bufio.NewScanner(output); issuer == "" && lines.Scan(); {
				if endpoint, ready := strings.CutPrefix(lines.Text(), "ready: "); ready {
					issuer = strings.TrimSuffix(endpoint, "/connect/dcr")
				}
			}
			client := exec.Command("node", "document.mjs")
			client.Dir, client.Env = node, append(os.Environ(), "ISSUER="+issuer, "CLIENT_ID="+id)
			if output, err := client.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

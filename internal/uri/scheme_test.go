package uri_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/dynreg/dcr/internal/uri"
)

func TestRefusedScheme(t *testing.T) {
	for _, scheme := range strings.Fields(`javascript JAVASCRIPT data vbscript file filesystem blob about ftp ws wss
		mailto view-source ms-appx ms-appx-web ms-msdt MS-Settings intent urn jar resource chrome chrome-extension
		moz-extension tel sms search-ms x-apple.systempreferences x-safari-https web+app itms-services
		https. javascript. com.example. com..example example.
		android.resource android-app googlechrome-x-callback googlechromes microsoft-edge-https microsoft-edge-http
		opera-http touch-https touch-http firefox-focus x-callback-url app-x-callback jnlp JNLP telprompt ldapi admin package
		workflow cydia shortcuts http+unix https+insecure hxxps x-man-page facetime-audio com.epicgames.launcher
		google.navigation microsoft.windows.camera iris.beep z39.50r soap.beep vnd.sun.star.script`) {
		if !uri.RefusedScheme(scheme) {
			t.Errorf("%s is not refused", scheme)
		}
	}
	for _, scheme := range strings.Fields(`https http com.example.app myapp cursor vscode vscode-insiders claude
		windsurf zed jetbrains raycast goose warp obsidian slack fb1234567 msauth.com.example.app ms chromium
		com.example.app-callback claude-callback x-callbacks httpie edu.kit.data.oidc-agent oidc-agent com.raycast
		com.googleusercontent.apps.1234-abc sample-windows-client mcp tauri capacitor ionic exp custom-scheme
		openid-credential-offer haip spiffe androidstudio com.android.studio administrator packager`) {
		if uri.RefusedScheme(scheme) {
			t.Errorf("%s is refused", scheme)
		}
	}
}

// Every entry of the list is refused, in any case and as a URI.
func TestEveryRefusedSchemeIsRefused(t *testing.T) {
	seen := make(map[string]bool)
	for _, group := range uri.RefusedSchemes {
		for _, name := range strings.Fields(group.Names) {
			if seen[name] {
				t.Errorf("%s is listed twice", name)
			}
			seen[name] = true
			scheme := strings.ReplaceAll(name, "*", "x")
			for _, scheme := range []string{scheme, strings.ToUpper(scheme)} {
				for _, rest := range []string{":x", "://evil.example/x"} {
					if _, err := uri.Parse(scheme + rest); err == nil || !strings.Contains(err.Error(), "treat specially") {
						t.Errorf("Parse(%q): %v", scheme+rest, err)
					}
				}
			}
		}
	}
}

func TestIsTopLevelDomain(t *testing.T) {
	for _, label := range strings.Fields("com org app dev io uk xn--p1ai zw ck aaa") {
		if !uri.IsTopLevelDomain(label) {
			t.Errorf("%s is not a top-level domain", label)
		}
	}
	for _, label := range []string{"", "cursor", "claude", "co.uk", "example", "com org", "COM", "vnd"} {
		if uri.IsTopLevelDomain(label) {
			t.Errorf("%s is a top-level domain", label)
		}
	}
}

var update = flag.Bool("update", false, "write the list of refused schemes into its page")

const schemesPage = "../../docs/refused-schemes.md"

// The page must show the same list.
func TestThePageHasTheList(t *testing.T) {
	page, err := os.ReadFile(schemesPage)
	if err != nil {
		t.Fatal(err)
	}
	const heading = "| What they lead to | Names |\n|---|---|\n"
	text, _, _ := strings.Cut(string(page), heading)
	var want strings.Builder
	want.WriteString(text + heading)
	for _, group := range uri.RefusedSchemes {
		fmt.Fprintf(&want, "| %s | `%s` |\n", group.Why, strings.Join(strings.Fields(group.Names), "` `"))
	}
	if *update {
		if err := os.WriteFile(schemesPage, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want.String() != string(page) {
		t.Error("docs/refused-schemes.md does not show the current list; run go test ./internal/uri -run Page -update")
	}
}

package main

// What the library is tested against: the SDKs that interop runs, with their versions
// from its manifests, and the clients whose requests dcrtest has.

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dynreg/dcr/dcrtest"
)

// sdks say what interop does with each SDK that it depends on.
var sdks = map[string]string{
	"@modelcontextprotocol/client":           "registers and logs in at `examples/authserver`",
	"@modelcontextprotocol/sdk":              "registers and logs in at `examples/authserver`",
	"oauth4webapi":                           "registers and logs in at `examples/authserver`; manages itself; authenticates with ids and secrets that contain special characters",
	"openid-client":                          "registers and logs in at `examples/authserver`; manages itself; authenticates with ids and secrets that contain special characters",
	"github.com/modelcontextprotocol/go-sdk": "registers and reads the answer",
	"github.com/coreos/go-oidc/v3":           "logs in at `examples/authserver`",
	"golang.org/x/oauth2":                    "authenticates with ids and secrets that contain special characters",
	"github.com/zitadel/oidc/v3":             "the server behind the adapter, tested by `dcrtest.TestHost`",
	"github.com/ory/fosite":                  "the server behind the adapter, tested by `dcrtest.TestHost`",
	"github.com/go-oauth2/oauth2/v4":         "a server without an adapter: `dcrtest.TestHost` lists what it lacks",
}

// manifests are the files with their versions.
var manifests = []string{"interop/package.json", "interop/go.mod", "interop/hosts/go.mod", "examples/go.mod"}

// The tables of the README are between these two lines.
const testedBegin, testedEnd = "<!-- tested: written by go generate -->\n", "<!-- end of tested -->\n"

// tested returns the README with the tables as they should be.
func tested(root string) (string, error) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		return "", err
	}
	before, rest, begins := strings.Cut(string(readme), testedBegin)
	_, after, ends := strings.Cut(rest, testedEnd)
	if !begins || !ends {
		return "", fmt.Errorf("README.md lacks the lines %q and %q", testedBegin, testedEnd)
	}
	table, err := testedTables(root)
	return before + testedBegin + table + testedEnd + after, err
}

func testedTables(root string) (string, error) {
	versions := make(map[string]string)
	for _, manifest := range manifests {
		text, err := os.ReadFile(filepath.Join(root, manifest))
		if err != nil {
			return "", err
		}
		if filepath.Ext(manifest) == ".json" {
			var npm struct{ Dependencies map[string]string }
			if err := json.Unmarshal(text, &npm); err != nil {
				return "", err
			}
			for name, version := range npm.Dependencies {
				versions[name] = version
			}
		}
		for _, required := range regexp.MustCompile(`(?m)^\t(\S+) v(\S+)$`).FindAllStringSubmatch(string(text), -1) {
			versions[required[1]] = cmp.Or(versions[required[1]], required[2])
		}
	}
	var page strings.Builder
	page.WriteString("\n| run in CI | version | what it does |\n| --- | --- | --- |\n")
	var names []string
	for name := range sdks {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if versions[name] == "" {
			return "", fmt.Errorf("interop does not depend on %s", name)
		}
		fmt.Fprintf(&page, "| %s | %s | %s |\n", strings.TrimPrefix(name, "github.com/"), versions[name], sdks[name])
	}
	for name := range versions {
		if strings.HasPrefix(name, "@") && sdks[name] == "" {
			return "", fmt.Errorf("internal/reference/tested.go does not say what interop does with %s", name)
		}
	}
	page.WriteString("\n| request, as publicly reported | preset | authentication methods that the client can use |\n| --- | --- | --- |\n")
	for _, client := range dcrtest.Clients() {
		fmt.Fprintf(&page, "| %s | `policy.%s` | %s |\n", client.Name, client.Preset, strings.Join(client.Methods, ", "))
	}
	page.WriteString("\n")
	return page.String(), nil
}

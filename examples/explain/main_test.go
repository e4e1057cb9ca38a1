package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const good = `{"redirect_uris":["https://app.example.com/cb"],"scope":"openid gone"}`
	for _, test := range []struct {
		sentence  string
		args      []string
		in        string
		refused   bool
		err, says string // regular expressions
	}{
		{"standard input is read", nil, good, false, "", `scope +dropped +ValidateScopes +"openid gone" +"openid" +DefaultValidator.Supports.Scopes\n(.|\n)*201: it would be registered\n$`},
		{"a file is read", []string{file(good)}, "", false, "", "201"},
		{"a refusal is reported", nil, `{"redirect_uris":["http://app.example.com/cb"]}`, true, "", `redirect_uris +refused +ValidateRedirectURIs \(redirect_uris.kind\)(.|\n)*400: it would be refused with invalid_redirect_uri: redirect_uris\[0\] must`},
		{"a preset changes the decision", []string{"-preset", "MCP"}, good, false, "", "application_type +defaulted +ValidateRedirectURIs +- +\"web\" +-\n"},
		{"capabilities change the decision", []string{"-capabilities", file(`{"scopes_supported":["gone"]}`)}, good, false, "", `scope +dropped +ValidateScopes +"openid gone" +"gone"`},
		{"a preset that needs a directory is unknown", []string{"-preset", "ukopenbanking"}, good, false, "want one of duende, fapi2, matrix, mcp, oidc", "^$"},
		{"two files are too many", []string{"a", "b"}, "", false, "one file", "^$"},
		{"a file that does not exist", []string{"a"}, "", false, "no such file", "^$"},
		{"invalid JSON is refused", nil, `{`, true, "", "400: it would be refused"},
		{"terminal control characters are not shown", nil, `{"redirect_uris":["https://app.example.com/cb"],"` + "\u202e" + `\u001b[31m":1}`, false, "", `\n\?\?\[31m +ignored`},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			var out strings.Builder
			refused, err := run(test.args, strings.NewReader(test.in), &out)
			if refused != test.refused || (err != nil) != (test.err != "") || err != nil && !regexp.MustCompile(test.err).MatchString(err.Error()) {
				t.Errorf("refused %v, %v", refused, err)
			}
			if !regexp.MustCompile(test.says).MatchString(out.String()) {
				t.Errorf("the output is\n%s", &out)
			}
		})
	}
}

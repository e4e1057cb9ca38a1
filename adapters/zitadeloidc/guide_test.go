package zitadeloidc_test

import (
	"os"
	"strings"
	"testing"
)

// Every Go block of the guide is part of the example or of its test.
func TestGuideIsTakenFromTheExample(t *testing.T) {
	var compiled, guide string
	for file, into := range map[string]*string{"example_test.go": &compiled, "host_test.go": &compiled, "../../docs/guide-zitadel.md": &guide} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		*into += string(text)
	}
	blocks := strings.Split(guide, "```go\n")[1:]
	if len(blocks) < 4 {
		t.Errorf("the guide has %d Go blocks", len(blocks))
	}
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(compiled, code) {
			t.Errorf("no example has:\n%s", code)
		}
	}
}

package dcr_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every Go block of the README stands in an Example, which the compiler and
// the tests hold to what it says.
func TestREADMEIsTakenFromTheExamples(t *testing.T) {
	files, err := filepath.Glob("example*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var examples strings.Builder
	asProgram := strings.NewReplacer("package dcr_test", "package main", "func Example() {", "func main() {")
	for _, file := range files {
		examples.WriteString(asProgram.Replace(read(t, file)))
	}
	blocks := strings.Split(read(t, "README.md"), "```go\n")[1:]
	if len(blocks) < 4 {
		t.Errorf("the README has %d Go blocks", len(blocks))
	}
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		if !strings.Contains(examples.String(), code) {
			t.Errorf("no example has:\n%s", code)
		}
	}
}

func TestREADMELinksToWhatIsThere(t *testing.T) {
	text := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(read(t, "README.md"), "")
	for _, link := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(link[1]); err != nil {
			t.Error(err)
		}
	}
}

func read(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

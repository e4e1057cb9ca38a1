package dcr_test

//go:generate go run ./internal/reference

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// The tests of sqlstore check the page's sample, defaults and columns.
func TestStoredFormNamesEveryMember(t *testing.T) {
	page := read(t, "docs/stored-form.md")
	for _, typ := range []reflect.Type{
		reflect.TypeFor[dcr.Client](), reflect.TypeFor[dcr.Secret](), reflect.TypeFor[dcr.StatementRecord](),
		reflect.TypeFor[dcr.DocumentRecord](),
	} {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if name != "" && name != "-" && !regexp.MustCompile("[`\".]"+name+"[`\"]").MatchString(page) {
				t.Errorf("the page does not name %s of a %s", name, typ.Name())
			}
		}
	}
	for _, name := range []string{dcr.SecretSHA256, dcr.SecretBcrypt, dcr.SecretArgon2id, dcr.SecretSealed, dcr.SecretJWK} {
		if !strings.Contains(page, "\n| `"+name+"` |") {
			t.Errorf("the page does not describe secrets of the type %s", name)
		}
	}
}

func TestPagesLinkToWhatIsThere(t *testing.T) {
	for _, page := range pages(t) {
		for _, link := range regexp.MustCompile(`\]\(([^):#]+)[^):]*\)`).FindAllStringSubmatch(withoutCode(read(t, page)), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// Every Go block of the README is in an Example, which is compiled and tested.
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
	for _, link := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(withoutCode(read(t, "README.md")), -1) {
		if _, err := os.Stat(link[1]); err != nil {
			t.Error(err)
		}
	}
}

func withoutCode(page string) string {
	return regexp.MustCompile("(?s)```.*?```").ReplaceAllString(page, "")
}

// pages returns the files of the documents.
func pages(t *testing.T) []string {
	chapters, err := filepath.Glob("docs/*.md")
	reference, _ := filepath.Glob("docs/reference/*.md")
	if err != nil || len(chapters) == 0 || len(reference) == 0 {
		t.Fatalf("there are no pages: %v", err)
	}
	return append(chapters, reference...)
}

func read(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

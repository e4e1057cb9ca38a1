package guide

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

const root = "../.."

// asProgram matches an example that is a whole program.
var asProgram = strings.NewReplacer("package dcr_test", "package main", "func Example() {", "func main() {")

// Every Go block of the documents is in a file that is compiled.
func TestCodeOfThePagesIsCompiled(t *testing.T) {
	var compiled strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		compiled.WriteString(flat(asProgram.Replace(string(text))))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages(t) {
		for _, block := range blocks(page, "go") {
			if !strings.Contains(compiled.String(), flat(block)) {
				t.Errorf("%s: no file has:\n%s", name, block)
			}
		}
	}
}

// flat returns code without its indentation, which may differ on a page.
func flat(code string) string {
	lines := strings.Split(strings.TrimSpace(code), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n") + "\n"
}

// The commands that the pages show exist.
func TestCommandsOfThePagesAreThere(t *testing.T) {
	flags := make(map[string]string) // the source of each program, by its directory
	for name, page := range pages(t) {
		for _, block := range blocks(page, "sh") {
			for _, run := range regexp.MustCompile(`(?:^|\n|&& )\s*go run (\./\S+)([^\n&]*)`).FindAllStringSubmatch(block, -1) {
				if flags[run[1]] == "" {
					files, _ := filepath.Glob(filepath.Join(root, run[1], "*.go"))
					for _, file := range files {
						text, err := os.ReadFile(file)
						if err != nil {
							t.Fatal(err)
						}
						flags[run[1]] += string(text)
					}
				}
				if flags[run[1]] == "" {
					t.Errorf("%s: there is no %s", name, run[1])
				}
				for _, flag := range regexp.MustCompile(` -([a-z-]+)`).FindAllStringSubmatch(run[2], -1) {
					if !strings.Contains(flags[run[1]], `"`+flag[1]+`"`) {
						t.Errorf("%s: %s has no flag -%s", name, run[1], flag[1])
					}
				}
			}
		}
	}
}

// The Go names on the pages, in backquotes and with a dot, are declared
// somewhere.
func TestNamesOfThePagesAreThere(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"*.go", "*/*.go", "adapters/*/*.go", "internal/guide/*_test.go"} {
		files, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	words := make(map[string]bool)
	for _, word := range regexp.MustCompile(`\w+`).FindAllString(source.String(), -1) {
		words[word] = true
	}
	for name, page := range pages(t) {
		page = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(page, "")
		for _, named := range regexp.MustCompile("`([a-zA-Z]\\w*(?:\\.[A-Z]\\w+)+)`").FindAllStringSubmatch(page, -1) {
			for part := range strings.SplitSeq(named[1], ".") {
				if !words[part] && !strings.HasPrefix(named[1], "fosite.") && !strings.HasPrefix(filepath.Base(name), "from-") {
					t.Errorf("%s names %s, but there is no %s", name, named[1], part)
				}
			}
		}
	}
}

func pages(t *testing.T) map[string]string {
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatal("there are no pages", err)
	}
	texts := make(map[string]string)
	for _, file := range append(files, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	return texts
}

// blocks returns the blocks of a page in a language.
func blocks(page, language string) []string {
	var all []string
	for _, rest := range strings.Split(page, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(rest, "\n```")
		all = append(all, block)
	}
	return all
}

// post registers, and returns the status and the body of the answer.
func post(handler http.Handler, token, body string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "https://id.example.com/connect/dcr", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// handler makes a handler with which caller registers, or ends the test.
func handler(t *testing.T, store dcr.ClientConfigurationStore, caller *dcr.Caller, opts dcr.Options) *dcr.Handler {
	t.Helper()
	opts.Endpoint = "https://id.example.com/connect/dcr"
	if opts.Caller == nil {
		opts.Caller = func(*http.Request) (*dcr.Caller, error) { return caller, nil }
	}
	h, err := dcr.NewHandler(store, &opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

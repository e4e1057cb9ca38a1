package sqlstore

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// TestStoredFormPage checks docs/stored-form.md against what is stored: its
// example is read and written back unchanged, its defaults are right, and it
// names every column.
func TestStoredFormPage(t *testing.T) {
	page, err := os.ReadFile("../docs/stored-form.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```json\n")
	example, _, _ := strings.Cut(rest, "```")
	client := &dcr.Client{}
	if err := client.UnmarshalJSON([]byte(example)); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, []byte(example)); err != nil {
		t.Fatal(err)
	}
	if got, err := client.MarshalJSON(); err != nil || string(got) != want.String() {
		t.Errorf("the example is stored as\n%s\nnot as\n%s", got, want.Bytes())
	}
	defaults := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| `?([^`|]+?)`? \\|").FindAllStringSubmatch(string(page), -1)
	for _, found := range defaults {
		name, value := found[1], found[2]
		if !json.Valid([]byte(value)) {
			continue // described in words
		}
		written, err := (func() ([]byte, error) {
			client := &dcr.Client{}
			if err := client.UnmarshalJSON([]byte(`{"client_id":"x","` + name + `":` + value + `}`)); err != nil {
				return nil, err
			}
			return client.MarshalJSON()
		})()
		if err != nil || string(written) != `{"client_id":"x","metadata":{}}` {
			t.Errorf("%s: the page says that %s is the default, but it is written: %s, %v", name, value, written, err)
		}
	}
	if len(defaults) < 10 {
		t.Errorf("found only %d defaults on the page", len(defaults))
	}
	for _, step := range Migrations(SQLite, nil) {
		for _, statement := range step.Statements {
			for _, column := range regexp.MustCompile(`(?:(?m)^\t|ADD COLUMN )([a-z_]+) `).FindAllStringSubmatch(statement, -1) {
				if !strings.Contains(string(page), "`"+column[1]+"`") && step.Name != "tokens" && step.Name != "seen" {
					t.Errorf("the page does not name the column %s", column[1])
				}
			}
		}
	}
}

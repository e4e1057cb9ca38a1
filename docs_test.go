package dcr_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

const storedForm = "docs/stored-form.md"

// tableRows are the rows of every table on a page that begin with a name in
// backticks, by that name; what a row that came earlier says stays.
func tableRows(page string) map[string][]string {
	rows := make(map[string][]string)
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		name := strings.Trim(cells[0], " `")
		if strings.HasPrefix(line, "| `") && rows[name] == nil {
			rows[name] = cells
		}
	}
	return rows
}

// section is what a page says under a heading.
func section(t *testing.T, page, heading string) string {
	_, text, found := strings.Cut(page, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("there is no section %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// jsonNames yields the fields of a struct that have a name in JSON.
func jsonNames(typ reflect.Type) map[string]int {
	names := make(map[string]int)
	for i := range typ.NumField() {
		if name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			names[name] = i
		}
	}
	return names
}

func TestStoredFormNamesEveryMember(t *testing.T) {
	page := section(t, read(t, storedForm), "The document")
	rows := tableRows(page)
	defaults := reflect.ValueOf(dcr.NewClient()).Elem()
	for name, i := range jsonNames(defaults.Type()) {
		row := rows[name]
		if len(row) < 3 {
			t.Errorf("the page does not describe %s", name)
			continue
		}
		if want, told := asDefault(t, defaults.Field(i).Interface()); told && name != "client_id" && strings.Trim(row[2], " `") != want {
			t.Errorf("%s: the page says that its default is %s, not %s", name, row[2], want)
		}
	}
	for name := range jsonNames(reflect.TypeFor[dcr.Metadata]()) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("the page does not name the metadata member %s", name)
		}
	}
	for name := range jsonNames(reflect.TypeFor[dcr.StatementRecord]()) {
		if !strings.Contains(rows["statement"][3], "`"+name+"`") {
			t.Errorf("the page does not name %s of a statement", name)
		}
	}
}

// asDefault writes a default as the page does; a time has none.
func asDefault(t *testing.T, value any) (text string, told bool) {
	switch value := value.(type) {
	case time.Time:
		return "", false
	case time.Duration:
		return asDefault(t, int64(value.Seconds()))
	case []string, []dcr.Secret:
		return "[]", reflect.ValueOf(value).IsNil()
	}
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), true
}

func TestStoredFormNamesEverySecretType(t *testing.T) {
	rows := tableRows(section(t, read(t, storedForm), "Secrets"))
	for _, name := range []string{dcr.SecretSHA256, dcr.SecretBcrypt, dcr.SecretArgon2id, dcr.SecretSealed, dcr.SecretJWK} {
		if rows[name] == nil {
			t.Errorf("the page does not describe secrets of the type %s", name)
		}
	}
}

func TestStoredFormHasTheColumns(t *testing.T) {
	rows := tableRows(section(t, read(t, storedForm), "The columns"))
	files, err := filepath.Glob("sqlstore/migrations/*.clients.sql")
	if err != nil || len(files) != 3 {
		t.Fatalf("the migrations are %q, %v", files, err)
	}
	column := regexp.MustCompile(`(?m)^\t([a-z_]+) +(text|longtext|varbinary|bigint|integer)`)
	for _, file := range files {
		columns := column.FindAllStringSubmatch(read(t, file), -1)
		for _, column := range columns {
			kind := "text"
			if strings.HasSuffix(column[2], "int") || column[2] == "integer" {
				kind = "integer"
			}
			if row := rows[column[1]]; len(row) < 3 || row[1] != kind {
				t.Errorf("%s: the page says %q of the column %s, which is a %s", file, row, column[1], kind)
			}
		}
		if len(columns) != len(rows) {
			t.Errorf("%s has %d columns, the page describes %d", file, len(columns), len(rows))
		}
	}
}

func TestStoredFormSampleIsOne(t *testing.T) {
	page := read(t, storedForm)
	_, sample, _ := strings.Cut(page, "```json\n")
	sample, _, _ = strings.Cut(sample, "```")
	client := &dcr.Client{}
	if err := json.Unmarshal([]byte(sample), client); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, []byte(sample)); err != nil {
		t.Fatal(err)
	}
	if form, err := client.MarshalJSON(); err != nil || string(form) != want.String() {
		t.Errorf("the sample is stored as\n%s, not\n%s; %v", form, &want, err)
	}
	secret := regexp.MustCompile("(?s)The secret of the document above is\\s+`([^`]+)`").FindStringSubmatch(page)
	if secret == nil || !client.VerifySecret(secret[1], time.Now()) {
		t.Errorf("%q is not the secret of the sample", secret)
	}
}

func TestImportingClientsIsTakenFromTheExample(t *testing.T) {
	example := read(t, "example_import_test.go")
	blocks := strings.Split(read(t, "docs/importing-clients.md"), "```go\n")[1:]
	if len(blocks) < 2 {
		t.Errorf("the page has %d Go blocks", len(blocks))
	}
	for _, block := range blocks {
		if code, _, _ := strings.Cut(block, "```"); !strings.Contains(example, code) {
			t.Errorf("the example does not have:\n%s", code)
		}
	}
}

func TestPagesLinkToWhatIsThere(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text := read(t, page)
		for _, link := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(text, -1) {
			if anchor, here := strings.CutPrefix(link[1], "#"); here {
				heading := regexp.MustCompile(`(?mi)^##+ ` + strings.ReplaceAll(anchor, "-", " ") + `\??$`)
				if !heading.MatchString(text) {
					t.Errorf("%s: no heading is called %s", page, anchor)
				}
			} else if _, err := os.Stat(filepath.Join("docs", link[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

package dcr_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// That its sample, its defaults and its columns are right is held by sqlstore.
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
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("there are no pages: %v", err)
	}
	for _, page := range pages {
		for _, link := range regexp.MustCompile(`\]\(([^):#]+)[^):]*\)`).FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join("docs", link[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/dynreg/dcr/internal/confusable"
)

func TestTheTableIsWhatIsGenerated(t *testing.T) {
	table, err := os.ReadFile("../../confusable/table.go")
	if err != nil || !bytes.Equal(table, source()) {
		t.Errorf("internal/confusable/table.go is not what go generate writes: %v", err)
	}
}

// A name looks the same in every normalization form and case.
func TestNormalFormsAndCaseDoNotCount(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) || !unicode.IsLetter(r) {
			continue
		}
		if strings.ContainsRune(norm.NFD.String(string(r)), '\u0345') {
			continue // an iota below the letter: it looks like a mark, and case folding makes it a letter
		}
		if strings.ContainsRune("\u037a\u03f2\u03f9", r) {
			continue // read as what they look like, an iota and the lunate sigmas; NFKC does not do that
		}
		own := confusable.Of(string(r))
		for form, text := range map[string]string{
			"NFD": norm.NFD.String(string(r)), "NFKC": norm.NFKC.String(string(r)), "case fold": cases.Fold().String(string(r)),
			"upper case": string(unicode.ToUpper(r)), "lower case": string(unicode.ToLower(r)),
		} {
			if !confusable.Of("a" + text + "b").Has(confusable.Of("a" + string(r) + "b")) {
				t.Errorf("%q: its %s, %q, looks like %+v and not %+v", r, form, text, confusable.Of(text), own)
			}
		}
	}
}

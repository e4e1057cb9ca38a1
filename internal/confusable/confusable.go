// Package confusable compares names as a reader would: UTS #39, for the Latin,
// Greek and Cyrillic scripts and characters that look like them.
package confusable

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:generate go run -C ../generate ./confusable ../confusable/table.go

// A Look is how a text looks to a reader who does not look closely: without
// marks and invisible characters, and regardless of the case, the script and
// the width of its letters.
type Look struct {
	written, lower, upper string
}

// Of returns the look of text. Its case is folded in three ways, since Cyrillic
// Н looks like a Latin letter and н does not. For ASCII, the three are the same.
func Of(text string) Look {
	written := skeleton(text)
	if isASCII(text) {
		return Look{written, written, written}
	}
	return Look{written: written, lower: skeleton(strings.ToLower(text)), upper: skeleton(strings.ToUpper(text))}
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// IsEmpty reports whether the text has nothing visible.
func (l Look) IsEmpty() bool { return l.written == "" }

// Has reports whether the text contains something that looks like part.
func (l Look) Has(part Look) bool {
	return strings.Contains(l.lower, part.lower) || strings.Contains(l.upper, part.upper) ||
		strings.Contains(l.written, part.written) || strings.Contains(l.written, part.lower) || strings.Contains(l.written, part.upper)
}

// Ignored reports whether r is invisible or a mark on another character, so
// that a name looks the same with any number of it.
func Ignored(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return false
	case unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return true
	case r == '\u3099', r == '\u309A': // marks that tell Japanese syllables apart
		return false
	}
	return unicode.In(r, unicode.Mn, unicode.Me) && unicode.In(r, unicode.Inherited, unicode.Cyrillic)
}

// skeleton replaces every character by what it looks like.
func skeleton(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	blank := false
	write := func(r rune) {
		switch {
		case unicode.IsSpace(r) || r == '\u2800': // a Braille pattern without dots
			blank = b.Len() > 0
			return
		case blank:
			b.WriteByte(' ')
			blank = false
		}
		switch r = unicode.ToLower(r); r {
		case 'i', '1', '|':
			r = 'l'
		case '0':
			r = 'o'
		case 'm':
			b.WriteByte('r')
			r = 'n'
		}
		b.WriteRune(r)
	}
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf: // the table has no ASCII
			write(r)
			continue
		case Ignored(r):
			continue
		}
		like, known := table()[r]
		if !known {
			write(r)
			continue
		}
		for _, part := range looks[like] {
			write(part)
		}
	}
	return b.String()
}

const _ = uint16(len(looks)) // every place fits

// table maps each character that looks like another one to the place of that look in
// looks: a large map without pointers costs the garbage collector nothing.
var table = sync.OnceValue(func() map[rune]uint16 {
	known := make(map[rune]uint16)
	for i := 0; i < len(looks); i += 2 {
		for _, r := range looks[i+1] {
			known[r] = uint16(i)
		}
	}
	return known
})

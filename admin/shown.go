package admin

// How the pages show texts that strangers chose, and times.

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// longest is how many bytes of a text are shown.
const longest = 2000

// shown returns a text with JSON escapes for invisible characters, such as those that
// reverse the direction of text, and for marks that would cover the lines around it.
func shown(value any) string { return escaped(fmt.Sprint(value), longest) }

// short is shown, for a text in a line with others.
func short(value any) string { return escaped(fmt.Sprint(value), 100) }

func escaped(value string, most int) string {
	var text strings.Builder
	marks := 0
	for i, r := range value {
		if i >= most {
			return fmt.Sprintf("%s… and %d bytes more", text.String(), len(value)-i)
		}
		if marks++; !unicode.In(r, unicode.Mn, unicode.Me) {
			marks = 0
		}
		if isSeen(r) && marks <= 4 {
			text.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&text, `\u%04x`, unit)
		}
	}
	return text.String()
}

// isSeen reports whether a character is visible, or is a space.
func isSeen(r rune) bool {
	return r != utf8.RuneError && unicode.IsPrint(r) && r != '\u2800' &&
		!unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// moment returns a time to the minute, "never" for the zero time.
func moment(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format("2006-01-02 15:04 UTC")
}

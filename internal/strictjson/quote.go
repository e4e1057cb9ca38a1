package strictjson

// Strings, and what is made of them, in and out of their JSON form: RFC 8259 section 7.

import (
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// AppendString appends s as a JSON string to dst, byte for byte as
// encoding/json writes it: <, > and & are escaped, so that the text is harmless
// inside HTML, U+2028 and U+2029 are escaped for JavaScript, and invalid UTF-8
// is replaced by U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0 // of what is not yet copied
	for i := verbatim(s); i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		i += size
		if mustEscape(r) || r == utf8.RuneError && size == 1 {
			dst = append(dst, s[start:i-size]...)
			dst = appendEscaped(dst, r)
			start = i
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// AppendStrings appends a list of strings as a JSON array to dst.
func AppendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, item := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, item)
	}
	return append(dst, ']')
}

// AppendSeconds appends d as a JSON number of seconds to dst; with a fraction only if d
// has one.
func AppendSeconds(dst []byte, d time.Duration) []byte {
	if d%time.Second == 0 {
		return strconv.AppendInt(dst, int64(d/time.Second), 10)
	}
	return strconv.AppendFloat(dst, d.Seconds(), 'f', -1, 64)
}

// harmless marks the ASCII characters that need no escape.
var harmless = marks(func(c byte) bool { return c < utf8.RuneSelf && !mustEscape(rune(c)) })

// marks is a table of bytes: 1 for those that are marked, 0 for the others.
func marks(marked func(c byte) bool) (t [256]byte) {
	for c := range t {
		if marked(byte(c)) {
			t[c] = 1
		}
	}
	return t
}

// verbatim returns how many ASCII characters at the start of s need no escape.
func verbatim(s string) int { return prefix(s, &harmless) }

// prefix returns how many characters at the start of s are marked. It looks up several at
// once, since most texts are marked throughout.
func prefix(s string, marked *[256]byte) int {
	i := 0
	for ; len(s)-i >= 4; i += 4 {
		if t := s[i : i+4]; marked[t[0]]&marked[t[1]]&marked[t[2]]&marked[t[3]] == 0 {
			break
		}
	}
	for i < len(s) && marked[s[i]] != 0 {
		i++
	}
	return i
}

func mustEscape(r rune) bool {
	switch r {
	case '"', '\\', '<', '>', '&', '\u2028', '\u2029':
		return true
	}
	return r < ' '
}

// appendEscaped appends the escape of a character below U+10000.
func appendEscaped(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// appendUnescaped appends inner without its escapes. inner is the text between
// the quotes of a valid string without lone surrogates.
func appendUnescaped(dst []byte, inner string) []byte {
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			dst = append(dst, inner[i])
			continue
		}
		i++
		switch c := inner[i]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := codeUnit(inner[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				r = utf16.DecodeRune(r, codeUnit(inner[i+3:]))
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// unescaped returns inner without its escapes.
func unescaped(inner string) string {
	return string(appendUnescaped(make([]byte, 0, len(inner)), inner))
}

// codeUnit returns the value of the four hexadecimal digits at the start of b.
func codeUnit(b string) rune {
	return unhex(b[0])<<12 | unhex(b[1])<<8 | unhex(b[2])<<4 | unhex(b[3])
}

// plain marks the printable ASCII characters that stand for themselves.
var plain = marks(func(c byte) bool { return ' ' <= c && c < 0x7f && c != '"' && c != '\\' })

// plainPrefix returns how many characters at the start of s are plain.
func plainPrefix(s string) int { return prefix(s, &plain) }

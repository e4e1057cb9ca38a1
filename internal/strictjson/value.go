package strictjson

// The values of RFC 8259 section 3, read as the types that RFC 7591 section 2
// and its extensions use: strings, lists of strings, integers and booleans, and
// objects and arrays for callers that look deeper.

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is what a JSON value is.
type Kind byte

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Value is one syntactically valid JSON value without white space around it, as
// ReadObject passes it on. No method panics on a Value from elsewhere.
type Value string

// Kind returns the value's kind, going by its first byte.
func (v Value) Kind() Kind {
	if len(v) == 0 {
		return Null
	}
	switch v[0] {
	case '"':
		return String
	case '{':
		return Object
	case '[':
		return Array
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	}
	return Number
}

// Text returns the string that v is. It refuses control characters (C0, C1 and
// DEL), escaped or not: metadata has no use for them, and they can be an attack
// on a program that prints it.
func (v Value) Text() (string, error) { return v.textOf(nil) }

// Line is like Text, without a line break at the end, which forms and shells
// leave there.
func (v Value) Line() (string, error) {
	return v.textOf(func(text string) string {
		return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	})
}

// Spaced is like Text, with tabs and line breaks replaced by spaces.
func (v Value) Spaced() (string, error) { return v.textOf(spaces.Replace) }

var spaces = strings.NewReplacer("\t", " ", "\r", " ", "\n", " ")

// textOf returns the string that v is. If clean is not nil, the string is cleaned
// before it is checked.
func (v Value) textOf(clean func(string) string) (string, error) {
	if v.Kind() != String {
		return "", fail("must be a JSON string")
	}
	end := 1 + plainPrefix(string(v[1:]))
	if end == len(v)-1 && v[end] == '"' {
		return string(v[1:end]), nil
	}
	return v.unusualText(clean)
}

// unusualText is textOf for strings with more than plain characters in them.
func (v Value) unusualText(clean func(string) string) (string, error) {
	s := &scanner{data: string(v)}
	inner, escaped, err := s.text()
	switch {
	case err != nil && !err.(*Error).whole:
		return "", err
	case err != nil || s.pos != len(v):
		return "", fail("must be a JSON string")
	case !utf8.ValidString(inner):
		return "", fail("must be valid UTF-8")
	}
	text := inner
	if escaped {
		text = unescaped(inner)
	}
	if clean != nil {
		text = clean(text)
	}
	for _, r := range text {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return "", fail("must not contain control characters")
		}
	}
	return text, nil
}

// Texts returns the strings of the array that v is. None may be empty or null.
func (v Value) Texts() ([]string, error) { return v.texts(false) }

// TextsNotBlank is like Texts, and leaves out strings that are empty or only
// white space.
func (v Value) TextsNotBlank() ([]string, error) { return v.texts(true) }

func (v Value) texts(dropBlank bool) ([]string, error) {
	if v.Kind() != Array {
		return nil, fail("must be a JSON array of strings")
	}
	texts := make([]string, 0, 4)
	s := &scanner{data: string(v), pos: 1, lim: validated}
	for i := 0; ; i++ {
		more, err := s.more(i, ']')
		if err != nil {
			return nil, err
		}
		if !more {
			return texts, nil
		}
		text, err := s.element(dropBlank)
		if err != nil {
			return nil, inElement(i, err)
		}
		if !dropBlank || strings.TrimSpace(text) != "" {
			texts = append(texts, text)
		}
	}
}

// element reads an element of an array of strings.
func (s *scanner) element(mayBeEmpty bool) (string, error) {
	start := s.pos
	text, plain := s.plainText()
	if plain && (text != "" || mayBeEmpty) {
		return text, nil
	}
	if !plain {
		if err := s.value(maxDepth); err != nil {
			return "", err
		}
		if value := s.since(start); value.Kind() == String {
			return value.Text()
		}
	}
	return "", fail("must be a non-empty JSON string")
}

// Int returns the integer that v is, even if it is written as 3600.0 or 36e2,
// as serializers of decimal numbers do.
func (v Value) Int() (int64, error) {
	s := &scanner{data: string(v)}
	if s.number() != nil || s.pos != len(v) {
		return 0, fail("must be a JSON integer")
	}
	text := string(v)
	if strings.ContainsAny(text, ".eE") {
		var whole bool
		if text, whole = plainInteger(text); !whole {
			return 0, fail("must be a JSON integer")
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fail("must be a JSON integer of at most 64 bits")
	}
	return n, nil
}

// maxDigits is one more than any integer of 64 bits has.
const maxDigits = 20

// plainInteger writes a number with a fraction or an exponent as an integer. It
// stops after maxDigits digits.
func plainInteger(number string) (text string, whole bool) {
	digits, power, _ := strings.Cut(strings.ToLower(number), "e")
	digits, negative := strings.CutPrefix(digits, "-")
	before, after, _ := strings.Cut(digits, ".")
	exponent, err := strconv.Atoi(power)
	if power != "" && err != nil {
		exponent = math.MaxInt32 // or its negative
		if power[0] == '-' {
			exponent = -math.MaxInt32
		}
	}
	exponent -= len(after)
	digits = strings.TrimLeft(before+after, "0")
	significant := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(significant)
	switch {
	case significant == "":
		return "0", true
	case exponent < 0:
		return "", false
	}
	text = significant + strings.Repeat("0", min(exponent, maxDigits))
	if negative {
		text = "-" + text
	}
	return text, true
}

// Bool returns the boolean that v is.
func (v Value) Bool() (bool, error) {
	switch v {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fail("must be true or false")
}

// validated are the limits for values that ReadObject has already checked.
var validated = Limits{Members: math.MaxInt, Depth: maxDepth}

// Members calls member for each member of the object that v is, as ReadObject
// does. It checks no limits, since ReadObject has checked them.
func (v Value) Members(member func(name string, value Value) error) error {
	if v.Kind() != Object {
		return fail("must be a JSON object")
	}
	s := &scanner{data: string(v), lim: validated}
	return s.object(maxDepth, nil, member)
}

// Elements calls element for each element of the array that v is. An error from
// element stops the reading and is returned unchanged.
func (v Value) Elements(element func(i int, value Value) error) error {
	if v.Kind() != Array {
		return fail("must be a JSON array")
	}
	s := &scanner{data: string(v), lim: validated}
	return s.array(maxDepth, nil, element)
}

// Objects is like Elements for an array of objects, and reads them in the same
// pass. It calls within with the index of each object; the Member that within
// returns takes its members.
func (v Value) Objects(within func(i int) Member) error {
	if v.Kind() != Array {
		return fail("must be a JSON array")
	}
	s := &scanner{data: string(v), lim: validated}
	return s.array(maxDepth, within, nil)
}

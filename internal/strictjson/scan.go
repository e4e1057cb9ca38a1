package strictjson

// The grammar of RFC 8259 section 2 and following, and the rules that I-JSON
// (RFC 7493 section 2) adds: UTF-8, no lone surrogates, no duplicate names.

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A scanner walks through one text. Its methods expect pos at the first byte of
// what they read and leave it after the last.
type scanner struct {
	data string
	pos  int
	lim  Limits
}

// begin checks the text as a whole, and moves to the outermost object.
func (s *scanner) begin() error {
	if strings.HasPrefix(s.data, "\xef\xbb\xbf") {
		return whole("must not begin with a byte order mark")
	}
	if !utf8.ValidString(s.data) {
		return whole("must be valid UTF-8")
	}
	if s.space(); s.peek() != '{' {
		return whole("must be a JSON object")
	}
	return nil
}

func (s *scanner) value(depth int) error {
	switch c := s.peek(); c {
	case '"':
		_, _, err := s.text()
		return err
	case '{':
		return s.object(depth, nil, nil)
	case '[':
		return s.array(depth, nil, nil)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *scanner) object(depth int, within func(name string) Member, member Member) error {
	if depth <= 0 {
		return s.tooDeep()
	}
	s.pos++
	var seen names
	for n := 0; ; n++ {
		more, err := s.more(n, '}')
		if err != nil || !more {
			return err
		}
		if n >= s.lim.Members {
			return fail("must not have more than " + strconv.Itoa(s.lim.Members) + " members")
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		if !seen.add(name) {
			return In(name, fail("must not appear twice"))
		}
		var inner Member
		if within != nil {
			inner = within(name)
		}
		start := s.pos
		switch {
		case inner == nil:
			err = s.value(depth - 1)
		case s.peek() == '{':
			err = s.object(depth-1, nil, inner)
		default:
			err = fail("must be a JSON object")
		}
		if err != nil {
			return In(name, err)
		}
		if member != nil && inner == nil {
			if err := member(name, s.since(start)); err != nil {
				return err
			}
		}
	}
}

func (s *scanner) array(depth int, within func(i int) Member, element func(i int, value Value) error) error {
	if depth <= 0 {
		return s.tooDeep()
	}
	s.pos++
	for i := 0; ; i++ {
		more, err := s.more(i, ']')
		if err != nil || !more {
			return err
		}
		start := s.pos
		switch {
		case within == nil:
			err = s.value(depth - 1)
		case s.peek() == '{':
			err = s.object(depth-1, nil, within(i))
		default:
			err = fail("must be a JSON object")
		}
		if err != nil {
			return inElement(i, err)
		}
		if element != nil {
			if err := element(i, s.since(start)); err != nil {
				return err
			}
		}
	}
}

// more reports whether another member or element follows the first n, and moves
// to it.
func (s *scanner) more(n int, end byte) (bool, error) {
	s.space()
	switch c := s.peek(); {
	case c == end:
		s.pos++
		return false, nil
	case n == 0:
		return true, nil
	case c == ',':
		s.pos++
		s.space()
		return true, nil
	}
	return false, s.unexpected()
}

// name reads a member's name and the colon after it, and moves to the value.
func (s *scanner) name() (string, error) {
	if s.peek() != '"' {
		return "", s.unexpected()
	}
	name, escaped, err := s.text()
	if err != nil {
		return "", In("", err) // a name that cannot be read cannot be shown
	}
	if escaped {
		name = unescaped(name)
	}
	if s.space(); s.peek() != ':' {
		return "", s.unexpected()
	}
	s.pos++
	s.space()
	return name, nil
}

// names are the names of one object. The first few are compared one by one,
// which is quicker than a map. As their number is bounded, the time still grows
// only with the length of the text.
type names struct {
	few  [32]string
	n    int
	rest map[string]struct{}
}

// add reports whether name is new, and notes it.
func (s *names) add(name string) bool {
	for _, other := range s.few[:s.n] {
		if name == other {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	if _, ok := s.rest[name]; ok {
		return false
	}
	if s.rest == nil {
		s.rest = make(map[string]struct{})
	}
	s.rest[name] = struct{}{}
	return true
}

// text reads a string. It returns what is between the quotes, and whether that
// has escapes.
func (s *scanner) text() (inner string, escaped bool, err error) {
	s.pos++
	start := s.pos
	for ; s.pos < len(s.data); s.pos++ {
		s.pos += plainPrefix(s.data[s.pos:])
		switch c := s.peek(); {
		case c == '"':
			inner = s.data[start:s.pos]
			s.pos++
			return inner, escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return "", false, err
			}
		case c < ' ': // or the end of the text
			return "", false, s.unexpected()
		}
	}
	return "", false, s.unexpected()
}

// plainText reads a string that has only plain characters. It leaves any other
// value unread.
func (s *scanner) plainText() (text string, ok bool) {
	if s.peek() != '"' {
		return "", false
	}
	rest := s.data[s.pos+1:]
	end := plainPrefix(rest)
	if end == len(rest) || rest[end] != '"' {
		return "", false
	}
	s.pos += end + len(`""`)
	return rest[:end], true
}

// escape reads an escape in a string, or a whole surrogate pair, up to its last
// byte.
func (s *scanner) escape() error {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
	default:
		return s.unexpected()
	}
	unit, err := s.codeUnit()
	if err != nil || unit < 0xd800 || unit > 0xdfff {
		return err
	}
	if unit > 0xdbff || !strings.HasPrefix(s.data[s.pos+1:], `\u`) {
		return fail("must not contain a lone surrogate")
	}
	s.pos += 2
	if unit, err = s.codeUnit(); err == nil && unit>>10 != 0xdc00>>10 {
		return fail("must not contain a lone surrogate")
	}
	return err
}

// codeUnit reads the four digits after a u, up to the last of them.
func (s *scanner) codeUnit() (unit rune, err error) {
	for range 4 {
		s.pos++
		digit := unhex(s.peek())
		if digit < 0 {
			return 0, s.unexpected()
		}
		unit = unit<<4 | digit
	}
	return unit, nil
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.peek() == '.' {
		s.pos++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		return s.digits()
	}
	return nil
}

func (s *scanner) digits() error {
	start := s.pos
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.pos++
	}
	if s.pos == start {
		return s.unexpected()
	}
	return nil
}

func (s *scanner) literal(word string) error {
	for i := range len(word) {
		if s.peek() != word[i] {
			return s.unexpected()
		}
		s.pos++
	}
	return nil
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the byte at pos. At the end of the text it returns a NUL, which
// is not valid anywhere in a text.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

// since returns the value that began at start.
func (s *scanner) since(start int) Value { return Value(s.data[start:s.pos]) }

func (s *scanner) unexpected() error {
	if s.pos >= len(s.data) {
		return whole("must be valid JSON: it ends too early")
	}
	return whole("must be valid JSON: unexpected character at offset " + strconv.Itoa(s.pos))
}

func (s *scanner) tooDeep() error {
	return whole("must not be nested more than " + strconv.Itoa(min(s.lim.Depth, maxDepth)) + " levels deep")
}

// inElement says that err is about a value inside the array's element i.
func inElement(i int, err error) error {
	e, ok := err.(*Error)
	if !ok || e.whole {
		return err
	}
	return &Error{Path: join("["+strconv.Itoa(i)+"]", e.Path), Reason: e.Reason}
}

// unhex returns the value of a hexadecimal digit, -1 for any other byte.
func unhex(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}

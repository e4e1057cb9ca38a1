// Package strictjson reads JSON texts from strangers: RFC 8259, with the
// strictness of I-JSON (RFC 7493 section 2).
//
// JSON parsers disagree about duplicate members, lone surrogates, invalid
// UTF-8, byte order marks and deep nesting, and what two parsers read
// differently is how a request slips past the one that judges it. A text with
// any of these is therefore refused as a whole, wherever in it they stand.
// Nothing here reflects, and a value stays a piece of the text that it came in
// until someone asks what it is.
package strictjson

import "strings"

// Limits bound what one text may hold. Both must be positive: a zero limit
// admits nothing.
type Limits struct {
	Members int // in any one object
	Depth   int // of objects and arrays within each other, the outermost counted; more than 10,000 counts as 10,000
}

// maxDepth is where encoding/json gives up too; it keeps the stack small
// whatever limit a host sets.
const maxDepth = 10_000

// ReadObject validates data, which must be one JSON object and nothing else,
// in one pass, and calls member for each of its members in order, with the
// unescaped name. An error of member ends the reading and is returned as it
// is; every other error is an *Error. The text behind a member is judged after
// the call, so what member collected counts only once ReadObject returned nil.
//
// The names, the values and their texts are parts of one copy of data. To keep
// one of them for long, and little else of data, clone it.
func ReadObject(data []byte, lim Limits, member Member) error {
	return ReadObjects(data, lim, nil, member)
}

// Member takes a member of an object.
type Member = func(name string, value Value) error

// ReadObjects is ReadObject where the values of some members must be objects, which
// are read in the same pass: those for which within, called with their name,
// returns who takes their members. They are not handed to member.
func ReadObjects(data []byte, lim Limits, within func(name string) Member, member Member) error {
	s := scanner{data: string(data), lim: lim}
	if err := s.begin(); err != nil {
		return err
	}
	if err := s.object(min(lim.Depth, maxDepth), within, member); err != nil {
		return err
	}
	if s.space(); s.pos < len(s.data) {
		return whole("must not have anything after its JSON object")
	}
	return nil
}

// Error says what is wrong with a text or a value. It is printable ASCII of
// bounded length, whatever was sent: fit to be shown to the sender.
type Error struct {
	Path   string // the member it is about, as in redirect_uris[1]; empty for the whole text or value
	Reason string // as in "must be a JSON string"

	whole bool // about the whole text, however deep it was found
}

func (e *Error) Error() string {
	if e.Path == "" {
		return "the body " + e.Reason
	}
	return e.Path + " " + e.Reason
}

func fail(reason string) *Error  { return &Error{Reason: reason} }
func whole(reason string) *Error { return &Error{Reason: reason, whole: true} }

// In says that err is about a value inside the member called name: an *Error's
// Path is then seen from outside that member. Any other error is returned as
// it is.
func In(name string, err error) error {
	e, ok := err.(*Error)
	if !ok || e.whole {
		return err
	}
	return &Error{Path: join(label(name), e.Path), Reason: e.Reason}
}

const (
	unnamed   = "a member" // stands for a name that is not fit to be shown
	unnamedOf = unnamed + " of "
	maxPath   = 160 // a longer path loses its inner end
)

// join puts an outer path before an inner one.
func join(outer, inner string) string {
	within, hidden := strings.CutPrefix(inner, unnamedOf)
	switch {
	case inner == "" || outer == unnamed || len(outer)+len(inner) > maxPath:
		return outer
	case inner == unnamed:
		return unnamedOf + outer
	case hidden:
		return unnamedOf + join(outer, within)
	case inner[0] == '[':
		return outer + inner
	}
	return outer + "." + inner
}

// label is a member's name as an error may show it. Anything could be in a
// name, so only what looks like one is.
func label(name string) string {
	if name == "" || len(name) > 64 {
		return unnamed
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '.', c == ':', c == '#', c == '-':
		default:
			return unnamed
		}
	}
	return name
}

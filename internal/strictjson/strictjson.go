// Package strictjson reads JSON texts from strangers: RFC 8259, with the
// strictness of I-JSON (RFC 7493 section 2).
//
// JSON parsers disagree about duplicate members, lone surrogates, invalid
// UTF-8, byte order marks and deep nesting. If two parsers read a request
// differently, it may pass the check of one and mean something else to the
// other. A text that has any of these is therefore refused as a whole. The
// package uses no reflection, and a value stays a piece of its text until a
// caller asks what it is.
package strictjson

import "strings"

// Limits bound one text. Both must be positive: a zero limit allows nothing.
type Limits struct {
	Members int // in any one object
	Depth   int // of nested objects and arrays, including the outermost; more than 10,000 counts as 10,000
}

// maxDepth is the limit of encoding/json too. It keeps the stack small,
// whatever limit a host sets.
const maxDepth = 10_000

// ReadObject validates data, which must be one JSON object and nothing else, in
// one pass, and calls member for each of its members in order, with the
// unescaped name. An error from member stops the reading and is returned
// unchanged; every other error is an *Error. The text after a member is checked
// after the call, so use what member collected only if ReadObject returns nil.
//
// The names, the values and their texts are parts of data or, if that is not a
// string, of one copy of it. Clone one if you keep it longer than the rest.
func ReadObject[Text string | []byte](data Text, lim Limits, member Member) error {
	return ReadObjects(data, lim, nil, member)
}

// Member takes a member of an object.
type Member = func(name string, value Value) error

// ReadObjects is like ReadObject, and reads some members, whose values must be
// objects, in the same pass. It calls within with the name of each member; if
// within returns a Member, that takes the members of the object, and member is not
// called for it.
func ReadObjects[Text string | []byte](data Text, lim Limits, within func(name string) Member, member Member) error {
	s := &scanner{data: string(data), lim: lim}
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
// bounded length, whatever was sent, so it can be shown to the sender.
type Error struct {
	Path   string // the member it is about, as in redirect_uris[1]; empty for the whole text or value
	Reason string // as in "must be a JSON string"

	whole bool // about the whole text, wherever it was found
}

func (e *Error) Error() string {
	if e.Path == "" {
		return "the body " + e.Reason
	}
	return e.Path + " " + e.Reason
}

func fail(reason string) *Error  { return &Error{Reason: reason} }
func whole(reason string) *Error { return &Error{Reason: reason, whole: true} }

// In says that err is about a value inside the named member: it puts name
// before the Path of an *Error. It returns any other error unchanged.
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

// label returns a member's name as an error may show it. A name can contain
// anything, so only names of the usual form are shown.
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

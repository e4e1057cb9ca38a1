// Package record describes a struct once, by the json tags of its fields, and
// derives from that one description how each field is written as JSON, read,
// copied and compared. Metadata, Capabilities and the stored form of a client
// are such structs; adding a member to one of them is adding a field.
//
// Every registration goes over every field several times. For speed, fields are
// therefore accessed by their offset, which package reflect gives at the start,
// and not through package reflect. The types ensure that a field of one struct
// is never used with another.
package record

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/dynreg/dcr/internal/strictjson"
)

// Kind is the JSON shape of a field.
type Kind uint8

// The kinds of field a record may have.
const (
	String   Kind = iota // string, or a named string
	Strings              // []string
	Bool                 // bool
	Int                  // *int64
	Raw                  // json.RawMessage, kept byte for byte
	Duration             // time.Duration, in JSON a number of seconds
	Time                 // time.Time, in JSON an RFC 3339 string
	Record               // a pointer to a struct that is a record itself, unset members left out
	Records              // a slice of such structs
	Other                // anything else, by encoding/json
)

// Field is one member of the struct T.
type Field[T any] struct{ field }

// field describes a member, whatever its struct.
type field struct {
	Name  string            // the JSON member's name
	Kind  Kind              // its shape
	Tag   reflect.StructTag // its other tags
	Index int               // its place in the struct
	Place int               // its place in Table.Fields

	key    string // Name as JSON, with the colon
	typ    reflect.Type
	offset uintptr
	inner  []field // of a Record, or of the elements of Records
	stride uintptr // from one element of Records to the next
	rest   *field  // of the same, the members that no field describes; nil if they are not kept
}

// Table is the description of the struct T: its fields that have a json tag, in
// order, and an index by name.
type Table[T any] struct {
	Fields []Field[T]
	bySize [][]int  // the places of the fields by the length of their names, which is quicker than a map
	shared []*field // those that a copied struct shares with the original, except lists of strings and records
	lists  []*field // the fields of kind Strings

	words  []mark[uintptr] // of the fields that are set if a certain word of theirs is not zero
	flags  []mark[bool]    // of the booleans
	others []*field        // the other ones
}

// Describe returns the description of T, which must be a struct.
func Describe[T any]() *Table[T] {
	table := &Table[T]{}
	for i, f := range describe(reflect.TypeFor[T]()) {
		for len(table.bySize) <= len(f.Name) {
			table.bySize = append(table.bySize, nil)
		}
		table.bySize[len(f.Name)] = append(table.bySize[len(f.Name)], i)
		table.Fields = append(table.Fields, Field[T]{f})
	}
	for i := range table.Fields {
		f := &table.Fields[i]
		switch f.Kind {
		case Strings:
			table.lists = append(table.lists, &f.field)
		case Int, Raw:
			table.shared = append(table.shared, &f.field)
		}
		table.addMark(&f.field)
	}
	return table
}

func describe(typ reflect.Type) (fields []field) {
	for i := range typ.NumField() {
		line := typ.Field(i)
		name, _, _ := strings.Cut(line.Tag.Get("json"), ",")
		if name == "" || name == "-" || !line.IsExported() {
			continue
		}
		f := field{
			Name: name, Kind: kindOf(line.Type), Tag: line.Tag, Index: i, Place: len(fields),
			key: string(strictjson.AppendString(nil, name)) + ":", typ: line.Type, offset: line.Offset,
		}
		if f.Kind == Record || f.Kind == Records {
			f.inner, f.stride = describe(line.Type.Elem()), line.Type.Elem().Size()
			f.rest = restOf(line.Type.Elem())
		}
		fields = append(fields, f)
	}
	return fields
}

// Rest keeps, in a struct of a field of kind Record or Records, the members that no field
// of the struct describes, as they are in JSON, each after a comma. It is a string, so that
// the structs can be compared with ==.
type Rest string

// restOf returns the field of a struct that has the type Rest, nil if there is none.
func restOf(typ reflect.Type) *field {
	for i := range typ.NumField() {
		if line := typ.Field(i); line.Type == reflect.TypeFor[Rest]() {
			return &field{typ: line.Type, offset: line.Offset}
		}
	}
	return nil
}

// Add adds a member.
func (r *Rest) Add(name string, value strictjson.Value) {
	text := append(strictjson.AppendString(append([]byte(*r), ','), name), ':')
	*r = Rest(append(text, value...))
}

// Append writes the members to the end of dst, which is an object without its last brace.
func (r Rest) Append(dst []byte) []byte {
	if r != "" && dst[len(dst)-1] == '{' {
		r = r[1:]
	}
	return append(dst, r...)
}

func kindOf(typ reflect.Type) Kind {
	switch {
	case typ == reflect.TypeFor[time.Duration]():
		return Duration
	case typ == reflect.TypeFor[time.Time]():
		return Time
	case typ == reflect.TypeFor[json.RawMessage]():
		return Raw
	case typ == reflect.TypeFor[*int64]():
		return Int
	case typ == reflect.TypeFor[[]string]():
		return Strings
	case typ.Kind() == reflect.String:
		return String
	case typ.Kind() == reflect.Bool:
		return Bool
	case typ.Kind() == reflect.Pointer && typ.Elem().Kind() == reflect.Struct:
		return Record
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct:
		return Records
	}
	return Other
}

// Find returns the index in Fields of the member called name.
func (t *Table[T]) Find(name string) (int, bool) {
	if len(name) < len(t.bySize) {
		for _, i := range t.bySize[len(name)] {
			if t.Fields[i].Name == name {
				return i, true
			}
		}
	}
	return 0, false
}

// Unshare makes a struct that was copied by assignment share nothing with the original in
// its fields of the kinds Strings, Int and Raw. The caller must copy those of the kinds
// Record, Records and Other. The lists of strings become parts of one array, each without
// spare capacity.
func (t *Table[T]) Unshare(record *T) {
	own, count := unsafe.Pointer(record), 0
	for _, f := range t.lists {
		count += len(*at[[]string](f, own))
	}
	all := make([]string, 0, count)
	for _, f := range t.lists {
		list := at[[]string](f, own)
		if start := len(all); len(*list) > 0 {
			all = append(all, *list...)
			*list = all[start:]
		}
		*list = slices.Clip(*list)
	}
	for _, f := range t.shared {
		if !f.isZero(own) {
			f.copy(own, own)
		}
	}
}

// maxShared is the most memory that the strings and lists of a copy share, in bytes.
const maxShared = 1024

// Copy makes the fields of dst that are in the set equal to those of src. The two share only
// what a field of kind Record, Records or Other points to. Strings are copied too, since those
// of src may be parts of a large one. If they are small, those of dst share one array, as do
// its lists; otherwise each has its own, so that keeping one does not keep all.
func (t *Table[T]) Copy(dst, src *T, fields Set) {
	to, from := unsafe.Pointer(dst), unsafe.Pointer(src)
	size, items := 0, 0
	for i := range fields.Places() {
		switch f := &t.Fields[i].field; f.Kind {
		case String:
			size += len(*at[string](f, from))
		case Strings:
			for _, text := range *at[[]string](f, from) {
				size += len(text)
				items++
			}
		}
	}
	if size+items*int(unsafe.Sizeof("")) > maxShared {
		for i := range fields.Places() {
			t.Fields[i].copy(to, from)
		}
		return
	}
	var texts strings.Builder
	texts.Grow(size)
	own := func(text string) string {
		texts.WriteString(text)
		return texts.String()[texts.Len()-len(text):]
	}
	all := make([]string, 0, items)
	for i := range fields.Places() {
		switch f := &t.Fields[i].field; f.Kind {
		case String:
			*at[string](f, to) = own(*at[string](f, from))
		case Strings:
			list := *at[[]string](f, from)
			start := len(all)
			for _, text := range list {
				all = append(all, own(text))
			}
			if list != nil {
				list = slices.Clip(all[start:])
			}
			*at[[]string](f, to) = list
		default:
			f.copy(to, from)
		}
	}
}

// Clip removes the spare capacity of every list of strings, so that appending
// to a list of a copied struct does not write into the original.
func (t *Table[T]) Clip(record *T) {
	for _, f := range t.lists {
		list := at[[]string](f, unsafe.Pointer(record))
		*list = slices.Clip(*list)
	}
}

// IsZero reports whether the field is unset. An empty list counts as set,
// unlike nil.
func (f *Field[T]) IsZero(record *T) bool { return f.isZero(unsafe.Pointer(record)) }

// Clear unsets the field.
func (f *Field[T]) Clear(record *T) { f.value(unsafe.Pointer(record)).SetZero() }

// Text returns a String field.
func (f *Field[T]) Text(record *T) string { return *f.TextAt(record) }

// SetText sets a String field.
func (f *Field[T]) SetText(record *T, text string) { *f.TextAt(record) = text }

// TextAt returns a pointer to a String field.
func (f *Field[T]) TextAt(record *T) *string { return at[string](&f.field, unsafe.Pointer(record)) }

// List returns a Strings field; it is shared, not copied.
func (f *Field[T]) List(record *T) []string { return *f.ListAt(record) }

// ListAt returns a pointer to a Strings field.
func (f *Field[T]) ListAt(record *T) *[]string {
	return at[[]string](&f.field, unsafe.Pointer(record))
}

// Copy makes the field of dst equal to that of src. The two share only what a field of
// kind Record, Records or Other points to. Strings are copied too, since those of src
// may be parts of a large one.
func (f *Field[T]) Copy(dst, src *T) { f.copy(unsafe.Pointer(dst), unsafe.Pointer(src)) }

// Equal reports whether the field has the same value in both records.
func (f *Field[T]) Equal(a, b *T) bool { return f.equal(unsafe.Pointer(a), unsafe.Pointer(b)) }

// at returns a pointer to the field in the record; V is the type that f.Kind
// says it has.
func at[V any](f *field, record unsafe.Pointer) *V { return (*V)(unsafe.Add(record, f.offset)) }

// elements returns a pointer to the first element of a Records field, and how
// many there are; the header of a slice is the same for all types.
func (f *field) elements(record unsafe.Pointer) (first unsafe.Pointer, count int) {
	list := *at[[]struct{}](f, record)
	return unsafe.Pointer(unsafe.SliceData(list)), len(list)
}

// value returns the field for package reflect.
func (f *field) value(record unsafe.Pointer) reflect.Value {
	return reflect.NewAt(f.typ, unsafe.Add(record, f.offset)).Elem()
}

func (f *field) isZero(record unsafe.Pointer) bool {
	switch f.Kind {
	case String:
		return *at[string](f, record) == ""
	case Strings:
		return *at[[]string](f, record) == nil
	case Bool:
		return !*at[bool](f, record)
	case Int:
		return *at[*int64](f, record) == nil
	case Raw:
		return *at[json.RawMessage](f, record) == nil
	case Duration:
		return *at[time.Duration](f, record) == 0
	case Time:
		return at[time.Time](f, record).IsZero()
	case Record:
		return *at[*struct{}](f, record) == nil
	case Records:
		return *at[[]struct{}](f, record) == nil
	}
	for _, b := range unsafe.Slice(at[byte](f, record), f.typ.Size()) {
		if b != 0 { // the zero value of every type has no bit set
			return false
		}
	}
	return true
}

func (f *field) copy(dst, src unsafe.Pointer) {
	switch f.Kind {
	case String:
		*at[string](f, dst) = strings.Clone(*at[string](f, src))
	case Strings:
		own := slices.Clone(*at[[]string](f, src))
		for i, text := range own {
			own[i] = strings.Clone(text)
		}
		*at[[]string](f, dst) = own
	case Raw:
		*at[json.RawMessage](f, dst) = slices.Clone(*at[json.RawMessage](f, src))
	case Int:
		number := *at[*int64](f, src)
		if number != nil {
			own := *number
			number = &own
		}
		*at[*int64](f, dst) = number
	default:
		f.value(dst).Set(f.value(src))
	}
}

func (f *field) equal(a, b unsafe.Pointer) bool {
	switch f.Kind {
	case String:
		return *at[string](f, a) == *at[string](f, b)
	case Strings:
		return slices.Equal(*at[[]string](f, a), *at[[]string](f, b))
	case Bool:
		return *at[bool](f, a) == *at[bool](f, b)
	case Raw:
		return slices.Equal(*at[json.RawMessage](f, a), *at[json.RawMessage](f, b))
	case Duration:
		return *at[time.Duration](f, a) == *at[time.Duration](f, b)
	case Time:
		return at[time.Time](f, a).Equal(*at[time.Time](f, b))
	}
	if zero := f.isZero(a); zero || f.isZero(b) {
		return zero && f.isZero(b)
	}
	return reflect.DeepEqual(f.value(a).Interface(), f.value(b).Interface())
}

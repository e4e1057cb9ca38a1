// Package record describes a struct once, by the json tags of its fields, and
// derives from that one description how each field is written as JSON, read,
// copied and compared. Metadata, Capabilities and the stored form of a client
// are such structs; adding a member to one of them is adding a field.
package record

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

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
	Raw                  // json.RawMessage, kept to the byte
	Duration             // time.Duration, in JSON a number of seconds
	Time                 // time.Time, in JSON an RFC 3339 string
	Records              // a slice of structs, each a record itself, unset members left out
	Other                // anything else, by encoding/json
)

// Field is one member of a record.
type Field struct {
	Name  string            // the JSON member's name
	Kind  Kind              // its shape
	Tag   reflect.StructTag // what else its line says
	Index int               // its place in the struct
	Place int               // its place in Table.Fields

	key   string // Name as JSON, with the colon
	inner *Table // of the elements of Records
}

// Table is the description of one struct type: its fields that carry a json
// tag, in their order, and where to find each by name.
type Table struct {
	Fields []Field
	byName map[string]int
	shared []*Field // those that a copied struct shares with the original
}

// Describe reads the description of T, which must be a struct.
func Describe[T any]() *Table { return describe(reflect.TypeFor[T]()) }

func describe(typ reflect.Type) *Table {
	table := &Table{byName: make(map[string]int)}
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" || !field.IsExported() {
			continue
		}
		f := Field{Name: name, Kind: kindOf(field.Type), Tag: field.Tag, Index: i, Place: len(table.Fields)}
		f.key = string(strictjson.AppendString(nil, name)) + ":"
		if f.Kind == Records {
			f.inner = describe(field.Type.Elem())
		}
		table.byName[name] = len(table.Fields)
		table.Fields = append(table.Fields, f)
	}
	for i := range table.Fields {
		switch f := &table.Fields[i]; f.Kind {
		case Strings, Int, Raw, Records:
			table.shared = append(table.shared, f)
		}
	}
	return table
}

// Find returns the place in Fields of the member called name.
func (t *Table) Find(name string) (int, bool) {
	i, ok := t.byName[name]
	return i, ok
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
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct:
		return Records
	}
	return Other
}

// value returns the field of the struct that record is.
func (f *Field) value(record reflect.Value) reflect.Value { return record.Field(f.Index) }

// get returns a field of the type T.
func get[T any](f *Field, record reflect.Value) T {
	value, _ := reflect.TypeAssert[T](f.value(record))
	return value
}

// place returns where a field of the type T is.
func place[T any](f *Field, record reflect.Value) *T {
	pointer, _ := reflect.TypeAssert[*T](f.value(record).Addr())
	return pointer
}

// IsZero reports whether the field is unset. An empty list counts as set: it
// is kept apart from nil.
func (f *Field) IsZero(record reflect.Value) bool {
	value := f.value(record)
	switch f.Kind {
	case String:
		return value.String() == ""
	case Strings, Int, Raw, Records:
		return value.IsNil()
	case Bool:
		return !value.Bool()
	}
	return value.IsZero()
}

// Clear unsets the field.
func (f *Field) Clear(record reflect.Value) { f.value(record).SetZero() }

// Text returns a String field.
func (f *Field) Text(record reflect.Value) string { return f.value(record).String() }

// SetText sets a String field.
func (f *Field) SetText(record reflect.Value, text string) { f.value(record).SetString(text) }

// List returns a Strings field; it is shared, not copied.
func (f *Field) List(record reflect.Value) []string { return get[[]string](f, record) }

// Copy makes the field of dst equal to that of src, sharing nothing with it.
func (f *Field) Copy(dst, src reflect.Value) {
	switch f.Kind {
	case Strings:
		*place[[]string](f, dst) = slices.Clone(f.List(src))
	case Raw:
		*place[json.RawMessage](f, dst) = slices.Clone(get[json.RawMessage](f, src))
	case Int:
		number := get[*int64](f, src)
		if number != nil {
			own := *number
			number = &own
		}
		*place[*int64](f, dst) = number
	case Records:
		list := f.value(src)
		if !list.IsNil() {
			own := reflect.MakeSlice(list.Type(), list.Len(), list.Len())
			reflect.Copy(own, list)
			for i := range own.Len() {
				f.inner.Unshare(own.Index(i))
			}
			list = own
		}
		f.value(dst).Set(list)
	default:
		f.value(dst).Set(f.value(src))
	}
}

// Unshare makes a struct that was copied by assignment share nothing with the
// original, as far as its fields are of one of the kinds that this package
// copies.
func (t *Table) Unshare(record reflect.Value) {
	for _, f := range t.shared {
		if !f.IsZero(record) {
			f.Copy(record, record)
		}
	}
}

// Equal reports whether the field has the same value in both records.
func (f *Field) Equal(a, b reflect.Value) bool {
	switch f.Kind {
	case String:
		return f.Text(a) == f.Text(b)
	case Strings:
		return slices.Equal(f.List(a), f.List(b))
	case Bool:
		return f.value(a).Bool() == f.value(b).Bool()
	case Raw:
		return slices.Equal(get[json.RawMessage](f, a), get[json.RawMessage](f, b))
	case Duration:
		return f.value(a).Int() == f.value(b).Int()
	case Time:
		return get[time.Time](f, a).Equal(get[time.Time](f, b))
	}
	if zero := f.IsZero(a); zero || f.IsZero(b) {
		return zero && f.IsZero(b)
	}
	return reflect.DeepEqual(f.value(a).Interface(), f.value(b).Interface())
}

// Package record describes a struct once, by the json tags of its fields, and
// derives from that one description how each field is written as JSON, read,
// copied and compared. Metadata, Capabilities and the stored form of a client
// are such structs; adding a member to one of them is adding a field.
package record

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
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
	Other                // anything else, by encoding/json
)

// Field is one member of a record.
type Field struct {
	Name  string            // the JSON member's name
	Kind  Kind              // its shape
	Tag   reflect.StructTag // what else its line says
	Index int               // its place in the struct
}

// Table is the description of one struct type: its fields that carry a json
// tag, in their order, and where to find each by name.
type Table struct {
	Fields []Field
	byName map[string]int
}

// Describe reads the description of T, which must be a struct.
func Describe[T any]() *Table {
	typ := reflect.TypeFor[T]()
	table := &Table{byName: make(map[string]int)}
	for i := range typ.NumField() {
		field := typ.Field(i)
		name := field.Tag.Get("json")
		if name == "" || name == "-" || !field.IsExported() {
			continue
		}
		table.byName[name] = len(table.Fields)
		table.Fields = append(table.Fields, Field{Name: name, Kind: kindOf(field.Type), Tag: field.Tag, Index: i})
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
	}
	return Other
}

// value returns the field of the struct that record, a pointer, points at.
func (f *Field) value(record reflect.Value) reflect.Value { return record.Field(f.Index) }

// strings gives a Strings field without copying it.
func (f *Field) strings(record reflect.Value) *[]string {
	return f.value(record).Addr().Interface().(*[]string)
}

func (f *Field) raw(record reflect.Value) *json.RawMessage {
	return f.value(record).Addr().Interface().(*json.RawMessage)
}

// IsZero reports whether the field is unset. An empty list counts as set: it
// is kept apart from nil.
func (f *Field) IsZero(record reflect.Value) bool { return f.value(record).IsZero() }

// Clear unsets the field.
func (f *Field) Clear(record reflect.Value) { f.value(record).SetZero() }

// Text returns a String field.
func (f *Field) Text(record reflect.Value) string { return f.value(record).String() }

// SetText sets a String field.
func (f *Field) SetText(record reflect.Value, text string) { f.value(record).SetString(text) }

// List returns a Strings field; it is shared, not copied.
func (f *Field) List(record reflect.Value) []string { return *f.strings(record) }

// Append writes the field's JSON value.
func (f *Field) Append(dst []byte, record reflect.Value) ([]byte, error) {
	switch f.Kind {
	case String:
		return strictjson.AppendString(dst, f.value(record).String()), nil
	case Strings:
		return AppendStrings(dst, *f.strings(record)), nil
	case Bool:
		return strconv.AppendBool(dst, f.value(record).Bool()), nil
	case Int:
		return strconv.AppendInt(dst, f.value(record).Elem().Int(), 10), nil
	case Raw:
		return append(dst, *f.raw(record)...), nil
	case Duration:
		return AppendSeconds(dst, time.Duration(f.value(record).Int())), nil
	case Time:
		at := f.value(record).Addr().Interface().(*time.Time)
		dst = append(dst, '"')
		dst = at.UTC().AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"'), nil
	}
	text, err := json.Marshal(f.value(record).Interface())
	return append(dst, text...), err
}

// AppendStrings writes a list of strings as a JSON array.
func AppendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, item := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strictjson.AppendString(dst, item)
	}
	return append(dst, ']')
}

// AppendSeconds writes d as a JSON number of seconds; a fraction appears only
// where d has one.
func AppendSeconds(dst []byte, d time.Duration) []byte {
	if d%time.Second == 0 {
		return strconv.AppendInt(dst, int64(d/time.Second), 10)
	}
	return strconv.AppendFloat(dst, d.Seconds(), 'f', -1, 64)
}

// Decode reads the field from its JSON value. Errors are the sentence
// fragments of strictjson, fit to follow the member's name.
func (f *Field) Decode(record reflect.Value, value strictjson.Value) error {
	target := f.value(record)
	switch f.Kind {
	case String:
		text, err := value.Text()
		target.SetString(text)
		return err
	case Strings:
		list, err := value.Texts()
		*f.strings(record) = list
		return err
	case Bool:
		set, err := value.Bool()
		target.SetBool(set)
		return err
	case Int:
		number, err := value.Int()
		target.Set(reflect.ValueOf(&number))
		return err
	case Raw:
		*f.raw(record) = slices.Clone(json.RawMessage(value))
		return nil
	case Duration:
		seconds, err := strconv.ParseFloat(string(value), 64)
		if err != nil {
			return &strictjson.Error{Reason: "must be a number of seconds"}
		}
		target.SetInt(int64(math.Round(seconds * float64(time.Second))))
		return nil
	}
	if err := json.Unmarshal(value, target.Addr().Interface()); err != nil {
		return fmt.Errorf("is not of the stored form: %w", err)
	}
	return nil
}

// DecodeStored reads the field from what Append wrote earlier, when it was
// judged: what Decode refuses a stranger, such as a control character, is read
// all the same.
func (f *Field) DecodeStored(record reflect.Value, value strictjson.Value) error {
	err := f.Decode(record, value)
	if err == nil || f.Kind != String && f.Kind != Strings {
		return err
	}
	return json.Unmarshal(value, f.value(record).Addr().Interface())
}

// Copy makes the field of dst equal to that of src, sharing nothing with it.
func (f *Field) Copy(dst, src reflect.Value) {
	switch f.Kind {
	case Strings:
		*f.strings(dst) = slices.Clone(*f.strings(src))
	case Raw:
		*f.raw(dst) = slices.Clone(*f.raw(src))
	case Int:
		if number := f.value(src); !number.IsNil() {
			own := number.Elem().Int()
			f.value(dst).Set(reflect.ValueOf(&own))
			return
		}
		f.Clear(dst)
	default:
		f.value(dst).Set(f.value(src))
	}
}

// Equal reports whether the field has the same value in both records.
func (f *Field) Equal(a, b reflect.Value) bool {
	switch f.Kind {
	case Strings:
		return slices.Equal(*f.strings(a), *f.strings(b))
	case Raw:
		return slices.Equal(*f.raw(a), *f.raw(b))
	case Int:
		return reflect.DeepEqual(f.value(a).Interface(), f.value(b).Interface())
	case String:
		return f.value(a).String() == f.value(b).String()
	case Bool:
		return f.value(a).Bool() == f.value(b).Bool()
	}
	return reflect.DeepEqual(f.value(a).Interface(), f.value(b).Interface())
}

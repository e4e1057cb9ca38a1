package record

// Fields in and out of their JSON form.

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
	"unsafe"

	"github.com/dynreg/dcr/internal/strictjson"
)

// AppendMember writes the field's name, a colon and its JSON value, after a
// comma unless dst ends with the brace that opens the object.
func (f *Field[T]) AppendMember(dst []byte, record *T) ([]byte, error) {
	return f.appendMember(dst, unsafe.Pointer(record))
}

// Append writes the field's JSON value.
func (f *Field[T]) Append(dst []byte, record *T) ([]byte, error) {
	return f.append(dst, unsafe.Pointer(record))
}

func (f *field) appendMember(dst []byte, record unsafe.Pointer) ([]byte, error) {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return f.append(append(dst, f.key...), record)
}

func (f *field) append(dst []byte, record unsafe.Pointer) ([]byte, error) {
	switch f.Kind {
	case String:
		return strictjson.AppendString(dst, *at[string](f, record)), nil
	case Strings:
		return strictjson.AppendStrings(dst, *at[[]string](f, record)), nil
	case Bool:
		return strconv.AppendBool(dst, *at[bool](f, record)), nil
	case Int:
		return strconv.AppendInt(dst, **at[*int64](f, record), 10), nil
	case Raw:
		return append(dst, *at[json.RawMessage](f, record)...), nil
	case Duration:
		return strictjson.AppendSeconds(dst, *at[time.Duration](f, record)), nil
	case Time:
		dst = append(dst, '"')
		dst = at[time.Time](f, record).UTC().AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"'), nil
	case Record:
		return f.appendRecord(dst, unsafe.Pointer(*at[*struct{}](f, record)))
	case Records:
		return f.appendRecords(dst, record)
	}
	text, err := json.Marshal(f.value(record).Interface())
	return append(dst, text...), err
}

func (f *field) appendRecords(dst []byte, record unsafe.Pointer) (_ []byte, err error) {
	first, count := f.elements(record)
	dst = append(dst, '[')
	for i := range count {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = f.appendRecord(dst, unsafe.Add(first, uintptr(i)*f.stride)); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (f *field) appendRecord(dst []byte, element unsafe.Pointer) (_ []byte, err error) {
	dst = append(dst, '{')
	for i := range f.inner {
		if inner := &f.inner[i]; !inner.isZero(element) {
			if dst, err = inner.appendMember(dst, element); err != nil {
				return dst, err
			}
		}
	}
	if f.rest != nil {
		dst = at[Rest](f.rest, element).Append(dst)
	}
	return append(dst, '}'), nil
}

// Decode reads the field from its JSON value. Its errors are those of
// strictjson, in words that follow the member's name.
func (f *Field[T]) Decode(record *T, value strictjson.Value) error {
	return f.decode(unsafe.Pointer(record), value)
}

// DecodeStored reads the field from what Append wrote earlier. The value was
// checked then, so DecodeStored also reads what Decode refuses, such as a
// control character.
func (f *Field[T]) DecodeStored(record *T, value strictjson.Value) error {
	return f.decodeStored(unsafe.Pointer(record), value)
}

func (f *field) decode(record unsafe.Pointer, value strictjson.Value) error {
	switch f.Kind {
	case String:
		text, err := value.Text()
		*at[string](f, record) = text
		return err
	case Strings:
		list, err := value.Texts()
		*at[[]string](f, record) = list
		return err
	case Bool:
		set, err := value.Bool()
		*at[bool](f, record) = set
		return err
	case Int:
		number, err := value.Int()
		*at[*int64](f, record) = &number
		return err
	case Raw:
		*at[json.RawMessage](f, record) = json.RawMessage(value)
		return nil
	case Duration:
		seconds, err := strconv.ParseFloat(string(value), 64)
		if err != nil {
			return &strictjson.Error{Reason: "must be a number of seconds"}
		}
		*at[time.Duration](f, record) = time.Duration(math.Round(seconds * float64(time.Second)))
		return nil
	case Time:
		return at[time.Time](f, record).UnmarshalJSON([]byte(value))
	case Record:
		own := f.value(record)
		if own.SetZero(); value.Kind() == strictjson.Null {
			return nil
		}
		own.Set(reflect.New(f.typ.Elem()))
		return value.Members(f.membersOf(own.UnsafePointer()))
	case Records:
		return f.decodeRecords(f.value(record), value)
	}
	return f.decodeOther(record, value)
}

func (f *field) decodeOther(record unsafe.Pointer, value strictjson.Value) error {
	if err := json.Unmarshal([]byte(value), f.value(record).Addr().Interface()); err != nil {
		return fmt.Errorf("is not of the stored form: %w", err)
	}
	return nil
}

func (f *field) decodeStored(record unsafe.Pointer, value strictjson.Value) error {
	err := f.decode(record, value)
	if err != nil && (f.Kind == String || f.Kind == Strings) {
		return f.decodeOther(record, value)
	}
	return err
}

// decodeRecords reads a stored array.
func (f *field) decodeRecords(list reflect.Value, value strictjson.Value) error {
	list.SetZero()
	if value.Kind() == strictjson.Null {
		return nil
	}
	return value.Objects(func(i int) strictjson.Member {
		list.Grow(1)
		list.SetLen(i + 1)
		return f.membersOf(unsafe.Add(list.UnsafePointer(), uintptr(i)*f.stride))
	})
}

// membersOf reads the members of a stored object into element. Those that no field
// describes are kept in its Rest, if it has one.
func (f *field) membersOf(element unsafe.Pointer) strictjson.Member {
	return func(name string, value strictjson.Value) error {
		for i := range f.inner {
			if f.inner[i].Name == name {
				return f.inner[i].decodeStored(element, value)
			}
		}
		if f.rest != nil {
			at[Rest](f.rest, element).Add(name, value)
		}
		return nil
	}
}

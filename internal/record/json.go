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

// AppendMember writes the field's name, a colon and its JSON value, after a
// comma unless dst ends with the brace that opens the object.
func (f *Field) AppendMember(dst []byte, record reflect.Value) ([]byte, error) {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return f.Append(append(dst, f.key...), record)
}

// Append writes the field's JSON value.
func (f *Field) Append(dst []byte, record reflect.Value) ([]byte, error) {
	switch f.Kind {
	case String:
		return strictjson.AppendString(dst, f.Text(record)), nil
	case Strings:
		return AppendStrings(dst, f.List(record)), nil
	case Bool:
		return strconv.AppendBool(dst, f.value(record).Bool()), nil
	case Int:
		return strconv.AppendInt(dst, *get[*int64](f, record), 10), nil
	case Raw:
		return append(dst, get[json.RawMessage](f, record)...), nil
	case Duration:
		return AppendSeconds(dst, get[time.Duration](f, record)), nil
	case Time:
		dst = append(dst, '"')
		dst = get[time.Time](f, record).UTC().AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"'), nil
	case Records:
		return f.appendRecords(dst, f.value(record))
	}
	text, err := json.Marshal(f.value(record).Interface())
	return append(dst, text...), err
}

func (f *Field) appendRecords(dst []byte, list reflect.Value) (_ []byte, err error) {
	dst = append(dst, '[')
	for i := range list.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = f.inner.appendObject(dst, list.Index(i)); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// appendObject writes the fields that are set.
func (t *Table) appendObject(dst []byte, record reflect.Value) (_ []byte, err error) {
	dst = append(dst, '{')
	for i := range t.Fields {
		if f := &t.Fields[i]; !f.IsZero(record) {
			if dst, err = f.AppendMember(dst, record); err != nil {
				return dst, err
			}
		}
	}
	return append(dst, '}'), nil
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
	switch f.Kind {
	case String:
		text, err := value.Text()
		f.SetText(record, text)
		return err
	case Strings:
		list, err := value.Texts()
		*place[[]string](f, record) = list
		return err
	case Bool:
		set, err := value.Bool()
		f.value(record).SetBool(set)
		return err
	case Int:
		number, err := value.Int()
		*place[*int64](f, record) = &number
		return err
	case Raw:
		*place[json.RawMessage](f, record) = slices.Clone(json.RawMessage(value))
		return nil
	case Duration:
		seconds, err := strconv.ParseFloat(string(value), 64)
		if err != nil {
			return &strictjson.Error{Reason: "must be a number of seconds"}
		}
		f.value(record).SetInt(int64(math.Round(seconds * float64(time.Second))))
		return nil
	case Time:
		return place[time.Time](f, record).UnmarshalJSON(value)
	case Records:
		return f.decodeRecords(f.value(record), value)
	}
	return f.decodeOther(record, value)
}

func (f *Field) decodeOther(record reflect.Value, value strictjson.Value) error {
	if err := json.Unmarshal(value, f.value(record).Addr().Interface()); err != nil {
		return fmt.Errorf("is not of the stored form: %w", err)
	}
	return nil
}

// DecodeStored is Decode for what Append wrote once: what Decode refuses a
// stranger, such as a control character, is read all the same.
func (f *Field) DecodeStored(record reflect.Value, value strictjson.Value) error {
	err := f.Decode(record, value)
	if err != nil && (f.Kind == String || f.Kind == Strings) {
		return f.decodeOther(record, value)
	}
	return err
}

// decodeRecords reads a stored array. Members that no field describes are left
// out.
func (f *Field) decodeRecords(list reflect.Value, value strictjson.Value) error {
	list.SetZero()
	if value.Kind() == strictjson.Null {
		return nil
	}
	return value.Elements(func(i int, value strictjson.Value) error {
		list.Grow(1)
		list.SetLen(i + 1)
		element := list.Index(i)
		return value.Members(func(name string, value strictjson.Value) error {
			if i, known := f.inner.Find(name); known {
				return f.inner.Fields[i].DecodeStored(element, value)
			}
			return nil
		})
	})
}

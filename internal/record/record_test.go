package record_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/dynreg/dcr/internal/record"
	"github.com/dynreg/dcr/internal/strictjson"
)

type colour string

type inner struct {
	Text string    `json:"text"`
	At   time.Time `json:"at,omitzero"`
}

type sample struct {
	Text   string          `json:"text" note:"yes"`
	Named  colour          `json:"named"`
	List   []string        `json:"list"`
	Flag   bool            `json:"flag"`
	Number *int64          `json:"number"`
	Exact  json.RawMessage `json:"exact"`
	Span   time.Duration   `json:"span"`
	At     time.Time       `json:"at"`
	Any    map[string]int  `json:"any"`
	Inner  *inner          `json:"inner"`
	Hidden string
	Skip   string `json:"-"`
}

var table = record.Describe[sample]()

func of(s *sample) *sample { return s }

func TestDescribeFindsTaggedFieldsAlone(t *testing.T) {
	var names []string
	for _, f := range table.Fields {
		names = append(names, f.Name)
	}
	want := []string{"text", "named", "list", "flag", "number", "exact", "span", "at", "any", "inner"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("fields %v, want %v", names, want)
	}
	if i, ok := table.Find("text"); !ok || table.Fields[i].Tag.Get("note") != "yes" {
		t.Error("a field's tags are lost")
	}
	for sentence, name := range map[string]string{
		"a field without a tag": "Hidden", "no name": "", "another name of the same length": "texts", "a name longer than any": "a name longer than any",
	} {
		if _, ok := table.Find(name); ok {
			t.Errorf("%s is a member", sentence)
		}
	}
}

// TestFields takes each value through decoding, encoding, copying and
// comparing.
func TestFields(t *testing.T) {
	cases := []struct{ sentence, name, in, out string }{
		{"a string", "text", `"aé"`, `"aé"`},
		{"a named string", "named", `"red"`, `"red"`},
		{"a list", "list", `["a","b"]`, `["a","b"]`},
		{"an empty list is not an absent one", "list", `[]`, `[]`},
		{"a boolean", "flag", `true`, `true`},
		{"a number", "number", `0`, `0`},
		{"raw JSON, byte for byte", "exact", `{ "a": 1 }`, `{ "a": 1 }`},
		{"a duration in whole seconds", "span", `3600`, `3600`},
		{"a duration with a fraction", "span", `0.25`, `0.25`},
		{"a time", "at", `"2026-05-04T12:00:00.5Z"`, `"2026-05-04T12:00:00.5Z"`},
		{"a time of another zone", "at", `"2026-05-04T14:00:00+02:00"`, `"2026-05-04T12:00:00Z"`},
		{"any other type", "any", `{"a":1}`, `{"a":1}`},
		{"a record", "inner", `{"text":"a","at":"2026-05-04T12:00:00Z"}`, `{"text":"a","at":"2026-05-04T12:00:00Z"}`},
		{"a record, without unset and unknown members", "inner", `{"at":"0001-01-01T00:00:00Z","new":[1]}`, `{}`},
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			i, _ := table.Find(c.name)
			f := &table.Fields[i]
			var first, second, zero sample
			if err := f.Decode(of(&first), strictjson.Value(c.in)); err != nil {
				t.Fatal(err)
			}
			if f.IsZero(of(&first)) || f.Equal(of(&first), of(&zero)) && c.in != "[]" {
				t.Error("the value counts as unset")
			}
			out, err := f.Append([]byte("x"), of(&first))
			if err != nil || string(out) != "x"+c.out {
				t.Errorf("%s, want x%s, error %v", out, c.out, err)
			}
			f.Copy(of(&second), of(&first))
			if !f.Equal(of(&first), of(&second)) || !reflect.DeepEqual(first, second) {
				t.Error("the copy differs")
			}
			f.Clear(of(&second))
			if !f.IsZero(of(&second)) || f.IsZero(of(&first)) {
				t.Error("clearing the copy did not clear only the copy")
			}
		})
	}
}

func TestDecodeRefusesOtherTypes(t *testing.T) {
	cases := []struct{ name, in string }{
		{"text", `1`}, {"list", `"a"`}, {"list", `[1]`}, {"list", `[""]`}, {"flag", `"true"`}, {"number", `1.5`},
		{"number", `"1"`}, {"span", `"1h"`}, {"at", `"noon"`}, {"any", `[]`}, {"inner", `"a"`},
	}
	for _, c := range cases {
		i, _ := table.Find(c.name)
		if err := table.Fields[i].Decode(of(&sample{}), strictjson.Value(c.in)); err == nil {
			t.Errorf("%s: %s was accepted", c.name, c.in)
		}
	}
}

func TestDecodeStoredReadsWhatWasAcceptedOnce(t *testing.T) {
	for name, in := range map[string]string{"text": `"a\u0000b\n"`, "list": `["","\t"]`} {
		i, _ := table.Find(name)
		f := &table.Fields[i]
		var read sample
		if err := f.DecodeStored(of(&read), strictjson.Value(in)); err != nil || f.IsZero(of(&read)) {
			t.Errorf("%s: %s is not read: %v", name, in, err)
		}
	}
	i, _ := table.Find("flag")
	if err := table.Fields[i].DecodeStored(of(&sample{}), strictjson.Value(`"x"`)); err == nil {
		t.Error("a string was read as a boolean")
	}
}

func TestCopySharesNothing(t *testing.T) {
	number := int64(1)
	first := sample{List: []string{"a"}, Exact: json.RawMessage(`1`), Number: &number}
	var second sample
	for i := range table.Fields {
		table.Fields[i].Copy(of(&second), of(&first))
	}
	second.List[0], second.Exact[0], *second.Number = "b", '2', 2
	if first.List[0] != "a" || string(first.Exact) != "1" || *first.Number != 1 {
		t.Errorf("changing the copy changed the original: %+v", first)
	}
}

// Lists and strings of a copy are parts of larger ones, but each seems to be alone.
func TestCopyOfSeveralFields(t *testing.T) {
	number, body := int64(1), "xyz"
	first := sample{
		Text: body[:1], Named: "red", List: []string{body[1:2], body[2:]}, Flag: true, Number: &number,
		Exact: json.RawMessage(`1`), Span: time.Second, Inner: &inner{Text: "a"}, Hidden: "b",
	}
	var second sample
	set := table.Set(&first)
	flag, _ := table.Find("flag")
	set[0] &^= 1 << flag
	table.Copy(&second, &first, set)
	want := first
	want.Flag, want.Hidden = false, ""
	if !reflect.DeepEqual(second, want) {
		t.Errorf("%+v, want %+v", second, want)
	}
	if unsafe.StringData(second.Text) == unsafe.StringData(first.Text) || unsafe.StringData(second.List[0]) == unsafe.StringData(first.List[0]) {
		t.Error("the copy keeps the memory of the original")
	}
	if cap(second.List) != len(second.List) {
		t.Error("appending to a list of the copy could write into another")
	}
	second.List[0], second.Exact[0], *second.Number = "b", '2', 2
	if first.List[0] != "y" || string(first.Exact) != "1" || *first.Number != 1 {
		t.Errorf("changing the copy changed the original: %+v", first)
	}
}

// Keeping one string of a large copy does not keep the others.
func TestLargeCopiesShareNothing(t *testing.T) {
	place := make(map[string]int)
	for i, f := range table.Fields {
		place[f.Name] = i
	}
	var set record.Set
	set.Add(place["text"])
	set.Add(place["list"])
	for _, c := range []struct {
		sentence string
		list     []string
		shared   bool
	}{
		{"small lists are next to the text", []string{"a"}, true},
		{"a long string is alone", []string{strings.Repeat("a", 1024)}, false},
		{"so is each of many strings", slices.Repeat([]string{strings.Repeat("a", 32)}, 64), false},
	} {
		first, second := sample{Text: "name", List: c.list}, sample{}
		table.Copy(&second, &first, set)
		place := func(text string) uintptr { return uintptr(unsafe.Pointer(unsafe.StringData(text))) }
		if shared := place(second.Text)+uintptr(len(second.Text)) == place(second.List[0]); shared != c.shared {
			t.Errorf("%s: the list follows the text in memory: %t", c.sentence, shared)
		}
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%s: the copy differs", c.sentence)
		}
	}
}

// A copied list is nil, empty or neither, as the original is.
func TestCopyOfLists(t *testing.T) {
	for _, list := range [][]string{nil, {}, {""}, {"a", ""}} {
		first, second := sample{Text: "a", List: list}, sample{List: []string{"old"}}
		place, _ := table.Find("list")
		var set record.Set
		set.Add(place)
		if table.Copy(&second, &first, set); !reflect.DeepEqual(second, sample{List: list}) {
			t.Errorf("%#v was copied as %#v", list, second.List)
		}
	}
}

// A field is in the set if and only if it is not zero, whatever its kind.
func TestSetHasWhatIsNotZero(t *testing.T) {
	number := int64(0)
	records := map[string]sample{
		"text": {Text: "a"}, "named": {Named: "red"}, "list": {List: []string{}}, "flag": {Flag: true}, "number": {Number: &number},
		"exact": {Exact: json.RawMessage{}}, "span": {Span: 1}, "at": {At: time.Unix(0, 0)}, "any": {Any: map[string]int{}},
		"inner": {Inner: &inner{}},
	}
	if len(records) != len(table.Fields) {
		t.Fatalf("%d fields are tried, want %d", len(records), len(table.Fields))
	}
	for name, record := range records {
		set := table.Set(of(&record))
		for i := range table.Fields {
			if f := &table.Fields[i]; set.Has(i) != (f.Name == name) || set.Has(i) == f.IsZero(of(&record)) {
				t.Errorf("%s is set: %s is in the set: %t", name, f.Name, set.Has(i))
			}
		}
	}
}

package strictjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dynreg/dcr/internal/strictjson"
)

func TestKind(t *testing.T) {
	for value, kind := range map[string]strictjson.Kind{
		"null": strictjson.Null, "": strictjson.Null, "true": strictjson.Bool, "false": strictjson.Bool,
		"0": strictjson.Number, "-1": strictjson.Number, `""`: strictjson.String, "[]": strictjson.Array, "{}": strictjson.Object,
	} {
		if got := strictjson.Value(value).Kind(); got != kind {
			t.Errorf("the kind of %s is %d, want %d", value, got, kind)
		}
	}
}

func TestText(t *testing.T) {
	const kind, control, surrogate = "must be a JSON string", "must not contain control characters", "must not contain a lone surrogate"
	for _, tt := range []struct{ why, value, text, reason string }{
		{"plain", `"abc"`, "abc", ""},
		{"empty", `""`, "", ""},
		{"outside ASCII", `"é日😀"`, "é日😀", ""},
		{"escapes", `"\"\\\/\u00e9\ud83d\ude00"`, `"\/é😀`, ""},
		{"the replacement character", `"\ufffd"`, "\ufffd", ""},
		{"a no-break space, the first after C1", `"\u00a0"`, "\u00a0", ""},
		{"null", `null`, "", kind},
		{"a number", `1`, "", kind},
		{"an array", `["a"]`, "", kind},
		{"nothing", ``, "", kind},
		{"a quote alone", `"`, "", kind},
		{"no closing quote", `"a`, "", kind},
		{"a broken escape", `"\u00"`, "", kind},
		{"something after the string", `"a"b`, "", kind},
		{"a tab, escaped", `"\t"`, "", control},
		{"a NUL, escaped", `"a\u0000b"`, "", control},
		{"DEL", "\"\x7f\"", "", control},
		{"DEL, escaped", `"\u007F"`, "", control},
		{"the first of C1", "\"\u0080\"", "", control},
		{"the last of C1, escaped", `"\u009f"`, "", control},
		{"a lone surrogate", `"\udead"`, "", surrogate},
		{"invalid UTF-8", "\"\xff\"", "", "must be valid UTF-8"},
	} {
		text, err := strictjson.Value(tt.value).Text()
		checkResult(t, tt.why, text, err, tt.text, tt.reason)
	}
}

func TestTexts(t *testing.T) {
	const kind, element = "must be a JSON array of strings", "must be a non-empty JSON string"
	for _, tt := range []struct{ why, value, texts, reason string }{
		{"two", `["a", "b"]`, "[a b]", ""},
		{"one with an escape", `["\u0061"]`, "[a]", ""},
		{"none", `[ ]`, "[]", ""},
		{"a string", `"a"`, "[]", kind},
		{"null", `null`, "[]", kind},
		{"an object", `{}`, "[]", kind},
		{"a null", `["a",null]`, "[]", "[1] " + element},
		{"an empty string", `["a","b",""]`, "[]", "[2] " + element},
		{"a number", `[1]`, "[]", "[0] " + element},
		{"an array", `[["a"]]`, "[]", "[0] " + element},
		{"a control character", `["a","\n"]`, "[]", "[1] must not contain control characters"},
	} {
		texts, err := strictjson.Value(tt.value).Texts()
		checkResult(t, tt.why, fmt.Sprint(texts), err, tt.texts, tt.reason)
		if tt.reason == "" && texts == nil {
			t.Errorf("%s: Texts of %s is nil", tt.why, tt.value)
		}
	}
}

func TestInt(t *testing.T) {
	const integer, large = "must be a JSON integer", "must be a JSON integer of at most 64 bits"
	for _, tt := range []struct {
		why, value string
		n          int64
		reason     string
	}{
		{"zero", "0", 0, ""},
		{"minus zero", "-0", 0, ""},
		{"the largest", "9223372036854775807", 1<<63 - 1, ""},
		{"the smallest", "-9223372036854775808", -1 << 63, ""},
		{"one more than the largest", "9223372036854775808", 0, large},
		{"far more than the largest", strings.Repeat("9", 400), 0, large},
		{"a fraction", "1.5", 0, integer},
		{"a fraction of zeros (Lua cjson)", "3600.0", 3600, ""},
		{"an exponent (Jackson)", "36e2", 3600, ""},
		{"an exponent in capitals, with a plus", "3.6E+3", 3600, ""},
		{"an exponent that leaves a fraction", "1e-1", 0, integer},
		{"a negative exponent that removes zeros", "-3600000e-3", -3600, ""},
		{"zero with an exponent", "-0.0e99", 0, ""},
		{"the largest, with a fraction", "9223372036854775807.0", 9223372036854775807, ""},
		{"more than 64 bits, with an exponent", "1e19", 0, large},
		{"an exponent that is far too large", "1e99999999999999999999", 0, large},
		{"an exponent that is far too small", "1e-99999999999999999999", 0, integer},
		{"a string", `"1"`, 0, integer},
		{"null", "null", 0, integer},
		{"nothing", "", 0, integer},
		{"a leading zero", "01", 0, integer},
		{"a plus sign", "+1", 0, integer},
	} {
		n, err := strictjson.Value(tt.value).Int()
		checkResult(t, tt.why, n, err, tt.n, tt.reason)
	}
}

func TestBool(t *testing.T) {
	for _, tt := range []struct {
		value  string
		b      bool
		reason string
	}{
		{"true", true, ""},
		{"false", false, ""},
		{`"true"`, false, "must be true or false"},
		{"1", false, "must be true or false"},
		{"null", false, "must be true or false"},
		{"", false, "must be true or false"},
	} {
		b, err := strictjson.Value(tt.value).Bool()
		checkResult(t, tt.value, b, err, tt.b, tt.reason)
	}
}

func TestMembersAndElements(t *testing.T) {
	stop := errors.New("stop")
	var members, elements []string
	members = nil
	err := strictjson.Value(`{"a":1,"\u0062":[2, 3]}`).Members(func(name string, value strictjson.Value) error {
		members = append(members, name+"="+string(value))
		return nil
	})
	checkResult(t, "members", strings.Join(members, " "), err, "a=1 b=[2, 3]", "")
	err = strictjson.Value(`[1, {"a":2}]`).Elements(func(i int, value strictjson.Value) error {
		elements = append(elements, fmt.Sprint(i, "=", string(value)))
		return nil
	})
	checkResult(t, "elements", strings.Join(elements, " "), err, `0=1 1={"a":2}`, "")

	if err := strictjson.Value(`{"a":1}`).Members(func(string, strictjson.Value) error { return stop }); err != stop {
		t.Errorf("Members returns %v, want the error from member", err)
	}
	if err := strictjson.Value(`[1]`).Elements(func(int, strictjson.Value) error { return stop }); err != stop {
		t.Errorf("Elements returns %v, want the error from element", err)
	}
	checkResult(t, "members of an array", 0, strictjson.Value(`[]`).Members(nil), 0, "must be a JSON object")
	checkResult(t, "elements of an object", 0, strictjson.Value(`{}`).Elements(nil), 0, "must be a JSON array")
}

func TestObjects(t *testing.T) {
	for _, tt := range []struct{ why, text, read, message string }{
		{"each object has a reader of its own", `[{"a":1,"b":[2]}, {}, {"a":{"c":3}}]`, `0.a=1 0.b=[2] 2.a={"c":3}`, ""},
		{"an element that is not an object", `[{"a":1},2]`, "0.a=1", "[1] must be a JSON object"},
		{"a member that appears twice", `[{"a":1,"a":2}]`, "0.a=1", "[0].a must not appear twice"},
		{"something that is not an array", `{}`, "", "must be a JSON array"},
	} {
		var read []string
		err := strictjson.Value(tt.text).Objects(func(i int) strictjson.Member {
			return func(name string, value strictjson.Value) error {
				read = append(read, fmt.Sprint(i, ".", name, "=", string(value)))
				return nil
			}
		})
		message := ""
		if err != nil {
			message = strings.TrimPrefix(err.Error(), "the body ")
		}
		if got := strings.Join(read, " "); got != tt.read || message != tt.message {
			t.Errorf("%s: read %q, error %q; want %q, %q", tt.why, got, message, tt.read, tt.message)
		}
	}
}

func TestIn(t *testing.T) {
	_, inner := strictjson.Value(`["a",1]`).Texts()
	other := errors.New("other")
	for _, tt := range []struct {
		why     string
		err     error
		message string
	}{
		{"an element of a member", strictjson.In("redirect_uris", inner), "redirect_uris[1] must be a non-empty JSON string"},
		{"a member of a member", strictjson.In("a", strictjson.In("b", inner)), "a.b[1] must be a non-empty JSON string"},
		{"a name that is not fit to be shown", strictjson.In("<b>", inner), "a member must be a non-empty JSON string"},
		{"such a name inside a member", strictjson.In("a", strictjson.In("<b>", inner)), "a member of a must be a non-empty JSON string"},
		{"an error of another kind", strictjson.In("a", other), "other"},
	} {
		if tt.err.Error() != tt.message {
			t.Errorf("%s: %q, want %q", tt.why, tt.err, tt.message)
		}
	}
	if err := strictjson.In("a", nil); err != nil {
		t.Errorf("no error in a member is %v", err)
	}
}

// checkResult compares a result and the end of an error's message (the path and
// the reason) with what is wanted. An error is always an *Error.
func checkResult[T comparable](t *testing.T, why string, got T, err error, want T, message string) {
	t.Helper()
	var e *strictjson.Error
	switch {
	case message == "" && err != nil, message != "" && !errors.As(err, &e):
		t.Errorf("%s: error %v, want %q", why, err, message)
	case message != "" && strings.TrimPrefix(err.Error(), "the body ") != message:
		t.Errorf("%s: error %q, want %q", why, err, message)
	case got != want:
		t.Errorf("%s: %v, want %v", why, got, want)
	}
}

func TestAppendString(t *testing.T) {
	for _, tt := range []struct{ why, text, json string }{
		{"empty", "", `""`},
		{"quotes and backslashes", `a"b\c`, `"a\"b\\c"`},
		{"control characters", "\x00\b\f\n\r\t\x1f", `"\u0000\b\f\n\r\t\u001f"`},
		{"characters with a meaning in HTML", "</script>&", `"\u003c/script\u003e\u0026"`},
		{"characters with a meaning in JavaScript", "\u2028\u2029", `"\u2028\u2029"`},
		{"invalid UTF-8", "a\xffb\xe2\x80", `"a\ufffdb\ufffd\ufffd"`},
		{"text outside ASCII", "é日😀\ufffd", "\"é日😀\ufffd\""},
	} {
		if got := string(strictjson.AppendString([]byte("x"), tt.text)); got != "x"+tt.json {
			t.Errorf("%s: AppendString(%q) = %s, want x%s", tt.why, tt.text, got, tt.json)
		}
	}
}

// FuzzAppendString checks that AppendString writes what encoding/json writes,
// and that Text reads it back.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "abc", "<&>\"\\", "\x00\x7f\u0080\u2028", "é😀\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := strictjson.AppendString(nil, s)
		want, err := json.Marshal(s)
		if err != nil || string(got) != string(want) {
			t.Fatalf("AppendString(%q) = %s, and encoding/json %s, %v", s, got, want, err)
		}
		text, err := strictjson.Value(got).Text()
		if err == nil && text != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Fatalf("Text(%s) = %q", got, text)
		}
		if control := strings.ContainsFunc(s, isControl); (err != nil) != control {
			t.Fatalf("Text(%s) returns %v", got, err)
		}
	})
}

func isControl(r rune) bool { return r < ' ' || 0x7f <= r && r < 0xa0 }

// FuzzValue checks that no method panics on any value, and that the methods
// read what encoding/json reads.
func FuzzValue(f *testing.F) {
	for _, s := range []string{`"\ud83d\ude00"`, `["a","b"]`, `-12`, `true`, `{"a":{}}`, `"`, `[`, `"\u`, `0e9227000000000000000`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := strictjson.Value(data)
		if text, err := v.Text(); err == nil {
			var want string
			if stdErr := json.Unmarshal(data, &want); stdErr != nil || text != want {
				t.Fatalf("Text(%q) = %q, and encoding/json %q, %v", data, text, want, stdErr)
			}
		}
		if n, err := v.Int(); err == nil {
			want, ok := new(big.Rat).SetString(string(data)) // which fails if the exponent is too large
			if !json.Valid(data) || ok && want.Cmp(new(big.Rat).SetInt64(n)) != 0 {
				t.Fatalf("Int(%q) = %d, and math/big %v", data, n, want)
			}
		}
		_, _ = v.Bool()
		if json.Valid(data) {
			checkTexts(t, v)
		} else {
			_, _ = v.Texts()
		}
		_ = v.Members(func(string, strictjson.Value) error { return nil })
	})
}

func checkTexts(t *testing.T, v strictjson.Value) {
	texts, err := v.Texts()
	if err != nil {
		return
	}
	var want []string
	if stdErr := json.Unmarshal([]byte(v), &want); stdErr != nil || fmt.Sprintf("%q", texts) != fmt.Sprintf("%q", want) {
		t.Fatalf("Texts(%s) = %q, and encoding/json %q, %v", v, texts, want, stdErr)
	}
}

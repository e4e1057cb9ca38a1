package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dynreg/dcr/internal/strictjson"
)

var limits = strictjson.Limits{Members: 64, Depth: 6}

// read returns the members of a text as name=value, in order.
func read(text string, lim strictjson.Limits) ([]string, error) {
	var members []string
	err := strictjson.ReadObject([]byte(text), lim, func(name string, value strictjson.Value) error {
		members = append(members, name+"="+string(value))
		return nil
	})
	return members, err
}

func TestReadObjectAccepts(t *testing.T) {
	for _, tt := range []struct {
		why, text string
		members   string
	}{
		{"an empty object", `{}`, ""},
		{"white space everywhere", " \t\r\n{ \"a\" : 1 , \"b\" : [ 1 , 2 ] } \n", "a=1 b=[ 1 , 2 ]"},
		{"every kind of value", `{"a":null,"b":true,"c":false,"d":"x","e":{},"f":[]}`, `a=null b=true c=false d="x" e={} f=[]`},
		{"every form of number", `{"a":0,"b":-0,"c":-1.50,"d":1e9,"e":1E+2,"f":0.0e-0}`, "a=0 b=-0 c=-1.50 d=1e9 e=1E+2 f=0.0e-0"},
		{"every escape", `{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, `a="\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`},
		{"text outside ASCII", `{"é":"日本 😀"}`, `é="日本 😀"`},
		{"an escaped name", `{"\u0072edirect_uris":1,"\ud83d\ude00":2}`, "redirect_uris=1 😀=2"},
		{"an empty name", `{"":1}`, "=1"},
		{"names that differ in case", `{"a":1,"A":2}`, "a=1 A=2"},
		{"the same name in different objects", `{"a":{"a":1},"b":[{"a":1},{"a":1}]}`, `a={"a":1} b=[{"a":1},{"a":1}]`},
		{"DEL, which JSON does not count as a control character", "{\"a\":\"\x7f\"}", "a=\"\x7f\""},
		{"nested as deep as allowed", `{"a":[[[[[]]]]]}`, "a=[[[[[]]]]]"},
	} {
		members, err := read(tt.text, limits)
		if got := strings.Join(members, " "); err != nil || got != tt.members {
			t.Errorf("%s: ReadObject(%s) = %s, %v, want %s", tt.why, tt.text, got, err, tt.members)
		}
	}
}

// refused are texts that ReadObject must refuse, with the whole message.
var refused = []struct{ why, text, message string }{
	{"nothing", "", "the body must be a JSON object"},
	{"white space", " \n", "the body must be a JSON object"},
	{"null", "null", "the body must be a JSON object"},
	{"an array", `[{}]`, "the body must be a JSON object"},
	{"a string", `"{}"`, "the body must be a JSON object"},
	{"a byte order mark", "\ufeff{}", "the body must not begin with a byte order mark"},
	{"a byte order mark in UTF-16", "\xff\xfe{\x00}\x00", "the body must be valid UTF-8"},
	{"invalid UTF-8", "{\"a\":\"\xff\"}", "the body must be valid UTF-8"},
	{"an overlong form", "{\"a\":\"\xc0\xaf\"}", "the body must be valid UTF-8"},
	{"a surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", "the body must be valid UTF-8"},
	{"a second object", `{} {}`, "the body must not have anything after its JSON object"},
	{"a NUL after the object", "{}\x00", "the body must not have anything after its JSON object"},

	{"no end", `{`, "the body must be valid JSON: it ends too early"},
	{"an end inside a name", `{"a`, "the body must be valid JSON: it ends too early"},
	{"an end inside an escape", `{"a":"\u00`, "the body must be valid JSON: it ends too early"},
	{"an end after a backslash", `{"a":"\`, "the body must be valid JSON: it ends too early"},
	{"an end inside a pair of surrogates", `{"a":"\ud800\u`, "the body must be valid JSON: it ends too early"},
	{"an end inside a number", `{"a":-`, "the body must be valid JSON: it ends too early"},
	{"an end inside a literal", `{"a":tru`, "the body must be valid JSON: it ends too early"},
	{"a comma after the last member", `{"a":1,}`, "the body must be valid JSON: unexpected character at offset 7"},
	{"a comma before the first", `{,}`, "the body must be valid JSON: unexpected character at offset 1"},
	{"a comma after the last element", `{"a":[1,]}`, "the body must be valid JSON: unexpected character at offset 8"},
	{"no comma", `{"a":1 "b":2}`, "the body must be valid JSON: unexpected character at offset 7"},
	{"no colon", `{"a" 1}`, "the body must be valid JSON: unexpected character at offset 5"},
	{"no value", `{"a":}`, "the body must be valid JSON: unexpected character at offset 5"},
	{"a name without quotes", `{a:1}`, "the body must be valid JSON: unexpected character at offset 1"},
	{"a name in single quotes", `{'a':1}`, "the body must be valid JSON: unexpected character at offset 1"},
	{"the wrong bracket", `{"a":[1}`, "the body must be valid JSON: unexpected character at offset 7"},
	{"a comment", `{/**/}`, "the body must be valid JSON: unexpected character at offset 1"},
	{"a literal in capitals", `{"a":True}`, "the body must be valid JSON: unexpected character at offset 5"},
	{"a literal that goes on", `{"a":nullx}`, "the body must be valid JSON: unexpected character at offset 9"},
	{"not a number", `{"a":NaN}`, "the body must be valid JSON: unexpected character at offset 5"},
	{"a leading zero", `{"a":01}`, "the body must be valid JSON: unexpected character at offset 6"},
	{"a plus sign", `{"a":+1}`, "the body must be valid JSON: unexpected character at offset 5"},
	{"a number that ends with its point", `{"a":1.}`, "the body must be valid JSON: unexpected character at offset 7"},
	{"a number without an exponent", `{"a":1e}`, "the body must be valid JSON: unexpected character at offset 7"},
	{"an unknown escape", `{"a":"\x41"}`, "the body must be valid JSON: unexpected character at offset 7"},
	{"an escape with other letters", `{"a":"\u00g0"}`, "the body must be valid JSON: unexpected character at offset 10"},
	{"a line feed in a string", "{\"a\":\"\n\"}", "the body must be valid JSON: unexpected character at offset 6"},
	{"white space that JSON does not know", "{\u00a0}", "the body must be valid JSON: unexpected character at offset 1"},
	{"a NUL as a value", "{\"a\":\x00}", "the body must be valid JSON: unexpected character at offset 5"},

	{"a name twice", `{"a":1,"a":1}`, "a must not appear twice"},
	{"a name twice, once escaped", `{"redirect_uris":1,"\u0072edirect_uris":2}`, "redirect_uris must not appear twice"},
	{"an empty name twice", `{"":1,"":2}`, "a member must not appear twice"},
	{"a name twice further down", `{"jwks":{"keys":[{},{"kty":1,"kty":2}]}}`, "jwks.keys[1].kty must not appear twice"},
	{"a name twice that is not fit to be shown", `{"<b>":1,"<b>":2}`, "a member must not appear twice"},
	{"such a name further down", `{"jwks":{"keys":[{"\n":1,"\n":2}]}}`, "a member of jwks.keys[0] must not appear twice"},
	{"a name twice below such a name", `{"<b>":{"a":1,"a":2}}`, "a member must not appear twice"},
	{"a name twice in a language", `{"client_name#de":1,"client_name#de":2}`, "client_name#de must not appear twice"},
	{"a name twice, with many between", `{"x":1,` + manyMembers(50) + `,"x":2}`, "x must not appear twice"},
	{"a late name twice", `{` + manyMembers(50) + `,"m49":2}`, "m49 must not appear twice"},
	{"too many members", `{` + manyMembers(65) + `}`, "the body must not have more than 64 members"},
	{"too many members further down", `{"a":{"b":[{` + manyMembers(65) + `}]}}`, "a.b[0] must not have more than 64 members"},
	{"too deep with arrays", `{"a":[[[[[[]]]]]]}`, "the body must not be nested more than 6 levels deep"},
	{"too deep with objects", `{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}`, "the body must not be nested more than 6 levels deep"},
	{"a high surrogate alone", `{"a":["x","\ud800"]}`, "a[1] must not contain a lone surrogate"},
	{"a high surrogate and a letter", `{"a":"\ud800\u0041"}`, "a must not contain a lone surrogate"},
	{"a high surrogate twice", `{"a":"\ud800\ud800"}`, "a must not contain a lone surrogate"},
	{"a low surrogate first", `{"a":"\udc00\ud800"}`, "a must not contain a lone surrogate"},
	{"a lone surrogate in a name", `{"\ud800":1}`, "a member must not contain a lone surrogate"},
}

func TestReadObjectRefuses(t *testing.T) {
	for _, tt := range refused {
		_, err := read(tt.text, limits)
		var e *strictjson.Error
		if !errors.As(err, &e) || err.Error() != tt.message {
			t.Errorf("%s: ReadObject(%s) fails with %v, want: %s", tt.why, tt.text, err, tt.message)
		}
	}
}

func TestReadObjectStopsAtTheMembersError(t *testing.T) {
	stop := errors.New("stop")
	calls := 0
	err := strictjson.ReadObject([]byte(`{"a":1,"b":2}`), limits, func(string, strictjson.Value) error {
		calls++
		return stop
	})
	if err != stop || calls != 1 {
		t.Errorf("ReadObject returns %v after %d calls, want the error from member after one call", err, calls)
	}
}

func TestLimits(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	for _, tt := range []struct {
		why, text string
		lim       strictjson.Limits
		ok        bool
	}{
		{"as many members as allowed", `{` + manyMembers(100) + `}`, strictjson.Limits{Members: 100, Depth: 1}, true},
		{"one member too many", `{` + manyMembers(101) + `}`, strictjson.Limits{Members: 100, Depth: 1}, false},
		{"elements are not members", `{"a":[1,2,3]}`, strictjson.Limits{Members: 1, Depth: 2}, true},
		{"no members allowed", `{"a":1}`, strictjson.Limits{Depth: 1}, false},
		{"no depth allowed", `{}`, strictjson.Limits{Members: 1}, false},
		{"a negative depth", `{}`, strictjson.Limits{Members: 1, Depth: -1}, false},
		{"as deep as any text may be", deep(10_000), strictjson.Limits{Members: 1, Depth: 1 << 40}, true},
		{"deeper than any text may be", deep(10_001), strictjson.Limits{Members: 1, Depth: 1 << 40}, false},
	} {
		if _, err := read(tt.text, tt.lim); (err == nil) != tt.ok {
			t.Errorf("%s: ReadObject with %+v returns %v", tt.why, tt.lim, err)
		}
	}
}

func TestErrorsAreFitToBeShown(t *testing.T) {
	for _, tt := range []struct{ why, name, text string }{
		{"a long name", strings.Repeat("a", 65), `"\ud800"`},
		{"a name with a line feed", "a\nb", `"\ud800"`},
		{"a name outside ASCII", "é", `"\ud800"`},
		{"a long path", "a", strings.Repeat(`{"`+strings.Repeat("b", 60)+`":`, 50) + `"\ud800"` + strings.Repeat("}", 50)},
		{"a long path of elements", "a", strings.Repeat("[", 500) + `"\ud800"` + strings.Repeat("]", 500)},
		{"a long path to a hostile name", "a", strings.Repeat(`{"`+strings.Repeat("b", 60)+`":`, 50) + `{"<":"\ud800"}` + strings.Repeat("}", 50)},
	} {
		text := "{" + string(strictjson.AppendString(nil, tt.name)) + ":" + tt.text + "}"
		_, err := read(text, strictjson.Limits{Members: 8, Depth: 1000})
		if err == nil || !fitToBeShown(err.Error()) {
			t.Errorf("%s: ReadObject fails with %v", tt.why, err)
		}
	}
}

// BenchmarkReadHardObject measures the time for each byte of a text that is
// hard to read. It must not grow with the length of the text.
func BenchmarkReadHardObject(b *testing.B) {
	for _, n := range []int{1 << 14, 1 << 17, 1 << 20} {
		for _, tt := range []struct{ why, text string }{
			{"ManyNames", `{` + manyMembers(n/10) + `}`},
			{"ManyObjects", `{"a":[` + strings.Repeat(`{`+manyMembers(31)+`},`, n/300) + `{}]}`},
			{"DeepArrays", `{"a":` + strings.Repeat("[", n)},
			{"DeepObjects", strings.Repeat(`{"a":`, n/5)},
		} {
			b.Run(fmt.Sprintf("%s/%d", tt.why, n), func(b *testing.B) {
				b.SetBytes(int64(len(tt.text)))
				for b.Loop() {
					read(tt.text, strictjson.Limits{Members: n, Depth: n})
				}
			})
		}
	}
}

func TestReadObjectAllocatesNamesOnly(t *testing.T) {
	text := []byte(`{"client_name":"A client","redirect_uris":["https://a.example/cb"],"jwks":{"keys":[{"kty":"EC"}]}}`)
	ignore := func(string, strictjson.Value) error { return nil }
	if n := testing.AllocsPerRun(100, func() { _ = strictjson.ReadObject(text, limits, ignore) }); n > 3 {
		t.Errorf("ReadObject allocates %v times for three members", n)
	}
}

func BenchmarkReadObject(b *testing.B) {
	text := []byte(`{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],` +
		`"grant_types":["authorization_code","refresh_token"],"response_types":["code"],` +
		`"token_endpoint_auth_method":"none","scope":"openid profile email","client_uri":"https://claude.ai"}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		err := strictjson.ReadObject(text, limits, func(string, strictjson.Value) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzReadObject checks that ReadObject accepts what encoding/json accepts,
// with the same members, except for the texts about which it is stricter.
func FuzzReadObject(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"a":1}`, `{"a":{"b":[1,2,{"c":null}]},"d":"\u00e9\ud83d\ude00"}`, `{"a":1,"\u0061":2}`,
		`{"a":"\ud800"}`, "\ufeff{}", `{"a":[[[[[[[]]]]]]]}`, `null`, `{} {}`, `{"a":-0.5e+7}`, "{\"\xff\":1}",
		`{` + manyMembers(40) + `,"m0":1}`,
	} {
		f.Add([]byte(text))
	}
	for _, tt := range refused {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := map[string]string{}
		err := strictjson.ReadObject(data, limits, func(name string, value strictjson.Value) error {
			got[name] = string(value)
			return nil
		})
		var std map[string]json.RawMessage
		stdErr := json.Unmarshal(data, &std)
		if err != nil {
			if !fitToBeShown(err.Error()) {
				t.Fatalf("ReadObject(%q) fails with %q, which is not fit to be shown", data, err)
			}
			if stdErr == nil && std != nil && !stricter(data) {
				t.Fatalf("ReadObject(%q) fails with %q, and encoding/json accepts it", data, err)
			}
			return
		}
		want := map[string]string{}
		for name, value := range std {
			want[name] = string(value)
		}
		if stdErr != nil || stricter(data) || !maps.Equal(got, want) {
			t.Fatalf("ReadObject(%q) = %q, and encoding/json %q, %v", data, got, want, stdErr)
		}
	})
}

// stricter reports whether a text that encoding/json accepts is one that
// ReadObject must refuse.
func stricter(data []byte) bool {
	if !utf8.Valid(data) {
		return true
	}
	// encoding/json replaces a lone surrogate by U+FFFD. An escaped U+FFFD in
	// the text is harmless, so it is removed first.
	harmless := bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\ufffd"), []byte("?")), []byte(`\\`), []byte("__"))
	for _, escape := range []string{"fffd", "fffD", "ffFd", "ffFD", "fFfd", "fFfD", "fFFd", "fFFD",
		"Fffd", "FffD", "FfFd", "FfFD", "FFfd", "FFfD", "FFFd", "FFFD"} {
		harmless = bytes.ReplaceAll(harmless, []byte(`\u`+escape), []byte("?"))
	}
	var lone any
	if json.Unmarshal(harmless, &lone) == nil && strings.Contains(fmt.Sprint(lone), "\ufffd") {
		return true
	}
	return stricterValue(json.NewDecoder(bytes.NewReader(data)), 0)
}

// stricterValue reads one value, and reports whether it is nested too deeply,
// has too many members or has a name twice.
func stricterValue(dec *json.Decoder, depth int) bool {
	token, err := dec.Token()
	delim, ok := token.(json.Delim)
	if err != nil || !ok {
		return false
	}
	strict := depth == limits.Depth
	members, names := 0, map[string]bool{}
	for dec.More() {
		if delim == '{' {
			name, err := dec.Token()
			if err != nil {
				return strict
			}
			members++
			names[name.(string)] = true
		}
		strict = stricterValue(dec, depth+1) || strict
	}
	_, _ = dec.Token() // the closing bracket
	return strict || members > limits.Members || members > len(names)
}

func fitToBeShown(message string) bool {
	for _, c := range message {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return message != "" && len(message) < 300
}

// manyMembers returns n members: "m0":0,"m1":0,…
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"m%d":0`, i)
	}
	return b.String()
}

func TestReadObjects(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1,"in":{"b":"x","c":{"d":2}},"e":{"f":3}}`: `a=1 in.b="x" in.c={"d":2} e={"f":3}`,
		`{"in":{}}`:                      ``,
		`{"in":null}`:                    `in must be a JSON object`,
		`{"in":[]}`:                      `in must be a JSON object`,
		`{"in":{"b":1,"b":2}}`:           `in.b must not appear twice`,
		`{"in":{"b":1},"in":{"c":2}}`:    `in must not appear twice`,
		`{"in":{"b":{"c":{"d":{}}}}}`:    `the body must not be nested more than 4 levels deep`,
		`{"in":{"stop":1,"b":2}}`:        `in.stop must end it`,
		`{"in":{"b":1,"c":2,"d":3,"e"4}`: `in must not have more than 3 members`,
	} {
		var read []string
		take := func(prefix string) strictjson.Member {
			return func(name string, value strictjson.Value) error {
				if name == "stop" {
					return &strictjson.Error{Path: name, Reason: "must end it"}
				}
				read = append(read, prefix+name+"="+string(value))
				return nil
			}
		}
		err := strictjson.ReadObjects([]byte(text), strictjson.Limits{Members: 3, Depth: 4}, func(name string) strictjson.Member {
			if name == "in" {
				return take("in.")
			}
			return nil
		}, take(""))
		got := strings.Join(read, " ")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

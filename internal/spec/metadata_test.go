package spec_test

// A member of Metadata is fully described by its line. These tests go through
// the lines, so that they cover a new member without listing it here.

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// lines yields the fields of Metadata that are members.
func lines(yield func(field reflect.StructField) bool) {
	typ := reflect.TypeFor[dcr.Metadata]()
	for i := range typ.NumField() {
		if field := typ.Field(i); field.Name != "Localized" && field.Name != "Extra" && !yield(field) {
			return
		}
	}
}

func TestEveryLineIsWellFormed(t *testing.T) {
	lists := make(map[string]bool)
	for field := range reflect.TypeFor[dcr.Capabilities]().NumField() {
		lists[reflect.TypeFor[dcr.Capabilities]().Field(field).Tag.Get("json")] = true
	}
	names := make(map[string]bool)
	for field := range lines {
		name := field.Tag.Get("json")
		if name == "" || names[name] || name != strings.ToLower(name) || strings.Contains(name, ",") {
			t.Errorf("%s has the json tag %q", field.Name, name)
		}
		names[name] = true
	}
	for field := range lines {
		if list := field.Tag.Get("list"); list != "" && (!lists[list] || field.Type.Kind() != reflect.String) {
			t.Errorf("%s: %q is not a list of Capabilities for a string", field.Name, list)
		}
		if with := field.Tag.Get("with"); with != "" && (!names[with] || field.Type.Kind() != reflect.Bool) {
			t.Errorf("%s: with %q is not a member, or this is not a boolean", field.Name, with)
		}
		if lang := field.Tag.Get("lang"); lang != "" && (lang != "yes" || field.Type.Kind() != reflect.String) {
			t.Errorf("%s: lang is %q", field.Name, lang)
		}
	}
}

// A member with the wrong JSON type is refused, with its name, if its feature
// is on, and ignored if its feature is off. This also shows that every on tag
// names a feature that capabilities can switch.
func TestEveryMemberIsSwitched(t *testing.T) {
	off := start(t, `{}`)
	on := start(t, everything, sealed(t))
	for field := range lines {
		name := field.Tag.Get("json")
		t.Run(name, func(t *testing.T) {
			wrong := request(t, `{"`+name+`":[{}]}`)
			if a := on.post(t, wrong); a.status != 400 || !strings.Contains(a.text("error_description"), name) {
				t.Errorf("on: status %d: %s", a.status, a.body)
			}
			a := off.post(t, wrong)
			if core := field.Tag.Get("on") == ""; core != (a.status == 400) {
				t.Errorf("off: status %d: %s", a.status, a.body)
			}
			if _, there := a.members[name]; a.status == 201 && there {
				t.Errorf("it is returned although it is off: %s", a.body)
			}
		})
	}
}

// Every stored member of a client is returned.
func TestEveryMemberIsAnswered(t *testing.T) {
	r := start(t, everything, sealed(t))
	registered := r.register(t, request(t, ``))
	client, err := r.store.FindByClientID(t.Context(), registered.text("client_id"))
	if err != nil {
		t.Fatal(err)
	}
	var filled dcr.Metadata
	fill(t, reflect.ValueOf(&filled).Elem())
	filled.RedirectURIs = []string{"https://rp.example.com/cb"}
	for _, page := range []*string{&filled.ClientURI, &filled.LogoURI, &filled.TOSURI, &filled.PolicyURI, &filled.JWKSURI} {
		*page = "https://rp.example.com/"
	}
	client.Metadata = filled
	if err := r.store.Update(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	a := r.manage(t, "GET", registered, "")
	if a.status != 200 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	for field := range lines {
		var got, want any
		name := field.Tag.Get("json")
		got = a.members[name]
		text, _ := json.Marshal(reflect.ValueOf(filled).FieldByIndex(field.Index).Interface())
		json.Unmarshal(text, &want)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is returned as %v, want %v", name, got, want)
		}
	}
	has(t, a, `{"client_name#fr":"Nom","extension":{"a":[1]}}`)
}

// The JSON of Metadata is complete, in both directions.
func TestEveryMemberSurvivesJSON(t *testing.T) {
	var filled, read dcr.Metadata
	fill(t, reflect.ValueOf(&filled).Elem())
	text, err := json.Marshal(filled)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &read); err != nil || !reflect.DeepEqual(filled, read) {
		t.Errorf("%v: %s is read as %+v", err, text, read)
	}
	if text, err := json.Marshal(dcr.Metadata{}); err != nil || string(text) != `{}` {
		t.Errorf("nothing is written as %s, %v", text, err)
	}
	for _, bad := range []string{`[]`, `{"client_name":5}`, `{"redirect_uris":[null]}`, `{"client_name":"a","client_name":"b"}`} {
		kept := dcr.Metadata{ClientName: "kept"}
		if err := json.Unmarshal([]byte(bad), &kept); err == nil || kept.ClientName != "kept" {
			t.Errorf("%s is read as %+v, %v", bad, kept, err)
		}
	}
}

// A Field with a registered name reads and writes the typed member.
func TestFieldsReadThrough(t *testing.T) {
	for field := range lines {
		name := field.Tag.Get("json")
		var filled, written dcr.Metadata
		fill(t, reflect.ValueOf(&filled).Elem())
		through := dcr.NewField[json.RawMessage](name)
		value, there, err := through.Get(&filled)
		if err != nil || !there {
			t.Errorf("%s: %s, %v, %v", name, value, there, err)
			continue
		}
		if err := through.Set(&written, value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		again, _, _ := through.Get(&written)
		if !bytes.Equal(again, value) || written.Extra != nil {
			t.Errorf("%s: written %s, read %s", name, value, again)
		}
		if err := through.Set(&written, json.RawMessage(`[{}]`)); err == nil && name != "jwks" {
			t.Errorf("%s can be set to another type", name)
		}
		if _, there, err := through.Get(&dcr.Metadata{}); there || err != nil {
			t.Errorf("%s: present in an empty client: %v, %v", name, there, err)
		}
	}
}

func TestFieldsThatCannotBe(t *testing.T) {
	for _, name := range append(slices.Clone(perIssue), "", "client_id", "client_secret", "software_statement") {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewField(%q) does not panic", name)
				}
			}()
			dcr.NewField[string](name)
		}()
	}
}

func TestExtensionFields(t *testing.T) {
	var m dcr.Metadata
	words := dcr.NewField[[]string]("x_words")
	if value, there, err := words.Get(&m); value != nil || there || err != nil {
		t.Errorf("%v, %v, %v", value, there, err)
	}
	if err := words.Set(&m, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if value, there, err := words.Get(&m); !slices.Equal(value, []string{"a"}) || !there || err != nil {
		t.Errorf("%v, %v, %v", value, there, err)
	}
	if _, there, err := dcr.NewField[int64]("x_words").Get(&m); there || err == nil {
		t.Errorf("a list is read as a number: %v, %v", there, err)
	}
	if !maps.EqualFunc(m.Extra, map[string]json.RawMessage{"x_words": json.RawMessage(`["a"]`)}, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Errorf("kept as %s", m.Extra)
	}
	if err := dcr.NewField[func()]("x_func").Set(&m, nil); err == nil {
		t.Error("a function was accepted, which has no JSON")
	}
}

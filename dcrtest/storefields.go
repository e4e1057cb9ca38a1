package dcrtest

// Every field of a client, in and out of a store.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

var fieldCases = []storeCase{
	{"EveryField", "Every field of a client survives Add and Update, to the byte and to the nanosecond.", everyField},
	{"NewerFields", "Members that a newer version stored, and that this version does not know, survive a read and an update.", newerFields},
	{"NonASCII", "Text in any script survives, with emoji, quotes and backslashes.", nonASCII},
	{"ControlCharacters", "Line breaks and tabs in Notes survive.", controlCharacters},
	{"LargeClient", "A client of a hundred kilobytes survives.", largeClient},
}

func everyField(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := fullClient("full")
	if err := add(ctx, store, client); err != nil {
		return err
	}
	if err := wantStored(ctx, store, client); err != nil {
		return err
	}
	bare := newClient("bare")
	if err := add(ctx, store, bare); err != nil {
		return err
	}
	full := fullClient("bare")
	full.Revision = bare.Revision
	if err := store.Update(ctx, full); err != nil {
		return fmt.Errorf("Update failed: %w", err)
	}
	return wantStored(ctx, store, full)
}

// newerDocument is a stored form with members that no version knows, also in its objects.
const newerDocument = `{"client_id":"newer","metadata":{"client_name":"Newer","redirect_uris":[],"member_of_2031":{"a":[1,2.50,"é"]}},` +
	`"secrets":[{"type":"sha256","value":"x","of_2031":{"n":[2.50,null]},"more_of_2031":"é"},{"of_2031":1}],` +
	`"registration_tokens":[{"type":"sha256","value":"y","of_2031":true}],"source":"dynamic",` +
	`"statement":{"issuer":"https://a.example","of_2031":["b"]},"document":{"sha256":"z","of_2031":"2031-01-01T00:00:00Z"},` +
	`"setting_of_2031":{"deep":[true,null]},"another_of_2031":"x"}`

func newerFields(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := &dcr.Client{}
	if err := json.Unmarshal([]byte(newerDocument), client); err != nil {
		return err
	}
	if err := add(ctx, store, client); err != nil {
		return err
	}
	found, err := store.FindByClientID(ctx, "newer")
	if err != nil {
		return err
	}
	found.ClientName = "Renamed by an older version"
	if err := store.Update(ctx, found); err != nil {
		return err
	}
	client.ClientName = found.ClientName
	client.Revision++
	if err := wantStored(ctx, store, client); err != nil {
		return err
	}
	if found, err = store.FindByClientID(ctx, "newer"); err != nil {
		return err
	}
	text, err := json.Marshal(found)
	if err == nil && strings.Count(string(text), "2031\":") != strings.Count(newerDocument, "2031\":") {
		err = fmt.Errorf("members that this version does not know are lost: %s", text)
	}
	return err
}

func nonASCII(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("ünïcödé-客户")
	client.ClientName = "Ω≈ç√ \U0001F511 \u202eright-to-left\u202c \"quotes\" 'single' \\back\\ \u2028 e\u0301 \u00e9 \ufeff"
	client.RegisteredBy = "Пользователь"
	client.SoftwareID = "软件"
	client.Notes = strings.Repeat("\U0001F600", 100)
	if err := add(ctx, store, client); err != nil {
		return err
	}
	return wantStored(ctx, store, client)
}

func controlCharacters(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("noted")
	client.Notes = "first line\nsecond\tline\r\n\x01"
	if err := add(ctx, store, client); err != nil {
		return err
	}
	return wantStored(ctx, store, client)
}

func largeClient(ctx context.Context, store dcr.ClientConfigurationStore) error {
	client := newClient("large")
	for i := range 1000 {
		client.RedirectURIs = append(client.RedirectURIs, fmt.Sprintf("https://app.example.com/%04d/%s", i, long(80)))
	}
	client.SoftwareID, client.RegisteredBy, client.Policy = long(3000)+"1", long(3000)+"2", long(3000)+"3"
	client.Statement = &dcr.StatementRecord{Issuer: "https://" + long(3000), ID: long(3000)}
	if err := add(ctx, store, client); err != nil {
		return err
	}
	return wantStored(ctx, store, client)
}

// fullClient returns a client with every exported field set to something that
// is neither zero nor a default, so that a field that is added to dcr.Client
// later is tested without a change here.
func fullClient(id string) *dcr.Client {
	client := dcr.NewClient()
	number := 0
	fill(reflect.ValueOf(client).Elem(), &number)
	client.ID = id
	client.Revision = 0
	client.Status = dcr.StatusDisabled
	client.Localized = map[string]string{"client_name#de": "Größe", "client_name#ja-Jpan-JP": "クライアント名"}
	client.Extra = map[string]json.RawMessage{"x_one": json.RawMessage(`{"b":1,"a":[2.50,"é"]}`), "x_two": json.RawMessage(`"x"`)}
	client.JWKS = json.RawMessage(`{"keys":[{"kty":"OKP","crv":"Ed25519"}]}`)
	return client
}

// fill sets v, and everything in it, to distinct values.
func fill(v reflect.Value, number *int) {
	*number++
	switch value := v.Addr().Interface().(type) {
	case *time.Time:
		*value = day(*number).Add(789 * time.Nanosecond)
		return
	case *time.Duration:
		*value = time.Duration(*number)*time.Minute + 250*time.Millisecond
		return
	case *json.RawMessage:
		*value = fmt.Appendf(nil, `{"n":%d}`, *number)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("värde-%d", *number))
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*number))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), number)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), number)
		fill(v.Index(1), number)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), number)
			}
		}
	case reflect.Map: // their keys have a grammar: see fullClient
	default:
		panic(fmt.Sprintf("dcrtest: fill cannot set a field of type %s", v.Type()))
	}
}

// scribble overwrites, in place, everything that can be reached from a client.
func scribble(client *dcr.Client) { overwrite(reflect.ValueOf(client).Elem()) }

func overwrite(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			overwrite(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			overwrite(v.Index(i))
		}
	case reflect.Map:
		for _, name := range v.MapKeys() {
			if inner := v.MapIndex(name); inner.Kind() == reflect.Slice {
				overwrite(inner) // shares its array with the value in the map
			}
			v.SetMapIndex(name, reflect.Zero(v.Type().Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				overwrite(v.Field(i))
			}
		}
	default:
		if v.CanSet() {
			v.SetZero()
		}
	}
}

// sameClient compares two clients by their stored form and says where they
// differ.
func sameClient(got, want *dcr.Client) error {
	switch got.Revision {
	case want.Revision:
	case 0:
		return fmt.Errorf("client %q has Revision 0, not %d: store the Revision too, which is not in the JSON of a Client", want.ID, want.Revision)
	default:
		return fmt.Errorf("client %q has Revision %d, not %d", want.ID, got.Revision, want.Revision)
	}
	gotForm, err := got.MarshalJSON()
	if err != nil {
		return err
	}
	wantForm, err := want.MarshalJSON()
	if err != nil {
		return err
	}
	if bytes.Equal(gotForm, wantForm) {
		return nil
	}
	return differ(fmt.Sprintf("client %q", want.ID), gotForm, wantForm)
}

// differ finds the first member in which two JSON objects differ.
func differ(where string, got, want []byte) error {
	var gotMembers, wantMembers map[string]json.RawMessage
	if json.Unmarshal(got, &gotMembers) != nil || json.Unmarshal(want, &wantMembers) != nil {
		return fmt.Errorf("%s is %.200s, not %.200s", where, got, want)
	}
	for name, value := range wantMembers {
		if had, found := gotMembers[name]; !found {
			return fmt.Errorf("%s has lost %s", where, name)
		} else if !bytes.Equal(had, value) {
			return differ(where+", member "+name, had, value)
		}
	}
	for name := range gotMembers {
		if _, expected := wantMembers[name]; !expected {
			return fmt.Errorf("%s has gained %s", where, name)
		}
	}
	return fmt.Errorf("%s has its members in a different order", where)
}

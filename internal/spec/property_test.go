package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
	"github.com/dynreg/dcr/policy"
)

// A generator makes well-typed requests whose members are mostly valid. It gets
// what it knows about a member from the member's line and from the discovery
// document.
type generator struct {
	*rand.Rand
	supported map[string]any
}

var webAddresses = []string{"https://rp.example.com/cb", "https://rp.example.com/other", "https://b.example.com:8443/x?y=z", "http://localhost:3000/cb",
	"http://127.0.0.1/cb", "com.example.app:/cb", "cursor://authority/cb", "https://localhost/cb", "https://rp.example.com/a#b", "http://remote.example/cb", "javascript:x"}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

func (g *generator) some(from func() any) []any {
	list := make([]any, g.IntN(3))
	for i := range list {
		list[i] = from()
	}
	return list
}

// listed returns a value from one of the server's lists, or rarely another one.
func (g *generator) listed(list string) any {
	supported, _ := g.supported[list].([]any)
	if len(supported) == 0 || g.IntN(20) == 0 {
		return "unsupported"
	}
	return pick(g, supported)
}

func (g *generator) address() any {
	if g.IntN(4) > 0 {
		return pick(g, webAddresses[:2])
	}
	return pick(g, webAddresses)
}

func (g *generator) request() map[string]any {
	request := make(map[string]any)
	for field := range lines {
		if name := field.Tag.Get("json"); g.IntN(25) == 0 {
			request[name] = g.value(name, field)
		}
	}
	delete(request, "sector_identifier_uri")
	if g.IntN(8) > 0 {
		request["redirect_uris"] = append(g.some(g.address), webAddresses[0])
	}
	if g.IntN(3) == 0 {
		request["grant_types"] = append(g.some(func() any { return g.listed("grant_types_supported") }), "authorization_code", "implicit")
		request["response_types"] = append(g.some(func() any { return g.listed("response_types_supported") }), "code")
	}
	if g.IntN(3) == 0 {
		request["jwks"] = json.RawMessage(`{"keys":[` + rsaKey + `}]}`)
		delete(request, "jwks_uri")
	}
	if g.IntN(6) == 0 {
		request["client_name#"+pick(g, []string{"fr", "de-AT", "ja-Jpan-JP"})] = "x"
	}
	return request
}

func (g *generator) value(name string, field reflect.StructField) any {
	list := field.Tag.Get("list")
	switch kind := field.Type; {
	case list != "":
		return g.listed(list)
	case kind.Kind() == reflect.Bool:
		return g.IntN(2) == 0
	case kind == reflect.TypeFor[*int64]():
		return g.IntN(100)
	case strings.HasSuffix(name, "_uris"):
		return g.some(g.address)
	case strings.HasSuffix(name, "_uri"), strings.HasSuffix(name, "_endpoint"):
		return g.address()
	case name == "application_type":
		return pick(g, []string{"web", "native"})
	case name == "jwks":
		return json.RawMessage(`{"keys":[]}`)
	case name == "scope":
		return pick(g, []string{"openid", "openid email", "profile unknown"})
	case name == "contacts":
		return []string{"a@example.com"}
	case name == "backchannel_token_delivery_mode":
		return g.listed("backchannel_token_delivery_modes_supported")
	case name == "default_acr_values":
		return g.some(func() any { return g.listed("acr_values_supported") })
	case kind.Kind() == reflect.Slice:
		return g.some(func() any { return g.listed(name + "_supported") })
	case name == "tls_client_auth_subject_dn":
		return "CN=a"
	case name == "tls_client_auth_san_email":
		return "a@example.com"
	}
	return pick(g, []string{"example.com", "192.0.2.1"})
}

// Whatever is accepted stays the same when it is read and when it is sent back,
// and an update is accepted if and only if the same registration would be.
func TestRandomRegistrations(t *testing.T) {
	r := start(t, everything, sealed(t))
	g := &generator{rand.New(rand.NewPCG(1, 2)), decode(t, everything)}
	const rounds = 600
	accepted, kept := 0, r.register(t, request(t, `{"token_endpoint_auth_method":"none"}`))
	for range rounds {
		sent := g.request()
		a := r.post(t, encode(sent))
		if a.status == 201 {
			accepted++
			r.comesBack(t, a)
		}
		sent["client_id"] = kept.text("client_id")
		updated := r.manage(t, "PUT", kept, encode(sent))
		if (a.status == 201) != (updated.status == 200) || a.status == 201 && !reflect.DeepEqual(asRegistered(a), asRegistered(updated)) {
			t.Errorf("%s\nregistered: %d %s\nupdated: %d %s", encode(sent), a.status, a.body, updated.status, updated.body)
		}
		if t.Failed() {
			return
		}
	}
	if accepted < rounds/5 || accepted > rounds*4/5 {
		t.Errorf("%d of %d were accepted, which shows little", accepted, rounds)
	}
}

// asRegistered returns an answer without the members that differ for each
// client.
func asRegistered(a *answer) map[string]any {
	metadata := a.metadata()
	for _, name := range append([]string{"client_id"}, perIssue...) {
		delete(metadata, name)
	}
	return metadata
}

// FuzzValidate checks that the parser and the steps do not panic or return an
// error of the server, and that what was accepted is accepted again unchanged.
func FuzzValidate(f *testing.F) {
	for _, body := range []string{`{}`, `null`, plainBody, `{"redirect_uris":["https://rp.example.com/cb"],` + keySet + `,"client_name#fr":"x","x_text":"y"}`} {
		f.Add([]byte(body))
	}
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if body, found := strings.CutPrefix(line, "> POST "); found {
				f.Add([]byte(body))
			}
		}
	}
	supports := capabilities(f, everything)
	supports.SubjectTypes = []string{"public"} // the network is not fuzzed
	validator := policy.Stack(dcr.DefaultValidator{Supports: supports, Extensions: append(extension.Federation(), dcr.NewField[string]("x_text"))},
		policy.DuendeMembers(policy.DuendeLimits{}))
	f.Fuzz(func(t *testing.T, body []byte) {
		client, err := validated(validator, body)
		if refused := (*dcr.Error)(nil); err != nil && !errors.As(err, &refused) {
			t.Fatalf("an error of the server: %v", err)
		}
		if err != nil {
			return
		}
		again, err := json.Marshal(client.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		second, err := validated(validator, again)
		if err != nil {
			t.Fatalf("%s\naccepted as\n%s\nand then refused: %v", body, again, err)
		}
		if third, _ := json.Marshal(second.Metadata); string(third) != string(again) {
			t.Fatalf("%s\naccepted as\n%s\nand then as\n%s", body, again, third)
		}
		stored, err := json.Marshal(client)
		if err != nil {
			t.Fatal(err)
		}
		var read dcr.Client
		if err := json.Unmarshal(stored, &read); err != nil || encode(&read) != string(stored) {
			t.Fatalf("stored as %s, read as %s, %v", stored, encode(&read), err)
		}
	})
}

func validated(v dcr.Validator, body []byte) (*dcr.Client, error) {
	reg := &dcr.Registration{Request: &dcr.Request{}}
	if err := reg.Request.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	err := dcr.Validate(context.Background(), v, reg)
	return reg.Client, err
}

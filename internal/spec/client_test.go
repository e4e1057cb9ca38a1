package spec_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/dynreg/dcr"
)

// fill sets every exported field of a struct to something other than zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Name
		if !field.CanSet() {
			continue
		}
		switch value := field.Addr().Interface().(type) {
		case *string:
			*value = "text of " + name
		case *[]string:
			*value = []string{"first of " + name, "second"}
		case *bool:
			*value = !*value
		case **int64:
			number := int64(7)
			*value = &number
		case *int64:
			*value = 3
		case *time.Duration:
			*value = 77 * time.Second
		case *time.Time:
			*value = noon
		case *json.RawMessage:
			*value = json.RawMessage(`{"keys":[]}`)
		case *map[string]string:
			*value = map[string]string{"client_name#fr": "Nom"}
		case *map[string]json.RawMessage:
			*value = map[string]json.RawMessage{"extension": json.RawMessage(`{"a":[1]}`)}
		case *[]dcr.Secret:
			*value = []dcr.Secret{{Type: dcr.SecretSHA256, Value: "hash of " + name, ExpiresAt: noon}}
		case **dcr.StatementRecord:
			*value = &dcr.StatementRecord{Issuer: "iss", ID: "id", Hash: "hash", Text: "a.b.c", Members: []string{"client_name"}}
		case **dcr.DocumentRecord:
			*value = &dcr.DocumentRecord{FetchedAt: noon, FreshUntil: noon, SHA256: "hash", AuthMethods: []string{"none"}, Withdrawn: noon}
		default:
			switch field.Kind() {
			case reflect.String:
				field.SetString("value of " + name)
			case reflect.Struct:
				fill(t, field)
			default:
				t.Fatalf("field %s of type %s is not filled: extend this test", name, field.Type())
			}
		}
	}
}

func filledClient(t *testing.T) *dcr.Client {
	client := dcr.NewClient()
	fill(t, reflect.ValueOf(client).Elem())
	return client
}

func TestStoredFormKeepsEveryField(t *testing.T) {
	client := filledClient(t)
	text, err := json.Marshal(client)
	if err != nil {
		t.Fatal(err)
	}
	read := &dcr.Client{Revision: client.Revision}
	if err := json.Unmarshal(text, read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(client, read) {
		t.Errorf("stored %s\nread back differs", text)
	}
}

func TestStoredFormLeavesDefaultsOut(t *testing.T) {
	text, err := json.Marshal(dcr.NewClient())
	if err != nil || string(text) != `{"metadata":{}}` {
		t.Errorf("%s, error %v", text, err)
	}
	read := &dcr.Client{}
	if err := json.Unmarshal(text, read); err != nil || !read.RequirePKCE || read.AccessTokenLifetime != time.Hour {
		t.Errorf("read back %+v, error %v", read, err)
	}
}

func TestStoredFormSaysWhenAClientWasUpdated(t *testing.T) {
	for _, c := range []struct {
		sentence         string
		created, updated time.Time
		stored           bool
	}{
		{"a client that was never updated has only its creation", noon, noon, false},
		{"an update is stored", noon, noon.Add(time.Nanosecond), true},
		{"a client that the host made may have a creation and no update", noon, time.Time{}, true},
		{"or the reverse", time.Time{}, noon, true},
		{"or neither", time.Time{}, time.Time{}, false},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			text, err := json.Marshal(&dcr.Client{CreatedAt: c.created, UpdatedAt: c.updated})
			if err != nil || strings.Contains(string(text), "updated_at") != c.stored {
				t.Errorf("stored %s, error %v", text, err)
			}
			read := &dcr.Client{}
			if err := json.Unmarshal(text, read); err != nil || read.CreatedAt != c.created || read.UpdatedAt != c.updated {
				t.Errorf("read back %v and %v, error %v", read.CreatedAt, read.UpdatedAt, err)
			}
		})
	}
}

func TestStoredFormKeepsWhatANewerVersionWrote(t *testing.T) {
	for sentence, kept := range map[string]string{
		"a member of the client":                     `"trust_level":{"n":5}`,
		"a member of the metadata":                   `"metadata":{"client_name":"y","quantum_alg":"Q1"}`,
		"a language-tagged member":                   `"metadata":{"client_name":"y","logo_uri#de":"https://a.example/"}`,
		"a member of a secret":                       `"secrets":[{"type":"sha256","value":"v"},{"type":"sha256","value":"w","label":"old \"one\""}]`,
		"two members of a secret":                    `"secrets":[{"type":"sha256","value":"v","first":1,"second":[null]}]`,
		"a secret of which no member is known":       `"secrets":[{"first":1,"second":2}]`,
		"a member of a registration access token":    `"registration_tokens":[{"type":"sha256","value":"v","used":true}]`,
		"a member of the statement":                  `"statement":{"issuer":"https://a.example","trust":{"n":5}}`,
		"a member of what is known about a document": `"document":{"sha256":"v","etag":"e"}`,
	} {
		client := &dcr.Client{}
		if err := json.Unmarshal([]byte(`{"client_id":"c",`+strings.ReplaceAll(kept, `"y"`, `"x"`)+`}`), client); err != nil {
			t.Fatalf("%s: %v", sentence, err)
		}
		client.ClientName = "y"
		text, err := json.Marshal(client.Clone())
		if err != nil {
			t.Fatalf("%s: %v", sentence, err)
		}
		if !strings.Contains(string(text), kept) {
			t.Errorf("%s is lost: %s", sentence, text)
		}
	}
}

func TestDocumentRecordKeepsWhatANewerVersionNoted(t *testing.T) {
	for sentence, text := range map[string]string{
		"nothing that is new": `{"sha256":"v"}`,
		"one new member":      `{"sha256":"v","etag":"e"}`,
		"only new members":    `{"etag":"e","size":[5]}`,
		"nothing at all":      `{}`,
	} {
		record := dcr.DocumentRecord{SHA256: "of an earlier one"}
		if err := json.Unmarshal([]byte(text), &record); err != nil {
			t.Fatalf("%s: %v", sentence, err)
		}
		if again, err := json.Marshal(*record.Clone()); err != nil || string(again) != text {
			t.Errorf("%s: %s, %v", sentence, again, err)
		}
	}
	record := dcr.DocumentRecord{}
	if err := json.Unmarshal([]byte("null"), &record); err != nil {
		t.Errorf("null: %v", err)
	}
	if err := json.Unmarshal([]byte(`{"sha256":1}`), &record); err == nil {
		t.Error("a member of the wrong type is accepted")
	}
}

func TestCloneSharesNothing(t *testing.T) {
	client := filledClient(t)
	before, err := json.Marshal(client)
	if err != nil {
		t.Fatal(err)
	}
	clone := client.Clone()
	if !reflect.DeepEqual(client, clone) {
		t.Fatal("the clone differs")
	}
	scribble(reflect.ValueOf(clone).Elem())
	if after, err := json.Marshal(client); err != nil || !bytes.Equal(before, after) {
		t.Errorf("changing the clone changed the client:\n%s\n%s", before, after)
	}
}

// scribble changes everything that is reachable from the value.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				scribble(v.Field(i))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			scribble(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			v.SetMapIndex(key, reflect.Value{})
		}
	case reflect.String:
		v.SetString("scribbled")
	case reflect.Int64:
		v.SetInt(99)
	case reflect.Uint8:
		v.SetUint('#')
	}
}

func TestVerifySecret(t *testing.T) {
	bcrypted, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	salt := []byte("0123456789abcdef")
	encode := base64.RawStdEncoding.EncodeToString
	argon := fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=1$%s$%s", encode(salt), encode(argon2.IDKey([]byte("right"), salt, 1, 64, 1, 32)))
	ours := dcr.HashSecret("right")
	cases := []struct {
		sentence string
		client   dcr.Client
		present  string
		want     bool
	}{
		{"the secret of the client", dcr.Client{Secrets: []dcr.Secret{ours}}, "right", true},
		{"another secret", dcr.Client{Secrets: []dcr.Secret{ours}}, "wrong", false},
		{"no secret presented", dcr.Client{Secrets: []dcr.Secret{dcr.HashSecret("")}}, "", false},
		{"a client without a secret", dcr.Client{}, "right", false},
		{"the hash itself", dcr.Client{Secrets: []dcr.Secret{ours}}, ours.Value, false},
		{"the old secret within its window", dcr.Client{Secrets: []dcr.Secret{dcr.HashSecret("new"), {Type: ours.Type, Value: ours.Value, ExpiresAt: noon.Add(1)}}}, "right", true},
		{"an expired secret", dcr.Client{Secrets: []dcr.Secret{{Type: ours.Type, Value: ours.Value, ExpiresAt: noon}}}, "right", false},
		{"a pending client", dcr.Client{Status: dcr.StatusPending, Secrets: []dcr.Secret{ours}}, "right", false},
		{"a disabled client", dcr.Client{Status: dcr.StatusDisabled, Secrets: []dcr.Secret{ours}}, "right", false},
		{"an expired client", dcr.Client{ExpiresAt: noon, Secrets: []dcr.Secret{ours}}, "right", false},
		{"an imported bcrypt hash", dcr.Client{Secrets: []dcr.Secret{{Type: dcr.SecretBcrypt, Value: string(bcrypted)}}}, "right", true},
		{"a wrong secret against bcrypt", dcr.Client{Secrets: []dcr.Secret{{Type: dcr.SecretBcrypt, Value: string(bcrypted)}}}, "wrong", false},
		{"an imported argon2id hash", dcr.Client{Secrets: []dcr.Secret{{Type: dcr.SecretArgon2id, Value: argon}}}, "right", true},
		{"a wrong secret against argon2id", dcr.Client{Secrets: []dcr.Secret{{Type: dcr.SecretArgon2id, Value: argon}}}, "wrong", false},
		{"a damaged argon2id hash", dcr.Client{Secrets: []dcr.Secret{{Type: dcr.SecretArgon2id, Value: "$argon2id$v=19$m=99999999999$x$y"}}}, "right", false},
		{"an argon2id hash that asks for too much memory", dcr.Client{Secrets: []dcr.Secret{{Type: dcr.SecretArgon2id, Value: strings.Replace(argon, "m=64", "m=4194304", 1)}}}, "right", false},
		{"an unknown type", dcr.Client{Secrets: []dcr.Secret{{Type: "plain", Value: "right"}}}, "right", false},
		{"a public key", dcr.Client{Secrets: []dcr.Secret{{Type: dcr.SecretJWK, Value: "right"}}}, "right", false},
	}
	for method, want := range map[string]bool{
		"client_secret_basic": true, "client_secret_post": true, "": true, "x_host_password": true, "client_secret_query": true,
		"none": false, "private_key_jwt": false, "client_secret_jwt": false, "tls_client_auth": false, "self_signed_tls_client_auth": false,
		"attest_jwt_client_auth": false, "spiffe_jwt": false, "spiffe_x509": false,
	} {
		client := dcr.Client{Secrets: []dcr.Secret{ours}, Metadata: dcr.Metadata{TokenEndpointAuthMethod: method}}
		cases = append(cases, cases[0])
		last := &cases[len(cases)-1]
		last.sentence, last.client, last.want = "a client with the method "+method, client, want
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			if got := c.client.VerifySecret(c.present, noon); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestPlaintextNeverShows(t *testing.T) {
	const secret = dcr.Plaintext("s3cr3t-value")
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	response := dcr.Response{ClientSecret: secret, RegistrationAccessToken: secret, RegistrationClientURI: "https://a.example/"}
	logger.Info("x", "secret", secret, "response", response, "in", struct{ S dcr.Plaintext }{secret})
	encoded, err := json.Marshal(map[string]any{"a": secret, "b": response})
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown += fmt.Sprintf(verb, secret) + fmt.Sprintf(verb, []dcr.Plaintext{secret}) + fmt.Sprintf(verb, struct{ S dcr.Plaintext }{secret}) + fmt.Sprintf(verb, response)
	}
	if strings.Contains(shown, "s3cr3t") || strings.Contains(shown, fmt.Sprintf("%x", string(secret))) {
		t.Errorf("the secret shows: %s", shown)
	}
	if secret.Reveal() != "s3cr3t-value" {
		t.Error("Reveal does not return the secret")
	}
}

func TestMatchRedirectURI(t *testing.T) {
	native := func(uris ...string) *dcr.Client {
		return &dcr.Client{Metadata: dcr.Metadata{ApplicationType: "native", RedirectURIs: uris}}
	}
	web := func(uris ...string) *dcr.Client {
		return &dcr.Client{Metadata: dcr.Metadata{ApplicationType: "web", RedirectURIs: uris}}
	}
	silent := func(uris ...string) *dcr.Client {
		return &dcr.Client{Metadata: dcr.Metadata{RedirectURIs: uris}}
	}
	cases := []struct {
		sentence  string
		client    *dcr.Client
		requested string
		want      bool
	}{
		{"the same URI", web("https://a.example/cb"), "https://a.example/cb", true},
		{"a longer path", web("https://a.example/cb"), "https://a.example/cb/x", false},
		{"another case of the host is another string", web("https://a.example/cb"), "https://A.example/cb", false},
		{"another port of a remote host", web("https://a.example/cb"), "https://a.example:8443/cb", false},
		{"another port of a native client's loopback redirect", native("http://127.0.0.1:1000/cb"), "http://127.0.0.1:2000/cb", true},
		{"a port if none was registered", native("http://localhost/cb"), "http://localhost:2000/cb", true},
		{"no port if one was registered", native("http://[::1]:1000/cb"), "http://[::1]/cb", true},
		{"a client without a type, by its loopback redirect", silent("http://127.0.0.1:1000/cb"), "http://127.0.0.1:2000/cb", true},
		{"another port of a web client's loopback redirect", web("http://127.0.0.1:1000/cb"), "http://127.0.0.1:2000/cb", false},
		{"localhost instead of 127.0.0.1", native("http://127.0.0.1:1000/cb"), "http://localhost:1000/cb", false},
		{"another address of 127/8", native("http://127.0.0.1:1000/cb"), "http://127.0.0.2:1000/cb", false},
		{"a look-alike", native("http://127.0.0.1:1000/cb"), "http://127.0.0.1.evil.example:1000/cb", false},
		{"user information", native("http://127.0.0.1:1000/cb"), "http://127.0.0.1:1000@evil.example/cb", false},
		{"https instead of http", native("http://127.0.0.1:1000/cb"), "https://127.0.0.1:2000/cb", false},
		{"another path on another port", native("http://127.0.0.1:1000/cb"), "http://127.0.0.1:2000/other", false},
		{"a private-use scheme", native("com.example.app:/cb"), "com.example.app:/cb", true},
		{"the empty string", native("http://127.0.0.1:1000/cb"), "", false},
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			if got := c.client.MatchRedirectURI(c.requested); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestAESSealer(t *testing.T) {
	oldKey, newKey := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	before, err := dcr.NewAESSealer(oldKey)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := before.Seal("the secret", "client-1")
	if err != nil || strings.Contains(sealed, "secret") {
		t.Fatalf("sealed %q, error %v", sealed, err)
	}
	after, err := dcr.NewAESSealer(newKey, oldKey)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := after.Open(sealed, "client-1"); err != nil || opened.Reveal() != "the secret" {
		t.Errorf("after the key was rotated: %q, error %v", opened.Reveal(), err)
	}
	if _, err := after.Open(sealed, "client-2"); err == nil {
		t.Error("a sealed secret opens under another client's id")
	}
	if without, _ := dcr.NewAESSealer(newKey); without != nil {
		if _, err := without.Open(sealed, "client-1"); err == nil {
			t.Error("a sealed secret opens without its key")
		}
	}
	for _, damaged := range []string{"", "x", sealed[:len(sealed)-2], strings.Replace(sealed, ".", "_", 1)} {
		if _, err := after.Open(damaged, "client-1"); err == nil {
			t.Errorf("%q opens", damaged)
		}
	}
	if _, err := dcr.NewAESSealer(); err == nil {
		t.Error("a sealer without a key")
	}
	if _, err := dcr.NewAESSealer([]byte("short")); err == nil {
		t.Error("a sealer with a short key")
	}
}

// A store may append the stored form to something that it has written.
func TestAppendJSONWritesTheStoredForm(t *testing.T) {
	client := dcr.NewClient()
	client.ID, client.Localized = "a client", map[string]string{"client_name#de": "Ä<"}
	whole, err := client.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	appended, err := client.AppendJSON([]byte(`[1,`))
	if err != nil || string(appended) != `[1,`+string(whole) {
		t.Errorf("%s, %v; want %s at the end", appended, err, whole)
	}
}

package spec_test

// Cases: one registration each, in a configuration given as a discovery
// document, and what becomes of it.

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// The discovery documents of servers with many features.
var (
	//go:embed testdata/discovery/everything.json
	everything string // every feature on; it needs a Sealer
	//go:embed testdata/discovery/symmetric.json
	symmetric string // every symmetric algorithm next to an asymmetric one
	//go:embed testdata/discovery/duende.json
	duende string
)

// Keys of clients; public ones without the closing brace, so that a case can add
// members.
var (
	//go:embed testdata/keys/rsa.jwk
	rsaFile string
	//go:embed testdata/keys/ec.jwk
	ecFile string
	//go:embed testdata/keys/ec-private.jwk
	ecPrivate string // whole
	//go:embed testdata/keys/ec.x5c
	certificateFile string

	rsaKey, ecKey = strings.TrimSuffix(rsaFile, "}\n"), strings.TrimSuffix(ecFile, "}\n")
	ecCert        = strings.TrimSpace(certificateFile)

	keySet = `"jwks":{"keys":[` + rsaKey + `}]}`
)

// The codes of most refusals.
const (
	dcrMetadata = dcr.InvalidClientMetadata
	dcrRedirect = dcr.InvalidRedirectURI
)

// A wireCase is one registration and what becomes of it.
type wireCase struct {
	sentence string
	request  string   // over {"redirect_uris":["https://rp.example.com/cb"]}, whose members it replaces
	code     dcr.Code // of the refusal, "" if it is accepted
	says     string   // part of the refusal's description
	answer   string   // members of the answer; null: absent
}

// judge runs cases. What is accepted is also read, sent back as an update and
// read again: each must say the same (RFC 7592 §2.1 and §2.2).
func (r *rig) judge(t *testing.T, cases []wireCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			a := r.post(t, request(t, c.request))
			if c.code != "" {
				if a.status != 400 || a.text("error") != string(c.code) || !strings.Contains(a.text("error_description"), c.says) {
					t.Errorf("status %d: %s; want %s saying %q", a.status, a.body, c.code, c.says)
				}
				return
			}
			if a.status != 201 {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			if c.answer != "" {
				has(t, a, c.answer)
			}
			r.comesBack(t, a)
		})
	}
}

// request is the smallest request with members put over it.
func request(t testing.TB, over string) string {
	t.Helper()
	members := map[string]json.RawMessage{"redirect_uris": json.RawMessage(`["https://rp.example.com/cb"]`)}
	if over != "" {
		if err := json.Unmarshal([]byte(over), &members); err != nil {
			t.Fatalf("%v: %s", err, over)
		}
	}
	return encode(members)
}

// has compares the members that want names; null wants them absent.
func has(t testing.TB, a *answer, want string) {
	t.Helper()
	for name, wanted := range decode(t, want) {
		got, there := a.members[name]
		if wanted == nil && there || wanted != nil && !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s is %s, want %s in %s", name, encode(got), encode(wanted), a.body)
		}
	}
}

// comesBack reads a client, sends what was read back, and reads it again.
func (r *rig) comesBack(t testing.TB, registered *answer) {
	t.Helper()
	same := func(what string, a *answer) {
		t.Helper()
		if a.status != 200 || !reflect.DeepEqual(a.metadata(), registered.metadata()) {
			t.Errorf("%s: status %d: %s\nwant 200: %s", what, a.status, a.body, registered.body)
		}
	}
	same("read", r.manage(t, "GET", registered, ""))
	same("sent back", r.manage(t, "PUT", registered, registered.update(nil)))
	same("sent back without its secret", r.manage(t, "PUT", registered, registered.update(map[string]any{"client_secret": nil})))
	same("read again", r.manage(t, "GET", registered, ""))
}

// one returns a case for each of the values, told apart by the value.
func one(sentence, member string, values []string, code dcr.Code, says string) []wireCase {
	var cases []wireCase
	for _, value := range values {
		cases = append(cases, wireCase{sentence: sentence + ": " + value, request: `{"` + member + `":` + value + `}`, code: code, says: says})
	}
	return cases
}

// sealed lets the server keep secrets themselves.
func sealed(t testing.TB) change {
	t.Helper()
	sealer, err := dcr.NewAESSealer([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	return func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Sealer = sealer }
}

func ukHybrid(v *dcr.DefaultValidator, _ *dcr.Options) { v.AllowHybridWithoutImplicit = true }

func allowHTTP(v *dcr.DefaultValidator, _ *dcr.Options) { v.AllowHTTPRedirects = true }

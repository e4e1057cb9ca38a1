package spec_test

// Cases: a registration each, with the expected result, on a server that is
// configured by a discovery document.

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// Discovery documents of servers with many features.
var (
	//go:embed testdata/discovery/everything.json
	everything string // every feature on; it needs a Sealer
	//go:embed testdata/discovery/symmetric.json
	symmetric string // every symmetric algorithm, each list with an asymmetric one too
	//go:embed testdata/discovery/duende.json
	duende string
)

// Keys of clients. The public ones have no closing brace, so that a case can add
// members.
var (
	//go:embed testdata/keys/rsa.jwk
	rsaFile string
	//go:embed testdata/keys/ec.jwk
	ecFile string
	//go:embed testdata/keys/ec-private.jwk
	ecPrivate string // complete
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

// A wireCase is a registration and the expected result.
type wireCase struct {
	sentence string
	request  string   // members that replace those of {"redirect_uris":["https://rp.example.com/cb"]}
	code     dcr.Code // of the refusal; "" if it is accepted
	says     string   // part of the refusal's description
	answer   string   // members of the answer; null means absent
}

// judge runs cases. An accepted client is also read, sent back as an update and
// read again: the answers must be the same (RFC 7592 §2.1 and §2.2).
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

// request returns the smallest request, with its members replaced by those of
// over.
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

// has compares the members that want names; null means that one must be absent.
func has(t testing.TB, a *answer, want string) {
	t.Helper()
	for name, wanted := range decode(t, want) {
		got, there := a.members[name]
		if wanted == nil && there || wanted != nil && !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s is %s, want %s in %s", name, encode(got), encode(wanted), a.body)
		}
	}
}

// comesBack reads a client, sends the answer back as an update, and reads the
// client again.
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

// one returns a case for each of the values, named after the value.
func one(sentence, member string, values []string, code dcr.Code, says string) []wireCase {
	var cases []wireCase
	for _, value := range values {
		cases = append(cases, wireCase{sentence: sentence + ": " + value, request: `{"` + member + `":` + value + `}`, code: code, says: says})
	}
	return cases
}

// sealed sets a Sealer, so that the server can keep the secrets themselves.
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

package clientauth_test

import (
	"cmp"
	"context"
	"crypto"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
)

// A forger makes assertions that must not be accepted. They have the jti of the
// valid one.
type forger struct {
	signer
	client, other *dcr.Client
	forged        []string
}

func (f *forger) header(members string) string {
	return `{"alg":"` + f.alg + `","kid":"1"` + members + `}`
}

func (f *forger) claims(changes map[string]any) string {
	all := map[string]any{"jti": "once"}
	for name, value := range changes {
		all[name] = value
	}
	return claims(f.client.ID, all)
}

func (f *forger) good() string { return compact(f.sign, f.header(""), f.claims(nil)) }

func (f *forger) add(assertions ...string) { f.forged = append(f.forged, assertions...) }

// everything makes the whole table.
func (f *forger) everything() []string {
	f.algorithms()
	f.keys()
	f.headers()
	f.who()
	f.audiences()
	f.times()
	f.payloads()
	f.signatures()
	f.encodings()
	return f.forged
}

// algorithms adds assertions with other algorithms than the client's, and with
// none.
func (f *forger) algorithms() {
	same := func(alg string) bool { return alg == f.alg || f.alg == "EdDSA" && alg == "Ed25519" }
	for _, alg := range []string{
		"none", "None", "NONE", "nOnE", "", " ", "HS256", "HS384", "HS512", "hs256", "RS1", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448", "eddsa", "A128KW", "dir", "RSA-OAEP", f.alg + " ", f.alg + "\\u0000", strings.ToLower(f.alg),
	} {
		if header := `{"alg":"` + alg + `","kid":"1"}`; !same(alg) {
			unsigned := b64([]byte(header)) + "." + b64([]byte(f.claims(nil))) + "."
			f.add(unsigned, unsigned+"AA", unsigned+strings.Split(f.good(), ".")[2], compact(f.sign, header, f.claims(nil)))
		}
	}
	for _, alg := range []string{"null", "1", `["` + f.alg + `"]`, "{}", "true"} {
		f.add(compact(f.sign, `{"alg":`+alg+`,"kid":"1"}`, f.claims(nil)))
	}
	f.add(compact(f.sign, `{"kid":"1"}`, f.claims(nil)), compact(f.sign, `{}`, f.claims(nil)))
}

// keys adds assertions signed with the attacker's keys, or with what is public
// about the client's.
func (f *forger) keys() {
	secrets := append(f.secrets, f.client.JWKS, []byte(f.jwk), []byte(f.client.ID), []byte(issuer), []byte("1"), nil, make([]byte, 64))
	for _, secret := range f.client.Secrets {
		secrets = append(secrets, []byte(secret.Value))
	}
	for _, secret := range secrets {
		for alg, hash := range map[string]crypto.Hash{"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512} {
			sign := macOf(hash, secret)
			f.add(compact(sign, `{"alg":"`+alg+`","kid":"1"}`, f.claims(nil)), compact(sign, `{"alg":"`+alg+`"}`, f.claims(nil)))
		}
	}
	certificate := base64.StdEncoding.EncodeToString(encodings(&dice.PublicKey)[0])
	embedded := []string{"", `,"jwk":` + jwk(dice, ""), `,"jwk":` + jwk(dice, `"kid":"1",`), `,"jku":"https://127.0.0.1/jwks"`, `,"x5u":"https://127.0.0.1/x5u"`,
		`,"x5c":["` + certificate + `"]`, `,"x5t":"AA"`, `,"x5t#S256":"AA"`, `,"jwks":{"keys":[` + jwk(dice, "") + `]}`}
	kids := []string{`"1"`, `"2"`, `""`, `" 1"`, `"1 "`, `"1\u0000"`, `"../../../dev/null"`, `"' OR '1'='1"`, `"https://127.0.0.1/key"`, `"` + strings.Repeat("1", 4096) + `"`, `1`, `null`, `["1"]`, `{}`}
	for _, alg := range slices.Compact([]string{f.alg, "ES256"}) {
		for _, sign := range []func(string) []byte{es256Of(dice), macOf(crypto.SHA256, []byte("a guess that is long enough to be a key"))} {
			for _, members := range embedded {
				f.add(compact(sign, `{"alg":"`+alg+`"`+members+`}`, f.claims(nil)), compact(sign, `{"alg":"`+alg+`","kid":"1"`+members+`}`, f.claims(nil)))
			}
			for _, kid := range kids {
				f.add(compact(sign, `{"alg":"`+alg+`","kid":`+kid+`}`, f.claims(nil)))
			}
		}
	}
}

// headers adds assertions with bad headers, signed with the client's own key,
// as are all that follow.
func (f *forger) headers() {
	for _, members := range []string{
		`,"crit":["exp"]`, `,"crit":["exp"],"exp":1`, `,"crit":[]`, `,"crit":"exp"`, `,"crit":null`, `,"crit":["b64"],"b64":true`, `,"crit":["b64"],"b64":false`, `,"b64":false`, `,"b64":"false"`, `,"b64":0`,
		`,"typ":"at+jwt"`, `,"typ":"application/at+jwt"`, `,"typ":"logout+jwt"`, `,"typ":"dpop+jwt"`, `,"typ":"secevent+jwt"`, `,"typ":"oauth-authz-req+jwt"`, `,"typ":"token-introspection+jwt"`,
		`,"typ":"client-authentication"`, `,"typ":"client-authentication+jwt;a=b"`, `,"typ":"x/client-authentication+jwt"`, `,"typ":"JWT "`, `,"typ":"JOSE"`, `,"typ":"application/application/jwt"`, `,"typ":1`, `,"typ":["JWT"]`, `,"typ":{}`,
		`,"alg":"` + f.alg + `"`, `,"alg":"none"`, `,"\u0061lg":"none"`, `,"kid":"1"`, `,"typ":"JWT","typ":"JWT"`, `,"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64), `,"x":"` + strings.Repeat("a", 16<<10) + `"`,
	} {
		f.add(compact(f.sign, f.header(members), f.claims(nil)))
	}
	good := f.header("")
	for _, header := range []string{"", "null", "[]", "[" + good + "]", `"x"`, "1", good + good, good + "x", good[:len(good)-1], "\ufeff" + good, strings.Replace(good, `"1"`, "\"\xff\"", 1), strings.ReplaceAll(good, `"`, `'`), good + "//", "x" + good} {
		f.add(compact(f.sign, header, f.claims(nil)))
	}
	f.add(compact(f.sign, f.header(`,"cty":"JWT"`), f.good())) // nested
}

// who adds assertions about another client.
func (f *forger) who() {
	id := f.client.ID
	for _, who := range []any{nil, "", " ", 1, true, []string{id}, []string{}, map[string]string{"id": id}, f.other.ID, issuer, endpoint, id + " ", " " + id, id + "\x00", strings.ToUpper(id), id + "/", id + "." + id, id[:len(id)-1], "*", "admin"} {
		f.add(compact(f.sign, f.header(""), f.claims(map[string]any{"iss": who})), compact(f.sign, f.header(""), f.claims(map[string]any{"sub": who})),
			compact(f.sign, f.header(""), f.claims(map[string]any{"iss": who, "sub": who})))
	}
}

// audiences adds assertions for others than the server.
func (f *forger) audiences() {
	for _, aud := range []any{nil, "", []string{}, []string{""}, 1, true, map[string]string{"aud": issuer}, []any{issuer, 1}, []any{[]string{issuer}}, "https://x.example", []string{"https://x.example", "https://y.example"},
		issuer + "/", issuer + ".evil.example", issuer + ":443", issuer + "@evil.example", issuer + "#", issuer + "?", " " + issuer, issuer + " ", issuer + "\x00", strings.ToUpper(issuer), strings.Replace(issuer, "https", "http", 1),
		strings.TrimPrefix(issuer, "https:"), strings.Replace(issuer, ".com", ".com.", 1), endpoint + "/", endpoint + "/../token", `["` + issuer + `"]`, issuer + "," + issuer, issuer + " " + endpoint, f.client.ID, "*"} {
		f.add(compact(f.sign, f.header(""), f.claims(map[string]any{"aud": aud})))
	}
}

// times adds assertions whose times are too early, too late, too far away, or
// missing.
func (f *forger) times() {
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	none := []any{"", "x", true, []int64{at(time.Minute)}, map[string]int64{"at": at(time.Minute)}, fmt.Sprint(at(time.Minute)), -1, now.UnixMilli(), now.Add(time.Minute).Format(time.RFC3339)}
	for name, wrong := range map[string][]any{
		"exp": {nil, 0, 1, at(-time.Minute), at(-time.Hour), at(-24 * time.Hour), at(12 * time.Minute), at(24 * time.Hour), at(87600 * time.Hour)},
		"nbf": {at(2 * time.Minute), at(time.Hour), at(24 * time.Hour)},
		"iat": {at(2 * time.Minute), at(time.Hour), at(87600 * time.Hour)},
		"jti": {1, true, []string{"once"}, map[string]string{"id": "once"}, 1.5},
	} {
		if name != "jti" {
			wrong = append(wrong, none...)
		}
		for _, value := range wrong {
			f.add(compact(f.sign, f.header(""), f.claims(map[string]any{name: value})))
		}
	}
	for _, number := range []string{"1e400", "-0.1", "0x7fffffff", "NaN", "Infinity", "1_000", "01", "9999999999999999999999", ".5", "1."} {
		f.add(compact(f.sign, f.header(""), strings.Replace(f.claims(map[string]any{"exp": 77}), "77", number, 1)))
	}
}

// payloads adds assertions whose payload is not a valid object.
func (f *forger) payloads() {
	good := f.claims(map[string]any{"nbf": now.Unix()})
	for name, value := range map[string]string{"iss": `"` + f.client.ID + `"`, "sub": `"` + f.client.ID + `"`, "aud": `"` + issuer + `"`, "exp": fmt.Sprint(now.Add(time.Minute).Unix()), "iat": "1", "nbf": "1", "jti": `"x"`} {
		escaped := fmt.Sprintf(`\u%04x%s`, name[0], name[1:])
		f.add(compact(f.sign, f.header(""), `{"`+name+`":`+value+`,`+good[1:]), compact(f.sign, f.header(""), good[:len(good)-1]+`,"`+name+`":`+value+`}`),
			compact(f.sign, f.header(""), good[:len(good)-1]+`,"`+escaped+`":`+value+`}`))
		if name != "iat" && name != "nbf" && name != "jti" {
			f.add(compact(f.sign, f.header(""), strings.Replace(good, `"`+name+`"`, `"`+strings.ToUpper(name)+`"`, 1)))
		}
	}
	for _, payload := range []string{"", "null", "[]", "[" + good + "]", "1", `"x"`, good + good, good + "x", good + "\x00", good[:len(good)-1], good[1:], "\ufeff" + good, "/**/" + good, strings.ReplaceAll(good, `"`, `'`),
		strings.Replace(good, "{", `{"x":"`+"\xff"+`",`, 1), strings.Replace(good, "{", `{"x":`+strings.Repeat("[", 64)+strings.Repeat("]", 64)+`,`, 1), strings.Replace(good, "{", `{,`, 1), strings.Replace(good, "}", `,}`, 1), good + "\n" + good,
		strings.Replace(good, "{", `{"x":"`+strings.Repeat("a", 16<<10)+`",`, 1), "{" + strings.Repeat(`"":1,`, 300) + good[1:]} {
		f.add(compact(f.sign, f.header(""), payload))
	}
}

// signatures adds assertions whose signature is not that of the header and the
// payload.
func (f *forger) signatures() {
	good := f.good()
	last := strings.LastIndexByte(good, '.')
	signature, err := base64.RawURLEncoding.DecodeString(good[last+1:])
	if err != nil {
		panic(err)
	}
	with := func(signature []byte) { f.add(good[:last+1] + b64(signature)) }
	size := len(signature)
	for at := 0; at < size; at += max(1, size/16) {
		flipped := append([]byte(nil), signature...)
		flipped[at] ^= 1 << (at % 8)
		with(flipped)
	}
	with(nil)
	with(make([]byte, size))
	with([]byte(strings.Repeat("\xff", size)))
	with(signature[:size-1])
	with(signature[1:])
	with(append([]byte{0}, signature...))
	with(append(append([]byte(nil), signature...), 0))
	with(append(append([]byte(nil), signature[size/2:]...), signature[:size/2]...))
	with(append(append([]byte(nil), signature...), signature...))
	half := size / 2
	der, _ := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
	with(der)
	with(f.sign(b64([]byte(f.claims(nil))))) // only of the payload
	other := strings.Split(compact(f.sign, f.header(`,"x":1`), f.claims(map[string]any{"jti": "another"})), ".")
	parts := strings.Split(good, ".")
	f.add(other[0]+"."+parts[1]+"."+parts[2], parts[0]+"."+other[1]+"."+parts[2], parts[0]+"."+parts[1]+"."+other[2], parts[1]+"."+parts[0]+"."+parts[2])
	for at := 0; at < last; at += max(1, last/40) { // one letter changed
		letter := byte('A')
		if good[at] == letter {
			letter = 'B'
		}
		f.add(good[:at] + string(letter) + good[at+1:])
	}
}

// encodings adds encodings of a valid assertion that a lenient reader would
// accept.
func (f *forger) encodings() {
	good := f.good()
	parts := strings.Split(good, ".")
	join := func(header, payload, signature string) string { return header + "." + payload + "." + signature }
	for _, change := range []func(part string) string{
		func(part string) string { return part + "=" },
		func(part string) string { return part + "==" },
		func(part string) string { return part + "A" },
		func(part string) string { return part + "AAAA" },
		func(part string) string { return part + "!" },
		func(part string) string { return part + "\n" },
		func(part string) string { return "\r\n" + part },
		func(part string) string { return part[:4] + "\n" + part[4:] },
		func(part string) string { return part[:4] + " " + part[4:] },
		func(part string) string { return part[:4] + "\t" + part[4:] },
		func(part string) string { return part[:4] + "\x00" + part[4:] },
		func(part string) string { return part[:4] + "%41" + part[4:] },
		func(part string) string { return part + "." },
		func(part string) string { return "." + part },
		func(string) string { return "" },
		nonCanonical,
	} {
		for i := range parts {
			changed := append([]string(nil), parts...)
			if changed[i] = change(parts[i]); changed[i] != parts[i] {
				f.add(join(changed[0], changed[1], changed[2]))
			}
		}
	}
	f.add(parts[0]+"."+parts[1], parts[0], good+"."+parts[2], good+".."+parts[2], good+".AA.AA", strings.ReplaceAll(good, ".", "\u3002"), strings.ReplaceAll(good, ".", "%2E"), " "+good, good+" ", "Bearer "+good, good+","+good, good+good,
		`{"payload":"`+parts[1]+`","protected":"`+parts[0]+`","signature":"`+parts[2]+`"}`,
		`{"payload":"`+parts[1]+`","signatures":[{"protected":"`+parts[0]+`","signature":"`+parts[2]+`"}]}`,
		strings.Repeat("A", 1<<16), strings.Repeat(".", 1<<12), strings.Repeat("a.", 1<<12), "null", "{}", "\x00", "é")
}

// nonCanonical sets a stray bit at the end, if the part has one.
func nonCanonical(part string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(part)%4 == 0 {
		return part
	}
	last := strings.IndexByte(alphabet, part[len(part)-1])
	return part[:len(part)-1] + string(alphabet[last|1])
}

// spending counts the values that are used up.
type spending struct {
	dcr.ReplayStore
	count int
}

func (s *spending) Remember(ctx context.Context, key string, until, now time.Time) (bool, error) {
	s.count++
	return s.ReplayStore.Remember(ctx, key, until, now)
}

func TestNoForgedAssertionLetsAnybodyIn(t *testing.T) {
	total := 0
	for _, s := range signers(t) {
		total += refuseForged(t, s, true)
		if s.alg == "ES256" || s.alg == "HS256" { // with the defaults too
			total += refuseForged(t, s, false)
		}
	}
	if t.Logf("%d forged assertions", total); total < 1500 {
		t.Errorf("%d are too few", total)
	}
}

// refuseForged tests an Authenticator with the whole table, and then one that is
// as strict as FAPI 2.0, with audiences that the other one accepts.
func refuseForged(t *testing.T, s signer, named bool) int {
	other := newClient("other", "private_key_jwt", func(c *dcr.Client) { c.JWKS = []byte(`{"keys":[` + jwk(key, "") + `]}`) })
	f := &forger{signer: s, client: s.client(t, "the-client", named), other: other}
	store := newStore(t, f.client, f.other)
	memory := &spending{ReplayStore: store}
	a := &clientauth.Authenticator{Store: store, Audience: []string{issuer, endpoint}, Sealer: sealer(t), Replay: memory, Now: func() time.Time { return now }}
	total := f.refused(t, a, memory)
	memory.count, f.forged = 0, nil
	fapi := func(changes map[string]any) string { changes["jti"] = "fapi"; return f.claims(changes) }
	for _, aud := range []any{[]string{issuer}, []string{issuer, endpoint}, []string{endpoint}, endpoint} {
		f.add(compact(f.sign, f.header(`,"typ":"client-authentication+jwt"`), fapi(map[string]any{"aud": aud})))
	}
	f.add(compact(f.sign, f.header(""), fapi(map[string]any{})), compact(f.sign, f.header(`,"typ":"JWT"`), fapi(map[string]any{})))
	strict := &clientauth.Authenticator{Store: store, Audience: a.Audience, Sealer: a.Sealer, Replay: memory, Now: a.Now, IssuerAudienceOnly: true, RequireType: true}
	total += f.holdOut(t, strict, memory, f.forged)
	if got := outcome(strict, asserting(compact(f.sign, f.header(`,"typ":"client-authentication+jwt"`), fapi(map[string]any{})))); got != f.client.TokenEndpointAuthMethod {
		t.Errorf("%s: the valid one for FAPI 2.0 is refused: %s", f.alg, got)
	}
	return total
}

// refused tests the authenticator with the whole table, then checks that the
// valid assertion is accepted, and after that no other with the same jti.
func (f *forger) refused(t *testing.T, a *clientauth.Authenticator, memory *spending) int {
	total := f.holdOut(t, a, memory, f.everything())
	name := cmp.Or(f.client.TokenEndpointAuthSigningAlg, f.alg+" by default")
	good := f.good()
	if got := outcome(a, asserting(good)); got != f.client.TokenEndpointAuthMethod {
		t.Fatalf("%s: the valid one is refused after the forged ones: %s", name, got)
	}
	again := []string{good, f.good(), compact(f.sign, f.header(`,"typ":"JWT"`), f.claims(nil)), compact(f.sign, f.header(""), f.claims(map[string]any{"exp": now.Add(2 * time.Minute).Unix()}))}
	for _, assertion := range append(again, mirrored(good)) {
		if got := outcome(a, asserting(assertion)); got != "401 invalid_client" {
			t.Errorf("%s: a jti is used twice: %s", name, got)
		}
	}
	return total + len(again) + 1
}

// mirrored returns the other valid ECDSA signature of the same text, if it is
// one.
func mirrored(good string) string {
	last := strings.LastIndexByte(good, '.')
	signature, _ := base64.RawURLEncoding.DecodeString(good[last+1:])
	if len(signature) != 64 {
		return good
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(key.Params().N, s).Mod(s, key.Params().N).FillBytes(signature[32:])
	return good[:last+1] + b64(signature)
}

// holdOut sends each assertion with and without the client's id, and passes it
// to VerifyAssertion. None may be accepted, be taken for an outage, or use
// anything up.
func (f *forger) holdOut(t *testing.T, a *clientauth.Authenticator, memory *spending, forged []string) int {
	for i, assertion := range forged {
		named := post("", url.Values{"client_id": {f.client.ID}, "client_assertion_type": {jwtType}, "client_assertion": {assertion}})
		_, errNamed := a.Authenticate(named)
		_, errAlone := a.Authenticate(asserting(assertion))
		for _, err := range []error{errNamed, errAlone, a.VerifyAssertion(t.Context(), f.client, assertion)} {
			refused := (*dcr.Error)(nil)
			if !errors.As(err, &refused) || refused.Code != dcr.InvalidClient && refused.Code != dcr.InvalidRequest {
				t.Errorf("%s %d: %v: %.400q", f.alg, i, err, assertion)
			}
		}
		if memory.count > 0 {
			t.Errorf("%s %d was used up: %.400q", f.alg, i, assertion)
			memory.count = 0
		}
	}
	return len(forged)
}

package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/dynreg/dcr/internal/jose"
)

const payload = `{"iss":"https://issuer.example"}`

// compact encodes the parts and joins them.
func compact(header, payload, signature string) string {
	return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + b64([]byte(signature))
}

func TestVerifyEveryAlgorithm(t *testing.T) {
	for alg, kind := range kindOf {
		t.Run(alg, func(t *testing.T) {
			token := must(jose.SignCompact(signers()[kind], alg, "a", "JWT", []byte(payload)))
			got, header, err := verify(token, keySet(public(kind).with("kid", "a")), []string{"RS1", alg})
			if err != nil || got != payload || header != (jose.Header{Algorithm: alg, KeyID: "a", Type: "JWT"}) {
				t.Fatalf("got %s, %+v, %v", got, header, err)
			}
			for other, otherKind := range kindOf {
				if otherKind == kind {
					continue
				}
				if _, _, err := verify(token, keySet(public(otherKind).with("kid", "a")), []string{alg, other}); err != jose.ErrAlgorithm {
					t.Errorf("a key of kind %s gave %v", otherKind, err)
				}
			}
		})
	}
}

// example is a JWS from an RFC, with its key and its payload.
type example struct{ name, jwk, token, want string }

var examples = []example{
	{
		"RFC 7515 A.3",
		`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
		"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
			"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
		"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}",
	},
	{
		"RFC 8037 A.4",
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." +
			"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
		"Example of Ed25519 signing",
	},
}

func (e example) set() *jose.KeySet {
	return must(jose.ParseKeySet([]byte(`{"keys":[` + e.jwk + `]}`)))
}

func TestVerifyTheExamplesOfTheRFCs(t *testing.T) {
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			got, _, err := verify(e.token, e.set(), []string{"ES256", "EdDSA"})
			if err != nil || got != e.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestVerifyChoosesTheKey(t *testing.T) {
	ec, rsa := public("P-256"), public("RSA")
	other := jwkOf(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).Public())
	many := make([]members, 9)
	for i := range many {
		many[i] = other
	}
	tests := []struct {
		name, kid string
		set       []members
		want      error
	}{
		{"a key by its kid", "a", []members{other.with("kid", "b"), ec.with("kid", "a")}, nil},
		{"one of two keys with the kid", "a", []members{other.with("kid", "a"), ec.with("kid", "a")}, nil},
		{"a key of the right kind among those with the kid", "a", []members{rsa.with("kid", "a"), ec.with("kid", "a")}, nil},
		{"no key with the kid", "a", []members{ec.with("kid", "b")}, jose.ErrUnknownKey},
		{"a key without a kid does not match a kid", "a", []members{ec}, jose.ErrUnknownKey},
		{"the wrong key with the kid", "a", []members{other.with("kid", "a"), ec.with("kid", "b")}, jose.ErrSignature},
		{"a key of another kind with the kid", "a", []members{rsa.with("kid", "a")}, jose.ErrAlgorithm},
		{"any key without a kid", "", []members{rsa, other, ec.with("kid", "b")}, nil},
		{"no key of the kind", "", []members{rsa}, jose.ErrUnknownKey},
		{"no key at all", "", nil, jose.ErrUnknownKey},
		{"only other keys of the kind", "", []members{other}, jose.ErrSignature},
		{"the eighth key", "", append(many[:7:7], ec), nil},
		{"not the ninth key", "", append(many[:8:8], ec), jose.ErrSignature},
		{"keys of other kinds are not counted", "", []members{rsa, rsa, rsa, rsa, rsa, rsa, rsa, rsa, ec}, nil},
		{"a key for the algorithm", "", []members{ec.with("alg", "ES256")}, nil},
		{"a key for signatures", "", []members{ec.with("use", "sig")}, nil},
		{"a key to verify with", "", []members{ec.with("key_ops", []string{"verify"})}, nil},
		{"a key for encryption", "", []members{ec.with("use", "enc")}, jose.ErrUnknownKey},
		{"a key for another use", "", []members{ec.with("use", "tls")}, jose.ErrUnknownKey},
		{"a key to derive from", "", []members{ec.with("key_ops", []string{"deriveBits"})}, jose.ErrUnknownKey},
		{"a key for key agreement", "a", []members{ec.with("kid", "a", "alg", "ECDH-ES")}, jose.ErrUnknownKey},
		{"a private key that was published", "", []members{ec.with("d", octets(32))}, jose.ErrUnknownKey},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, header, err := verify(sign("ES256", test.kid, payload), keySet(test.set...), []string{"ES256"})
			if err != test.want || header.KeyID != test.kid {
				t.Errorf("got %+v, %v, want %v", header, err, test.want)
			}
		})
	}
}

// TestSlowKeysCountForMany checks that a registrant cannot keep the server busy with
// large keys.
func TestSlowKeysCountForMany(t *testing.T) {
	own := public("RSA")
	modulus := bytes.Repeat([]byte{0xff}, 1024)
	slow := own.with("n", b64(modulus), "e", "f____w")
	for _, test := range []struct {
		name string
		set  []members
		want error
	}{
		{"after one slow key the next is tried", []members{slow, own}, nil},
		{"after two it is not", []members{slow, slow, own}, jose.ErrSignature},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := verify(sign("RS256", "", payload), keySet(test.set...), []string{"RS256"}); err != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestAKeyForOneAlgorithmIsForNoOther(t *testing.T) {
	accepted := []string{"RS256", "PS256", "EdDSA", "Ed25519"}
	tests := []struct {
		name, keyAlg, alg string
		want              error
	}{
		{"a PS256 key refuses RS256", "PS256", "RS256", jose.ErrAlgorithm},
		{"an RS256 key refuses PS256", "RS256", "PS256", jose.ErrAlgorithm},
		{"an RS512 key refuses RS256", "RS512", "RS256", jose.ErrAlgorithm},
		{"an EdDSA key verifies Ed25519", "EdDSA", "Ed25519", nil},
		{"an Ed25519 key verifies EdDSA", "Ed25519", "EdDSA", nil},
		{"a key for an unknown algorithm refuses", "RS256-next", "RS256", jose.ErrAlgorithm},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			set := keySet(public(kindOf[test.alg]).with("kid", "a", "alg", test.keyAlg))
			if _, _, err := verify(sign(test.alg, "a", payload), set, accepted); err != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestVerifyRefusesOtherAlgorithms(t *testing.T) {
	rsa := public("RSA")
	set := keySet(rsa, public("P-256"))
	signed := sign("RS256", "", payload)
	der := must(x509.MarshalPKIXPublicKey(signers()["RSA"].Public()))
	tests := []struct {
		name, token string
		accepted    []string
	}{
		{"one that is not accepted", signed, []string{"PS256", "ES256"}},
		{"any, if none is accepted", signed, nil},
		{"none, accepted or not", compact(`{"alg":"none"}`, payload, "a"), []string{"none"}},
		{"none in another case", compact(`{"alg":"None"}`, payload, "a"), []string{"None", "none"}},
		{"HS256 with the public key as the secret", mac(string(der)), []string{"HS256", "RS256"}},
		{"HS256 with the modulus as the secret", mac(rsa["n"].(string)), []string{"HS256", "RS256"}},
		{"HS256 with an empty secret", mac(""), []string{"HS256", "RS256"}},
		{"ES256K, which is not verified here", compact(`{"alg":"ES256K"}`, payload, "a"), []string{"ES256K"}},
		{"a key management algorithm", compact(`{"alg":"RSA-OAEP"}`, payload, "a"), []string{"RSA-OAEP"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := verify(test.token, set, test.accepted); err != jose.ErrAlgorithm {
				t.Errorf("got %v", err)
			}
		})
	}
}

// mac returns a token that the secret authenticates with HS256.
func mac(secret string) string {
	signed := b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(payload))
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(signed))
	return signed + "." + b64(h.Sum(nil))
}

func TestVerifyRefusesSignatures(t *testing.T) {
	for alg := range kindOf {
		t.Run(alg, func(t *testing.T) {
			set := keySet(public(kindOf[alg]))
			parts := strings.Split(sign(alg, "", payload), ".")
			signature := must(b64d(parts[2]))
			flipped := append([]byte{signature[0] ^ 1}, signature[1:]...)
			wrong := map[string]string{
				"of another payload":    parts[0] + "." + b64([]byte(`{"iss":"other"}`)) + "." + parts[2],
				"with a bit flipped":    parts[0] + "." + parts[1] + "." + b64(flipped),
				"that is cut short":     parts[0] + "." + parts[1] + "." + b64(signature[:len(signature)-1]),
				"that is longer":        parts[0] + "." + parts[1] + "." + b64(append(signature, 0)),
				"of zeros":              parts[0] + "." + parts[1] + "." + b64(make([]byte, len(signature))),
				"of a different header": b64([]byte(fmt.Sprintf(`{"alg":%q,"typ":"a"}`, alg))) + "." + parts[1] + "." + parts[2],
				"of the payload in DER": parts[0] + "." + parts[1] + "." + b64(append([]byte{0x30, byte(len(signature))}, signature...)),
				"of one octet":          parts[0] + "." + parts[1] + "." + b64([]byte{1}),
				"with all bits set":     parts[0] + "." + parts[1] + "." + b64([]byte(strings.Repeat("\xff", len(signature)))),
			}
			for name, token := range wrong {
				if got, _, err := verify(token, set, []string{alg}); err != jose.ErrSignature || got != "" {
					t.Errorf("a signature %s gave %s, %v", name, got, err)
				}
			}
		})
	}
}

func TestParseHeader(t *testing.T) {
	tests := []struct {
		name, header string
		want         jose.Header
	}{
		{"known parameters are returned", `{"alg":"ES256","kid":"a","typ":"JWT","cty":"b"}`, jose.Header{Algorithm: "ES256", KeyID: "a", Type: "JWT", ContentType: "b"}},
		{"unknown parameters are ignored", `{"alg":"ES256","exp":{"a":[1]}}`, jose.Header{Algorithm: "ES256"}},
		{"keys in the token are ignored", `{"alg":"ES256","jwk":{"kty":"EC"},"jku":1,"x5u":"a","x5c":[]}`, jose.Header{Algorithm: "ES256"}},
		{"white space is allowed", ` { "alg" : "ES256" } `, jose.Header{Algorithm: "ES256"}},
		{"crit is flagged", `{"alg":"ES256","crit":["exp"],"exp":1}`, jose.Header{Algorithm: "ES256", Critical: true}},
		{"an empty crit is flagged", `{"alg":"ES256","crit":[]}`, jose.Header{Algorithm: "ES256", Critical: true}},
		{"null for crit is flagged", `{"alg":"ES256","crit":null}`, jose.Header{Algorithm: "ES256", Critical: true}},
		{"b64 false is flagged", `{"alg":"ES256","b64":false}`, jose.Header{Algorithm: "ES256", Critical: true}},
		{"b64 true after crit changes nothing", `{"alg":"ES256","crit":["b64"],"b64":true}`, jose.Header{Algorithm: "ES256", Critical: true}},
		{"b64 true is the default", `{"alg":"ES256","b64":true}`, jose.Header{Algorithm: "ES256"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			token := compact(test.header, payload, "a")
			if got, err := parseHeader(token); err != nil || got != test.want {
				t.Errorf("got %+v, %v", got, err)
			}
			_, _, err := verify(token, keySet(public("P-256")), []string{"ES256"})
			if critical := err == jose.ErrCritical; critical != test.want.Critical {
				t.Errorf("verifying gave %v", err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := sign("ES256", "", payload)
	parts := strings.Split(good, ".")
	tests := []struct{ name, token string }{
		{"nothing", ""},
		{"one part", parts[0]},
		{"two parts", parts[0] + "." + parts[1]},
		{"four parts", good + "." + parts[2]},
		{"five parts, as a JWE has", "a.b.c.d.e"},
		{"an empty header", "." + parts[1] + "." + parts[2]},
		{"an empty payload", parts[0] + ".." + parts[2]},
		{"an empty signature", parts[0] + "." + parts[1] + "."},
		{"only dots", ".."},
		{"padding", parts[0] + "=." + parts[1] + "." + parts[2]},
		{"a line break", parts[0] + "." + parts[1] + "\n." + parts[2]},
		{"a line break in the signature", good + "\r\n"},
		{"white space", " " + good},
		{"base64 that is not base64url", compact(`{"alg":"ES256"}`, payload, "a")[:20] + "+/"},
		{"stray bits at the end", parts[0] + "." + parts[1] + ".YR"},
		{"a header that is not JSON", compact("a", payload, "a")},
		{"a header that is not an object", compact(`["alg"]`, payload, "a")},
		{"a header with something after it", compact(`{"alg":"ES256"}{}`, payload, "a")},
		{"a header without alg", compact(`{}`, payload, "a")},
		{"an empty alg", compact(`{"alg":""}`, payload, "a")},
		{"an alg that is not a string", compact(`{"alg":null}`, payload, "a")},
		{"alg twice", compact(`{"alg":"ES256","alg":"RS256"}`, payload, "a")},
		{"alg twice, once escaped", compact(`{"alg":"ES256","\u0061lg":"RS256"}`, payload, "a")},
		{"a kid that is not a string", compact(`{"alg":"ES256","kid":1}`, payload, "a")},
		{"a typ that is not a string", compact(`{"alg":"ES256","typ":["JWT"]}`, payload, "a")},
		{"a b64 that is not a boolean", compact(`{"alg":"ES256","b64":"false"}`, payload, "a")},
		{"invalid UTF-8", compact("{\"alg\":\"ES256\",\"a\":\"\xff\"}", payload, "a")},
		{"a header that is nested too deep", compact(`{"alg":"ES256","a":`+strings.Repeat("[", 9)+strings.Repeat("]", 9)+`}`, payload, "a")},
		{"a header that is too long", compact(`{"alg":"ES256","a":"`+strings.Repeat("a", 16<<10)+`"}`, payload, "a")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, err := parseHeader(test.token); err != jose.ErrMalformed || got != (jose.Header{}) {
				t.Errorf("got %+v, %v", got, err)
			}
			if got, _, err := verify(test.token, keySet(public("P-256")), []string{"ES256"}); err != jose.ErrMalformed || got != "" {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

func TestUnverifiedIsThePayload(t *testing.T) {
	token := must(jose.Parse(compact(`{"alg":"none"}`, payload, "a")))
	if got := token.Unverified(); got != payload {
		t.Errorf("got %s", got)
	}
}

func TestSignCompactRefusesWhatItCannotSign(t *testing.T) {
	for alg, key := range map[string]crypto.Signer{"none": signers()["RSA"], "": signers()["RSA"], "RS256": signers()["P-256"]} {
		if token, err := jose.SignCompact(key, alg, "", "", []byte(payload)); err == nil || token != "" {
			t.Errorf("%s gave %s", alg, token)
		}
	}
}

// FuzzParse checks that a parsed token can be put together again in only one
// way, and that no token verifies except the one that was signed.
func FuzzParse(f *testing.F) {
	signed := examples[1] // Ed25519: which has exactly one signature for each payload
	for _, seed := range []string{
		signed.token, signed.token + "=", signed.token + "\n", strings.ToUpper(signed.token), compact(`{"alg":"none"}`, payload, ""),
		compact(`{"alg":"EdDSA","kid":"a"}`, payload, "a"), compact(`{"alg":"EdDSA","crit":[]}`, payload, "a"), "a.b.c", "..", "",
	} {
		f.Add(seed)
	}
	set := signed.set()
	f.Fuzz(func(t *testing.T, token string) {
		parsed, err := jose.Parse(token)
		if err != nil {
			if err != jose.ErrMalformed {
				t.Errorf("got %v", err)
			}
			return
		}
		parts := strings.Split(token, ".")
		if len(parts) != 3 || parsed.Header.Algorithm == "" || parts[1] != b64([]byte(parsed.Unverified())) {
			t.Errorf("parsed as %+v, %q", parsed.Header, parsed.Unverified())
		}
		got, err := parsed.Verify(set, []string{"EdDSA"})
		switch err {
		case nil:
			if token != signed.token || got != signed.want {
				t.Errorf("verified: %s", got)
			}
		case jose.ErrAlgorithm, jose.ErrCritical, jose.ErrSignature, jose.ErrUnknownKey:
			if got != "" {
				t.Errorf("got %s with %v", got, err)
			}
		default:
			t.Errorf("got %v", err)
		}
	})
}

// parseHeader returns the header of a token.
func parseHeader(compact string) (jose.Header, error) {
	token, err := jose.Parse(compact)
	if err != nil {
		return jose.Header{}, err
	}
	return token.Header, nil
}

// verify parses and verifies a token. It returns the header with every error
// except ErrMalformed.
func verify(compact string, set *jose.KeySet, accepted []string) (payload string, header jose.Header, err error) {
	token, err := jose.Parse(compact)
	if err != nil {
		return "", jose.Header{}, err
	}
	payload, err = token.Verify(set, accepted)
	return payload, token.Header, err
}

package jose_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/dynreg/dcr/internal/jose"
)

// octets returns n octets in base64url, none of them zero.
func octets(n int) string { return b64([]byte(strings.Repeat("\x2a", n))) }

func x25519() members { return jwkOf(must(ecdh.X25519().GenerateKey(rand.Reader)).PublicKey()) }

// certificate returns a self-signed certificate of the signer of the given
// kind.
func certificate(kind string) string {
	key := signers()[kind]
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	return base64.StdEncoding.EncodeToString(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)))
}

var (
	both = jose.Keys{Sig: true, Enc: true, Count: 1}
	sig  = jose.Keys{Sig: true, Count: 1}
	enc  = jose.Keys{Enc: true, Count: 1}
	idle = jose.Keys{Count: 1}
)

func TestCheckClientKeysAccepts(t *testing.T) {
	ec, rsa, ed := public("P-256"), public("RSA"), public("Ed25519")
	tests := []struct {
		name string
		jwks []byte
		want jose.Keys
	}{
		{"an empty set", setOf(), jose.Keys{}},
		{"an RSA key for any use", setOf(rsa), both},
		{"a leading zero in an RSA modulus", setOf(rsa.with("n", b64(append([]byte{0}, must(base64.RawURLEncoding.DecodeString(rsa["n"].(string)))...)))), both},
		{"an RSA exponent of 3", setOf(rsa.with("e", "Aw")), both},
		{"a P-256 key", setOf(ec), both},
		{"a P-384 key", setOf(public("P-384")), both},
		{"a P-521 key", setOf(public("P-521")), both},
		{"a secp256k1 key, of which only the form is checked", setOf(members{"kty": "EC", "crv": "secp256k1", "x": octets(32), "y": octets(32)}), both},
		{"an Ed25519 key, which signs", setOf(ed), sig},
		{"an X25519 key, which encrypts", setOf(x25519()), enc},
		{"an Ed448 key, of which only the form is checked", setOf(members{"kty": "OKP", "crv": "Ed448", "x": octets(57)}), sig},
		{"an X448 key, of which only the form is checked", setOf(members{"kty": "OKP", "crv": "X448", "x": octets(56)}), enc},
		{"an unknown key type", setOf(members{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "x": 1}), both},
		{"an unknown algorithm", setOf(ec.with("alg", "ES256-next")), both},
		{"members that are ignored", []byte(`{"keys":[` + ec.with("exp", 1, "x5u", "https://a", "nested", members{"a": []int{1}}).String() + `],"a":{}}`), both},
		{"null members, which count as absent", []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + octets(32) + `","use":null,"kid":null,"d":null,"k":null,"x5c":null}]}`), sig},
		{"use sig", setOf(ec.with("use", "sig")), sig},
		{"use enc", setOf(ec.with("use", "enc")), enc},
		{"a use that another specification defines", setOf(ec.with("use", "tls")), idle},
		{"key_ops", setOf(ec.with("key_ops", []string{"verify"})), sig},
		{"key_ops for encryption", setOf(ec.with("key_ops", []string{"deriveKey", "deriveBits"})), enc},
		{"unknown key_ops", setOf(ec.with("key_ops", []string{"dance"})), idle},
		{"empty key_ops, which count as absent", setOf(ec.with("key_ops", []string{})), both},
		{"use and key_ops that agree", setOf(ec.with("use", "sig", "key_ops", []string{"verify"})), sig},
		{"a signature algorithm", setOf(ec.with("alg", "ES256")), sig},
		{"a key management algorithm", setOf(rsa.with("alg", "RSA-OAEP-256")), enc},
		{"EdDSA by its newer name", setOf(ed.with("alg", "Ed25519")), sig},
		{"one kid for different key types", setOf(ec.with("kid", "a"), rsa.with("kid", "a")), jose.Keys{Sig: true, Enc: true, Count: 2}},
		{"one kid for different uses", setOf(ec.with("kid", "a", "use", "sig"), ec.with("kid", "a", "use", "enc")), jose.Keys{Sig: true, Enc: true, Count: 2}},
		{"one kid for different algorithms", setOf(rsa.with("kid", "a", "alg", "RS256"), rsa.with("kid", "a", "alg", "PS256")), jose.Keys{Sig: true, Count: 2}},
		{"keys without a kid", setOf(ec, ec), jose.Keys{Sig: true, Enc: true, Count: 2}},
		{"use on every key", setOf(ec.with("use", "sig"), rsa.with("use", "enc")), jose.Keys{Sig: true, Enc: true, Count: 2}},
		{"no use if all keys sign", setOf(ec.with("use", "sig"), ed), jose.Keys{Sig: true, Count: 2}},
		{"the key's certificate", setOf(ec.with("x5c", []string{certificate("P-256")})), both},
		{"a chain of certificates", setOf(ec.with("x5c", []string{certificate("P-256"), certificate("RSA")})), both},
		{"a certificate that Go cannot read", setOf(members{"kty": "OKP", "crv": "Ed448", "x": octets(57), "x5c": []string{"AAAA"}}), sig},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := jose.CheckClientKeys(test.jwks, 2)
			got.Set = nil
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

// A refusal is a key set that is refused, and the error.
type refusal struct {
	name string
	jwks []byte
	want string
}

func refuse(t *testing.T, refusals []refusal) {
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			got, err := jose.CheckClientKeys(test.jwks, 3)
			var keyError *jose.KeyError
			if !errors.As(err, &keyError) || err.Error() != test.want || got.Count != 0 || got.Set != nil {
				t.Errorf("got %+v, %v\nwant %s", got, err, test.want)
			}
		})
	}
}

func TestCheckClientKeysRefusesSets(t *testing.T) {
	ec := public("P-256")
	refuse(t, []refusal{
		{"something that is not an object", []byte(`[]`), "must be a JSON object"},
		{"an object without keys", []byte(`{}`), "keys is required"},
		{"null for keys", []byte(`{"keys":null}`), "keys must be a JSON array"},
		{"an object for keys", []byte(`{"keys":{}}`), "keys must be a JSON array"},
		{"keys twice", []byte(`{"keys":[],"keys":[]}`), "keys must not appear twice"},
		{"a member of a key twice", []byte(`{"keys":[{"kty":"EC","kty":"RSA"}]}`), "keys[0].kty must not appear twice"},
		{"a key that is not an object", []byte(`{"keys":["a"]}`), "keys[0] must be a JSON object"},
		{"too many keys", setOf(ec, ec, ec, ec), "keys must have at most 3 elements"},
		{"a key without a type", setOf(ec, ec.with("kty", nil)), "keys[1].kty is required"},
		{"an empty key type", setOf(ec.with("kty", "")), "keys[0].kty must not be empty"},
		{"a key type that is not a string", setOf(ec.with("kty", 1)), "keys[0].kty must be a JSON string"},
	})
}

func TestCheckClientKeysRefusesSecrets(t *testing.T) {
	ec, rsa := public("P-256"), public("RSA")
	refuse(t, []refusal{
		{"a private EC key", setOf(ec, ec.with("d", octets(32))), "keys[1] must not be private"},
		{"a private key whose secret has the wrong form", setOf(ec.with("d", false)), "keys[0] must not be private"},
		{"a part of a private RSA key", setOf(rsa.with("dp", "AA")), "keys[0] must not be private"},
		{"further primes of an RSA key", setOf(rsa.with("oth", []int{})), "keys[0] must not be private"},
		{"a private key of an unknown type", setOf(members{"kty": "AKP", "priv": "AA"}), "keys[0] must not be private"},
		{"a shared key", setOf(members{"kty": "oct", "k": "AA"}), "keys[0] must not be symmetric"},
		{"a shared key without its value", setOf(members{"kty": "oct"}), "keys[0] must not be symmetric"},
		{"a shared key in disguise", setOf(ec.with("k", "AA")), "keys[0] must not be symmetric"},
	})
}

func TestCheckClientKeysRefusesRSAKeys(t *testing.T) {
	rsa := public("RSA")
	short := new(big.Int).Lsh(big.NewInt(1), 2046)
	refuse(t, []refusal{
		{"an RSA key without a modulus", setOf(rsa.with("n", nil)), "keys[0].n is required for the key type"},
		{"an RSA key without an exponent", setOf(rsa.with("e", nil)), "keys[0].e is required for the key type"},
		{"a modulus of 2047 bits", setOf(rsa.with("n", b64(short.Bytes()))), "keys[0].n must have at least 2048 bits"},
		{"a modulus of more than 8192 bits", setOf(rsa.with("n", octets(1025))), "keys[0].n must have at most 8192 bits"},
		{"an even modulus", setOf(rsa.with("n", octets(257))), "keys[0].n must be odd"},
		{"padding in a modulus", setOf(rsa.with("n", rsa["n"].(string)+"==")), "keys[0].n must be base64url without padding"},
		{"a modulus that is a number", setOf(rsa.with("n", 1)), "keys[0].n must be a JSON string"},
		{"an even exponent", setOf(rsa.with("e", "AQAA")), "keys[0].e must be odd, at least 3 and at most 31 bits long"},
		{"an exponent of 1", setOf(rsa.with("e", "AQ")), "keys[0].e must be odd, at least 3 and at most 31 bits long"},
		{"an exponent of 0", setOf(rsa.with("e", "AA")), "keys[0].e must be odd, at least 3 and at most 31 bits long"},
		{"an enormous exponent", setOf(rsa.with("e", "_____w")), "keys[0].e must be odd, at least 3 and at most 31 bits long"},
	})
}

func TestCheckClientKeysRefusesCurveKeys(t *testing.T) {
	ec, ed := public("P-256"), public("Ed25519")
	refuse(t, []refusal{
		{"an EC key without a curve", setOf(ec.with("crv", nil)), "keys[0].crv must be a curve that is supported for the key type"},
		{"an unknown curve", setOf(ec.with("crv", "P-224")), "keys[0].crv must be a curve that is supported for the key type"},
		{"a curve of another key type", setOf(ec.with("crv", "Ed25519")), "keys[0].crv must be a curve that is supported for the key type"},
		{"a key type as the curve", setOf(ec.with("crv", "RSA")), "keys[0].crv must be a curve that is supported for the key type"},
		{"an EC key without x", setOf(ec.with("x", nil)), "keys[0].x is required for the key type"},
		{"an EC key without y", setOf(ec.with("y", nil)), "keys[0].y is required for the key type"},
		{"a short coordinate", setOf(ec.with("x", octets(31))), "keys[0].x must have the length that its curve prescribes"},
		{"a long coordinate", setOf(ec.with("y", octets(33))), "keys[0].y must have the length that its curve prescribes"},
		{"a point that is off its curve", setOf(ec.with("x", octets(32))), "keys[0] must be a point on its curve"},
		{"the zero point", setOf(ec.with("x", b64(make([]byte, 32)), "y", b64(make([]byte, 32)))), "keys[0] must be a point on its curve"},
		{"a short secp256k1 coordinate", setOf(members{"kty": "EC", "crv": "secp256k1", "x": octets(31), "y": octets(32)}), "keys[0].x must have the length that its curve prescribes"},
		{"a short Ed25519 key", setOf(ed.with("x", octets(31))), "keys[0].x must have the length that its curve prescribes"},
		{"an Ed448 key of the wrong length", setOf(ed.with("crv", "Ed448")), "keys[0].x must have the length that its curve prescribes"},
		{"stray bits at the end", setOf(ed.with("x", octets(32)[:42]+"r")), "keys[0].x must be base64url without padding"},
	})
}

func TestCheckClientKeysRefusesPurposes(t *testing.T) {
	ec, rsa, ed := public("P-256"), public("RSA"), public("Ed25519")
	refuse(t, []refusal{
		{"an empty use", setOf(ec.with("use", "")), "keys[0].use must not be empty"},
		{"a use that is not a string", setOf(ec.with("use", []string{"sig"})), "keys[0].use must be a JSON string"},
		{"an Ed25519 key for encryption", setOf(ed.with("use", "enc")), "keys[0].use must fit the curve"},
		{"an X25519 key for signing", setOf(x25519().with("use", "sig")), "keys[0].use must fit the curve"},
		{"key_ops that is not an array", setOf(ec.with("key_ops", "verify")), "keys[0].key_ops must be a JSON array of strings"},
		{"an operation that is not a string", setOf(ec.with("key_ops", []int{1})), "keys[0].key_ops[0] must be a non-empty JSON string"},
		{"an operation twice", setOf(ec.with("key_ops", []string{"verify", "verify"})), "keys[0].key_ops must not list an operation twice"},
		{"use and key_ops that disagree", setOf(ec.with("use", "sig", "key_ops", []string{"deriveKey"})), "keys[0].key_ops must agree with use"},
		{"key_ops wider than use", setOf(rsa.with("use", "enc", "key_ops", []string{"verify", "encrypt"})), "keys[0].key_ops must agree with use"},
		{"an empty alg", setOf(ec.with("alg", "")), "keys[0].alg must not be empty"},
		{"alg none", setOf(ec.with("alg", "none")), "keys[0].alg must be an asymmetric algorithm"},
		{"a symmetric alg", setOf(ec.with("alg", "HS256")), "keys[0].alg must be an asymmetric algorithm"},
		{"a symmetric alg for an unknown key type", setOf(members{"kty": "AKP", "alg": "dir"}), "keys[0].alg must be an asymmetric algorithm"},
		{"an alg of another key type", setOf(ec.with("alg", "RS256")), "keys[0].alg must fit the key type and curve"},
		{"an alg of another curve", setOf(ec.with("alg", "ES384")), "keys[0].alg must fit the key type and curve"},
		{"an alg that use contradicts", setOf(rsa.with("use", "enc", "alg", "RS256")), "keys[0].alg must agree with use and key_ops"},
		{"an alg that key_ops contradicts", setOf(rsa.with("key_ops", []string{"verify"}, "alg", "RSA-OAEP")), "keys[0].alg must agree with use and key_ops"},
	})
}

func TestCheckClientKeysRefusesKids(t *testing.T) {
	ec, rsa, ed := public("P-256"), public("RSA"), public("Ed25519")
	refuse(t, []refusal{
		{"an empty kid", setOf(ec.with("kid", "")), "keys[0].kid must not be empty"},
		{"a kid that is not a string", setOf(ec.with("kid", 1)), "keys[0].kid must be a JSON string"},
		{"one kid for two keys", setOf(ec.with("kid", "a"), ec.with("kid", "a")), "keys[1].kid must not be the kid of another key"},
		{"a key without use in a set with keys for both uses", setOf(ec.with("use", "sig"), rsa.with("use", "enc"), ed), "keys must all have use, since there are keys for signing and for encryption"},
	})
}

func TestCheckClientKeysRefusesCertificates(t *testing.T) {
	ec := public("P-256")
	refuse(t, []refusal{
		{"x5c that is not an array", setOf(ec.with("x5c", "AA")), "keys[0].x5c must be a JSON array of strings"},
		{"a certificate that is not base64", setOf(ec.with("x5c", []string{"_-_-"})), "keys[0].x5c[0] must be a base64 encoded DER certificate"},
		{"x5c without a certificate", setOf(ec.with("x5c", []string{})), "keys[0].x5c must have a certificate"},
		{"something that is not a certificate", setOf(ec.with("x5c", []string{"AAAA"})), "keys[0].x5c[0] must be a base64 encoded DER certificate"},
		{"a broken chain", setOf(ec.with("x5c", []string{certificate("P-256"), "AAAA"})), "keys[0].x5c[1] must be a base64 encoded DER certificate"},
		{"a certificate of another key", setOf(ec.with("x5c", []string{certificate("P-384")})), "keys[0].x5c[0] must be a certificate of the key"},
	})
}

// FuzzCheckClientKeys checks that an error is fit to be shown, and that no set
// with a secret in it is accepted.
func FuzzCheckClientKeys(f *testing.F) {
	ec := public("P-256")
	for _, seed := range [][]byte{
		setOf(), setOf(ec), setOf(public("RSA")), setOf(public("Ed25519")), setOf(x25519()),
		setOf(ec.with("use", "sig", "kid", "a", "alg", "ES256", "key_ops", []string{"verify"}, "x5c", []string{certificate("P-256")})),
		setOf(ec.with("d", "AA")), setOf(members{"kty": "oct", "k": "AA"}), []byte(`{"keys":[{"kty":"\u0000"}]}`), []byte(`{"keys":null}`),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, jwks []byte) {
		keys, err := jose.CheckClientKeys(jwks, 8)
		if err != nil {
			showable(t, err)
			return
		}
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(jwks, &set); err != nil || len(set.Keys) != keys.Count {
			t.Errorf("counted %d of %d keys: %v", keys.Count, len(set.Keys), err)
		}
		for _, key := range set.Keys {
			for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
				if key[secret] != nil {
					t.Errorf("%s was accepted", secret)
				}
			}
		}
	})
}

func showable(t *testing.T, err error) {
	t.Helper()
	var keyError *jose.KeyError
	if !errors.As(err, &keyError) {
		t.Errorf("%T", err)
	}
	text := err.Error()
	if text == "" || len(text) > 300 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("not fit to be shown: %q", text)
	}
}

func TestOfASetOnlyItsKeysAreKept(t *testing.T) {
	ec := string(setOf(public("P-256")))
	key := strings.TrimSuffix(strings.TrimPrefix(ec, `{"keys":[`), `]}`)
	bare := `{"keys":[` + key + `]}`
	for _, test := range []struct{ name, jwks, want string }{
		{"a set with nothing but its keys is kept byte for byte", bare, bare},
		{"a few blanks are kept", `{ "keys" : [ ` + key + " ]\n}", `{ "keys" : [ ` + key + " ]\n}"},
		{"another member is dropped", `{"x":"` + strings.Repeat("a", 60<<10) + `","keys":[` + key + `]}`, bare},
		{"even a short one", `{"keys":[` + key + `],"x":1}`, bare},
		{"many blanks are dropped", `{"keys":[` + strings.Repeat(" ", 60<<10) + key + `]}`, bare},
		{"an empty set stays a set", `{"keys":[],"x":1}`, `{"keys":[]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := jose.CheckClientKeys([]byte(test.jwks), 2)
			if err != nil || string(got.Set) != test.want {
				t.Errorf("got %.200s, %v", got.Set, err)
			}
		})
	}
	long := `{"keys":[{"kty":"unknown","x":"` + strings.Repeat("a", 8<<10) + `"}]}`
	if _, err := jose.CheckClientKeys([]byte(long), 2); err == nil || !strings.Contains(err.Error(), "keys[0] must not be longer than 8192 bytes") {
		t.Errorf("a long key: %v", err)
	}
}

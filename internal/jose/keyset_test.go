package jose_test

import (
	"encoding/json"
	"testing"

	"github.com/dynreg/dcr/internal/jose"
)

func TestParseKeySet(t *testing.T) {
	ec := public("P-256").with("kid", "a")
	tests := []struct {
		name string
		jwks []byte
		want int
	}{
		{"a key of every kind that verifies", setOf(ec, public("P-384"), public("P-521"), public("RSA"), public("Ed25519")), 5},
		{"an empty set", setOf(), 0},
		{"unknown key types are left out", setOf(members{"kty": "AKP"}, ec), 1},
		{"unknown curves are left out", setOf(ec.with("crv", "P-224"), ec), 1},
		{"curves that Go lacks are left out", setOf(members{"kty": "EC", "crv": "secp256k1", "x": octets(32), "y": octets(32)}, ec), 1},
		{"shared keys are left out", setOf(members{"kty": "oct", "k": "AA", "kid": "b"}, ec), 1},
		{"private keys are left out", setOf(ec.with("d", octets(32)), ec), 1},
		{"keys for encryption are left out", setOf(x25519(), ec.with("use", "enc"), public("RSA").with("alg", "RSA-OAEP"), ec), 1},
		{"weak keys are left out", setOf(public("RSA").with("n", octets(255)), ec), 1},
		{"broken keys are left out", setOf(ec.with("x", "?"), ec.with("kid", 1), ec.with("kty", nil), ec), 1},
		{"anything that is not a key is left out", []byte(`{"keys":[1,null,"a",[],` + ec.String() + `]}`), 1},
		{"certificates are ignored", setOf(ec.with("x5c", []string{"?"})), 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			set, err := jose.ParseKeySet(test.jwks)
			if err != nil || set.Len() != test.want {
				t.Fatalf("got %+v, %v", set, err)
			}
			if test.want > 0 && !set.Has("a") || set.Has("") || set.Has("b") {
				t.Error("has other keys")
			}
		})
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	tests := []struct{ name, jwks string }{
		{"nothing", ``},
		{"an array", `[]`},
		{"HTML", `<html>`},
		{"an object without keys", `{"error":"invalid_request"}`},
		{"keys that are not an array", `{"keys":{}}`},
		{"null for keys", `{"keys":null}`},
		{"a member that appears twice", `{"keys":[],"keys":[]}`},
		{"something after the object", `{"keys":[]} {}`},
		{"a text that ends too early", `{"keys":[`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if set, err := jose.ParseKeySet([]byte(test.jwks)); err == nil || set != nil {
				t.Errorf("got %+v, %v", set, err)
			}
		})
	}
}

// FuzzParseKeySet checks that a set never has more keys than the document, and
// that using its keys does no harm.
func FuzzParseKeySet(f *testing.F) {
	for kind := range signers() {
		f.Add(setOf(public(kind).with("kid", "a")))
	}
	f.Add([]byte(`{"keys":[{}]}`))
	tokens := map[string]string{}
	for alg := range kindOf {
		tokens[alg] = sign(alg, "", payload)
	}
	f.Fuzz(func(t *testing.T, jwks []byte) {
		set, err := jose.ParseKeySet(jwks)
		if err != nil {
			return
		}
		var document struct{ Keys []any }
		if err := json.Unmarshal(jwks, &document); err != nil || set.Len() > len(document.Keys) {
			t.Errorf("%d of %d keys: %v", set.Len(), len(document.Keys), err)
		}
		for alg, token := range tokens {
			if got, _, err := verify(token, set, []string{alg}); err != nil && got != "" {
				t.Errorf("%s gave %s, %v", alg, got, err)
			}
		}
	})
}

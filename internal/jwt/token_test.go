package jwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/strictjson"
)

// signer signs tokens with one key, and publishes it.
type signer struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newSigner(t *testing.T) signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, key}
}

func (s signer) sign(kid, typ, claims string) string {
	s.t.Helper()
	token, err := jose.SignCompact(s.key, "ES256", kid, typ, []byte(claims))
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s signer) keys() *jose.KeySet {
	s.t.Helper()
	point, err := s.key.PublicKey.Bytes()
	if err != nil {
		s.t.Fatal(err)
	}
	x, y := base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
	set, err := jose.ParseKeySet(fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}]}`, x, y))
	if err != nil {
		s.t.Fatal(err)
	}
	return set
}

func withHeader(token, header string) string {
	_, rest, _ := strings.Cut(token, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
}

var errOwn = errors.New("color is no colour")

// judge takes a token through both steps.
func judge(rules jwt.Rules, token string, keys *jose.KeySet) *jwt.Fault {
	read, fault := rules.Read([]byte(token), func(name string, value strictjson.Value) error {
		if name == "color" {
			return errOwn
		}
		return nil
	})
	if fault != nil {
		return fault
	}
	if _, fault := read.Verify(keys); fault != nil {
		return fault
	}
	return read.Judge(time.Unix(1_700_000_000, 0), jwt.Terms{}, "iss", "tenant")
}

func TestRules(t *testing.T) {
	const claims = `{"iss":"i","exp":1700000001,"tenant":[]}`
	one := newSigner(t)
	good := one.sign("k", "x+jwt", claims)
	for _, test := range []struct {
		sentence, token string
		rule, says      string // "" if the token is accepted
	}{
		{"a token that follows the rules", good, "", ""},
		{"a typ in full", one.sign("k", "Application/X+JWT", claims), "", ""},
		{"a token that is too long", one.sign("k", "x+jwt", `{"a":"`+strings.Repeat("a", 1000)+`"}`), "length", "must not be longer than 1000 bytes"},
		{"something that is not a token", "a.b.c", "form", "must be a compact JWS"},
		{"a critical extension", withHeader(good, `{"alg":"ES256","kid":"k","typ":"x+jwt","crit":["x"]}`), "crit", "must not have critical header parameters"},
		{"another algorithm", withHeader(good, `{"alg":"none","kid":"k","typ":"x+jwt"}`), "algorithm", "must be signed with one of the algorithms ES256, EdDSA"},
		{"another type", one.sign("k", "jwt", claims), "type", "must have an accepted typ"},
		{"no kid", one.sign("", "x+jwt", claims), "kid", "must name its key by kid"},
		{"a claim of the wrong type", one.sign("k", "x+jwt", `{"iss":1}`), "claims", "is not valid: iss must be a JSON string"},
		{"a claim that the caller refuses", one.sign("k", "x+jwt", `{"color":1}`), "claims", "is not valid: color is no colour"},
		{"too many claims", one.sign("k", "x+jwt", `{"a":1,"b":1,"c":1,"d":1,"e":1}`), "claims", "is not valid: "},
		{"the signature of another key", newSigner(t).sign("k", "x+jwt", claims), "signature", "must have a valid signature"},
		{"an unknown key", one.sign("other", "x+jwt", claims), "signature", "must be signed with a known key"},
		{"an expired token", one.sign("k", "x+jwt", `{"iss":"i","exp":1700000000,"tenant":1}`), "terms", "has expired"},
		{"a required claim that is absent", one.sign("k", "x+jwt", `{"iss":"i"}`), "claims", "must have the claim tenant"},
		{"a required claim that is empty", one.sign("k", "x+jwt", `{"iss":"","tenant":1}`), "claims", "must have the claim iss"},
		{"a required claim that is null", one.sign("k", "x+jwt", `{"iss":"i","tenant":null}`), "claims", "must have the claim tenant"},
	} {
		rules := jwt.Rules{
			MaxBytes: 1000, Algorithms: []string{"ES256", "EdDSA"}, NamedKey: true, Limits: strictjson.Limits{Members: 4, Depth: 2},
			Type: func(mediaType string) bool { return mediaType == "x+jwt" },
		}
		switch fault := judge(rules, test.token, one.keys()); {
		case fault == nil && test.rule != "":
			t.Errorf("%s: accepted", test.sentence)
		case fault != nil && (fault.Rule != test.rule || !strings.HasPrefix(fault.Sentence, test.says) || test.rule == ""):
			t.Errorf("%s: %s: %s", test.sentence, fault.Rule, fault.Sentence)
		}
	}
}

func TestRulesThatSayNothing(t *testing.T) {
	one := newSigner(t)
	rules := jwt.Rules{Algorithms: []string{"ES256"}, Limits: jwt.Limits}
	if fault := judge(rules, one.sign("", "", `{"iss":"i","tenant":1,"a":"`+strings.Repeat("a", 10_000)+`"}`), one.keys()); fault != nil {
		t.Error(fault)
	}
	if fault := judge(jwt.Rules{Limits: jwt.Limits}, one.sign("", "", `{}`), one.keys()); fault == nil || fault.Rule != "algorithm" {
		t.Errorf("without algorithms: %v", fault)
	}
}

func TestWhatLiesBehindAFault(t *testing.T) {
	one := newSigner(t)
	rules := jwt.Rules{Algorithms: []string{"ES256"}, Limits: jwt.Limits}
	for token, behind := range map[string]error{
		"a.b.c":                          jose.ErrMalformed,
		one.sign("", "", `{"color":1}`):  errOwn,
		one.sign("x", "", `{}`):          jose.ErrUnknownKey,
		one.sign("", "", `{"exp":1}`):    jwt.ErrExpired,
		one.sign("", "", `{"nbf":2e9}`):  jwt.ErrTooEarly,
		one.sign("k", "", `{"iat":2e9}`): jwt.ErrTooEarly,
	} {
		if fault := judge(rules, token, one.keys()); fault == nil || !errors.Is(fault, behind) {
			t.Errorf("got %v, want %v", fault, behind)
		}
	}
}

package spec_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

const joseType = "application/jose"

// software is a party that registers itself by signed requests, and what a
// directory says of it.
type software struct {
	*signer
	handler http.Handler
	store   *memstore.Store
}

// statement is what the directory says of the software, whose keys stand in it.
func (s *software) statement() object {
	return stated().with("software_jwks", object{"keys": []object{s.jwk()}})
}

// claims are those of a good request.
func (s *software) claims() object {
	return object{
		"iss": "payments", "aud": "bank", "iat": noon.Unix(), "exp": noon.Unix() + 300, "jti": "request-1",
		"software_statement": signers()["RS256"].sign(s.statement()), "client_name": "Plain", "logo_uri": "https://a.example/logo",
	}
}

func newSoftware(t testing.TB, change func(*dcr.SignedRequestVerifier)) *software {
	t.Helper()
	statements := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: signers()["RS256"].keys()}, Required: true}
	logger, _ := quiet()
	verifier := dcr.SignedRequestVerifier{Statements: statements, Now: clock, Fetch: &dcr.GuardedClient{Logger: logger}}
	if change != nil {
		change(&verifier)
	}
	decode := dcr.SignedRequests(verifier)
	s := &software{signer: newSigner("tpp")}
	s.handler, s.store = trusting(t, statements, func(_ *dcr.DefaultValidator, o *dcr.Options) {
		o.Decoders = map[string]dcr.Decoder{joseType: decode, "application/jwt": decode}
		o.OptionalClientID = true
	})
	return s
}

func TestASignedRequest(t *testing.T) {
	s := newSoftware(t, nil)
	claims := s.claims()
	for contentType, body := range map[string]string{
		joseType:                           s.sign(claims),
		"application/jwt; charset=utf-8":   s.sign(claims),
		"Application/JOSE":                 " " + s.sign(claims) + "\r\n",
		joseType + "; profile=json-string": fmt.Sprintf("%q", s.sign(claims)),
	} {
		members := answered(t, askAs(t, s.handler, contentType, "POST", registerURL, "", body), 201, "")
		want := object{
			"client_name": "Vouched For", "logo_uri": "https://a.example/logo", "software_statement": claims["software_statement"],
			"iss": nil, "aud": nil, "iat": nil, "exp": nil, "jti": nil, "redirect_uris": []any{"https://vouched.example/cb"},
		}
		for name, value := range want {
			if !reflect.DeepEqual(members[name], value) {
				t.Errorf("%s: %s is %v, want %v", contentType, name, members[name], value)
			}
		}
	}
	t.Run("updates as well", func(t *testing.T) {
		members := answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", s.sign(claims)), 201, "")
		path, token := registerURL+"?client_id="+members["client_id"].(string), members["registration_access_token"].(string)
		updated := answered(t, askAs(t, s.handler, joseType, "PUT", path, token, s.sign(claims.with("logo_uri", nil))), 200, "")
		if updated["logo_uri"] != nil || updated["client_name"] != "Vouched For" {
			t.Errorf("got %v", updated)
		}
		answered(t, ask(t, s.handler, "PUT", path, token, claims.String()), 415, dcr.InvalidRequest)
	})
	for contentType, body := range map[string]string{"application/json": claims.String(), "": claims.String(), "application/jose+json": s.sign(claims), "application/jose/": s.sign(claims)} {
		t.Run("no other body is taken: "+contentType, func(t *testing.T) {
			answered(t, askAs(t, s.handler, contentType, "POST", registerURL, "", body), 415, dcr.InvalidRequest)
		})
	}
}

func TestASignedRequestIsRefused(t *testing.T) {
	for _, test := range []struct {
		sentence string
		body     func(s *software) string
		code     dcr.Code
	}{
		{"it is no JWS", func(s *software) string { return s.claims().String() }, dcr.InvalidClientMetadata},
		{"it is no JWS in a string", func(s *software) string { return `"x` }, dcr.InvalidClientMetadata},
		{"it is empty", func(s *software) string { return "" }, dcr.InvalidClientMetadata},
		{"its signature is bad", func(s *software) string {
			signed := s.sign(s.claims())
			return signed[:len(signed)-20] + strings.Repeat("A", 20)
		}, dcr.InvalidClientMetadata},
		{"other software signed it", func(s *software) string { return newSigner(s.kid).sign(s.claims()) }, dcr.InvalidClientMetadata},
		{"a key that is not in the statement signed it", func(s *software) string { return newSigner("x").sign(s.claims()) }, dcr.InvalidClientMetadata},
		{"it brings its own key", func(s *software) string {
			own := newSigner("x")
			return own.signText(own.header().with("jwk", own.jwk()), s.claims().String())
		}, dcr.InvalidClientMetadata},
		{"it does not name its key", func(s *software) string { return s.signText(s.header().with("kid", nil), s.claims().String()) }, dcr.InvalidClientMetadata},
		{"it has a crit", func(s *software) string {
			return s.signText(s.header().with("crit", []string{"x"}, "x", 1), s.claims().String())
		}, dcr.InvalidClientMetadata},
		{"its algorithm is not one of the profile", func(s *software) string { return signers()["RS256"].sign(s.claims()) }, dcr.InvalidClientMetadata},
		{"alg is none", func(s *software) string {
			return b64([]byte(`{"alg":"none","kid":"tpp"}`)) + "." + b64([]byte(s.claims().String())) + ".AAAA"
		}, dcr.InvalidClientMetadata},
		{"HS256 with the public key", func(s *software) string { return s.withPublicKeyAsSecret(s.claims()) }, dcr.InvalidClientMetadata},
		{"it has expired", func(s *software) string { return s.sign(s.claims().with("exp", noon.Unix()-61)) }, dcr.InvalidClientMetadata},
		{"it has no end", func(s *software) string { return s.sign(s.claims().with("exp", nil)) }, dcr.InvalidClientMetadata},
		{"its exp is a string", func(s *software) string { return s.sign(s.claims().with("exp", "1999999999")) }, dcr.InvalidClientMetadata},
		{"it is from the future", func(s *software) string { return s.sign(s.claims().with("iat", noon.Unix()+61)) }, dcr.InvalidClientMetadata},
		{"it is for another bank", func(s *software) string { return s.sign(s.claims().with("aud", "other")) }, dcr.InvalidClientMetadata},
		{"it is from other software", func(s *software) string { return s.sign(s.claims().with("iss", "lending")) }, dcr.InvalidClientMetadata},
		{"it says not who it is from", func(s *software) string { return s.sign(s.claims().with("iss", nil)) }, dcr.InvalidClientMetadata},
		{"it has no jti", func(s *software) string { return s.sign(s.claims().with("jti", nil)) }, dcr.InvalidClientMetadata},
		{"it has a claim twice", func(s *software) string {
			return s.signText(s.header(), strings.Replace(s.claims().String(), "{", `{"client_name":"x",`, 1))
		}, dcr.InvalidClientMetadata},
		{"it has a member of the wrong form", func(s *software) string { return s.sign(s.claims().with("logo_uri", 1)) }, dcr.InvalidClientMetadata},
		{"it has no statement", func(s *software) string { return s.sign(s.claims().with("software_statement", nil)) }, dcr.InvalidSoftwareStatement},
		{"its statement is forged", func(s *software) string {
			return s.sign(s.claims().with("software_statement", newSigner("rsa").sign(s.statement())))
		}, dcr.InvalidSoftwareStatement},
		{"its statement has expired", func(s *software) string {
			return s.sign(s.claims().with("software_statement", signers()["RS256"].sign(s.statement().with("exp", noon.Unix()-61))))
		}, dcr.InvalidSoftwareStatement},
		{"its statement names no keys", func(s *software) string {
			return s.sign(s.claims().with("software_statement", signers()["RS256"].sign(stated())))
		}, dcr.InvalidSoftwareStatement},
		{"its statement names keys of the server's own network", func(s *software) string {
			return s.sign(s.claims().with("software_statement", signers()["RS256"].sign(stated().with("software_jwks_endpoint", "https://127.0.0.1/jwks"))))
		}, dcr.InvalidSoftwareStatement},
		{"its statement is a list", func(s *software) string { return s.sign(s.claims().with("software_statement", []string{"x"})) }, dcr.InvalidClientMetadata},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			replays := memstore.New()
			s := newSoftware(t, func(v *dcr.SignedRequestVerifier) {
				v.Audience, v.IssuerClaim, v.Replay = []string{"bank"}, "software_id", replays
			})
			answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", test.body(s)), 400, test.code)
			stored(t, s.store, 0)
			answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", s.sign(s.claims().with("jti", "good"))), 201, "")
			answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", s.sign(s.claims().with("jti", "good"))), 400, dcr.InvalidClientMetadata)
			stored(t, s.store, 1)
		})
	}
}

func TestTheKeysOfASignedRequest(t *testing.T) {
	party := newSigner("tpp")
	fetches := 0
	keys := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches++
		w.Write(jwks(party))
	}))
	defer keys.Close()
	roots := x509.NewCertPool()
	roots.AddCert(keys.Certificate())
	s := newSoftware(t, func(v *dcr.SignedRequestVerifier) {
		v.Fetch = &dcr.GuardedClient{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, RootCAs: roots}
	})
	statement := signers()["RS256"].sign(stated().with("software_jwks_endpoint", keys.URL, "software_jwks", object{"keys": []any{}}))
	for range 3 {
		answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", party.sign(s.claims().with("software_statement", statement))), 201, "")
	}
	if fetches != 1 {
		t.Errorf("the keys were fetched %d times", fetches)
	}
	fixed := newSoftware(t, func(v *dcr.SignedRequestVerifier) { v.Keys = party.keys() })
	answered(t, askAs(t, fixed.handler, joseType, "POST", registerURL, "", party.sign(fixed.claims())), 201, "")
	down := newSoftware(t, func(v *dcr.SignedRequestVerifier) {
		v.MaxAge, v.Skew, v.Replay = time.Minute, -1, brokenReplays{}
	})
	answered(t, askAs(t, down.handler, joseType, "POST", registerURL, "", down.sign(down.claims())), 503, dcr.TemporarilyUnavailable)
}

// brokenReplays remembers nothing.
type brokenReplays struct{}

func (brokenReplays) Remember(context.Context, string, time.Time, time.Time) (bool, error) {
	return false, errors.New("no connection to 10.0.0.5")
}

func TestDecodersAreChecked(t *testing.T) {
	for _, decoders := range []map[string]dcr.Decoder{
		{"application/json": nil}, {"Application/JSON": dcr.PlainJSON}, {"": dcr.PlainJSON}, {"application/json; charset=utf-8": dcr.PlainJSON},
	} {
		if _, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: "https://id.example.com/", Decoders: decoders}); err == nil || !strings.Contains(err.Error(), "Decoders") {
			t.Errorf("%v was taken: %v", decoders, err)
		}
	}
	for sentence, verifier := range map[string]dcr.SignedRequestVerifier{
		"without statements":         {},
		"with a symmetric algorithm": {Statements: &dcr.StatementVerifier{}, Algorithms: []string{"HS256"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("SignedRequests did not panic %s", sentence)
				}
			}()
			dcr.SignedRequests(verifier)
		}()
	}
}

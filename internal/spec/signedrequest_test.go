package spec_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
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

// software is a party that registers itself with signed requests, and its
// record in a directory.
type software struct {
	*signer
	handler http.Handler
	store   *memstore.Store
}

// statement returns what the directory states about the software, including its
// keys.
func (s *software) statement() object {
	return stated().with("software_jwks", object{"keys": []object{s.jwk()}})
}

// claims returns the claims of a valid request.
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
		t.Run("no other body is accepted: "+contentType, func(t *testing.T) {
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
		{"it is not a JWS", func(s *software) string { return s.claims().String() }, dcr.InvalidClientMetadata},
		{"it is not a JWS in a string", func(s *software) string { return `"x` }, dcr.InvalidClientMetadata},
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
		{"it has no exp", func(s *software) string { return s.sign(s.claims().with("exp", nil)) }, dcr.InvalidClientMetadata},
		{"its exp is a string", func(s *software) string { return s.sign(s.claims().with("exp", "1999999999")) }, dcr.InvalidClientMetadata},
		{"it is from the future", func(s *software) string { return s.sign(s.claims().with("iat", noon.Unix()+61)) }, dcr.InvalidClientMetadata},
		{"it is for another bank", func(s *software) string { return s.sign(s.claims().with("aud", "other")) }, dcr.InvalidClientMetadata},
		{"it is from other software", func(s *software) string { return s.sign(s.claims().with("iss", "lending")) }, dcr.InvalidClientMetadata},
		{"it has no issuer", func(s *software) string { return s.sign(s.claims().with("iss", nil)) }, dcr.InvalidClientMetadata},
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

// TestTheTermsOfASignedRequest checks the settings of the verifier.
func TestTheTermsOfASignedRequest(t *testing.T) {
	life := func(seconds int64) object { return object{"iat": noon.Unix(), "exp": noon.Unix() + seconds} }
	for _, c := range []struct {
		sentence string
		change   func(v *dcr.SignedRequestVerifier)
		claims   object
		typ      any
		status   int
	}{
		{"two hours", nil, life(7200), "JWT", 201},
		{"more than two hours", nil, life(7201), "JWT", 400},
		{"more than two hours, without iat", nil, object{"iat": nil, "exp": noon.Unix() + 7261}, "JWT", 400},
		{"as long as is set", func(v *dcr.SignedRequestVerifier) { v.MaxLifetime = time.Minute }, life(60), "JWT", 201},
		{"longer than is set", func(v *dcr.SignedRequestVerifier) { v.MaxLifetime = time.Minute }, life(61), "JWT", 400},
		{"without exp, if the lifetime is bounded", func(v *dcr.SignedRequestVerifier) { v.MaxLifetime, v.RequiredClaims = time.Minute, []string{} }, object{"exp": nil}, "JWT", 400},
		{"by the clock of the handler, if the verifier has none", func(v *dcr.SignedRequestVerifier) { v.Now = nil }, life(60), "JWT", 201},
		{"too late, by a clock of the verifier's own", func(v *dcr.SignedRequestVerifier) { v.Now = func() time.Time { return noon.Add(time.Hour) } }, life(60), "JWT", 400},
		{"any time, if the lifetime is not bounded", func(v *dcr.SignedRequestVerifier) { v.MaxLifetime = -1 }, life(1e9), "JWT", 201},
		{"a proof of possession", nil, nil, "dpop+jwt", 400},
		{"a logout token", nil, nil, "logout+jwt", 400},
		{"an authorization request", nil, nil, "oauth-authz-req+jwt", 400},
		{"no type", nil, nil, nil, 201},
		{"a type in full", nil, nil, "Application/JOSE", 201},
		{"a type of the profile", func(v *dcr.SignedRequestVerifier) { v.Types = []string{"dcr+jwt"} }, nil, "dcr+jwt", 201},
		{"a common type, if the profile has its own", func(v *dcr.SignedRequestVerifier) { v.Types = []string{"dcr+jwt"} }, nil, "JWT", 400},
		{"no type, if the profile has its own", func(v *dcr.SignedRequestVerifier) { v.Types = []string{"dcr+jwt"} }, nil, nil, 400},
		{"no jti, if each may be used once", func(v *dcr.SignedRequestVerifier) { v.Once = true }, object{"jti": nil}, "JWT", 400},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			s := newSoftware(t, c.change)
			claims := s.claims()
			for name, value := range c.claims {
				claims = claims.with(name, value)
			}
			a := askAs(t, s.handler, joseType, "POST", registerURL, "", s.signText(s.header().with("typ", c.typ), claims.String()))
			if a.status != c.status {
				t.Errorf("status %d: %s", a.status, a.body)
			}
		})
	}
}

// forgetful is a store that can remember but not forget.
type forgetful struct {
	dcr.ClientConfigurationStore
	dcr.ReplayStore
}

// racing is a store in which another update wins the first races.
type racing struct {
	*memstore.Store
	losses int
}

func (r *racing) Update(ctx context.Context, client *dcr.Client) error {
	if r.losses--; r.losses >= 0 {
		return dcr.ErrConflict
	}
	return r.Store.Update(ctx, client)
}

// TestASignedRequestIsUsedOnce checks that the jti is used up right before the
// client is stored, and given back if nothing was stored.
func TestASignedRequestIsUsedOnce(t *testing.T) {
	once := func(v *dcr.SignedRequestVerifier) { v.Once = true }
	over := func(t *testing.T, s *software, store dcr.ClientConfigurationStore) {
		statements := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: signers()["RS256"].keys()}, Required: true}
		decode := dcr.SignedRequests(dcr.SignedRequestVerifier{Statements: statements, Now: clock, Once: true})
		s.handler = newHandler(t, store, dcr.Options{AllowAnonymous: true, Now: clock, OptionalClientID: true,
			Decoders: map[string]dcr.Decoder{joseType: decode}, Validator: dcr.DefaultValidator{Statements: statements}})
	}
	send := func(t *testing.T, s *software, method string, client object, jti string, status int) object {
		t.Helper()
		path, token, code := registerURL, "", dcr.Code("")
		if client != nil {
			path, token = registerURL+"?client_id="+client["client_id"].(string), client["registration_access_token"].(string)
		}
		if code = map[int]dcr.Code{400: dcr.InvalidClientMetadata, 503: dcr.TemporarilyUnavailable, 500: dcr.ServerError}[status]; status < 300 {
			code = ""
		}
		return answered(t, askAs(t, s.handler, joseType, method, path, token, s.sign(s.claims().with("jti", jti))), status, code)
	}
	t.Run("it registers, and cannot update afterwards", func(t *testing.T) {
		s := newSoftware(t, once)
		client := send(t, s, "POST", nil, "1", 201)
		send(t, s, "POST", nil, "1", 400)
		send(t, s, "PUT", client, "1", 400)
		send(t, s, "PUT", client, "2", 200)
		send(t, s, "PUT", client, "2", 400)
		stored(t, s.store, 1)
	})
	t.Run("a refused request costs nothing", func(t *testing.T) {
		s := newSoftware(t, once)
		bad := s.sign(s.claims().with("grant_types", []string{"password"}))
		answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", bad), 400, dcr.InvalidClientMetadata)
		send(t, s, "POST", nil, "request-1", 201)
	})
	t.Run("a request that a full store refused costs nothing", func(t *testing.T) {
		s := newSoftware(t, once)
		first := send(t, s, "POST", nil, "1", 201)
		s.store.Limit = 1
		send(t, s, "POST", nil, "2", 503)
		answered(t, ask(t, s.handler, "DELETE", registerURL+"?client_id="+first["client_id"].(string), first["registration_access_token"].(string), ""), 204, "")
		send(t, s, "POST", nil, "2", 201)
	})
	t.Run("an update that lost races costs once", func(t *testing.T) {
		s, store := newSoftware(t, once), &racing{Store: memstore.New()}
		over(t, s, store)
		client := send(t, s, "POST", nil, "1", 201)
		store.losses = 2
		send(t, s, "PUT", client, "2", 200)
		store.losses = 100
		send(t, s, "PUT", client, "3", 503)
		store.losses = 0
		send(t, s, "PUT", client, "3", 200)
		send(t, s, "PUT", client, "3", 400)
	})
	t.Run("so it does with a store that cannot forget", func(t *testing.T) {
		inside := &racing{Store: memstore.New()}
		s := newSoftware(t, once)
		over(t, s, forgetful{inside, inside})
		client := send(t, s, "POST", nil, "1", 201)
		inside.losses = 2
		send(t, s, "PUT", client, "2", 200)
		send(t, s, "PUT", client, "2", 400)
	})
	t.Run("a store that cannot remember is a fault of the server", func(t *testing.T) {
		s := newSoftware(t, once)
		over(t, s, plainStore{memstore.New()})
		send(t, s, "POST", nil, "1", 500)
	})
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
		v.Audience, v.IssuerClaim = []string{"bank"}, "software_id"
	})
	statement := signers()["RS256"].sign(stated().with("software_jwks_endpoint", keys.URL, "software_jwks", object{"keys": []any{}}))
	for name, wrong := range map[string]any{"exp": noon.Unix() - 61, "iat": noon.Unix() + 61, "aud": "other", "iss": "lending"} {
		claims := s.claims().with("software_statement", statement, name, wrong)
		answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", party.sign(claims)), 400, dcr.InvalidClientMetadata)
	}
	if fetches != 0 {
		t.Errorf("for requests that any signature could not save, the keys were fetched %d times", fetches)
	}
	for range 3 {
		answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", party.sign(s.claims().with("software_statement", statement))), 201, "")
	}
	if fetches != 1 {
		t.Errorf("the keys were fetched %d times", fetches)
	}
	for _, absent := range []any{json.RawMessage("null"), ""} { // which some directories write
		statement := signers()["RS256"].sign(s.statement().with("software_jwks_endpoint", absent))
		answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", s.sign(s.claims().with("software_statement", statement))), 201, "")
	}
	fixed := newSoftware(t, func(v *dcr.SignedRequestVerifier) { v.Keys = party.keys() })
	answered(t, askAs(t, fixed.handler, joseType, "POST", registerURL, "", party.sign(fixed.claims())), 201, "")
	down := newSoftware(t, func(v *dcr.SignedRequestVerifier) {
		v.MaxAge, v.Skew, v.Replay = time.Minute, -1, brokenReplays{}
	})
	answered(t, askAs(t, down.handler, joseType, "POST", registerURL, "", down.sign(down.claims())), 503, dcr.TemporarilyUnavailable)
}

// The jti of one software is not that of another, even if the statements name neither.
func TestTheRequestsOfUnnamedSoftware(t *testing.T) {
	s := newSoftware(t, func(v *dcr.SignedRequestVerifier) { v.Once = true })
	for _, name := range []string{"One", "Other"} {
		statement := signers()["RS256"].sign(s.statement().with("software_id", nil, "jti", nil, "client_name", name))
		request := s.sign(s.claims().with("software_statement", statement))
		answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", request), 201, "")
		answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", request), 400, dcr.InvalidClientMetadata)
	}
}

// A jti is remembered as long as its request is valid, and no longer.
func TestHowLongASignedRequestIsRemembered(t *testing.T) {
	for _, c := range []struct {
		sentence string
		claims   object
		want     time.Duration // after noon
	}{
		{"until its exp", object{}, 6 * time.Minute},
		{"without one, as long as MaxAge lets it be used", object{"exp": nil}, 11 * time.Minute},
	} {
		var until time.Time
		s := newSoftware(t, func(v *dcr.SignedRequestVerifier) {
			v.RequiredClaims, v.MaxAge, v.Replay = []string{"iat"}, 10*time.Minute, remembering(func(end time.Time) { until = end })
		})
		answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", s.sign(object{}.merged(s.claims(), c.claims))), 201, "")
		if got := until.Sub(noon); got != c.want {
			t.Errorf("%s: %v, want %v", c.sentence, got, c.want)
		}
	}
}

// remembering is told how long a value is remembered.
type remembering func(until time.Time)

func (r remembering) Remember(_ context.Context, _ string, until, _ time.Time) (bool, error) {
	r(until)
	return true, nil
}

// brokenReplays cannot remember.
type brokenReplays struct{}

func (brokenReplays) Remember(context.Context, string, time.Time, time.Time) (bool, error) {
	return false, errors.New("no connection to 10.0.0.5")
}

func TestDecodersAreChecked(t *testing.T) {
	for _, decoders := range []map[string]dcr.Decoder{
		{"application/json": nil}, {"Application/JSON": dcr.PlainJSON}, {"": dcr.PlainJSON}, {"application/json; charset=utf-8": dcr.PlainJSON},
	} {
		if _, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: "https://id.example.com/", Decoders: decoders}); err == nil || !strings.Contains(err.Error(), "Decoders") {
			t.Errorf("%v was accepted: %v", decoders, err)
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

// TestAStatementInsideIsVerifiedOnce checks that the step accepts a signature
// that the Decoder has verified, as long as the statement, the verifier and the
// keys of the issuer are still the same.
func TestAStatementInsideIsVerifiedOnce(t *testing.T) {
	good, other := signers()["RS256"], newSigner(signers()["RS256"].kid)
	for _, test := range []struct {
		sentence string
		keys     func(asked int) *signer                     // of the issuer, for each time that they are asked for
		meddle   func(s *software, decoded *dcr.DecodedBody) // by the host, after the Decoder
		status   int
	}{
		{"the same statement, verifier and keys", func(int) *signer { return good }, nil, 201},
		{"the issuer's keys changed in between", func(asked int) *signer { return map[bool]*signer{true: good, false: other}[asked == 1] }, nil, 400},
		{"the host's decoder inserted another statement", func(int) *signer { return good }, func(s *software, decoded *dcr.DecodedBody) {
			was := s.claims()["software_statement"].(string)
			forged := other.sign(s.statement())
			decoded.JSON = []byte(strings.Replace(string(decoded.JSON), was, forged, 1))
		}, 400},
		{"the host's decoder made its own body", func(int) *signer { return good }, func(s *software, decoded *dcr.DecodedBody) {
			*decoded = dcr.DecodedBody{JSON: decoded.JSON, Signer: decoded.Signer}
		}, 201},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			asked := 0
			statements := &dcr.StatementVerifier{Required: true, Issuers: map[string]dcr.KeySource{directory: func(ctx context.Context, kid string) ([]byte, error) {
				asked++
				return test.keys(asked).keys()(ctx, kid)
			}}, Algorithms: []string{"RS256", "ES256"}}
			s := newSoftware(t, nil)
			decode := dcr.SignedRequests(dcr.SignedRequestVerifier{Statements: statements, Now: clock})
			s.handler, s.store = trusting(t, statements, func(_ *dcr.DefaultValidator, o *dcr.Options) {
				o.Decoders = map[string]dcr.Decoder{joseType: func(ctx context.Context, r *http.Request, body []byte) (dcr.DecodedBody, error) {
					decoded, err := decode(ctx, r, body)
					if err == nil && test.meddle != nil {
						test.meddle(s, &decoded)
					}
					return decoded, err
				}}
			})
			code := dcr.Code("")
			if test.status == 400 {
				code = dcr.InvalidSoftwareStatement
			}
			answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", s.sign(s.claims())), test.status, code)
			if asked != 2 {
				t.Errorf("the keys were asked for %d times", asked)
			}
		})
	}
	t.Run("another verifier judges for itself", func(t *testing.T) {
		strict := &dcr.StatementVerifier{Required: true, Issuers: map[string]dcr.KeySource{directory: other.keys()}, Algorithms: []string{"RS256", "ES256"}}
		s := newSoftware(t, nil)
		decode := dcr.SignedRequests(dcr.SignedRequestVerifier{Now: clock, Statements: &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: good.keys()}}})
		s.handler, _ = trusting(t, strict, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Decoders = map[string]dcr.Decoder{joseType: decode} })
		answered(t, askAs(t, s.handler, joseType, "POST", registerURL, "", s.sign(s.claims())), 400, dcr.InvalidSoftwareStatement)
	})
}

// A host may read the next body into the same memory.
func TestDecodedRequestKeepsNothingOfTheBody(t *testing.T) {
	s := &software{signer: newSigner("tpp")}
	statements := &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: signers()["RS256"].keys()}}
	decode := dcr.SignedRequests(dcr.SignedRequestVerifier{Statements: statements, Now: clock})
	body := []byte(s.sign(s.claims()))
	decoded, err := decode(t.Context(), nil, body)
	if err != nil {
		t.Fatal(err)
	}
	before := string(decoded.JSON)
	clear(body)
	if string(decoded.JSON) != before || !strings.Contains(before, `"client_name":"Plain"`) {
		t.Errorf("%s became %s", before, decoded.JSON)
	}
	if want := `["` + directory + `","payments"]`; decoded.Signer != want {
		t.Errorf("signed by %s, want %s", decoded.Signer, want)
	}
}

package spec_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dynreg/dcr"
)

// authorizationServer serves the discovery document and the keys of an issuer,
// which a test can rotate.
type authorizationServer struct {
	*httptest.Server
	keys     atomic.Pointer[[]byte]
	down     atomic.Bool
	fetches  atomic.Int64 // of the keys
	document func(issuer string) string
}

// newAuthorizationServer serves its discovery document at the given path.
func newAuthorizationServer(t testing.TB, discovery string, parties ...*signer) *authorizationServer {
	t.Helper()
	s := &authorizationServer{document: func(issuer string) string { return object{"issuer": issuer, "jwks_uri": issuer + "/jwks"}.String() }}
	s.rotate(parties...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == discovery:
			fmt.Fprint(w, s.document(s.URL+strings.TrimPrefix(strings.TrimPrefix(discovery, "/.well-known/oauth-authorization-server"), "/.well-known/openid-configuration")))
		case strings.HasSuffix(r.URL.Path, "/jwks"):
			s.fetches.Add(1)
			w.Write(*s.keys.Load())
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *authorizationServer) rotate(parties ...*signer) {
	keys := jwks(parties...)
	s.keys.Store(&keys)
}

// fetched checks how often the keys were fetched.
func (s *authorizationServer) fetched(t testing.TB, want int64) {
	t.Helper()
	if got := s.fetches.Load(); got != want {
		t.Errorf("the keys were fetched %d times, want %d", got, want)
	}
}

func TestKeysAreDiscovered(t *testing.T) {
	party := newSigner("a")
	for _, test := range []struct {
		sentence, discovery, issuer string
		document                    func(issuer string) string
		status                      int
	}{
		{"by RFC 8414", "/.well-known/oauth-authorization-server", "", nil, 201},
		{"by OpenID Connect", "/.well-known/openid-configuration", "", nil, 201},
		{"by RFC 8414, for an issuer with a path", "/.well-known/oauth-authorization-server/tenant/7", "/tenant/7", nil, 201},
		{"by OpenID Connect, for an issuer with a path", "/tenant/7/.well-known/openid-configuration", "/tenant/7",
			func(issuer string) string {
				base := strings.SplitAfter(issuer, ":")
				host := base[0] + base[1] + strings.SplitN(base[2], "/", 2)[0]
				return object{"issuer": host + "/tenant/7", "jwks_uri": host + "/jwks"}.String()
			}, 201},
		{"nowhere", "/nowhere", "", nil, 503},
		{"with another issuer", "/.well-known/oauth-authorization-server", "",
			func(issuer string) string {
				return object{"issuer": issuer + "/", "jwks_uri": issuer + "/jwks"}.String()
			}, 503},
		{"without an issuer", "/.well-known/oauth-authorization-server", "",
			func(issuer string) string { return object{"jwks_uri": issuer + "/jwks"}.String() }, 503},
		{"without keys", "/.well-known/oauth-authorization-server", "",
			func(issuer string) string { return object{"issuer": issuer}.String() }, 503},
		{"with keys over plain http", "/.well-known/oauth-authorization-server", "",
			func(issuer string) string {
				return object{"issuer": issuer, "jwks_uri": "http://keys.example/jwks"}.String()
			}, 503},
		{"as a page for people", "/.well-known/openid-configuration", "", func(string) string { return "<html>" }, 503},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			server := newAuthorizationServer(t, test.discovery, party)
			if test.document != nil {
				server.document = test.document
			}
			verifier := tokenVerifier(party)
			verifier.Keys, verifier.Issuer = nil, server.URL+test.issuer
			token := party.grant(granted().with("iss", verifier.Issuer))
			if answer := ask(t, guarded(t, verifier), "POST", registerURL, token, plainBody); answer.status != test.status {
				t.Errorf("got %d %s", answer.status, answer.body)
			}
			if err := verifier.Ready(t.Context()); (err == nil) != (test.status == 201) {
				t.Errorf("ready: %v", err)
			}
		})
	}
}

func TestRotationIsPickedUp(t *testing.T) {
	old, fresh, latest := newSigner("old"), newSigner("fresh"), newSigner("latest")
	tokenOf := func(server *authorizationServer, party *signer) (token, body string) {
		return party.grant(granted().with("iss", server.URL)), plainBody
	}
	statementOf := func(server *authorizationServer, party *signer) (token, body string) {
		return "", fmt.Sprintf(statedBody, party.sign(stated().with("iss", server.URL, "iat", noon.Unix())))
	}
	for _, test := range []struct {
		sentence string
		handler  func(server *authorizationServer) http.Handler
		with     func(server *authorizationServer, party *signer) (token, body string)
		refused  int
	}{
		{"of access tokens", func(server *authorizationServer) http.Handler {
			verifier := tokenVerifier(old)
			verifier.Keys, verifier.Issuer = nil, server.URL
			return guarded(t, verifier)
		}, tokenOf, 401},
		{"of access tokens, at a key set URL", func(server *authorizationServer) http.Handler {
			verifier := tokenVerifier(old)
			verifier.Keys, verifier.Issuer, verifier.JWKSURI = nil, server.URL, server.URL+"/jwks"
			verifier.HTTPClient = server.Client()
			return guarded(t, verifier)
		}, tokenOf, 401},
		{"of statements", func(server *authorizationServer) http.Handler {
			handler, _ := trusting(t, &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{server.URL: dcr.JWKSURL(server.URL+"/jwks", nil)}})
			return handler
		}, statementOf, 400},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			server := newAuthorizationServer(t, "/.well-known/oauth-authorization-server", old)
			handler := test.handler(server)
			statuses := func(party *signer, times int) (all [600]int) {
				token, body := test.with(server, party)
				for status, count := range rush(t, handler, times, token, body) {
					all[status] = count
				}
				return all
			}
			if got := statuses(old, 50); got[201] != 50 {
				t.Errorf("fifty at once, with an empty cache: %d were accepted", got[201])
			}
			server.fetched(t, 1)
			server.rotate(old, fresh)
			if got := statuses(fresh, 50); got[201] != 50 {
				t.Errorf("fifty at once, after a rotation: %d were accepted", got[201])
			}
			server.fetched(t, 2)
			if got := statuses(old, 1); got[201] != 1 {
				t.Error("the old key is still published, and was forgotten")
			}
			server.rotate(latest)
			if got := statuses(latest, 1); got[201] != 1 {
				t.Error("a second rotation was not picked up")
			}
			server.fetched(t, 3)
			var strangers sync.WaitGroup
			for i := range 100 {
				strangers.Go(func() {
					token, body := test.with(server, newSigner(fmt.Sprint("made up ", i)))
					if answer := ask(t, handler, "POST", registerURL, token, body); answer.status != test.refused {
						t.Errorf("a stranger got %d", answer.status)
					}
				})
			}
			strangers.Wait()
			server.fetched(t, 4)
			if got := statuses(old, 1); got[test.refused] != 1 {
				t.Error("a key that was withdrawn still counts")
			}
			server.down.Store(true)
			if got := statuses(latest, 1); got[201] != 1 {
				t.Error("while the server is down, its last keys are not used")
			}
		})
	}
}

func TestKeysAreNotWhatTheySeem(t *testing.T) {
	for _, url := range []string{"", "http://id.example.com/jwks", "ftp://id.example.com/jwks", "id.example.com/jwks", "https://id.example.com/jwks#a"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("JWKSURL took %q", url)
				}
			}()
			dcr.JWKSURL(url, nil)
		}()
	}
	t.Run("a source may change what it returned", func(t *testing.T) {
		old, fresh := newSigner("a"), newSigner("a")
		text := jwks(old)
		handler, _ := trusting(t, &dcr.StatementVerifier{Issuers: map[string]dcr.KeySource{directory: dcr.StaticKeys(text)}})
		registerWith(t, handler, object{"software_statement": old.sign(stated())})
		copy(text, jwks(fresh))
		registerWith(t, handler, object{"software_statement": fresh.sign(stated())})
		answered(t, ask(t, handler, "POST", registerURL, "", fmt.Sprintf(statedBody, old.sign(stated()))), 400, dcr.InvalidSoftwareStatement)
	})
}

package spec_test

// RFC 7662: finding callers by introspection.

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// introspecting is the introspection endpoint of a server.
type introspecting struct {
	*httptest.Server
	status int
	answer string
	asked  int
	last   *http.Request
}

func newIntrospecting(t *testing.T) *introspecting {
	s := &introspecting{status: 200}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked++
		r.ParseForm()
		s.last = r
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", s.URL+"/elsewhere")
		w.WriteHeader(s.status)
		fmt.Fprint(w, s.answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *introspecting) verifier() *callerauth.IntrospectionVerifier {
	return &callerauth.IntrospectionVerifier{Endpoint: s.URL, ClientID: "app:1", ClientSecret: "s e%cret", Now: clock}
}

// registering returns a handler for the callers that the verifier admits.
func registering(t *testing.T, v *callerauth.IntrospectionVerifier, who *dcr.Caller) http.Handler {
	return newHandler(t, memstore.New(), dcr.Options{Caller: v.Authenticate, NewClientID: func(ctx context.Context, reg *dcr.Registration) (string, error) {
		*who = *reg.Caller
		return dcr.RandomClientID(ctx, reg)
	}})
}

func TestIntrospection(t *testing.T) {
	const active = `{"active":true,"client_id":"portal","scope":"client:register x","sub":"alice","iss":"https://id.example.com","aud":["a","b"],"exp":1777896600}`
	for _, c := range []struct {
		sentence string
		http     int
		answer   string
		change   func(*callerauth.IntrospectionVerifier)
		status   int
		code     dcr.Code
	}{
		{"an active token registers", 200, active, nil, 201, ""},
		{"so does one with no other members", 200, `{"active":true}`, nil, 201, ""},
		{"null counts as absent", 200, `{"active":true,"scope":null,"exp":null,"aud":null}`, nil, 201, ""},
		{"an inactive one does not", 200, `{"active":false}`, nil, 401, dcr.InvalidToken},
		{"nor does one that has expired", 200, strings.Replace(active, "1777896600", "1777892400", 1), nil, 401, dcr.InvalidToken},
		{"nor does one that is not valid yet", 200, `{"active":true,"nbf":1777899600}`, nil, 401, dcr.InvalidToken},
		{"nor does a refresh token, if the server says what it is", 200, `{"active":true,"token_use":"refresh_token"}`, nil, 401, dcr.InvalidToken},
		{"the issuer must be the one that is set", 200, active, func(v *callerauth.IntrospectionVerifier) { v.Issuer = "https://id.example.com/" }, 401, dcr.InvalidToken},
		{"if the answer has one", 200, `{"active":true}`, func(v *callerauth.IntrospectionVerifier) { v.Issuer = issuer }, 201, ""},
		{"the audience must include the one that is set", 200, active, func(v *callerauth.IntrospectionVerifier) { v.Audience = "c" }, 401, dcr.InvalidToken},
		{"among others", 200, active, func(v *callerauth.IntrospectionVerifier) { v.Audience = "b" }, 201, ""},
		{"and may be a string", 200, `{"active":true,"aud":"b"}`, func(v *callerauth.IntrospectionVerifier) { v.Audience = "b" }, 201, ""},
		{"but not absent", 200, `{"active":true}`, func(v *callerauth.IntrospectionVerifier) { v.Audience = "b" }, 401, dcr.InvalidToken},
		{"every scope is needed", 200, active, func(v *callerauth.IntrospectionVerifier) { v.Scopes = []string{"x", "y"} }, 403, dcr.InsufficientScope},
		{"and all are there", 200, active, func(v *callerauth.IntrospectionVerifier) { v.Scopes = []string{"x", "client:register"} }, 201, ""},
		{"a server that refuses this one is an outage", 401, `{"error":"invalid_client"}`, nil, 503, dcr.TemporarilyUnavailable},
		{"so is one that fails", 500, active, nil, 503, dcr.TemporarilyUnavailable},
		{"one that redirects", 307, active, nil, 503, dcr.TemporarilyUnavailable},
		{"one that answers with a page", 200, `<html>`, nil, 503, dcr.TemporarilyUnavailable},
		{"an answer without active", 200, `{"scope":"x"}`, nil, 503, dcr.TemporarilyUnavailable},
		{"an answer whose active is a string", 200, `{"active":"true"}`, nil, 503, dcr.TemporarilyUnavailable},
		{"an answer that has active twice", 200, `{"active":false,"active":true}`, nil, 503, dcr.TemporarilyUnavailable},
		{"an endless answer", 200, `{"active":true,"x":"` + strings.Repeat("x", 70_000) + `"}`, nil, 503, dcr.TemporarilyUnavailable},
		{"an endpoint that nobody serves", 200, active, func(v *callerauth.IntrospectionVerifier) { v.Endpoint = "http://127.0.0.1:1" }, 503, dcr.TemporarilyUnavailable},
		{"no endpoint is the host's fault", 200, active, func(v *callerauth.IntrospectionVerifier) { v.Endpoint = "" }, 500, dcr.ServerError},
		{"so is one with http", 200, active, func(v *callerauth.IntrospectionVerifier) { v.Endpoint = "http://id.example.com/introspect" }, 500, dcr.ServerError},
		{"so are missing credentials", 200, active, func(v *callerauth.IntrospectionVerifier) { v.ClientSecret = "" }, 500, dcr.ServerError},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			s := newIntrospecting(t)
			s.status, s.answer = c.http, c.answer
			v := s.verifier()
			if c.change != nil {
				c.change(v)
			}
			a := ask(t, registering(t, v, new(dcr.Caller)), "POST", registerURL, "opaque", plainBody)
			answered(t, a, c.status, c.code)
			if (a.header.Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
			}
			if s.asked > 1 {
				t.Errorf("the endpoint was asked %d times", s.asked)
			}
		})
	}
}

func TestIntrospectionAsks(t *testing.T) {
	s := newIntrospecting(t)
	s.answer = `{"active":true,"client_id":"portal","scope":"client:register x","iss":"https://id.example.com","org":"a"}`
	var who dcr.Caller
	handler := registering(t, s.verifier(), &who)
	answered(t, ask(t, handler, "POST", registerURL, "opaque", plainBody), 201, "")
	if who.Subject != "portal" || who.ClientID != "portal" || who.Issuer != issuer || len(who.Scopes) != 2 || who.Claims["org"] != "a" {
		t.Errorf("the caller is %+v", who)
	}
	if id, secret, _ := s.last.BasicAuth(); id != "app%3A1" || secret != "s+e%25cret" || s.last.PostForm.Get("token") != "opaque" || s.last.PostForm.Get("token_type_hint") != "access_token" {
		t.Errorf("the endpoint was asked as %q %q: %v", id, secret, s.last.PostForm)
	}
	for _, token := range []string{"", "dcr_iat_1"} {
		ask(t, handler, "POST", registerURL, token, plainBody)
	}
	answered(t, ask(t, handler, "POST", registerURL, strings.Repeat("x", 20_000), plainBody), 401, dcr.InvalidToken)
	if s.asked != 1 {
		t.Errorf("the endpoint was asked about something that cannot be an access token")
	}
	v := s.verifier()
	v.ClientID, v.ClientSecret, v.Authorize = "", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer of-this-server") }
	answered(t, ask(t, registering(t, v, &who), "POST", registerURL, "opaque", plainBody), 201, "")
	if got := s.last.Header.Get("Authorization"); got != "Bearer of-this-server" {
		t.Errorf("authorized as %q", got)
	}
}

// silence is a connection on which nobody answers.
type silence struct{}

func (silence) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestIntrospectionWaits(t *testing.T) {
	for _, c := range []struct {
		sentence string
		timeout  time.Duration
		waits    time.Duration
	}{
		{"a client of the host without a timeout waits for 5 seconds", 0, 5 * time.Second},
		{"a client of the host with one waits for that", 20 * time.Second, 20 * time.Second},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &callerauth.IntrospectionVerifier{
					Endpoint: "https://id.example.com/introspect", ClientID: "a", ClientSecret: "b", HTTPClient: &http.Client{Transport: silence{}, Timeout: c.timeout},
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				r := httptest.NewRequestWithContext(ctx, "POST", registerURL, strings.NewReader(plainBody))
				r.Header.Set("Authorization", "Bearer opaque")
				w, began := httptest.NewRecorder(), time.Now()
				registering(t, v, new(dcr.Caller)).ServeHTTP(w, r)
				if took := time.Since(began); w.Code != 503 || took != c.waits {
					t.Errorf("answered with %d after %v, want 503 after %v", w.Code, took, c.waits)
				}
			})
		})
	}
}

func TestIntrospectionRemembers(t *testing.T) {
	s, now := newIntrospecting(t), noon
	v := s.verifier()
	v.Now, v.CacheFor = func() time.Time { return now }, time.Minute
	handler := registering(t, v, new(dcr.Caller))
	expect := func(sentence, token string, after time.Duration, asked, status int) {
		t.Helper()
		now = noon.Add(after)
		if a := ask(t, handler, "POST", registerURL, token, plainBody); a.status != status || s.asked != asked {
			t.Errorf("%s: %d after %d calls, want %d after %d", sentence, a.status, s.asked, status, asked)
		}
	}
	s.answer = fmt.Sprintf(`{"active":true,"exp":%d}`, noon.Add(90*time.Second).Unix())
	expect("the first time the server is asked", "a", 0, 1, 201)
	expect("then believed", "a", 59*time.Second, 1, 201)
	expect("once for each token", "b", 59*time.Second, 2, 201)
	expect("the answer is kept for this long", "a", time.Minute, 3, 201)
	expect("at most until the token expires", "a", 89*time.Second, 3, 201)
	expect("and no longer", "a", 90*time.Second, 4, 201)
	s.answer = `{"active":false}`
	expect("a refusal", "c", 90*time.Second, 5, 401)
	expect("an inactive token is not remembered", "c", 90*time.Second, 6, 401)
	s.answer, v.Scopes = `{"active":true}`, []string{"x"}
	expect("a token that lacks a scope", "d", 90*time.Second, 7, 403)
	for i := range 1500 {
		ask(t, handler, "POST", registerURL, fmt.Sprint("flood", i), plainBody)
	}
	expect("a thousand others displace it", "d", 90*time.Second, 1508, 403)
	expect("a clock that is set back makes no answer last longer", "d", time.Second, 1509, 403)
	v.ClientID, v.ClientSecret, v.Authorize = "", "", func(*http.Request) { now = now.Add(30 * time.Second) } // an endpoint that is slow
	expect("the first time the server is asked", "e", 2*time.Minute, 1510, 403)
	expect("then believed", "e", 2*time.Minute+59*time.Second, 1510, 403)
	expect("for as long since it was asked, not since it answered", "e", 3*time.Minute, 1511, 403)
}

// The reason of a refusal is logged once a minute, with its number.
func TestWhyATokenIsRefusedIsLogged(t *testing.T) {
	s := newIntrospecting(t)
	s.answer = `{"active":false}`
	scoped := dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"openid"}}} // so that NewHandler has nothing to warn about
	for how, wrap := range map[string]func(dcr.Authenticator, *slog.Logger) http.Handler{
		"as Options.Caller": func(a dcr.Authenticator, logger *slog.Logger) http.Handler {
			return newHandler(t, memstore.New(), dcr.Options{Validator: scoped, Caller: a, Logger: logger})
		},
		"by Require": func(a dcr.Authenticator, logger *slog.Logger) http.Handler {
			return dcr.Require(a)(newHandler(t, memstore.New(), dcr.Options{Validator: scoped, Logger: logger}))
		},
	} {
		logger, lines := quiet()
		handler := wrap(s.verifier().Authenticate, logger)
		lines.Reset() // drop the warnings of NewHandler
		for range 100 {
			ask(t, handler, "POST", registerURL, "opaque", plainBody)
		}
		ask(t, handler, "POST", registerURL, "", plainBody)
		if log := lines.String(); strings.Count(log, "rule=token.inactive") != 1 || strings.Count(log, "\n") != 2 || !strings.Contains(log, "level=INFO") || strings.Contains(log, "opaque") {
			t.Errorf("%s: %s", how, log)
		}
	}
}

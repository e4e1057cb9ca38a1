package callerauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

const token = "sixteen bytes or more"

func TestStaticToken(t *testing.T) {
	authenticate := callerauth.StaticToken(token, dcr.Caller{Subject: "pipeline"})
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: "https://id.example.com/connect/dcr", Caller: authenticate})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		sentence string
		headers  []string
		query    string
		status   int
	}{
		{"the token is accepted", []string{"Bearer " + token}, "", 201},
		{"whatever the case of the scheme", []string{"bearer " + token}, "", 201},
		{"no token is not", nil, "", 401},
		{"an empty one is not", []string{"Bearer "}, "", 401},
		{"a part of it is not", []string{"Bearer " + token[:16]}, "", 401},
		{"a longer one is not", []string{"Bearer " + token + "x"}, "", 401},
		{"one in another case is not", []string{"Bearer " + strings.ToUpper(token)}, "", 401},
		{"another scheme is not", []string{"Basic " + token}, "", 401},
		{"one in the query is not", nil, "?access_token=" + token[:7], 401},
		{"one that is sent twice is not", []string{"Bearer " + token, "Bearer " + token}, "", 400},
		{"one that is also in the query is not", []string{"Bearer " + token}, "?access_token=x", 400},
		{"one that is also in the query, whose name is encoded, is not", []string{"Bearer " + token}, "?a=b&access%5Ftoken=x", 400},
		{"one that is also in a malformed query is not", []string{"Bearer " + token}, "?a=b;access_token=x", 400},
		{"a parameter whose name only ends like it does not matter", []string{"Bearer " + token}, "?no_access_token=x", 201},
		{"nor does one whose value is like it", []string{"Bearer " + token}, "?next=access_token%3D", 201},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/connect/dcr"+test.query, strings.NewReader(`{"redirect_uris":["https://app.example.com/callback"]}`))
			r.Header["Authorization"] = test.headers
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != test.status {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// ask asks an Authenticator about a request with a bearer token.
func ask(t *testing.T, authenticate dcr.Authenticator, token string) *dcr.Caller {
	t.Helper()
	r := httptest.NewRequest("POST", "/connect/dcr", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	caller, err := authenticate(r)
	if err != nil {
		t.Error(err)
	}
	return caller
}

func TestTheCallerOfAStaticTokenIsACopy(t *testing.T) {
	authenticate := callerauth.StaticToken(token, dcr.Caller{Subject: "pipeline", Scopes: []string{"a"}, Claims: map[string]any{"team": "a"}})
	caller := ask(t, authenticate, token)
	caller.Subject, caller.Scopes[0], caller.Claims["team"] = "x", "x", "x"
	if again := ask(t, authenticate, token); again.Subject != "pipeline" || again.Scopes[0] != "a" || again.Claims["team"] != "a" {
		t.Errorf("the next caller is %+v", again)
	}
	if other := ask(t, authenticate, "another, unknown token"); other != nil {
		t.Errorf("another token is %+v", other)
	}
}

// quota lets a number of clients register.
type quota struct{ left int }

func (q *quota) Take(context.Context) error {
	if q.left--; q.left < 0 {
		return dcr.Errorf(dcr.AccessDenied, "the quota is used up")
	}
	return nil
}

func (q *quota) GiveBack(context.Context) error { q.left++; return nil }

func TestTheAllowanceOfAStaticToken(t *testing.T) {
	authenticate := callerauth.StaticToken(token, dcr.Caller{Subject: "pipeline", Allowance: &quota{left: 2}})
	renamed := func(r *http.Request) (*dcr.Caller, error) {
		caller, err := authenticate(r)
		if caller == nil {
			return nil, err
		}
		return &dcr.Caller{Subject: "t/" + caller.Subject}, nil
	}
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{Endpoint: "https://id.example.com/connect/dcr", Caller: renamed})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{201, 201, 403} {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["https://app.example.com/callback"]}`))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
	}
}

func TestStaticTokenWantsOneThatCannotBeGuessed(t *testing.T) {
	for _, short := range []dcr.Plaintext{"", "fifteen bytes.."} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes were accepted", len(short))
				}
			}()
			callerauth.StaticToken(short, dcr.Caller{})
		}()
	}
	callerauth.StaticToken("sixteen bytes...", dcr.Caller{})
}

package dcrtest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dynreg/dcr/dcrtest"
)

// answering is a server that always gives the same answer.
func answering(status int, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		w.Write([]byte(body))
	})
}

func TestClientSaysWhyNot(t *testing.T) {
	inspector := dcrtest.Clients()[11]
	const good = `{"client_id":"c","redirect_uris":["http://localhost:6274/oauth/callback"],"grant_types":["authorization_code"],"response_types":["code"],"token_endpoint_auth_method":"none"`
	for _, c := range []struct{ name, says, body string }{
		{"an answer that it can read", "", good + `}`},
		{"a missing redirect URI", "redirect_uris lacks", `{"client_id":"c","redirect_uris":[]}`},
		{"missing redirect_uris", "redirect_uris is not an array", `{"client_id":"c"}`},
		{"a missing grant type", "grant_types lacks authorization_code", strings.Replace(good, `"authorization_code"`, `"implicit"`, 1) + `}`},
		{"a method that it does not support", "private_key_jwt", strings.Replace(good, `"none"`, `"private_key_jwt"`, 1) + `}`},
		{"a secret for a public client", "client_secret is present", good + `,"client_secret":"s","client_secret_expires_at":0}`},
		{"no secret", "client_secret is missing", strings.Replace(good, `"none"`, `"client_secret_post"`, 1) + `}`},
		{"null", "grant_types is not an array", strings.Replace(good, `["authorization_code"]`, `null`, 1) + `}`},
		{"an empty client_uri", "client_uri is not a URL", good + `,"client_uri":""}`},
		{"a script", "a browser would run", strings.Replace(good, `"http://localhost`, `"javascript:x","http://localhost`, 1) + `}`},
		{"an empty secret", "client_secret is empty or not a string", good + `,"client_secret":""}`},
		{"a secret without an expiry", "client_secret_expires_at", good + `,"client_secret":"s"}`},
		{"a fraction", "MCP Go SDK", good + `,"client_id_issued_at":1.5}`},
		{"keys, which the Go SDK cannot read", "MCP Go SDK", good + `,"jwks":{"keys":[]}}`},
		{"not an object", "not a JSON object", `[]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := inspector.Register(answering(http.StatusCreated, "application/json", c.body))
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
		})
	}
	refused := answering(http.StatusBadRequest, "application/json", `{"error":"invalid_redirect_uri","error_description":"no"}`)
	if err := inspector.Register(refused); err == nil || !strings.Contains(err.Error(), "could not register: status 400, invalid_redirect_uri: no") {
		t.Errorf("got %v", err)
	}
}

func TestClients(t *testing.T) {
	presets := map[string]int{}
	names := map[string]bool{}
	for _, client := range dcrtest.Clients() {
		presets[client.Preset]++
		if names[client.Name] || len(client.Request) == 0 || len(client.Methods) == 0 || len(client.Grants) == 0 {
			t.Errorf("%s is there twice, or lacks a member", client.Name)
		}
		names[client.Name] = true
		client.Request[0] = 'x' // each call returns a copy
	}
	if presets["MCP"] != 15 || presets["Duende"] != 3 || presets["Matrix"] != 1 {
		t.Errorf("got %v", presets)
	}
	if dcrtest.Clients()[0].Request[0] != '{' {
		t.Error("the requests are shared")
	}
}

func TestAt(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("POST /connect/dcr", answering(http.StatusCreated, "application/json", `{}`))
	w := httptest.NewRecorder()
	dcrtest.At("/connect/dcr", mux).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusCreated {
		t.Errorf("got %d", w.Code)
	}
}

func TestReadOpenIDFoundation(t *testing.T) {
	for body, valid := range map[string]bool{
		`{"client_id":"c"}`: true,
		`{"client_id":"c","registration_access_token":"t","registration_client_uri":"https://id.example.com/c"}`: true,
		`{"client_id":"c","registration_access_token":"t","registration_client_uri":"http://id.example.com/c"}`:  false,
		`{"client_id":"c","registration_access_token":"t"}`:                                                      false,
		`{"client_id":"c","client_secret":"s"}`:                                                                  false,
		`{"client_id":"c","client_secret":"s","client_secret_expires_at":0}`:                                     true,
		`{"client_id":"c","error":"none"}`:                                                                       false,
		`{"client_id":"c","initiate_login_uri":"https://elsewhere.example/login"}`:                               false,
		`{}`: false,
	} {
		answer := dcrtest.Answer{Status: http.StatusCreated, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
		if strings.Contains(body, "initiate") {
			answer.Request = []byte(`{"initiate_login_uri":"https://rp.example.com/login"}`)
		}
		if err := dcrtest.ReadOpenIDFoundation(answer); (err == nil) != valid {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestReadOpenBankingUK(t *testing.T) {
	const good = `{"client_id":"c","redirect_uris":["https://tpp.example.com/cb"],"token_endpoint_auth_method":"tls_client_auth",
		"tls_client_auth_subject_dn":"CN=tpp","grant_types":["authorization_code"],"response_types":["code id_token"],"application_type":"web","scope":"openid",
		"software_statement":"a.b.c","id_token_signed_response_alg":"PS256","request_object_signing_alg":"PS256","client_id_issued_at":1}`
	for _, c := range []struct{ name, old, new string }{
		{"", "", ""},
		{"a long client_id", `"client_id":"c"`, `"client_id":"` + strings.Repeat("c", 37) + `"`},
		{"localhost", "tpp.example.com/cb", "localhost/cb"},
		{"a fragment", "example.com/cb", "example.com/cb#x"},
		{"implicit", `"authorization_code"`, `"implicit"`},
		{"a response type", "code id_token", "id_token"},
		{"no statement", `"software_statement":"a.b.c",`, ``},
		{"no scope", `"scope":"openid",`, ``},
		{"a method", "tls_client_auth\"", "none\""},
		{"no distinguished name", `"tls_client_auth_subject_dn":"CN=tpp",`, ``},
		{"a fraction", `"client_id_issued_at":1`, `"client_id_issued_at":1.5`},
	} {
		answer := dcrtest.Answer{Status: http.StatusOK, Body: []byte(strings.Replace(good, c.old, c.new, 1))}
		if err := dcrtest.ReadOpenBankingUK(answer); (err == nil) != (c.name == "") {
			t.Errorf("%q: %v", c.name, err)
		}
	}
}

func TestRefusal(t *testing.T) {
	plain := http.Header{"Content-Type": {"application/json"}}
	const body = `{"error":"invalid_redirect_uri","error_description":"no"}`
	for _, c := range []struct {
		name   string
		answer dcrtest.Answer
		valid  bool
	}{
		{"correct", dcrtest.Answer{Status: 400, Header: plain, Body: []byte(body)}, true},
		{"a success", dcrtest.Answer{Status: 201, Header: plain, Body: []byte(body)}, false},
		{"a fault of the server", dcrtest.Answer{Status: 500, Header: plain, Body: []byte(body)}, false},
		{"not as JSON", dcrtest.Answer{Status: 400, Header: http.Header{}, Body: []byte(body)}, false},
		{"a challenge", dcrtest.Answer{Status: 400, Header: http.Header{"Content-Type": {"application/json"}, "Www-Authenticate": {"Bearer"}}, Body: []byte(body)}, false},
		{"with a client", dcrtest.Answer{Status: 400, Header: plain, Body: []byte(`{"client_id":"c",` + body[1:])}, false},
		{"without a description", dcrtest.Answer{Status: 400, Header: plain, Body: []byte(`{"error":"invalid_redirect_uri"}`)}, false},
		{"in non-ASCII letters", dcrtest.Answer{Status: 400, Header: plain, Body: []byte(`{"error":"invalid_redirect_uri","error_description":"nö"}`)}, false},
	} {
		code, err := dcrtest.Refusal(c.answer)
		if (err == nil) != c.valid || c.valid && code != "invalid_redirect_uri" {
			t.Errorf("%s: %q, %v", c.name, code, err)
		}
	}
}

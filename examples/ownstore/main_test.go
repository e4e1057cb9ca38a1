package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

const token = "the host's token"

func TestRegister(t *testing.T) {
	for _, test := range []struct {
		sentence, token, body string
		status                int
		says                  string // part of the answer
	}{
		{"a client is registered", token, `{"client_name":"Mine","redirect_uris":["https://app.example.com/callback"]}`, 201, `"client_secret_expires_at":0`},
		{"a public client gets no secret", token, `{"redirect_uris":["https://app.example.com/callback"],"token_endpoint_auth_method":"none"}`, 201, `"token_endpoint_auth_method":"none"`},
		{"a stranger is refused", "", `{}`, 401, `"error":"invalid_token"`},
		{"a bad redirect is refused", token, `{"redirect_uris":["javascript:alert(1)"]}`, 400, `"error":"invalid_redirect_uri"`},
		{"invalid JSON is refused", token, `[`, 400, `"error":"invalid_client_metadata"`},
		{"a body that is too large is refused without a cause", token, strings.Repeat(" ", 65<<10), 400, `"error_description":"the body could not be read"`},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			s := &server{policy: dcr.DefaultValidator{}}
			host := httptest.NewServer(s.routes(token))
			defer host.Close()
			request, err := http.NewRequest(http.MethodPost, host.URL+"/register", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if test.token != "" {
				request.Header.Set("Authorization", "Bearer "+test.token)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			a := readAll(t, response)
			if response.StatusCode != test.status || !strings.Contains(a.text, test.says) || response.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s", response.StatusCode, a.text)
			}
			kept := make(map[any]app)
			s.apps.Range(func(id, value any) bool { kept[id] = value.(app); return true })
			if registered := test.status == 201; len(kept) > 0 != registered {
				t.Errorf("stored: %v", kept)
			}
			for id, kept := range kept {
				if id != a.ClientID || kept.owner != "admin" || len(kept.redirectURIs) != 1 || (kept.secretHash == "") != (a.ClientSecret == "") {
					t.Errorf("%s is %+v", id, kept)
				}
				if a.ClientSecret != "" && dcr.HashSecret(dcr.Plaintext(a.ClientSecret)).Value != kept.secretHash {
					t.Error("the stored hash is that of another secret")
				}
			}
		})
	}
}

// answer is what a client reads.
type answer struct {
	text         string
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
}

func readAll(t *testing.T, response *http.Response) (a answer) {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.text = string(text)
	return a
}

package main

import (
	"crypto/sha256"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dynreg/dcr/dcrtest"
)

// TestDocuments logs in with a client that publishes its metadata.
func TestDocuments(t *testing.T) {
	publisher := dcrtest.NewPublisher(t)
	id := publisher.Publish("/client", []byte(`{"client_name":"<b>App</b>","redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"none","scope":"openid"}`))
	p := start(t, "-db=memory:", "-documents="+publisher.Host(), "-fetch-allow=127.0.0.0/8", "-fetch-allow=::1/128", "-fetch-ca="+write(t, string(publisher.Certificate())))
	issuer := strings.TrimSuffix(p.endpoint, "/connect/dcr")
	discovery, err := send(http.MethodGet, issuer+"/.well-known/oauth-authorization-server", "", "")
	if err != nil || discovery.members["client_id_metadata_document_supported"] != true || discovery.members["authorization_response_iss_parameter_supported"] != true {
		t.Fatal(discovery, err)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	const verifier, redirect = "a-verifier-of-forty-three-characters-or-of-more", "http://127.0.0.1:4711/cb"
	digest := sha256.Sum256([]byte(verifier))
	request := url.Values{"client_id": {id}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"}, "code_challenge": {encode(digest[:])}, "code_challenge_method": {"S256"}}
	ask := func(method string) *http.Response {
		r, err := http.NewRequest(method, issuer+"/connect/authorize?"+request.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		return response
	}
	page, err := io.ReadAll(ask(http.MethodGet).Body)
	if text := string(page); err != nil || !strings.Contains(text, "localhost asks") || !strings.Contains(text, "&lt;b&gt;App") || !strings.Contains(text, "this computer") || !strings.Contains(text, "reviewed") {
		t.Fatalf("%s %v", page, err)
	}
	back, err := ask(http.MethodPost).Location()
	if err != nil || back.Query().Get("iss") != issuer || back.Query().Get("state") != "s" || !strings.HasPrefix(back.String(), redirect) {
		t.Fatal(back, err)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {id}, "redirect_uri": {redirect}, "code": {back.Query().Get("code")}, "code_verifier": {verifier}}
	for _, want := range []int{http.StatusOK, http.StatusBadRequest} { // a code can be used once
		response, err := http.PostForm(issuer+"/connect/token", form)
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != want {
			t.Errorf("exchange: %d, want %d", response.StatusCode, want)
		}
	}
	publisher.Publish("/other", []byte(`{"redirect_uris":["http://app.example.com/cb"]}`))
	request.Set("client_id", publisher.URL("/other"))
	if refused := ask(http.MethodGet); refused.StatusCode != http.StatusBadRequest || refused.Header.Get("Location") != "" {
		t.Errorf("a refused document: %d %v", refused.StatusCode, refused.Header)
	}
	publisher.Misbehave("/down", dcrtest.Fails)
	publisher.Publish("/down", []byte(`{"redirect_uris":["http://127.0.0.1/cb"]}`))
	request.Set("client_id", publisher.URL("/down"))
	if down := ask(http.MethodGet); down.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an unavailable document: %d", down.StatusCode)
	}
}

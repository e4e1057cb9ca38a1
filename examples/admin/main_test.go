package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr/memstore"
)

const password = "open sesame"

func newServer(t *testing.T) *httptest.Server {
	t.Helper()
	store := memstore.New()
	if err := fill(t.Context(), store, time.Now()); err != nil {
		t.Fatal(err)
	}
	mux, err := newMux("http://127.0.0.1", store, password)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestTheLogin(t *testing.T) {
	server := newServer(t)
	get := func(name, password string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+mounted, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(name, password)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(text)
	}
	if status, page := get("olga", "another"); status != 401 || strings.Contains(page, "Claude") {
		t.Errorf("with another password: status %d", status)
	}
	if status, _ := get("", password); status != 403 {
		t.Errorf("without a name: status %d", status)
	}
	res, err := http.Post(server.URL+"/connect/dcr", "application/json", strings.NewReader(`{"client_name":"Yours","redirect_uris":["https://app.example.com/callback"]}`))
	if err != nil || res.StatusCode != 201 {
		t.Fatalf("nobody can register: %v, error %v", res, err)
	}
	res.Body.Close()
	status, page := get("olga", password)
	if status != 200 || !strings.Contains(page, "Signed in as <bdi>olga</bdi>") || !strings.Contains(page, "<bdi>Yours</bdi>") || !strings.Contains(page, "<bdi>127.0.0.1</bdi>") {
		t.Errorf("status %d:\n%s", status, page)
	}
}

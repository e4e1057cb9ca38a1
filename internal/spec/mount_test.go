package spec_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func TestMounting(t *testing.T) {
	const pathForm = "https://id.example.com/connect/dcr/{client_id}"
	cases := []struct {
		sentence  string
		clientURI string
		pattern   string
		strip     string
		method    string
		path      string
		want      int
	}{
		{"the endpoint registers", "", "/connect/dcr", "", "POST", "/connect/dcr", 201},
		{"the endpoint may be mounted elsewhere, behind a proxy that rewrites the path", "", "/internal/register", "", "POST", "/internal/register", 201},
		{"the endpoint may be the only handler of a server", "", "/", "", "POST", "/", 201},
		{"the endpoint may be mounted behind a prefix", "", "/connect/", "/connect", "POST", "/connect/dcr", 201},
		{"a trailing slash registers nobody", "", "/connect/dcr/", "", "POST", "/connect/dcr/", 405},
		{"a trailing slash registers nobody behind a prefix", "", "/connect/dcr/", "/connect/dcr", "POST", "/connect/dcr/", 405},
		{"a trailing slash registers nobody if a proxy rewrites the path", "", "/internal/dcr/", "", "POST", "/internal/dcr/", 405},
		{"a path below the endpoint registers nobody", "", "/connect/dcr/", "", "POST", "/connect/dcr/x", 405},
		{"POST with a client id in the query is not allowed", "", "/connect/dcr", "", "POST", "/connect/dcr?client_id=x", 405},
		{"POST with an empty client id in the query is not allowed", "", "/connect/dcr", "", "POST", "/connect/dcr?client_id=", 405},
		{"POST with a client id as a path parameter is not allowed", pathForm, "/connect/dcr/{client_id}", "", "POST", "/connect/dcr/x", 405},
		{"POST with a client id in the path is not allowed without a path parameter", pathForm, "/connect/dcr/", "", "POST", "/connect/dcr/x", 405},
		{"POST with a client id in the path is not allowed if a proxy rewrites the path", pathForm, "/internal/", "", "POST", "/internal/x", 405},
		{"POST with an escaped slash before a client id is not allowed", pathForm, "/connect/", "", "POST", "/connect/dcr%2Fx", 405},
		{"GET without a client id is not allowed", "", "/connect/dcr", "", "GET", "/connect/dcr", 405},
		{"PUT without a client id is not allowed", "", "/connect/dcr", "", "PUT", "/connect/dcr", 405},
		{"DELETE with an empty client id is not allowed", "", "/connect/dcr", "", "DELETE", "/connect/dcr?client_id=", 405},
		{"PATCH is not allowed", "", "/connect/dcr", "", "PATCH", "/connect/dcr?client_id=x", 405},
		{"a client id in the path and another in the query is malformed", pathForm, "/connect/dcr/{client_id}", "", "GET", "/connect/dcr/x?client_id=y", 400},
		{"a client id given twice is malformed", "", "/connect/dcr", "", "GET", "/connect/dcr?client_id=x&client_id=x", 400},
		{"the same client id in both places is accepted", pathForm, "/connect/dcr/{client_id}", "", "GET", "/connect/dcr/x?client_id=x", 401},
		{"GET with a client id needs its token", "", "/connect/dcr", "", "GET", "/connect/dcr?client_id=x", 401},
		{"HEAD is like GET", "", "/connect/dcr", "", "HEAD", "/connect/dcr?client_id=x", 401},
		{"OPTIONS returns what is allowed", "", "/connect/dcr", "", "OPTIONS", "/connect/dcr", 204},
	}
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			store := memstore.New()
			handler := newHandler(t, store, dcr.Options{ClientURI: c.clientURI, AllowAnonymous: true})
			mux := http.NewServeMux()
			mux.Handle(c.pattern, http.StripPrefix(c.strip, handler))
			r := serve(t, mux)
			a := r.do(t, c.method, c.path, "", plainBody)
			if a.status != c.want {
				t.Fatalf("status %d, want %d: %s", a.status, c.want, a.body)
			}
			if a.header.Get("Cache-Control") != "no-store" {
				t.Error("the answer may be cached")
			}
			if wantAllow := c.want == 405 || c.want == 204; (a.header.Get("Allow") != "") != wantAllow {
				t.Errorf("Allow: %q", a.header.Get("Allow"))
			}
			if count, _ := store.CountClients(t.Context(), dcr.Filter{}); (count == 1) != (c.want == 201) {
				t.Errorf("%d clients stored after status %d", count, c.want)
			}
		})
	}
}

// guard is a host's own authorization: it accepts one token, and records what
// it saw.
type guard struct {
	next http.Handler
	seen []string
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.seen = append(g.seen, r.Header.Get("Authorization"))
	if r.Header.Get("Authorization") != "Bearer host-token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	caller := &dcr.Caller{Subject: "pipeline"}
	g.next.ServeHTTP(w, r.WithContext(dcr.ContextWithCaller(r.Context(), caller)))
}

func TestHostGuardsRegistrationAlone(t *testing.T) {
	store := memstore.New()
	handler := newHandler(t, store, dcr.Options{})
	guarded := &guard{next: handler}
	mux := http.NewServeMux()
	mux.Handle("POST /connect/dcr", guarded)
	mux.Handle("/connect/dcr", handler)
	mux.Handle("/connect/dcr/", handler)
	r := serve(t, mux)

	for _, path := range []string{"/connect/dcr/", "/connect/dcr/x", "/connect/dcr?client_id=x"} {
		if a := r.do(t, "POST", path, "", plainBody); a.status < 400 {
			t.Errorf("POST %s without the host's token: status %d", path, a.status)
		}
	}
	if a := r.do(t, "POST", "/connect/dcr", "", plainBody); a.status != 401 {
		t.Errorf("POST without the host's token: status %d", a.status)
	}
	guarded.seen = nil

	a := r.do(t, "POST", "/connect/dcr", "host-token", plainBody)
	if a.status != 201 {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	client := a.members
	path := "/connect/dcr?client_id=" + client["client_id"].(string)
	token := client["registration_access_token"].(string)
	if a := r.do(t, "GET", path, token, ""); a.status != 200 {
		t.Errorf("GET with the registration access token: status %d: %s", a.status, a.body)
	}
	if a := r.do(t, "GET", path, "host-token", ""); a.status != 401 {
		t.Errorf("GET with the host's token: status %d, want 401", a.status)
	}
	if a := r.do(t, "DELETE", path, token, ""); a.status != 204 {
		t.Errorf("DELETE: status %d", a.status)
	}
	if len(guarded.seen) != 1 {
		t.Errorf("the host's guard saw %q, want only the registration", guarded.seen)
	}
}

func TestUnwrappedHandlerRegistersNobody(t *testing.T) {
	store := memstore.New()
	r := serve(t, newHandler(t, store, dcr.Options{}))
	for _, token := range []string{"", "guess"} {
		a := r.do(t, "POST", "/connect/dcr", token, plainBody)
		challenge := a.header.Get("WWW-Authenticate")
		if a.status != 401 || !strings.HasPrefix(challenge, `Bearer realm="`) {
			t.Errorf("token %q: status %d, challenge %q", token, a.status, challenge)
		}
		if strings.Contains(challenge, "invalid_token") != (token != "") {
			t.Errorf("token %q: challenge %q", token, challenge)
		}
	}
	if count, _ := store.CountClients(t.Context(), dcr.Filter{}); count != 0 {
		t.Errorf("%d clients stored", count)
	}
}

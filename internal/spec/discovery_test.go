package spec_test

// RFC 8414 §3, OpenID Connect Discovery 1.0 §4.

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// narrowing supports the scopes that it currently points to.
type narrowing struct {
	dcr.DefaultValidator
	scopes *[]string
}

func (n narrowing) Capabilities() dcr.Capabilities { return dcr.Capabilities{Scopes: *n.scopes} }

func TestHandlerDiscovery(t *testing.T) {
	scopes := []string{"a"}
	h := newHandler(t, memstore.New(), dcr.Options{Validator: narrowing{dcr.DefaultValidator{Supports: dcr.Capabilities{Scopes: []string{"a", "b"}}}, &scopes}})
	first := h.Discovery(t.Context())
	if first["registration_endpoint"] != endpoint || encode(first["code_challenge_methods_supported"]) != `["S256"]` || encode(first["scopes_supported"]) != `["a"]` {
		t.Errorf("%v", first)
	}
	scopes, first["issuer"] = []string{"b"}, "changed"
	if second := h.Discovery(t.Context()); encode(second["scopes_supported"]) != `["b"]` || second["issuer"] != nil {
		t.Errorf("the document is not computed at each call: %v", second)
	}
}

func TestDocumentsAreAdvertisedWhileTheyAreTaken(t *testing.T) {
	const member = "client_id_metadata_document_supported"
	taken := true
	supports := dcr.Capabilities{ClientIDMetadataDocument: true, AuthorizationResponseIss: true}
	h := newHandler(t, memstore.New(), dcr.Options{
		Validator: dcr.DefaultValidator{Supports: supports},
		Documents: func(context.Context) bool { return taken },
	})
	if h.Discovery(t.Context())[member] != true {
		t.Error("not advertised while they are accepted")
	}
	if taken = false; h.Discovery(t.Context())[member] != nil {
		t.Error("still advertised while they are not accepted")
	}
	if strings.Contains(strings.Join(h.Warnings(), " "), "Documents") {
		t.Errorf("%q", h.Warnings())
	}
	bare := newHandler(t, memstore.New(), dcr.Options{
		Validator: dcr.DefaultValidator{Supports: dcr.Capabilities{TokenEndpointAuthMethods: []string{"client_secret_basic"}, CodeChallengeMethods: []string{"plain"}}},
		Documents: func(context.Context) bool { return true },
	})
	for _, missing := range []string{"private_key_jwt", "S256", "RFC 9207"} {
		if !strings.Contains(strings.Join(bare.Warnings(), " "), missing) {
			t.Errorf("no warning that %s is missing: %q", missing, bare.Warnings())
		}
	}
}

func TestServeDiscoveryPaths(t *testing.T) {
	const openID, plain = `{"id_token_signing_alg_values_supported":["RS256"]}`, `{}`
	for _, c := range []struct {
		sentence, issuer, capabilities string
		at, elsewhere                  []string
	}{
		{"an issuer without a path", issuer, openID,
			[]string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
			[]string{"/", "/.well-known/", "/.well-known/oauth-authorization-server/", "/.well-known/oauth-authorization-server/t", "/t/.well-known/openid-configuration", "/.well-known/oauth-protected-resource"}},
		{"a slash at the end of an issuer is not a path", issuer + "/", openID,
			[]string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"}, []string{"//.well-known/openid-configuration"}},
		{"a server without ID Tokens is not an OpenID Provider", issuer, plain,
			[]string{"/.well-known/oauth-authorization-server"}, []string{"/.well-known/openid-configuration"}},
		{"an issuer with a path", issuer + "/t/1", openID,
			[]string{"/.well-known/oauth-authorization-server/t/1", "/.well-known/openid-configuration/t/1", "/t/1/.well-known/openid-configuration"},
			[]string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/t/1/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/t/2", "/.well-known/oauth-authorization-server/t%2F1"}},
		{"a path without ID Tokens", issuer + "/t/", plain,
			[]string{"/.well-known/oauth-authorization-server/t"}, []string{"/.well-known/openid-configuration/t", "/t/.well-known/openid-configuration"}},
		{"an escaped path", issuer + "/a%2Fb", plain,
			[]string{"/.well-known/oauth-authorization-server/a%2Fb"}, []string{"/.well-known/oauth-authorization-server/a/b"}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			h := newHandler(t, memstore.New(), dcr.Options{Validator: dcr.DefaultValidator{Supports: capabilities(t, c.capabilities)}})
			served := h.ServeDiscovery(c.issuer, map[string]any{"token_endpoint": "https://id.example.com/token", "issuer": "https://evil.example", "scopes_supported": nil})
			for _, path := range c.at {
				a := ask(t, served, "GET", path, "", "")
				if a.status != 200 || a.text("issuer") != c.issuer || a.text("token_endpoint") == "" || a.text("registration_endpoint") != endpoint {
					t.Errorf("%s: %d %s", path, a.status, a.body)
				}
				if a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: %v", path, a.header)
				}
			}
			for _, path := range c.elsewhere {
				for _, method := range []string{"GET", "OPTIONS"} {
					if w := record(served, method, path); w.Code != 404 {
						t.Errorf("%s %s: %d", method, path, w.Code)
					}
				}
			}
		})
	}
}

func record(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestServeDiscoveryMethods(t *testing.T) {
	const path = "/.well-known/oauth-authorization-server"
	served := newHandler(t, memstore.New(), dcr.Options{}).ServeDiscovery(issuer, nil)
	preflight := call(t, served, "OPTIONS", path, "http://localhost:6274", "GET")
	if preflight.Get("X-Status") != "No Content" || preflight.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(preflight.Get("Access-Control-Allow-Methods"), "GET") || !strings.Contains(preflight.Get("Access-Control-Allow-Headers"), "MCP-Protocol-Version") {
		t.Errorf("the Inspector's preflight (modelcontextprotocol/typescript-sdk#715): %v", preflight)
	}
	for method, status := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 204, "POST": 405, "PUT": 405, "DELETE": 405} {
		w := record(served, method, path)
		if w.Code != status || status == 405 && w.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
}

func TestServeDiscoveryPanics(t *testing.T) {
	h := newHandler(t, memstore.New(), dcr.Options{})
	for sentence, serve := range map[string]func(){
		"no issuer":            func() { h.ServeDiscovery("", nil) },
		"an issuer with http":  func() { h.ServeDiscovery("http://id.example.com", nil) },
		"one with a query":     func() { h.ServeDiscovery("https://id.example.com?x", nil) },
		"one with a fragment":  func() { h.ServeDiscovery("https://id.example.com#x", nil) },
		"members without JSON": func() { h.ServeDiscovery(issuer, map[string]any{"f": func() {}}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is served", sentence)
				}
			}()
			serve()
		}()
	}
	h.ServeDiscovery("http://127.0.0.1:8080", nil)
}

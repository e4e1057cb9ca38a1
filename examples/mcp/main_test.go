package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
)

// TestBothClients runs the program.
func TestBothClients(t *testing.T) {
	if err := run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}

// TestHost tests the authorization server.
func TestHost(t *testing.T) {
	dcrtest.TestHost(t, dcrtest.Host{
		Start: func(t *testing.T, store dcr.ClientConfigurationStore) string {
			server := httptest.NewUnstartedServer(nil)
			issuer := "http://" + server.Listener.Addr().String()
			handler, err := newAuthServer(store, issuer, "secret", nil, []string{"greet", "shout"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			server.Config.Handler = handler
			server.Start()
			t.Cleanup(server.Close)
			return issuer
		},
		Authorize: func(t *testing.T, browser *http.Client, to string) *http.Response {
			response, err := browser.Get(to)
			if err == nil && response.StatusCode == http.StatusOK {
				response.Body.Close()
				response, err = browser.PostForm(to, url.Values{"answer": {"yes"}})
			}
			if err != nil {
				t.Fatal(err)
			}
			return response
		},
		Scopes: []string{"greet", "shout"},
	})
}

// TestTokensOfOthers shows that the MCP server accepts only tokens that are for it.
func TestTokensOfOthers(t *testing.T) {
	const resource = "http://127.0.0.1:1/mcp"
	answers := map[string]map[string]any{
		"its own":             {"active": true, "sub": "ann", "aud": []string{"http://127.0.0.1:1/other", resource}, "exp": 1},
		"of another resource": {"active": true, "sub": "ann", "aud": []string{"http://127.0.0.1:1/other"}, "exp": 1},
		"for no resource":     {"active": true, "sub": "ann", "exp": 1},
		"that is not active":  {"active": false, "aud": []string{resource}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, secret, _ := r.BasicAuth(); secret != "secret" {
			http.Error(w, "who asks?", http.StatusUnauthorized)
			return
		}
		json.NewEncoder(w).Encode(answers[r.PostFormValue("token")])
	}))
	defer server.Close()
	for token := range answers {
		_, err := introspection{resource, server.URL, "secret"}.verify(t.Context(), token, nil)
		if token == "its own" && err != nil || token != "its own" && !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("a token %s: %v", token, err)
		}
	}
	if _, err := (introspection{resource, server.URL, "wrong"}).verify(t.Context(), "its own", nil); err == nil || errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("an outage makes a token invalid: %v", err)
	}
}

// down is a store that fails.
type down struct {
	*memstore.Store
	err error
}

func (d *down) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	if d.err != nil {
		return nil, d.err
	}
	return d.Store.FindByClientID(ctx, clientID)
}

// TestIntrospection shows that an outage is no inactive token, and that a token loses what
// its client loses.
func TestIntrospection(t *testing.T) {
	store := &down{Store: memstore.New()}
	client := dcr.NewClient()
	client.ID, client.Scope = "app-1", "greet"
	if err := store.Add(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	s := &authServer{secret: "secret", tokens: make(map[string]*token), authenticator: &clientauth.Authenticator{Store: store}}
	issued := s.issue(grant{clientID: "app-1", scopes: []string{"greet", "shout"}}, "access", time.Now().Add(time.Hour))
	for _, c := range []struct {
		err    error
		status int
		wants  string
	}{
		{nil, 200, `"scope":"greet"`},
		{dcr.ErrClientNotFound, 200, `{"active":false}`},
		{dcr.Errorf(dcr.InvalidClient, "the document is gone"), 200, `{"active":false}`},
		{errors.New("the disk is full"), 503, "temporarily_unavailable"},
	} {
		store.err = c.err
		r := httptest.NewRequest("POST", "/introspect", strings.NewReader("token="+issued))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("greeter", "secret")
		w := httptest.NewRecorder()
		s.introspect(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.wants) {
			t.Errorf("%v: the answer is %d %s", c.err, w.Code, w.Body)
		}
	}
}

// TestForeignResource shows that nobody gets a token for a resource that the server
// does not know.
func TestForeignResource(t *testing.T) {
	p, err := publish()
	if err != nil {
		t.Fatal(err)
	}
	defer p.server.Close()
	w, err := start(p)
	if err != nil {
		t.Fatal(err)
	}
	defer w.stop()
	query := url.Values{
		"client_id": {p.document}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"greet"}, "resource": {"http://127.0.0.1:1/mcp"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	if _, err := consent(t.Context(), w.issuer+"/authorize?"+query.Encode(), http.DefaultTransport); err == nil || !strings.Contains(err.Error(), "invalid_target") {
		t.Errorf("a resource that the server does not know: %v", err)
	}
}

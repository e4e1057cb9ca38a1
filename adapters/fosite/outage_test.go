package fosite_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"

	"github.com/dynreg/dcr"
	adapter "github.com/dynreg/dcr/adapters/fosite"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/memstore"
)

// sick is a storage, and a store of clients, that may fail.
type sick struct {
	Kept
	*adapter.Clients
	dcr.ClientConfigurationStore
	ofTokens, ofClients error
}

func (s *sick) GetAccessTokenSession(ctx context.Context, signature string, session fosite.Session) (fosite.Requester, error) {
	if s.ofTokens != nil {
		return nil, s.ofTokens
	}
	return s.Kept.GetAccessTokenSession(ctx, signature, session)
}

func (s *sick) FindByClientID(ctx context.Context, clientID string) (*dcr.Client, error) {
	if s.ofClients != nil {
		return nil, s.ofClients
	}
	return s.ClientConfigurationStore.FindByClientID(ctx, clientID)
}

// An outage at introspection is answered as one, because a resource server would refuse the
// person whose token is inactive.
func TestOutagesAtIntrospection(t *testing.T) {
	outage := errors.New("dial tcp 10.0.0.5:5432")
	for _, c := range []struct {
		sentence            string
		ofTokens, ofClients error
		public              bool
		status              int
		wants               string
	}{
		{"nothing fails", nil, nil, false, 200, `"active":true`},
		{"the clients cannot be read", nil, outage, false, 503, "temporarily_unavailable"},
		{"the tokens cannot be read", outage, nil, false, 503, "temporarily_unavailable"},
		{"there is no such token", fosite.ErrNotFound, nil, false, 200, `{"active":false}`},
		{"the client of the token is gone", nil, dcr.ErrClientNotFound, false, 200, `{"active":false}`},
		{"a public client asks", nil, nil, true, 400, "unauthorized_client"},
	} {
		store := memstore.New()
		kept := &sick{Kept: Kept{storage.NewMemoryStore()}, ClientConfigurationStore: store}
		kept.Clients = &adapter.Clients{Store: kept}
		w := newWorldOf(t, store, adapter.Clients{Store: store})
		config := &fosite.Config{GlobalSecret: make([]byte, 32), IDTokenIssuer: issuer}
		provider := compose.Compose(config, kept, compose.NewOAuth2HMACStrategy(config),
			compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2TokenIntrospectionFactory, compose.OAuth2PKCEFactory)
		kept.Configure(config)
		w.server = server{issuer: issuer, clients: kept.Clients, provider: provider}
		client, err := store.FindByClientID(t.Context(), "app-1")
		if err != nil {
			t.Fatal(err)
		}
		sender := clientauth.NewContext(t.Context(), &clientauth.Authentication{Client: client, Method: "client_secret_post"})
		post := func(form url.Values, introspects bool) *httptest.ResponseRecorder {
			r := httptest.NewRequest("POST", issuer+"/", strings.NewReader(form.Encode())).WithContext(sender)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			recorder := httptest.NewRecorder()
			if introspects {
				w.server.introspect(recorder, r)
			} else {
				w.server.token(recorder, r)
			}
			return recorder
		}
		query := url.Values{
			"client_id": {"app-1"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"files.read"}, "state": {"12345678"},
			"code_challenge": {challenge}, "code_challenge_method": {"S256"},
		}
		recorder := httptest.NewRecorder()
		w.server.authorize(recorder, httptest.NewRequest("GET", issuer+"/?"+query.Encode(), nil))
		to, err := recorder.Result().Location()
		if err != nil {
			t.Fatal(err)
		}
		granted := post(url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {redirect}, "code_verifier": {verifier}}, false).Body.String()
		_, token, _ := strings.Cut(granted, `"access_token":"`)
		token, _, _ = strings.Cut(token, `"`)
		kept.ofTokens, kept.ofClients = c.ofTokens, c.ofClients
		if c.public {
			client.TokenEndpointAuthMethod = "none"
		}
		recorder = post(url.Values{"token": {token}}, true)
		if text := recorder.Body.String(); recorder.Code != c.status || !strings.Contains(text, c.wants) || strings.Contains(text, "10.0.0.5") {
			t.Errorf("%s: the answer is %d %s", c.sentence, recorder.Code, text)
		}
	}
}

// A client that is refused, by its document or by cimd.Options.Admit, is no outage, and an
// outage is no refusal, whatever type its error has.
func TestRefusedClients(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		wants  string
	}{
		{dcr.ErrClientNotFound, 404, "not_found"},
		{dcr.Errorf(dcr.InvalidClient, "the document is gone"), 401, "invalid_client"},
		{dcr.Errorf(dcr.AccessDenied, "not on the list"), 401, "not on the list"},
		{dcr.Unavailable("the store is down", nil), 503, "temporarily_unavailable"},
		{dcr.Errorf(dcr.ServerError, "the store is down"), 503, "temporarily_unavailable"},
		{errors.New("the store is down"), 503, "temporarily_unavailable"},
	} {
		store := memstore.New()
		w := newWorldOf(t, store, adapter.Clients{Store: store, Published: &sick{ClientConfigurationStore: store, ofClients: c.err}})
		recorder := w.get(nil)
		if text := recorder.Body.String(); recorder.Code != c.status || !strings.Contains(text, c.wants) {
			t.Errorf("%v: the answer is %d %s", c.err, recorder.Code, text)
		}
	}
}

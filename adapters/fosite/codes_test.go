package fosite_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"

	"github.com/dynreg/dcr"
	adapter "github.com/dynreg/dcr/adapters/fosite"
)

// named is a client of a host that adds something to those of the adapter.
type named struct{ adapter.Client }

// renaming is a storage with clients of its own type.
type renaming struct{ *Storage }

func (s renaming) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	found, err := s.Storage.GetClient(ctx, id)
	if err != nil {
		return nil, err
	}
	return named{found.(adapter.Client)}, nil
}

func registered(client fosite.Client) *dcr.Client {
	if own, ok := client.(named); ok {
		return own.Registered
	}
	return client.(adapter.Client).Registered
}

// A code can be redeemed however the host keeps the request while the person signs in, and
// whatever type its clients have.
func TestCodesOfOtherHosts(t *testing.T) {
	for sentence, own := range map[string]bool{"the host keeps the request in a database": false, "the host has clients of its own type": true} {
		w := newWorld(t, adapter.Clients{RefreshWithoutScope: true})
		if own {
			config := &fosite.Config{GlobalSecret: make([]byte, 32), IDTokenIssuer: issuer}
			rand.Read(config.GlobalSecret)
			w.server.provider = compose.Compose(config, renaming{&Storage{Kept{storage.NewMemoryStore()}, w.server.clients}}, compose.NewOAuth2HMACStrategy(config),
				compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2PKCEFactory)
			w.server.clients.Configure(config)
		}
		for _, to := range []string{redirect, ""} {
			query := url.Values{
				"client_id": {"app-1"}, "redirect_uri": {to}, "response_type": {"code"}, "scope": {"files.read"}, "state": {"12345678"},
				"code_challenge": {challenge}, "code_challenge_method": {"S256"},
			}
			asked, err := w.server.clients.CheckAuthorizeRequest(w.server.provider, httptest.NewRequest("GET", issuer+"/authorize?"+query.Encode(), nil))
			if err != nil {
				t.Fatal(err)
			}
			kept := asked.(*fosite.AuthorizeRequest)
			if !own {
				if kept.Client, err = w.server.clients.GetClient(t.Context(), "app-1"); err != nil {
					t.Fatal(err)
				}
			}
			kept.GrantScope("files.read")
			answer, err := w.server.provider.NewAuthorizeResponse(t.Context(), kept, new(fosite.DefaultSession))
			if err != nil {
				t.Fatal(err)
			}
			form := url.Values{"grant_type": {"authorization_code"}, "code": {answer.GetCode()}, "code_verifier": {verifier}}
			if to != "" {
				form.Set("redirect_uri", to)
			}
			if got := w.post("/token", form); got["access_token"] == nil {
				t.Errorf("%s, and the request names %q: the answer is %v", sentence, to, got)
			}
			registered(kept.Client).DPoPBoundAccessTokens = true
			if _, err := w.server.provider.NewAuthorizeResponse(t.Context(), kept, new(fosite.DefaultSession)); !errors.Is(err, fosite.ErrServerError) {
				t.Errorf("%s, and the client binds its tokens: the error is %v", sentence, err)
			}
		}
	}
}

// A code needs the verifier of its challenge, also if the host has left out the handler of
// fosite, and also after that has deleted the challenge because a verifier was wrong.
func TestVerifiers(t *testing.T) {
	none := url.Values{"code_challenge": {""}, "code_challenge_method": {""}}
	wrong := "wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong"
	for _, c := range []struct {
		sentence  string
		requires  bool
		asked     url.Values
		verifiers []string // one after the other; "" is none
		wants     any      // the last error
	}{
		{"the verifier", true, nil, []string{verifier}, nil},
		{"another verifier", true, nil, []string{wrong}, "invalid_grant"},
		{"no verifier", true, nil, []string{""}, "invalid_grant"},
		{"another verifier, then none", true, nil, []string{wrong, ""}, "invalid_grant"},
		{"the verifier, though the client need not use PKCE", false, nil, []string{verifier}, nil},
		{"another verifier, though the client need not use PKCE", false, nil, []string{wrong}, "invalid_grant"},
		{"no verifier, though the client need not use PKCE", false, nil, []string{""}, "invalid_grant"},
		{"another verifier, then none, though the client need not use PKCE", false, nil, []string{wrong, ""}, "invalid_grant"},
		{"no challenge and no verifier", false, none, []string{""}, nil},
		{"no challenge, but a verifier", false, none, []string{verifier}, "invalid_grant"},
	} {
		for _, checks := range []bool{true, false} {
			w := newWorld(t, adapter.Clients{RefreshWithoutScope: true})
			if !checks {
				config := &fosite.Config{GlobalSecret: make([]byte, 32), IDTokenIssuer: issuer}
				rand.Read(config.GlobalSecret)
				w.server.provider = compose.Compose(config, &Storage{Kept{storage.NewMemoryStore()}, w.server.clients}, compose.NewOAuth2HMACStrategy(config),
					compose.OAuth2AuthorizeExplicitFactory)
				w.server.clients.Configure(config)
			}
			w.change(func(client *dcr.Client) { client.RequirePKCE = c.requires })
			code := w.authorize(c.asked).Get("code")
			var got map[string]any
			for _, sent := range c.verifiers {
				form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}}
				if sent != "" {
					form.Set("code_verifier", sent)
				}
				got = w.post("/token", form)
			}
			if got["error"] != c.wants || (got["access_token"] != nil) != (c.wants == nil) {
				t.Errorf("%s (with the handler of fosite: %t): the answer is %v", c.sentence, checks, got)
			}
		}
	}
}

package spec_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// invited returns a handler that accepts only initial access tokens.
func invited(t testing.TB, store dcr.ClientConfigurationStore, tokens *callerauth.InitialAccessTokens, changes ...change) http.Handler {
	t.Helper()
	return newHandler(t, store, dcr.Options{
		Caller: tokens.Authenticate, Now: clock,
		Policies: map[string]dcr.Validator{"machines": dcr.DefaultValidator{Supports: dcr.Capabilities{GrantTypes: []string{"client_credentials"}}}},
	}, changes...)
}

func issue(t testing.TB, tokens *callerauth.InitialAccessTokens, kind dcr.InitialAccessToken) (string, dcr.InitialAccessToken) {
	t.Helper()
	token, atRest, err := tokens.Issue(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal(), atRest
}

func uses(t testing.TB, store dcr.InitialAccessTokenStore, hash string, want int) {
	t.Helper()
	if token, err := store.FindInitialAccessToken(t.Context(), hash); err != nil || token.Uses != want {
		t.Errorf("the token is %+v (%v), want %d uses", token, err, want)
	}
}

func TestInitialAccessTokens(t *testing.T) {
	at := noon
	store := memstore.New()
	tokens := &callerauth.InitialAccessTokens{Store: store, Now: func() time.Time { return at }}
	handler := invited(t, store, tokens)
	registers := func(t *testing.T, token string, status int) {
		t.Helper()
		code := dcr.Code("")
		if status != 201 {
			code = dcr.InvalidToken
		}
		answer := ask(t, handler, "POST", registerURL, token, plainBody)
		answered(t, answer, status, code)
		challenge := answer.header.Get("WWW-Authenticate")
		if want := status == 401 && token != ""; strings.Contains(challenge, `error="invalid_token"`) != want {
			t.Errorf("the challenge is %q", challenge)
		}
	}
	t.Run("a token is 256 random bits, kept as a hash", func(t *testing.T) {
		token, atRest := issue(t, tokens, dcr.InitialAccessToken{})
		bits, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "dcr_iat_"))
		if err != nil || len(bits) != 32 || atRest.Hash != dcr.HashSecret(dcr.Plaintext(token)).Value || strings.Contains(fmt.Sprint(atRest), token) {
			t.Errorf("got %s, %+v", token, atRest)
		}
		if other, _ := issue(t, tokens, dcr.InitialAccessToken{}); other == token {
			t.Error("two tokens are the same")
		}
	})
	t.Run("a token without a bound is used again and again", func(t *testing.T) {
		token, atRest := issue(t, tokens, dcr.InitialAccessToken{})
		registers(t, token, 201)
		registers(t, token, 201)
		uses(t, store, atRest.Hash, 2)
	})
	t.Run("a token can be used as often as it says", func(t *testing.T) {
		token, _ := issue(t, tokens, dcr.InitialAccessToken{MaxUses: 2})
		registers(t, token, 201)
		registers(t, token, 201)
		registers(t, token, 401)
	})
	t.Run("a token expires", func(t *testing.T) {
		defer func() { at = noon }()
		token, _ := issue(t, tokens, dcr.InitialAccessToken{ExpiresAt: noon.Add(time.Hour)})
		registers(t, token, 201)
		at = noon.Add(time.Hour)
		registers(t, token, 401)
	})
	t.Run("a token can be revoked", func(t *testing.T) {
		token, atRest := issue(t, tokens, dcr.InitialAccessToken{})
		if err := tokens.Revoke(t.Context(), atRest.Hash); err != nil {
			t.Fatal(err)
		}
		registers(t, token, 401)
		if err := tokens.Revoke(t.Context(), atRest.Hash); !errors.Is(err, dcr.ErrTokenNotFound) {
			t.Errorf("revoked again: %v", err)
		}
	})
	t.Run("other tokens are refused", func(t *testing.T) {
		token, atRest := issue(t, tokens, dcr.InitialAccessToken{})
		for _, other := range []string{"", "dcr_iat_", token[:len(token)-1], token + "A", strings.ToUpper(token), atRest.Hash, "dcr_iat_" + atRest.Hash, "a.b.c"} {
			registers(t, other, 401)
		}
	})
	t.Run("the fields of a token are copied to the client, and stay", func(t *testing.T) {
		token, _ := issue(t, tokens, dcr.InitialAccessToken{Policy: "machines", Subject: "ops", Notes: "the build farm"})
		client := &registered{answered(t, ask(t, handler, "POST", registerURL, token, `{"redirect_uris":[]}`), 201, ""), handler}
		for range 2 {
			found, err := store.FindByClientID(t.Context(), client.members["client_id"].(string))
			if err != nil || found.Policy != "machines" || found.RegisteredBy != "ops" || found.Notes != "the build farm" || found.GrantTypes[0] != "client_credentials" {
				t.Errorf("the client is %+v, %v", found, err)
			}
			client.update(t, object{"redirect_uris": []string{}}, 200, "")
		}
		client.update(t, object{"redirect_uris": []string{}, "grant_types": []string{"authorization_code"}}, 400, dcr.InvalidClientMetadata)
	})
	t.Run("with an unknown policy, registration fails", func(t *testing.T) {
		token, atRest := issue(t, tokens, dcr.InitialAccessToken{Policy: "machine", MaxUses: 1})
		answered(t, ask(t, handler, "POST", registerURL, token, plainBody), 500, dcr.ServerError)
		uses(t, store, atRest.Hash, 0)
	})
	t.Run("tokens that make no sense are not issued", func(t *testing.T) {
		for _, kind := range []dcr.InitialAccessToken{{MaxUses: -1}, {ExpiresAt: noon}} {
			if token, _, err := tokens.Issue(t.Context(), kind); err == nil || token != "" {
				t.Errorf("%+v was issued", kind)
			}
		}
	})
}

func TestTokensWithoutAStore(t *testing.T) {
	tokens := &callerauth.InitialAccessTokens{}
	if _, _, err := tokens.Issue(t.Context(), dcr.InitialAccessToken{}); err == nil {
		t.Error("a token was issued")
	}
	if err := tokens.Revoke(t.Context(), "hash"); err == nil || errors.Is(err, dcr.ErrTokenNotFound) {
		t.Errorf("a token was revoked: %v", err)
	}
	answered(t, ask(t, invited(t, memstore.New(), tokens), "POST", registerURL, "dcr_iat_x", plainBody), 500, dcr.ServerError)
}

func TestAHundredRegistrationsWithATokenForTen(t *testing.T) {
	for _, how := range []string{"Options.Caller", "Require"} {
		t.Run("by "+how, func(t *testing.T) {
			store := memstore.New()
			tokens := &callerauth.InitialAccessTokens{Store: store}
			token, atRest := issue(t, tokens, dcr.InitialAccessToken{MaxUses: 10})
			handler := invited(t, store, tokens)
			if how == "Require" {
				handler = dcr.Require(tokens.Authenticate)(invited(t, store, tokens, func(_ *dcr.DefaultValidator, o *dcr.Options) { o.Caller = nil }))
			}
			statuses := rush(t, handler, 100, token, plainBody)
			if statuses[201] != 10 || statuses[401] != 90 {
				t.Errorf("the answers are %v", statuses)
			}
			stored(t, store, 10)
			uses(t, store, atRest.Hash, 10)
		})
	}
}

// badTokenStore fails in the way that the test sets.
type badTokenStore struct {
	dcr.InitialAccessTokenStore
	find, use error
}

func (s badTokenStore) FindInitialAccessToken(ctx context.Context, hash string) (*dcr.InitialAccessToken, error) {
	if s.find != nil {
		return nil, s.find
	}
	return s.InitialAccessTokenStore.FindInitialAccessToken(ctx, hash)
}

func (s badTokenStore) UseInitialAccessToken(ctx context.Context, hash string, at time.Time) error {
	if s.use != nil {
		return s.use
	}
	return s.InitialAccessTokenStore.UseInitialAccessToken(ctx, hash, at)
}

func TestWhatARegistrationCosts(t *testing.T) {
	down := errors.New("no connection to 10.0.0.5")
	taken := func(context.Context, *dcr.Registration) (string, error) { return "taken", nil }
	for _, test := range []struct {
		sentence string
		body     string
		change   func(o *dcr.Options, clients *faulty, tokens *badTokenStore)
		status   int
		code     dcr.Code
		uses     int
	}{
		{"a registration costs one use", plainBody, nil, 201, "", 1},
		{"a refused one costs none", `{}`, nil, 400, dcr.InvalidRedirectURI, 0},
		{"one with a malformed body costs none", `[`, nil, 400, dcr.InvalidClientMetadata, 0},
		{"one that a hook refuses costs none", plainBody, func(o *dcr.Options, _ *faulty, _ *badTokenStore) {
			o.ModifyResponse = func(context.Context, *dcr.Registration, *dcr.Response) error { return down }
		}, 500, dcr.ServerError, 0},
		{"one that finds the store full costs none", plainBody, func(_ *dcr.Options, clients *faulty, _ *badTokenStore) { clients.add = dcr.ErrStoreFull }, 503, dcr.TemporarilyUnavailable, 0},
		{"one whose id is taken costs none", plainBody, func(o *dcr.Options, _ *faulty, _ *badTokenStore) { o.NewClientID = taken }, 500, dcr.ServerError, 0},
		{"one that may have been stored may have cost one", plainBody, func(_ *dcr.Options, clients *faulty, _ *badTokenStore) { clients.add = down }, 503, dcr.TemporarilyUnavailable, 1},
		{"if tokens cannot be looked up, nobody registers", plainBody, func(_ *dcr.Options, _ *faulty, tokens *badTokenStore) { tokens.find = down }, 503, dcr.TemporarilyUnavailable, 0},
		{"if uses cannot be counted, nobody registers", plainBody, func(_ *dcr.Options, _ *faulty, tokens *badTokenStore) { tokens.use = down }, 503, dcr.TemporarilyUnavailable, 0},
		{"a token that is revoked in the meantime registers nobody", plainBody, func(_ *dcr.Options, _ *faulty, tokens *badTokenStore) { tokens.use = dcr.ErrTokenNotFound }, 401, dcr.InvalidToken, 0},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			store := memstore.New()
			if err := store.Add(t.Context(), &dcr.Client{ID: "taken"}); err != nil {
				t.Fatal(err)
			}
			clients, kept := &faulty{ClientConfigurationStore: store}, &badTokenStore{InitialAccessTokenStore: store}
			token, atRest := issue(t, &callerauth.InitialAccessTokens{Store: store}, dcr.InitialAccessToken{MaxUses: 5})
			handler := invited(t, clients, &callerauth.InitialAccessTokens{Store: kept}, func(_ *dcr.DefaultValidator, o *dcr.Options) {
				if test.change != nil {
					test.change(o, clients, kept)
				}
			})
			answer := ask(t, handler, "POST", registerURL, token, test.body)
			answered(t, answer, test.status, test.code)
			if strings.Contains(answer.body, "10.0.0.5") {
				t.Errorf("the answer tells too much: %s", answer.body)
			}
			uses(t, store, atRest.Hash, test.uses)
		})
	}
}
